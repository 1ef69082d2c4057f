/* SPDX-License-Identifier: MIT
 * The file of DKIM keys:
 *
 *   postern dkim 1
 *   key DOMAIN SELECTOR KIND STATE CREATED SEEN ACTIVATED RETIRED REVOKED
 *   public BASE64
 *   -----BEGIN PRIVATE KEY----- ... -----END PRIVATE KEY-----      (not once revoked)
 *   end
 *
 * It is never changed, only replaced. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/cursor.h"
#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/parse/dkim/signature.h"
#include "rooms/keys/dkim.h"

#define NAME "dkim.keys"
#define NEW_NAME "dkim.keys.new"

static const struct slice HEAD = S_INIT("postern dkim 1\n");
static const struct slice BEGIN = S_INIT("-----BEGIN PRIVATE KEY-----\n");
static const struct slice END = S_INIT("-----END PRIVATE KEY-----\n");

struct dkim_key *
dkim_key_new(void)
{
	struct dkim_key *k = calloc(1, sizeof *k);

	PN_ASSERT(k != NULL);
	buf_init(&k->made, PRIVKEY_PEM_MAX);
	return k;
}

void
dkim_key_free(struct dkim_key **k)
{
	privkey_free(&(*k)->private);
	buf_free(&(*k)->made);
	free(*k);
	*k = NULL;
}

/* ---- reading ---- */

static bool
read_whole(int fd, struct buf *b)
{
	for (;;) {
		uint8_t *p = buf_room(b, 65536);
		ssize_t n = p == NULL ? -1 : read(fd, p, 65536);

		if (n <= 0)
			return n == 0;
		buf_grown(b, (size_t)n);
	}
}

static bool
word(struct cursor *c, uint8_t end, char *to, size_t size)
{
	struct slice s;

	if (!cur_until(c, end, &s) || s.n == 0 || s.n >= size)
		return false;
	memcpy(to, s.p, s.n);
	to[s.n] = '\0';
	return true;
}

static bool
number(struct cursor *c, uint8_t end, uint64_t most, int64_t *to)
{
	uint64_t v;

	if (!cur_u64(c, most, &v) || !cur_byte(c, end))
		return false;
	*to = (int64_t)v;
	return true;
}

static bool
read_public(struct cursor *c, struct dkim_key *k)
{
	own(arena_p) a = arena_new("public", 4096);
	struct slice text, raw;

	if (!cur_word(c, S("public ")) || !cur_until(c, '\n', &text))
		return false;
	if (text.n > 0 && (!base64_decode(text, a, &raw) || raw.n > DKIM_PUBLIC))
		return false;
	k->public_n = text.n > 0 ? raw.n : 0;
	if (k->public_n > 0)
		memcpy(k->public, raw.p, raw.n);
	return true;
}

/* The PEM is skipped: it is read again when it is needed. */
static bool
skip_pem(struct cursor *c, struct dkim_key *k)
{
	size_t start = c->at, end;

	if (!cur_word(c, BEGIN))
		return true;
	end = slice_find(slice_from(c->in, c->at), END);
	if (end == SLICE_NONE || end > PRIVKEY_PEM_MAX / 2)
		return false;
	k->pem_at = start;
	k->pem_n = c->at - start + end + END.n;
	c->at = start + k->pem_n;
	return true;
}

static bool
read_key(struct cursor *c, struct dkim_key *k)
{
	int64_t kind, state;

	if (!word(c, ' ', k->domain, sizeof k->domain) || !word(c, ' ', k->selector, sizeof k->selector) ||
	    !number(c, ' ', DKIM_KEY_ED25519, &kind) || !number(c, ' ', DKIM_REVOKED_KEY, &state) ||
	    !number(c, ' ', INT64_MAX, &k->created) || !number(c, ' ', INT64_MAX, &k->seen) ||
	    !number(c, ' ', INT64_MAX, &k->activated) || !number(c, ' ', INT64_MAX, &k->retired) ||
	    !number(c, '\n', INT64_MAX, &k->revoked) || !read_public(c, k) || !skip_pem(c, k))
		return false;
	k->kind = (enum dkim_kind_of_key)kind;
	k->state = (enum dkim_state)state;
	return dkim_domain_ok(slice_z(k->domain), 2) && dkim_domain_ok(slice_z(k->selector), 1) &&
	    (k->state == DKIM_REVOKED_KEY) == (k->pem_n == 0) && (k->pem_n == 0) == (k->public_n == 0);
}

static bool
read_all(struct cursor *c, struct dkim_key **last)
{
	if (!cur_word(c, HEAD))
		return false;
	while (cur_word(c, S("key "))) {
		*last = dkim_key_new();
		if (!read_key(c, *last))
			return false;
		last = &(*last)->next;
	}
	return cur_word(c, S("end\n")) && cur_done(c);
}

bool
dkimfile_read(struct dkim_key **first)
{
	own(buf_t) text = { .max = DKIM_FILE };
	own(fd_t) fd = open(NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct cursor c;

	if (fd < 0)
		return errno == ENOENT;
	if (!read_whole(fd, &text))
		return false;
	c = cur_of(buf_slice(&text));
	return read_all(&c, first);
}

bool
dkimfile_pem(const struct dkim_key *k, struct buf *pem)
{
	own(fd_t) fd = open(NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint8_t *p = fd < 0 || k->pem_n == 0 ? NULL : buf_room(pem, k->pem_n);

	if (p == NULL || pread(fd, p, k->pem_n, (off_t)k->pem_at) != (ssize_t)k->pem_n)
		return false;
	buf_grown(pem, k->pem_n);
	return true;
}

/* ---- writing ---- */

/* One key; at[0] and at[1] get where its PEM will stand, and how long it is. */
static bool
put_key(struct buf *b, const struct dkim_key *k, size_t at[static 2])
{
	(void)buf_fmt(b, "key %s %s %d %d %lld %lld %lld %lld %lld\npublic ", k->domain, k->selector, k->kind, k->state,
	    (long long)k->created, (long long)k->seen, (long long)k->activated, (long long)k->retired,
	    (long long)k->revoked);
	(void)base64_encode(b, slice_of(k->public, k->public_n));
	(void)buf_byte(b, '\n');
	at[0] = b->n;
	if (k->state != DKIM_REVOKED_KEY) {
		if (k->made.n > 0)
			(void)buf_add(b, buf_slice(&k->made));
		else if (!dkimfile_pem(k, b))
			return false;
	}
	at[1] = b->n - at[0];
	return !b->bad;
}

static bool
put_file(struct slice text)
{
	own(fd_t) fd = open(NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	own(fd_t) dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	while (fd >= 0 && text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);

		if (n <= 0)
			return false;
		text = slice_from(text, (size_t)n);
	}
	return fd >= 0 && dir >= 0 && fsync(fd) == 0 && rename(NEW_NAME, NAME) == 0 && fsync(dir) == 0;
}

bool
dkimfile_write(struct dkim_key *first)
{
	own(buf_t) text = { .max = DKIM_FILE };
	size_t (*at)[2] = calloc(DKIM_KEYS_MOST, sizeof *at), i = 0;
	bool ok;

	PN_ASSERT(at != NULL);
	ok = buf_add(&text, HEAD);
	for (const struct dkim_key *k = first; ok && k != NULL; k = k->next)
		ok = i < DKIM_KEYS_MOST && put_key(&text, k, at[i++]);
	ok = ok && buf_add(&text, S("end\n")) && put_file(buf_slice(&text));
	i = 0;
	for (struct dkim_key *k = first; ok && k != NULL; k = k->next, i++) {
		k->pem_at = at[i][0];
		k->pem_n = at[i][1];
		buf_free(&k->made);
	}
	free(at);
	return ok;
}
