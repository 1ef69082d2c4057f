/* SPDX-License-Identifier: MIT
 * Lines through the reply reader. Whatever they hold, the text is one printable line within its limit, the code is one
 * that a client can act on, and an enhanced code has the class of the code. */
#include "lib/base/chars.h"
#include "lib/parse/smtp/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(const struct smtp_reply *r)
{
	char enhanced[SMTP_ENHANCED_TEXT];
	struct slice text = smtp_reply_text(r), e = smtp_reply_enhanced(r, enhanced);

	PN_ASSERT(r->code >= 200 && r->code <= 599 && r->lines <= LIMIT_SMTP_REPLY_LINES);
	PN_ASSERT(text.n <= LIMIT_SMTP_REPLY_TEXT && e.n < SMTP_ENHANCED_TEXT);
	for (size_t i = 0; i < text.n; i++)
		PN_ASSERT(ch_is_print(slice_at(text, i)));
	if (e.n > 0)
		PN_ASSERT(slice_at(e, 0) == '0' + r->code / 100);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice rest = slice_of(data, n), line, body;
	struct smtp_reply r;
	struct smtp_offer o = { 0 };

	smtp_reply_begin(&r);
	while (rest.n > 0) {
		enum smtp_reply_step step;

		if (!slice_cut(rest, '\n', &line, &rest)) {
			line = rest;
			rest = S("");
		}
		step = smtp_reply_line(&r, line, &body);
		if (step != SMTP_REPLY_BAD) {
			check(&r);
			PN_ASSERT(body.n <= line.n);
			smtp_offer_line(&o, body);
		}
		if (step != SMTP_REPLY_MORE)
			smtp_reply_begin(&r);
	}
	return 0;
}
