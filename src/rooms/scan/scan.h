/* SPDX-License-Identifier: MIT
 * What the room scan does with one message, without knowing who answers its questions: the room
 * binds channels, tests bind a zone and keys of their own.
 *
 *   smtp/mx          scan_incoming()  who sent it, and what is to be done with it
 *   everybody else   scan_outgoing()  what is missing is added, what must not go out is removed,
 *                                     our signature is put on top
 *
 * Both only say what is to be changed (edits); the message itself is read-only memory of the asker. */
#pragma once

#include "ipc/scan_auth.h"
#include "ipc/scan_keys.h"
#include "ipc/smtp_scan.h"
#include "lib/events/events.h"
#include "lib/filter/filter.h"
#include "lib/verify/judge/judge.h"

#define SCAN_TRUSTED 64u		/* ARC sealers that are believed (count) */
#define SCAN_EDITS ((size_t)200)		/* as in smtp_scan.msg (count) */
#define SCAN_INSERT ((size_t)24000)	/* bytes of one edit: Authentication-Results, or a few signatures */
#define SCAN_ASK_MS 5000u		/* answers of keys and auth */

enum scan_mode {
	SCAN_OFF,     /* strangers' mail goes through the rules, and is not judged */
	SCAN_MARK,    /* judged and marked; nothing is refused, deferred or put into Junk */
	SCAN_ENFORCE, /* what the sender's domain asks for is done */
};

struct scan_conf {
	struct slice hostname; /* our authserv-id */
	enum scan_mode mode;
	struct slice trusted[SCAN_TRUSTED];
	size_t n_trusted;
	uint64_t dns_ms; /* for all DNS questions of one message */
	const struct filter *filter; /* the administrator's rules; NULL: none */
};

/* Who answers. All but query and event have the signature of the generated stubs. */
struct scan_backend {
	void (*query)(void *ctx, struct slice name, enum rr_type type, uint64_t session,
	    uint64_t deadline_ms, struct arena *a, struct resolve_wire *out);
	enum ipc_status (*policy)(void *ctx, const struct scan_auth_sender_policy *in,
	    uint64_t deadline_ms, struct arena *a, struct scan_auth_sender_policy_answer *out);
	enum ipc_status (*signers)(void *ctx, const struct scan_keys_signers *in, uint64_t deadline_ms,
	    struct arena *a, struct scan_keys_signers_answer *out);
	enum ipc_status (*sign)(void *ctx, const struct scan_keys_sign *in, uint64_t deadline_ms,
	    struct arena *a, struct scan_keys_sign_answer *out);
	void (*event)(void *ctx, enum event_kind kind, uint64_t session, struct slice queue_id,
	    struct slice account, const struct event_field *fields, size_t n);
	void *ctx;
};

/* One message under judgement. Everything lives in the arena or outlives the call. */
struct scan_job {
	const struct scan_conf *conf;
	const struct scan_backend *back;
	struct arena *a;
	const struct smtp_scan_judge *in;
	/* The message behind our own trace fields, as the rules leave it: the header is whole, the body is
	 * here only where it stands behind the header. */
	struct slice mail;
	struct slice body; /* as the rules leave it */
	uint64_t now_ms;   /* clock_mono_ms() at the start */
	uint64_t now;	   /* seconds since 1970 */
	struct smtp_scan_edit edits[SCAN_EDITS];
	size_t n_edits;
	bool own;  /* the server itself wrote it */
	bool full; /* an edit did not fit: the message cannot be made what it has to be */
	const struct filter *filter;	       /* NULL: there are no rules */
	const struct filter_outcome *filtered; /* what they came to */
	struct buf new_body; /* where rules changed it, and somebody asked */
};

/* Both fill *out whatever happens; a failure of a part is "defer". bytes is the whole message. */
void scan_incoming(struct scan_job *j, struct slice bytes, struct smtp_scan_judge_answer *out);
void scan_outgoing(struct scan_job *j, struct slice bytes, struct smtp_scan_judge_answer *out);

/* ---- between the files of the room -------------------------------------------------------------- */

#define SCAN_EVENT(j, kind, ...)                                                                   \
	(j)->back->event((j)->back->ctx, (kind), (j)->in->session, (j)->in->queue_id, (j)->in->login, \
	    (const struct event_field[]){ __VA_ARGS__ },                                           \
	    sizeof((const struct event_field[]){ __VA_ARGS__ }) / sizeof(struct event_field))

/* Adds an edit, keeping the order of at; neighbouring removals become one. */
void scan_edit(struct scan_job *j, uint64_t at, uint64_t remove, struct slice insert);
/* Adds the edit that puts insert before everything, also before what was inserted there already. */
void scan_on_top(struct scan_job *j, struct slice insert);
/* Removes the fields of the header that claim to be results of our own. How many. */
size_t scan_remove_forged(struct scan_job *j);
/* The answer "try later" for a reason of our own. */
void scan_defer(struct smtp_scan_judge_answer *out, struct slice why);
/* A refusal in the session. */
void scan_refuse(struct smtp_scan_judge_answer *out, struct slice enhanced, struct slice why);
/* filtering.c */
#define SCAN_FILTER_MS 5000u /* for the rules over one message */
/* The rules over the message: j->mail and j->body become what they leave of it. False: *out says what the
 * rules decided, and nothing else is to be asked. with_body: j->body is needed. */
bool scan_filter(struct scan_job *j, enum filter_direction d, bool with_body, struct smtp_scan_judge_answer *out);
/* What else the rules wish for a message that is taken. */
void scan_filtered(const struct scan_job *j, struct smtp_scan_judge_answer *out);
/* j->edits, which were made for the message as the rules left it, become edits of the message as it came.
 * False: it does not fit. */
bool scan_compose(struct scan_job *j);

/* Hands the edits over, or defers when they did not fit. */
void scan_finish(struct scan_job *j, struct smtp_scan_judge_answer *out);

/* sign.c */
/* The DKIM-Signature fields for m in the name of domain, from the arena; empty where we have no keys
 * for it. False: try later. n: how many. */
bool scan_sign(struct scan_job *j, const struct dkim_message *m, struct slice domain, struct slice *out,
    size_t *n);
/* The ARC set for a message that is forwarded; empty where it cannot be sealed. False: try later. */
bool scan_seal(struct scan_job *j, const struct judge_verdict *v, struct slice domain,
    struct slice *out);
