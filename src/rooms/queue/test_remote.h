/* SPDX-License-Identifier: MIT
 * Mail for elsewhere: the queue room with rooms send and scan played by the test. Time is the test's own where
 * days pass. */
#pragma once

#include "rooms/queue/test_queue.h"

#include "ipc/smtp_scan.h"
#include "lib/base/own.h"

/* ---- the other end ---- */

/* What the world says to a domain; "dead*" cannot be had, "slow*" is never answered. */
struct world {
	enum queue_send_outcome say;
	enum queue_send_destination be;
	uint32_t code;
	const char *enhanced, *text;
	bool passed_on, by_passed_on, silent;
	size_t relays, rcpts, most_rcpts, delivered;
	size_t n_held;
};

/* The last relay, and those that hang. */
__attribute__((unused)) static struct {
	struct queue_send_relay last;
	char all[2000]; /* "address sender\n" of each */
	char sender[400], address[400], destination[300], envid[120], orcpt[600], body[4096];
	uint8_t notify;
	struct ipc_call held[QUEUE_JOBS];
	uint64_t held_ids[QUEUE_JOBS];
} saw;

__attribute__((unused)) static void
copy_z(char *to, size_t size, struct slice s)
{
	(void)snprintf(to, size, "%.*s", SFMT(s));
}

__attribute__((unused)) static void
on_relay(void *ctx, struct ipc_call *call, struct queue_send_relay *m)
{
	struct world *w = ctx;
	static struct queue_send_result results[QUEUE_JOB];
	bool dead = slice_starts(m->destination, S("dead"));
	struct queue_send_relay_answer out = { .destination = dead ? QUEUE_SEND_DESTINATION_UNREACHABLE : w->be,
		.remote = S("mx.remote.example"), .results = results, .n_results = m->n_rcpts };
	ssize_t n;

	w->relays++;
	w->rcpts += m->n_rcpts;
	if (m->n_rcpts > w->most_rcpts)
		w->most_rcpts = m->n_rcpts;
	saw.last = *m;
	copy_z(saw.sender, sizeof saw.sender, m->sender);
	copy_z(saw.address, sizeof saw.address, m->rcpts[0].address);
	(void)snprintf(&saw.all[strlen(saw.all)], sizeof saw.all - strlen(saw.all), "%s <%s>\n", saw.address, saw.sender);
	copy_z(saw.destination, sizeof saw.destination, m->destination);
	copy_z(saw.envid, sizeof saw.envid, m->envid);
	copy_z(saw.orcpt, sizeof saw.orcpt, m->rcpts[0].orcpt);
	saw.notify = m->rcpts[0].notify;
	n = pread(m->fd, saw.body, sizeof saw.body - 1, 0);
	assert_true(n > 0);
	saw.body[n] = '\0';
	if (w->silent) {
		saw.held_ids[w->n_held] = m->rcpts[0].delivery;
		saw.held[w->n_held++] = *call;
		return;
	}
	for (size_t i = 0; i < m->n_rcpts; i++)
		results[i] = (struct queue_send_result){ .delivery = m->rcpts[i].delivery,
			.outcome = dead ? QUEUE_SEND_OUTCOME_DEFERRED : w->say, .code = dead ? 0 : w->code,
			.enhanced = dead ? S("4.4.1") : slice_z(w->enhanced),
			.text = dead ? S("connection refused") : slice_z(w->text), .passed_on = w->passed_on,
			.by_passed_on = w->by_passed_on };
	w->delivered += !dead && w->say == QUEUE_SEND_OUTCOME_DELIVERED ? m->n_rcpts : 0;
	(void)queue_send_relay_answer(call, &out);
}

/* What scan says of our own notifications. */
__attribute__((unused)) static struct {
	enum { SIGNS, SIGNS_NOT_NOW, SIGNS_SILENTLY } does;
	size_t asked, n_held;
	struct ipc_call held[100]; /* those without an answer, which keep their channel alive */
	char to[400];
} seal;

__attribute__((unused)) static void
on_judge(void *ctx, struct ipc_call *call, struct smtp_scan_judge *m)
{
	struct smtp_scan_edit edit = { .insert = S("DKIM-Signature: of the test\r\n") };
	struct smtp_scan_judge_answer out = { .action = SMTP_SCAN_ACTION_ACCEPT, .edits = &edit, .n_edits = 1 };
	uint64_t size;

	assert_true(ipc_sealed_memfd(m->fd, 1 << 20, &size) && size == m->size && m->sender.n == 0 && m->account == 0);
	seal.asked++;
	copy_z(seal.to, sizeof seal.to, m->rcpts[0].address);
	if (seal.does == SIGNS_NOT_NOW)
		out = (struct smtp_scan_judge_answer){ .action = SMTP_SCAN_ACTION_DEFER, .code = 451 };
	if (seal.does != SIGNS_SILENTLY) {
		(void)smtp_scan_judge_answer(call, &out);
		return;
	}
	assert_true(seal.n_held < sizeof seal.held / sizeof seal.held[0]);
	seal.held[seal.n_held++] = *call;
}

__attribute__((unused)) static void
connect_scan(void)
{
	int fd;

	ipc_channel_free(&notary);
	notary = ipc_channel_new(pair(&fd), "queue", "");
	ipc_set_nonblocking(notary, true);
	ipc_set_phase(notary, SMTP_SCAN_PHASE_QUEUE);
	seal.does = SIGNS;
	seal.asked = 0;
	signing_scan(q, fd);
}

__attribute__((unused)) static void
connect_send(void)
{
	int fd;

	connect_scan();

	ipc_channel_free(&sender);
	sender = ipc_channel_new(pair(&fd), "queue", "");
	ipc_set_nonblocking(sender, true);
	remote_send(q, fd);
}

__attribute__((unused)) static void
turn(struct world *w, int ms)
{
	static const struct queue_send_server server = { .relay = on_relay };

	static const struct smtp_scan_server scan = { .judge = on_judge };

	loop_once(q->loop, ms);
	while (notary != NULL && smtp_scan_server_serve(notary, &scan, w) == IPC_OK)
		;
	while (sender != NULL && queue_send_server_serve(sender, &server, w) == IPC_OK)
		;
}

__attribute__((unused)) static void
until(struct world *w, const size_t *what, size_t n)
{
	for (int i = 0; i < PATIENCE && *what < n; i++)
		turn(w, 5);
	assert_int_equal(*what, n);
}

__attribute__((unused)) static void
rounds(struct world *w, int n)
{
	for (int i = 0; i < n; i++)
		turn(w, 5);
}

/* Until there is nothing left of something. */
__attribute__((unused)) static void
until_none(struct world *w, const unsigned *what)
{
	for (int i = 0; i < PATIENCE && *what > 0; i++)
		turn(w, 5);
	assert_int_equal(*what, 0);
}

/* Until the spool holds so many deliveries. */
__attribute__((unused)) static void
spool_holds(struct world *w, uint64_t n)
{
	for (int i = 0; i < PATIENCE && spool_open_deliveries(q->spool) != n; i++)
		turn(w, 5);
	assert_int_equal(spool_open_deliveries(q->spool), n);
}

__attribute__((unused)) static void
offer_to(struct smtp_queue_accept *m, struct smtp_queue_rcpt *to, size_t n)
{
	static uint32_t id;

	m->queue_id = S("abc.1");
	m->session = 77;
	m->size = sizeof TEXT - 1;
	m->received_us = clock_wall_us();
	m->rcpts = to;
	m->n_rcpts = n;
	m->fd = memfd(true);
	if (m->sender.p == NULL)
		m->sender = S("a@example.org");
	assert_int_equal(smtp_queue_accept_ask(smtp, ++id, m), IPC_OK);
	(void)close(m->fd);
}

__attribute__((unused)) static void
send_to(const char *address)
{
	struct smtp_queue_accept m = { 0 };
	struct smtp_queue_rcpt to = { .address = slice_z(address) };

	offer_to(&m, &to, 1);
	assert_int_equal(hear(1).ok, 1);
}

__attribute__((unused)) static struct world
good(void)
{
	return (struct world){ .say = QUEUE_SEND_OUTCOME_DELIVERED, .be = QUEUE_SEND_DESTINATION_REACHED, .code = 250,
		.enhanced = "2.0.0", .text = "ok" };
}

__attribute__((unused)) static struct world
bad(const char *text)
{
	return (struct world){ .say = QUEUE_SEND_OUTCOME_FAILED, .be = QUEUE_SEND_DESTINATION_REACHED, .code = 550,
		.enhanced = "5.1.1", .text = text };
}

struct one {
	struct arena *a;
	struct spool_delivery d;
	size_t n;
};

__attribute__((unused)) static bool
keep_first(void *ctx, const struct spool_delivery *d)
{
	return ++((struct one *)ctx)->n == 0 || d == NULL;
}

/* The only delivery in the spool. */
__attribute__((unused)) static struct spool_delivery
only(struct arena *a)
{
	struct spool_delivery d;
	struct one one = { .a = a };
	uint64_t last = 0;

	assert_int_equal(spool_open_deliveries(q->spool), 1);
	assert_int_equal(spool_pending(q->spool, 0, 10, keep_first, &one, &last), STORE_OK);
	assert_int_equal(spool_find(q->spool, last, a, &d), STORE_OK);
	return d;
}

__attribute__((unused)) static bool
in(const char *text, const char *what)
{
	return slice_find(slice_z(text), slice_z(what)) != SLICE_NONE;
}

/* ---- time of the test's own ---- */

__attribute__((unused)) static uint64_t mono;
__attribute__((unused)) static int64_t wall;

__attribute__((unused)) static void
own_time(void)
{
	mono = clock_mono_ms();
	wall = clock_wall_us();
	clock_fake(mono, wall);
}

__attribute__((unused)) static void
pass(struct world *w, uint64_t seconds)
{
	mono += seconds * 1000;
	wall += (int64_t)(seconds * SECOND);
	clock_fake(mono, wall);
	for (int i = 0; i < 12; i++) { /* the tick loads it, the next sends, the next commits */
		mono += 100;
		clock_fake(mono, wall);
		turn(w, 1);
		turn(w, 1);
	}
}
