/* SPDX-License-Identifier: MIT
 * One mailbox room per user, started when a login or a delivery wants it, under the user's own uid.
 * Only auth can open one to a client; queue only gets a channel for deliveries. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/auth_warden.h"
#include "ipc/queue_warden.h"
#include "ipc/warden_door.h"
#include "lib/base/limits.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "rooms/warden/warden.h"

#define MAILBOX_UIDS 1000u /* the first 1,000 uids of the range are for the fixed rooms */

const struct room_kind mailbox_kind = { "mailbox", "", 0, NULL, "" };

static struct room *
find(struct warden *w, uint32_t account)
{
	for (struct room *r = w->mailboxes; r != NULL; r = r->next)
		if (r->account == account)
			return r;
	return NULL;
}

/* The running mailbox room of the account, or NULL when it cannot be had. */
static struct room *
wanted(struct warden *w, uint32_t account)
{
	struct room *r = find(w, account);

	if (account == 0 || account > w->config.user_range || w->stopping)
		return NULL;
	if (r == NULL) {
		r = calloc(1, sizeof *r);
		PN_ASSERT(r != NULL);
		r->w = w;
		r->kind = &mailbox_kind;
		r->account = account;
		r->uid = w->as_root ? w->config.uid_base + MAILBOX_UIDS + account : getuid();
		r->said = -1;
		(void)snprintf(r->instance, sizeof r->instance, "%u", account);
		r->next = w->mailboxes;
		w->mailboxes = r;
	}
	if (r->state == ROOM_STOPPING)
		return NULL; /* its last flush; the asker tries again */
	if (r->state == ROOM_DOWN)
		room_start(w, r);
	return room_alive(r) ? r : NULL;
}

/* A new channel between a mailbox room and a peer; the peer's end, or -1. */
static int
channel_for(struct room *r, const char *peer)
{
	int ends[2];

	if (!wiring_pair(ends))
		return -1;
	room_introduce(r, peer, "", ends[0]);
	(void)close(ends[0]);
	return ends[1];
}

void
mailbox_gone(struct warden *w, struct room *gone)
{
	for (struct room **r = &w->mailboxes; *r != NULL; r = &(*r)->next)
		if (*r == gone) {
			*r = gone->next;
			free(gone);
			return;
		}
}

void
mailboxes_forgotten_by(struct warden *w, const char *room)
{
	for (struct room *r = w->mailboxes; r != NULL; r = r->next) {
		if (slice_eq(slice_z(room), S("door")))
			r->door_knows = false;
		else if (slice_eq(slice_z(room), S("queue")))
			r->queue_knows = false;
	}
}

/* ---- auth's word -------------------------------------------------------------------------------- */

static void
on_grant(void *ctx, struct auth_warden_grant *m)
{
	struct warden *w = ctx;
	struct room *door = room_find(w, S("door"), S("")), *r = wanted(w, m->account);
	struct warden_door_join join = { .session = m->session, .account = m->account, .fd = -1 };
	struct warden_door_unavailable no = { .session = m->session };

	if (!room_alive(door) || door->special == NULL)
		return;
	if (r == NULL) {
		(void)warden_door_unavailable_send(door->special, &no);
		return;
	}
	if (!r->door_knows)
		join.fd = channel_for(r, "door");
	r->door_knows = r->door_knows || join.fd >= 0;
	(void)warden_door_join_send(door->special, &join);
	fd_t_drop(&join.fd);
}

static void
on_revoke(void *ctx, struct auth_warden_revoke *m)
{
	struct room *r = find(ctx, m->account);

	/* not asked to stop: its sessions have to end now; the store survives a kill */
	if (r != NULL && room_alive(r)) {
		r->state = ROOM_STOPPING;
		(void)kill(r->pid, SIGKILL);
	}
}

/* The mail of a deleted account is set aside, not destroyed: mail/ID becomes mail/ID.deleted-TIME. */
static void
on_forget(void *ctx, struct auth_warden_forget *m)
{
	struct warden *w = ctx;
	struct auth_warden_revoke revoke = { .account = m->account };
	char from[64], to[96];

	on_revoke(w, &revoke);
	(void)snprintf(from, sizeof from, "mail/%u", m->account);
	(void)snprintf(to, sizeof to, "mail/%u.deleted-%lld", m->account, (long long)(clock_wall_us() / 1000000));
	if (renameat(w->data_dir, from, w->data_dir, to) != 0 && errno != ENOENT)
		EVENT(EVENT_ROOM_SAID, 0, S(""), S(""), EF("room", S("warden")),
		    EF("text", slice_z(strerror(errno))), EF("path", slice_z(from)));
}

static const struct auth_warden_server auth_handlers = { .grant = on_grant, .revoke = on_revoke,
	.forget = on_forget };

/* ---- queue's wish ------------------------------------------------------------------------------- */

/* Reports about our domains are deliveries too. */
static struct room *
clerk(struct warden *w)
{
	struct room *r = room_find(w, S("clerk"), S(""));

	return room_alive(r) && r->state != ROOM_STARTING ? r : NULL;
}

static void
on_want(void *ctx, struct queue_warden_want *m)
{
	struct warden *w = ctx;
	struct room *queue = room_find(w, S("queue"), S(""));
	struct room *r = m->account == ACCOUNT_CLERK ? clerk(w) : wanted(w, m->account);
	struct queue_warden_mailbox out = { .account = m->account, .fd = -1,
		.status = r == NULL ? QUEUE_WARDEN_STATUS_UNAVAILABLE : QUEUE_WARDEN_STATUS_OK };

	if (!room_alive(queue) || queue->special == NULL)
		return;
	/* queue asks only when it has no channel (any more): a fresh one each time */
	if (r != NULL) {
		out.fd = channel_for(r, r->account == 0 ? "deliveries" : "queue");
		r->queue_knows = out.fd >= 0;
		if (out.fd < 0)
			out.status = QUEUE_WARDEN_STATUS_UNAVAILABLE;
	}
	(void)queue_warden_mailbox_send(queue->special, &out);
	fd_t_drop(&out.fd);
}

static const struct queue_warden_server queue_handlers = { .want = on_want };

/* ---- watching both ------------------------------------------------------------------------------ */

struct special {
	struct warden *w;
	struct room *r;
	bool is_auth;
};

static void
from_special(void *arg, unsigned ready)
{
	struct special *s = arg;
	struct ipc_channel *ch = s->r->special;
	enum ipc_status st;

	(void)ready;
	st = s->is_auth ? auth_warden_server_serve(ch, &auth_handlers, s->w) :
			  queue_warden_server_serve(ch, &queue_handlers, s->w);
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	loop_unwatch(s->w->loop, &s->r->special_watch);
	if (st == IPC_HOSTILE) {
		room_alarmed(s->w, s->r, ipc_why(ch));
		(void)kill(s->r->pid, SIGKILL);
	}
	free(s);
}

static void
serve(struct warden *w, struct room *r, bool is_auth)
{
	struct special *s = calloc(1, sizeof *s);
	int ends[2];

	PN_ASSERT(s != NULL);
	if (!wiring_pair(ends)) {
		free(s);
		return;
	}
	*s = (struct special){ .w = w, .r = r, .is_auth = is_auth };
	r->special = ipc_channel_new(ends[0], r->kind->name, "");
	r->special_watch = loop_watch(w->loop, ends[0], LOOP_READ, from_special, s);
	room_introduce(r, "warden", "", ends[1]);
	(void)close(ends[1]);
}

void mailboxes_serve_auth(struct warden *w, struct room *auth) { serve(w, auth, true); }
void mailboxes_serve_queue(struct warden *w, struct room *queue) { serve(w, queue, false); }
