/* SPDX-License-Identifier: MIT
 * DATA (RFC 5321 section 4.1.1.4). */
#include "rooms/smtp/content.h"

void
smtp_data_begin(struct smtp_session *s, const struct smtp_command *cmd)
{
	(void)cmd;
	if (s->txn.n_rcpts == 0) {
		smtp_error(s, 503, "5.5.1", "no recipient was accepted");
		return;
	}
	if (s->txn.content != NULL) {
		/* RFC 3030 section 3: the two do not mix, and what was begun is lost */
		txn_reset(s);
		smtp_error(s, 503, "5.5.1", "BDAT was said before");
	} else if (smtp_content_begin(s, false)) {
		smtp_reply(s, 354, NULL, "end with CRLF.CRLF");
	} else {
		smtp_refuse(s, "data", S(""), 452, "4.3.1", "try later");
		txn_reset(s);
	}
}

bool
smtp_data_continue(struct smtp_session *s)
{
	struct content *c = s->txn.content;
	struct smtp_data_sink sink = smtp_content_sink(c);
	struct slice piece;
	size_t used;
	bool end;

	switch (stream_peek(&s->stream, smtp_after(SMTP_LINGER_MS), &piece)) {
	case STREAM_OK:
		break;
	case STREAM_TIMEOUT:
		return false;
	default: /* gone before the end of data: nothing was accepted (S-017) */
		s->over = true;
		return true;
	}
	end = smtp_data_feed(&c->frame, piece, &sink, &used);
	stream_consume(&s->stream, used);
	c->got += used;
	if (end) {
		smtp_lmtp_content_reply(s);
		smtp_hand_over(s);
	} else {
		(void)smtp_content_in_time(s, c);
	}
	return true;
}
