/* SPDX-License-Identifier: MIT
 * Shared by the files of warden: the rooms it keeps, and how they are wired. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/config/config.h"
#include "lib/filter/filter.h"
#include "lib/ipc/ipc.h"
#include "lib/proc/loop.h"

struct warden;

/* What kind of room: one row of the table in rooms.c. */
struct room_kind {
	const char *name, *instance;
	unsigned uid;	     /* offset from uid_base */
	const char *dir;     /* its directory beneath data_dir; NULL: the empty one */
	const char *handed;  /* which descriptors and settings it gets: see boot.c */
};

enum room_state { ROOM_DOWN, ROOM_STARTING, ROOM_READY, ROOM_STOPPING };

struct room {
	struct room *next;
	struct warden *w;
	const struct room_kind *kind;
	char instance[32];
	uint32_t account; /* mailbox rooms only; else 0 */
	const struct config_watch *table; /* of the room watch */
	int watch_dir; /* the application's directory, which is its root; -1: none, or PostgreSQL */
	enum room_state state;
	pid_t pid;
	uid_t uid;
	struct ipc_channel *channel;	    /* warden_room */
	struct loop_watch *watch;
	struct ipc_channel *special;	    /* warden_door, auth_warden, queue_warden or dial_warden */
	struct loop_watch *special_watch;
	int said;			    /* its stderr */
	struct loop_watch *said_watch;
	int64_t started_us;
	uint64_t started_ms;
	unsigned restarts, short_lives, landlock;
	bool root_dropped, wanted;
	bool door_knows, queue_knows;	    /* mailbox rooms: channels that were handed out */
	char alarm[128];		    /* the last alarm of this life */
	struct ipc_call drill;		    /* drill builds: who waits for the outcome */
};

struct warden {
	struct config config;
	const char *config_path;
	struct loop *loop;
	struct room *rooms;	 /* the fixed ones */
	struct room *mailboxes;
	int listeners[CONFIG_LISTENERS];
	int empty_dir, data_dir;
	int rules; /* the administrator's rules for mail, looked at and sealed; -1: none */
	char redirects[LIMIT_FILTER_REDIRECTS + 1]; /* addresses in them, each followed by a space */
	int control;
	int local; /* where programs of this machine leave mail; drop's */
	int http;  /* the same over HTTP; -1: not wanted */
	struct control *controls;
	int64_t started_us;
	unsigned alarms, deaths, not_ready;
	bool stopping, as_root;
	int ready_pipe; /* told when all rooms are ready first; -1 */
};

/* rooms.c: life and death */
void rooms_start(struct warden *w);
/* Nobody asked for it: the configuration does without it, or it comes on demand. */
bool room_absent(const struct room *r);
void room_start(struct warden *w, struct room *r);
/* Starts those that a new configuration asks for first. */
void rooms_appear(struct warden *w);
void rooms_reap(struct warden *w);
void rooms_stop(struct warden *w);
void room_stop(struct warden *w, struct room *r);
/* The fixed room of this name (and instance, where it has several), or NULL. */
struct room *room_find(struct warden *w, struct slice name, struct slice instance);
bool room_alive(const struct room *r);
void room_introduce(struct room *r, const char *peer, const char *instance, int fd);
/* The event of a wall that was touched. */
void room_alarmed(struct warden *w, struct room *r, const char *what);

/* From now on stdin and stdout are nothing, stderr is stderr.log beneath run_dir. */
void leave_terminal(struct warden *w);

/* watches.c: the rooms that watch tables of applications */
/* Appends one room for each that is configured. */
void watches_add(struct warden *w, struct room **last);
/* A descriptor of the directory that becomes the room's root. */
int watch_root(const struct warden *w, const struct room *r);
/* A stream between it and drop, when both are there. */
void watch_join(struct warden *w, struct room *r);
void watches_join(struct warden *w);

/* boot.c: fork, exec, and what a new room is told. False with errno when it could not be started. */
bool room_spawn(struct warden *w, struct room *r);
void room_boot(struct warden *w, struct room *r);

/* wiring.c: channels between rooms */
void wiring_connect(struct warden *w, struct room *r);
/* A pair of channel ends; false with errno. */
bool wiring_pair(int ends[2]);

/* mailboxes.c: one room per user */
extern const struct room_kind mailbox_kind;
void mailboxes_serve_auth(struct warden *w, struct room *auth);
void mailboxes_serve_queue(struct warden *w, struct room *queue);
void mailbox_gone(struct warden *w, struct room *r);
/* The peer was restarted: it knows no mailbox any more. */
void mailboxes_forgotten_by(struct warden *w, const char *room);

/* dials.c: connects milter and send to Unix sockets of the configuration */
void dials_serve(struct warden *w, struct room *r);

/* control.c: the human control socket, and the one of local programs; false with errno */
bool control_open(struct warden *w);
bool local_open(struct warden *w, struct buf *errors);
void control_drilled(struct room *r, const char *outcome);

/* rules.c: reads the file that the configuration names (none: no rules) and keeps what it holds, so that a
 * room that starts again gets the same, whatever becomes of the file. False with "FILE:LINE:COLUMN: what"
 * in *errors, and everything as it was. */
bool rules_read(struct warden *w, const struct config *c, struct buf *errors);

/* listeners.c */
/* One listening socket; -1 with errno. */
int listener_open(const struct config_listener *l);
bool listeners_open(struct warden *w, struct buf *errors);
