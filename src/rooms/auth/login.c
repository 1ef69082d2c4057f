/* SPDX-License-Identifier: MIT
 * One login, from the question to the answer. */
#include <stdlib.h>

#include "ipc/auth_warden.h"
#include "ipc/lobby_auth.h"
#include "ipc/smtp_auth.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "lib/idn/idn.h"
#include "rooms/auth/house.h"

_Static_assert((int)SMTP_AUTH_LOGIN_STATUS_YES == (int)LOBBY_AUTH_LOGIN_STATUS_YES &&
    (int)SMTP_AUTH_LOGIN_STATUS_NO == (int)LOBBY_AUTH_LOGIN_STATUS_NO &&
    (int)SMTP_AUTH_LOGIN_STATUS_TRY_LATER == (int)LOBBY_AUTH_LOGIN_STATUS_TRY_LATER &&
    (int)SMTP_AUTH_LOGIN_STATUS_DISABLED == (int)LOBBY_AUTH_LOGIN_STATUS_DISABLED,
    "one numbering");

struct login {
	struct hash_job job;	/* first */
	struct login *next;
	struct auth_room *room;
	struct ipc_call call;
	enum auth_service service;
	uint64_t session, account, revision;
	uint8_t peer_ip[16];
	uint8_t peer_ip_n;
	uint8_t tag[AUTH_TAG];
	bool scram;
	uint8_t signature[SCRAM_KEY];
	char name[LIMIT_LOGIN_NAME];
	size_t name_n;
};

static void
tell(const struct login *l, enum event_kind kind, struct slice why)
{
	struct slice name = slice_of(l->name, l->name_n);
	own(buf_t) ip = { .max = 64 };
	struct ip addr = { .n = l->peer_ip_n };

	memcpy(addr.b, l->peer_ip, sizeof addr.b);
	addr = ip_unmap(addr);
	if (addr.n > 0)
		(void)ip_put(&ip, &addr);
	EVENT(kind, l->session, S(""), name, EF("service", l->service == AUTH_SERVICE_LOBBY ?
	    S("imap") : S("submission")), EF("peer", buf_slice(&ip)), EF("why", why));
}

/* The second step of SCRAM has messages of its own. */
static void
answer_scram(struct login *l, enum smtp_auth_login_status status, uint32_t id, uint64_t revision, struct slice address)
{
	struct slice signature = status == SMTP_AUTH_LOGIN_STATUS_YES ? slice_of(l->signature, SCRAM_KEY) : S("");

	if (l->service == AUTH_SERVICE_SUBMISSION) {
		struct smtp_auth_scram_final_answer a = { .status = status, .account = id, .revision = revision,
			.address = address, .signature = signature };

		(void)smtp_auth_scram_final_answer(&l->call, &a);
	} else {
		struct lobby_auth_scram_final_answer a = { .status = (enum lobby_auth_login_status)status,
			.account = id, .signature = signature };

		(void)lobby_auth_scram_final_answer(&l->call, &a);
	}
}

static void
answer(struct login *l, enum smtp_auth_login_status status, const struct account *acc)
{
	uint32_t id = acc == NULL ? 0 : (uint32_t)acc->id;
	uint64_t revision = acc == NULL ? 0 : acc->revision;
	struct auth_warden_grant grant = { .session = l->session, .account = id };

	if (l->scram && l->service == AUTH_SERVICE_SUBMISSION) {
		answer_scram(l, status, id, revision, acc == NULL ? S("") : acc->address);
		return;
	}
	if (l->service == AUTH_SERVICE_SUBMISSION) {
		struct smtp_auth_login_answer a = { .status = status, .account = id, .revision = revision,
			.address = acc == NULL ? S("") : acc->address };

		(void)smtp_auth_login_answer(&l->call, &a);
		return;
	}
	/* warden hears of it first, so that the way to the mailbox is there when the client comes */
	if (status == SMTP_AUTH_LOGIN_STATUS_YES) {
		grant.name = acc->address;
		if (l->room->warden == NULL ||
		    auth_warden_grant_send(l->room->warden, &grant) != IPC_OK) {
			status = SMTP_AUTH_LOGIN_STATUS_TRY_LATER;
			id = 0;
		}
	}
	if (l->scram) {
		answer_scram(l, status, id, revision, S(""));
	} else {
		struct lobby_auth_login_answer a = {
			.status = (enum lobby_auth_login_status)status, .account = id };

		(void)lobby_auth_login_answer(&l->call, &a);
	}
}

static void
end(struct login *l)
{
	struct login **at = &l->room->logins;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	sodium_memzero(l, sizeof *l);
	free(l);
}

/* ---- brute force: U-014, U-015 ---- */

/* What failures are counted by: an IPv4 address, or the half of an IPv6 address that names a network. */
static uint64_t
address_key(const struct login *l)
{
	return rate_key_text('F', slice_of(l->peer_ip, l->peer_ip_n == 16 ? 8 : l->peer_ip_n));
}

/* An account and the network it is used from (/24, /64). */
static uint64_t
known_key(const struct login *l)
{
	uint8_t whose[16] = { 0 };

	memcpy(whose, &l->account, sizeof l->account);
	memcpy(&whose[8], l->peer_ip, l->peer_ip_n == 16 ? 8 : l->peer_ip_n == 4 ? 3 : 0);
	return rate_key_text('K', slice_of(whose, sizeof whose));
}

static bool
known(const struct auth_room *r, const struct login *l)
{
	return l->account != 0 && l->peer_ip_n > 0 &&
	    !rate_has(&r->rates, known_key(l), 1, AUTH_KNOWN_US, (uint64_t)clock_wall_us());
}

/* From now on the account's owner goes ahead of strangers there, and never waits for what they tried. */
static void
remember(struct auth_room *r, const struct login *l)
{
	if (l->peer_ip_n > 0)
		(void)rate_take(&r->rates, known_key(l), 1, AUTH_KNOWN_US, (uint64_t)clock_wall_us());
}

static void
count_failure(struct auth_room *r, const struct login *l)
{
	if (l->peer_ip_n > 0)
		(void)rate_take(&r->rates, address_key(l), r->login_failures, AUTH_FAILURES_US,
		    (uint64_t)clock_wall_us());
}

static bool
shut_out(const struct auth_room *r, const struct login *l)
{
	return l->peer_ip_n > 0 && !known(r, l) &&
	    !rate_has(&r->rates, address_key(l), r->login_failures, AUTH_FAILURES_US, (uint64_t)clock_wall_us());
}

static void
say_later(struct login *l, struct slice why)
{
	tell(l, EVENT_LOGIN_UNAVAILABLE, why);
	answer(l, SMTP_AUTH_LOGIN_STATUS_TRY_LATER, NULL);
}

/* The password is right; the account may have changed meanwhile. */
static void
say_yes(struct login *l, bool cached)
{
	struct auth_room *r = l->room;
	own(arena_p) a = arena_new("login", LIMIT_ARENA_COMMAND);
	uint64_t now = (uint64_t)clock_wall_us();
	struct account acc;
	enum store_err e = account_by_id(r->accounts, l->account, a, &acc);

	if (e != STORE_OK || acc.revision != l->revision) {
		say_later(l, S("the account was changed at the same time"));
		return;
	}
	if (acc.state != ACCOUNT_ENABLED) {
		tell(l, EVENT_LOGIN_FAILED, S("disabled"));
		answer(l, SMTP_AUTH_LOGIN_STATUS_DISABLED, NULL);
		return;
	}
	if (!cached)
		auth_cache_put(r, l->tag, clock_mono_ms());
	remember(r, l);
	answer(l, SMTP_AUTH_LOGIN_STATUS_YES, &acc);
	tell(l, EVENT_LOGIN_OK, l->scram ? S("scram") : cached ? S("remembered") : S("password"));
	if (now - acc.login > (uint64_t)3600000000)
		(void)account_note_login(r->accounts, acc.id, now);
}

static void
hashed(struct hash_job *j)
{
	struct login *l = (struct login *)j; /* job stands first */

	if (j->failed) {
		say_later(l, S("no memory to hash"));
	} else if (j->ok) {
		say_yes(l, false);
	} else {
		count_failure(l->room, l);
		tell(l, EVENT_LOGIN_FAILED, l->account == 0 ? S("unknown name") : S("wrong password"));
		answer(l, SMTP_AUTH_LOGIN_STATUS_NO, NULL);
	}
	end(l);
}

static struct login *
login_new(struct auth_room *r, const struct auth_asked *q)
{
	struct login *l = calloc(1, sizeof *l);

	PN_ASSERT(l != NULL);
	l->room = r;
	l->call = *q->call;
	l->service = q->service;
	l->session = q->session;
	l->peer_ip_n = q->peer_ip.n == 4 || q->peer_ip.n == 16 ? (uint8_t)q->peer_ip.n : 0;
	memcpy(l->peer_ip, q->peer_ip.p == NULL ? (const uint8_t *)"" : q->peer_ip.p, l->peer_ip_n);
	l->name_n = q->name.n < sizeof l->name ? q->name.n : sizeof l->name;
	if (l->name_n > 0)
		memcpy(l->name, q->name.p, l->name_n);
	l->job.done = hashed;
	l->next = r->logins;
	r->logins = l;
	return l;
}

static bool
too_many_from(const struct auth_room *r, const struct login *l)
{
	unsigned n = 0;

	for (const struct login *o = r->logins; o != NULL; o = o->next)
		n += o->peer_ip_n > 0 && o->peer_ip_n == l->peer_ip_n &&
		    memcmp(o->peer_ip, l->peer_ip, sizeof o->peer_ip) == 0;
	return n > AUTH_PER_ADDRESS;
}

void
auth_login(struct auth_room *r, const struct auth_asked *q)
{
	own(arena_p) a = arena_new("login", LIMIT_ARENA_COMMAND);
	struct account acc = { 0 };
	struct login *l = login_new(r, q);
	enum store_err e = account_find(r->accounts, q->name, a, &acc);
	struct slice password = S("");

	if (!idn_password(q->password, a, &password) || password.n > LIMIT_PASSWORD || password.n == 0) { /* refused without hashing */
		tell(l, EVENT_LOGIN_FAILED, S("no such password"));
		answer(l, SMTP_AUTH_LOGIN_STATUS_NO, NULL);
		end(l);
		return;
	}
	if (e != STORE_OK && e != STORE_NONE) {
		say_later(l, slice_z(store_err_name(e)));
		end(l);
		return;
	}
	l->account = acc.id;
	l->revision = acc.revision;
	if (e == STORE_OK && acc.hash.n > 0 &&
	    auth_cache_has(r, &acc, password, clock_mono_ms())) {
		say_yes(l, true);
		end(l);
		return;
	}
	if (shut_out(r, l)) { /* not even hashed */
		say_later(l, S("too many failed logins from this address"));
		end(l);
		return;
	}
	if (e == STORE_OK)
		auth_cache_tag(r, &acc, password, l->tag);
	l->job.ahead = known(r, l);
	hash_job_fill(&l->job, password, acc.hash.n < HASHER_TEXT ? acc.hash : S(""));
	if (too_many_from(r, l) || !hasher_add(r->hasher, &l->job)) {
		say_later(l, S("too many logins at once"));
		end(l);
	}
}

void
auth_proved(struct auth_room *r, const struct auth_asked *q, const struct auth_proof *p)
{
	struct login *l = login_new(r, q);

	l->scram = true;
	l->account = p->account;
	l->revision = p->revision;
	memcpy(l->signature, p->signature, SCRAM_KEY);
	if (shut_out(r, l)) {
		say_later(l, S("too many failed logins from this address"));
	} else if (p->right) {
		say_yes(l, true);
	} else {
		count_failure(r, l);
		tell(l, EVENT_LOGIN_FAILED, p->account == 0 ? S("unknown name") : S("wrong proof"));
		answer(l, SMTP_AUTH_LOGIN_STATUS_NO, NULL);
	}
	end(l);
}

void
auth_logins_end(struct auth_room *r)
{
	while (r->logins != NULL) {
		(void)ipc_refuse(&r->logins->call);
		end(r->logins);
	}
}
