/* SPDX-License-Identifier: MIT
 * Every decision of every room is one event, sent to ledger. Sending never waits and never fails
 * the caller: while ledger is away events are kept (LIMIT_EVENTS_KEPT bytes), and what does not fit
 * is counted and told later as events.lost. Any thread may emit.
 *
 *   EVENT(EVENT_SMTP_REJECTED, session, queue_id, account, EF("from", sender), EN("code", 550)); */
#pragma once

#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/slice.h"

enum event_kind {
	EVENT_NONE,
#define EVENT_KIND(number, symbol, name) EVENT_##symbol = number,
#include "lib/events/kinds.def"
#undef EVENT_KIND
};

struct event_field {
	const char *key;
	struct slice text;
	uint64_t number;
	bool is_number;
};

#define EF(k, s) { .key = (k), .text = (s) }
#define EN(k, n) { .key = (k), .number = (uint64_t)(n), .is_number = true }
#define EVENT(kind, session, queue_id, account, ...)                                               \
	events_emit((kind), (session), (queue_id), (account),                                      \
	    (const struct event_field[]){ __VA_ARGS__ },                                           \
	    sizeof((const struct event_field[]){ __VA_ARGS__ }) / sizeof(struct event_field))

/* The channel to ledger, first or again: takes over fd and sends what was kept. */
void events_connect(int fd);
/* One event, now. session 0 and empty slices mean "none". Text is sent up to LIMIT_EVENT_VALUE
 * bytes, as it is: whoever shows it makes it printable. */
void events_emit(enum event_kind kind, uint64_t session, struct slice queue_id, struct slice account,
    const struct event_field *fields, size_t n);

/* Has fn(arg) called when ledger takes no more for the moment, from the thread that emits: it has
 * events_resend() called in a while, until which nothing is sent. Without it what is kept waits for the
 * next event. NULL: no more. */
void events_on_kept(void (*fn)(void *arg), void *arg);
/* Sends what is kept, as far as ledger takes it; true: something stays, and another call is due. */
bool events_resend(void);

/* "smtp.rejected", or "?" for a number that this version does not know. */
const char *event_name(unsigned kind);
/* The kind of a name, or EVENT_NONE. */
enum event_kind event_kind_of(struct slice name);

/* A session id as people see it: 13 characters of [0-9a-z] without i, l, o, u. A queue id is the
 * session id of its conversation, a dot, and the number of the transaction. */
#define SESSION_TEXT 13
struct session_text {
	char z[SESSION_TEXT + 1];
};
struct session_text session_text(uint64_t session);
/* The session of "SESSION" or "SESSION.N"; false when it is neither. */
bool session_parse(struct slice text, uint64_t *session);
