/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/parse/dkim/keyrec.h"
#include "lib/parse/dkim/message.h"
#include "lib/parse/dkim/signature.h"
#include "lib/parse/dkim/taglist.h"

#define N(a) (sizeof(a) / sizeof *(a))

static void
tag_lists(void **state)
{
	static const struct {
		struct slice in;
		enum dkim_why why;
		size_t n;
	} table[] = {
		{ S_INIT("v=1"), DKIM_OK, 1 },
		{ S_INIT("v=1;"), DKIM_OK, 1 },
		{ S_INIT(" v = 1 ; \r\n\ta=b c\r\n d ; "), DKIM_OK, 2 },
		{ S_INIT("p="), DKIM_OK, 1 },
		{ S_INIT("p=;q="), DKIM_OK, 2 },
		{ S_INIT("a_1=\xc3\xa4"), DKIM_OK, 1 },
		{ S_INIT("a=b=c:d"), DKIM_OK, 1 },
		{ S_INIT("a=1;A=2"), DKIM_OK, 2 },
		{ S_INIT(""), DKIM_TAG_SYNTAX, 0 },
		{ S_INIT(";"), DKIM_TAG_SYNTAX, 0 },
		{ S_INIT("a=1;;b=2"), DKIM_TAG_SYNTAX, 0 },
		{ S_INIT("=1"), DKIM_TAG_SYNTAX, 0 },
		{ S_INIT("1=1"), DKIM_TAG_SYNTAX, 0 },
		{ S_INIT("a"), DKIM_TAG_SYNTAX, 0 },
		{ S_INIT("a b=1"), DKIM_TAG_SYNTAX, 0 },
		{ S_INIT("a=1\r\nb"), DKIM_TAG_SYNTAX, 0 },
		{ S_INIT("a=1\rb"), DKIM_TAG_SYNTAX, 0 },
		{ S_INIT("a=1\n b"), DKIM_TAG_SYNTAX, 0 },
		{ S_INIT("a=1\0"), DKIM_TAG_SYNTAX, 0 },
		{ S_INIT("a=\x7f"), DKIM_TAG_SYNTAX, 0 },
		{ S_INIT("a=\xc3"), DKIM_TAG_SYNTAX, 0 },
		{ S_INIT("a=1;b=2;a=3"), DKIM_TAG_DUPLICATE, 0 },
	};
	own(arena_p) a = arena_new("test", 1000000);

	for (size_t i = 0; i < N(table); i++) {
		enum dkim_why why = DKIM_OK;
		struct dkim_tags t;

		assert_int_equal(dkim_tags_parse(table[i].in, a, &t, &why), table[i].n > 0);
		assert_int_equal(why, table[i].why);
		if (table[i].n > 0)
			assert_int_equal(t.n, table[i].n);
		/* no truncation reads past its end (the sanitizers look) or hangs */
		for (size_t cut = 0; cut < table[i].in.n; cut++)
			(void)!dkim_tags_parse(slice_head(table[i].in, cut), a, &t, &why);
	}
}

static void
tag_extents(void **state)
{
	own(arena_p) a = arena_new("test", 100000);
	own(buf_t) b = { .max = 4096 };
	enum dkim_why why;
	struct slice in = S("v=1; b= AB\r\n\tCD ; c=x"), plain;
	struct dkim_tags t;

	assert_true(dkim_tags_parse(in, a, &t, &why));
	assert_true(slice_eq(t.tags[1].value, S("AB\r\n\tCD")));
	assert_true(slice_eq(slice_sub(in, t.tags[1].from, t.tags[1].end - t.tags[1].from),
	    S(" AB\r\n\tCD ")));
	assert_true(dkim_strip(t.tags[1].value, a, &plain) && slice_eq(plain, S("ABCD")));
	for (unsigned i = 0; i <= LIMIT_DKIM_TAGS; i++)
		buf_fmt(&b, "t%u=;", i);
	assert_false(dkim_tags_parse(buf_slice(&b), a, &t, &why));
	assert_int_equal(why, DKIM_TAG_MANY);
}

#define BH "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;"
#define GOOD "v=1;a=rsa-sha256;d=x.org;s=k;h=from;b=QQ==;" BH

static void
signatures(void **state)
{
	static const struct {
		struct slice in;
		enum dkim_why why;
		bool usable;
	} table[] = {
		{ S_INIT(GOOD), DKIM_OK, true },
		{ S_INIT(GOOD "c=relaxed"), DKIM_OK, true },
		{ S_INIT(GOOD "i=me@sub.x.org;t=1;x=2;l=5;q=dns/txt"), DKIM_OK, true },
		{ S_INIT(GOOD "i=me=40home@x.org"), DKIM_OK, true },
		{ S_INIT(GOOD "q=foo/bar:dns/txt"), DKIM_OK, true },
		{ S_INIT("a=rsa-sha256;d=x.org;s=k;h=from;b=QQ==;" BH), DKIM_NO_V, true },
		{ S_INIT("v=0.5;a=rsa-sha256;d=x.org;s=k;h=from;b=QQ==;" BH), DKIM_BAD_V, true },
		{ S_INIT("v=1;d=x.org;s=k;h=from;b=QQ==;" BH), DKIM_NO_A, false },
		{ S_INIT("v=1;a=rsa-md5;d=x.org;s=k;h=from;b=QQ==;" BH), DKIM_BAD_A, false },
		{ S_INIT("v=1;a=rsa-sha256;s=k;h=from;b=QQ==;" BH), DKIM_NO_D, false },
		{ S_INIT("v=1;a=rsa-sha256;d=x.com(.evil;s=k;h=from;b=QQ==;" BH), DKIM_BAD_D, false },
		{ S_INIT("v=1;a=rsa-sha256;d=x'a.evil;s=k;h=from;b=QQ==;" BH), DKIM_BAD_D, false },
		{ S_INIT("v=1;a=rsa-sha256;d=x.com .evil;s=k;h=from;b=QQ==;" BH), DKIM_BAD_D, false },
		{ S_INIT("v=1;a=rsa-sha256;d=com;s=k;h=from;b=QQ==;" BH), DKIM_BAD_D, false },
		{ S_INIT("v=1;a=rsa-sha256;d=x.org;s=k\0.x;h=from;b=QQ==;" BH), DKIM_TAG_SYNTAX, false },
		{ S_INIT("v=1;a=rsa-sha256;d=x.org;s=k\"x;h=from;b=QQ==;" BH), DKIM_BAD_S, false },
		{ S_INIT("v=1;a=rsa-sha256;d=x.org;s=-k;h=from;b=QQ==;" BH), DKIM_BAD_S, false },
		{ S_INIT("v=1;a=rsa-sha256;d=x.org;h=from;b=QQ==;" BH), DKIM_NO_S, false },
		{ S_INIT("v=1;a=rsa-sha256;d=x.org;s=k;b=QQ==;" BH), DKIM_NO_H, false },
		{ S_INIT("v=1;a=rsa-sha256;d=x.org;s=k;h=to:date;b=QQ==;" BH), DKIM_H_NO_FROM, true },
		{ S_INIT("v=1;a=rsa-sha256;d=x.org;s=k;h=from::to;b=QQ==;" BH), DKIM_BAD_H, false },
		{ S_INIT("v=1;a=rsa-sha256;d=x.org;s=k;h=from;b=QQ=;" BH), DKIM_OK, true },
		{ S_INIT("v=1;a=rsa-sha256;d=x.org;s=k;h=from;b=QQ;" BH), DKIM_OK, true },
		{ S_INIT("v=1;a=rsa-sha256;d=x.org;s=k;h=from;b=Q;" BH), DKIM_BAD_B, false },
		{ S_INIT("v=1;a=rsa-sha256;d=x.org;s=k;h=from;b=QQ===;" BH), DKIM_BAD_B, false },
		{ S_INIT("v=1;a=rsa-sha256;d=x.org;s=k;h=from;b==;" BH), DKIM_BAD_B, false },
		{ S_INIT("v=1;a=rsa-sha256;d=x.org;s=k;h=from;b=;" BH), DKIM_BAD_B, false },
		{ S_INIT("v=1;a=rsa-sha256;d=x.org;s=k;h=from;" BH), DKIM_NO_B, false },
		{ S_INIT("v=1;a=rsa-sha256;d=x.org;s=k;h=from;b=QQ=="), DKIM_NO_BH, false },
		{ S_INIT(GOOD "c=future"), DKIM_BAD_C, false },
		{ S_INIT(GOOD "c=simple/nofws"), DKIM_BAD_C, false },
		{ S_INIT(GOOD "q=http"), DKIM_BAD_Q, false },
		{ S_INIT(GOOD "i=x.org"), DKIM_BAD_I, true },
		{ S_INIT(GOOD "i=a=4@x.org"), DKIM_BAD_I, true },
		{ S_INIT(GOOD "i=a@x.org(.evil"), DKIM_BAD_I, true },
		{ S_INIT(GOOD "i=a=00@x.org"), DKIM_BAD_I, true },
		{ S_INIT(GOOD "l=-1"), DKIM_BAD_L, false },
		{ S_INIT(GOOD "t=1234567890123"), DKIM_BAD_T, true },
		{ S_INIT(GOOD "t=5;x=5"), DKIM_BAD_X, true },
		{ S_INIT(GOOD "v=1"), DKIM_TAG_DUPLICATE, false },
	};
	own(arena_p) a = arena_new("test", 10000000);

	for (size_t i = 0; i < N(table); i++) {
		struct dkim_sig s;

		assert_int_equal(dkim_sig_parse(table[i].in, DKIM_SIGNATURE, a, &s),
		    table[i].why == DKIM_OK);
		assert_int_equal(s.defect, table[i].why);
		assert_int_equal(s.usable, table[i].usable);
		for (size_t cut = 0; cut < table[i].in.n; cut++)
			(void)dkim_sig_parse(slice_head(table[i].in, cut), DKIM_SIGNATURE, a, &s);
	}
}

static void
signature_values(void **state)
{
	own(arena_p) a = arena_new("test", 10000000);
	own(buf_t) b = { .max = 2 * LIMIT_DKIM_FIELD };
	struct dkim_sig s;

	assert_true(dkim_sig_parse(S("v=1; a=ed25519-sha256; c=relaxed/simple; d=x.org; s=a.b;\r\n"
				     " h=From : To:from; i=J=6Fe@Mail.x.org; t=7; x=9; b=Q\r\n U\r\n E=;"
				     " " BH " l=0099999999999999999999999"),
	    DKIM_SIGNATURE, a, &s));
	assert_int_equal(s.alg, DKIM_ED25519_SHA256);
	assert_true(s.header_canon == DKIM_RELAXED && s.body_canon == DKIM_SIMPLE);
	assert_true(slice_eq(s.auid, S("Joe@Mail.x.org")));
	assert_true(slice_eq(s.auid_domain, S("Mail.x.org")));
	assert_true(s.n_h == 3 && slice_eq(s.h[0], S("From")) && slice_eq(s.h[1], S("To")));
	assert_true(slice_eq(s.b, S("AA")) && s.bh.n == 32);
	assert_true(s.has_l && s.l == UINT64_MAX && s.t == 7 && s.x == 9);
	buf_add(&b, S(GOOD "h="));
	while (b.n <= LIMIT_DKIM_FIELD)
		buf_add(&b, S("to:"));
	assert_false(dkim_sig_parse(buf_slice(&b), DKIM_SIGNATURE, a, &s));
	assert_int_equal(s.defect, DKIM_FIELD_LONG);
	buf_reset(&b);
	buf_add(&b, S("v=1;a=rsa-sha256;d=x.org;s=k;b=QQ==;" BH "h=from"));
	for (size_t i = 0; i < LIMIT_DKIM_SIGNED; i++)
		buf_add(&b, S(":to"));
	assert_false(dkim_sig_parse(buf_slice(&b), DKIM_SIGNATURE, a, &s));
	assert_int_equal(s.defect, DKIM_H_MANY);
}

static void
arc_fields(void **state)
{
	own(arena_p) a = arena_new("test", 1000000);
	struct dkim_sig s;

	assert_true(dkim_sig_parse(S("i=1;a=rsa-sha256;cv=none;d=x.org;s=k;b=QQ==;t=1"), DKIM_ARC_SEAL,
	    a, &s));
	assert_true(s.instance == 1 && s.cv == ARC_NONE);
	assert_false(dkim_sig_parse(S("i=1;a=rsa-sha256;cv=none;d=x.org;s=k;b=QQ==;h=from"),
	    DKIM_ARC_SEAL, a, &s));
	assert_int_equal(s.defect, DKIM_FIELD_TAG);
	assert_false(dkim_sig_parse(S("i=1;a=rsa-sha256;d=x.org;s=k;b=QQ=="), DKIM_ARC_SEAL, a, &s));
	assert_int_equal(s.defect, DKIM_NO_CV);
	for (size_t i = 0; i < 4; i++) {
		static const struct slice bad[] = { S_INIT("i=0;"), S_INIT("i=51;"), S_INIT("i=01;"),
			S_INIT("i=;") };
		own(buf_t) b = { .max = 4096 };

		buf_add(&b, bad[i]);
		buf_add(&b, S("a=rsa-sha256;cv=none;d=x.org;s=k;b=QQ=="));
		assert_false(dkim_sig_parse(buf_slice(&b), DKIM_ARC_SEAL, a, &s));
		assert_int_equal(s.defect, DKIM_BAD_I);
	}
	assert_false(dkim_sig_parse(S("i=1;a=rsa-sha256;d=x.org;s=k;b=QQ==;h=from:Arc-Seal;" BH),
	    DKIM_ARC_MESSAGE, a, &s));
	assert_int_equal(s.defect, DKIM_H_SEAL);
}

#define RSA512                                                                                     \
	"MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALgSoqXVSEmfcIsOzw7oRuCCOwsmtX/SJnTWxYyj2leFxfS/AVJ+dYfY"   \
	"+hXqMsT7l+MZvvh/R1WzN4MO/kI/7XsCAwEAAQ=="

static void
key_records(void **state)
{
	static const struct {
		struct slice in;
		enum dkim_why why;
	} table[] = {
		{ S_INIT("p=" RSA512), DKIM_OK },
		{ S_INIT("v=DKIM1; k=rsa; p=" RSA512), DKIM_OK },
		{ S_INIT("v=DKIM1; s=email:web:fine; x1 = extra ; t = y:n:extra; h=md5:sha1; p=" RSA512
			 " ; "),
		    DKIM_OK },
		{ S_INIT("v=DKIM1; g=jl*g; p=" RSA512), DKIM_OK },
		{ S_INIT("g=; p=" RSA512), DKIM_OK },
		{ S_INIT("v=DKIM1; g=; p=" RSA512), DKIM_KEY_G },
		{ S_INIT("v=DKIM3; p=" RSA512), DKIM_KEY_V },
		{ S_INIT("p=" RSA512 "; v=DKIM1"), DKIM_KEY_V },
		{ S_INIT("k=foobar; p=" RSA512), DKIM_KEY_K },
		{ S_INIT("s=chat; p=" RSA512), DKIM_KEY_S },
		{ S_INIT("h=bad; p=" RSA512), DKIM_KEY_H },
		{ S_INIT("v=DKIM1"), DKIM_KEY_NO_P },
		{ S_INIT("v=DKIM1; p="), DKIM_KEY_REVOKED },
		{ S_INIT("v=DKIM1; p=***"), DKIM_KEY_BROKEN },
		{ S_INIT("\"\""), DKIM_KEY_SYNTAX },
		{ S_INIT(""), DKIM_KEY_SYNTAX },
		{ S_INIT("k=rsa; t; p=" RSA512), DKIM_KEY_SYNTAX },
	};
	own(arena_p) a = arena_new("test", 10000000);
	struct dkim_keyrec k;
	enum dkim_why why;

	for (size_t i = 0; i < N(table); i++) {
		why = DKIM_OK;
		assert_int_equal(dkim_keyrec_parse(table[i].in, a, &k, &why), table[i].why == DKIM_OK);
		assert_int_equal(why, table[i].why);
		for (size_t cut = 0; cut < table[i].in.n; cut++)
			(void)!dkim_keyrec_parse(slice_head(table[i].in, cut), a, &k, &why);
	}
	assert_true(dkim_keyrec_parse(table[2].in, a, &k, &why));
	assert_true(k.sha1 && !k.sha256 && k.testing && !k.strict);
}

static void
rsa_keys(void **state)
{
	own(arena_p) a = arena_new("test", 1000000);
	struct slice der, bare;
	struct dkim_rsa rsa, again;

	assert_true(base64_decode(S(RSA512), a, &der));
	assert_true(dkim_rsa_parse(der, &rsa));
	assert_int_equal(rsa.bits, 512);
	assert_true(slice_eq(rsa.e, S("\x01\x00\x01")));
	/* the RSAPublicKey inside gives the same key */
	bare = slice_from(der, der.n - 74);
	assert_true(dkim_rsa_parse(bare, &again) && slice_eq(rsa.n, again.n));
	for (size_t cut = 0; cut < der.n; cut++)
		assert_false(dkim_rsa_parse(slice_head(der, cut), &rsa));
	/* exponent 1, even exponent, negative modulus, nothing behind it */
	assert_false(dkim_rsa_parse(S("\x30\x06\x02\x01\x0f\x02\x01\x01"), &rsa));
	assert_false(dkim_rsa_parse(S("\x30\x06\x02\x01\x0f\x02\x01\x04"), &rsa));
	assert_false(dkim_rsa_parse(S("\x30\x06\x02\x01\x8f\x02\x01\x03"), &rsa));
	assert_true(dkim_rsa_parse(S("\x30\x06\x02\x01\x0f\x02\x01\x03"), &rsa) && rsa.bits == 4);
	assert_false(dkim_rsa_parse(S("\x30\x06\x02\x01\x0f\x02\x01\x03\x00"), &rsa));
}

static void
domains(void **state)
{
	assert_true(dkim_domain_ok(S("a.b"), 2) && dkim_domain_ok(S("_a-b.c_d"), 2));
	assert_true(dkim_domain_ok(S("b\xc3\xbc" "cher.example"), 2));
	assert_false(dkim_domain_ok(S("a"), 2) || dkim_domain_ok(S(""), 1));
	assert_false(dkim_domain_ok(S("a..b"), 1) || dkim_domain_ok(S("a."), 1));
	assert_false(dkim_domain_ok(S("a.b."), 1) || dkim_domain_ok(S(".a.b"), 1));
	assert_false(dkim_domain_ok(S("a b.c"), 1) || dkim_domain_ok(S("a\0b.c"), 1));
	assert_false(dkim_domain_ok(S("a.b\xff"), 1) || dkim_domain_ok(S("a-.b"), 1));
	assert_false(dkim_domain_ok(S("1234567890123456789012345678901234567890123456789012345678901234"
				      ".org"),
	    1));
}

static void
messages(void **state)
{
	own(arena_p) a = arena_new("test", 1000000);
	struct dkim_message m;
	struct dkim_pick p;
	const struct dkim_field *f;

	assert_true(dkim_message_split(S("Received: 1\r\nFROM : a\r\n b\r\nno colon\r\nreceived: 2\r\n"
					 "\r\nbody\r\n"),
	    a, &m));
	assert_int_equal(m.n, 4);
	assert_true(slice_eq(m.body, S("body\r\n")));
	assert_true(slice_eq(m.fields[1].name, S("from")));
	assert_true(slice_eq(m.fields[1].value, S(" a\r\n b")));
	assert_int_equal(m.fields[2].name.n, 0);
	assert_int_equal(dkim_message_count(&m, S("Received")), 2);
	assert_int_equal(dkim_message_count(&m, S("")), 0);
	assert_true(dkim_pick_begin(&p, &m, a));
	assert_int_equal(dkim_pick_left(&p, S("RECEIVED")), 2);
	f = dkim_pick_next(&p, S("RECEIVED"));
	assert_true(f != NULL && slice_eq(f->value, S(" 2"))); /* bottom-up */
	f = dkim_pick_next(&p, S("received"));
	assert_true(f != NULL && slice_eq(f->value, S(" 1")));
	assert_null(dkim_pick_next(&p, S("received")));
	assert_null(dkim_pick_next(&p, S("to")));

	assert_true(dkim_message_split(S("A: 1\r\n"), a, &m) && m.n == 1 && m.body.n == 0);
	assert_true(dkim_message_split(S("A: 1"), a, &m) && m.n == 1);
	assert_true(dkim_message_split(S(""), a, &m) && m.n == 0 && m.body.n == 0);
	assert_true(dkim_message_split(S("\r\nx"), a, &m) && m.n == 0 && slice_eq(m.body, S("x")));
}

static void
message_limits(void **state)
{
	own(arena_p) a = arena_new("test", 4194304);
	own(buf_t) b = { .max = 4 << 20 };
	struct dkim_message m;

	for (size_t i = 0; i < LIMIT_HEADER_FIELDS; i++)
		buf_add(&b, S("From: a\r\n"));
	assert_true(dkim_message_split(buf_slice(&b), a, &m));
	assert_int_equal(dkim_message_count(&m, S("from")), LIMIT_HEADER_FIELDS);
	buf_add(&b, S("From: a\r\n"));
	assert_false(dkim_message_split(buf_slice(&b), a, &m));
	buf_reset(&b);
	buf_add(&b, S("X: "));
	while (b.n < LIMIT_HEADER + 1)
		buf_byte(&b, 'x');
	buf_add(&b, S("\r\n\r\n"));
	assert_false(dkim_message_split(buf_slice(&b), a, &m));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(tag_lists), cmocka_unit_test(tag_extents),
		cmocka_unit_test(signatures), cmocka_unit_test(signature_values),
		cmocka_unit_test(arc_fields), cmocka_unit_test(key_records), cmocka_unit_test(rsa_keys),
		cmocka_unit_test(domains), cmocka_unit_test(messages),
		cmocka_unit_test(message_limits) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
