/* SPDX-License-Identifier: MIT
 * The openspf.org suite for RFC 7208: 135 cases of helo, address, sender, zone and result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <jansson.h>

#include "lib/base/chars.h"
#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/resolve/zone.h"
#include "lib/verify/spf/spf.h"

#define CASES 135

/* A JSON string to bytes: code points up to U+00FF stand for single bytes. */
static struct slice
bytes(json_t *v, struct arena *a)
{
	struct slice s = slice_of(json_string_value(v), json_string_length(v)), out;
	own(buf_t) b = { .max = 0 };

	buf_init(&b, 65536);
	for (size_t at = 0; at < s.n;) {
		int32_t cp = utf8_next(s, &at);

		assert_in_range(cp, 0, 255);
		(void)buf_byte(&b, (uint8_t)cp);
	}
	assert_true(arena_copy(a, buf_slice(&b), &out));
	return out;
}

static void
put_escaped(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = slice_at(s, i);

		if (ch_is_alnum(c) || c == '.' || c == '-' || c == '_')
			(void)buf_byte(b, c);
		else
			(void)buf_fmt(b, "\\%03u", c);
	}
}

static void
put_string(struct buf *b, struct slice s)
{
	(void)buf_add(b, S(" \""));
	for (size_t i = 0; i < s.n; i++) {
		if (i > 0 && i % 255 == 0)
			(void)buf_add(b, S("\" \""));
		put_escaped(b, slice_sub(s, i, 1));
	}
	(void)buf_byte(b, '"');
}

static void
put_txt(struct buf *b, json_t *v, struct arena *a)
{
	json_t *part;
	size_t i;

	(void)buf_add(b, S(" TXT"));
	if (json_is_string(v))
		put_string(b, bytes(v, a));
	json_array_foreach(v, i, part)
		put_string(b, bytes(part, a));
	if (json_is_array(v) && json_array_size(v) == 0)
		put_string(b, S(""));
}

static void
put_entry(struct buf *b, struct slice name, const char *type, json_t *v, struct arena *a)
{
	struct slice target = json_is_array(v) ? bytes(json_array_get(v, 1), a) : bytes(v, a);

	put_escaped(b, name);
	if (strcmp(type, "TXT") == 0 || strcmp(type, "SPF") == 0) {
		put_txt(b, v, a);
	} else if (strcmp(type, "MX") == 0) {
		(void)buf_fmt(b, " MX %d ", (int)json_integer_value(json_array_get(v, 0)));
		put_escaped(b, target.n == 0 ? S(".") : target);
	} else {
		(void)buf_fmt(b, " %s ", type);
		if (strcmp(type, "A") == 0 || strcmp(type, "AAAA") == 0)
			(void)buf_add(b, target);
		else
			put_escaped(b, target);
	}
	(void)buf_byte(b, '\n');
}

/* SPF entries count as TXT unless the name has TXT entries of its own. */
static void
put_name(struct buf *b, const char *key, json_t *entries, struct arena *a)
{
	bool own_txt = false;
	struct slice name;
	json_t *e, *v, *k;
	const char *type;
	size_t i;

	k = json_string(key);
	name = bytes(k, a);
	json_decref(k);
	json_array_foreach(entries, i, e)
		own_txt = own_txt || json_object_get(e, "TXT") != NULL;
	json_array_foreach(entries, i, e) {
		if (json_is_string(e)) {
			assert_string_equal(json_string_value(e), "TIMEOUT");
			put_escaped(b, name);
			(void)buf_add(b, S(" TIMEOUT\n"));
			continue;
		}
		json_object_foreach(e, type, v) {
			if (own_txt && strcmp(type, "SPF") == 0)
				continue;
			if (json_is_string(v) && strcmp(json_string_value(v), "NONE") == 0)
				continue;
			if (json_is_array(v) && strcmp(type, "TXT") != 0 &&
			    strcmp(type, "SPF") != 0 && strcmp(type, "MX") != 0)
				fail_msg("%s %s", key, type);
			put_entry(b, name, type, v, a);
		}
	}
}

static bool
allowed(json_t *want, const char *got)
{
	json_t *one;
	size_t i;

	if (json_is_string(want))
		return strcmp(json_string_value(want), got) == 0;
	json_array_foreach(want, i, one)
		if (strcmp(json_string_value(one), got) == 0)
			return true;
	return false;
}

/* True when result and explanation are as wanted. */
static bool
run_case(const char *name, json_t *t, struct zone *z, struct arena *a)
{
	struct slice from = bytes(json_object_get(t, "mailfrom"), a), why;
	struct resolver r = resolver_of(zone_query, z);
	struct spf_query q = { .receiver = S("mx.example"), .now = 1700000000 };
	size_t at = slice_rfind_byte(from, '@');
	json_t *expl = json_object_get(t, "explanation");
	struct spf_verdict v;
	bool ok;

	q.helo = bytes(json_object_get(t, "helo"), a);
	assert_true(ip_parse(bytes(json_object_get(t, "host"), a), &q.ip));
	if (at != SLICE_NONE) {
		q.local = slice_head(from, at);
		q.domain = slice_from(from, at + 1);
	}
	spf_check_mail(&q, &r, a, &v);
	assert_true(v.queries <= LIMIT_SPF_QUERIES);
	assert_true(v.lookups <= LIMIT_SPF_LOOKUPS + 1 && v.voids <= LIMIT_SPF_VOIDS + 1);
	ok = allowed(json_object_get(t, "result"), spf_result_name(v.result));
	if (json_is_string(expl)) {
		why = bytes(expl, a);
		ok = ok && slice_eq(v.explanation, slice_eq(why, S("DEFAULT")) ? S("") : why);
	}
	if (!ok)
		print_error("%s: %s (%s) \"%.*s\"\n", name, spf_result_name(v.result), v.why,
		    SFMT(v.explanation));
	return ok;
}

int
main(void)
{
	json_t *all, *set, *t, *entries;
	size_t i, good = 0, cases = 0;
	const char *name;
	json_error_t err;
	FILE *f = fopen(VECTORS "/spf-rfc7208/rfc7208-tests.json", "r");

	if (f == NULL) {
		(void)printf("SKIP: no vectors in " VECTORS "\n");
		return 77;
	}
	all = json_loadf(f, JSON_ALLOW_NUL, &err);
	(void)fclose(f);
	if (all == NULL)
		return 1;
	json_array_foreach(all, i, set) {
		own(arena_p) a = arena_new("test", 1 << 24);
		own(buf_t) b = { .max = 0 };
		struct zone z;

		buf_init(&b, 1 << 20);
		json_object_foreach(json_object_get(set, "zonedata"), name, entries)
			put_name(&b, name, entries, a);
		if (!zone_parse(buf_slice(&b), a, &z)) {
			(void)printf("zone %zu, line %zu\n%.*s\n", i, z.bad_line, SFMT(buf_slice(&b)));
			return 1;
		}
		json_object_foreach(json_object_get(set, "tests"), name, t) {
			cases++;
			good += run_case(name, t, &z, a);
		}
	}
	json_decref(all);
	(void)printf("spf-rfc7208: %zu/%zu\n", good, cases);
	return good == CASES && cases == CASES ? 0 : 1;
}
