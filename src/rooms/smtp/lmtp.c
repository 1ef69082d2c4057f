/* SPDX-License-Identifier: MIT
 * LMTP (RFC 2033): the same session for mail servers that deliver to the users of this one. What differs is
 * the first command, that there is neither TLS nor AUTH, that only listed peers are heard, and that the
 * content is answered once for each recipient that was taken. queue makes a message durable for all of its
 * recipients or for none, so the replies are alike. */
#include "lib/base/own.h"
#include "rooms/smtp/session.h"

bool
smtp_speaks(const struct smtp_session *s, unsigned flags)
{
	return (flags & (s->conf->lmtp ? ONLY_SMTP : ONLY_LMTP)) == 0;
}

/* A peer without an address came over a Unix socket: who may was decided by its mode. */
bool
smtp_lmtp_welcome(struct smtp_session *s)
{
	own(buf_t) ip = { .max = LIMIT_IP_TEXT };

	if (!s->conf->lmtp || s->peer.ip.n == 0 || ip_nets_have(s->conf->lmtp_from, &s->peer.ip))
		return true;
	(void)ip_put(&ip, &s->peer.ip);
	SMTP_EVENT(s, EVENT_LMTP_REFUSED, EF("ip", buf_slice(&ip)));
	smtp_cut(s, 554, "5.7.1", "not for you");
	return false;
}

/* Section 4.2: also where the content is refused. */
void
smtp_lmtp_content_reply(struct smtp_session *s)
{
	if (s->conf->lmtp)
		s->txn.replies = s->txn.taken;
}
