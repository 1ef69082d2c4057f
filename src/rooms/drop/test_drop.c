/* SPDX-License-Identifier: MIT
 * The room with auth, scan and queue played: what is taken, what is refused and how, and that nothing of
 * what an ordinary user may send does more than end his connection (L-003). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/base/chars.h"
#include "lib/clock/clock.h"
#include "lib/parse/header/address.h"
#include "lib/parse/header/header.h"
#include "rooms/drop/drop.h"

#define SHOP 1001u
#define HEAD "mail 1\nto alice@example.test\n"
#define BODY "Subject: x\r\n\r\nhello\r\n"

static struct drop_room room;

/* The others, and what they saw. */
static struct {
	enum ipc_status rcpt_ipc, judge_ipc, accept_ipc;
	enum smtp_scan_action action;
	enum smtp_queue_accept_status status;
	unsigned judged, accepted;
	char message[20000], sender[100], rcpts[2000], from[100];
} other;

static enum ipc_status
play_rcpt(void *ctx, const struct smtp_auth_rcpt *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_auth_rcpt_answer *out)
{
	static struct smtp_auth_target alice = { .account = 1, .address = S_INIT("alice@example.test"), .sender = S_INIT("") };

	(void)ctx;
	(void)deadline_ms;
	(void)a;
	assert_int_equal(in->account, 0);
	*out = (struct smtp_auth_rcpt_answer){ .status = SMTP_AUTH_RCPT_STATUS_UNKNOWN_USER };
	if (slice_eq(in->address, S("alice@example.test")) || slice_eq(in->address, S("root")))
		*out = (struct smtp_auth_rcpt_answer){ .targets = &alice, .n_targets = 1 };
	else if (!slice_ends(in->address, S("@example.test")))
		out->status = SMTP_AUTH_RCPT_STATUS_NOT_LOCAL;
	return other.rcpt_ipc;
}

/* As scan does: the one author in From. */
static void
read_from(struct slice message, struct arena *a, struct slice *from)
{
	struct header h;
	size_t at;
	struct address ad;

	assert_true(header_split(message, a, &h));
	at = header_find(&h, S("From"), 0);
	assert_true(at != SLICE_NONE && header_find(&h, S("From"), at + 1) == SLICE_NONE);
	assert_true(address_one(h.field[at].body, a, &ad));
	(void)snprintf(other.from, sizeof other.from, "%.*s@%.*s", SFMT(ad.local), SFMT(ad.domain));
	*from = slice_z(other.from);
}

static enum ipc_status
play_judge(void *ctx, const struct smtp_scan_judge *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_scan_judge_answer *out)
{
	static struct smtp_scan_edit edit = { .insert = S_INIT("DKIM-Signature: x\r\n") };
	uint64_t size;
	ssize_t n;

	(void)ctx;
	(void)deadline_ms;
	assert_true(ipc_sealed_memfd(in->fd, sizeof other.message - 1, &size) && size == in->size);
	n = pread(in->fd, other.message, sizeof other.message - 1, 0);
	other.message[n] = '\0';
	*out = (struct smtp_scan_judge_answer){ .action = other.action, .edits = &edit, .n_edits = 1,
		.text = S("said by scan") };
	read_from(slice_from(slice_of(other.message, (size_t)n), (size_t)in->trace), a, &out->from);
	other.judged++;
	return other.judge_ipc;
}

static enum ipc_status
play_accept(void *ctx, const struct smtp_queue_accept *in, uint64_t deadline_ms, struct arena *a,
    struct smtp_queue_accept_answer *out)
{
	uint64_t size;
	ssize_t n;
	size_t at = 0;

	(void)ctx;
	(void)deadline_ms;
	(void)a;
	assert_true(ipc_sealed_memfd(in->fd, sizeof other.message - 1, &size) && size == in->size);
	assert_int_equal(in->account, 0);
	n = pread(in->fd, other.message, sizeof other.message - 1, 0);
	other.message[n] = '\0';
	(void)snprintf(other.sender, sizeof other.sender, "%.*s", SFMT(in->sender));
	for (size_t i = 0; i < in->n_rcpts; i++)
		at += (size_t)snprintf(&other.rcpts[at], sizeof other.rcpts - at, "%u %.*s;", in->rcpts[i].account,
		    SFMT(in->rcpts[i].address));
	out->status = other.status;
	other.accepted += other.accept_ipc == IPC_OK && other.status == SMTP_QUEUE_ACCEPT_STATUS_OK;
	return other.accept_ipc;
}

static int
open_room(void **state)
{
	struct apps *apps = NULL;
	const struct app_template t = { S("hi"), S("Hello {{name}}"), S("Dear {{ name }},\n{{text}}\n") };

	(void)unlink("drop-test.db");
	assert_int_equal(apps_open("drop-test.db", &apps), STORE_OK);
	assert_int_equal(app_set(apps, &(struct app){ S("shop"), SHOP, S("shop@example.test @shop.test"), 50, 5 }), 0);
	assert_int_equal(app_user_begin(apps, S("shop")), STORE_OK);
	assert_int_equal(app_user_set(apps, S("shop"), S("42"), S("alice@example.test")), STORE_OK);
	assert_int_equal(app_user_set(apps, S("shop"), S("43"), S("gone@example.test")), STORE_OK);
	assert_int_equal(app_user_commit(apps), STORE_OK);
	assert_int_equal(app_template_set(apps, S("shop"), &t), STORE_OK);
	drop_room_init(&room, NULL, loop_new(), apps);
	room.hostname = S("mx.example.test");
	room.postmaster = S("postmaster@example.test");
	room.max_size = 10000;
	room.back = (struct drop_backend){ play_rcpt, play_judge, play_accept, NULL };
	memset(&other, 0, sizeof other);
	return 0;
}

/* A process has one room; these have several, so that each gives back what it holds. */
static void
end_room(void)
{
	for (int i = 0; i < 100 && room.first != NULL; i++)
		loop_once(room.loop, 20);
	assert_null(room.first);
	pool_free(&room.pool);
	loop_free(&room.loop);
	apps_close(&room.apps);
	ipc_client_free(&room.auth);
	ipc_client_free(&room.scan);
	ipc_client_free(&room.queue);
}

static int
close_room(void **state)
{
	end_room();
	return unlink("drop-test.db");
}

/* One connection that says this and waits for the end; what was answered. */
static const char *
talk(uint32_t uid, struct slice said)
{
	static char text[4000];
	int ends[2];
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	if (said.n > 0)
		assert_int_equal(send(ends[1], said.p, said.n, MSG_NOSIGNAL), said.n);
	assert_int_equal(shutdown(ends[1], SHUT_WR), 0);
	drop_take(&room, ends[0], uid, false);
	for (int i = 0; i < 500 && room.first != NULL; i++)
		loop_once(room.loop, 20);
	n = recv(ends[1], text, sizeof text - 1, MSG_DONTWAIT);
	text[n < 0 ? 0 : n] = '\0';
	(void)close(ends[1]);
	return text;
}

static const char *
mail(uint32_t uid, const char *head, const char *body)
{
	static char text[20000];
	int n = snprintf(text, sizeof text, "%ssize %zu\n\n%s", head, strlen(body), body);

	return talk(uid, slice_of(text, (size_t)n));
}

#define STARTS(text, with) assert_true(slice_starts(slice_z(text), S(with)))
#define HOLDS(text, what) assert_non_null(strstr(text, what))

static void
takes_mail(void **state)
{
	STARTS(mail(SHOP, HEAD, BODY), "250 2.0.0 queued as ");
	assert_int_equal(other.accepted, 1);
	assert_string_equal(other.sender, "shop@example.test");
	assert_string_equal(other.rcpts, "1 alice@example.test;");
	STARTS(other.message, "DKIM-Signature: x\r\nReceived: by mx.example.test (from shop, uid 1001)\r\n\tid ");
	HOLDS(other.message, "From: <shop@example.test>\r\nSubject: x\r\n\r\nhello\r\n");
	/* a name, a From that is the program's, a sender of its own, somebody elsewhere */
	STARTS(mail(SHOP, HEAD "name The \"Shop\"\n", BODY), "250");
	HOLDS(other.message, "From: \"The \\\"Shop\\\"\" <shop@example.test>\r\n");
	STARTS(mail(SHOP, "mail 1\nfrom a@shop.test\nto x@far.test\n", "From: B <b@Shop.Test>\r\n" BODY), "250");
	assert_string_equal(other.sender, "a@shop.test");
	assert_string_equal(other.rcpts, "0 x@far.test;");
	/* a domain with U-labels, however it is written, has A-labels from here on */
	STARTS(mail(SHOP, "mail 1\nto x@b\xc3\xbc" "cher.test\nto y@BU\xcc\x88" "CHER.test\nto k\xc3\xa4the@b\xc3\xbc" "cher.test\n", BODY),
	    "250");
	assert_string_equal(other.rcpts, "0 x@xn--bcher-kva.test;0 y@xn--bcher-kva.test;0 k\xc3\xa4the@xn--bcher-kva.test;");
	STARTS(mail(SHOP, "mail 1\nto x@\xe2\x98\x83.test\n", BODY), "501 5.1.3");
	STARTS(mail(SHOP, HEAD "from <>\n", BODY), "250");
	assert_string_equal(other.sender, "");
	/* root, whose From has no domain, and recipients that stand in the header */
	STARTS(mail(0, "mail 1\nrecipients header\n", "To: root\r\nFrom: root (Cron Daemon)\r\nCc: Alice <alice@example.test>\r\n"
	    "Bcc: x@far.test\r\n" BODY), "250");
	assert_string_equal(other.rcpts, "1 alice@example.test;0 x@far.test;");
	HOLDS(other.message, "From: \"Cron Daemon\" <postmaster@example.test>\r\nCc:");
	assert_int_equal(other.accepted, 6);
}

static void
refuses(void **state)
{
	static const struct {
		uint32_t uid;
		const char *head, *body, *reply;
	} table[] = {
		{ 1002, HEAD, BODY, "550 5.7.1 the user with uid 1002 may not send" },
		{ SHOP, "mail 1\n", BODY, "501 5.5.2 no recipient" },
		{ SHOP, "mail 1\nto no@example.test\n", BODY, "550 5.1.1 no such mailbox: no@example.test" },
		{ SHOP, HEAD "from boss@example.test\n", BODY, "553 5.7.1" },
		{ SHOP, HEAD "from x@sub.shop.test\n", BODY, "553 5.7.1" },
		{ SHOP, HEAD, "From: boss@example.test\r\n" BODY, "553 5.7.1 the program shop may not write as boss" },
		{ SHOP, HEAD, "Subject: x\n\nbare\n", "550 5.6.0" },
		{ SHOP, HEAD, "Subject: x\r\n\r\na\rb\r\n", "550 5.6.0" },
		{ SHOP, HEAD, "Subject: x\r\n\r\n.\r\n.\n\r\n", "550 5.6.0" },
		{ SHOP, HEAD, "no end", "550 5.6.0" },
		{ SHOP, HEAD, "Delivered-To: alice@example.test\r\n" BODY, "554 5.4.6" },
		{ SHOP, HEAD "to nonsense here\n", BODY, "501 5.5.2" },
		{ SHOP, "mail 2\n", BODY, "501 5.5.2" },
		{ SHOP, "mail 1\nrecipients header\n", "To: a@@b\r\n" BODY, "50" },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		const char *got = mail(table[i].uid, table[i].head, table[i].body);

		if (!slice_starts(slice_z(got), slice_z(table[i].reply)))
			print_error("%s%s: %s", table[i].head, table[i].body, got);
		assert_true(slice_starts(slice_z(got), slice_z(table[i].reply)));
	}
	STARTS(talk(SHOP, S(HEAD "size 10001\n\n")), "552 5.3.4");
	STARTS(talk(SHOP, S(HEAD "size 100\n\nSubject: x\r\n")), "451 4.4.2");
	STARTS(talk(SHOP, S(HEAD "\n")), "501 5.5.2 no size");
	assert_int_equal(other.accepted, 0);
	room.postmaster = S("");
	STARTS(mail(0, HEAD, BODY), "550 5.7.1");
	/* nobody's silence is a yes */
	other.rcpt_ipc = IPC_UNAVAILABLE;
	STARTS(mail(SHOP, HEAD, BODY), "451");
	other.rcpt_ipc = IPC_OK;
	other.judge_ipc = IPC_UNAVAILABLE;
	STARTS(mail(SHOP, HEAD, BODY), "451");
	other.judge_ipc = IPC_OK;
	other.action = SMTP_SCAN_ACTION_REJECT;
	STARTS(mail(SHOP, HEAD, BODY), "550 5.7.1 said by scan");
	other.action = SMTP_SCAN_ACTION_ACCEPT;
	other.accept_ipc = IPC_UNAVAILABLE;
	STARTS(mail(SHOP, HEAD, BODY), "451");
	other.accept_ipc = IPC_OK;
	other.status = SMTP_QUEUE_ACCEPT_STATUS_FULL;
	STARTS(mail(SHOP, HEAD, BODY), "45");
	assert_int_equal(other.accepted, 0);
}

static void
counts(void **state)
{
	for (int i = 0; i < 5; i++)
		STARTS(mail(SHOP, HEAD, BODY), "250");
	STARTS(mail(SHOP, HEAD, BODY), "450 4.7.1"); /* five an hour to one recipient */
	for (int i = 0; i < 9; i++) {
		char head[200];

		(void)snprintf(head, sizeof head, "mail 1\nto a%d@far.test\nto b%d@far.test\nto c%d@far.test\n"
		    "to d%d@far.test\nto e%d@far.test\n", i, i, i, i, i);
		STARTS(mail(SHOP, head, BODY), "250");
	}
	STARTS(mail(SHOP, "mail 1\nto z@far.test\n", BODY), "450 4.7.1"); /* fifty in all */
}

static void
letters(void **state)
{
	STARTS(talk(SHOP, S("{\"user\": 42, \"template\": \"hi\", \"values\": {\"name\": \"A\\r\\nBcc: x@far.test {{text}}\","
	    " \"text\": \".\\nFrom here\"}}\n")), "{\"status\":\"ok\"}\n");
	assert_int_equal(other.accepted, 1);
	assert_string_equal(other.rcpts, "1 alice@example.test;");
	HOLDS(other.message, "Subject: Hello A  Bcc: x@far.test {{text}}\r\n");
	HOLDS(other.message, "\r\n\r\nDear A");
	HOLDS(other.message, "\r\n=2E\r\n=46rom here\r\n");
	assert_true(strstr(other.message, "\r\nBcc:") > strstr(other.message, "\r\n\r\n")); /* text, no field */
	STARTS(talk(SHOP, S("{\"user\": \"42\", \"subject\": \"gr\\u00fc\\u00dfe\", \"text\": \"caf\\u00e9 = {{x}}\"}\n")),
	    "{\"status\":\"ok\"}");
	HOLDS(other.message, "Subject:\r\n =?UTF-8?B?Z3LDvMOfZQ==?=\r\n");
	HOLDS(other.message, "caf=C3=A9 =3D {{x}}\r\n");
	assert_int_equal(other.accepted, 2);
	/* nobody by that number, or nobody at his address: the same answer, judged all the same */
	assert_string_equal(talk(SHOP, S("{\"user\": 44, \"subject\": \"s\", \"text\": \"t\"}\n")), "{\"status\":\"ok\"}\n");
	assert_string_equal(talk(SHOP, S("{\"user\": 43, \"subject\": \"s\", \"text\": \"t\"}\n")), "{\"status\":\"ok\"}\n");
	assert_true(other.accepted == 2 && other.judged == 3);
	/* and the same limit */
	for (int i = 0; i < 4; i++)
		STARTS(talk(SHOP, S("{\"user\": 44, \"subject\": \"s\", \"text\": \"t\"}\n")), "{\"status\":\"ok\"}");
	STARTS(talk(SHOP, S("{\"user\": 44, \"subject\": \"s\", \"text\": \"t\"}\n")), "{\"status\":\"later\"");
	/* several on one connection; each has its answer */
	assert_string_equal(talk(SHOP, S("{\"user\": 42, \"template\": \"no\"}\n{\"user\": 42, \"subject\": \"s\","
	    " \"text\": \"t\"}\n")), "{\"status\":\"refused\",\"text\":\"no such template\"}\n{\"status\":\"ok\"}\n");
	STARTS(talk(1002, S("{\"user\": 42, \"subject\": \"s\", \"text\": \"t\"}\n")), "{\"status\":\"refused\"");
}

static void
bad_letters(void **state)
{
	static const char *const bad[] = { "{", "{}", "{\"user\":42}", "{\"user\":42,\"text\":\"t\"}", "{\"user\":[42]}",
		"{\"user\":42,\"subject\":\"s\",\"text\":\"t\",\"to\":\"x@far.test\"}",
		"{\"user\":42,\"user\":43,\"subject\":\"s\",\"text\":\"t\"}",
		"{\"user\":42,\"template\":\"hi\",\"subject\":\"s\"}", "{\"user\":42,\"template\":\"hi\"}",
		"{\"user\":42,\"template\":\"hi\",\"values\":{\"name\":[1]}}", "{\"user\":\"\",\"subject\":\"s\",\"text\":\"t\"}",
		"{\"user\":42,\"subject\":\"s\",\"text\":\"a\\u0000b\"}" };
	char deep[3000];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char line[300];
		int n = snprintf(line, sizeof line, "%s\n", bad[i]);

		STARTS(talk(SHOP, slice_of(line, (size_t)n)), "{\"status\":\"refused\"");
	}
	memset(deep, '[', sizeof deep);
	memcpy(deep, "{\"user\":", 8);
	deep[sizeof deep - 1] = '\n';
	STARTS(talk(SHOP, slice_of(deep, sizeof deep)), "{\"status\":\"refused\"");
	assert_int_equal(other.accepted, 0);
}

/* ---- HTTP ---- */

static char token[APPS_TOKEN + 1];

static void
make_token(void)
{
	static const uint8_t random[32] = { 1, 2, 3 };
	own(buf_t) b = { .max = APPS_TOKEN };

	assert_int_equal(app_token_set(room.apps, S("shop"), slice_of(random, sizeof random), &b), STORE_OK);
	assert_int_equal(b.n, APPS_TOKEN);
	memcpy(token, b.p, b.n);
}

/* One connection over HTTP that says this and waits for the end; what was answered. */
static const char *
ask(const char *head, const char *body)
{
	static char text[20000];
	static char said[20000];
	int ends[2], n = snprintf(said, sizeof said, "%s\r\n%s", head, body);
	ssize_t got;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(send(ends[1], said, (size_t)n, MSG_NOSIGNAL), n);
	assert_int_equal(shutdown(ends[1], SHUT_WR), 0);
	drop_take(&room, ends[0], 0, true);
	for (int i = 0; i < 500 && room.first != NULL; i++)
		loop_once(room.loop, 20);
	got = recv(ends[1], text, sizeof text - 1, MSG_DONTWAIT);
	text[got < 0 ? 0 : got] = '\0';
	(void)close(ends[1]);
	return text;
}

/* A well-formed request with this body. */
static const char *
post(const char *body, const char *fields)
{
	char head[600];

	(void)snprintf(head, sizeof head, "POST /letters HTTP/1.1\r\nHost: 127.0.0.1:8025\r\nAuthorization: Bearer %s\r\n"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n%s", token, strlen(body), fields);
	return ask(head, body);
}

#define LETTER "{\"user\": 42, \"subject\": \"s\", \"text\": \"t\"}"
#define OK_BODY "{\"status\":\"ok\"}"

static void
http_letters(void **state)
{
	const char *got, *known, *unknown;
	own(buf_t) none = { .max = APPS_TOKEN };
	char copy[1000];

	make_token();
	got = post(LETTER, "");
	STARTS(got, "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n");
	HOLDS(got, "\r\n\r\n" OK_BODY "\n");
	assert_int_equal(other.accepted, 1);
	assert_string_equal(other.rcpts, "1 alice@example.test;");
	HOLDS(other.message, "(from shop, uid 1001)");
	/* several, each with its answer */
	got = post("[" LETTER ", {\"user\": 42}, " LETTER "]", "");
	STARTS(got, "HTTP/1.1 200 OK\r\n");
	HOLDS(got, "[" OK_BODY ",{\"status\":\"refused\"");
	assert_int_equal(other.accepted, 3);
	/* somebody and nobody: the same answer, to the octet */
	(void)snprintf(copy, sizeof copy, "%s", post(LETTER, ""));
	known = copy;
	unknown = post("{\"user\": 44, \"subject\": \"s\", \"text\": \"t\"}", "");
	assert_string_equal(known, unknown);
	assert_int_equal(other.accepted, 4);
	STARTS(post("{\"user\": 42}", ""), "HTTP/1.1 422 ");
	other.judge_ipc = IPC_UNAVAILABLE;
	STARTS(post(LETTER, ""), "HTTP/1.1 503 ");
	other.judge_ipc = IPC_OK;
	/* a token that was taken back, and one that nobody has */
	assert_int_equal(app_token_set(room.apps, S("shop"), S(""), &none), STORE_OK);
	STARTS(post(LETTER, ""), "HTTP/1.1 401 ");
	token[10] ^= 1;
	STARTS(post(LETTER, ""), "HTTP/1.1 401 ");
	assert_int_equal(other.accepted, 4);
}

#define TOP "POST /letters HTTP/1.1\r\nHost: x\r\n"

/* H-001..H-007, H-009, H-014, H-015 as far as there is something to them: refused, closed, and nothing after it is
 * another request. */
static void
http_hostile(void **state)
{
	static const struct {
		const char *head, *answer;
	} rows[] = {
		{ TOP "Content-Length: 1\r\nContent-Length: 2\r\n", "HTTP/1.1 400 " },
		{ TOP "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "HTTP/1.1 400 " },
		{ TOP "Transfer-Encoding: chunked\r\n", "HTTP/1.1 501 " },
		{ TOP, "HTTP/1.1 411 " },
		{ TOP "Content-Length: 1\r\n", "HTTP/1.1 401 " },
		{ TOP "Content-Length: 1\r\nContent-Encoding: gzip\r\n", "HTTP/1.1 415 " },
		{ TOP "a\nContent-Length: 1\r\n", "HTTP/1.1 400 " },
		{ "GET /letters HTTP/1.1\r\nHost: x\r\n", "HTTP/1.1 405 " },
		{ "TRACE /letters HTTP/1.1\r\nHost: x\r\nX: secret\r\n", "HTTP/1.1 405 " },
		{ "CONNECT a:25 HTTP/1.1\r\nHost: x\r\n", "HTTP/1.1 400 " },
		{ "PRI * HTTP/2.0\r\n", "HTTP/1.1 505 " },
		{ "GET http://a/letters HTTP/1.1\r\nHost: x\r\n", "HTTP/1.1 400 " },
		{ "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n", "HTTP/1.1 404 " },
		{ "GET /letters/%2e%2e/x HTTP/1.1\r\nHost: x\r\n", "HTTP/1.1 404 " },
		{ "EHLO x\r\n", "HTTP/1.1 400 " },
	};

	make_token();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		/* a second request behind it must never be read */
		const char *got = ask(rows[i].head, TOP "Content-Length: 0\r\n\r\n");

		if (!slice_starts(slice_z(got), slice_z(rows[i].answer)))
			(void)fprintf(stderr, "row %zu: %s\n", i, got);
		assert_true(slice_starts(slice_z(got), slice_z(rows[i].answer)));
		HOLDS(got, "\r\nConnection: close\r\n");
		assert_null(strstr(&got[8], "HTTP/1.1"));
		assert_null(strstr(got, "secret"));
	}
	STARTS(post("x", "Content-Type: text/plain\r\n"), "HTTP/1.1 400 ");
	assert_int_equal(other.accepted, 0);
}

/* H-003, H-015: too much of a head, of a body, of a depth; a body that ends too early is no letter. */
static void
http_floods(void **state)
{
	static char big[16000];
	char head[400];

	make_token();
	memset(big, 'a', 9000);
	memcpy(big, "POST /", 6);
	STARTS(ask(big, ""), "HTTP/1.1 414 ");
	(void)snprintf(big, sizeof big, TOP);
	for (size_t n = strlen(big); n + 9 < sizeof big; n += 6)
		memcpy(&big[n], "A: b\r\n", 7);
	STARTS(ask(big, ""), "HTTP/1.1 431 ");
	memset(big, '[', 9000);
	big[9000] = '\0';
	STARTS(post(big, ""), "HTTP/1.1 400 ");
	(void)snprintf(head, sizeof head, TOP "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
	    "Content-Length: 600000\r\nExpect: 100-continue\r\n", token);
	STARTS(ask(head, LETTER), "HTTP/1.1 413 ");
	(void)snprintf(head, sizeof head, TOP "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
	    "Content-Length: 100\r\n", token);
	assert_string_equal(ask(head, LETTER), "");
	assert_int_equal(other.accepted, 0);
}

/* U-013 in spirit: a program that is over its limit is so after a restart too. */
static void
limits_survive(void **state)
{
	for (int i = 0; i < 5; i++)
		STARTS(mail(SHOP, HEAD, BODY), "250");
	STARTS(mail(SHOP, HEAD, BODY), "450 4.7.1");
	drop_stop(&room);
	end_room();
	assert_int_equal(apps_open("drop-test.db", &room.apps), STORE_OK);
	drop_room_init(&room, NULL, loop_new(), room.apps);
	room.hostname = S("mx.example.test");
	room.max_size = 10000;
	room.back = (struct drop_backend){ play_rcpt, play_judge, play_accept, NULL };
	STARTS(mail(SHOP, HEAD, BODY), "450 4.7.1");
	STARTS(mail(SHOP, "mail 1\nto other@far.test\n", BODY), "250");
}

/* L-003: every truncation, and noise. */
static void
garbage(void **state)
{
	static const struct slice whole = S_INIT(HEAD "from a@shop.test\nsize 22\n\n" BODY "xx");
	uint64_t x = 88172645463325252u;
	char noise[300];

	for (size_t n = 0; n + 3 < whole.n; n++)
		(void)talk(SHOP, slice_head(whole, n));
	assert_int_equal(other.accepted, 0);
	for (int i = 0; i < 300; i++) {
		for (size_t k = 0; k < sizeof noise; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			noise[k] = (char)x;
		}
		(void)talk(1002, slice_of(noise, (size_t)(x % sizeof noise)));
	}
	STARTS(talk(1002, S("EHLO x\r\n")), "501 5.5.2");
	STARTS(mail(SHOP, HEAD, BODY), "250");
}

/* L-003: a user who connects without end has his share and no more; others come through. */
static void
shares(void **state)
{
	int ends[DROP_PER_UID + 1][2];
	char text[100] = "";

	for (size_t i = 0; i <= DROP_PER_UID; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]), 0);
		drop_take(&room, ends[i][0], 1002, false);
	}
	assert_true(recv(ends[DROP_PER_UID][1], text, sizeof text - 1, MSG_DONTWAIT) > 0);
	STARTS(text, "421 4.7.0");
	for (int i = 0; i < 3; i++)
		loop_once(room.loop, 20);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[DROP_PER_UID]), 0);
	drop_take(&room, ends[DROP_PER_UID][0], SHOP, false);
	assert_true(send(ends[DROP_PER_UID][1], "EHLO\n", 5, 0) == 5);
	for (int i = 0; i < 50 && recv(ends[DROP_PER_UID][1], text, sizeof text - 1, MSG_DONTWAIT) <= 0; i++)
		loop_once(room.loop, 20);
	STARTS(text, "501");
	for (size_t i = 0; i <= DROP_PER_UID; i++)
		(void)close(ends[i][1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, open_room, close_room)
		T(takes_mail), T(refuses), T(counts), T(letters), T(bad_letters), T(garbage), T(shares),
		T(http_letters), T(http_hostile), T(http_floods), T(limits_survive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
