/* SPDX-License-Identifier: MIT
 * The test cases of the public suffix list itself, and names that are none. */
#include <stdio.h>

#include "lib/base/own.h"
#include "lib/suffix/suffix.h"

#define CASES 78

static bool
hostile(void)
{
	static const struct slice bad[] = { S_INIT(""), S_INIT("."), S_INIT("..com"), S_INIT("a\0.com"),
		S_INIT("\xff\xfe.com") };
	own(arena_p) a = arena_new("psl", 65536);
	static uint8_t big[2000];
	struct slice out;

	memset(big, 'a', sizeof big);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (suffix_registrable(bad[i], a, &out)) {
			(void)printf("taken: %zu\n", i);
			return false;
		}
	return !suffix_registrable(slice_of(big, sizeof big), a, &out) &&
	       suffix_registrable(S("Www.Example.Co.UK."), a, &out) && slice_eq(out, S("example.co.uk"));
}

int
main(void)
{
	FILE *f = fopen(VECTORS "/psl/tests.txt", "r");
	size_t good = 0, cases = 0;
	char line[512];

	if (!hostile())
		return 1;
	if (f == NULL) {
		(void)printf("SKIP: no vectors in " VECTORS "\n");
		return 77;
	}
	while (fgets(line, sizeof line, f) != NULL) {
		own(arena_p) a = arena_new("psl", 65536);
		struct slice text = slice_z(line), name, want, got = S("null");

		if (slice_ends(text, S("\n")))
			text = slice_head(text, text.n - 1);
		if (slice_starts(text, S("//")) || !slice_cut(text, ' ', &name, &want))
			continue;
		cases++;
		if (!suffix_registrable(name, a, &got))
			got = S("null");
		if (slice_eq(got, want))
			good++;
		else
			(void)printf("%.*s: %.*s\n", SFMT(name), SFMT(got));
	}
	(void)fclose(f);
	(void)printf("psl: %zu/%zu\n", good, cases);
	return good == CASES && cases == CASES ? 0 : 1;
}
