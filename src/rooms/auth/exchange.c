/* SPDX-License-Identifier: MIT
 * SCRAM between its two steps: what the client said first and what we answered, held here, so that a
 * room that is taken over can replay no proof: our nonce is drawn here and is good for one answer.
 *
 * A name that nobody has gets a salt that is made of the name and a secret of this installation, the same
 * every time, and keys that no password fits; it costs what everybody costs (U-006, U-007). */
#include <stdlib.h>

#include "ipc/lobby_auth.h"
#include "ipc/smtp_auth.h"
#include "lib/base/encode.h"
#include "lib/clock/clock.h"
#include "rooms/auth/house.h"

#define EXCHANGES 512u	     /* under way (count); over it, "try later" */
#define EXCHANGE_MS 60000u   /* from the first step to the second */
#define SAID_MOST ((size_t)2500)

struct exchange {
	struct exchange *next;
	enum auth_service service;
	uint64_t session, until_ms, account, revision;
	struct scram_keys keys;
	struct ip ip;
	struct buf said; /* client-first-message-bare "," server-first-message */
	struct buf nonce;
	char name[LIMIT_LOGIN_NAME];
	size_t name_n;
};

/* Keys that no password fits, as they would be stored: nobody costs what somebody costs. */
static void
make_nobody(struct auth_room *r)
{
	struct scram_keys k = { .iterations = SCRAM_ITERATIONS };
	own(buf_t) text = { .max = sizeof r->nobody };

	randombytes_buf(k.stored, sizeof k.stored);
	randombytes_buf(k.server, sizeof k.server);
	PN_ASSERT(buf_byte(&text, '\n') && scram_put(&text, &k) && buf_byte(&text, 0));
	memcpy(r->nobody, text.p, text.n);
}

enum store_err
auth_exchange_init(struct auth_room *r)
{
	own(arena_p) a = arena_new("secret", LIMIT_ARENA_COMMAND);
	struct slice kept;
	enum store_err e = setting_get(r->accounts, S("scram-secret"), a, &kept);

	make_nobody(r);
	if (e == STORE_OK && kept.n == sizeof r->nobody_salt) {
		memcpy(r->nobody_salt, kept.p, kept.n);
		return STORE_OK;
	}
	if (e != STORE_OK && e != STORE_NONE)
		return e;
	randombytes_buf(r->nobody_salt, sizeof r->nobody_salt);
	return setting_put(r->accounts, S("scram-secret"), slice_of(r->nobody_salt, sizeof r->nobody_salt));
}

static void
drop(struct auth_room *r, struct exchange **at)
{
	struct exchange *x = *at;

	*at = x->next;
	r->n_exchanges--;
	buf_free(&x->said);
	buf_free(&x->nonce);
	sodium_memzero(x, sizeof *x);
	free(x);
}

/* Those that waited too long, and an earlier one of this session; how many of this address are left. */
static unsigned
tidy(struct auth_room *r, const struct exchange *mine)
{
	uint64_t now = clock_mono_ms();
	unsigned n = 0;

	for (struct exchange **at = &r->exchanges; *at != NULL;) {
		struct exchange *x = *at;

		if (x->until_ms <= now || (x->session == mine->session && x->service == mine->service)) {
			drop(r, at);
			continue;
		}
		n += x->ip.n > 0 && x->ip.n == mine->ip.n && memcmp(x->ip.b, mine->ip.b, sizeof x->ip.b) == 0;
		at = &x->next;
	}
	return n;
}

static void
salt_of_nobody(const struct auth_room *r, struct slice name, struct scram_keys *k)
{
	crypto_generichash_state st;

	(void)crypto_generichash_init(&st, r->nobody_salt, sizeof r->nobody_salt, SCRAM_SALT);
	for (size_t i = 0; i < name.n; i++) {
		uint8_t b = ch_lower(slice_at(name, i)); /* as accounts are found */

		(void)crypto_generichash_update(&st, &b, 1);
	}
	(void)crypto_generichash_final(&st, k->salt, SCRAM_SALT);
}

/* Who it is, or nobody. False: accounts.db fails. */
static bool
find(struct auth_room *r, struct slice name, struct exchange *x)
{
	own(arena_p) a = arena_new("login", LIMIT_ARENA_COMMAND);
	struct account acc = { 0 };
	enum store_err e = account_find(r->accounts, name, a, &acc);
	struct slice hash = slice_z(r->nobody);
	struct scram_keys nobody;

	if (e != STORE_OK && e != STORE_NONE)
		return false;
	if (e == STORE_OK && !r->no_scram && slice_find_byte(acc.hash, '\n') != SLICE_NONE) {
		hash = acc.hash;
		x->account = acc.id;
		x->revision = acc.revision;
	}
	salt_of_nobody(r, name, &nobody);
	/* keys of another number of iterations would tell who has an account: they have to be made again */
	if (!scram_read(hash, &x->keys) || x->keys.iterations != SCRAM_ITERATIONS) {
		x->account = 0;
		x->keys.iterations = SCRAM_ITERATIONS;
	}
	if (x->account == 0)
		memcpy(x->keys.salt, nobody.salt, SCRAM_SALT);
	return true;
}

/* r= is an attribute of the bare message; the parser of the asking room has looked at it, and here it is
 * only looked for. */
static bool
client_nonce(struct slice bare, struct slice *out)
{
	size_t at = slice_find(bare, S(",r=")), end;

	if (at == SLICE_NONE)
		return false;
	*out = slice_from(bare, at + 3);
	end = slice_find_byte(*out, ',');
	if (end != SLICE_NONE)
		*out = slice_head(*out, end);
	return out->n > 0 && out->n <= 256;
}

static bool
challenge(struct exchange *x, struct slice bare)
{
	uint8_t random[18];
	struct slice nonce;

	if (!client_nonce(bare, &nonce))
		return false;
	randombytes_buf(random, sizeof random);
	(void)buf_add(&x->nonce, nonce);
	(void)base64_encode(&x->nonce, slice_of(random, sizeof random));
	(void)buf_add(&x->said, bare);
	(void)buf_add(&x->said, S(",r="));
	(void)buf_add(&x->said, buf_slice(&x->nonce));
	(void)buf_add(&x->said, S(",s="));
	(void)base64_encode(&x->said, slice_of(x->keys.salt, SCRAM_SALT));
	(void)buf_add(&x->said, S(",i="));
	return buf_u64(&x->said, x->keys.iterations) && !x->nonce.bad;
}

static void
answer_first(const struct auth_asked *q, enum smtp_auth_login_status status, struct slice text)
{
	struct smtp_auth_scram_first_answer s = { .status = status, .challenge = text };
	struct lobby_auth_scram_first_answer l = { .status = (enum lobby_auth_login_status)status,
		.challenge = text };

	if (q->service == AUTH_SERVICE_SUBMISSION)
		(void)smtp_auth_scram_first_answer(q->call, &s);
	else
		(void)lobby_auth_scram_first_answer(q->call, &l);
}

void
auth_exchange_first(struct auth_room *r, const struct auth_asked *q, struct slice bare)
{
	struct exchange *x = calloc(1, sizeof *x);
	bool ok;

	PN_ASSERT(x != NULL && q->name.n <= sizeof x->name);
	x->service = q->service;
	x->session = q->session;
	x->until_ms = clock_mono_ms() + EXCHANGE_MS;
	x->ip.n = q->peer_ip.n == 4 || q->peer_ip.n == 16 ? (uint8_t)q->peer_ip.n : 0;
	memcpy(x->ip.b, q->peer_ip.p == NULL ? (const uint8_t *)"" : q->peer_ip.p, x->ip.n);
	x->name_n = q->name.n;
	memcpy(x->name, q->name.p == NULL ? (const uint8_t *)"" : q->name.p, q->name.n);
	buf_init(&x->said, SAID_MOST);
	buf_init(&x->nonce, 400);
	ok = tidy(r, x) < 2 * AUTH_PER_ADDRESS && r->n_exchanges < EXCHANGES && find(r, q->name, x) &&
	    challenge(x, bare);
	x->next = r->exchanges;
	r->exchanges = x;
	r->n_exchanges++;
	if (ok) {
		answer_first(q, SMTP_AUTH_LOGIN_STATUS_YES, slice_from(buf_slice(&x->said), bare.n + 1));
	} else {
		answer_first(q, SMTP_AUTH_LOGIN_STATUS_TRY_LATER, S(""));
		drop(r, &r->exchanges);
	}
}

/* client-final-message-without-proof: "c=...,r=" and our nonce, then nothing or extensions. */
static bool
has_nonce(struct slice final, struct slice nonce)
{
	size_t at = slice_find_byte(final, ',');
	struct slice rest;

	if (at == SLICE_NONE || !slice_starts(slice_from(final, at), S(",r=")))
		return false;
	rest = slice_from(final, at + 3);
	return slice_starts(rest, nonce) && (rest.n == nonce.n || slice_at(rest, nonce.n) == ',');
}

void
auth_exchange_final(struct auth_room *r, const struct auth_asked *q, struct slice without_proof,
    struct slice proof)
{
	own(buf_t) text = { .max = 2 * SAID_MOST };
	struct auth_proof p = { .right = false };
	struct auth_asked named = *q;
	struct exchange **at = &r->exchanges;
	uint64_t now = clock_mono_ms();

	while (*at != NULL && ((*at)->session != q->session || (*at)->service != q->service))
		at = &(*at)->next;
	if (*at == NULL) {
		auth_proved(r, q, &p);
		return;
	}
	named.name = slice_of((*at)->name, (*at)->name_n);
	named.peer_ip = slice_of((*at)->ip.b, (*at)->ip.n);
	p.account = (*at)->account;
	p.revision = (*at)->revision;
	(void)buf_add(&text, buf_slice(&(*at)->said));
	(void)buf_byte(&text, ',');
	if (buf_add(&text, without_proof) && proof.n == SCRAM_KEY)
		p.right = scram_verify(&(*at)->keys, buf_slice(&text), proof.p, p.signature) &&
		    has_nonce(without_proof, buf_slice(&(*at)->nonce)) && p.account != 0 &&
		    (*at)->until_ms > now;
	auth_proved(r, &named, &p);
	drop(r, at); /* one proof for one nonce */
}

struct keyed {
	char address[LIMIT_LOGIN_NAME + 1];
	char hash[HASHER_TEXT];
	size_t address_n, hash_n;
};

/* The first account that has keys. */
static bool
is_keyed(void *ctx, const struct account *acc)
{
	struct keyed *k = ctx;
	size_t n = slice_find_byte(acc->hash, '\n');

	if (n == SLICE_NONE || n >= sizeof k->hash || acc->address.n > sizeof k->address)
		return true;
	memcpy(k->address, acc->address.p, acc->address.n);
	k->address_n = acc->address.n;
	memcpy(k->hash, acc->hash.p, n);
	k->hash_n = n;
	return false;
}

enum store_err
auth_exchange_off(struct auth_room *r)
{
	struct keyed k = { 0 };
	enum store_err e;

	r->no_scram = true;
	for (;;) {
		k.hash_n = 0;
		e = account_list(r->accounts, slice_of(k.address, k.address_n), is_keyed, &k);
		if (e != STORE_OK || k.hash_n == 0)
			return e;
		e = account_set_hash(r->accounts, slice_of(k.address, k.address_n), slice_of(k.hash, k.hash_n),
		    auth_change_now());
		if (e != STORE_OK)
			return e;
	}
}

void
auth_exchange_end(struct auth_room *r)
{
	while (r->exchanges != NULL)
		drop(r, &r->exchanges);
}
