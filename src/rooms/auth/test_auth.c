/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ipc/auth_warden.h"
#include "ipc/cli_auth.h"
#include "ipc/lobby_auth.h"
#include "ipc/smtp_auth.h"
#include "lib/clock/clock.h"
#include "rooms/auth/house.h"

static struct auth_room room;
static struct ipc_channel *mx, *submission, *lobby, *cli, *warden;

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

static int
open_room(void **state)
{
	struct accounts *a = NULL;
	struct loop *l = loop_new();

	(void)unlink("auth-test.db");
	assert_int_equal(accounts_open("auth-test.db", &a), STORE_OK);
	assert_true(hasher_prepare());
	assert_true(auth_room_init(&room, NULL, l, a, hasher_new(l, 1, (size_t)4 << 20), 3));
	warden = join("warden", "");
	mx = join("smtp", "mx");
	submission = join("smtp", "submission");
	lobby = join("lobby", "");
	cli = join("cli", "");
	return 0;
}

static int
close_room(void **state)
{
	auth_stop(&room);
	ipc_channel_free(&warden);
	ipc_channel_free(&mx);
	ipc_channel_free(&submission);
	ipc_channel_free(&lobby);
	ipc_channel_free(&cli);
	loop_free(&room.loop);
	return unlink("auth-test.db");
}

/* ---- the administrator ---- */

struct told {
	bool come, more;
	enum cli_auth_result status;
	uint32_t id;
	size_t n;
	char first[64];
};

#define TOLD(name, type)                                                                           \
	static void name(void *ctx, uint32_t id, struct type *m)                                   \
	{                                                                                          \
		*(struct told *)ctx = (struct told){ .come = true, .status = m->status };          \
	}
TOLD(on_domain_add, cli_auth_domain_add_answer)
TOLD(on_passwd, cli_auth_account_passwd_answer)
TOLD(on_enable, cli_auth_account_enable_answer)
TOLD(on_delete, cli_auth_account_delete_answer)
TOLD(on_alias_add, cli_auth_alias_add_answer)

static void
on_add(void *ctx, uint32_t id, struct cli_auth_account_add_answer *m)
{
	*(struct told *)ctx = (struct told){ .come = true, .status = m->status, .id = m->id };
}

static void
on_list(void *ctx, uint32_t id, struct cli_auth_account_list_answer *m)
{
	struct told *t = ctx;

	*t = (struct told){ .come = true, .status = m->status, .n = m->n_accounts, .more = m->more };
	if (m->n_accounts > 0)
		(void)snprintf(t->first, sizeof t->first, "%.*s %d", SFMT(m->accounts[0].address),
		    m->accounts[0].enabled);
}

static struct told
hear(void)
{
	static const struct cli_auth_answers answers = { .domain_add = on_domain_add,
		.account_add = on_add, .account_passwd = on_passwd, .account_enable = on_enable,
		.account_delete = on_delete, .alias_add = on_alias_add, .account_list = on_list };
	struct told t = { 0 };

	for (int i = 0; i < 100 && !t.come; i++) {
		loop_once(room.loop, 50);
		(void)cli_auth_answers_serve(cli, &answers, &t);
	}
	assert_true(t.come);
	return t;
}

static struct told
add(struct slice address, struct slice password)
{
	struct cli_auth_account_add m = { .address = address, .password = password };

	assert_int_equal(cli_auth_account_add_ask(cli, 1, &m), IPC_OK);
	return hear();
}

static void
furnish(void)
{
	struct cli_auth_domain_add d = { .name = S("example.test") };
	struct cli_auth_alias_add al = { .address = S("postmaster@example.test"),
		.target = S("alice@example.test") };

	assert_int_equal(cli_auth_domain_add_ask(cli, 1, &d), IPC_OK);
	assert_int_equal(hear().status, CLI_AUTH_RESULT_OK);
	assert_int_equal(add(S("alice@example.test"), S("correct horse")).id, 1);
	assert_int_equal(add(S("bob@example.test"), S("battery staple")).id, 2);
	assert_int_equal(cli_auth_alias_add_ask(cli, 1, &al), IPC_OK);
	assert_int_equal(hear().status, CLI_AUTH_RESULT_OK);
}

/* ---- logins ---- */

struct said {
	bool come;
	int status;
	uint32_t account;
};

static void
on_lobby(void *ctx, uint32_t id, struct lobby_auth_login_answer *m)
{
	*(struct said *)ctx = (struct said){ true, (int)m->status, m->account };
}

static void
on_smtp(void *ctx, uint32_t id, struct smtp_auth_login_answer *m)
{
	*(struct said *)ctx = (struct said){ true, (int)m->status, m->account };
}

static struct said
login_lobby(struct slice name, struct slice password, uint64_t session)
{
	static const struct lobby_auth_answers answers = { .login = on_lobby };
	struct lobby_auth_login m = { .session = session, .peer_ip = S("\x7f\0\0\1"), .name = name,
		.password = password };
	struct said s = { 0 };

	assert_int_equal(lobby_auth_login_ask(lobby, 1, &m), IPC_OK);
	for (int i = 0; i < 100 && !s.come; i++) {
		loop_once(room.loop, 50);
		(void)lobby_auth_answers_serve(lobby, &answers, &s);
	}
	assert_true(s.come);
	return s;
}

static struct said
login_from(struct slice ip, struct slice name, struct slice password)
{
	static const struct smtp_auth_answers answers = { .login = on_smtp };
	struct smtp_auth_login m = { .session = 9, .peer_ip = ip, .name = name, .password = password };
	struct said s = { 0 };

	assert_int_equal(smtp_auth_login_ask(submission, 1, &m), IPC_OK);
	for (int i = 0; i < 100 && !s.come; i++) {
		loop_once(room.loop, 50);
		(void)smtp_auth_answers_serve(submission, &answers, &s);
	}
	assert_true(s.come);
	return s;
}

static struct said
login_smtp(struct slice name, struct slice password)
{
	return login_from(S(""), name, password);
}

struct noted {
	uint64_t session;
	uint32_t granted, revoked, forgotten;
};

static void
on_grant(void *ctx, struct auth_warden_grant *m)
{
	((struct noted *)ctx)->session = m->session;
	((struct noted *)ctx)->granted = m->account;
}
static void
on_revoke(void *ctx, struct auth_warden_revoke *m)
{
	((struct noted *)ctx)->revoked = m->account;
}
static void
on_forget(void *ctx, struct auth_warden_forget *m)
{
	((struct noted *)ctx)->forgotten = m->account;
}

static struct noted
warden_heard(void)
{
	static const struct auth_warden_server h = { .grant = on_grant, .revoke = on_revoke,
		.forget = on_forget };
	struct noted n = { 0 };

	while (auth_warden_server_serve(warden, &h, &n) == IPC_OK)
		;
	return n;
}

/* CPU time of the hash threads too, so that a busy machine changes nothing. */
static double
ms_of_login(struct slice name, struct slice password)
{
	struct timespec a, b;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	assert_int_equal(login_smtp(name, password).status, SMTP_AUTH_LOGIN_STATUS_NO);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	return (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
}

static void
logs_in(void **state)
{
	struct noted n;
	double unknown = 1e9, wrong = 1e9;
	static char longest[LIMIT_PASSWORD];

	furnish();
	assert_int_equal(login_lobby(S("Alice@Example.test"), S("correct horse"), 77).account, 1);
	n = warden_heard();
	assert_true(n.session == 77 && n.granted == 1);
	assert_int_equal(login_lobby(S("alice@example.test"), S("correct horsf"), 78).status,
	    LOBBY_AUTH_LOGIN_STATUS_NO);
	assert_int_equal(login_lobby(S("alice@example.test"), S("correct hors"), 78).status,
	    LOBBY_AUTH_LOGIN_STATUS_NO);
	assert_int_equal(login_lobby(S("alice@example.test"), S(""), 78).status,
	    LOBBY_AUTH_LOGIN_STATUS_NO);
	assert_int_equal(login_lobby(S("eve@example.test"), S("correct horse"), 78).status,
	    LOBBY_AUTH_LOGIN_STATUS_NO);
	assert_int_equal(login_lobby(S("postmaster@example.test"), S("correct horse"), 78).status,
	    LOBBY_AUTH_LOGIN_STATUS_NO);
	assert_int_equal(login_lobby(S("\xff\xfe@"), S("x\xff"), 78).status,
	    LOBBY_AUTH_LOGIN_STATUS_NO);
	memset(longest, 'x', sizeof longest);
	assert_int_equal(login_smtp(S("bob@example.test"), slice_of(longest, sizeof longest)).status,
	    SMTP_AUTH_LOGIN_STATUS_NO);
	n = warden_heard();
	assert_true(n.granted == 0); /* no grant without a right password */
	assert_int_equal(login_smtp(S("bob@example.test"), S("battery staple")).account, 2);
	assert_int_equal(warden_heard().granted, 0); /* submission needs no mailbox */
	/* the least of five each: an unknown name costs what a wrong password costs */
	for (int i = 0; i < 5; i++) {
		double u = ms_of_login(S("nobody@example.test"), S("some password"));
		double w = ms_of_login(S("bob@example.test"), S("some password"));

		unknown = u < unknown ? u : unknown;
		wrong = w < wrong ? w : wrong;
	}
	assert_true(wrong > 1); /* it was hashed */
	assert_true(unknown > wrong * 0.5 && wrong > unknown * 0.5);
}

static void
remembers_and_forgets(void **state)
{
	struct cli_auth_account_passwd pw = { .address = S("alice@example.test"),
		.password = S("another one") };
	struct cli_auth_account_enable en = { .address = S("alice@example.test") };
	struct cli_auth_account_delete del = { .address = S("alice@example.test") };
	own(arena_p) a = arena_new("t", 65536);
	struct account acc;

	furnish();
	assert_int_equal(account_find(room.accounts, S("alice@example.test"), a, &acc), STORE_OK);
	assert_false(auth_cache_has(&room, &acc, S("correct horse"), clock_mono_ms()));
	assert_int_equal(login_smtp(S("alice@example.test"), S("correct horse")).status,
	    SMTP_AUTH_LOGIN_STATUS_YES);
	assert_true(auth_cache_has(&room, &acc, S("correct horse"), clock_mono_ms()));
	assert_false(auth_cache_has(&room, &acc, S("correct horsE"), clock_mono_ms()));
	assert_false(auth_cache_has(&room, &acc, S("correct horse"),
	    clock_mono_ms() + AUTH_CACHE_MS + 1));
	assert_int_equal(login_smtp(S("alice@example.test"), S("correct horse")).status,
	    SMTP_AUTH_LOGIN_STATUS_YES);
	/* a new password: the old one is out at once, remembered or not */
	assert_int_equal(cli_auth_account_passwd_ask(cli, 1, &pw), IPC_OK);
	assert_int_equal(hear().status, CLI_AUTH_RESULT_OK);
	assert_int_equal(warden_heard().revoked, 1);
	assert_int_equal(login_smtp(S("alice@example.test"), S("correct horse")).status,
	    SMTP_AUTH_LOGIN_STATUS_NO);
	assert_int_equal(login_smtp(S("alice@example.test"), S("another one")).status,
	    SMTP_AUTH_LOGIN_STATUS_YES);
	assert_int_equal(cli_auth_account_enable_ask(cli, 1, &en), IPC_OK);
	assert_int_equal(hear().status, CLI_AUTH_RESULT_OK);
	assert_int_equal(warden_heard().revoked, 1);
	assert_int_equal(login_smtp(S("alice@example.test"), S("another one")).status,
	    SMTP_AUTH_LOGIN_STATUS_DISABLED);
	assert_int_equal(login_smtp(S("alice@example.test"), S("wrong one")).status,
	    SMTP_AUTH_LOGIN_STATUS_NO); /* only who knows the password learns that it is disabled */
	auth_cache_wipe(&room, UINT64_MAX);
	for (size_t i = 0; i < AUTH_CACHE; i++)
		assert_int_equal(room.cache[i].until_ms, 0);
	assert_int_equal(cli_auth_account_delete_ask(cli, 1, &del), IPC_OK);
	assert_int_equal(hear().status, CLI_AUTH_RESULT_OK);
	assert_int_equal(warden_heard().forgotten, 1);
	assert_int_equal(login_smtp(S("alice@example.test"), S("another one")).status,
	    SMTP_AUTH_LOGIN_STATUS_NO);
}

struct looked {
	bool come, owns;
	enum smtp_auth_rcpt_status status;
	size_t n;
	uint32_t account;
	char address[64], sender[80], list[64];
	bool listed;
	uint32_t owner;
};

static void
on_rcpt(void *ctx, uint32_t id, struct smtp_auth_rcpt_answer *m)
{
	struct looked *l = ctx;

	*l = (struct looked){ .come = true, .status = m->status, .n = m->n_targets };
	if (m->n_targets > 0) {
		l->account = m->targets[0].account;
		l->listed = m->targets[0].listed;
		l->owner = m->targets[0].owner;
		(void)snprintf(l->address, sizeof l->address, "%.*s", SFMT(m->targets[0].address));
		(void)snprintf(l->sender, sizeof l->sender, "%.*s", SFMT(m->targets[0].sender));
	}
	(void)snprintf(l->list, sizeof l->list, "%.*s", SFMT(m->list));
}

static void
on_owns(void *ctx, uint32_t id, struct smtp_auth_owns_answer *m)
{
	*(struct looked *)ctx = (struct looked){ .come = true, .owns = m->owns };
}

static struct looked
look(struct ipc_channel *ch)
{
	static const struct smtp_auth_answers answers = { .rcpt = on_rcpt, .owns = on_owns };
	struct looked l = { 0 };

	for (int i = 0; i < 20 && !l.come; i++) {
		loop_once(room.loop, 50);
		(void)smtp_auth_answers_serve(ch, &answers, &l);
	}
	assert_true(l.come);
	return l;
}

static struct looked
rcpt(struct slice address)
{
	struct smtp_auth_rcpt m = { .address = address };

	assert_int_equal(smtp_auth_rcpt_ask(mx, 1, &m), IPC_OK);
	return look(mx);
}

static bool
owns(uint32_t account, struct slice address)
{
	struct smtp_auth_address one = { .address = address };
	struct smtp_auth_owns m = { .account = account, .addresses = &one, .n_addresses = 1 };
	own(arena_p) a = arena_new("owns", LIMIT_ARENA_COMMAND);
	struct account acc = { 0 };

	(void)account_by_id(room.accounts, account, a, &acc);
	m.revision = acc.revision;
	assert_int_equal(smtp_auth_owns_ask(submission, 1, &m), IPC_OK);
	return look(submission).owns;
}

static void
looks_up(void **state)
{
	struct cli_auth_account_list list = { 0 };
	struct smtp_auth_login never = { .name = S("a"), .password = S("b") };
	struct looked l;
	struct told t;

	furnish();
	l = rcpt(S("Postmaster@example.test"));
	assert_true(l.status == SMTP_AUTH_RCPT_STATUS_OK && l.n == 1 && l.account == 1);
	assert_string_equal(l.address, "alice@example.test");
	assert_int_equal(rcpt(S("postmaster")).account, 1);
	assert_int_equal(rcpt(S("bob+x@example.test")).account, 2);
	assert_int_equal(rcpt(S("eve@example.test")).status, SMTP_AUTH_RCPT_STATUS_UNKNOWN_USER);
	assert_int_equal(rcpt(S("eve@far.test")).status, SMTP_AUTH_RCPT_STATUS_NOT_LOCAL);
	assert_true(owns(1, S("postmaster@example.test")) && owns(2, S("bob@example.test")));
	assert_false(owns(2, S("postmaster@example.test")) || owns(0, S("bob@example.test")));
	assert_false(owns(1, S("alice@far.test")));
	assert_int_equal(cli_auth_account_list_ask(cli, 1, &list), IPC_OK);
	t = hear();
	assert_true(t.n == 2 && !t.more);
	assert_string_equal(t.first, "alice@example.test 1");
	assert_int_equal(add(S("x@example.test"), S("short")).status, CLI_AUTH_RESULT_INVALID);
	assert_int_equal(add(S("alice@example.test"), S("long enough")).status,
	    CLI_AUTH_RESULT_EXISTS);
	assert_int_equal(add(S("x@far.test"), S("long enough")).status, CLI_AUTH_RESULT_NONE);
	assert_int_equal(add(S("c@example.test"), S("long enough")).id, 3);
	assert_int_equal(add(S("d@example.test"), S("long enough")).status, CLI_AUTH_RESULT_FULL);
	/* mx may not ask about passwords: it loses its channel */
	assert_int_equal(smtp_auth_login_ask(mx, 1, &never), IPC_OK);
	loop_once(room.loop, 50);
	assert_int_equal(smtp_auth_answers_serve(mx, &(struct smtp_auth_answers){ 0 }, NULL),
	    IPC_CLOSED);
	assert_true(owns(2, S("bob@example.test")));
}

static struct looked
rcpt_from(struct ipc_channel *ch, struct slice sender, uint32_t account, bool first, struct slice address)
{
	struct smtp_auth_rcpt m = { .address = address, .sender = sender, .account = account,
		.first = first };

	assert_int_equal(smtp_auth_rcpt_ask(ch, 1, &m), IPC_OK);
	return look(ch);
}

/* A forward goes on under an address of ours, its bounce comes back to who wrote it, and nobody else gets
 * anything through us that way. */
static void
forwards_come_back(void **state)
{
	const struct account_change by = { 1, S("test") };
	struct ipc_channel *drop = join("drop", "");
	struct looked l;
	char back[80], bad[80];

	furnish();
	assert_int_equal(alias_add(room.accounts, S("out@example.test"), S("me@far.test"), by), STORE_OK);
	l = rcpt_from(mx, S("Writer@else.test"), 0, true, S("out@example.test"));
	assert_true(l.status == SMTP_AUTH_RCPT_STATUS_OK && l.n == 1 && l.account == 0);
	assert_string_equal(l.address, "me@far.test");
	assert_true(strncmp(l.sender, "SRS0=", 5) == 0);
	(void)snprintf(back, sizeof back, "%s", l.sender);
	l = rcpt_from(mx, S(""), 0, true, slice_z(back));
	assert_true(l.status == SMTP_AUTH_RCPT_STATUS_OK && l.n == 1 && l.account == 0);
	assert_string_equal(l.address, "Writer@else.test");
	assert_string_equal(l.sender, "");
	/* with a sender it is no bounce */
	assert_int_equal(rcpt_from(mx, S("a@b.test"), 0, true, slice_z(back)).status,
	    SMTP_AUTH_RCPT_STATUS_UNKNOWN_USER);
	(void)snprintf(bad, sizeof bad, "%s", back);
	bad[6] = bad[6] == 'x' ? 'y' : 'x';
	assert_int_equal(rcpt_from(mx, S(""), 0, true, slice_z(bad)).status, SMTP_AUTH_RCPT_STATUS_UNKNOWN_USER);
	/* at a domain that is not ours it is an address like any other */
	(void)snprintf(bad, sizeof bad, "%.*s@far.test", (int)(strchr(back, '@') - back), back);
	assert_int_equal(rcpt_from(mx, S(""), 0, true, slice_z(bad)).status, SMTP_AUTH_RCPT_STATUS_NOT_LOCAL);
	/* the null sender and senders of ours stay as they are */
	assert_string_equal(rcpt_from(mx, S(""), 0, true, S("out@example.test")).sender, "");
	assert_string_equal(rcpt_from(submission, S("bob@example.test"), 2, true, S("out@example.test")).sender, "");
	/* the secret outlives the room */
	room.srs_secret[0] ^= 1;
	assert_int_equal(rcpt_from(mx, S(""), 0, true, slice_z(back)).status, SMTP_AUTH_RCPT_STATUS_UNKNOWN_USER);
	assert_int_equal(auth_forward_init(&room), STORE_OK);
	assert_int_equal(rcpt_from(drop, S(""), 0, true, slice_z(back)).status, SMTP_AUTH_RCPT_STATUS_OK);
	ipc_channel_free(&drop);
}

static void
lists_and_rings(void **state)
{
	const struct account_change by = { 1, S("test") };
	const struct list team = { S("team@example.test"), S("alice@example.test"), LIST_MEMBERS };
	struct looked l;

	furnish();
	assert_int_equal(list_add(room.accounts, &team, by), STORE_OK);
	assert_int_equal(alias_add(room.accounts, team.address, S("bob@example.test"), by), STORE_OK);
	l = rcpt_from(mx, S("bob@example.test"), 0, true, S("Team@example.test"));
	assert_true(l.status == SMTP_AUTH_RCPT_STATUS_OK && l.account == 2);
	assert_string_equal(l.sender, "alice@example.test");
	assert_string_equal(l.list, "team@example.test");
	assert_int_equal(rcpt_from(mx, S("eve@far.test"), 0, true, team.address).status,
	    SMTP_AUTH_RCPT_STATUS_REFUSED);
	assert_int_equal(rcpt_from(mx, S(""), 0, true, team.address).status, SMTP_AUTH_RCPT_STATUS_REFUSED);
	/* mx is believed no account */
	assert_int_equal(rcpt_from(mx, S("eve@far.test"), 2, true, team.address).status,
	    SMTP_AUTH_RCPT_STATUS_REFUSED);
	assert_int_equal(rcpt_from(submission, S("x@example.test"), 2, true, team.address).status,
	    SMTP_AUTH_RCPT_STATUS_OK);
	/* O-001: a ring that closed later */
	assert_int_equal(alias_add(room.accounts, S("r@example.test"), S("r@later.test"), by), STORE_OK);
	assert_int_equal(domain_add(room.accounts, S("later.test"), by), STORE_OK);
	assert_int_equal(domain_set_alias(room.accounts, S("later.test"), S("example.test"), by), STORE_OK);
	assert_int_equal(rcpt(S("r@example.test")).status, SMTP_AUTH_RCPT_STATUS_LOOP);
}

/* RFC 5321 section 3.9.2: what a list cannot deliver comes to its owner, or else to the postmaster, and never round. */
static void
lists_have_somebody_who_hears(void **state)
{
	const struct account_change by = { 1, S("test") };
	static const struct {
		const char *name;
		struct slice owner;
		const char *sender;
		uint32_t account;
	} rows[] = {
		{ "an account", S_INIT("bob@example.test"), "bob@example.test", 2 },
		{ "an alias", S_INIT("team-owner@example.test"), "team-owner@example.test", 2 },
		{ "elsewhere", S_INIT("owner@far.test"), "owner@far.test", 0 },
		{ "an alias to elsewhere", S_INIT("away@example.test"), "owner@far.test", 0 },
		{ "nobody", S_INIT(""), "postmaster@example.test", 1 },
		{ "gone", S_INIT("carol@example.test"), "postmaster@example.test", 1 },
		{ "round", S_INIT("later@example.test"), "postmaster@example.test", 1 },
	};

	uint64_t gone;

	furnish();
	assert_int_equal(add(S("carol@example.test"), S("green tea please")).id, 3);
	assert_int_equal(alias_add(room.accounts, S("team-owner@example.test"), S("bob@example.test"), by), STORE_OK);
	assert_int_equal(alias_add(room.accounts, S("away@example.test"), S("owner@far.test"), by), STORE_OK);
	assert_int_equal(alias_add(room.accounts, S("later@example.test"), S("carol@example.test"), by), STORE_OK);
	assert_int_equal(alias_add(room.accounts, S("team@example.test"), S("alice@example.test"), by), STORE_OK);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct list l = { .address = S("team@example.test"), .owner = rows[i].owner, .writers = LIST_ANYONE };
		struct looked got;

		if (slice_eq(slice_z(rows[i].name), S("gone"))) {
			assert_int_equal(list_add(room.accounts, &l, by), STORE_OK);
			assert_int_equal(alias_delete(room.accounts, S("later@example.test"), S(""), by), STORE_OK);
			assert_int_equal(account_delete(room.accounts, S("carol@example.test"), by, &gone), STORE_OK);
		} else if (slice_eq(slice_z(rows[i].name), S("round"))) {
			const struct list round = { .address = S("later@example.test"), .owner = S(""), .writers = LIST_ANYONE };

			assert_int_equal(list_add(room.accounts, &round, by), STORE_OK);
			assert_int_equal(alias_add(room.accounts, round.address, S("bob@example.test"), by), STORE_OK);
			assert_int_equal(list_add(room.accounts, &l, by), STORE_OK); /* bob, but by way of a list */
		} else {
			assert_int_equal(list_add(room.accounts, &l, by), STORE_OK);
		}
		got = rcpt_from(mx, S("eve@far.test"), 0, true, l.address);
		if (got.status != SMTP_AUTH_RCPT_STATUS_OK || !got.listed || got.owner != rows[i].account ||
		    !slice_eq(slice_z(got.sender), slice_z(rows[i].sender)))
			fail_msg("%s: %d, from %s, account %u", rows[i].name, got.status, got.sender, got.owner);
	}
	assert_false(rcpt_from(mx, S("eve@far.test"), 0, true, S("bob@example.test")).listed);
}

/* U-013: the recipients of an account; S-098: reports from nobody to one mailbox. */
static void
limits_hold(void **state)
{
	const struct account_change by = { 1, S("test") };
	const struct limits few = { .rcpts = 3, .messages = 2, .inbound = 20 };

	furnish();
	assert_int_equal(limits_set(room.accounts, S("bob@example.test"), &few, by), STORE_OK);
	assert_int_equal(rcpt_from(submission, S("bob@example.test"), 2, true, S("a@far.test")).status,
	    SMTP_AUTH_RCPT_STATUS_NOT_LOCAL);
	assert_int_equal(rcpt_from(submission, S("bob@example.test"), 2, false, S("b@far.test")).status,
	    SMTP_AUTH_RCPT_STATUS_NOT_LOCAL);
	assert_int_equal(rcpt_from(submission, S("bob@example.test"), 2, false, S("no@example.test")).status,
	    SMTP_AUTH_RCPT_STATUS_UNKNOWN_USER);
	assert_int_equal(rcpt_from(submission, S("bob@example.test"), 2, true, S("alice@example.test")).status,
	    SMTP_AUTH_RCPT_STATUS_OK);
	assert_int_equal(rcpt_from(submission, S("bob@example.test"), 2, false, S("alice@example.test")).status,
	    SMTP_AUTH_RCPT_STATUS_SLOW_DOWN);
	assert_int_equal(rcpt_from(submission, S("alice@example.test"), 1, true, S("b@far.test")).status,
	    SMTP_AUTH_RCPT_STATUS_NOT_LOCAL);
	/* over a restart of the room */
	auth_limits_end(&room);
	memset(&room.rates, 0, sizeof room.rates);
	auth_limits_init(&room);
	assert_int_equal(rcpt_from(submission, S("bob@example.test"), 2, false, S("b@far.test")).status,
	    SMTP_AUTH_RCPT_STATUS_SLOW_DOWN);
	/* strangers to bob, with and without details, and another tenth for reports */
	for (int i = 0; i < 20; i++)
		assert_int_equal(rcpt_from(mx, S("a@far.test"), 0, true, S("bob+x@example.test")).status,
		    SMTP_AUTH_RCPT_STATUS_OK);
	assert_int_equal(rcpt_from(mx, S("a@far.test"), 0, true, S("bob@example.test")).status,
	    SMTP_AUTH_RCPT_STATUS_SLOW_DOWN);
	assert_int_equal(rcpt_from(mx, S(""), 0, true, S("bob@example.test")).status, SMTP_AUTH_RCPT_STATUS_OK);
	assert_int_equal(rcpt_from(mx, S(""), 0, true, S("bob@example.test")).status, SMTP_AUTH_RCPT_STATUS_OK);
	assert_int_equal(rcpt_from(mx, S(""), 0, true, S("bob@example.test")).status,
	    SMTP_AUTH_RCPT_STATUS_SLOW_DOWN);
	assert_int_equal(rcpt_from(mx, S("a@far.test"), 0, true, S("alice@example.test")).status,
	    SMTP_AUTH_RCPT_STATUS_OK);
}

static void
floods_are_bounded(void **state)
{
	static const struct lobby_auth_answers answers = { .login = on_lobby };
	unsigned later = 0, no = 0;

	furnish();
	for (uint32_t i = 0; i < 60; i++) {
		struct lobby_auth_login m = { .session = i, .peer_ip = S("\x0a\0\0\1"),
			.name = S("alice@example.test"), .password = S("guess") };

		assert_int_equal(lobby_auth_login_ask(lobby, i, &m), IPC_OK);
	}
	for (int i = 0; i < 500 && later + no < 60; i++) {
		struct said s = { 0 };

		loop_once(room.loop, 10);
		while (lobby_auth_answers_serve(lobby, &answers, &s) == IPC_OK) {
			later += s.status == LOBBY_AUTH_LOGIN_STATUS_TRY_LATER;
			no += s.status == LOBBY_AUTH_LOGIN_STATUS_NO;
		}
	}
	assert_int_equal(later + no, 60);
	assert_true(no >= AUTH_PER_ADDRESS && later > 20);
	/* somebody else gets in meanwhile or right after */
	assert_int_equal(login_smtp(S("bob@example.test"), S("battery staple")).account, 2);
}

/* U-015: an address that guesses has to wait, whatever it says next. U-014: the owner, where he is known, does
 * not wait for what others tried, from wherever. */
static void
guessing_ends(void **state)
{
	struct slice guesser = S("\x0a\0\0\1"), home = S("\x0a\1\2\3"), beside = S("\x0a\1\2\x09");
	struct slice alice = S("alice@example.test"), bob = S("bob@example.test");

	furnish();
	room.login_failures = 20;
	assert_int_equal(login_from(home, alice, S("correct horse")).status, SMTP_AUTH_LOGIN_STATUS_YES);
	for (unsigned i = 0; i < 30; i++)
		assert_int_equal(login_from(guesser, alice, S("guess")).status,
		    i < 20 ? SMTP_AUTH_LOGIN_STATUS_NO : SMTP_AUTH_LOGIN_STATUS_TRY_LATER);
	assert_int_equal(login_from(guesser, bob, S("battery staple")).status, SMTP_AUTH_LOGIN_STATUS_TRY_LATER);
	assert_int_equal(login_from(S("\x0a\0\0\2"), bob, S("battery staple")).account, 2);
	for (unsigned i = 0; i < 25; i++) /* somebody else, at the owner's own address */
		(void)login_from(home, bob, S("guess"));
	auth_cache_wipe(&room, UINT64_MAX); /* nobody is let in for what is remembered of his password */
	assert_int_equal(login_from(home, bob, S("battery staple")).status, SMTP_AUTH_LOGIN_STATUS_TRY_LATER);
	assert_int_equal(login_from(beside, alice, S("correct horse")).account, 1);
	assert_int_equal(login_from(home, alice, S("correct horse")).account, 1);
}

static void
owner_goes_ahead(void **state)
{
	static const struct lobby_auth_answers answers = { .login = on_lobby };
	static const struct smtp_auth_answers owners = { .login = on_smtp };
	struct slice home = S("\x0a\1\2\3"), alice = S("alice@example.test");
	struct smtp_auth_login owner = { .session = 9, .peer_ip = home, .name = alice, .password = S("correct horse") };
	struct said mine = { 0 };
	unsigned before = 0;

	furnish();
	room.login_failures = 20;
	assert_int_equal(login_from(home, alice, S("correct horse")).account, 1);
	auth_cache_wipe(&room, UINT64_MAX);
	for (uint32_t i = 0; i < 150; i++) {
		uint8_t ip[4] = { 10, 9, (uint8_t)i, 1 };
		struct lobby_auth_login m = { .session = i, .peer_ip = slice_of(ip, 4), .name = alice,
			.password = S("guess") };

		assert_int_equal(lobby_auth_login_ask(lobby, i, &m), IPC_OK);
	}
	for (int i = 0; i < 20; i++)
		loop_once(room.loop, 0); /* all of them wait for a hash */
	assert_int_equal(smtp_auth_login_ask(submission, 1, &owner), IPC_OK);
	for (int i = 0; i < 2000 && !mine.come; i++) {
		struct said s;

		loop_once(room.loop, 5);
		(void)smtp_auth_answers_serve(submission, &owners, &mine);
		while (!mine.come && lobby_auth_answers_serve(lobby, &answers, &s) == IPC_OK)
			before++;
	}
	assert_int_equal(mine.account, 1);
	assert_true(before < 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, open_room, close_room)
		T(logs_in), T(remembers_and_forgets), T(looks_up), T(forwards_come_back),
		T(lists_and_rings), T(lists_have_somebody_who_hears), T(limits_hold), T(floods_are_bounded), T(guessing_ends), T(owner_goes_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
