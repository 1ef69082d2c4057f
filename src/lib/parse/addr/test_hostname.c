/* SPDX-License-Identifier: MIT
 * postfix-ref: the names of Postfix's valid_hostname test against addr_domain(). What Postfix takes and RFC 5321 does not (and
 * the other way round) stands in a list of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "lib/base/own.h"
#include "lib/parse/addr/envelope.h"

/* Here they differ: a wildcard is no name of a host to us; a last label of digits alone is an IPv4 address in
 * disguise, wherever it stands. */
static const struct {
	struct slice name;
	bool ours;
} differ[] = {
	{ S_INIT("*.foo.bar"), false },
	{ S_INIT("f.2.3.4"), false },
	{ S_INIT("1f.2.3.4"), false },
	{ S_INIT("f1.2.3.4"), false },
	{ S_INIT("1.2f.3.4"), false },
	{ S_INIT("1.f2.3.4"), false },
};

static bool
ours(struct slice name)
{
	struct cursor c = cur_of(name);
	struct slice out;

	return addr_domain(&c, &out) == ADDR_OK && cur_done(&c);
}

static void
judge(struct slice name, bool theirs, size_t *same, size_t *other)
{
	for (size_t i = 0; i < sizeof differ / sizeof differ[0]; i++)
		if (slice_eq(name, differ[i].name)) {
			assert_true(ours(name) == differ[i].ours && theirs != differ[i].ours);
			(*other)++;
			return;
		}
	if (ours(name) != theirs)
		fail_msg("\"%.*s\": Postfix: %s", SFMT(name), theirs ? "valid" : "invalid");
	(*same)++;
}

static void
hostnames(void **state)
{
	static const struct slice testing = S_INIT("./valid_hostname: testing: \"");
	char text[512], name[512] = "";
	size_t same = 0, other = 0;
	bool begun = false, valid = true;
	FILE *f = *state;

	while (fgets(text, sizeof text, f) != NULL) {
		struct slice line = slice_z(text);

		line = slice_ends(line, S("\n")) ? slice_head(line, line.n - 1) : line;
		if (slice_find(line, S("warning: valid_hostname:")) != SLICE_NONE)
			valid = false;
		if (!slice_starts(line, testing))
			continue;
		if (begun)
			judge(slice_z(name), valid, &same, &other);
		(void)snprintf(name, sizeof name, "%.*s", SFMT(slice_sub(line, testing.n, line.n - testing.n - 1)));
		begun = valid = true;
	}
	judge(slice_z(name), valid, &same, &other);
	(void)printf("%zu as Postfix, %zu not\n", same, other);
	assert_true(same >= 50 && other == sizeof differ / sizeof differ[0]);
}

int
main(void)
{
	FILE *f = fopen(VECTORS "/postfix-ref/src/util/valid_hostname.ref", "r");
	const struct CMUnitTest tests[] = { cmocka_unit_test_prestate(hostnames, f) };
	int failed;

	if (f == NULL) {
		(void)printf("SKIP: no ../shared/vectors/postfix-ref\n");
		return 77;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void)fclose(f);
	return failed;
}
