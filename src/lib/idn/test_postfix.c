/* SPDX-License-Identifier: MIT
 * postfix-ref: the domains of Postfix's midna_domain test and what it made of them. Postfix maps as ICU's UTS 46 does; names of
 * ASCII, which lib/idn leaves to whoever judges host names, are judged by lib/parse/addr here, as the doors do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/idn/idn.h"
#include "lib/parse/addr/envelope.h"

/* What stands between ->ascii and the end of `"NAME" ->ascii "RESULT"`. */
static bool
result(struct slice line, struct slice name, struct slice *out)
{
	size_t at = slice_find(line, S("\" ->ascii \""));

	if (at == SLICE_NONE || slice_find(line, name) == SLICE_NONE || slice_find(line, S("->utf8")) != SLICE_NONE)
		return false;
	*out = slice_from(line, at + S("\" ->ascii \"").n);
	*out = slice_head(*out, out->n - 1);
	return true;
}

/* What we make of it: false where it is refused. */
static bool
ours(struct slice name, struct arena *a, struct slice *out)
{
	struct cursor c;

	if (!idn_domain(name, a, out))
		return false;
	c = cur_of(*out);
	return addr_domain(&c, out) == ADDR_OK && cur_done(&c);
}

static void
domains(void **state)
{
	FILE *f = *state;
	char text[1024], last[1024] = "";
	size_t n = 0, refused = 0;

	while (fgets(text, sizeof text, f) != NULL) {
		own(arena_p) a = arena_new("test", 65536);
		struct slice line = slice_z(text), name, want, got = S("");
		bool ok;

		line = slice_ends(line, S("\n")) ? slice_head(line, line.n - 1) : line;
		if (slice_starts(line, S("./midna_domain: > ")) && slice_find(line, S("> #")) == SLICE_NONE) {
			(void)snprintf(last, sizeof last, "%.*s", SFMT(slice_from(line, S("./midna_domain: > ").n)));
			continue;
		}
		name = slice_z(last);
		if (!slice_starts(line, S("./midna_domain: \"")) || !result(line, name, &want))
			continue;
		ok = ours(name, a, &got);
		if (slice_eq(name, S("xn--123456.example.com"))) { /* no label of IDNA, but a host name: the DNS knows best */
			assert_true(ok && slice_eq(want, S("(error)")));
			continue;
		}
		if (slice_eq(want, S("(error)")) ? ok : !slice_ieq(got, want))
			fail_msg("%s: %s, Postfix: %.*s", last, ok ? (const char *)arena_z(a, got) : "refused", SFMT(want));
		n++;
		refused += !ok;
	}
	(void)printf("%zu domains, %zu refused\n", n, refused);
	assert_true(n >= 9 && refused >= 4);
}

int
main(void)
{
	FILE *f = fopen(VECTORS "/postfix-ref/src/util/midna_domain_test.ref", "r");
	const struct CMUnitTest tests[] = { cmocka_unit_test_prestate(domains, f) };
	int failed;

	if (f == NULL) {
		(void)printf("SKIP: no ../shared/vectors/postfix-ref\n");
		return 77;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)fclose(f);
	return failed;
}
