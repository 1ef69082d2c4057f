/* SPDX-License-Identifier: MIT
 * clerk: scheduled work. Reports about our domains come in and are kept; reports that we owe others
 * go out once a day; keys of DKIM rotate. It has no network and parses nothing that strangers wrote:
 * mail goes to `reader`, which answers in rows.
 *
 *   queue --deliver--> inbox --reader--> rows          (intake.c, reading.c)
 *   ledger --events--> seen, by day --> owed --> scan signs --> queue   (counting.c, owing.c, mail.c)
 *
 * One thread, one loop. Calls of other rooms have short deadlines, and one of them at a time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ipc/cli_clerk.h"
#include "lib/ipc/ipc.h"
#include "lib/proc/loop.h"
#include "lib/proc/proc.h"
#include "lib/resolve/room.h"
#include "lib/store/reports.h"

#define CLERK_IMPORTS 8u		/* files under way (count) */
#define CLERK_ASK_MS 5000u		/* patience with one answer of another room */
#define CLERK_READ_MS 20000u		/* and with the reader, for one mail */
#define CLERK_TRIES 3u			/* readers that one mail may kill */
#define CLERK_KEEP_DAYS 400u		/* reports: a year, to compare with the last one */
#define CLERK_KEEP_BAD_DAYS 30u		/* mails that are no report */
#define CLERK_OWED_DAYS 30u		/* what was counted and sent */
#define CLERK_DESTINATIONS 5u		/* of one domain that get our report */

struct clerk_peer { /* a channel on which others ask or deliver */
	struct clerk_peer *next;
	struct clerk *c;
	struct ipc_channel *ch;
	struct loop_watch *watch;
	bool cli;
};

struct clerk_import {
	struct ipc_call call;
	uint64_t mail; /* 0: free */
};

struct clerk {
	struct proc *proc;	/* NULL in tests */
	struct loop *loop;
	struct reports *reports;
	struct slice hostname, from; /* from: the address that our reports come from */
	struct slice org;	/* what we call ourselves in reports */
	bool send_dmarc, send_tls;
	struct resolve_room dns;
	struct ipc_client *log, *auth, *scan, *queue, *keys, *fetch;
	struct clerk_peer *peers;
	/* reading.c */
	struct ipc_channel *reader;
	bool wanted;		/* a reader was asked for */
	struct loop_timer *patience, *reading;
	struct clerk_import imports[CLERK_IMPORTS];
	/* timers of counting.c, owing.c, names.c, rotation.c */
	struct loop_timer *count, *owe, *names, *rotate, *retire;
};

/* room.c */
void clerk_init(struct clerk *c, struct loop *loop, struct reports *reports);
void clerk_introduce(void *ctx, const char *peer, const char *instance, int fd);
void clerk_stop(void *ctx);
/* A store that failed can be trusted again only by a new process. */
void clerk_store(const char *what, enum store_err e);
/* Nothing to do for a while: gives memory back. */
void clerk_rest(struct clerk *c);

/* intake.c: deliveries of queue */
enum ipc_status intake_serve(struct clerk_peer *p);

/* reading.c: mail after mail through the reader */
void reading_kick(struct clerk *c);
/* A reader is there: takes over fd. */
void reading_meet(struct clerk *c, int fd);
/* Does the domain, or what it belongs to, belong to us? False in *known when nobody can say. */
bool reading_ours(struct clerk *c, struct slice domain, bool *known);

/* answer.c: the administrator */
enum ipc_status answer_serve(struct clerk_peer *p);

/* counting.c: from the log into periods */
void counting_kick(struct clerk *c);
/* One step now; *more: there is more. False when the log or the store could not be asked. */
bool counting_step(struct clerk *c, bool *more);

/* mail.c: one report as a mail, signed by scan, handed to queue */
enum mail_status { MAIL_SENT, MAIL_LATER, MAIL_UNKNOWN, MAIL_REFUSED };
struct mail {
	enum report_kind kind;
	struct slice domain, to, from, subject, filename, report_id;
	struct slice packed;	/* gzip */
	uint64_t session;	/* names it in the queue and in the log */
	int64_t now_us;
};
/* MAIL_UNKNOWN: queue did not answer, it may have it. why (a literal) is for people. */
enum mail_status mail_send(struct clerk *c, const struct mail *m, const char **why);
/* The queue id of a session's only message. */
#define QUEUE_ID_TEXT 16
void mail_queue_id(uint64_t session, char out[static QUEUE_ID_TEXT]);
/* The report to an https: address (RFC 8460 5.3); to is the URL. MAIL_LATER where it was not taken. */
enum mail_status mail_post(struct clerk *c, const struct mail *m, struct arena *a, const char **why);
/* The whole mail, for tests too. Returns !b->bad. */
bool mail_write(struct buf *b, const struct clerk *c, const struct mail *m);

/* owing.c: what we owe, domain after domain */
void owing_kick(struct clerk *c);
void owing_run(void *ctx, struct ipc_call *call, struct cli_clerk_run *m);

/* rotation.c: keys of DKIM, once an hour */
void rotation_kick(struct clerk *c);
void rotation_step(struct clerk *c);

/* names.c: reverse names of senders, and other questions to the DNS */
void names_kick(struct clerk *c);
/* The query function for resolver_of(..., clerk). */
void clerk_query(void *self, struct slice name, enum rr_type type, struct arena *a,
    struct resolve_wire *out);
