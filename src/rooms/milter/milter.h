/* SPDX-License-Identifier: MIT
 * What the room milter knows: the configured milters, one message on its way through them, one talk with
 * one of them.
 *
 *   judge.c: for each milter in order --> talk.c: replays the session to it, collects what it wishes
 *                                     --> message.c: the wishes of a milter that came to its end
 *
 * A talk ends with an answer, or the milter has failed: then nothing of what it wished is done. What the
 * milters made of a message is written in one go when all have spoken (doc/decisions/0080). */
#pragma once

#include "ipc/smtp_milter.h"
#include "lib/base/ip.h"
#include "lib/base/limits.h"
#include "lib/events/events.h"
#include "lib/make/milter.h"
#include "lib/parse/milter/milter.h"
#include "lib/stream/stream.h"

#define MILTERS ((size_t)8)
#define MILTER_TOTAL_MS 240000u /* for one message and all milters; less than smtp waits (SMTP_MILTER_MS) */

struct milter_conf {
	struct slice name;
	struct ip ip; /* n == 0: a Unix socket, which warden connects */
	uint16_t port;
	uint32_t timeout_ms; /* for each answer */
	bool accept;	     /* on_failure = accept: without it, as if it were not there; else 4xx */
	bool incoming, outgoing;
};

struct milter_settings {
	struct slice hostname;
	uint64_t max_size; /* bytes of one message */
	struct milter_conf milter[MILTERS];
	size_t n;
};

/* ---- message.c ---- */

struct milter_field {
	struct slice raw, name, body; /* as lib/parse/header has them */
	bool hidden; /* our own: milters neither see nor count it */
};

struct milter_message {
	struct arena *a;
	struct milter_field *field;
	size_t n, cap;
	struct slice body;
	bool blank; /* an empty line ends the header */
	bool changed;
};

/* Fields and body borrow bytes; those that overlap [trace_at, trace_at + trace) are hidden. False: it has too
 * many fields for this server, or there is no room. */
bool milter_message_read(struct milter_message *m, struct slice bytes, uint64_t trace_at, uint64_t trace,
    struct arena *a);
/* raw is a whole field with its CRLF; it has to live as long as m. index counts what milters see: insert
 * puts it before the field with that number from 1 (0 is 1), or behind the last; change replaces (with an empty raw:
 * drops) the index-th field of that name from 1 (0 is 1), and appends raw where there is none. False: no room. */
bool milter_message_insert(struct milter_message *m, uint32_t index, struct slice name, struct slice raw);
bool milter_message_append(struct milter_message *m, struct slice name, struct slice raw);
bool milter_message_change(struct milter_message *m, uint32_t index, struct slice name, struct slice raw);
/* Writes the whole message at byte offset at of fd. False: no room, or over most bytes. */
bool milter_message_write(const struct milter_message *m, int fd, uint64_t at, uint64_t most, uint64_t *length);

/* ---- talk.c ---- */

/* One change that a milter wishes; everything lives in the arena. */
struct milter_wish {
	enum milter_kind kind; /* header fields, recipients, sender, quarantine */
	uint32_t index;
	struct slice name, raw; /* a field, ready to be used; raw is empty where it goes */
	struct slice text;	/* an address without brackets, or why it is held */
};

enum milter_outcome {
	MILTER_PASSED,	  /* go on; the wishes count */
	MILTER_REFUSED,	  /* code, enhanced, text */
	MILTER_DISCARDED,
	MILTER_FAILED,	  /* why, stage */
};

struct milter_talk {
	/* set by the caller */
	const struct milter_settings *settings;
	const struct milter_conf *conf;
	const struct smtp_milter_ask *in;
	const struct milter_message *message;
	struct arena *a;
	struct stream *io; /* connected; the caller closes it */
	uint64_t until_ms; /* clock_mono_ms() when the time for this message is over */
	bool recipient; /* to the first recipient and no further: there is no message yet */
	/* set by the talk */
	uint32_t actions, steps;
	struct milter_wish *wish;
	size_t n_wishes, cap_wishes;
	struct buf body; /* the new body, where has_body; the caller frees it */
	bool has_body;
	unsigned packets; /* that it said */
	unsigned code;
	struct slice enhanced, text;
	const char *stage, *why;
	struct buf packet;
};

enum milter_outcome milter_talk(struct milter_talk *t);

/* ---- judge.c ---- */

struct milter_backend {
	/* A connection to this milter until the deadline, or -1 with *why. */
	int (*connect)(void *ctx, const struct milter_conf *m, uint64_t deadline_ms, const char **why);
	void (*event)(void *ctx, enum event_kind kind, uint64_t session, struct slice queue_id, struct slice account,
	    const struct event_field *fields, size_t n);
	void *ctx;
};

/* All milters that want messages of this phase, in their order. fd is the request's: what they made of the
 * message is written behind the first in->size bytes, which are bytes. */
void milter_judge(const struct milter_settings *s, const struct milter_backend *back,
    const struct smtp_milter_ask *in, bool outgoing, struct slice bytes, int fd, struct arena *a,
    struct smtp_milter_ask_answer *out);
/* What they say of in's one recipient, whose message is still to come: accept, reject or defer. */
void milter_recipient(const struct milter_settings *s, const struct milter_backend *back,
    const struct smtp_milter_ask *in, bool outgoing, struct arena *a, struct smtp_milter_ask_answer *out);
/* out: 4xx, with this text. */
void milter_defer(struct smtp_milter_ask_answer *out, struct slice text);
