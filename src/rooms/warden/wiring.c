/* SPDX-License-Identifier: MIT
 * Which room talks to which. Each row is one channel; calls along the rows form no circle (rooms.md
 * draws them). When a room is started again, all its rows are made anew and the living ends are
 * introduced to their peers. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/events/events.h"
#include "rooms/warden/warden.h"

static const struct {
	const char *client, *client_instance, *server, *server_instance;
} ROWS[] = {
	{ "door", "", "keys", "" },
	{ "door", "", "smtp", "mx" },
	{ "door", "", "smtp", "submission" },
	{ "door", "", "smtp", "lmtp" },
	{ "door", "", "lobby", "" },
	{ "smtp", "mx", "auth", "" },
	{ "smtp", "submission", "auth", "" },
	{ "smtp", "lmtp", "auth", "" },
	{ "lobby", "", "auth", "" },
	{ "smtp", "mx", "queue", "" },
	{ "smtp", "submission", "queue", "" },
	{ "smtp", "lmtp", "queue", "" },
	{ "smtp", "mx", "scan", "" },
	{ "smtp", "submission", "scan", "" },
	{ "smtp", "lmtp", "scan", "" },
	{ "smtp", "mx", "milter", "" },
	{ "smtp", "submission", "milter", "" },
	{ "drop", "", "auth", "" },
	{ "drop", "", "scan", "" },
	{ "drop", "", "queue", "" },
	{ "scan", "", "keys", "" },
	{ "queue", "", "keys", "" },
	{ "queue", "", "scan", "" },
	{ "scan", "", "auth", "" },
	{ "scan", "", "dns", "" },
	{ "queue", "", "send", "" },
	{ "send", "", "dns", "" },
	{ "fetch", "", "dns", "" },
	{ "clerk", "", "dns", "" },
	{ "clerk", "", "auth", "" },
	{ "clerk", "", "scan", "" },
	{ "clerk", "", "queue", "" },
	{ "clerk", "", "keys", "" },
	{ "clerk", "", "reader", "" },
	{ "send", "", "fetch", "" },
	{ "clerk", "", "fetch", "" },
};

bool
wiring_pair(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0;
}

static void
join(struct room *a, struct room *b)
{
	int ends[2];

	if (!room_alive(a) || !room_alive(b) || !wiring_pair(ends))
		return;
	room_introduce(a, b->kind->name, b->instance, ends[0]);
	room_introduce(b, a->kind->name, a->instance, ends[1]);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* The room's channel to ledger; for ledger itself, the channels of all rooms and of warden. */
static void
connect_ledger(struct warden *w, struct room *r)
{
	struct room *ledger = room_find(w, S("ledger"), S(""));
	int ends[2];

	if (r != ledger) {
		join(r, ledger);
		return;
	}
	for (struct room *other = w->rooms; other != NULL; other = other->next)
		if (other != ledger)
			join(other, ledger);
	for (struct room *other = w->mailboxes; other != NULL; other = other->next)
		join(other, ledger);
	if (wiring_pair(ends)) {
		events_connect(ends[0]);
		room_introduce(r, "warden", "", ends[1]);
		(void)close(ends[1]);
	}
}

/* The clerk reads the log, on a channel beside the one on which every room writes it. */
static void
connect_log(struct warden *w)
{
	struct room *clerk = room_find(w, S("clerk"), S("")), *ledger = room_find(w, S("ledger"), S(""));
	int ends[2];

	if (!room_alive(clerk) || !room_alive(ledger) || !wiring_pair(ends))
		return;
	room_introduce(clerk, "log", "", ends[0]);
	room_introduce(ledger, "clerk", "asks", ends[1]);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

void
wiring_connect(struct warden *w, struct room *r)
{
	struct slice name = slice_z(r->kind->name), instance = slice_z(r->instance);

	connect_ledger(w, r);
	if (r->account != 0)
		return;
	for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
		struct slice cn = slice_z(ROWS[i].client), ci = slice_z(ROWS[i].client_instance);
		struct slice sn = slice_z(ROWS[i].server), si = slice_z(ROWS[i].server_instance);

		if ((slice_eq(name, cn) && slice_eq(instance, ci)) || (slice_eq(name, sn) && slice_eq(instance, si)))
			join(room_find(w, cn, ci), room_find(w, sn, si));
	}
	if (slice_eq(name, S("clerk")) || slice_eq(name, S("ledger")))
		connect_log(w);
	if (r->table != NULL)
		watch_join(w, r);
	else if (slice_eq(name, S("drop")))
		watches_join(w);
	if (slice_eq(name, S("auth")))
		mailboxes_serve_auth(w, r);
	else if (slice_eq(name, S("queue")))
		mailboxes_serve_queue(w, r);
	else if (slice_eq(name, S("milter")) || slice_eq(name, S("send")))
		dials_serve(w, r);
	else if (slice_eq(name, S("door"))) {
		int ends[2];

		if (!wiring_pair(ends))
			return;
		r->special = ipc_channel_new(ends[0], "door", "");
		room_introduce(r, "warden", "", ends[1]);
		(void)close(ends[1]);
	}
}
