/* SPDX-License-Identifier: MIT
 * The suite arc-valimail: 114 chains to judge, 11 messages to seal, whose signatures must come out
 * byte by byte. And two chains as the world sent them (dkim-arc-real). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <jansson.h>
#include <openssl/pem.h>

#include "lib/base/chars.h"
#include "lib/make/arc/seal.h"
#include "lib/parse/dkim/taglist.h"
#include "lib/verify/arc/arc.h"
#include "lib/verify/dkim/testing.h"

#define MOST ((size_t)1 << 22)

/* LF as CRLF; in a key record it is only how the suite breaks lines. */
static struct slice
text(struct arena *a, const json_t *v, bool crlf)
{
	own(buf_t) b = { .max = MOST };
	struct slice s = slice_z(json_string_value(v)), out;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '\n')
			buf_byte(&b, s.p[i]);
		else if (crlf)
			buf_add(&b, S("\r\n"));
	}
	assert_true(arena_copy(a, buf_slice(&b), &out));
	return out;
}

static void
read_zone(struct arena *a, json_t *suite, struct testing_dns *zone)
{
	const char *name;
	json_t *v;

	zone->n = 0;
	json_object_foreach(json_object_get(suite, "txt-records"), name, v)
		testing_dns_add(zone, slice_z(name), text(a, v, false), RESOLVE_OK);
}

static void
judge(struct arena *a, struct testing_dns *zone, struct slice mail, struct dkim_message *m,
    struct arc_chain *c)
{
	struct dkim_rules rules = { .now = 1700000000, .skew = 300 };
	struct resolver dns = resolver_of(testing_dns_query, zone);

	assert_true(dkim_message_split(mail, a, m));
	assert_true(arc_verify(m, &rules, &dns, a, c));
}

static json_t *
load(const char *path)
{
	json_error_t e;
	json_t *j = json_load_file(path, 0, &e);

	assert_non_null(j);
	return j;
}

static void
validation(void **state)
{
	json_t *all = load(VECTORS "/arc-valimail/arc-draft-validation-tests.json"), *suite, *test;
	static struct testing_dns zone;
	unsigned n = 0, good = 0;
	size_t i;
	const char *name;

	json_array_foreach(all, i, suite) {
		own(arena_p) a = arena_new("test", 64 * MOST);

		read_zone(a, suite, &zone);
		json_object_foreach(json_object_get(suite, "tests"), name, test) {
			struct slice want = slice_z(json_string_value(json_object_get(test, "cv")));
			struct dkim_message m;
			struct arc_chain c;

			judge(a, &zone, text(a, json_object_get(test, "message"), true), &m, &c);
			n++;
			/* an empty cv stands for a chain that was sealed as failed before */
			if (want.n == 0 ? c.why == ARC_FAILED_BEFORE : slice_ieq(want, arc_cv_name(c.cv)))
				good++;
			else
				(void)printf("arc-valimail: %s: want %.*s, got %.*s (%.*s)\n", name,
				    SFMT(want), SFMT(arc_cv_name(c.cv)), SFMT(dkim_why_text(c.why)));
		}
	}
	json_decref(all);
	(void)printf("arc-valimail: validation %u/%u\n", good, n);
	assert_int_equal(n, 114);
	assert_int_equal(good, n);
}

static bool
with_key(void *ctx, const struct dkim_ask *ask, size_t n)
{
	assert_int_equal(n, 1);
	testing_sign_digest(ctx, ask->who->alg, ask->digest, ask->signature);
	return true;
}

/* The same tags with the same values, white space aside; for an AAR the same text. */
static bool
same(struct arena *a, const struct dkim_field *got, struct slice want, bool tags)
{
	struct dkim_tags g, w;
	struct slice x, y;
	enum dkim_why why;

	if (!tags)
		return dkim_strip(got->value, a, &x) && dkim_strip(want, a, &y) && slice_eq(x, y);
	/* the expected text is folded without white space in front */
	if (!dkim_strip(want, a, &y) || !dkim_tags_parse(y, a, &w, &why) ||
	    !dkim_tags_parse(got->value, a, &g, &why) || w.n != g.n)
		return false;
	for (size_t i = 0; i < w.n; i++) {
		const struct dkim_tag *t = dkim_tags_find(&g, w.tags[i].name);

		if (t == NULL || !dkim_strip(t->value, a, &x) || !slice_eq(x, w.tags[i].value))
			return false;
	}
	return true;
}

static size_t
split_names(struct arena *a, struct slice list, struct slice **out)
{
	struct slice item;
	bool more = true;
	size_t n = 0;

	*out = ARENA_ARRAY(a, 32, struct slice);
	while (dkim_list_next(&list, &more, &item))
		(*out)[n++] = item;
	return n;
}

static bool
seal_one(struct arena *a, struct testing_dns *zone, json_t *suite, json_t *test, EVP_PKEY *key)
{
	own(buf_t) out = { .max = MOST };
	own(buf_t) results = { .max = MOST };
	struct dkim_signer who = { DKIM_RSA_SHA256,
		slice_z(json_string_value(json_object_get(suite, "domain"))),
		slice_z(json_string_value(json_object_get(suite, "sel"))) };
	struct arc_seal_rules rules = { .now = (uint64_t)json_integer_value(json_object_get(test, "t")),
		.whole_b = true };
	struct slice want = text(a, json_object_get(test, "AS"), true), *names;
	struct dkim_message m, set;
	struct arc_chain c;
	enum dkim_signed done;

	judge(a, zone, text(a, json_object_get(test, "message"), true), &m, &c);
	assert_true(arc_results_of(&m, slice_z(json_string_value(json_object_get(test, "srv-id"))),
	    &results));
	rules.n_names = split_names(a,
	    slice_z(json_string_value(json_object_get(test, "sig-headers"))), &names);
	rules.names = names;
	done = arc_seal(&m, &c.sets, c.cv, buf_slice(&results), &rules, &who, with_key, key, a, &out);
	if (want.n == 0)
		return done == DKIM_SIGN_REFUSED && out.n == 0;
	assert_int_equal(done, DKIM_SIGNED);
	assert_true(dkim_message_split(buf_slice(&out), a, &set) && set.n == 3);
	return same(a, &set.fields[0], want, true) &&
	    same(a, &set.fields[1], text(a, json_object_get(test, "AMS"), true), true) &&
	    same(a, &set.fields[2], text(a, json_object_get(test, "AAR"), true), false);
}

static void
sealing(void **state)
{
	json_t *all = load(VECTORS "/arc-valimail/arc-draft-sign-tests.json"), *suite, *test;
	static struct testing_dns zone;
	unsigned n = 0, good = 0;
	size_t i;
	const char *name;

	json_array_foreach(all, i, suite) {
		own(arena_p) a = arena_new("test", 64 * MOST);
		const char *pem = json_string_value(json_object_get(suite, "privatekey"));
		BIO *bio = BIO_new_mem_buf(pem, -1);
		EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

		assert_non_null(key);
		read_zone(a, suite, &zone);
		json_object_foreach(json_object_get(suite, "tests"), name, test) {
			bool right = seal_one(a, &zone, suite, test, key);

			n++;
			good += right;
			if (!right)
				(void)printf("arc-valimail: sealing %s differs\n", name);
		}
		EVP_PKEY_free(key);
		BIO_free(bio);
	}
	json_decref(all);
	(void)printf("arc-valimail: sealing %u/%u\n", good, n);
	assert_int_equal(n, 11);
	assert_int_equal(good, n);
}

static void
real(void **state)
{
	for (unsigned i = 1; i <= 2; i++) {
		own(arena_p) a = arena_new("test", 64 * MOST);
		own(buf_t) file = { .max = MOST };
		static struct testing_dns zone;
		struct slice line, lines, name, value;
		struct dkim_message m;
		struct arc_chain c;
		char path[512];
		size_t gap;

		(void)snprintf(path, sizeof path, VECTORS "/dkim-arc-real/arc/%03u.txt", i);
		assert_true(testing_slurp(path, &file));
		gap = slice_find(buf_slice(&file), S("\r\n\r\n"));
		zone.n = 0;
		for (lines = slice_head(buf_slice(&file), gap + 2); slice_cut(lines, '\n', &line, &lines);)
			if (slice_cut(slice_head(line, line.n - 1), ' ', &name, &value))
				testing_dns_add(&zone, name, value, RESOLVE_OK);
		judge(a, &zone, slice_from(buf_slice(&file), gap + 4), &m, &c);
		(void)printf("dkim-arc-real/arc/%03u: %.*s, %zu sets, %.*s\n", i,
		    SFMT(arc_cv_name(c.cv)), c.sets.n, SFMT(dkim_why_text(c.why)));
		assert_int_equal(c.cv, ARC_PASS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(validation), cmocka_unit_test(sealing),
		cmocka_unit_test(real) };
	FILE *f = fopen(VECTORS "/arc-valimail/SOURCE.txt", "r");

	if (f == NULL) {
		(void)printf("SKIP: no vectors in " VECTORS "\n");
		return 77;
	}
	(void)fclose(f);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
