/* SPDX-License-Identifier: MIT
 * SCRAM-SHA-256 and -PLUS at a smarthost (RFC 5802, RFC 7677; RFC 9266 for the binding), as the client. What is proved is
 * that both know the password, without saying it: a smarthost that cannot show its signature gets no mail. */
#include <sys/random.h>

#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/idn/idn.h"
#include "lib/parse/sasl/scram.h"
#include "lib/scram/scram.h"
#include "rooms/send/send.h"

#define LINE_MOST ((size_t)4096)
#define RANDOM ((size_t)24) /* octets of a nonce */

/* RFC 7677 section 4 asks servers for 4096 at least; what is over a million costs more than a second of our time. */
#define ITERATIONS_LEAST 4096u
#define ITERATIONS_MOST 1000000u

struct exchange {
	struct talk *t;
	struct arena *a;
	struct slice password, nonce;
	char flag; /* of the header: 'n', 'y', 'p' */
	struct slice bare;
	uint8_t signature[SCRAM_KEY]; /* what the server has to show */
};

/* It ends here, by us: the mail waits, as nothing was decided about it. */
static enum talk_scram
give_up(struct talk *t, const char *why)
{
	smtp_reply_begin(&t->reply);
	t->why = why;
	return TALK_SCRAM_FAILED;
}

/* An exchange that has begun is cancelled before (RFC 4954 section 4). */
static enum talk_scram
cancel(struct talk *t, const char *why)
{
	(void)talk_ask(t, t->times->command, S("*"));
	return give_up(t, why);
}

static struct slice
header_of(char flag)
{
	return flag == 'p' ? S("p=tls-exporter,,") : flag == 'y' ? S("y,,") : S("n,,");
}

/* prefix and the base64 form of text in one line. */
static bool
say(struct talk *t, struct slice prefix, struct slice text)
{
	own(buf_t) b = { .max = LINE_MOST };

	(void)buf_add(&b, prefix);
	return base64_encode(&b, text) && talk_ask(t, t->times->command, buf_slice(&b));
}

/* client-first-message (section 7): the name with its commas and equals signs written out. */
static bool
say_first(struct exchange *x, struct slice user)
{
	own(buf_t) bare = { .max = LINE_MOST / 2 }, whole = { .max = LINE_MOST / 2 };

	(void)buf_add(&bare, S("n="));
	for (size_t i = 0; i < user.n; i++) {
		uint8_t c = slice_at(user, i);

		(void)buf_add(&bare, c == ',' ? S("=2C") : c == '=' ? S("=3D") : slice_sub(user, i, 1));
	}
	(void)buf_add(&bare, S(",r="));
	if (!buf_add(&bare, x->nonce) || !arena_copy(x->a, buf_slice(&bare), &x->bare))
		return false;
	(void)buf_add(&whole, header_of(x->flag));
	return buf_add(&whole, x->bare) &&
	    say(x->t, x->flag == 'p' ? S("AUTH SCRAM-SHA-256-PLUS ") : S("AUTH SCRAM-SHA-256 "), buf_slice(&whole));
}

/* What the server said behind 334; false where that is no base64. */
static bool
said(struct exchange *x, struct slice *out)
{
	return base64_decode(smtp_reply_text(&x->t->reply), x->a, out);
}

/* c= and r=: the client-final-message as far as it is signed. */
static bool
put_without_proof(const struct exchange *x, struct slice nonce, struct buf *b)
{
	uint8_t binding[TLS_BINDING];
	own(buf_t) bound = { .max = 128 };

	(void)buf_add(&bound, header_of(x->flag));
	if (x->flag == 'p' && (!tls_binding(x->t->tls.conn, binding) || !buf_add(&bound, slice_of(binding, sizeof binding))))
		return false;
	(void)buf_add(b, S("c="));
	(void)base64_encode(b, buf_slice(&bound));
	(void)buf_add(b, S(",r="));
	return buf_add(b, nonce);
}

/* client-final-message. */
static bool
say_final(struct exchange *x, struct slice first, const struct scram_challenge *ch)
{
	own(buf_t) final = { .max = LINE_MOST / 2 }, signed_ = { .max = LINE_MOST };
	uint8_t proof[SCRAM_KEY];
	bool ok;

	if (!put_without_proof(x, ch->nonce, &final))
		return false;
	(void)buf_add(&signed_, x->bare);
	(void)buf_byte(&signed_, ',');
	(void)buf_add(&signed_, first);
	(void)buf_byte(&signed_, ',');
	if (!buf_add(&signed_, buf_slice(&final)))
		return false;
	scram_prove(x->password, ch->salt, ch->iterations, buf_slice(&signed_), proof, x->signature);
	(void)buf_add(&final, S(",p="));
	ok = base64_encode(&final, slice_of(proof, sizeof proof)) && say(x->t, S(""), buf_slice(&final));
	return ok;
}

/* server-final-message, the empty answer to it, and 235. */
static enum talk_scram
prove(struct exchange *x)
{
	struct talk *t = x->t;
	uint8_t signature[SCRAM_PROOF];
	struct slice final;

	if (t->reply.code >= 400)
		return TALK_SCRAM_FAILED;
	if (t->reply.code != 334)
		return give_up(t, "the smarthost did not show that it knows the password");
	if (!said(x, &final) || scram_verdict_parse(final, x->a, signature) != SASL_OK || !scram_equal(signature, x->signature))
		return cancel(t, "the smarthost could not show that it knows the password");
	return talk_ask(t, t->times->command, S("")) && !t->dead && t->reply.code == 235 ? TALK_SCRAM_IN : TALK_SCRAM_FAILED;
}

enum talk_scram
talk_scram(struct talk *t, struct slice user, struct slice password, struct slice nonce, char flag)
{
	own(arena_p) a = arena_new("scram", LIMIT_ARENA_SESSION);
	struct exchange x = { .t = t, .a = a, .nonce = nonce, .flag = flag };
	struct scram_challenge ch;
	struct slice first;

	if (!idn_password(user, a, &user) || !idn_password(password, a, &x.password) || x.password.n == 0)
		return give_up(t, "the credentials of the smarthost are too long");
	if (!say_first(&x, user))
		return t->dead ? TALK_SCRAM_FAILED : give_up(t, "the credentials of the smarthost are too long");
	if (t->dead || t->reply.code != 334)
		return !t->dead && t->reply.code / 100 == 5 ? TALK_SCRAM_REFUSED : TALK_SCRAM_FAILED;
	if (!said(&x, &first) || scram_challenge_parse(first, a, &ch) != SASL_OK)
		return cancel(t, "the smarthost's challenge is none of SCRAM");
	if (!slice_starts(ch.nonce, nonce) || ch.nonce.n == nonce.n)
		return cancel(t, "the smarthost's challenge is for somebody else");
	if (ch.iterations < ITERATIONS_LEAST || ch.iterations > ITERATIONS_MOST)
		return cancel(t, "the smarthost asks for too few or too many iterations (SCRAM)");
	if (!say_final(&x, first, &ch))
		return t->dead ? TALK_SCRAM_FAILED : cancel(t, "no answer to the smarthost's challenge can be computed");
	return t->dead ? TALK_SCRAM_FAILED : prove(&x);
}

enum talk_scram
talk_scram_any(struct talk *t, struct slice user, struct slice password)
{
	uint8_t random[RANDOM], binding[TLS_BINDING];
	bool binds = t->secure && t->tls.conn != NULL && tls_binding(t->tls.conn, binding);
	own(buf_t) nonce = { .max = 64 };
	enum talk_scram e = TALK_SCRAM_REFUSED;

	PN_ASSERT(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random &&
	    base64_encode(&nonce, slice_of(random, sizeof random)));
	if (t->offer.scram_plus && binds)
		e = talk_scram(t, user, password, buf_slice(&nonce), 'p');
	/* a server may know other bindings than tls-exporter: 'y' would call its offer a lie (section 6) */
	if (e == TALK_SCRAM_REFUSED && t->offer.scram)
		e = talk_scram(t, user, password, buf_slice(&nonce), binds && !t->offer.scram_plus ? 'y' : 'n');
	return e;
}
