/* SPDX-License-Identifier: MIT
 * One SMTP conversation: RFC 5321, in straight-line code. It knows neither where its bytes come from
 * (a stream) nor who answers its questions (a backend): the room binds both, tests and fuzzing bind
 * their own.
 *
 *   smtp_session_run() -- greeting, commands, content -- nothing more to read --> SMTP_PARK
 *                                                     -- over, or TLS is to start --> SMTP_END
 *
 * The transaction is one struct that is replaced whole by txn_reset(): every path that ends a
 * transaction, good or bad, goes through it, so that nothing of one message survives into the next.
 * Between transactions a session has no memory but its struct and two short names. */
#pragma once

#include "ipc/smtp_auth.h"
#include "ipc/smtp_milter.h"
#include "ipc/smtp_queue.h"
#include "ipc/smtp_scan.h"
#include "lib/base/ip.h"
#include "lib/events/events.h"
#include "lib/parse/sasl/scram.h"
#include "lib/parse/smtp/command.h"
#include "lib/parse/smtp/data.h"
#include "lib/parse/smtp/params.h"
#include "lib/stream/stream.h"

/* What one listener offers: the switches of `listen NAME { ... }`. */
/* lmtp, which is alone in its instance, stands at SMTP_AT_SMTP. */
enum smtp_listener { SMTP_AT_SMTP, SMTP_AT_SUBMISSION, SMTP_AT_SUBMISSIONS, SMTP_LISTENERS };
struct smtp_switches {
	bool dsn;	     /* RFC 3461; off on 25, where strangers could probe with it */
	bool enhanced_codes; /* RFC 2034 */
	bool chunking;	     /* RFC 3030 without BINARYMIME */
	bool smtputf8;	     /* RFC 6531 */
	struct ip_nets xclient_from; /* who may say XCLIENT */
	uint32_t greet_wait_ms; /* strangers wait so long for the greeting: who speaks before it is cut */
	uint32_t tarpit_ms;  /* of silence for each error of a connection, growing with their number */
};

/* What all conversations of one instance share; immutable. */
struct smtp_config {
	struct slice hostname;
	bool submission; /* needs TLS and a login before MAIL; takes mail for elsewhere from accounts */
	bool lmtp;	 /* RFC 2033: mail of other MTAs for users here */
	bool starttls;	 /* TLS can be had */
	bool scan;	 /* messages are judged, or made ready for sending, by scan */
	struct scram_offer scram;
	bool milter;	 /* messages are shown to the administrator's milters */
	bool relay;	 /* there is a way out: submission takes recipients elsewhere */
	const struct ip_nets *lmtp_from; /* who may speak LMTP, besides whoever comes over a Unix socket */
	struct slice redirects; /* addresses that rules may redirect to, each followed by a space */
	uint64_t max_size; /* bytes of one message */
	struct smtp_switches at[SMTP_LISTENERS];
};

struct smtp_peer {
	uint64_t session;
	enum smtp_listener listener;
	struct ip ip, door_ip; /* the client's, and the one that door sees: they differ after XCLIENT */
	bool tls;	 /* door speaks TLS with the client */
	bool after_starttls; /* no greeting: the client comes back from its handshake */
	char tls_version[8], cipher[48]; /* "TLSv1.3"; empty without TLS */
	bool bindable;	     /* binding is there: SCRAM-SHA-256-PLUS can be offered */
	uint8_t binding[32]; /* tls-exporter, RFC 9266 */
};

struct smtp_session;

/* Who answers. The first five have the signature of the generated stubs; deadlines are
 * clock_mono_ms(). starttls takes over the client's socket and hands it to door. */
struct smtp_backend {
	enum ipc_status (*rcpt)(void *ctx, const struct smtp_auth_rcpt *in, uint64_t deadline_ms,
	    struct arena *a, struct smtp_auth_rcpt_answer *out);
	enum ipc_status (*login)(void *ctx, const struct smtp_auth_login *in, uint64_t deadline_ms,
	    struct arena *a, struct smtp_auth_login_answer *out);
	enum ipc_status (*scram_first)(void *ctx, const struct smtp_auth_scram_first *in, uint64_t deadline_ms,
	    struct arena *a, struct smtp_auth_scram_first_answer *out);
	enum ipc_status (*scram_final)(void *ctx, const struct smtp_auth_scram_final *in, uint64_t deadline_ms,
	    struct arena *a, struct smtp_auth_scram_final_answer *out);
	enum ipc_status (*owns)(void *ctx, const struct smtp_auth_owns *in, uint64_t deadline_ms,
	    struct arena *a, struct smtp_auth_owns_answer *out);
	enum ipc_status (*accept)(void *ctx, const struct smtp_queue_accept *in, uint64_t deadline_ms,
	    struct arena *a, struct smtp_queue_accept_answer *out);
	enum ipc_status (*judge)(void *ctx, const struct smtp_scan_judge *in, uint64_t deadline_ms,
	    struct arena *a, struct smtp_scan_judge_answer *out);
	bool (*stressed)(void *ctx); /* there is more to do than can be done soon */
	enum ipc_status (*filter)(void *ctx, const struct smtp_milter_ask *in, uint64_t deadline_ms,
	    struct arena *a, struct smtp_milter_ask_answer *out);
	enum ipc_status (*filter_recipient)(void *ctx, const struct smtp_milter_recipient *in, uint64_t deadline_ms,
	    struct arena *a, struct smtp_milter_recipient_answer *out);
	void (*starttls)(void *ctx, struct smtp_session *s, int fd);
	void (*event)(void *ctx, enum event_kind kind, uint64_t session, struct slice queue_id,
	    struct slice account, const struct event_field *fields, size_t n);
	void *ctx;
};

/* One mail transaction: from MAIL to the reply to its content, or to whatever ends it. */
struct txn {
	struct arena *arena; /* holds all below; NULL: no transaction */
	struct slice sender; /* as addr_write() makes it; empty: the null sender */
	bool body_8bit, utf8, requiretls;
	int priority;	     /* RFC 6710 */
	enum smtp_ret ret;   /* RFC 3461 */
	struct slice envid;
	int64_t hold_until_us; /* RFC 4865; 0: none */
	int64_t by_us;	     /* RFC 2852; 0: none */
	bool by_return, by_trace;
	struct smtp_queue_rcpt *rcpts;
	size_t n_rcpts, cap_rcpts, rcpt_bytes;
	size_t commands; /* RCPT so far, accepted or not */
	size_t taken;	 /* of them, those with a 250 */
	size_t replies;	 /* how often the reply to the content is said: 0 and 1 once */
	struct slice only_rcpt;	  /* what RCPT said, where there was one */
	struct slice list;	  /* the list that it goes through; empty: none */
	struct content *content;  /* from DATA or the first BDAT on */
	char queue_id[SESSION_TEXT + 12];
};

/* A refusal that is not said yet. */
struct smtp_refusal {
	unsigned code;
	const char *enhanced, *text;
};

/* A chunk of BDAT that is being read. It belongs to the session, not to the transaction: the octets of a
 * refused chunk are read away all the same, so that none is ever taken for a command. */
struct smtp_chunk {
	bool under_way, last;
	uint64_t left, got, begun_ms;
	const struct smtp_refusal *refusal; /* NULL: the octets belong to the message */
};

/* What the next line is: a command, or what the client answers to a challenge of AUTH. */
enum smtp_answer {
	SMTP_ANSWER_NONE,
	SMTP_ANSWER_PLAIN,
	SMTP_ANSWER_NAME,
	SMTP_ANSWER_PASSWORD,
	SMTP_ANSWER_SCRAM_FIRST,
	SMTP_ANSWER_SCRAM_FINAL,
	SMTP_ANSWER_SCRAM_LAST, /* nothing, after our signature */
	SMTP_ANSWER_OAUTH,
	SMTP_ANSWER_OAUTH_LAST, /* whatever the client says to a refusal */
};

struct smtp_session {
	struct stream stream;
	const struct smtp_config *conf;
	const struct smtp_backend *back;
	void *owner; /* the room's conversation, for starttls */
	struct smtp_peer peer;
	struct buf helo;	/* empty before EHLO or HELO */
	struct buf account;	/* address of the account that logged in */
	uint32_t account_id;	/* 0: nobody */
	uint64_t revision;	/* of the account at the login */
	enum smtp_answer answer;
	struct buf login_name; /* between two answers of AUTH: LOGIN's name, SCRAM's header */
	uint8_t scram_flag;    /* of that header */
	bool scram_plus;       /* the mechanism is SCRAM-SHA-256-PLUS */
	uint32_t proved_id;    /* whose proof was right, until the exchange has ended */
	uint64_t proved_revision;
	bool esmtp, greeted, over, tls_started, waited;
	unsigned errors, junk, bad_rcpts, bad_logins, transactions, commands;
	uint64_t deadline_ms; /* when a silent client is told goodbye */
	struct smtp_chunk chunk;
	uint64_t nap_until_ms; /* nothing is read before; 0: no nap */
	uint64_t drained; /* octets of refused chunks so far */
	struct txn txn;
};

enum smtp_next { SMTP_PARK, SMTP_END };
enum smtp_why { SMTP_INPUT, SMTP_DEADLINE, SMTP_HURRY, SMTP_STOPPING }; /* SMTP_HURRY: stress has begun */

/* The stream must have been initialised in s->stream (and s->owner set), everything else is set here. */
void smtp_session_init(struct smtp_session *s, const struct smtp_config *conf,
    const struct smtp_backend *back, const struct smtp_peer *peer);
/* Talks until the client pauses. SMTP_PARK: call again at input, or at s->deadline_ms with
 * SMTP_DEADLINE. SMTP_END: call smtp_session_end(). */
enum smtp_next smtp_session_run(struct smtp_session *s, enum smtp_why why);
/* Closes the stream and frees what the session owns. */
void smtp_session_end(struct smtp_session *s);

/* ---- inside the room --------------------------------------------------------------------------- */

#define SMTP_LINGER_MS 40u	   /* a thread waits this long for the next command, then parks */
#define SMTP_IDLE_MS 300000u	   /* RFC 5321 section 4.5.3.2.7 */
#define SMTP_STRESS_IDLE_MS 10000u /* the same for strangers, in times of stress */
#define SMTP_WRITE_MS 20000u	   /* a client that does not read its replies holds a thread */
#define SMTP_ASK_MS 5000u	   /* answers of auth */
#define SMTP_ACCEPT_MS 60000u	   /* the answer of queue */
#define SMTP_SCAN_MS 60000u	   /* the answer of scan, which may have to wait for the DNS */
#define SMTP_MILTER_MS 250000u	   /* the answer of milter, which has 240 s for all of them */
#define SMTP_LOGIN_MS 60000u	   /* one answer of AUTH */
#define SMTP_DATA_GRACE_MS 60000u  /* content may be this late ... */
#define SMTP_DATA_FLOOR 300u	   /* ... and must then come with so many bytes a second */
#define SMTP_BAD_LOGINS 3u	   /* failed logins of one connection */

#define SMTP_NAP_MS 10000u	   /* longest silence that errors earn */
#define SMTP_FREE_ERRORS 2u	   /* ... from the next one on */
#define SMTP_CHUNKS 1000u	   /* BDAT commands of one message (S-089) */
#define SMTP_HOLD_S 2592000u	   /* longest wait before delivery that may be asked for */

int64_t smtp_after(uint64_t ms); /* now + ms, as a deadline of lib/stream */

/* One reply line. Replies of the classes 4 and 5 do not count anything by themselves. */
void smtp_reply(struct smtp_session *s, unsigned code, const char *enhanced, const char *text);
/* The same, and one more error of this connection: at smtp_bounds()->errors it is cut. */
void smtp_error(struct smtp_session *s, unsigned code, const char *enhanced, const char *text);
/* A last reply; nothing that the client sends after it is read. */
void smtp_cut(struct smtp_session *s, unsigned code, const char *enhanced, const char *text);
/* Ends the transaction, if there is one. */
void txn_reset(struct smtp_session *s);
/* An event about this conversation, with the queue id of its transaction. */
#define SMTP_EVENT(s, kind, ...)                                                                   \
	smtp_event((s), (kind), (const struct event_field[]){ __VA_ARGS__ },                       \
	    sizeof((const struct event_field[]){ __VA_ARGS__ }) / sizeof(struct event_field))
void smtp_event(struct smtp_session *s, enum event_kind kind, const struct event_field *fields,
    size_t n);

/* A refusal that the owner wants to see later: reply, error count and event in one. where is "mail",
 * "rcpt" or "data"; codes from 500 are smtp.rejected, others smtp.deferred. */
void smtp_refuse(struct smtp_session *s, const char *where, struct slice address, unsigned code,
    const char *enhanced, const char *text);

/* How long and how much a session may: strangers in times of stress (stress.c) less than others. */
struct smtp_bounds {
	uint64_t idle_ms, data_grace_ms;
	unsigned errors, junk, transactions;
	size_t rcpts; /* RFC 5321 section 4.5.3.1.8 asks for 100 */
};
const struct smtp_bounds *smtp_bounds(const struct smtp_session *s);
/* What this session's listener has switched on. */
const struct smtp_switches *smtp_on(const struct smtp_session *s);
/* The extensions with parameters that this session offers now: a set of enum smtp_offer. */
unsigned smtp_offers(const struct smtp_session *s);
/* What stands in the way of a mail transaction's verb in this session, by the flags of its row in the
 * table; NULL: nothing. */
const struct smtp_refusal *smtp_in_the_way(const struct smtp_session *s, unsigned flags);
/* Flags of the table. */
enum {
	NEEDS_HELO = 1,	 /* 503 before EHLO or HELO */
	NEEDS_TLS = 2,	 /* submission: 530 in plain text (RFC 3207 section 4, RFC 8314) */
	NEEDS_AUTH = 4,	 /* submission: 530 before a login (RFC 6409 section 4.3) */
	NEEDS_MAIL = 8,	 /* 503 outside of a transaction */
	ENDS_GROUP = 16, /* nothing may be sent behind it before its reply (RFC 2920 section 3.1) */
	JUNK = 32,	 /* harmless, but not without end */
	NO_ARGS = 64,	 /* 501 with arguments */
	ANY_BYTES = 128, /* judges bytes from 0x80 on itself; others answer 500 */
	ONLY_SMTP = 256, /* unknown to LMTP */
	ONLY_LMTP = 512, /* unknown to SMTP (S-099) */
};

/* The verbs; see the table in session.c. */
void smtp_ehlo(struct smtp_session *s, const struct smtp_command *cmd);
void smtp_helo(struct smtp_session *s, const struct smtp_command *cmd);
void smtp_starttls(struct smtp_session *s, const struct smtp_command *cmd);
void smtp_auth(struct smtp_session *s, const struct smtp_command *cmd);
/* The line that answers a challenge of AUTH; st is STREAM_OK, STREAM_BAD or STREAM_TOO_LONG. */
void smtp_auth_answer(struct smtp_session *s, enum stream_status st, struct slice line);
/* Between login.c and scram.c: a refusal that counts, a challenge, what could not be decoded (false after
 * its reply), and success. */
void smtp_login_failed(struct smtp_session *s, struct slice name, const char *why);
void smtp_login_later(struct smtp_session *s, struct slice name);
void smtp_challenge(struct smtp_session *s, struct slice text, enum smtp_answer what);
bool smtp_decoded(struct smtp_session *s, enum sasl_status st);
void smtp_logged_in(struct smtp_session *s, uint32_t account, uint64_t revision, struct slice address, struct slice name,
    const char *mechanism);
void smtp_scram_begin(struct smtp_session *s, bool plus, struct slice initial, struct arena *a);
void smtp_scram_answer(struct smtp_session *s, enum smtp_answer what, struct slice line, struct arena *a);
void smtp_oauth(struct smtp_session *s, struct slice line, struct arena *a);
void smtp_mail(struct smtp_session *s, const struct smtp_command *cmd);
void smtp_rcpt(struct smtp_session *s, const struct smtp_command *cmd);
void smtp_data_begin(struct smtp_session *s, const struct smtp_command *cmd);
void smtp_xclient(struct smtp_session *s, const struct smtp_command *cmd);
void smtp_bdat(struct smtp_session *s, const struct smtp_command *cmd);
/* filtered.c: may the milters have this recipient, who could be had? False: the reply to RCPT was given. */
bool smtp_filtered_recipient(struct smtp_session *s, struct slice address);
/* envelope.c, for milters: takes away what RCPT named so, or goes to that address; one more recipient, where
 * auth accepts it as it would from this client; another sender. False, with nothing changed, where it may not be. */
void smtp_rcpt_drop(struct smtp_session *s, struct slice address);
bool smtp_rcpt_add(struct smtp_session *s, struct slice address);
bool smtp_sender_change(struct smtp_session *s, struct slice address);
/* lmtp.c: is the verb one of this session's protocol? */
bool smtp_speaks(const struct smtp_session *s, unsigned flags);
/* May this peer speak to this listener? False after a last word. */
bool smtp_lmtp_welcome(struct smtp_session *s);
/* The next reply is the one to the whole content: LMTP says it once for each recipient. */
void smtp_lmtp_content_reply(struct smtp_session *s);
/* Is content what the client sends now? */
bool smtp_in_content(const struct smtp_session *s);
/* A rule's address takes the place of all recipients. False, with the reply said, where it cannot. */
bool smtp_redirect(struct smtp_session *s, struct slice to);
/* Reads content on, while smtp_in_content(). False when more has to be waited for. */
bool smtp_data_continue(struct smtp_session *s);
bool smtp_bdat_continue(struct smtp_session *s);
/* When content that comes too slowly is given up: clock_mono_ms(). */
uint64_t smtp_data_deadline(const struct smtp_session *s);
/* Frees what does not live in the transaction's arena. */
void smtp_content_drop(struct content *c);
