/* SPDX-License-Identifier: MIT */
#include "lib/outbox/outbox.h"

enum outbox_status
outbox_next(struct outbox *o, int64_t now, struct slice key, struct arena *a, struct outbox_row *row)
{
	return o->ops->next(o, now, key, a, row);
}

enum outbox_status
outbox_done(struct outbox *o, const struct outbox_row *row, const char *state, struct slice answer, int64_t now)
{
	return o->ops->done(o, row, state, answer, now);
}

const char *
outbox_why(const struct outbox *o)
{
	return o->why;
}

void
outbox_free(struct outbox **o)
{
	if (*o != NULL)
		(*o)->ops->free(*o);
	*o = NULL;
}
