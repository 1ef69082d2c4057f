/* SPDX-License-Identifier: MIT
 * SCRAM in auth, over its channels: one proof for one nonce, bounded in number and time, and nobody can be told
 * from somebody: the same shape, the same calls (U-006, U-007, U-018). scram_read() and scram_verify() are
 * wrapped by the linker to be counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/lobby_auth.h"
#include "ipc/smtp_auth.h"
#include "lib/base/encode.h"
#include "lib/clock/clock.h"
#include "rooms/auth/house.h"

#define PASSWORD "j\xc3\xb6rg's password" /* in normal form C */
#define DECOMPOSED "jo\xcc\x88rg's password"
#define JOERG "j\xc3\xb6rg@example.test"

static struct auth_room room;
static struct ipc_channel *submission, *lobby, *warden;
static unsigned reads, verifies;

bool __real_scram_read(struct slice hash, struct scram_keys *k);
bool __wrap_scram_read(struct slice hash, struct scram_keys *k);
bool __real_scram_verify(const struct scram_keys *k, struct slice auth_message, const uint8_t *proof,
    uint8_t *signature);
bool __wrap_scram_verify(const struct scram_keys *k, struct slice auth_message, const uint8_t *proof,
    uint8_t *signature);

bool
__wrap_scram_read(struct slice hash, struct scram_keys *k)
{
	reads++;
	return __real_scram_read(hash, k);
}

bool
__wrap_scram_verify(const struct scram_keys *k, struct slice auth_message, const uint8_t *proof,
    uint8_t *signature)
{
	verifies++;
	return __real_scram_verify(k, auth_message, proof, signature);
}

static struct ipc_channel *
join(const char *peer, const char *instance)
{
	struct ipc_channel *ch;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	auth_introduce(&room, peer, instance, ends[0]);
	ch = ipc_channel_new(ends[1], "auth", "");
	ipc_set_nonblocking(ch, true);
	return ch;
}

static bool made;

static void
hashed(struct hash_job *j)
{
	made = j->ok;
}

/* The text that is stored of a password, by the hasher itself. */
static __attribute__((noinline)) void
stored(const char *password, bool no_scram, char *text)
{
	struct hash_job j = { .make = true, .no_scram = no_scram, .done = hashed };

	hash_job_fill(&j, slice_z(password), S(""));
	made = false;
	assert_true(hasher_add(room.hasher, &j));
	for (int i = 0; i < 1000 && !made; i++)
		loop_once(room.loop, 20);
	assert_true(made);
	memcpy(text, j.hash, HASHER_TEXT);
}

static const struct account_change by = { .now = 1, .by = S_INIT("test") };

static int
open_room(void **state)
{
	struct loop *l = loop_new();
	struct accounts *a = NULL;
	char text[HASHER_TEXT], old[HASHER_TEXT + 8];
	uint64_t id;

	(void)unlink("exchange-test.db");
	assert_int_equal(accounts_open("exchange-test.db", &a), STORE_OK);
	assert_true(hasher_prepare());
	assert_true(auth_room_init(&room, NULL, l, a, hasher_new(l, 1, (size_t)1 << 20), 100));
	warden = join("warden", "");
	submission = join("smtp", "submission");
	lobby = join("lobby", "");
	assert_int_equal(domain_add(a, S("example.test"), by), STORE_OK);
	stored(PASSWORD, false, text);
	assert_int_equal(account_add(a, S(JOERG), slice_z(text), by, &id), STORE_OK);
	assert_int_equal(account_add(a, S("off@example.test"), slice_z(text), by, &id), STORE_OK);
	assert_int_equal(account_set_state(a, S("off@example.test"), ACCOUNT_DISABLED, by), STORE_OK);
	/* keys of an earlier version, with other iterations */
	(void)snprintf(old, sizeof old, "%.*s\nSCRAM-SHA-256$16384:%s", (int)slice_find_byte(slice_z(text), '\n'),
	    text, strchr(text, ':') + 1);
	assert_int_equal(account_add(a, S("old@example.test"), slice_z(old), by, &id), STORE_OK);
	stored(PASSWORD, true, text);
	assert_int_equal(slice_find_byte(slice_z(text), '\n'), SLICE_NONE);
	assert_int_equal(account_add(a, S("plain@example.test"), slice_z(text), by, &id), STORE_OK);
	return 0;
}

static int
close_room(void **state)
{
	clock_real();
	auth_stop(&room);
	ipc_channel_free(&warden);
	ipc_channel_free(&submission);
	ipc_channel_free(&lobby);
	loop_free(&room.loop);
	return unlink("exchange-test.db");
}

/* ---- the client's half ---- */

struct said {
	bool come;
	int status;
	uint32_t account;
	char challenge[160];
	uint8_t signature[SCRAM_KEY];
	size_t signature_n;
};

static void
hear(struct said *s, int status, uint32_t account, struct slice challenge, struct slice signature)
{
	*s = (struct said){ .come = true, .status = status, .account = account, .signature_n = signature.n };
	(void)snprintf(s->challenge, sizeof s->challenge, "%.*s", SFMT(challenge));
	if (signature.n == SCRAM_KEY)
		memcpy(s->signature, signature.p, signature.n);
}

static void
on_smtp_first(void *ctx, uint32_t id, struct smtp_auth_scram_first_answer *m)
{
	hear(ctx, (int)m->status, 0, m->challenge, S(""));
}

static void
on_smtp_final(void *ctx, uint32_t id, struct smtp_auth_scram_final_answer *m)
{
	hear(ctx, (int)m->status, m->account, S(""), m->signature);
}

static void
on_smtp_login(void *ctx, uint32_t id, struct smtp_auth_login_answer *m)
{
	hear(ctx, (int)m->status, m->account, S(""), S(""));
}

static void
on_lobby_first(void *ctx, uint32_t id, struct lobby_auth_scram_first_answer *m)
{
	hear(ctx, (int)m->status, 0, m->challenge, S(""));
}

static void
on_lobby_final(void *ctx, uint32_t id, struct lobby_auth_scram_final_answer *m)
{
	hear(ctx, (int)m->status, m->account, S(""), m->signature);
}

static struct said
answer(bool from_lobby)
{
	static const struct smtp_auth_answers smtp = { .scram_first = on_smtp_first,
		.scram_final = on_smtp_final, .login = on_smtp_login };
	static const struct lobby_auth_answers imap = { .scram_first = on_lobby_first,
		.scram_final = on_lobby_final };
	struct said s = { 0 };

	for (int i = 0; i < 200 && !s.come; i++) {
		loop_once(room.loop, 20);
		if (from_lobby)
			(void)lobby_auth_answers_serve(lobby, &imap, &s);
		else
			(void)smtp_auth_answers_serve(submission, &smtp, &s);
	}
	assert_true(s.come);
	return s;
}

static struct said
first_from(struct slice ip, bool by_lobby, uint64_t session, const char *name)
{
	char bare[400];

	(void)snprintf(bare, sizeof bare, "n=%s,r=client", name);
	if (by_lobby) {
		struct lobby_auth_scram_first m = { .session = session, .peer_ip = ip,
			.name = slice_z(name), .bare = slice_z(bare) };

		assert_int_equal(lobby_auth_scram_first_ask(lobby, 1, &m), IPC_OK);
	} else {
		struct smtp_auth_scram_first m = { .session = session, .peer_ip = ip,
			.name = slice_z(name), .bare = slice_z(bare) };

		assert_int_equal(smtp_auth_scram_first_ask(submission, 1, &m), IPC_OK);
	}
	return answer(by_lobby);
}

static struct said
first(bool by_lobby, uint64_t session, const char *name)
{
	return first_from(S("\xc0\0\2\1"), by_lobby, session, name);
}

static struct said
final(bool by_lobby, uint64_t session, const char *without_proof, struct slice proof)
{
	if (by_lobby) {
		struct lobby_auth_scram_final m = { .session = session,
			.without_proof = slice_z(without_proof), .proof = proof };

		assert_int_equal(lobby_auth_scram_final_ask(lobby, 2, &m), IPC_OK);
	} else {
		struct smtp_auth_scram_final m = { .session = session,
			.without_proof = slice_z(without_proof), .proof = proof };

		assert_int_equal(smtp_auth_scram_final_ask(submission, 2, &m), IPC_OK);
	}
	return answer(by_lobby);
}

static struct slice
attribute(const char *message, const char *key)
{
	struct slice m = slice_z(message), rest;
	size_t at = slice_starts(m, slice_z(key)) ? 0 : slice_find(m, slice_z(key)) + 1, end;

	rest = slice_from(m, at + slice_z(key).n - (at == 0 ? 0 : 1));
	end = slice_find_byte(rest, ',');
	return end == SLICE_NONE ? rest : slice_head(rest, end);
}

static void
hmac(const uint8_t *key, struct slice text, uint8_t *out)
{
	crypto_auth_hmacsha256_state st;

	(void)crypto_auth_hmacsha256_init(&st, key, SCRAM_KEY);
	(void)crypto_auth_hmacsha256_update(&st, text.p, text.n);
	(void)crypto_auth_hmacsha256_final(&st, out);
}

/* ClientKey of RFC 5802 section 3; the work is done once for each salt. */
static void
client_key(struct slice password, struct slice salt, uint32_t iterations, uint8_t *key)
{
	static uint8_t salts[8][SCRAM_SALT], keys[8][SCRAM_KEY];
	static size_t n;
	crypto_auth_hmacsha256_state keyed, st;
	uint8_t u[SCRAM_KEY], all[SCRAM_KEY];

	for (size_t i = 0; i < n; i++)
		if (memcmp(salts[i], salt.p, SCRAM_SALT) == 0) {
			memcpy(key, keys[i], SCRAM_KEY);
			return;
		}
	(void)crypto_auth_hmacsha256_init(&keyed, password.p, password.n);
	st = keyed;
	(void)crypto_auth_hmacsha256_update(&st, salt.p, salt.n);
	(void)crypto_auth_hmacsha256_update(&st, (const uint8_t *)"\0\0\0\1", 4);
	(void)crypto_auth_hmacsha256_final(&st, u);
	memcpy(all, u, sizeof all);
	for (uint32_t i = 1; i < iterations; i++) {
		st = keyed;
		(void)crypto_auth_hmacsha256_update(&st, u, sizeof u);
		(void)crypto_auth_hmacsha256_final(&st, u);
		for (size_t k = 0; k < sizeof u; k++)
			all[k] ^= u[k];
	}
	hmac(all, S("Client Key"), key);
	assert_true(n < 8 && salt.n == SCRAM_SALT);
	memcpy(salts[n], salt.p, SCRAM_SALT);
	memcpy(keys[n++], key, SCRAM_KEY);
}

struct proof {
	char without[160];
	uint8_t octets[SCRAM_KEY];
};

/* What an honest client with this password answers; nonce NULL: the one of the challenge. */
static void
prove(const char *name, const struct said *c, const char *nonce, const char *password, struct proof *p)
{
	own(arena_p) a = arena_new("test", 65536);
	own(buf_t) message = { .max = 2000 };
	struct slice salt, ours = attribute(c->challenge, "r=");
	uint8_t key[SCRAM_KEY], hash[SCRAM_KEY];
	uint64_t i = 0;

	assert_true(base64_decode(attribute(c->challenge, ",s="), a, &salt) &&
	    slice_u64(attribute(c->challenge, ",i="), &i));
	assert_int_equal(i, SCRAM_ITERATIONS);
	client_key(slice_z(password), salt, (uint32_t)i, key);
	(void)crypto_hash_sha256(hash, key, sizeof key);
	(void)snprintf(p->without, sizeof p->without, "c=biws,r=%.*s", (int)(nonce ? strlen(nonce) : ours.n),
	    nonce ? nonce : (const char *)ours.p);
	assert_true(buf_add(&message, S("n=")) && buf_add(&message, slice_z(name)) &&
	    buf_add(&message, S(",r=client,")) && buf_add(&message, slice_z(c->challenge)) &&
	    buf_byte(&message, ',') && buf_add(&message, slice_z(p->without)));
	hmac(hash, buf_slice(&message), p->octets);
	for (size_t k = 0; k < SCRAM_KEY; k++)
		p->octets[k] ^= key[k];
}

static __attribute__((noinline)) struct said
attempt(bool by_lobby, uint64_t session, const char *name, const char *password)
{
	struct said c = first(by_lobby, session, name);
	struct proof p;

	assert_int_equal(c.status, SMTP_AUTH_LOGIN_STATUS_YES);
	prove(name, &c, NULL, password, &p);
	return final(by_lobby, session, p.without, slice_of(p.octets, SCRAM_KEY));
}

/* ---- tests ---- */

static void
logs_in(void **state)
{
	struct said s = attempt(false, 1, JOERG, PASSWORD);

	assert_int_equal(s.status, SMTP_AUTH_LOGIN_STATUS_YES);
	assert_int_equal(s.account, 1);
	assert_int_equal(s.signature_n, SCRAM_KEY);
	assert_int_equal(attempt(true, 1, JOERG, PASSWORD).account, 1);
	assert_int_equal(attempt(false, 2, "J\xc3\xb6rg@EXAMPLE.test", PASSWORD).account, 1);
	assert_int_equal(attempt(false, 2, "jo\xcc\x88rg@example.test", PASSWORD).account, 1);
	s = attempt(false, 3, "off@example.test", PASSWORD);
	assert_int_equal(s.status, SMTP_AUTH_LOGIN_STATUS_DISABLED);
	assert_int_equal(s.signature_n, 0);
}

/* PLAIN and LOGIN with a password that another keyboard composes otherwise. */
static void
prepared(void **state)
{
	static const char *const passwords[] = { PASSWORD, DECOMPOSED };

	for (size_t i = 0; i < 2; i++) {
		struct smtp_auth_login m = { .session = 1, .name = S(JOERG), .password = slice_z(passwords[i]) };

		assert_int_equal(smtp_auth_login_ask(submission, 1, &m), IPC_OK);
		assert_int_equal(answer(false).account, 1);
	}
}

/* One nonce is good for one answer, in its own session and service, and only if it is ours. */
static void
once(void **state)
{
	struct said c = first(false, 5, JOERG), again;
	struct proof p, q;

	assert_true(slice_starts(attribute(c.challenge, "r="), S("client")));
	assert_true(attribute(c.challenge, "r=").n >= 6 + 24);
	prove(JOERG, &c, NULL, PASSWORD, &p);
	/* somebody else's session, and the other service */
	assert_int_equal(final(false, 6, p.without, slice_of(p.octets, SCRAM_KEY)).status,
	    SMTP_AUTH_LOGIN_STATUS_NO);
	assert_int_equal(final(true, 5, p.without, slice_of(p.octets, SCRAM_KEY)).status,
	    SMTP_AUTH_LOGIN_STATUS_NO);
	assert_int_equal(final(false, 5, p.without, slice_of(p.octets, SCRAM_KEY)).status,
	    SMTP_AUTH_LOGIN_STATUS_YES);
	assert_int_equal(final(false, 5, p.without, slice_of(p.octets, SCRAM_KEY)).status,
	    SMTP_AUTH_LOGIN_STATUS_NO); /* replayed */
	/* a wrong proof uses the nonce up too */
	c = first(false, 5, JOERG);
	prove(JOERG, &c, NULL, PASSWORD, &p);
	q = p;
	q.octets[0] ^= 1;
	assert_int_equal(final(false, 5, q.without, slice_of(q.octets, SCRAM_KEY)).status,
	    SMTP_AUTH_LOGIN_STATUS_NO);
	assert_int_equal(final(false, 5, p.without, slice_of(p.octets, SCRAM_KEY)).status,
	    SMTP_AUTH_LOGIN_STATUS_NO);
	/* a nonce that is not ours, though the proof fits it */
	c = first(false, 5, JOERG);
	prove(JOERG, &c, "client", PASSWORD, &p);
	assert_int_equal(final(false, 5, p.without, slice_of(p.octets, SCRAM_KEY)).status,
	    SMTP_AUTH_LOGIN_STATUS_NO);
	/* a second beginning of the session ends the first one */
	c = first(false, 5, JOERG);
	again = first(false, 5, JOERG);
	assert_string_not_equal(c.challenge, again.challenge);
	prove(JOERG, &c, NULL, PASSWORD, &p);
	assert_int_equal(final(false, 5, p.without, slice_of(p.octets, SCRAM_KEY)).status,
	    SMTP_AUTH_LOGIN_STATUS_NO);
}

static void
expires(void **state)
{
	uint64_t now = clock_mono_ms();
	struct said c;
	struct proof p;

	clock_fake(now, 1700000000 * INT64_C(1000000));
	c = first(false, 7, JOERG);
	prove(JOERG, &c, NULL, PASSWORD, &p);
	clock_fake(now + 60001, 1700000060 * INT64_C(1000000));
	assert_int_equal(final(false, 7, p.without, slice_of(p.octets, SCRAM_KEY)).status,
	    SMTP_AUTH_LOGIN_STATUS_NO);
	clock_real();
}

static void
bounded(void **state)
{
	uint64_t now = clock_mono_ms();
	unsigned n = 0;

	clock_fake(now, 1700000000 * INT64_C(1000000));
	while (first(false, 100 + n, JOERG).status == SMTP_AUTH_LOGIN_STATUS_YES)
		n++;
	assert_int_equal(n, 2 * AUTH_PER_ADDRESS); /* of one address */
	for (n = 0; n < 1000; n++) {
		uint8_t ip[4] = { 10, 0, (uint8_t)(n / 250), (uint8_t)(n % 250) };

		if (first_from(slice_of(ip, 4), false, 1000 + n, JOERG).status != SMTP_AUTH_LOGIN_STATUS_YES)
			break;
	}
	assert_int_equal(n + 2 * AUTH_PER_ADDRESS, 512); /* of all */
	assert_int_equal(room.n_exchanges, 512);
	clock_fake(now + 60001, 1700000060 * INT64_C(1000000));
	assert_int_equal(first(false, 1, JOERG).status, SMTP_AUTH_LOGIN_STATUS_YES);
	assert_int_equal(room.n_exchanges, 1);
	clock_real();
}

/* Salt and iterations of a challenge. */
static const char *
shape(const struct said *c)
{
	return strstr(c->challenge, ",s=");
}

/* U-006, U-007: nobody looks like somebody, each time the same, and costs the same calls. */
static void
nobody(void **state)
{
	static const char *const names[] = { JOERG, "nobody@example.test", "nobody@far.test", "plain@example.test",
		"old@example.test", "off@example.test", "x" };
	uint8_t wrong[SCRAM_KEY] = { 1 };
	struct said a = first(false, 1, "nobody@example.test"), b = first(false, 1, "Nobody@Example.TEST"),
		    other = first(false, 1, "nobody2@example.test"), known = first(false, 1, JOERG),
		    twice = first(false, 1, JOERG);

	assert_string_equal(shape(&a), shape(&b));
	assert_string_not_equal(shape(&a), shape(&other));
	assert_string_equal(shape(&known), shape(&twice));
	assert_int_equal(strlen(a.challenge), strlen(known.challenge));
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct said c, s;
		char without[200];

		reads = verifies = 0;
		c = first(false, 50, names[i]);
		assert_int_equal(c.status, SMTP_AUTH_LOGIN_STATUS_YES);
		assert_int_equal(strlen(c.challenge), strlen(known.challenge));
		assert_non_null(strstr(c.challenge, ",i=65536"));
		(void)snprintf(without, sizeof without, "c=biws,r=%.*s", SFMT(attribute(c.challenge, "r=")));
		s = final(false, 50, without, slice_of(wrong, sizeof wrong));
		assert_int_equal(s.status, SMTP_AUTH_LOGIN_STATUS_NO);
		assert_true(s.account == 0 && s.signature_n == 0);
		assert_int_equal(reads, 1);
		assert_int_equal(verifies, 1);
	}
	/* whose keys cannot be used does not log in with them */
	assert_int_equal(attempt(false, 1, "plain@example.test", PASSWORD).status, SMTP_AUTH_LOGIN_STATUS_NO);
	assert_int_equal(attempt(false, 1, "old@example.test", PASSWORD).status, SMTP_AUTH_LOGIN_STATUS_NO);
}

/* A password that was set meanwhile. */
static void
changed(void **state)
{
	struct said c = first(false, 8, JOERG);
	char text[HASHER_TEXT];
	struct proof p;

	prove(JOERG, &c, NULL, PASSWORD, &p);
	stored(PASSWORD, false, text);
	assert_int_equal(account_set_hash(room.accounts, S(JOERG), slice_z(text), by), STORE_OK);
	assert_int_equal(final(false, 8, p.without, slice_of(p.octets, SCRAM_KEY)).status,
	    SMTP_AUTH_LOGIN_STATUS_TRY_LATER);
	assert_int_equal(attempt(false, 8, JOERG, PASSWORD).status, SMTP_AUTH_LOGIN_STATUS_YES);
}

static bool
no_keys(void *ctx, const struct account *acc)
{
	assert_int_equal(slice_find_byte(acc->hash, '\n'), SLICE_NONE);
	++*(int *)ctx;
	return true;
}

/* scram = no. The last: it takes the keys out. */
static void
off(void **state)
{
	struct smtp_auth_login m = { .session = 1, .name = S(JOERG), .password = S(DECOMPOSED) };
	int n = 0;

	assert_int_equal(auth_exchange_off(&room), STORE_OK);
	assert_int_equal(account_list(room.accounts, S(""), no_keys, &n), STORE_OK);
	assert_int_equal(n, 4);
	assert_int_equal(attempt(false, 1, JOERG, PASSWORD).status, SMTP_AUTH_LOGIN_STATUS_NO);
	assert_int_equal(smtp_auth_login_ask(submission, 1, &m), IPC_OK);
	assert_int_equal(answer(false).account, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(logs_in), cmocka_unit_test(prepared),
		cmocka_unit_test(once), cmocka_unit_test(expires), cmocka_unit_test(bounded),
		cmocka_unit_test(nobody), cmocka_unit_test(changed), cmocka_unit_test(off) };

	return cmocka_run_group_tests(tests, open_room, close_room);
}
