/* SPDX-License-Identifier: MIT
 * The whole life of DKIM keys, under a clock of the test's own and with the file on the disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/own.h"
#include "rooms/keys/dkim.h"

#define START (INT64_C(1795651200000000)) /* 2026-11-26 */

static char dir[] = "/tmp/postern-dkim-XXXXXX";
static struct buf told;

static void
tell(void *ctx, const struct dkim_change *c)
{
	static const char *const names[] = { "next", "active", "retiring", "revoked", "removed" };

	(void)ctx;
	(void)buf_fmt(&told, "%s %s; ", c->selector, names[c->state]);
}

static int
fresh(void **state)
{
	(void)state;
	(void)unlink("dkim.keys");
	(void)unlink("dkim.keys.new");
	buf_reset(&told);
	return 0;
}

static struct dkim_store *
opened(void)
{
	const char *why;
	struct dkim_store *s = dkim_open(&why);

	assert_null(why);
	assert_true(dkim_usable(s));
	dkim_on_change(s, tell, NULL);
	return s;
}

/* What is in the store, "r202611 active; e202611 active; ", and the same after reading it again. */
static const char *
stands(struct dkim_store **s)
{
	static const char *const names[] = { "next", "active", "retiring", "revoked", "removed" };
	static char text[2][1000];

	for (int i = 0; i < 2; i++) {
		size_t n = 0;

		text[i][0] = '\0';
		for (const struct dkim_key *k = dkim_first(*s); k != NULL; k = k->next)
			n += (size_t)snprintf(&text[i][n], sizeof text[i] - n, "%s %s; ", k->selector, names[k->state]);
		if (i == 0) {
			dkim_close(s);
			*s = opened();
		}
	}
	assert_string_equal(text[0], text[1]);
	return text[1];
}

static const char *
what_was_told(void)
{
	static char text[1000];

	(void)snprintf(text, sizeof text, "%.*s", SFMT(buf_slice(&told)));
	buf_reset(&told);
	return text;
}

/* Ticks until nothing more is due. */
static void
tick(struct dkim_store *s, int64_t now)
{
	bool more = true;

	for (int i = 0; more; i++) {
		assert_true(i < 10);
		assert_int_equal(dkim_tick(s, now, &more), DKIM_DONE);
	}
}

static size_t
signs(struct dkim_store *s, const char *selector, int64_t now)
{
	own(buf_t) sig = { .max = TLS_SIGN_MAX };
	uint8_t digest[32] = { 7 };

	return dkim_make_signature(s, S("example.org"), slice_z(selector), slice_of(digest, 32), now, &sig) == DKIM_DONE ?
	    sig.n : 0;
}

static void
a_year_of_keys(void **state)
{
	struct dkim_store *s = opened();
	const struct dkim_key *active[4];
	int64_t now = START;

	(void)state;
	assert_int_equal(dkim_generate(s, S("Example.ORG"), now), DKIM_DONE);
	assert_string_equal(what_was_told(), "r202611 active; e202611 active; ");
	assert_string_equal(stands(&s), "e202611 active; r202611 active; ");
	assert_int_equal(dkim_signers(s, S("example.org"), active), 2);
	assert_string_equal(active[0]->selector, "r202611");
	assert_true(active[0]->public_n == 294 && active[1]->public_n == 32);
	assert_int_equal(dkim_signers(s, S("sub.example.org"), active), 0);
	assert_int_equal(signs(s, "r202611", now), 256);
	assert_int_equal(signs(s, "e202611", now), 64);
	/* nothing is due for eleven months */
	now += DKIM_YEAR - DKIM_LEAD - DKIM_DAY;
	tick(s, now);
	assert_string_equal(what_was_told(), "");
	/* then the next ones are made, and sign nothing */
	now += DKIM_DAY;
	tick(s, now);
	assert_string_equal(what_was_told(), "e202710 next; r202710 next; ");
	assert_int_equal(signs(s, "r202710", now), 0);
	/* nobody publishes them: the old ones sign on, for years if need be */
	now += 3 * DKIM_YEAR;
	tick(s, now);
	assert_string_equal(what_was_told(), "");
	assert_int_equal(signs(s, "r202611", now), 256);
	/* one is seen by the world; it is switched to when nobody can remember that it was not there */
	assert_int_equal(dkim_seen(s, S("example.org"), S("r202710"), now), DKIM_DONE);
	tick(s, now + DKIM_SETTLE - 1);
	assert_string_equal(what_was_told(), "");
	now += DKIM_SETTLE;
	tick(s, now);
	assert_string_equal(what_was_told(), "r202611 retiring; r202710 active; ");
	assert_string_equal(stands(&s), "e202611 active; e202710 next; r202611 retiring; r202710 active; ");
	assert_int_equal(dkim_signers(s, S("example.org"), active), 2);
	assert_string_equal(active[0]->selector, "r202710");
	assert_string_equal(active[1]->selector, "e202611");
	/* what was hashed for the old key a moment ago is still signed, but not later */
	assert_int_equal(signs(s, "r202611", now + DKIM_GRACE), 256);
	assert_int_equal(signs(s, "r202611", now + DKIM_GRACE + 1), 0);
	/* it stays published as long as mail may be under way, then its record is emptied, then it goes */
	tick(s, now + DKIM_RETIRE - 1);
	assert_string_equal(what_was_told(), "");
	now += DKIM_RETIRE;
	tick(s, now);
	assert_string_equal(what_was_told(), "r202611 revoked; ");
	assert_string_equal(stands(&s), "e202611 active; e202710 next; r202611 revoked; r202710 active; ");
	tick(s, now + DKIM_REVOKED - 1);
	assert_string_equal(what_was_told(), "");
	tick(s, now + DKIM_REVOKED);
	assert_string_equal(what_was_told(), "r202611 removed; ");
	assert_string_equal(stands(&s), "e202611 active; e202710 next; r202710 active; ");
	/* a clock that jumps back does nothing */
	tick(s, START);
	assert_string_equal(what_was_told(), "");
	dkim_close(&s);
}

/* At every moment of ten years something signs, and what signed within DKIM_RETIRE has its record. */
static void
no_gap(void **state)
{
	struct dkim_store *s = opened();
	int64_t now = START, last[2] = { START, START };
	char signed_by[2][64] = { "", "" };
	unsigned switches = 0;

	(void)state;
	assert_int_equal(dkim_generate(s, S("example.org"), now), DKIM_DONE);
	for (; now < START + 10 * DKIM_YEAR; now += DKIM_DAY) {
		const struct dkim_key *active[4];

		tick(s, now);
		assert_int_equal(dkim_signers(s, S("example.org"), active), 2);
		for (int i = 0; i < 2; i++) {
			if (strcmp(signed_by[i], active[i]->selector) != 0) {
				switches++;
				(void)snprintf(signed_by[i], sizeof signed_by[i], "%s", active[i]->selector);
				last[i] = now;
			}
			assert_true(now - active[i]->activated < DKIM_YEAR + DKIM_DAY);
		}
		for (const struct dkim_key *k = dkim_first(s); k != NULL; k = k->next) {
			if (k->state == DKIM_NEXT && now - k->created >= 3 * DKIM_DAY) /* the owner publishes it */
				(void)dkim_seen(s, S("example.org"), slice_z(k->selector), now);
			if (k->state == DKIM_REVOKED_KEY)
				assert_true(now - last[k->kind] >= DKIM_RETIRE);
		}
	}
	assert_in_range(switches, 2 * 10, 2 * 12);
	dkim_close(&s);
}

static void
the_administrator(void **state)
{
	struct dkim_store *s = opened();

	(void)state;
	assert_int_equal(dkim_generate(s, S("no domain"), START), DKIM_INVALID);
	assert_int_equal(dkim_generate(s, S("localhost"), START), DKIM_INVALID);
	assert_int_equal(dkim_retire(s, S("example.org"), S(""), START), DKIM_NONE);
	assert_int_equal(dkim_generate(s, S("example.org"), START), DKIM_DONE);
	assert_int_equal(dkim_generate(s, S("example.org"), START), DKIM_DONE);
	assert_string_equal(stands(&s), "e202611 active; e202611b next; r202611 active; r202611b next; ");
	assert_int_equal(dkim_generate(s, S("example.org"), START), DKIM_EXISTS);
	assert_int_equal(dkim_activate(s, S("example.org"), S("r202611"), START), DKIM_INVALID);
	assert_int_equal(dkim_activate(s, S("example.org"), S(""), START), DKIM_DONE);
	assert_string_equal(stands(&s), "e202611 retiring; e202611b active; r202611 retiring; r202611b active; ");
	assert_int_equal(dkim_revoke(s, S("example.org"), S("r202611b"), START), DKIM_DONE);
	assert_int_equal(signs(s, "r202611b", START), 0);
	assert_int_equal(dkim_revoke(s, S("example.org"), S("r202611b"), START), DKIM_INVALID);
	assert_int_equal(dkim_retire(s, S("example.org"), S(""), START), DKIM_DONE);
	assert_string_equal(stands(&s), "e202611 retiring; e202611b retiring; r202611 retiring; r202611b revoked; ");
	/* nothing signs any more: the next ones sign at once */
	assert_int_equal(dkim_generate(s, S("example.org"), START), DKIM_DONE);
	assert_int_equal(signs(s, "r202611c", START), 256);
	dkim_close(&s);
}

static bool
holds_private_key(void)
{
	own(fd_t) fd = open("dkim.keys", O_RDONLY | O_CLOEXEC);
	static char text[65536];
	ssize_t n = read(fd, text, sizeof text);
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	return n > 0 && slice_find(slice_of(text, (size_t)n), S("PRIVATE KEY")) != SLICE_NONE;
}

static void
a_revoked_key_is_gone(void **state)
{
	struct dkim_store *s = opened();

	(void)state;
	assert_int_equal(dkim_generate(s, S("example.org"), START), DKIM_DONE);
	assert_true(holds_private_key());
	assert_int_equal(dkim_revoke(s, S("example.org"), S(""), START), DKIM_DONE);
	assert_false(holds_private_key());
	dkim_close(&s);
}

/* A file that is not whole is not guessed at: no key is known, nothing is signed, nothing overwritten. */
static void
damage(void **state)
{
	struct dkim_store *s = opened();
	const struct dkim_key *active[4];
	const char *why;
	struct stat st;
	off_t whole;
	bool more;

	(void)state;
	assert_int_equal(dkim_generate(s, S("example.org"), START), DKIM_DONE);
	dkim_close(&s);
	assert_int_equal(stat("dkim.keys", &st), 0);
	whole = st.st_size;
	for (off_t cut = whole - 1; cut >= 0; cut -= cut > 100 ? 97 : 1) {
		assert_int_equal(truncate("dkim.keys", cut), 0);
		s = dkim_open(&why);
		assert_non_null(why);
		assert_false(dkim_usable(s));
		assert_int_equal(dkim_signers(s, S("example.org"), active), 0);
		assert_int_equal(dkim_generate(s, S("example.org"), START), DKIM_FAILED);
		assert_int_equal(dkim_tick(s, START, &more), DKIM_FAILED);
		assert_int_equal(signs(s, "r202611", START), 0);
		assert_int_equal(stat("dkim.keys", &st), 0);
		assert_int_equal(st.st_size, cut);
		dkim_close(&s);
	}
}

/* A change that cannot be written did not happen. */
static void
no_room(void **state)
{
	struct dkim_store *s = opened();

	(void)state;
	assert_int_equal(dkim_generate(s, S("example.org"), START), DKIM_DONE);
	assert_int_equal(mkdir("dkim.keys.new", 0700), 0);
	buf_reset(&told);
	assert_int_equal(dkim_generate(s, S("example.org"), START), DKIM_FAILED);
	assert_int_equal(dkim_revoke(s, S("example.org"), S(""), START), DKIM_FAILED);
	assert_int_equal(told.n, 0);
	assert_true(dkim_usable(s));
	assert_int_equal(signs(s, "r202611", START), 256);
	assert_int_equal(rmdir("dkim.keys.new"), 0);
	assert_string_equal(stands(&s), "e202611 active; r202611 active; ");
	dkim_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup(a_year_of_keys, fresh),
		cmocka_unit_test_setup(no_gap, fresh), cmocka_unit_test_setup(the_administrator, fresh),
		cmocka_unit_test_setup(a_revoked_key_is_gone, fresh), cmocka_unit_test_setup(damage, fresh),
		cmocka_unit_test_setup(no_room, fresh) };
	int failed;
	bool locked;

	if (!tls_init() || !privkey_init(&locked) || mkdtemp(dir) == NULL || chdir(dir) != 0)
		return 1;
	buf_init(&told, 65536);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)fresh(NULL);
	buf_free(&told);
	return chdir("/") != 0 || rmdir(dir) != 0 || failed;
}
