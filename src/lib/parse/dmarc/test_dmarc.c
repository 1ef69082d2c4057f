/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/parse/dmarc/dmarc.h"

static const struct {
	struct slice text;
	bool record, usable;
	enum dmarc_policy p;
} table[] = {
	{ S_INIT("v=DMARC1; p=reject"), true, true, DMARC_P_REJECT },
	{ S_INIT("v=DMARC1;p=reject;"), true, true, DMARC_P_REJECT },
	{ S_INIT("V\t=\tDMARC1\t;\tP\t=\tReJect"), true, true, DMARC_P_REJECT },
	{ S_INIT("v=DMARC1; rua=mailto:a@b; p=quarantine"), true, true, DMARC_P_QUARANTINE },
	{ S_INIT("v=DMARC1"), true, false, DMARC_P_ABSENT },
	{ S_INIT("v=DMARC1; p=rejekt"), true, false, DMARC_P_INVALID },
	{ S_INIT("v=DMARC1; p=rejekt; rua=mailto:a@b"), true, true, DMARC_P_NONE },
	{ S_INIT("v=DMARC1; p=reject; sp=what; rua=mailto:a@b"), true, true, DMARC_P_NONE },
	{ S_INIT("v=DMARC1; p=reject; np=what"), true, false, DMARC_P_REJECT },
	{ S_INIT("v=DMARC1; rua=what"), true, false, DMARC_P_ABSENT },
	{ S_INIT("v=DMARC1; p=reject; pct=x; ri=y; fo=z; unknown; ;=; =x"), true, true, DMARC_P_REJECT },
	{ S_INIT("v=DMARC1; p=none; p=reject"), false, false, DMARC_P_ABSENT },
	{ S_INIT("v=DMARC1; v=DMARC1; p=none"), false, false, DMARC_P_ABSENT },
	{ S_INIT("v=dmarc1; p=none"), false, false, DMARC_P_ABSENT },
	{ S_INIT("v=DMARC1x; p=none"), false, false, DMARC_P_ABSENT },
	{ S_INIT("v=DMARC1 p=none"), false, false, DMARC_P_ABSENT },
	{ S_INIT("p=none; v=DMARC1"), false, false, DMARC_P_ABSENT },
	{ S_INIT(" ; v=DMARC1; p=none"), false, false, DMARC_P_ABSENT },
	{ S_INIT(""), false, false, DMARC_P_ABSENT },
};

static void
records(void **state)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct dmarc_record r = { .p = DMARC_P_ABSENT };

		if (dmarc_parse(table[i].text, &r) != table[i].record || r.usable != table[i].usable ||
		    r.p != table[i].p)
			fail_msg("%.*s: %d %d", SFMT(table[i].text), r.usable, (int)r.p);
		for (size_t n = 0; n < table[i].text.n; n++)
			if (dmarc_parse(slice_head(table[i].text, n), &r))
				assert_true(dmarc_is_record(slice_head(table[i].text, n)));
	}
}

static void
fields(void **state)
{
	struct dmarc_record r;
	struct dmarc_uri u;
	struct cursor c;

	assert_true(dmarc_parse(S("v=DMARC1; p=none; sp=quarantine; np=reject; adkim=S; aspf=r; psd=Y; "
				  "t=y; fo=1:d; pct=25; ri=3600; rua = mailto:a@b.example!10m , bogus, "
				  "https://x.example/y, mailto:, mailto:c%2cd@e?subject=z!2, mailto:x@y!9p; ruf=x"),
	    &r));
	assert_true(r.sp == DMARC_P_QUARANTINE && r.np == DMARC_P_REJECT);
	assert_true(r.dkim_strict && !r.spf_strict && r.psd == DMARC_PSD_Y && r.testing);
	assert_true(!r.fo_all && r.fo_any && r.fo_dkim && !r.fo_spf);
	assert_true(r.pct == 25 && r.ri == 3600);
	c = cur_of(r.rua);
	assert_true(dmarc_uri_next(&c, &u) && slice_eq(u.uri, S("mailto:a@b.example")));
	assert_true(slice_eq(u.address, S("a@b.example")) && u.max == 10 * 1048576);
	assert_true(dmarc_uri_next(&c, &u) && slice_eq(u.uri, S("https://x.example/y")));
	assert_int_equal(u.address.n, 0);
	assert_true(dmarc_uri_next(&c, &u) && slice_eq(u.address, S("c%2cd@e")) && u.max == 2);
	assert_false(dmarc_uri_next(&c, &u));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(records), cmocka_unit_test(fields) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
