/* SPDX-License-Identifier: MIT
 * records-mox, DMARC: all its valid records must be taken. Of its invalid ones only that is taken
 * where RFC 9989 leaves the order of tags free. */
#include <stdio.h>

#include <jansson.h>

#include "lib/parse/dmarc/dmarc.h"

int
main(void)
{
	FILE *f = fopen(VECTORS "/records-mox/cases.json", "r");
	size_t i, good = 0, lenient = 0;
	json_t *all, *one;

	if (f == NULL) {
		(void)printf("SKIP: no vectors in " VECTORS "\n");
		return 77;
	}
	all = json_loadf(f, JSON_ALLOW_NUL, NULL);
	(void)fclose(f);
	json_array_foreach(json_object_get(all, "dmarc_txt"), i, one) {
		json_t *in = json_object_get(one, "input");
		struct slice text = slice_of(json_string_value(in), json_string_length(in));
		struct dmarc_record r = { .usable = false };
		bool ok = dmarc_parse(text, &r) && r.usable;

		if (ok == json_is_true(json_object_get(one, "valid")))
			good++;
		else if (ok && slice_eq(text, S("v=DMARC1; sp=reject; p=reject")))
			lenient++;
		else
			(void)printf("wrong: %.*s\n", SFMT(text));
	}
	json_decref(all);
	(void)printf("records-mox, DMARC: %zu/31 (%zu by RFC 9989 against theirs)\n", good + lenient, lenient);
	return good == 30 && lenient == 1 ? 0 : 1;
}
