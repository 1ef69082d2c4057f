/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/parse/proxy/proxy.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"

static const struct {
	struct slice in;
	enum proxy_status want;
	bool local;
	const char *peer;
	uint16_t port;
	size_t used;
} headers[] = {
	{ S_INIT("PROXY TCP4 192.0.2.9 198.51.100.1 5000 25\r\nEHLO x"), PROXY_OK, false, "192.0.2.9", 5000, 43 },
	{ S_INIT("PROXY TCP6 2001:db8::9 2001:db8::1 65535 25\r\n"), PROXY_OK, false, "2001:db8::9", 65535, 45 },
	{ S_INIT("PROXY UNKNOWN\r\n"), PROXY_OK, true, "", 0, 15 },
	{ S_INIT("PROXY UNKNOWN ffff:f...f:ffff 1 2\r\n"), PROXY_OK, true, "", 0, 35 },
	{ S_INIT("PROXY UNKNOWN x\ny\r\n"), PROXY_BAD, false, "", 0, 0 },
	{ S_INIT("PROXY UNKNOWN x\ry\r\n"), PROXY_BAD, false, "", 0, 0 },
	{ S_INIT(SIG "\x21\x11\0\x0c\xc0\0\x02\x09\xc6\x33\x64\x01\x13\x88\0\x19" "EHLO"), PROXY_OK, false, "192.0.2.9", 5000,
	    28 },
	{ S_INIT(SIG "\x20\0\0\0"), PROXY_OK, true, "", 0, 16 },
	{ S_INIT(SIG "\x21\x11\0\x0f\xc0\0\x02\x09\xc6\x33\x64\x01\x13\x88\0\x19\x04\0\0"), PROXY_OK, false, "192.0.2.9",
	    5000, 31 },
	{ S_INIT("PROXY TCP4 192.0.2.9 198.51.100.1 5000 65536\r\n"), PROXY_BAD, false, "", 0, 0 },
	{ S_INIT("PROXY TCP4 192.0.2.9 198.51.100.1 05000 25\r\n"), PROXY_BAD, false, "", 0, 0 },
	{ S_INIT("PROXY TCP4 192.0.2.9 198.51.100.1 5000 25 \r\n"), PROXY_BAD, false, "", 0, 0 },
	{ S_INIT("PROXY TCP4 2001:db8::9 198.51.100.1 5000 25\r\n"), PROXY_BAD, false, "", 0, 0 },
	{ S_INIT("PROXY TCP4 192.0.2.9 198.51.100.1 5000 25\n"), PROXY_BAD, false, "", 0, 0 },
	{ S_INIT("PROXY UDP4 192.0.2.9 198.51.100.1 5000 25\r\n"), PROXY_BAD, false, "", 0, 0 },
	{ S_INIT("PROXY  TCP4 192.0.2.9 198.51.100.1 5000 25\r\n"), PROXY_BAD, false, "", 0, 0 },
	{ S_INIT("EHLO x\r\n"), PROXY_BAD, false, "", 0, 0 },
	{ S_INIT(SIG "\x31\x11\0\x0c\xc0\0\x02\x09\xc6\x33\x64\x01\x13\x88\0\x19"), PROXY_BAD, false, "", 0, 0 },
	{ S_INIT(SIG "\x21\x11\0\x0b\xc0\0\x02\x09\xc6\x33\x64\x01\x13\x88\0"), PROXY_BAD, false, "", 0, 0 },
	{ S_INIT(SIG "\x21\x31\0\0"), PROXY_BAD, false, "", 0, 0 },
	{ S_INIT(SIG "\x21\x11\xff\xff"), PROXY_BAD, false, "", 0, 0 },
};

static void
table(void **state)
{
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
		struct proxy_header h = { .local = false };
		own(buf_t) text = { .max = 100 };
		size_t used = 0;

		assert_int_equal(proxy_parse(headers[i].in, &h, &used), headers[i].want);
		assert_int_equal(used, headers[i].used);
		if (headers[i].want != PROXY_OK)
			continue;
		assert_int_equal(h.local, headers[i].local);
		assert_int_equal(h.peer_port, headers[i].port);
		if (!h.local) {
			assert_true(ip_put(&text, &h.peer) && slice_eq(buf_slice(&text), slice_z(headers[i].peer)));
			assert_int_equal(h.to_port, 25);
		}
		for (size_t n = 0; n < used; n++)
			assert_int_equal(proxy_parse(slice_head(headers[i].in, n), &h, &used), PROXY_MORE);
	}
}

/* A line without end is not waited for. */
static void
endless(void **state)
{
	own(buf_t) text = { .max = 1000 };
	struct proxy_header h;
	size_t used;

	assert_true(buf_add(&text, S("PROXY UNKNOWN ")));
	while (text.n < 106)
		assert_true(buf_byte(&text, 'f'));
	assert_int_equal(proxy_parse(buf_slice(&text), &h, &used), PROXY_MORE);
	assert_true(buf_byte(&text, 'f'));
	assert_int_equal(proxy_parse(buf_slice(&text), &h, &used), PROXY_BAD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table), cmocka_unit_test(endless) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
