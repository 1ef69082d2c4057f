/* SPDX-License-Identifier: MIT
 * Sessions by id, in lists and with deadlines. All deadlines of a kind are equally long, so each
 * kind is a queue in order of time; a timer runs only while one of them is not empty. */
#include <malloc.h>
#include <stdlib.h>
#include <sys/random.h>

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "rooms/door/house.h"

static const uint32_t lasts_ms[DEADLINES] = {
	[DEADLINE_SHAKE] = LIMIT_IMPLICIT_MS - 2 * LIMIT_TICK_MS, /* cut within the 10 s */
	[DEADLINE_JOIN] = LIMIT_JOIN_MS,
	[DEADLINE_FLUSH] = LIMIT_FLUSH_MS,
	[DEADLINE_LINGER] = LIMIT_LINGER_MS,
	[DEADLINE_PROXY] = LIMIT_PROXY_MS,
};

static uint64_t
random_id(struct house *h)
{
	uint64_t id;

	do
		PN_ASSERT(getrandom(&id, sizeof id, 0) == (ssize_t)sizeof id);
	while (id == 0 || session_find(h, id) != NULL);
	return id;
}

struct session *
session_new(struct house *h, const struct listener *l)
{
	struct session *s = calloc(1, sizeof *s);

	PN_ASSERT(s != NULL);
	s->id = random_id(h);
	s->next_id = h->ids[s->id % ID_BUCKETS];
	h->ids[s->id % ID_BUCKETS] = s;
	s->listener = l;
	s->deadline = NO_DEADLINE;
	s->bare = s->watched[0] = s->watched[1] = -1;
	return s;
}

struct session *
session_find(struct house *h, uint64_t id)
{
	struct session *s = h->ids[id % ID_BUCKETS];

	while (s != NULL && s->id != id)
		s = s->next_id;
	return s;
}

static void
tell_close(const struct session *s)
{
	if (s->conn == NULL)
		EVENT(EVENT_CONN_CLOSE, s->id, S(""), S(""),
		    EF("listener", slice_z(s->listener->service->name)));
	else
		EVENT(EVENT_CONN_CLOSE, s->id, S(""), S(""),
		    EF("listener", slice_z(s->listener->service->name)),
		    EN("in", conn_up(s->conn)), EN("out", conn_down(s->conn)));
}

static void
on_quiet(void *arg)
{
	struct house *h = arg;

	h->quiet = NULL;
	h->crowd = caps_total(h->caps);
	(void)malloc_trim(0);
}

/* A moment after half of a crowd has gone, its memory goes back to the system: libc would keep it
 * for the next one. */
static void
note_leaving(struct house *h)
{
	size_t now = caps_total(h->caps);

	if (now > h->crowd)
		h->crowd = now;
	if (h->crowd >= LIMIT_CROWD && now <= h->crowd / 2 && h->quiet == NULL)
		h->quiet = loop_after(h->loop, LIMIT_QUIET_MS, on_quiet, h);
}

void
session_free(struct house *h, struct session *s)
{
	struct session **at = &h->ids[s->id % ID_BUCKETS];

	tell_close(s);
	if (s->resting)
		room_gone(s); /* there is no stream whose end would tell it */
	note_leaving(h);
	while (*at != s)
		at = &(*at)->next_id;
	*at = s->next_id;
	for (enum link_kind k = 0; k < LINKS; k++)
		list_drop(k, s);
	for (int side = 0; side < 2; side++)
		loop_unwatch(h->loop, &s->watch[side]);
	conn_free(&s->conn);
	fd_t_drop(&s->bare);
	handoff_free(s);
	if (s->address != NULL)
		caps_leave(h->caps, &s->address, clock_mono_ms());
	if (s->unknown)
		caps_leave_unknown(h->caps);
	house_crowding(h);
	free(s);
	if (h->stopping && caps_total(h->caps) == 0)
		loop_stop(h->loop);
}

void
list_put(struct list *list, enum link_kind k, struct session *s)
{
	PN_ASSERT(s->in[k] == NULL);
	s->in[k] = list;
	s->prev[k] = list->last;
	s->next[k] = NULL;
	if (list->last != NULL)
		list->last->next[k] = s;
	else
		list->first = s;
	list->last = s;
}

void
list_drop(enum link_kind k, struct session *s)
{
	struct list *list = s->in[k];

	if (list == NULL)
		return;
	if (s->prev[k] != NULL)
		s->prev[k]->next[k] = s->next[k];
	else
		list->first = s->next[k];
	if (s->next[k] != NULL)
		s->next[k]->prev[k] = s->prev[k];
	else
		list->last = s->prev[k];
	s->in[k] = NULL;
	s->prev[k] = s->next[k] = NULL;
}

static void
expire(struct house *h, struct session *s)
{
	enum deadline d = s->deadline;

	deadline_set(h, s, NO_DEADLINE);
	if (d == DEADLINE_SHAKE) {
		house_refused(h, EVENT_TLS_FAILED, s->listener, s, &s->peer_ip,
		    S("the handshake took too long"));
		room_gone(s);
	} else if (d == DEADLINE_PROXY) {
		house_refused(h, EVENT_CONN_REFUSED, s->listener, s, &s->peer_ip,
		    S("no PROXY header in time"));
	} else if (d == DEADLINE_JOIN) {
		house_refused(h, EVENT_CONN_REFUSED, s->listener, s, &s->peer_ip,
		    S("no mailbox in time"));
		s->joined = true;
		session_unavailable(h, s);
		return;
	}
	session_free(h, s);
}

static void
on_tick(void *arg)
{
	struct house *h = arg;
	uint64_t now = clock_mono_ms();
	bool any = false;

	h->tick = NULL;
	for (enum deadline d = 0; d < DEADLINES; d++) {
		while (h->deadlines[d].first != NULL && h->deadlines[d].first->deadline_ms <= now)
			expire(h, h->deadlines[d].first);
	}
	for (enum deadline d = 0; d < DEADLINES; d++)
		any |= h->deadlines[d].first != NULL;
	if (any && h->tick == NULL)
		h->tick = loop_after(h->loop, LIMIT_TICK_MS, on_tick, h);
}

void
deadline_set(struct house *h, struct session *s, enum deadline d)
{
	if (s->deadline == d)
		return;
	list_drop(LINK_DEADLINE, s);
	s->deadline = d;
	if (d == NO_DEADLINE)
		return;
	s->deadline_ms = clock_mono_ms() + lasts_ms[d];
	list_put(&h->deadlines[d], LINK_DEADLINE, s);
	if (h->tick == NULL)
		h->tick = loop_after(h->loop, LIMIT_TICK_MS, on_tick, h);
}
