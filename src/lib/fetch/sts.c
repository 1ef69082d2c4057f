/* SPDX-License-Identifier: MIT */
#include "lib/fetch/sts.h"

#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "lib/fetch/fetch.h"

/* One event a minute: mail goes on without a cache. */
static void
tell(struct sts_source *s, enum store_err e)
{
	uint64_t now = clock_mono_ms();

	if (s->told_ms != 0 && now - s->told_ms < 60000)
		return;
	s->told_ms = now;
	EVENT(EVENT_STORE_ERROR, 0, S(""), S(""), EF("what", S("the cache of MTA-STS policies")),
	    EF("error", slice_z(store_err_name(e))));
}

static bool
get(void *self, struct slice domain, struct arena *a, struct tlspolicy_sts_entry *out)
{
	struct sts_source *s = ((struct sts_asker *)self)->source;
	struct stscache_row row = { .fetched = 0 };
	enum store_err e = STORE_NONE;

	(void)pthread_mutex_lock(&s->lock);
	if (s->cache != NULL)
		e = stscache_get(s->cache, domain, a, &row);
	if (e != STORE_OK && e != STORE_NONE)
		tell(s, e);
	(void)pthread_mutex_unlock(&s->lock);
	if (e != STORE_OK)
		return false;
	*out = (struct tlspolicy_sts_entry){ .id = row.id,
		.text = row.text,
		.fetched = row.fetched,
		.expires = row.expires,
		.tried = row.tried };
	return true;
}

static void
put(void *self, struct slice domain, const struct tlspolicy_sts_entry *entry)
{
	struct sts_source *s = ((struct sts_asker *)self)->source;
	struct stscache_row row = { .id = entry->id,
		.text = entry->text,
		.fetched = entry->fetched,
		.expires = entry->expires,
		.tried = entry->tried };
	enum store_err e = STORE_OK;

	(void)pthread_mutex_lock(&s->lock);
	if (s->cache != NULL)
		e = stscache_put(s->cache, domain, &row, clock_wall_us() / 1000000);
	if (e != STORE_OK)
		tell(s, e);
	(void)pthread_mutex_unlock(&s->lock);
}

static enum tlspolicy_fetch
fetch(void *self, struct slice domain, struct arena *a, struct slice *text)
{
	struct sts_asker *asker = self;
	struct slice why;

	return fetch_sts_policy(asker->source->fetch, domain, asker->session, a, text, &why);
}

void
sts_source_init(struct sts_source *s, struct stscache *cache)
{
	*s = (struct sts_source){ .fetch = ipc_client_new("fetch"), .cache = cache };
	(void)pthread_mutex_init(&s->lock, NULL);
}

void
sts_source_connect(struct sts_source *s, int fd)
{
	ipc_client_connect(s->fetch, fd);
}

void
sts_source_free(struct sts_source *s)
{
	ipc_client_free(&s->fetch);
	(void)pthread_mutex_destroy(&s->lock);
}

struct tlspolicy_sts
sts_source_of(struct sts_asker *asker)
{
	return (struct tlspolicy_sts){ .get = get, .put = put, .fetch = fetch, .self = asker };
}
