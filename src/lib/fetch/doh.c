/* SPDX-License-Identifier: MIT */
#include "lib/fetch/doh.h"

#include "lib/base/own.h"
#include "lib/fetch/fetch.h"
#include "lib/resolve/wire.h"

#define ANSWER_MOST ((size_t)65535)

void
doh_query(void *self, struct slice name, enum rr_type type, struct arena *a, struct resolve_wire *out)
{
	static const struct slice kind = S_INIT("application/dns-message");
	struct doh *d = self;
	own(buf_t) question = { .max = 512 };
	struct room_fetch_fetch_answer got;
	struct slice wire, body;

	*out = (struct resolve_wire){ .status = RESOLVE_TIMEOUT };
	if (d->silent || !ipc_client_connected(d->fetch) || !name_to_wire(name, a, &wire) ||
	    !wire_question(&question, 0, wire, type)) /* id 0: RFC 8484 4.1 */
		return;
	fetch_post(d->fetch, d->url, kind, buf_slice(&question), kind, ANSWER_MOST, d->ms, 0, a, &got, &body);
	d->silent = got.status != ROOM_FETCH_STATUS_DONE || got.code != 200;
	if (!d->silent)
		wire_answer(body, wire, type, a, out);
}
