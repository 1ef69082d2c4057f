/* SPDX-License-Identifier: MIT
 * mta-sts: TXT records and policy files, valid or not, all as theirs. */
#include <stdio.h>

#include <jansson.h>

#include "lib/parse/mtasts/mtasts.h"

static bool
taken(const char *kind, struct slice text)
{
	struct mtasts_record r;
	struct mtasts_policy p;

	return slice_eq(slice_z(kind), S("txt_record")) ? mtasts_record_parse(text, &r)
							: mtasts_policy_parse(text, &p);
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
	FILE *f = fopen(VECTORS "/mta-sts/cases.json", "r");
	json_t *all;
	bool ok;

	if (f == NULL) {
		(void)printf("SKIP: no vectors in " VECTORS "\n");
		return 77;
	}
	all = json_loadf(f, JSON_ALLOW_NUL, NULL);
	(void)fclose(f);
	ok = run(all, "txt_record") == 12 && run(all, "policy_file") == 17;
	json_decref(all);
	return ok ? 0 : 1;
}
