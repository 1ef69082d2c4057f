/* SPDX-License-Identifier: MIT */
#include "lib/events/events.h"

#include <pthread.h>
#include <stdlib.h>

#include "ipc/room_ledger.h"
#include "lib/clock/clock.h"

#define LIMIT_EVENTS_KEPT ((size_t)262144)

struct kept {
	struct kept *next;
	buf_t frame;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ipc_channel *ledger;
static struct kept *oldest, **newest = &oldest;
static size_t kept_bytes;
static uint64_t lost;
static void (*wake)(void *); /* NULL: each event tries for those before it */
static void *wake_arg;
static bool woken; /* and events_resend() was not called since */

static const struct {
	unsigned kind;
	const char *name;
} names[] = {
#define EVENT_KIND(number, symbol, name) { number, name },
#include "lib/events/kinds.def"
#undef EVENT_KIND
};

const char *
event_name(unsigned kind)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].kind == kind)
			return names[i].name;
	return "?";
}

enum event_kind
event_kind_of(struct slice name)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (slice_eq(slice_z(names[i].name), name))
			return (enum event_kind)names[i].kind;
	return EVENT_NONE;
}

/* Under the lock: sends what is kept, oldest first; false while something stays. */
static bool
send_kept(void)
{
	while (oldest != NULL) {
		struct kept *k = oldest;
		enum ipc_status st = ledger == NULL ? IPC_CLOSED : ipc_send(ledger, &k->frame, 0, -1);

		if (st == IPC_CLOSED)
			ipc_channel_free(&ledger); /* the next one gets it */
		if (st == IPC_CLOSED || st == IPC_AGAIN)
			return false;
		oldest = k->next;
		if (oldest == NULL)
			newest = &oldest;
		kept_bytes -= k->frame.n;
		buf_free(&k->frame);
		free(k);
	}
	return true;
}

static void
keep(buf_t *frame)
{
	struct kept *k;

	if (kept_bytes + frame->n > LIMIT_EVENTS_KEPT) {
		lost++;
		return;
	}
	k = calloc(1, sizeof *k);
	PN_ASSERT(k != NULL);
	k->frame = *frame;
	*frame = (buf_t){ .max = frame->max };
	kept_bytes += k->frame.n;
	*newest = k;
	newest = &k->next;
}

static void
encode(buf_t *b, enum event_kind kind, uint64_t session, struct slice queue_id, struct slice account,
    const struct event_field *fields, size_t n)
{
	struct buf text;

	/* the layout of room_ledger.event; the ledger's generated decoder checks it */
	*b = ipc_frame_begin(&room_ledger_schema, 1);
	buf_put_u16le(b, (uint16_t)kind);
	buf_put_u64le(b, (uint64_t)clock_wall_us());
	buf_put_u64le(b, session);
	ipc_put_bytes(b, slice_head(queue_id, 40), 40);
	ipc_put_bytes(b, slice_head(account, 320), 320);
	if (n > LIMIT_EVENT_FIELDS)
		n = LIMIT_EVENT_FIELDS;
	ipc_put_count(b, n, LIMIT_EVENT_FIELDS);
	buf_init(&text, 32);
	for (size_t i = 0; i < n; i++) {
		ipc_put_bytes(b, slice_head(slice_z(fields[i].key), 32), 32);
		if (fields[i].is_number) {
			buf_reset(&text);
			buf_u64(&text, fields[i].number);
			ipc_put_bytes(b, buf_slice(&text), 32);
		} else {
			ipc_put_bytes(b, slice_head(fields[i].text, LIMIT_EVENT_VALUE), LIMIT_EVENT_VALUE);
		}
	}
	buf_free(&text);
}

/* Under the lock. While somebody is about to send what is kept, nobody tries in vain. */
static void
emit(buf_t *b)
{
	enum ipc_status st = IPC_AGAIN;

	if (!woken && send_kept() && ledger != NULL)
		st = ipc_send(ledger, b, 0, -1);
	if (st == IPC_CLOSED)
		ipc_channel_free(&ledger);
	if (st != IPC_OK)
		keep(b);
}

static void
emit_lost(void)
{
	const struct event_field f[] = { EN("count", lost) };
	own(buf_t) b = { .max = 0 };

	if (lost == 0 || oldest != NULL)
		return;
	lost = 0;
	encode(&b, EVENT_EVENTS_LOST, 0, S(""), S(""), f, 1);
	emit(&b);
}

/* Under the lock: is somebody to be woken for what is kept? */
static bool
wake_due(void)
{
	bool due = wake != NULL && !woken && oldest != NULL && ledger != NULL;

	woken = woken || due;
	return due;
}

void
events_connect(int fd)
{
	bool due;

	(void)pthread_mutex_lock(&lock);
	ipc_channel_free(&ledger);
	ledger = ipc_channel_new(fd, "ledger", "");
	ipc_set_send_wait(ledger, 0);
	(void)send_kept();
	emit_lost();
	due = wake_due();
	(void)pthread_mutex_unlock(&lock);
	if (due)
		wake(wake_arg);
}

void
events_emit(enum event_kind kind, uint64_t session, struct slice queue_id, struct slice account,
    const struct event_field *fields, size_t n)
{
	own(buf_t) b = { .max = 0 };
	bool due;

	encode(&b, kind, session, queue_id, account, fields, n);
	(void)pthread_mutex_lock(&lock);
	emit(&b);
	emit_lost();
	due = wake_due();
	(void)pthread_mutex_unlock(&lock);
	if (due)
		wake(wake_arg);
}

void
events_on_kept(void (*fn)(void *), void *arg)
{
	(void)pthread_mutex_lock(&lock);
	wake = fn;
	wake_arg = arg;
	woken = false;
	(void)pthread_mutex_unlock(&lock);
}

bool
events_resend(void)
{
	bool more;

	(void)pthread_mutex_lock(&lock);
	woken = false;
	(void)send_kept();
	emit_lost();
	more = oldest != NULL && ledger != NULL;
	woken = more;
	(void)pthread_mutex_unlock(&lock);
	return more;
}

static const char DIGITS[] = "0123456789abcdefghjkmnpqrstvwxyz";

struct session_text
session_text(uint64_t session)
{
	struct session_text t = { { 0 } };

	for (size_t i = SESSION_TEXT; i > 0; i--) {
		t.z[i - 1] = DIGITS[session & 31];
		session >>= 5;
	}
	return t;
}

bool
session_parse(struct slice text, uint64_t *session)
{
	uint64_t v = 0;

	if (text.n < SESSION_TEXT || (text.n > SESSION_TEXT && text.p[SESSION_TEXT] != '.'))
		return false;
	for (size_t i = 0; i < SESSION_TEXT; i++) {
		size_t d = slice_find_byte(slice_of(DIGITS, 32), text.p[i]);

		if (d == SLICE_NONE || (i == 0 && d > 15))
			return false;
		v = v << 5 | d;
	}
	*session = v;
	return true;
}
