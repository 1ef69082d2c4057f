/* SPDX-License-Identifier: MIT
 * AUTH at a smarthost (RFC 4954): SCRAM-SHA-256 where it is offered, else PLAIN (RFC 4616), else LOGIN. The caller has
 * made sure that TLS is on and that the other side is the smarthost. */
#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "rooms/send/send.h"

#define LINE_MOST ((size_t)4096)

/* Says prefix and the base64 form of secret in one line, and forgets both. */
static bool
say_secret(struct talk *t, struct slice prefix, struct slice secret)
{
	own(buf_t) b = { .max = LINE_MOST };
	bool said;

	(void)buf_add(&b, prefix);
	said = base64_encode(&b, secret) && talk_ask(t, t->times->command, buf_slice(&b));
	return said;
}

static bool
plain(struct talk *t, struct slice user, struct slice password)
{
	own(buf_t) b = { .max = LINE_MOST / 2 };

	(void)buf_byte(&b, 0);
	(void)buf_add(&b, user);
	(void)buf_byte(&b, 0);
	return buf_add(&b, password) && say_secret(t, S("AUTH PLAIN "), buf_slice(&b));
}

static bool
login(struct talk *t, struct slice user, struct slice password)
{
	return talk_ask(t, t->times->command, S("AUTH LOGIN")) && t->reply.code == 334 &&
	    say_secret(t, S(""), user) && t->reply.code == 334 && say_secret(t, S(""), password);
}

/* The password itself is said to a smarthost only where it offers nothing better, or refuses that at once; not after an
 * exchange in which one side did not know it. */
bool
talk_login(struct talk *t, struct slice user, struct slice password)
{
	enum talk_scram e = TALK_SCRAM_REFUSED;
	bool said;

	if (t->offer.scram || t->offer.scram_plus)
		e = talk_scram_any(t, user, password);
	if (e != TALK_SCRAM_REFUSED)
		return e == TALK_SCRAM_IN;
	if (!t->offer.plain && !t->offer.login) {
		if (t->reply.code / 100 == 5) /* what it said to SCRAM */
			return false;
		t->why = "the smarthost offers no way to log in that we have";
		smtp_reply_begin(&t->reply);
		return false;
	}
	said = t->offer.plain ? plain(t, user, password) : login(t, user, password);
	return said && !t->dead && t->reply.code == 235;
}
