/* SPDX-License-Identifier: MIT
 * The content of one message under way, from DATA or BDAT: one object, whichever verb fills it.
 *
 *   data.c, bdat.c --pieces--> content.c (a memfd behind our Received field) --whole--> handover.c, judged.c
 *
 * It lives in the transaction's arena and ends with the transaction, through txn_reset(). */
#pragma once

#include "rooms/smtp/session.h"

/* A message over the limit is read to its end, but not without end: this much more, then cut. */
#define SMTP_DATA_IN_VAIN ((uint64_t)67108864)

struct content {
	struct smtp_session *s;
	struct smtp_data frame;
	int fd;
	uint64_t size;	    /* of the file */
	uint64_t trace;	    /* of it, our own fields */
	uint64_t trace_at;  /* where they begin: on top, until scan puts something before them */
	uint64_t begun_ms;  /* clock_mono_ms() of the 354, or of the first BDAT */
	uint64_t got;	    /* bytes from the client */
	bool loop;	    /* a Delivered-To names one of the recipients */
	unsigned chunks;    /* BDAT so far */
	struct buf pending; /* written with the first piece: one system call for a short message */
};

/* Begins the transaction's content: s->txn.content. False when there is no room for it; nothing was
 * said. */
bool smtp_content_begin(struct smtp_session *s, bool chunked);
/* What smtp_data_feed() and smtp_data_finish() tell. */
struct smtp_data_sink smtp_content_sink(struct content *c);
/* Ends its transaction where content comes too slowly or without end; false after such a last word. */
bool smtp_content_in_time(struct smtp_session *s, struct content *c);
/* The file is complete and can change no more. False: no room. */
bool smtp_content_seal(struct content *c);
/* The content is whole: what it calls for by itself, then responsibility passes to queue. One reply in
 * every case; the transaction is over. */
void smtp_hand_over(struct smtp_session *s);
/* What filters wish beyond the changes that they made. */
struct smtp_filter_word {
	bool discard, hold;
	struct slice why;
};
/* Shows the sealed content to the milters, where there are any. True: go on with it, changed as they want
 * it. False: the reply was given. */
bool smtp_filtered(struct smtp_session *s, struct content *c, struct smtp_filter_word *word);
/* Refuses, as smtp_refuse() does, with the words of a judge, which may hold a stranger's bytes, and a code that is of
 * its class. */
void smtp_verdict_reply(struct smtp_session *s, const char *where, struct slice address, bool defer, unsigned code,
    struct slice enhanced, struct slice text);
/* Asks scan about the sealed content. True: go on with it, changed as scan wants it; v says what scan
 * wants beyond that. False: the reply was given. */
bool smtp_judged(struct smtp_session *s, struct content *c, struct smtp_scan_judge_answer *v);
