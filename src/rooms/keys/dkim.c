/* SPDX-License-Identifier: MIT */
#include "rooms/keys/dkim.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/chars.h"
#include "lib/base/civil.h"
#include "lib/base/own.h"
#include "lib/parse/dkim/signature.h"

struct dkim_store {
	struct dkim_key *first;
	dkim_told *told;
	void *told_ctx;
	bool broken; /* the file could not be read or written */
	uint64_t uses;
	size_t loaded;
	struct dkim_change changes[DKIM_STEP + 4];
	size_t n_changes;
};

static void forget_all(struct dkim_store *s);

struct dkim_store *
dkim_open(const char **why)
{
	struct dkim_store *s = calloc(1, sizeof *s);

	PN_ASSERT(s != NULL);
	*why = NULL;
	s->broken = !dkimfile_read(&s->first);
	if (s->broken) {
		forget_all(s);
		*why = "dkim.keys cannot be read, or is damaged: nothing can be signed with DKIM";
	}
	return s;
}

void
dkim_close(struct dkim_store **sp)
{
	struct dkim_store *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	forget_all(s);
	free(s);
}

const struct dkim_key *
dkim_first(const struct dkim_store *s)
{
	return s->first;
}

bool
dkim_usable(const struct dkim_store *s)
{
	return !s->broken;
}

void
dkim_on_change(struct dkim_store *s, dkim_told *told, void *ctx)
{
	s->told = told;
	s->told_ctx = ctx;
}

/* ---- changes, and how they become durable ---- */

static void
changed(struct dkim_store *s, const struct dkim_key *k, enum dkim_state state)
{
	PN_ASSERT(s->n_changes < sizeof s->changes / sizeof *s->changes);
	s->changes[s->n_changes++] = (struct dkim_change){ k->domain, k->selector, state };
}

static void
unload(struct dkim_store *s, struct dkim_key *k)
{
	if (k->private == NULL)
		return;
	privkey_free(&k->private);
	s->loaded--;
}

/* Keys that are gone leave the list once that is on the disk. */
static void
sweep(struct dkim_store *s, struct dkim_key **gone)
{
	while (*gone != NULL) {
		struct dkim_key *k = *gone;

		*gone = k->next;
		unload(s, k);
		dkim_key_free(&k);
	}
}

static void
forget_all(struct dkim_store *s)
{
	sweep(s, &s->first);
	s->n_changes = 0;
}

/* Writes everything. After a failure the store is again what the file says. */
static enum dkim_result_of
save(struct dkim_store *s)
{
	struct dkim_key *gone = NULL, **at = &s->first;

	while (*at != NULL) {
		struct dkim_key *k = *at;

		if (k->state != DKIM_REMOVED) {
			at = &k->next;
			continue;
		}
		*at = k->next;
		k->next = gone;
		gone = k;
	}
	if (!dkimfile_write(s->first)) {
		sweep(s, &gone);
		forget_all(s);
		s->broken = !dkimfile_read(&s->first);
		return DKIM_FAILED;
	}
	for (size_t i = 0; i < s->n_changes; i++)
		if (s->told != NULL)
			s->told(s->told_ctx, &s->changes[i]);
	s->n_changes = 0;
	sweep(s, &gone);
	return DKIM_DONE;
}

/* ---- finding ---- */

static bool
is_of(const struct dkim_key *k, struct slice domain)
{
	return slice_ieq(slice_z(k->domain), domain);
}

static struct dkim_key *
find(const struct dkim_store *s, struct slice domain, struct slice selector)
{
	for (struct dkim_key *k = s->first; k != NULL; k = k->next)
		if (is_of(k, domain) && slice_ieq(slice_z(k->selector), selector))
			return k;
	return NULL;
}

static struct dkim_key *
in_state(const struct dkim_store *s, struct slice domain, enum dkim_kind_of_key kind, enum dkim_state state)
{
	for (struct dkim_key *k = s->first; k != NULL; k = k->next)
		if (is_of(k, domain) && k->kind == kind && k->state == state)
			return k;
	return NULL;
}

static size_t
count(const struct dkim_store *s)
{
	size_t n = 0;

	for (const struct dkim_key *k = s->first; k != NULL; k = k->next)
		n++;
	return n;
}

/* ---- making ---- */

/* "r202611", and with a letter behind it where that is taken: a selector is never used twice while
 * anybody may remember it. */
static bool
choose_selector(const struct dkim_store *s, struct dkim_key *k, int64_t now)
{
	struct civil c = civil_of(now / 1000000);

	for (char extra = 'a'; extra <= 'z'; extra++) {
		(void)snprintf(k->selector, sizeof k->selector, "%c%04d%02d%c", k->kind == DKIM_KEY_RSA ? 'r' : 'e',
		    (int)(c.year % 10000), c.month % 100, extra == 'a' ? '\0' : extra);
		if (find(s, slice_z(k->domain), slice_z(k->selector)) == NULL)
			return true;
	}
	return false;
}

static bool
make_private(struct dkim_key *k)
{
	own(buf_t) der = { .max = DKIM_PUBLIC };
	struct slice public;

	if (!privkey_make(k->kind == DKIM_KEY_RSA ? PRIVKEY_RSA_2048 : PRIVKEY_ED25519, &k->made) ||
	    (k->private = privkey_new(buf_slice(&k->made))) == NULL || !privkey_public(k->private, &der))
		return false;
	/* RFC 8463 4.2: the 32 octets, which end the SubjectPublicKeyInfo (RFC 8410 4) */
	public = k->kind == DKIM_KEY_RSA ? buf_slice(&der) : slice_from(buf_slice(&der), der.n - 32);
	memcpy(k->public, public.p, public.n);
	k->public_n = public.n;
	privkey_free(&k->private);
	return true;
}

static void
insert(struct dkim_store *s, struct dkim_key *k)
{
	struct dkim_key **at = &s->first;

	while (*at != NULL) {
		int order = slice_cmp(slice_z((*at)->domain), slice_z(k->domain));

		if (order > 0 || (order == 0 && slice_cmp(slice_z((*at)->selector), slice_z(k->selector)) > 0))
			break;
		at = &(*at)->next;
	}
	k->next = *at;
	*at = k;
}

static enum dkim_result_of
make(struct dkim_store *s, struct slice domain, enum dkim_kind_of_key kind, enum dkim_state state, int64_t now)
{
	struct dkim_key *k;

	if (count(s) >= DKIM_KEYS_MOST)
		return DKIM_FULL;
	k = dkim_key_new();
	for (size_t i = 0; i < domain.n; i++)
		k->domain[i] = (char)ch_lower(slice_at(domain, i));
	k->kind = kind;
	k->state = state;
	k->created = now;
	k->activated = state == DKIM_ACTIVE ? now : 0;
	if (!choose_selector(s, k, now) || !make_private(k)) {
		dkim_key_free(&k);
		return DKIM_FAILED;
	}
	insert(s, k);
	changed(s, k, state);
	return DKIM_DONE;
}

enum dkim_result_of
dkim_generate(struct dkim_store *s, struct slice domain, int64_t now)
{
	bool fresh = true, made = false;

	if (s->broken)
		return DKIM_FAILED;
	if (!dkim_domain_ok(domain, 2) || domain.n >= sizeof s->first->domain)
		return DKIM_INVALID;
	for (const struct dkim_key *k = s->first; k != NULL; k = k->next)
		fresh = fresh && !(is_of(k, domain) && (k->state == DKIM_NEXT || k->state == DKIM_ACTIVE));
	for (int kind = DKIM_KEY_RSA; kind <= DKIM_KEY_ED25519; kind++) {
		enum dkim_result_of r;

		if (in_state(s, domain, (enum dkim_kind_of_key)kind, DKIM_NEXT) != NULL)
			continue;
		r = make(s, domain, (enum dkim_kind_of_key)kind, fresh ? DKIM_ACTIVE : DKIM_NEXT, now);
		if (r != DKIM_DONE)
			return made ? save(s) : r;
		made = true;
	}
	return made ? save(s) : DKIM_EXISTS;
}

/* ---- the steps ---- */

static void
to_retiring(struct dkim_store *s, struct dkim_key *k, int64_t now)
{
	k->state = DKIM_RETIRING;
	k->retired = now;
	changed(s, k, DKIM_RETIRING);
}

static void
to_active(struct dkim_store *s, struct dkim_key *k, int64_t now)
{
	struct dkim_key *old = in_state(s, slice_z(k->domain), k->kind, DKIM_ACTIVE);

	if (old != NULL)
		to_retiring(s, old, now);
	k->state = DKIM_ACTIVE;
	k->activated = now;
	changed(s, k, DKIM_ACTIVE);
}

static void
to_revoked(struct dkim_store *s, struct dkim_key *k, int64_t now)
{
	unload(s, k);
	buf_free(&k->made);
	k->state = DKIM_REVOKED_KEY;
	k->revoked = now;
	k->public_n = 0;
	k->pem_n = 0;
	changed(s, k, DKIM_REVOKED_KEY);
}

/* One key by its selector, or with an empty one all of the domain that stand in a state of from (a
 * bit for each). */
static enum dkim_result_of
step(struct dkim_store *s, struct slice domain, struct slice selector, unsigned from, int64_t now,
    void (*to)(struct dkim_store *s, struct dkim_key *k, int64_t now))
{
	bool found = false, done = false;

	if (s->broken)
		return DKIM_FAILED;
	for (struct dkim_key *k = s->first; k != NULL && s->n_changes < DKIM_STEP; k = k->next) {
		if (!is_of(k, domain) || (selector.n > 0 && !slice_ieq(slice_z(k->selector), selector)))
			continue;
		found = true;
		if ((from >> k->state & 1u) == 0)
			continue;
		to(s, k, now);
		done = true;
	}
	return done ? save(s) : found ? DKIM_INVALID : DKIM_NONE;
}

enum dkim_result_of
dkim_activate(struct dkim_store *s, struct slice domain, struct slice selector, int64_t now)
{
	return step(s, domain, selector, 1u << DKIM_NEXT, now, to_active);
}

enum dkim_result_of
dkim_retire(struct dkim_store *s, struct slice domain, struct slice selector, int64_t now)
{
	return step(s, domain, selector, 1u << DKIM_ACTIVE, now, to_retiring);
}

enum dkim_result_of
dkim_revoke(struct dkim_store *s, struct slice domain, struct slice selector, int64_t now)
{
	return step(s, domain, selector, 1u << DKIM_NEXT | 1u << DKIM_ACTIVE | 1u << DKIM_RETIRING, now, to_revoked);
}

static void
to_seen(struct dkim_store *s, struct dkim_key *k, int64_t now)
{
	(void)s;
	if (k->seen == 0)
		k->seen = now;
}

enum dkim_result_of
dkim_seen(struct dkim_store *s, struct slice domain, struct slice selector, int64_t now)
{
	return step(s, domain, selector, 1u << DKIM_NEXT | 1u << DKIM_ACTIVE, now, to_seen);
}

/* What is due for one key; true when something changed. */
static bool
advance(struct dkim_store *s, struct dkim_key *k, int64_t now, enum dkim_result_of *made)
{
	switch (k->state) {
	case DKIM_NEXT:
		if (k->seen == 0 || now - k->seen < DKIM_SETTLE)
			return false;
		to_active(s, k, now);
		return true;
	case DKIM_ACTIVE:
		if (now - k->activated < DKIM_YEAR - DKIM_LEAD ||
		    in_state(s, slice_z(k->domain), k->kind, DKIM_NEXT) != NULL)
			return false;
		*made = make(s, slice_z(k->domain), k->kind, DKIM_NEXT, now);
		return *made == DKIM_DONE;
	case DKIM_RETIRING:
		if (now - k->retired < DKIM_RETIRE)
			return false;
		to_revoked(s, k, now);
		return true;
	case DKIM_REVOKED_KEY:
		if (now - k->revoked < DKIM_REVOKED)
			return false;
		k->state = DKIM_REMOVED;
		changed(s, k, DKIM_REMOVED);
		return true;
	case DKIM_REMOVED:
		break;
	}
	return false;
}

enum dkim_result_of
dkim_tick(struct dkim_store *s, int64_t now, bool *more)
{
	enum dkim_result_of made = DKIM_DONE, saved;
	size_t makings = 0;

	*more = false;
	if (s->broken)
		return DKIM_FAILED;
	for (struct dkim_key *k = s->first; k != NULL && !*more; k = k->next) {
		bool was_active = k->state == DKIM_ACTIVE;

		if (!advance(s, k, now, &made))
			continue;
		makings += was_active;
		/* making takes a while, and TLS waits for this room meanwhile */
		*more = makings == 2 || s->n_changes + 2 > DKIM_STEP;
	}
	saved = s->n_changes > 0 ? save(s) : DKIM_DONE;
	return saved != DKIM_DONE ? saved : made;
}

/* ---- signing ---- */

size_t
dkim_signers(const struct dkim_store *s, struct slice domain, const struct dkim_key *out[static 4])
{
	size_t n = 0;

	for (int kind = DKIM_KEY_RSA; kind <= DKIM_KEY_ED25519; kind++)
		for (const struct dkim_key *k = s->first; k != NULL && n < 4; k = k->next)
			if (k->state == DKIM_ACTIVE && (int)k->kind == kind && is_of(k, domain))
				out[n++] = k;
	return n;
}

/* The private key in memory, in the place of the one that was not used for the longest time. */
static bool
load(struct dkim_store *s, struct dkim_key *k)
{
	own(buf_t) pem = { .max = PRIVKEY_PEM_MAX };
	struct dkim_key *oldest = NULL;

	k->used = ++s->uses;
	if (k->private != NULL)
		return true;
	for (struct dkim_key *o = s->first; o != NULL && s->loaded >= DKIM_KEYS_LOADED; o = o->next)
		if (o->private != NULL && (oldest == NULL || o->used < oldest->used))
			oldest = o;
	if (oldest != NULL)
		unload(s, oldest);
	if (!dkimfile_pem(k, &pem))
		return false;
	k->private = privkey_new(buf_slice(&pem));
	if (k->private == NULL)
		return false;
	s->loaded++;
	return true;
}

enum dkim_result_of
dkim_make_signature(struct dkim_store *s, struct slice domain, struct slice selector, struct slice digest,
    int64_t now, struct buf *signature)
{
	struct dkim_key *k = find(s, domain, selector);

	if (s->broken)
		return DKIM_FAILED;
	if (k == NULL ||
	    (k->state != DKIM_ACTIVE && (k->state != DKIM_RETIRING || now - k->retired > DKIM_GRACE)))
		return DKIM_NONE;
	if (digest.n != 32)
		return DKIM_INVALID;
	if (!load(s, k) || !privkey_sign(k->private, k->kind == DKIM_KEY_RSA ? TLS_RSA_SHA256 : TLS_ED25519, digest,
	    signature))
		return DKIM_FAILED;
	return DKIM_DONE;
}
