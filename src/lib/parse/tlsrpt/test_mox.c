/* SPDX-License-Identifier: MIT
 * records-mox: TLS-RPT records, valid or not, all as theirs. */
#include <stdio.h>

#include <jansson.h>

#include "lib/parse/tlsrpt/tlsrpt.h"

static bool
taken(const char *kind, struct slice text)
{
	struct tlsrpt_record r;

	(void)kind;
	return tlsrpt_parse(text, &r);
}

/* How many of a kind are taken and refused as they should be. */
static size_t
run(json_t *all, const char *kind)
{
	size_t i, good = 0;
	json_t *one;

	json_array_foreach(json_object_get(all, kind), i, one) {
		json_t *in = json_object_get(one, "input");
		struct slice text = slice_of(json_string_value(in), json_string_length(in));

		if (taken(kind, text) == json_is_true(json_object_get(one, "valid")))
			good++;
		else
			(void)printf("wrong: %.*s\n", SFMT(text));
	}
	(void)printf("%s: %zu/%zu\n", kind, good, i);
	return good;
}

int
main(void)
{
	FILE *f = fopen(VECTORS "/records-mox/cases.json", "r");
	json_t *all;
	bool ok;

	if (f == NULL) {
		(void)printf("SKIP: no vectors in " VECTORS "\n");
		return 77;
	}
	all = json_loadf(f, JSON_ALLOW_NUL, NULL);
	(void)fclose(f);
	ok = run(all, "tlsrpt_txt") == 11;
	json_decref(all);
	return ok ? 0 : 1;
}
