/* SPDX-License-Identifier: MIT
 * A server that says whatever the input holds. Byte 0 is the size of the pieces, byte 1 says which kind of conversation.
 * Whatever comes: nobody is delivered without a complete 2xx reply as the last thing before the verdict, every result is
 * printable, and what we say holds no bare CR or LF. */
#include "rooms/send/test_mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
only_crlf(struct slice out)
{
	for (size_t i = 0; i < out.n; i++) {
		uint8_t c = slice_at(out, i);

		PN_ASSERT(c != '\n' || (i > 0 && slice_at(out, i - 1) == '\r'));
		PN_ASSERT(c != '\r' || (i + 1 < out.n && slice_at(out, i + 1) == '\n'));
	}
}

static void
verdicts(const struct scene *s, struct slice server)
{
	struct slice out = buf_slice(&s->mem.out);

	for (size_t i = 0; i < 3; i++) {
		const struct queue_send_result *r = &s->results[i];

		if (!s->mail.done[i])
			continue;
		PN_ASSERT(r->text.n <= LIMIT_SMTP_REPLY_TEXT && r->enhanced.n <= 16);
		for (size_t k = 0; k < r->text.n; k++)
			PN_ASSERT(ch_is_print(slice_at(r->text, k)));
		if (r->outcome != QUEUE_SEND_OUTCOME_DELIVERED)
			continue;
		PN_ASSERT(r->code / 100 == 2 && slice_find(server, S("\r\n2")) != SLICE_NONE);
		PN_ASSERT(slice_find(out, S("\r\n.\r\n")) != SLICE_NONE || slice_find(out, S(" LAST\r\n")) != SLICE_NONE);
	}
	PN_ASSERT(s->end != TALK_OK || mail_done(&s->mail));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n);
	struct scene s;
	uint8_t kind;

	if (n < 2 || n > 20000)
		return 0;
	kind = slice_at(in, 1);
	scene_init(&s, slice_from(in, 2));
	s.mem.chunk = slice_at(in, 0);
	s.t.lmtp = (kind & 1) != 0;
	s.mail.eight = (kind & 2) != 0;
	s.mail.utf8 = (kind & 4) != 0;
	s.m.requiretls = (kind & 8) != 0;
	if ((kind & 16) != 0)
		s.mail.body = S("bare\rreturn\n.\nand\r.\r\n.\r\n");
	s.t.verified = (kind & 32) != 0;
	scene_play(&s);
	if (s.hello == TALK_OK && !s.t.dead && (kind & 64) != 0)
		(void)talk_login(&s.t, S("user"), S("secret"));
	only_crlf(buf_slice(&s.mem.out));
	verdicts(&s, s.mem.in);
	scene_end(&s);
	return 0;
}
