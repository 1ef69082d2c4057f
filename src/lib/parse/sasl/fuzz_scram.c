/* SPDX-License-Identifier: MIT
 * Byte 0 chooses the message: '1' client-first, '2' client-final, '3' server-first, '4' server-final, others OAUTHBEARER (put into base64
 * here). What comes out lies within its limits, and bare and header are the input again. */
#include "lib/base/buf.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/parse/sasl/oauth.h"
#include "lib/parse/sasl/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
first(struct slice in, struct arena *a)
{
	struct scram_first f;

	if (scram_first_parse(in, a, &f) != SASL_OK)
		return;
	PN_ASSERT(f.header.n + f.bare.n == in.n && slice_starts(in, f.header));
	PN_ASSERT(sasl_name_ok(f.name) && f.nonce.n > 0 && f.nonce.n <= SCRAM_NONCE_MOST);
	PN_ASSERT(slice_find_byte(f.nonce, ',') == SLICE_NONE && f.bare.n <= SCRAM_BARE_MOST);
	PN_ASSERT(!scram_flag_ok(f.flag, true, true) || f.flag == 'p');
	PN_ASSERT(!scram_flag_ok(f.flag, true, false));
}

static void
final(struct slice in, struct arena *a)
{
	struct scram_final f;

	if (scram_final_parse(in, a, &f) != SASL_OK)
		return;
	PN_ASSERT(slice_starts(in, f.without_proof) && slice_starts(f.without_proof, S("c=")));
	PN_ASSERT(slice_find_byte(f.nonce, ',') == SLICE_NONE);
}

static void
challenge(struct slice in, struct arena *a)
{
	struct scram_challenge ch;

	if (scram_challenge_parse(in, a, &ch) != SASL_OK)
		return;
	PN_ASSERT(ch.nonce.n > 0 && ch.salt.n > 0 && ch.salt.n < in.n && slice_starts(slice_from(in, 2), ch.nonce));
	PN_ASSERT(slice_find_byte(ch.nonce, ',') == SLICE_NONE);
}

static void
verdict(struct slice in, struct arena *a)
{
	uint8_t signature[SCRAM_PROOF];

	if (scram_verdict_parse(in, a, signature) == SASL_OK)
		PN_ASSERT(slice_starts(in, S("v=")));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n);
	struct arena *a;
	struct oauth_bearer b;
	struct buf line;

	if (n < 1)
		return 0;
	a = arena_new("fuzz", LIMIT_ARENA_COMMAND);
	buf_init(&line, LIMIT_SMTP_AUTH_LINE);
	if (slice_at(in, 0) == '1')
		first(slice_from(in, 1), a);
	else if (slice_at(in, 0) == '2')
		final(slice_from(in, 1), a);
	else if (slice_at(in, 0) == '3')
		challenge(slice_from(in, 1), a);
	else if (slice_at(in, 0) == '4')
		verdict(slice_from(in, 1), a);
	else if (base64_encode(&line, slice_from(in, 1)) && oauth_bearer(buf_slice(&line), a, &b) == SASL_OK)
		PN_ASSERT(b.token.n > 0 && b.token.n <= OAUTH_TOKEN_MOST && b.name.n <= LIMIT_LOGIN_NAME);
	buf_free(&line);
	arena_free(&a);
	return 0;
}
