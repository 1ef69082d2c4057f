/* SPDX-License-Identifier: MIT
 * drop: mail of local programs. A Unix socket that everybody on the machine may connect to; the kernel
 * says which uid is there (SO_PEERCRED), drop.db what that uid may send as, how much, and whom it may
 * write to by a number instead of an address. Where the configuration says so, letters come over HTTP
 * too: there a token says which program it is.
 *
 *   program --(text, or JSON lines)--> intake --> mail, letter --> pass: auth, scan, queue --> answer
 *   program --(POST /letters)--------> http ----------^
 *   program --(rows of a table)--> the room watch ----^     (JSON lines, on a stream that warden made)
 *
 * Whoever connects is an ordinary user at best: everything is bounded, everybody has a share of the
 * connections, and nothing that is sent here hurts more than its own connection (L-003). */
#pragma once

#include <pthread.h>

#include "ipc/smtp_auth.h"
#include "ipc/smtp_queue.h"
#include "ipc/smtp_scan.h"
#include "lib/base/own.h"
#include "lib/events/events.h"
#include "lib/parse/drop/drop.h"
#include "lib/proc/pool.h"
#include "lib/proc/proc.h"
#include "lib/rate/rate.h"
#include "lib/store/apps.h"
#include "lib/stream/stream.h"

#define DROP_CONNECTIONS 64u	/* at once (count) */
#define DROP_PER_UID 8u		/* of these, of one user (count) */
#define DROP_THREADS 64u
#define DROP_STACK ((size_t)131072)
#define DROP_IDLE_MS 60000u	/* a silent program is sent away */
#define DROP_TOTAL_MS 600000u	/* and a slow one */
#define DROP_ASK_MS 5000u	/* answers of auth */
#define DROP_SCAN_MS 60000u
#define DROP_ACCEPT_MS 60000u
#define DROP_RCPTS ((size_t)100)	/* recipients of one message (count) */
#define DROP_LETTER ((size_t)65536)	/* one JSON line */
#define DROP_HTTP_SHARE 32u	/* of the connections, of HTTP (count) */
#define DROP_HTTP_HEAD_MS 30000u	/* a whole head */
#define DROP_HTTP_BODY_MS 60000u	/* a whole body */
#define DROP_HTTP_BODY ((size_t)524288)
#define DROP_HTTP_LETTERS ((size_t)100)	/* of one request (count) */
#define DROP_HTTP_REQUESTS 100u	/* of one connection (count) */
#define DROP_KEEP_MS 60000u	/* what was counted is written down: a restart forgives a minute at most */
#define DROP_ROOT_PER_HOUR 1000u
#define DROP_TICK_MS 100u	/* answers to letters come at multiples of this: how long it took tells nothing */

struct drop_conv;

struct drop_backend { /* the generated stubs, or a test's */
	enum ipc_status (*rcpt)(void *ctx, const struct smtp_auth_rcpt *in, uint64_t deadline_ms,
	    struct arena *a, struct smtp_auth_rcpt_answer *out);
	enum ipc_status (*judge)(void *ctx, const struct smtp_scan_judge *in, uint64_t deadline_ms,
	    struct arena *a, struct smtp_scan_judge_answer *out);
	enum ipc_status (*accept)(void *ctx, const struct smtp_queue_accept *in, uint64_t deadline_ms,
	    struct arena *a, struct smtp_queue_accept_answer *out);
	void *ctx;
};

struct drop_room {
	struct proc *proc; /* NULL in tests */
	struct loop *loop;
	struct pool *pool;
	struct ipc_client *auth, *scan, *queue;
	struct drop_backend back;
	struct slice hostname, postmaster; /* postmaster may be empty: root is nobody then */
	struct slice redirects; /* as in rooms/smtp/session.h */
	uint64_t max_size;
	int listener, http_listener;
	struct loop_watch *watch, *http_watch;
	struct loop_timer *keep;
	struct drop_admin *admins;
	struct drop_conv *first; /* of the loop's thread */
	uint64_t told_ms;	 /* the last event about too many connections */
	unsigned untold;
	bool stopping;
	pthread_mutex_t lock; /* of what follows */
	struct apps *apps;
	struct rates rates;
};

struct drop_conv {
	struct pool_conv pc; /* first */
	struct drop_room *room;
	struct drop_conv *next, *prev;
	struct arena *arena; /* holds this struct */
	struct stream stream;
	struct buf line; /* that is being read */
	bool http;
	char watches[APPS_NAME + 1]; /* not empty: this is the room that watches the table of this program */
	uint32_t uid; /* of HTTP: that of the program whose token it was */
	uint64_t session;
	uint64_t until_ms;
	unsigned messages; /* so far */
};

/* What becomes of a message: a reply like SMTP's. */
struct drop_answer {
	unsigned code; /* 250, 4xx, 5xx */
	const char *enhanced;
	char text[300];
};

/* One message on its way. */
struct drop_mail {
	struct drop_room *room;
	struct arena *a; /* ends with the message */
	struct app app;	 /* who sends */
	uint32_t uid;
	uint64_t session;
	struct slice queue_id, sender, name;
	bool body_8bit;
	bool own_sender;  /* the program named its envelope sender */
	bool from_header; /* To, Cc and Bcc name recipients too */
	struct slice once; /* not empty: the key of a letter that is taken once */
	bool nobody;	  /* a letter to somebody who is not there: everything is done but the last step */
	struct slice user; /* whom a letter is for, by the program's own number; empty for mail */
	struct slice rcpts[DROP_RCPTS];
	size_t n_rcpts;
	int fd;
	uint64_t size, trace;
};

/* room.c */
void drop_room_init(struct drop_room *r, struct proc *p, struct loop *l, struct apps *apps);
/* Takes connections from now on. */
void drop_listen(struct drop_room *r, int fd);
/* The stream of the room that watches a program's table. */
void drop_take_watch(struct drop_room *r, int fd, const char *program);
/* The same as drop_listen() for HTTP. */
void drop_listen_http(struct drop_room *r, int fd);
/* A connection, as from a listener; uid is the peer's (HTTP: 0). */
void drop_take(struct drop_room *r, int fd, uint32_t uid, bool http);
void drop_introduce(void *room, const char *peer, const char *instance, int fd);
void drop_stop(void *room);

/* intake.c: the whole conversation */
void drop_talk(struct drop_conv *c);
/* What has come from a watching room; false at its end. */
bool drop_watched(struct drop_conv *c);
/* One line of at most max bytes without its end; borrowed until the next. STREAM_TOO_LONG: over it. */
enum stream_status drop_line(struct drop_conv *c, size_t max, struct slice *out);
/* Who is this? 550 in *an where nobody knows. The caller's arena holds the strings. */
bool drop_who(struct drop_room *r, uint32_t uid, struct arena *a, struct app *app, struct drop_answer *an);
/* A new message of this conversation; false with *an at once where there is no room. */
bool drop_mail_begin(struct drop_conv *c, struct arena *a, const struct app *app, struct drop_mail *m,
    struct drop_answer *an);
void drop_mail_end(struct drop_mail *m);

/* letter.c: one JSON line, and its answer as one */
void drop_letter(struct drop_conv *c, const struct app *app, struct slice line, struct buf *out);
/* One letter, or an array of up to DROP_HTTP_LETTERS, and the answer in the same form; an HTTP status. */
unsigned drop_letters(struct drop_conv *c, const struct app *app, struct slice body, struct buf *out);

/* http.c: the whole conversation */
void drop_http(struct drop_conv *c);

/* pass.c: whoever the message is for, through scan to queue. */
void drop_pass(struct drop_mail *m, struct drop_answer *an);
bool drop_say(struct drop_answer *an, unsigned code, const char *enhanced, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* May the program write as this address? */
bool drop_may_write(const struct app *app, struct slice address);
/* The first of the program's senders. */
struct slice drop_default_sender(const struct app *app);

/* author.c: the header From, and the recipients that stand in the header. */
bool drop_header(struct drop_mail *m, struct drop_answer *an);

/* admin.c */
void drop_admin_introduce(struct drop_room *r, int fd);
void drop_admins_end(struct drop_room *r);
