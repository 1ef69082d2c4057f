/* SPDX-License-Identifier: MIT
 * A request that is taken ends in exactly one place: one length or none, no transfer coding, whatever stands in it; and
 * nothing that was copied is longer than what was there. */
#include "lib/base/own.h"
#include "lib/base/limits.h"
#include "lib/parse/http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(const struct http_head *h, struct slice in)
{
	PN_ASSERT(!h->chunked && !h->encoded && h->minor <= 1);
	PN_ASSERT(h->minor == 0 || h->host);
	PN_ASSERT(h->has_length || h->length == 0);
	PN_ASSERT(h->has_length || !slice_eq(h->method, S("POST")));
	PN_ASSERT(h->method.n > 0 && h->target.n > 0);
	PN_ASSERT(h->bearer.n <= HTTP_BEARER && h->method.n + h->target.n + h->bearer.n < in.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("http", LIMIT_ARENA_COMMAND);
	struct slice in = slice_of(data, n), rest = in, line;
	struct http_head h = { 0 };
	enum http_step st = HTTP_MORE;

	while (st == HTTP_MORE && rest.n > 0) {
		size_t end = slice_find(rest, S("\r\n"));

		line = slice_head(rest, end == SLICE_NONE ? rest.n : end);
		rest = end == SLICE_NONE ? S("") : slice_from(rest, end + 2);
		st = http_head_line(&h, line, a);
	}
	if (st == HTTP_DONE)
		check(&h, in);
	if (st == HTTP_BAD)
		PN_ASSERT(h.code >= 400 && http_reason(h.code)[0] != 'S');
	return 0;
}
