/* SPDX-License-Identifier: MIT
 * XCLIENT, as Postfix has it (XCLIENT_README): a front end that is trusted by its address says who the client
 * really is. Anybody else gets what any unknown command gets (S-090). The address that door saw stays the
 * one that is asked whether it may say so. */
#include "lib/base/own.h"
#include "lib/make/reply.h"
#include "rooms/smtp/session.h"

/* One attribute; "[UNAVAILABLE]" and "[TEMPUNAVAIL]" say nothing. False: 501. */
static bool
attribute(struct slice word, struct ip *ip, struct slice *helo, bool *esmtp)
{
	struct slice key, value, name;

	if (!slice_cut(word, '=', &key, &value) || value.n == 0)
		return false;
	if (slice_ieq(value, S("[UNAVAILABLE]")) || slice_ieq(value, S("[TEMPUNAVAIL]")))
		return true;
	if (slice_ieq(key, S("ADDR"))) {
		if (slice_istarts(value, S("IPV6:")))
			value = slice_from(value, 5);
		return ip_parse(value, ip);
	}
	if (slice_ieq(key, S("HELO"))) {
		if (!smtp_helo_parse(value, &name))
			return false;
		*helo = name;
		return true;
	}
	if (slice_ieq(key, S("PROTO"))) {
		*esmtp = slice_ieq(value, S("ESMTP"));
		return *esmtp || slice_ieq(value, S("SMTP"));
	}
	return slice_ieq(key, S("NAME")) || slice_ieq(key, S("PORT")); /* we ask the DNS ourselves */
}

void
smtp_xclient(struct smtp_session *s, const struct smtp_command *cmd)
{
	own(buf_t) text = { .max = LIMIT_IP_TEXT }, greeting = { .max = 400 };
	struct slice word, rest = cmd->args, helo = S("");
	bool esmtp = s->esmtp, more = cmd->args.n > 0;
	struct ip ip = s->peer.ip;

	if (!ip_nets_have(&smtp_on(s)->xclient_from, &s->peer.door_ip)) {
		smtp_error(s, 500, "5.5.1", "unknown command");
		return;
	}
	if (s->txn.arena != NULL) {
		smtp_error(s, 503, "5.5.1", "not within a transaction");
		return;
	}
	while (more) {
		more = slice_cut(rest, ' ', &word, &rest);
		if (!more)
			word = rest;
		if (word.n > 0 && !attribute(word, &ip, &helo, &esmtp)) {
			smtp_error(s, 501, "5.5.4", "attributes are NAME, ADDR, PORT, PROTO and HELO");
			return;
		}
	}
	txn_reset(s);
	s->peer.ip = ip_unmap(ip);
	s->account_id = 0;
	buf_reset(&s->account);
	buf_reset(&s->helo);
	PN_ASSERT(buf_add(&s->helo, helo));
	s->esmtp = esmtp;
	(void)ip_put(&text, &s->peer.ip);
	SMTP_EVENT(s, EVENT_SMTP_CLIENT, EF("ip", buf_slice(&text)), EF("helo", helo));
	PN_ASSERT(buf_add(&greeting, s->conf->hostname) && buf_add(&greeting, S(" ESMTP Postern")) &&
	    buf_byte(&greeting, 0));
	smtp_reply(s, 220, NULL, (const char *)greeting.p);
}
