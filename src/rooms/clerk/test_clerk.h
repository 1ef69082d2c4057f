/* SPDX-License-Identifier: MIT
 * The clerk's world: the rooms that the test plays, each in a thread on a real channel, one question at
 * a time. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/clerk_auth.h"
#include "ipc/cli_keys.h"
#include "ipc/cli_ledger.h"
#include "ipc/queue_mailbox.h"
#include "ipc/room_dns.h"
#include "ipc/room_fetch.h"
#include "ipc/smtp_queue.h"
#include "ipc/smtp_scan.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "lib/report/dmarc.h"
#include "lib/report/find.h"
#include "lib/report/tls.h"
#include "lib/resolve/zone.h"
#include "rooms/clerk/owing.h"
#include "rooms/reader/read.h"

#define DAY INT64_C(86400000000)
#define NOON (20000 * DAY + DAY / 2) /* of day 20000 */
#define DB "clerk-test.db"

static const char ZONE[] =
    "_dmarc.a.example TXT \"v=DMARC1; p=reject; rua=mailto:rua@a.example\"\n"
    "_dmarc.b.example TXT \"v=DMARC1; p=none; rua=mailto:x@elsewhere.example,mailto:y@asked.example!10\"\n"
    "b.example._report._dmarc.asked.example TXT \"v=DMARC1\"\n"
    "_dmarc.c.example TXT \"v=DMARC1; p=none\"\n"
    "_dmarc.d.example SERVFAIL\n"
    "_smtp._tls.a.example TXT \"v=TLSRPTv1; rua=mailto:tls@a.example\"\n"
    "_smtp._tls.b.example TXT \"v=TLSRPTv1; rua=https://b.example/r\"\n"
    "new._domainkey.example.test TXT \"v=DKIM1; k=ed25519; p=MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=\"\n"
    "other._domainkey.example.test TXT \"v=DKIM1; k=ed25519; p=QUFBNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=\"\n"
    "1.2.0.192.in-addr.arpa PTR mail.a.example\nmail.a.example A 192.0.2.1\n";

/* The world; its rooms run in threads, one question at a time. */
static struct {
	struct clerk c;
	struct arena *a;
	struct zone zone;
	struct cli_ledger_event events[64];
	size_t n_events;
	enum smtp_queue_accept_status accept;
	bool silent;	/* queue takes it, says nothing and dies */
	bool stored;	/* queue tells the log */
	unsigned mails, readers, posts;
	uint16_t http;	/* what web servers answer; 0: they cannot be reached */
	char url[200];
	uint8_t posted[32768];
	size_t posted_n;
	unsigned asked;	/* questions to public resolvers */
	const char *old; /* one that still sees what was there before; NULL: none */
	const char *dead; /* one that does not answer; NULL: none */
	bool reader_dies, unknown_domains;
	unsigned ticks;
	char keys_seen[200];
	uint8_t *mail;	/* the last one */
	size_t mail_n;
	char to[400];
	pthread_t threads[64];
	size_t n_threads;
} w;

/* ---- the rooms ---- */

static void
on_query(void *ctx, struct ipc_call *call, struct cli_ledger_query *m)
{
	struct cli_ledger_event list[8];
	struct cli_ledger_query_answer out = { .status = CLI_LEDGER_RESULT_OK, .events = list };

	(void)ctx;
	if (m->newest) {
		out.n_events = w.n_events > 0 ? 1 : 0;
		if (out.n_events > 0)
			list[0] = w.events[w.n_events - 1];
		(void)cli_ledger_query_answer(call, &out);
		return;
	}
	for (size_t i = 0; i < w.n_events; i++) {
		const struct cli_ledger_event *e = &w.events[i];

		if (e->id <= m->after || (m->kind != 0 && e->kind != m->kind) ||
		    (m->queue_id.n > 0 && !slice_eq(m->queue_id, e->queue_id)))
			continue;
		out.more = out.n_events == 8;
		if (out.more)
			break;
		list[out.n_events++] = *e;
	}
	(void)cli_ledger_query_answer(call, &out);
}

static enum ipc_status
serve_log(struct ipc_channel *ch)
{
	static const struct cli_ledger_server h = { .query = on_query };

	return cli_ledger_server_serve(ch, &h, NULL);
}

static void
on_dns(void *ctx, struct ipc_call *call, struct room_dns_query *m)
{
	own(arena_p) a = arena_new("dns", 1 << 20);
	struct room_dns_query_answer out = { 0 };
	struct resolve_wire wire;
	struct room_dns_rdata rdata[16];

	(void)ctx;
	zone_query(&w.zone, m->name, (enum rr_type)m->type, a, &wire);
	out = (struct room_dns_query_answer){ .status = (enum room_dns_status)wire.status, .ttl = wire.ttl,
		.name = wire.name, .rdata = rdata };
	for (size_t i = 0; i < wire.n && i < 16; i++)
		rdata[out.n_rdata++] = (struct room_dns_rdata){ .data = wire.rdata[i] };
	(void)room_dns_query_answer(call, &out);
}

static enum ipc_status
serve_dns(struct ipc_channel *ch)
{
	static const struct room_dns_server h = { .query = on_dns };

	return room_dns_server_serve(ch, &h, NULL);
}

static void
on_domains(void *ctx, struct ipc_call *call, struct clerk_auth_domains *m)
{
	struct clerk_auth_domain list[] = { { S("other.example") }, { S("example.test") } };
	struct clerk_auth_domains_answer out = { .domains = list, .n_domains = 2, .failed = w.unknown_domains };

	(void)ctx, (void)m;
	(void)clerk_auth_domains_answer(call, &out);
}

static void
on_resolve(void *ctx, struct ipc_call *call, struct clerk_auth_resolve *m)
{
	struct clerk_auth_target here = { .account = 9, .address = S("bob@example.test") };
	struct clerk_auth_resolve_answer out = { .place = CLERK_AUTH_PLACE_ELSEWHERE, .targets = &here };

	(void)ctx;
	if (slice_ends(m->address, S("@example.test"))) {
		out.place = CLERK_AUTH_PLACE_HERE;
		out.n_targets = 1;
	}
	(void)clerk_auth_resolve_answer(call, &out);
}

static enum ipc_status
serve_auth(struct ipc_channel *ch)
{
	static const struct clerk_auth_server h = { .domains = on_domains, .resolve = on_resolve };

	return clerk_auth_server_serve(ch, &h, NULL);
}

static void
on_judge(void *ctx, struct ipc_call *call, struct smtp_scan_judge *m)
{
	struct smtp_scan_edit edit = { .at = 0, .insert = S("DKIM-Signature: signed\r\n") };
	struct smtp_scan_judge_answer out = { .action = SMTP_SCAN_ACTION_ACCEPT, .edits = &edit, .n_edits = 1 };

	(void)ctx;
	assert_true(m->n_rcpts == 1 && m->account == 0 && slice_starts(m->sender, S("noreply-dmarc@example.test")));
	(void)smtp_scan_judge_answer(call, &out);
}

static enum ipc_status
serve_scan(struct ipc_channel *ch)
{
	static const struct smtp_scan_server h = { .judge = on_judge };

	ipc_set_phase(ch, SMTP_SCAN_PHASE_CLERK);
	return smtp_scan_server_serve(ch, &h, NULL);
}

static void
on_accept(void *ctx, struct ipc_call *call, struct smtp_queue_accept *m)
{
	struct smtp_queue_accept_answer out = { .status = w.accept };
	void *p = mmap(NULL, (size_t)m->size, PROT_READ, MAP_PRIVATE, m->fd, 0);

	(void)ctx;
	assert_true(p != MAP_FAILED);
	if (w.accept == SMTP_QUEUE_ACCEPT_STATUS_OK) {
		free(w.mail);
		w.mail = malloc((size_t)m->size);
		assert_non_null(w.mail);
		memcpy(w.mail, p, (size_t)m->size);
		w.mail_n = (size_t)m->size;
		(void)snprintf(w.to, sizeof w.to, "%.*s/%u", SFMT(m->rcpts[0].address), m->rcpts[0].account);
		w.mails++;
		if (w.stored) {
			struct cli_ledger_event *e = &w.events[w.n_events];

			*e = (struct cli_ledger_event){ .id = 1000 + w.n_events, .kind = EVENT_QUEUE_STORED };
			assert_true(arena_copy(w.a, m->queue_id, &e->queue_id));
			w.n_events++;
		}
	}
	(void)munmap(p, (size_t)m->size);
	if (w.silent)
		(void)ipc_refuse(call);
	else
		(void)smtp_queue_accept_answer(call, &out);
}

static enum ipc_status
serve_queue(struct ipc_channel *ch)
{
	static const struct smtp_queue_server h = { .accept = on_accept };

	enum ipc_status st;

	ipc_set_phase(ch, SMTP_QUEUE_PHASE_CLERK);
	st = smtp_queue_server_serve(ch, &h, NULL);
	return w.silent ? IPC_CLOSED : st;
}

static void
on_read(void *ctx, struct clerk_reader_read *m)
{
	void *p = mmap(NULL, (size_t)m->size, PROT_READ, MAP_PRIVATE, m->fd, 0);

	assert_true(p != MAP_FAILED);
	reader_read(ctx, slice_of(p, (size_t)m->size), m->hostname);
	(void)munmap(p, (size_t)m->size);
}

static enum ipc_status
serve_reader(struct ipc_channel *ch)
{
	static const struct clerk_reader_server h = { .read = on_read };

	w.readers++;
	if (w.reader_dies)
		return IPC_CLOSED;
	ipc_set_send_wait(ch, 20000);
	(void)clerk_reader_server_serve(ch, &h, ch);
	return IPC_CLOSED; /* one mail for one life */
}

/* Four keys that wait: seen by the world, with another key in its place, not there, and one a page on. */
static void
on_list(void *ctx, struct ipc_call *call, struct cli_keys_list *m)
{
	struct cli_keys_key keys[] = { { .selector = S("new") }, { .selector = S("other") }, { .selector = S("absent") },
		{ .selector = S("old"), .state = CLI_KEYS_STATE_ACTIVE } };
	struct cli_keys_key last = { .domain = S("z.example"), .selector = S("new"), .state = CLI_KEYS_STATE_NEXT };
	struct cli_keys_list_answer out = { .keys = keys, .n_keys = 4, .more = true };

	(void)ctx;
	for (size_t i = 0; i < 4; i++) {
		keys[i].domain = S("example.test");
		keys[i].public = S("12345678901234567890123456789012");
		keys[i].state = i < 3 ? CLI_KEYS_STATE_NEXT : keys[i].state;
	}
	if (m->after.n > 0) {
		assert_true(slice_eq(m->after, S("example.test")) && slice_eq(m->after_selector, S("old")));
		out = (struct cli_keys_list_answer){ .keys = &last, .n_keys = 1 };
	}
	(void)cli_keys_list_answer(call, &out);
}

static void
on_seen(void *ctx, struct ipc_call *call, struct cli_keys_seen *m)
{
	struct cli_keys_seen_answer out = { .status = CLI_KEYS_RESULT_OK };
	size_t n = slice_z(w.keys_seen).n;

	(void)ctx;
	(void)snprintf(&w.keys_seen[n], sizeof w.keys_seen - n, "%.*s/%.*s ", SFMT(m->domain), SFMT(m->selector));
	(void)cli_keys_seen_answer(call, &out);
}

static void
on_tick(void *ctx, struct ipc_call *call, struct cli_keys_tick *m)
{
	struct cli_keys_tick_answer out = { .more = ++w.ticks < 3 };

	(void)ctx, (void)m;
	(void)cli_keys_tick_answer(call, &out);
}

static enum ipc_status
serve_keys(struct ipc_channel *ch)
{
	static const struct cli_keys_server h = { .list = on_list, .seen = on_seen, .tick = on_tick };

	ipc_set_phase(ch, CLI_KEYS_PHASE_CLERK);
	return cli_keys_server_serve(ch, &h, NULL);
}

/* A public resolver: the zone, or nothing but its end where the answer is older. */
static void
public_resolver(struct ipc_call *call, struct room_fetch_fetch *m)
{
	own(arena_p) a = arena_new("doh", 1 << 20);
	own(buf_t) b = { .max = 4096 };
	struct room_fetch_fetch_answer out = { .status = ROOM_FETCH_STATUS_DONE, .code = 200, .type = S("application/dns-message") };
	struct slice question = slice_sub(m->body, 12, m->body.n - 12 - 11), name; /* behind it: EDNS */
	struct resolve_wire wire;

	w.asked++;
	assert_true(slice_eq(m->fields[0].value, out.type) && slice_eq(m->type, out.type));
	assert_true(name_from_wire(slice_head(question, question.n - 4), a, &name));
	zone_query(&w.zone, name, RR_TXT, a, &wire);
	if (w.old != NULL && slice_find(m->url, slice_z(w.old)) != SLICE_NONE)
		wire = (struct resolve_wire){ .status = RESOLVE_NXDOMAIN };
	if (w.dead != NULL && slice_find(m->url, slice_z(w.dead)) != SLICE_NONE)
		out = (struct room_fetch_fetch_answer){ .status = ROOM_FETCH_STATUS_UNREACHABLE };
	(void)buf_fmt(&b, "%c%c%c%c", 0, 0, 0x81, wire.status == RESOLVE_NXDOMAIN ? 0x83 : 0x80);
	(void)buf_fmt(&b, "%c%c%c%c%c%c%c%c", 0, 1, 0, (int)wire.n, 0, 0, 0, 0);
	(void)buf_add(&b, question);
	for (size_t i = 0; i < wire.n; i++) {
		(void)buf_fmt(&b, "%c%c%c%c%c%c%c%c%c%c", 0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60);
		(void)buf_fmt(&b, "%c%c", (int)(wire.rdata[i].n >> 8), (int)(wire.rdata[i].n & 255));
		(void)buf_add(&b, wire.rdata[i]);
	}
	out.size = b.n;
	assert_int_equal(write(m->fd, b.p, b.n), b.n);
	(void)room_fetch_fetch_answer(call, &out);
}

static void
on_fetch(void *ctx, struct ipc_call *call, struct room_fetch_fetch *m)
{
	struct room_fetch_fetch_answer out = { .status = w.http == 0 ? ROOM_FETCH_STATUS_UNREACHABLE : ROOM_FETCH_STATUS_DONE,
		.code = w.http };

	(void)ctx;
	if (slice_ends(m->url, S("/dns-query"))) {
		public_resolver(call, m);
		return;
	}
	assert_true(m->method == ROOM_FETCH_METHOD_POST && m->n_fields == 1 && slice_eq(m->fields[0].name, S("Content-Type")));
	assert_true(slice_eq(m->fields[0].value, S("application/tlsrpt+gzip")));
	(void)snprintf(w.url, sizeof w.url, "%.*s", SFMT(m->url));
	memcpy(w.posted, m->body.p, m->body.n);
	w.posted_n = m->body.n;
	w.posts++;
	(void)room_fetch_fetch_answer(call, &out);
}

static enum ipc_status
serve_fetch(struct ipc_channel *ch)
{
	static const struct room_fetch_server h = { .fetch = on_fetch };

	return room_fetch_server_serve(ch, &h, NULL);
}

struct room {
	enum ipc_status (*serve)(struct ipc_channel *ch);
	struct ipc_channel *ch;
};

static void *
live(void *arg)
{
	struct room *r = arg;

	while (r->serve(r->ch) == IPC_OK)
		;
	ipc_channel_free(&r->ch);
	free(r);
	return NULL;
}

static void
meet(const char *peer, enum ipc_status (*serve)(struct ipc_channel *))
{
	struct room *r = calloc(1, sizeof *r);
	int ends[2];

	assert_non_null(r);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	r->serve = serve;
	r->ch = ipc_channel_new(ends[1], "clerk", "");
	assert_true(w.n_threads < 64);
	assert_int_equal(pthread_create(&w.threads[w.n_threads++], NULL, live, r), 0);
	clerk_introduce(&w.c, peer, "", ends[0]);
}

/* ---- the stage ---- */

/* Time stands still at this moment of the wall. */
static void
at(int64_t wall)
{
	clock_real();
	clock_fake(clock_mono_ms(), wall);
}

static void
open_clerk(void)
{
	struct reports *reports;

	at(NOON);
	assert_int_equal(reports_open(DB, &reports), STORE_OK);
	w.c = (struct clerk){ .hostname = S("mail.example.test"), .org = S("mail.example.test"), .send_dmarc = true,
		.send_tls = true };
	clerk_init(&w.c, loop_new(), reports);
	meet("log", serve_log);
	meet("dns", serve_dns);
	meet("auth", serve_auth);
	meet("scan", serve_scan);
	meet("queue", serve_queue);
	meet("keys", serve_keys);
	meet("fetch", serve_fetch);
}

static void
close_clerk(void)
{
	struct loop *l = w.c.loop;

	clerk_stop(&w.c);
	loop_free(&l);
	for (size_t i = 0; i < w.n_threads; i++)
		assert_int_equal(pthread_join(w.threads[i], NULL), 0);
	w.n_threads = 0;
	clock_real();
}

static int
begin(void **state)
{
	struct slice zone;

	(void)state;
	(void)unlink(DB);
	(void)unlink(DB "-wal");
	memset(&w, 0, sizeof w);
	w.a = arena_new("world", 1 << 24);
	assert_true(arena_copy(w.a, slice_of(ZONE, sizeof ZONE - 1), &zone) && zone_parse(zone, w.a, &w.zone));
	w.accept = SMTP_QUEUE_ACCEPT_STATUS_OK;
	open_clerk();
	return 0;
}

static int
end(void **state)
{
	(void)state;
	close_clerk();
	free(w.mail);
	arena_free(&w.a);
	(void)unlink(DB);
	return 0;
}

static void
add_event(enum event_kind kind, int64_t time, const char *const *fields)
{
	struct cli_ledger_event *e = &w.events[w.n_events];

	*e = (struct cli_ledger_event){ .id = w.n_events + 1, .kind = (uint16_t)kind, .time_us = time };
	e->fields = ARENA_ARRAY(w.a, 32, struct cli_ledger_field);
	assert_non_null(e->fields);
	for (; fields[0] != NULL; fields = &fields[2])
		e->fields[e->n_fields++] = (struct cli_ledger_field){ slice_z(fields[0]), slice_z(fields[1]) };
	w.n_events++;
}

/* A message in the name of the domain, as scan tells of it. */
static void
judged(int64_t time, const char *domain, const char *ip, bool passed, const char *action)
{
	const char *const fields[] = { "action", action, "dmarc", passed ? "pass" : "fail", "policy_domain", domain,
		"header_from", domain, "ip", ip, "spf", passed ? "pass" : "softfail", "spf_domain", "bounce.example",
		"spf_scope", "mfrom", "dkim", passed ? "pass d=a.example s=s1; fail d=x.example s=s2: body" : "none",
		"aligned", passed ? "dkim" : "", "disposition", passed ? "none" : "reject", "override", "",
		"published", "p=reject adkim=r aspf=s sp=none t=y", "rcpt_domain", "example.test", NULL };

	add_event(EVENT_SCAN_VERDICT, time, fields);
}

static void
session(int64_t time, const char *domain, const char *policy, const char *result)
{
	const char *const fields[] = { "policy_type", "sts", "policy_domain", domain, "policy_string", policy, "mx_host", "mx.a.example",
		"receiving_ip", "192.0.2.7", "sending_ip", "192.0.2.8", "result", result, "reason", "", NULL };

	add_event(EVENT_SEND_TLS, time, fields);
}

static void
count_all(void)
{
	bool more = true;

	while (more)
		assert_true(counting_step(&w.c, &more));
}

static void
work_off(void)
{
	owing_plan(&w.c);
	for (int i = 0; i < 50 && owing_step(&w.c); i++)
		;
}
