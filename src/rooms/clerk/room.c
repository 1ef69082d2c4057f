/* SPDX-License-Identifier: MIT */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/clerk/clerk.h"

#define TURN 16 /* frames of one channel before the others get their turn */
#define DAY_US UINT64_C(86400000000)
#define RETIRE_MS 3600000u
#define RETIRE ((size_t)200)

void
clerk_store(const char *what, enum store_err e)
{
	if (e != STORE_IO && e != STORE_DAMAGED)
		return;
	EVENT(EVENT_STORE_ERROR, 0, S(""), S(""), EF("what", slice_z(what)), EF("error", slice_z(store_err_name(e))));
	(void)fprintf(stderr, "clerk: %s: %s\n", what, store_err_name(e));
	exit(EX_IOERR);
}

static void
peer_drop(struct clerk_peer *p)
{
	struct clerk_peer **at = &p->c->peers;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	loop_unwatch(p->c->loop, &p->watch);
	ipc_channel_free(&p->ch);
	free(p);
}

static void
on_frames(void *arg, unsigned ready)
{
	struct clerk_peer *p = arg;
	enum ipc_status st = IPC_OK;

	(void)ready;
	for (int i = 0; i < TURN && st == IPC_OK; i++)
		st = p->cli ? answer_serve(p) : intake_serve(p);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE && p->c->proc != NULL)
		proc_suspect(p->c->proc, p->ch);
	peer_drop(p);
}

static void
meet(struct clerk *c, const char *peer, const char *instance, int fd, bool cli)
{
	struct clerk_peer *p = calloc(1, sizeof *p);

	PN_ASSERT(p != NULL);
	*p = (struct clerk_peer){ .c = c, .cli = cli, .next = c->peers };
	p->ch = ipc_channel_new(fd, peer, instance);
	ipc_set_nonblocking(p->ch, true);
	p->watch = loop_watch(c->loop, fd, LOOP_READ, on_frames, p);
	c->peers = p;
}

void
clerk_introduce(void *ctx, const char *peer, const char *instance, int fd)
{
	struct clerk *c = ctx;
	const struct {
		struct slice name;
		struct ipc_client *client;
	} asked[] = { { S("log"), c->log }, { S("dns"), c->dns.client }, { S("auth"), c->auth }, { S("scan"), c->scan },
		{ S("queue"), c->queue }, { S("keys"), c->keys }, { S("fetch"), c->fetch } };
	struct slice name = slice_z(peer);

	for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
		if (slice_eq(name, asked[i].name)) {
			ipc_client_connect(asked[i].client, fd);
			return;
		}
	if (slice_eq(name, S("cli")) || slice_eq(name, S("deliveries")))
		meet(c, slice_eq(name, S("cli")) ? peer : "queue", instance, fd, slice_eq(name, S("cli")));
	else if (slice_eq(name, S("reader")))
		reading_meet(c, fd);
	else
		(void)close(fd);
}

void
clerk_rest(struct clerk *c)
{
	reports_rest(c->reports);
	(void)malloc_trim(0);
}

static void
retire(void *arg)
{
	struct clerk *c = arg;
	uint64_t now = (uint64_t)clock_wall_us(), days = now / DAY_US;

	clerk_store("retire", reports_retire(c->reports, now - CLERK_KEEP_DAYS * DAY_US,
				  now - CLERK_KEEP_BAD_DAYS * DAY_US, RETIRE));
	clerk_store("forget", reports_forget_periods(c->reports, (days - CLERK_OWED_DAYS) * REPORTS_PARTS));
	clerk_rest(c);
	c->retire = loop_after(c->loop, RETIRE_MS, retire, c);
}

void
clerk_init(struct clerk *c, struct loop *loop, struct reports *reports)
{
	c->loop = loop;
	c->reports = reports;
	c->log = ipc_client_new("log");
	resolve_room_init(&c->dns, CLERK_ASK_MS);
	c->auth = ipc_client_new("auth");
	c->scan = ipc_client_new("scan");
	c->queue = ipc_client_new("queue");
	c->keys = ipc_client_new("keys");
	c->fetch = ipc_client_new("fetch");
	c->retire = loop_after(loop, RETIRE_MS, retire, c);
	counting_kick(c);
	rotation_kick(c);
	owing_kick(c);
	names_kick(c);
	reading_kick(c);
}

void
clerk_stop(void *ctx)
{
	struct clerk *c = ctx;
	struct loop_timer **timers[] = { &c->patience, &c->reading, &c->count, &c->owe, &c->names, &c->rotate,
		&c->retire };
	struct ipc_client **clients[] = { &c->log, &c->dns.client, &c->auth, &c->scan, &c->queue, &c->keys, &c->fetch };

	while (c->peers != NULL)
		peer_drop(c->peers);
	for (size_t i = 0; i < sizeof timers / sizeof *timers; i++)
		loop_cancel(c->loop, timers[i]);
	for (size_t i = 0; i < sizeof clients / sizeof *clients; i++)
		ipc_client_free(clients[i]);
	ipc_channel_free(&c->reader);
	reports_close(&c->reports);
	loop_stop(c->loop);
}
