/* SPDX-License-Identifier: MIT */
#include "lib/fetch/fetch.h"

#include <sys/mman.h>

#include "lib/base/own.h"
#include "lib/clock/clock.h"

/* The answer of fetch is in its way for this long at most, beyond its own deadline. */
#define SLACK_MS 2000u
#define STS_MS 60000u

/* Reads size bytes from the start of fd; false at the arena's ceiling, or where there are fewer. */
static bool
read_body(int fd, uint64_t size, struct arena *a, struct slice *out)
{
	uint8_t *p = size > SIZE_MAX / 2 ? NULL : arena_alloc(a, (size_t)size, 1);
	size_t at = 0;

	if (p == NULL)
		return false;
	while (at < size) {
		ssize_t n = pread(fd, &p[at], (size_t)size - at, (off_t)at);

		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	*out = slice_of(p, at);
	return true;
}

/* Asks, and reads what came; in has everything but the descriptor. */
static void
exchange(struct ipc_client *c, struct room_fetch_fetch *in, struct arena *a, struct room_fetch_fetch_answer *out,
    struct slice *body)
{
	own(fd_t) fd = memfd_create("fetched", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	in->fd = fd;
	*out = (struct room_fetch_fetch_answer){ .status = ROOM_FETCH_STATUS_SLOW, .type = S(""), .why = S("no answer") };
	*body = S("");
	if (fd < 0 || room_fetch_fetch(c, in, clock_mono_ms() + in->ms + SLACK_MS, a, out) != IPC_OK) {
		*out = (struct room_fetch_fetch_answer){ .status = ROOM_FETCH_STATUS_SLOW, .type = S(""),
			.why = S("no answer") };
		return;
	}
	if (out->status == ROOM_FETCH_STATUS_DONE && (out->size > in->max || !read_body(fd, out->size, a, body)))
		out->status = ROOM_FETCH_STATUS_BROKEN;
}

void
fetch_get(struct ipc_client *c, struct slice url, struct slice type, uint64_t max, uint32_t ms, uint64_t session,
    struct arena *a, struct room_fetch_fetch_answer *out, struct slice *body)
{
	struct room_fetch_fetch in = { .url = url, .method = ROOM_FETCH_METHOD_GET, .type = type, .max = max, .ms = ms,
		.session = session };

	exchange(c, &in, a, out, body);
}

void
fetch_post(struct ipc_client *c, struct slice url, struct slice type, struct slice body, struct slice answer, uint64_t max,
    uint32_t ms, uint64_t session, struct arena *a, struct room_fetch_fetch_answer *out, struct slice *got)
{
	struct room_fetch_field field = { .name = S("Content-Type"), .value = type };
	struct room_fetch_fetch in = { .url = url, .method = ROOM_FETCH_METHOD_POST, .fields = &field, .n_fields = 1,
		.body = body, .type = answer, .max = max, .ms = ms, .session = session };

	exchange(c, &in, a, out, got);
}

static struct slice
say(struct arena *a, const struct room_fetch_fetch_answer *got)
{
	own(buf_t) b = { .max = 256 };
	struct slice words = S("");

	if (got->status == ROOM_FETCH_STATUS_DONE)
		(void)buf_fmt(&b, "HTTP status %u", got->code);
	else
		(void)buf_fmt(&b, "%s, %.*s", room_fetch_status_name(got->status), SFMT(got->type));
	(void)arena_copy(a, buf_slice(&b), &words);
	return words;
}

enum tlspolicy_fetch
fetch_sts_policy(struct ipc_client *c, struct slice domain, uint64_t session, struct arena *a, struct slice *text,
    struct slice *why)
{
	own(buf_t) url = { .max = 512 };
	struct room_fetch_fetch_answer got;
	struct slice body;

	*why = S("");
	if (!buf_add(&url, S("https://mta-sts.")) || !buf_add(&url, domain) ||
	    !buf_add(&url, S("/.well-known/mta-sts.txt")))
		return TLSPOLICY_FETCH_ERROR;
	fetch_get(c, buf_slice(&url), S("text/plain"), LIMIT_MTASTS_POLICY, STS_MS, session, a, &got, &body);
	if (got.status == ROOM_FETCH_STATUS_DONE && got.code == 200) {
		*text = body;
		return TLSPOLICY_FETCHED;
	}
	*why = got.why;
	if (got.status == ROOM_FETCH_STATUS_DONE || got.why.n == 0)
		*why = say(a, &got);
	return got.status == ROOM_FETCH_STATUS_UNTRUSTED ? TLSPOLICY_FETCH_UNTRUSTED : TLSPOLICY_FETCH_ERROR;
}
