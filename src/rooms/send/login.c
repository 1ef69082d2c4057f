/* SPDX-License-Identifier: MIT
 * AUTH at a smarthost (RFC 4954): PLAIN where it is offered (RFC 4616), else LOGIN. The caller has
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

bool
talk_login(struct talk *t, struct slice user, struct slice password)
{
	bool said;

	if (!t->offer.plain && !t->offer.login) {
		t->why = "the smarthost offers no way to log in that we have";
		smtp_reply_begin(&t->reply);
		return false;
	}
	said = t->offer.plain ? plain(t, user, password) : login(t, user, password);
	return said && !t->dead && t->reply.code == 235;
}
