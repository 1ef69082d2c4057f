/* SPDX-License-Identifier: MIT
 * Any sender: what is written fits RFC 5321 and is read again as the same. Any local part: only what was
 * written with the secret is read. */
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/make/srs/testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint64_t secret = 1, other = 2;
	const struct srs s = { test_mac, &secret }, stranger = { test_mac, &other };
	own(arena_p) a = arena_new("fuzz", 1 << 20);
	struct slice in = slice_of(data, n), out, back = { 0 }, local;
	uint32_t day = n > 0 ? data[0] * 200u : 0;
	enum srs_status st;

	if (srs_read(&s, in, day, a, &back) == SRS_OK)
		PN_ASSERT(slice_find_byte(back, '@') != SLICE_NONE && srs_is(in));
	if (!srs_write(&s, in, S("ours.test"), day, a, &out))
		return 0;
	local = slice_head(out, slice_rfind_byte(out, '@'));
	PN_ASSERT(local.n <= LIMIT_SMTP_LOCAL && srs_is(local) && slice_ends(out, S("@ours.test")));
	st = srs_read(&s, local, day, a, &back);
	PN_ASSERT(st == SRS_OK || st == SRS_POSTMASTER);
	if (st == SRS_OK && slice_starts(out, S("SRS0=")))
		PN_ASSERT(slice_eq(back, in));
	PN_ASSERT(srs_read(&stranger, local, day, a, &back) == SRS_FORGED);
	return 0;
}
