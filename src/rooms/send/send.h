/* SPDX-License-Identifier: MIT
 * send: what its files share. One relay job of queue is one thread: it looks up the destination, opens a conversation
 * with the first host that will have one (or takes an idle one), carries the message, and answers queue with a result
 * for every recipient.
 *
 *   room.c    the channel from queue, the pool, the end        relay.c   one job from route to answer
 *   hosts.c   where mail for a domain goes (MX, A, AAAA)       reach.c   where it must not go
 *   lines.c   connections: made, kept for a while, reused      talk.c    replies, EHLO, STARTTLS
 *   login.c   AUTH at a smarthost                              scram.c   the same by SCRAM-SHA-256
 *   mail.c    MAIL, RCPT, DATA/BDAT and the results
 *   cap.c     how much a smarthost may have
 *   wire.c    the message as it goes over the wire             policy.c  what TLS has to be, and what it came to
 *   settings.c  what warden said
 */
#pragma once

#include <pthread.h>

#include "ipc/queue_send.h"
#include "lib/dial/dial.h"
#include "lib/fetch/sts.h"
#include "lib/parse/smtp/reply.h"
#include "lib/proc/pool.h"
#include "lib/proc/proc.h"
#include "lib/resolve/room.h"
#include "lib/tls/client.h"
#include "rooms/send/hosts.h"

#define SEND_RELAYS 8u	    /* smarthosts */
#define SEND_ROUTES 16u	    /* recipient domains with a way of their own */
#define SEND_SOURCES 16u    /* sender domains with an address of their own */
#define SEND_RCPTS 100u	    /* recipients of one job: ipc/queue_send.msg */
#define SEND_THREADS 100u   /* conversations at once */
#define SEND_JOBS 1000u	    /* jobs at once, most of them waiting for a thread */
#define SEND_STACK ((size_t)262144)
#define SEND_LINES 64u	    /* idle connections */
#define SEND_LINE_USES 100u /* messages over one connection */
#define SEND_ADDRESSES 5u   /* addresses tried for one job */
#define SEND_TALKS 2u	    /* of them, how many may greet us and then fail */

/* ---- settings ----------------------------------------------------------------------------------- */

/* RFC 5321 4.5.3.2, in ms. */
struct send_times {
	int64_t connect, greeting, command, block, end;
	int64_t total; /* of one conversation about one message; a large one gets more: SEND_SLOWEST */
	int64_t idle;  /* how long a connection waits for its next message */
};
#define SEND_SLOWEST 16384 /* octets/s: what the total grows by for each */

/* Where mail leaves from: one address a family; n 0: the kernel's choice. */
struct send_source {
	struct slice domain; /* of the sender; empty: the default */
	struct ip v4, v6;
};

enum send_tls_mode { SEND_TLS_STARTTLS, SEND_TLS_IMPLICIT, SEND_TLS_NONE };

/* A smarthost. */
struct send_relay {
	struct slice name, host;
	uint16_t port;
	enum send_tls_mode tls;
	struct slice user, password; /* empty: no login */
	struct slice senders;	     /* "example.org,alice@example.net": whose mail; empty: everybody's */
	struct slice accounts;	     /* "3,7" */
	uint32_t after;		     /* used from this many failed attempts on; 0: always */
	uint32_t per_hour;	     /* messages; 0: no cap */
	/* under the house's cap_lock */
	uint64_t hour; /* since 1970 */
	uint32_t used;
};

/* LMTP for a recipient domain, or another host than its MX. */
struct send_route {
	struct slice domain, host; /* of a Unix socket: "unix:/PATH" */
	uint16_t port;		   /* 0: a Unix socket */
	bool lmtp;
};

struct send_conf {
	struct slice hostname, helo;
	uint16_t port;
	bool v4, v6, chunking;
	struct send_times times;
	struct reach reach;
	struct send_source sources[SEND_SOURCES + 1]; /* the first is the default */
	size_t n_sources;
	struct send_relay relays[SEND_RELAYS];
	size_t n_relays;
	struct send_route routes[SEND_ROUTES];
	size_t n_routes;
};

/* Reads what warden has told; ends the room on nonsense. Slices live as long as the process. */
void send_settings(struct proc *p, struct send_conf *conf);

/* ---- one conversation --------------------------------------------------------------------------- */

/* What the destination's policy asks of TLS. */
enum send_level {
	SEND_PLAIN, /* no TLS: it failed before and nothing forbids plain text; or a local socket */
	SEND_MAY,   /* opportunistic: encrypted when it can be had, whoever it is */
	SEND_TLS,   /* encrypted, whoever it is: TLSA records that nobody can use */
	SEND_NAME,  /* a certificate for one of the names: MTA-STS, a smarthost */
	SEND_DANE,  /* one of the TLSA records */
};

struct send_policy {
	enum send_level level;
	struct slice sni;
	struct slice names[3];
	size_t n_names;
	const struct tls_tlsa *tlsa;
	size_t n_tlsa;
};

struct talk {
	struct stream s; /* first of what a connection owns; see talk_close() */
	struct tls_link tls;
	const struct send_times *times;
	int64_t total;	 /* no wait goes on beyond this */
	bool lmtp, esmtp;
	bool secure;	 /* TLS is on */
	bool verified;	 /* and the other side is who it should be */
	bool dead;	 /* nothing more can be said: close it */
	bool reset;	 /* RSET before the next MAIL */
	unsigned used;	 /* transactions begun */
	struct smtp_offer offer;
	struct smtp_reply reply; /* the last one */
	const char *why;	 /* with dead: what happened; a literal */
	const char *tls_result;	 /* RFC 8460 result type when TLS did not come about; NULL: none */
	const char *tls_reason;
	bool injected;		 /* T-002: text stood behind the reply to STARTTLS */
};

enum talk_end {
	TALK_OK,
	TALK_NEXT,   /* this host will not: try another one */
	TALK_PLAIN,  /* TLS broke: again without, on a new connection, where the policy allows it */
	TALK_POLICY, /* the policy is not met: not this host */
};

/* Reads one reply, waiting at most ms in all. False when none came: t is dead then. */
bool talk_reply(struct talk *t, int64_t ms);
/* Adds a line to the output (it leaves with the next wait). False when the connection is lost. */
bool talk_say(struct talk *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Says a line and waits for its reply. */
bool talk_ask(struct talk *t, int64_t ms, struct slice line);
/* Greeting, EHLO, and STARTTLS as the policy has it; implicit: TLS before the greeting. */
enum talk_end talk_hello(struct talk *t, struct slice helo, struct slice host, struct tls_client *tls,
    const struct send_policy *policy, bool implicit);
/* QUIT, when it may be said, and the end. */
void talk_close(struct talk *t);
/* AUTH with the best that the server offers. False: t->reply (or t->why) says why. */
bool talk_login(struct talk *t, struct slice user, struct slice password);

enum talk_scram {
	TALK_SCRAM_IN,	    /* and the server has proved that it knows the password too */
	TALK_SCRAM_REFUSED, /* at once with 5xx: this mechanism is not for us; the password was not used */
	TALK_SCRAM_FAILED,  /* t->reply (or t->why) says why */
};
/* SCRAM-SHA-256, with -PLUS where both can be bound to the connection. */
enum talk_scram talk_scram_any(struct talk *t, struct slice user, struct slice password);
/* One exchange with a nonce; flag is the header's: 'n', 'y', or 'p' for -PLUS. For tests. */
enum talk_scram talk_scram(struct talk *t, struct slice user, struct slice password, struct slice nonce, char flag);
/* Moments that this conversation may still take, at most ms. */
int64_t talk_until(const struct talk *t, int64_t ms);

/* ---- one message -------------------------------------------------------------------------------- */

struct mail {
	struct arena *a;
	const struct queue_send_relay *m;
	struct slice body;   /* the memfd, mapped */
	bool eight, utf8;    /* content with octets over 127; SMTPUTF8 is needed */
	bool chunking;	     /* BDAT where it is offered */
	struct queue_send_result *results; /* one a recipient, in their order */
	bool done[SEND_RCPTS];		   /* its result is final for this job */
	bool taken[SEND_RCPTS];		   /* RCPT was accepted in this transaction */
	bool busy;			   /* the other side asked us to slow down */
	bool refused;			   /* MAIL or an earlier word was answered with 4xx or 5xx: see the reply */
};

/* Everything a transaction has to say about the recipients that are not done. TALK_OK: all of those that were tried are
 * done. TALK_NEXT: nothing was decided, another host may be asked. TALK_POLICY: the host lacks REQUIRETLS. */
enum talk_end mail_send(struct talk *t, struct mail *mail);
/* Gives the recipients that are not done a result of ours. */
void mail_settle(struct mail *mail, enum queue_send_outcome outcome, unsigned code, const char *enhanced,
    struct slice text);
bool mail_done(const struct mail *mail);

/* ---- connections -------------------------------------------------------------------------------- */

struct send_house;
struct relaycap;
struct job;

/* A connection: in use by one job, or idle in the house. */
struct line {
	struct arena *arena; /* holds this struct and the slices */
	struct line *next;
	struct slice destination, host, key; /* key: the way out and the source: only equal ones are exchanged */
	struct ip ip, local;
	enum send_level level;
	struct talk t;
	uint64_t idle_until;
	bool reused;
};

struct send_house {
	struct proc *proc; /* NULL in tests */
	struct loop *loop;
	struct pool *pool;
	struct send_conf *conf;
	struct tls_client *tls;
	pthread_mutex_t cap_lock; /* of caps, and of what was counted */
	struct relaycap *caps;	  /* NULL: nothing keeps it */
	int roots_fd; /* the system's CA certificates, read when first needed; -1: none, or read */
	struct resolve_room dns;
	struct sts_source sts;
	struct dialer dialer; /* Unix sockets of routes */
	struct resolver (*resolver)(struct send_house *h, struct resolve_asker *asker); /* tests have their own */
	struct ipc_channel *queue;
	struct loop_watch *queue_watch;
	uint64_t queue_generation;
	pthread_mutex_t lock;
	struct line *idle; /* newest first */
	unsigned n_idle, n_jobs;
	uint64_t random;
	bool stopping;
};

/* An idle connection that was made for this destination, or (destination empty) to this address without more trust than
 * SEND_MAY asks for; NULL: none. */
struct line *lines_take(struct send_house *h, struct slice key, struct slice destination, const struct ip *ip);
/* A connection to an address (not yet greeted); total is the end of its conversation. NULL with *why (a literal) where
 * it could not be made. */
struct line *lines_connect(struct send_house *h, const struct host *host, uint16_t port, const struct send_source *source,
    int64_t total, const char **why);
/* The same to the Unix socket of a route, which warden connects. */
struct line *lines_connect_local(struct send_house *h, const struct send_route *route, int64_t total, const char **why);
/* Keeps it for a while, or closes it. */
void lines_keep(struct send_house *h, struct line *l, struct slice key, struct slice destination);
void lines_drop(struct line **l);
/* Closes what has waited too long (all: everything). Called by the loop. */
void lines_expire(struct send_house *h, bool all);

/* ---- one job ------------------------------------------------------------------------------------ */

/* What goes on while one job is done. */
struct trip {
	struct job *j;
	struct send_house *h;
	const struct send_conf *conf;
	struct mail mail;
	const struct send_route *route; /* NULL: none */
	struct send_relay *relay;	/* NULL: none */
	const struct send_source *source;
	uint16_t port;
	struct slice key;
	struct resolve_asker asker;
	struct resolver r;
	struct hosts hosts;
	struct tlspolicy_domain domain;
	int64_t total;
	unsigned addresses, talks;
	bool reached, policy; /* somebody greeted us; a policy was not met */
	/* the last thing that went wrong, for the recipients that nobody decided about */
	unsigned code;
	char enhanced[SMTP_ENHANCED_TEXT], text[LIMIT_SMTP_REPLY_TEXT + 1];
};

/* Keeps what went wrong last. */
void trip_remember(struct trip *t, unsigned code, struct slice enhanced, struct slice text);
/* The policies of the destination, once its hosts are known. */
void policy_find(struct trip *t);
/* What TLS has to be with this host; th is for reports. False: not this host (and it is remembered why). */
bool policy_for(struct trip *t, const struct host *host, struct send_policy *out, struct tlspolicy_host *th);
/* One row for TLS-RPT (RFC 8460): what a session with this host came to. */
void policy_tell(struct trip *t, const struct line *l, const struct host *host, const struct tlspolicy_host *th);

/* Takes over the file, which may be NULL, and reads what was counted before. Once, before anybody counts. */
void cap_load(struct send_house *h, struct relaycap *file);
/* Counts one message against the smarthost's cap, at a time of the clock on the wall; false: it is used up. */
bool cap_take(struct send_house *h, struct send_relay *r, int64_t now_us);

/* ---- the room ----------------------------------------------------------------------------------- */

struct job {
	struct pool_conv pc; /* first */
	struct send_house *house;
	struct arena *arena; /* holds all of it */
	struct queue_send_relay m;
	struct ipc_call call;
	uint64_t generation; /* of the channel that brought it */
	int fd;
	struct queue_send_relay_answer answer;
	struct queue_send_result results[SEND_RCPTS];
	char tls[64]; /* of answer.tls */
};

/* Does all of a job and fills job->answer. In the job's thread. */
void relay_job(struct job *job);
/* Everything but the peers; p may be NULL. cache keeps MTA-STS policies, caps what smarthosts had; NULL: nothing does. */
void send_room_init(struct send_house *h, struct proc *p, struct loop *l, struct send_conf *conf, struct stscache *cache,
    struct relaycap *caps);
void send_introduce(void *house, const char *peer, const char *instance, int fd);
void send_stop(void *house);
