/* SPDX-License-Identifier: MIT
 * A conversation up to the point where mail can be sent: replies, the greeting, EHLO, STARTTLS (RFC 5321 3.1, 3.2;
 * RFC 3207). Whatever a server says, it costs at most its time limits, and no text of its own goes anywhere but through
 * the reply reader. */
#include <stdarg.h>
#include <stdio.h>

#include "lib/clock/clock.h"
#include "rooms/send/send.h"

int64_t
talk_until(const struct talk *t, int64_t ms)
{
	int64_t at = (int64_t)clock_mono_ms() + ms;

	return at < t->total ? at : t->total;
}

static bool
lost(struct talk *t, const char *why)
{
	smtp_reply_begin(&t->reply);
	t->dead = true;
	t->why = why;
	return false;
}

static const char *
words(enum stream_status st)
{
	switch (st) {
	case STREAM_EOF:
		return "the connection was closed";
	case STREAM_TIMEOUT:
		return "no reply in time";
	case STREAM_TOO_LONG:
	case STREAM_BAD:
		return "a reply that is none";
	default:
		return "the connection was lost";
	}
}

/* One reply; offer, where not NULL, gets EHLO's keywords. */
static bool
read_reply(struct talk *t, int64_t ms, struct smtp_offer *offer)
{
	int64_t deadline = talk_until(t, ms);
	enum smtp_reply_step step = SMTP_REPLY_MORE;
	struct slice line, body;

	if (t->dead)
		return false;
	smtp_reply_begin(&t->reply);
	while (step == SMTP_REPLY_MORE) {
		enum stream_status st = stream_line(&t->s, LIMIT_SMTP_REPLY_LINE, deadline, &line);

		if (st != STREAM_OK)
			return lost(t, words(st));
		step = smtp_reply_line(&t->reply, line, &body);
		if (step == SMTP_REPLY_BAD)
			return lost(t, "a reply that is none");
		if (offer != NULL && t->reply.lines > 1)
			smtp_offer_line(offer, body);
	}
	if (t->reply.code == 421) { /* it closes now: RFC 5321 4.2.3 */
		t->dead = true;
		t->why = "the service is closing";
	}
	return true;
}

bool
talk_reply(struct talk *t, int64_t ms)
{
	return read_reply(t, ms, NULL);
}

static bool
put(struct talk *t, struct slice line)
{
	int64_t deadline = talk_until(t, t->times->command);

	if (t->dead)
		return false;
	if (stream_write(&t->s, line, deadline) == STREAM_OK && stream_write(&t->s, S("\r\n"), deadline) == STREAM_OK)
		return true;
	return lost(t, "the connection was lost");
}

bool
talk_say(struct talk *t, const char *format, ...)
{
	char line[LIMIT_SMTP_LINE];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	PN_ASSERT(n >= 0);
	if ((size_t)n >= sizeof line)
		return lost(t, "a command would be too long");
	return put(t, slice_of(line, (size_t)n));
}

bool
talk_ask(struct talk *t, int64_t ms, struct slice line)
{
	return put(t, line) && read_reply(t, ms, NULL);
}

static bool
ok(const struct talk *t)
{
	return !t->dead && t->reply.code / 100 == 2;
}

/* EHLO, HELO behind it where that is not known; LHLO (RFC 2033). */
static bool
greet(struct talk *t, struct slice helo)
{
	t->offer = (struct smtp_offer){ 0 };
	t->esmtp = false;
	if (!talk_say(t, "%s %.*s", t->lmtp ? "LHLO" : "EHLO", SFMT(helo)) ||
	    !read_reply(t, t->times->greeting, &t->offer))
		return false;
	if (ok(t)) {
		t->esmtp = true;
		return true;
	}
	t->offer = (struct smtp_offer){ 0 };
	if (t->lmtp || t->dead || t->reply.code / 100 != 5)
		return false;
	return talk_say(t, "HELO %.*s", SFMT(helo)) && read_reply(t, t->times->greeting, NULL) && ok(t);
}

static const char *
tls_result(enum tls_problem p)
{
	switch (p) {
	case TLS_PROBLEM_NAME:
		return "certificate-host-mismatch";
	case TLS_PROBLEM_EXPIRED:
		return "certificate-expired";
	case TLS_PROBLEM_UNTRUSTED:
		return "certificate-not-trusted";
	case TLS_PROBLEM_TLSA:
		return "tlsa-invalid";
	default:
		return "validation-failure";
	}
}

static enum talk_end
encrypt(struct talk *t, struct slice host, struct tls_client *tls, const struct send_policy *policy)
{
	struct tls_want want = { .trust = TLS_TRUST_ANY,
		.sni = policy->sni.n > 0 ? policy->sni : host,
		.names = policy->names,
		.n_names = policy->n_names,
		.tlsa = policy->tlsa,
		.n_tlsa = policy->n_tlsa };

	if (policy->level == SEND_DANE)
		want.trust = TLS_TRUST_DANE;
	else if (policy->level == SEND_NAME)
		want.trust = TLS_TRUST_NAME;
	if (want.sni.n > 0 && slice_at(want.sni, 0) == '[')
		want.sni = S("");
	t->tls = (struct tls_link){ .problem = TLS_PROBLEM_HANDSHAKE, .reason = "there is no TLS here" };
	if (tls != NULL && tls_client_start(tls, &t->s, &t->tls, &want, talk_until(t, t->times->command))) {
		t->secure = true;
		t->verified = want.trust != TLS_TRUST_ANY;
		return TALK_OK;
	}
	t->tls_result = tls_result(t->tls.problem);
	t->tls_reason = t->tls.reason;
	(void)lost(t, "no TLS could be agreed upon");
	return policy->level == SEND_MAY ? TALK_PLAIN : TALK_POLICY;
}

/* No STARTTLS to be had. */
static enum talk_end
without(struct talk *t, const struct send_policy *policy, const char *reason)
{
	t->tls_result = "starttls-not-supported";
	t->tls_reason = reason;
	if (policy->level == SEND_MAY)
		return t->dead ? TALK_NEXT : TALK_OK;
	t->why = "no STARTTLS, which the policy of the destination asks for";
	return TALK_POLICY;
}

/* RFC 3207. */
static enum talk_end
starttls(struct talk *t, struct slice helo, struct slice host, struct tls_client *tls, const struct send_policy *policy)
{
	enum talk_end e;

	if (!t->offer.starttls)
		return without(t, policy, "STARTTLS is not offered");
	if (!talk_ask(t, t->times->command, S("STARTTLS")))
		return TALK_NEXT;
	if (t->reply.code != 220)
		return without(t, policy, "STARTTLS is refused");
	if (stream_discard(&t->s) > 0) {
		/* T-002: what stands behind the reply was put there to be believed after the handshake */
		t->injected = true;
		t->tls_result = "validation-failure";
		t->tls_reason = "text behind the reply to STARTTLS";
		(void)lost(t, "text was injected behind the reply to STARTTLS");
		return TALK_NEXT;
	}
	e = encrypt(t, host, tls, policy);
	if (e != TALK_OK)
		return e;
	return greet(t, helo) ? TALK_OK : TALK_NEXT;
}

enum talk_end
talk_hello(struct talk *t, struct slice helo, struct slice host, struct tls_client *tls,
    const struct send_policy *policy, bool implicit)
{
	enum talk_end e = implicit ? encrypt(t, host, tls, policy) : TALK_OK;

	if (e != TALK_OK)
		return e;
	if (!read_reply(t, t->times->greeting, NULL) || t->reply.code != 220 || !greet(t, helo))
		return TALK_NEXT;
	if (!t->secure && policy->level != SEND_PLAIN)
		e = starttls(t, helo, host, tls, policy);
	return e;
}

void
talk_close(struct talk *t)
{
	if (!t->dead && talk_say(t, "QUIT"))
		(void)stream_flush(&t->s, 0);
	stream_close(&t->s);
}
