/* SPDX-License-Identifier: MIT */
#include "rooms/mailbox/session.h"

void
hub_init(struct hub *h, unsigned most, void (*wake)(void *, struct session *), void *ctx)
{
	*h = (struct hub){ .most = most, .wake = wake, .ctx = ctx };
	(void)pthread_mutex_init(&h->lock, NULL);
}

bool
hub_join(struct hub *h, struct session *s)
{
	bool room;

	(void)pthread_mutex_lock(&h->lock);
	room = h->n < h->most;
	if (room) {
		s->prev = NULL;
		s->next = h->first;
		if (s->next != NULL)
			s->next->prev = s;
		h->first = s;
		h->n++;
	}
	(void)pthread_mutex_unlock(&h->lock);
	return room;
}

void
hub_leave(struct hub *h, struct session *s)
{
	(void)pthread_mutex_lock(&h->lock);
	if (s->prev != NULL || h->first == s) {
		if (s->prev != NULL)
			s->prev->next = s->next;
		else
			h->first = s->next;
		if (s->next != NULL)
			s->next->prev = s->prev;
		s->next = s->prev = NULL;
		h->n--;
	}
	(void)pthread_mutex_unlock(&h->lock);
}

void
hub_listen(struct hub *h, struct session *s, uint64_t folder)
{
	(void)pthread_mutex_lock(&h->lock);
	s->listens = folder;
	(void)pthread_mutex_unlock(&h->lock);
}

void
hub_changed(struct hub *h, uint64_t folder, const struct session *by)
{
	(void)pthread_mutex_lock(&h->lock);
	for (struct session *s = h->first; s != NULL; s = s->next)
		if (s->listens == folder && s != by)
			h->wake(h->ctx, s);
	(void)pthread_mutex_unlock(&h->lock);
}

bool
hub_listening(struct hub *h)
{
	bool any = false;

	(void)pthread_mutex_lock(&h->lock);
	for (const struct session *s = h->first; s != NULL && !any; s = s->next)
		any = s->listens != 0;
	(void)pthread_mutex_unlock(&h->lock);
	return any;
}
