/* SPDX-License-Identifier: MIT
 * An IMAP conversation after login, inside the process that owns this user's mail and nothing else.
 *
 * session_turn() talks while there is something to say, then returns so that the session can be
 * parked without a thread: an idle session is this struct and the runs of its view. One file per
 * verb or concern; a verb is `void cmd_verb(s, c, a)` and ends with exactly one tagged reply.
 *
 * Changes of other sessions and deliveries are looked for at the end of each command and, in IDLE,
 * when the hub calls: see sync.c for what may be said when. */
#pragma once

#include <pthread.h>

#include "lib/imapio/imapio.h"
#include "lib/make/imap/imap.h"
#include "rooms/mailbox/view.h"

#define SESSION_IDLE_MS 1800000u  /* RFC 3501 5.4: at least 30 minutes */
#define SESSION_REST_MS 10000u	  /* rows are kept so long for the next command */
#define SESSION_LINGER_MS 5u	  /* waits so long for the next command before it parks */
#define SESSION_WRITE_MS 60000u	  /* a reader that takes nothing for so long is cut */
#define SESSION_READ_MS 60000u	  /* a literal of APPEND may pause so long */

struct session;

/* All sessions of one user's mail: who wants to hear of a folder. */
struct hub {
	pthread_mutex_t lock;
	struct session *first;
	unsigned n, most;
	/* Has session_turn() called soon, from another thread; under the lock. */
	void (*wake)(void *ctx, struct session *s);
	void *ctx;
};

/* most: sessions that one user may have at a time. */
void hub_init(struct hub *h, unsigned most, void (*wake)(void *, struct session *), void *ctx);
/* False when the user has so many sessions already (I-030). */
[[nodiscard]] bool hub_join(struct hub *h, struct session *s);
void hub_leave(struct hub *h, struct session *s);
/* While folder is not 0 the session is called when something changes there. */
void hub_listen(struct hub *h, struct session *s, uint64_t folder);
/* Something changed in a folder; by is not called. NULL: a delivery. */
/* True while somebody waits to hear of anything. */
bool hub_listening(struct hub *h);
void hub_changed(struct hub *h, uint64_t folder, const struct session *by);

struct session {
	/* set before session_begin() */
	uint64_t id;
	struct mailbox *store;
	struct hub *hub;
	struct slice account; /* for events; outlives the session */
	void *owner;	      /* whoever drives it */
	/* its own */
	struct stream io;
	struct imapio in;
	struct buf out;
	struct view view;
	uint64_t until_ms; /* clock_mono_ms(): auto-logout */
	uint64_t rest_ms;  /* when the rows are given back; 0: there are none */
	unsigned bad, commands;
	bool greeted, idling;
	bool over; /* no more commands */
	bool lost; /* nothing more can be said */
	uint8_t tag[LIMIT_IMAP_TAG];
	size_t tag_n;
	/* of the hub, under its lock */
	struct session *next, *prev;
	uint64_t listens;
};

enum session_next { SESSION_PARK, SESSION_CLOSE };
enum session_why { SESSION_INPUT, SESSION_NEWS, SESSION_EXPIRED, SESSION_END };

/* Between two turns: the descriptor of a session in IDLE, which the caller gives back to door; -1 where it
 * is not in IDLE or something is half read. session_resume() before the next turn but one with SESSION_END. */
int session_release(struct session *s);
/* Goes on with this descriptor, which is taken over. */
void session_resume(struct session *s, int fd);
/* When session_turn() is to be called with SESSION_EXPIRED while it is parked. */
uint64_t session_deadline(const struct session *s);
/* io must be initialised, the first fields set, the rest zero. tag is that of the login command,
 * which the first turn answers. */
void session_begin(struct session *s, struct slice tag);
enum session_next session_turn(struct session *s, enum session_why why);
/* Frees what it holds; the stream too. */
void session_end(struct session *s);

/* ---- between the files of this room ---- */

/* Sends what stands in s->out when it is more than a little, or all of it. False: the client is gone,
 * or nothing more can be said to it. */
bool session_send(struct session *s, bool all);
/* "TAG TEXT" CRLF. */
void session_reply(struct session *s, struct slice tag, const char *text);
/* A reply that says how the store failed; none says what STORE_NONE means here. */
void session_store_error(struct session *s, struct slice tag, enum store_err e, const char *none);
/* The tagged reply of a verb that succeeded, after what may be said about changes before it. */
void session_done(struct session *s, const struct imap_command *c, const char *text);
/* Untagged EXPUNGE, EXISTS, RECENT and FETCH for what has changed; expunge: sequence numbers may
 * change now. */
void session_sync(struct session *s, bool expunge);
/* "FLAGS (...)" of one message, with \Recent and the keywords' names. */
void session_put_flags(struct session *s, uint32_t uid, uint32_t flags,
    const struct mailbox_kw *kw);
/* "* FLAGS (...)" with every keyword of the mailbox. */
void session_put_all_flags(struct session *s);
/* Leaves the mailbox without a word. */
void session_unselect(struct session *s);
/* Finds the mailbox a command names, or says why not. create: with [TRYCREATE]. */
[[nodiscard]] bool session_folder(struct session *s, const struct imap_command *c,
    const struct imap_mailbox *name, bool create, struct arena *a, struct mailbox_folder *out);
/* The UIDs of a command's set, or BAD. */
[[nodiscard]] bool session_uids(struct session *s, const struct imap_command *c,
    const struct imap_set *set, struct arena *a, struct buf *uids);
/* The numbers of keywords in a folder. make: missing ones are added, else left out. */
enum store_err session_keywords(struct session *s, uint64_t folder, const struct imap_flags *f,
    bool make, struct mailbox_kw *out);
int64_t session_write_deadline(void);

/* What a verb is given: the parsed command and an arena for its duration. */
typedef void session_verb(struct session *s, const struct imap_command *c, struct arena *a);
session_verb cmd_capability, cmd_id, cmd_enable, cmd_namespace, cmd_select, cmd_close, cmd_unselect,
    cmd_create, cmd_delete, cmd_rename, cmd_subscribe, cmd_unsubscribe, cmd_list, cmd_lsub,
    cmd_status, cmd_append, cmd_idle, cmd_noop, cmd_expunge, cmd_search, cmd_fetch, cmd_store,
    cmd_copy;

/* The line that ends IDLE. */
void idle_line(struct session *s, struct slice line);

#define SESSION_CAPABILITY                                                                         \
	"IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE CHILDREN UNSELECT UIDPLUS MOVE SPECIAL-USE"
