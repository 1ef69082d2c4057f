/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/parse/dnsmsg/dnsmsg.h"

/* Messages: a header with counts, then pieces. */
#define HEAD(rcode, an, ns) "\x12\x34\x81" rcode "\x00\x01\x00" an "\x00" ns "\x00\x00"
#define Q(type) "\x01\x61\x04\x74\x65\x73\x74\x00\x00" type "\x00\x01" /* a.test at 12, test at 14 */
#define RR(owner, type, ttl, len, rdata) owner "\x00" type "\x00\x01\x00\x00\x00" ttl "\x00" len rdata
#define AT_A "\xc0\x0c"
#define AT_TEST "\xc0\x0e"

static const struct slice name_a = S_INIT("\x01\x61\x04test\x00");

static const struct {
	const char *what;
	struct slice msg;
	uint16_t type;
	bool ok;
	unsigned rcode;
	size_t n;
	uint32_t ttl;
	struct slice owner, first; /* of the answer */
} table[] = {
	{ "one address", S_INIT(HEAD("\x80", "\x01", "\x00") Q("\x01") RR(AT_A, "\x01", "\x3c", "\x04", "\xc0\x00\x02\x01")), 1,
	    true, 0, 1, 60, S_INIT("\x01\x61\x04test\x00"), S_INIT("\xc0\x00\x02\x01") },
	{ "the name in capitals",
	    S_INIT(HEAD("\x80", "\x01", "\x00") "\x01\x41\x04TeST\x00\x00\x01\x00\x01" RR(AT_A, "\x01", "\x3c", "\x04",
		"\xc0\x00\x02\x01")),
	    1, true, 0, 1, 60, S_INIT("\x01\x61\x04test\x00"), S_INIT("\xc0\x00\x02\x01") },
	{ "the exchange is uncompressed",
	    S_INIT(HEAD("\x80", "\x01", "\x00") Q("\x0f") RR(AT_A, "\x0f", "\x3c", "\x06", "\x00\x0a\x01\x6d" AT_TEST)), 15,
	    true, 0, 1, 60, S_INIT("\x01\x61\x04test\x00"), S_INIT("\x00\x0a\x01m\x04test\x00") },
	{ "behind a CNAME, with the least TTL",
	    S_INIT(HEAD("\x80", "\x02", "\x00") Q("\x01") RR(AT_A, "\x05", "\x05", "\x04", "\x01\x62" AT_TEST) RR(
		"\x01\x62" AT_TEST, "\x01", "\x3c", "\x04", "\xc0\x00\x02\x02")),
	    1, true, 0, 1, 5, S_INIT("\x01\x62\x04test\x00"), S_INIT("\xc0\x00\x02\x02") },
	{ "a CNAME when it was asked for",
	    S_INIT(HEAD("\x80", "\x01", "\x00") Q("\x05") RR(AT_A, "\x05", "\x05", "\x04", "\x01\x62" AT_TEST)), 5, true, 0, 1,
	    5, S_INIT("\x01\x61\x04test\x00"), S_INIT("\x01\x62\x04test\x00") },
	{ "records of others are ignored",
	    S_INIT(HEAD("\x80", "\x02", "\x00") Q("\x01") RR("\x01\x78\x00", "\x01", "\x05", "\x04", "\x06\x06\x06\x06") RR(AT_A,
		"\x01", "\x3c", "\x04", "\xc0\x00\x02\x01")),
	    1, true, 0, 1, 60, S_INIT("\x01\x61\x04test\x00"), S_INIT("\xc0\x00\x02\x01") },
	{ "no such name, and how long that holds",
	    S_INIT(HEAD("\x83", "\x00", "\x01") Q("\x01") RR(AT_TEST, "\x06", "\x3c", "\x16",
		"\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x1e")),
	    1, true, 3, 0, 30, S_INIT("\x01\x61\x04test\x00"), S_INIT("") },
	{ "D-003: servers to ask instead",
	    S_INIT(HEAD("\x80", "\x00", "\x01") Q("\x01") RR(AT_TEST, "\x02", "\x3c", "\x02", AT_TEST)), 1, true, 0, 0, 0,
	    S_INIT("\x01\x61\x04test\x00"), S_INIT("") },
	{ "D-001: a CNAME to itself",
	    S_INIT(HEAD("\x80", "\x01", "\x00") Q("\x01") RR(AT_A, "\x05", "\x05", "\x02", AT_A)), 1, true, 0, 0, 5,
	    S_INIT("\x01\x61\x04test\x00"), S_INIT("") },
	{ "D-001: MX of one octet", S_INIT(HEAD("\x80", "\x01", "\x00") Q("\x0f") RR(AT_A, "\x0f", "\x3c", "\x01", "\x00")), 15,
	    false, 0, 0, 0, S_INIT(""), S_INIT("") },
	{ "D-001: a name that points at itself",
	    S_INIT(HEAD("\x80", "\x01", "\x00") Q("\x0f") RR(AT_A, "\x0f", "\x3c", "\x04", "\x00\x0a\xc0\x26")), 15, false, 0, 0,
	    0, S_INIT(""), S_INIT("") },
	{ "D-001: a name that points forward",
	    S_INIT(HEAD("\x80", "\x01", "\x00") Q("\x0f") RR(AT_A, "\x0f", "\x3c", "\x06", "\x00\x0a\xc0\x28\x00\x00")), 15,
	    false, 0, 0, 0, S_INIT(""), S_INIT("") },
	{ "another question", S_INIT(HEAD("\x80", "\x01", "\x00") Q("\x10") RR(AT_A, "\x01", "\x3c", "\x04", "\xc0\x00\x02\x01")),
	    1, false, 0, 0, 0, S_INIT(""), S_INIT("") },
	{ "RDATA longer than the message",
	    S_INIT(HEAD("\x80", "\x01", "\x00") Q("\x01") RR(AT_A, "\x01", "\x3c", "\x05", "\xc0\x00\x02\x01")), 1, false, 0, 0, 0,
	    S_INIT(""), S_INIT("") },
	{ "RDATA of no byte (TLSA)", S_INIT(HEAD("\x80", "\x01", "\x00") Q("\x34") RR(AT_A, "\x34", "\x3c", "\x00", "")), 52, true,
	    0, 1, 60, S_INIT("\x01\x61\x04test\x00"), S_INIT("") },
};

static void
messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		own(arena_p) a = arena_new("test", 1 << 20);
		struct dnsmsg_answer got = { .rcode = 99 };
		bool ok = dnsmsg_answer_parse(table[i].msg, name_a, table[i].type, a, &got);

		if (ok != table[i].ok)
			fail_msg("%s", table[i].what);
		if (!ok) {
			assert_int_equal(got.rcode, 99);
			continue;
		}
		assert_int_equal(got.rcode, table[i].rcode);
		assert_int_equal(got.n, table[i].n);
		assert_int_equal(got.referral, slice_starts(slice_z(table[i].what), S("D-003")));
		assert_int_equal(got.ttl, table[i].ttl);
		assert_true(slice_eq(got.owner, table[i].owner));
		if (got.n > 0)
			assert_true(slice_eq(got.rdata[0], table[i].first));
	}
}

/* A message that ends early is never an answer. */
static void
truncations(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		for (size_t n = 0; n < table[i].msg.n; n++) {
			own(arena_p) a = arena_new("test", 1 << 20);
			struct dnsmsg_answer got;

			assert_false(dnsmsg_answer_parse(slice_head(table[i].msg, n), name_a, table[i].type, a, &got));
		}
}

static void
put_record(struct buf *b, unsigned from, unsigned to)
{
	buf_fmt(b, "%c%c", 1, (int)('A' + from));
	buf_byte(b, 0);
	buf_add(b, S("\x00\x05\x00\x01\x00\x00\x00\x05\x00\x03"));
	buf_fmt(b, "%c%c", 1, (int)('A' + to));
	buf_byte(b, 0);
}

static bool
chain(unsigned links)
{
	own(arena_p) a = arena_new("test", 1 << 20);
	own(buf_t) b = { .max = 65535 };
	struct dnsmsg_answer got;

	buf_add(&b, S("\x12\x34\x81\x80\x00\x01\x00"));
	buf_byte(&b, (uint8_t)links);
	buf_add(&b, S("\x00\x00\x00\x00\x01"
		      "A\x00\x00\x01\x00\x01"));
	for (unsigned i = 0; i < links; i++)
		put_record(&b, i, i + 1);
	return dnsmsg_answer_parse(buf_slice(&b), S("\x01"
						    "a\x00"),
	    1, a, &got);
}

/* D-001: a chain of 16 is followed, one of 17 is not. */
static void
d001_chain_of_17(void **state)
{
	(void)state;
	assert_true(chain(16));
	assert_false(chain(17));
}

/* D-001: 4,096 records are taken, more are not; 64 KiB of TXT in one record is. */
static void
d001_many_and_large(void **state)
{
	(void)state;
	for (unsigned n = 4096; n <= 4097; n++) {
		own(arena_p) a = arena_new("test", 1 << 22);
		own(buf_t) b = { .max = 1 << 17 };
		struct dnsmsg_answer got;

		buf_add(&b, S("\x12\x34\x81\x80\x00\x01"));
		buf_byte(&b, (uint8_t)(n >> 8));
		buf_byte(&b, (uint8_t)n);
		buf_add(&b, S("\x00\x00\x00\x00" Q("\x01")));
		for (unsigned i = 0; i < n; i++)
			buf_add(&b, S(RR(AT_A, "\x01", "\x3c", "\x04", "\xc0\x00\x02\x01")));
		assert_int_equal(dnsmsg_answer_parse(buf_slice(&b), name_a, 1, a, &got), n == 4096);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(messages), cmocka_unit_test(truncations),
		cmocka_unit_test(d001_chain_of_17), cmocka_unit_test(d001_many_and_large) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
