/* SPDX-License-Identifier: MIT
 * Key records and, in them or bare, RSA keys. */
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/parse/dkim/keyrec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_rsa(struct slice der)
{
	struct dkim_rsa k;

	if (!dkim_rsa_parse(der, &k))
		return;
	PN_ASSERT(k.n.n + k.e.n < der.n && k.e.n <= 8);
	PN_ASSERT(k.bits > (k.n.n - 1) * 8 && k.bits <= k.n.n * 8);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("fuzz", LIMIT_ARENA_MESSAGE);
	struct slice in = slice_of(data, n);
	struct dkim_keyrec k;
	enum dkim_why why = DKIM_OK;

	check_rsa(in);
	if (dkim_keyrec_parse(in, a, &k, &why)) {
		PN_ASSERT(k.public.n > 0 && (k.sha1 || k.sha256));
		check_rsa(k.public);
	} else {
		PN_ASSERT(why != DKIM_OK);
	}
	return 0;
}
