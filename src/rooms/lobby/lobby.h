/* SPDX-License-Identifier: MIT
 * An IMAP conversation before login (RFC 3501 sections 6.1, 6.2): greeting, capabilities, STARTTLS,
 * LOGIN, AUTHENTICATE PLAIN. The lobby sees no mail and hashes no password; what a stranger may
 * make it hold is LIMIT_IMAP_PRELOGIN bytes a command and four literals a connection.
 *
 * A session is driven by lobby_turn(): it talks while there is something to say and returns when it
 * is idle or over, so that no thread waits with a silent client. */
#pragma once

#include "lib/imapio/imapio.h"
#include "lib/parse/sasl/scram.h"

#define LOBBY_LOGIN_MS 180000u	/* from greeting to login; RFC 3501 5.4 binds only after login */
#define LOBBY_LINGER_MS 5u	/* waits so long for the next command before it parks */
#define LOBBY_WRITE_MS 30000u	/* a reader that takes nothing for so long is cut */
#define LOBBY_FAILURES 5u	/* wrong passwords of one connection (count) */
#define LOBBY_STRANGERS 3u	/* unknown commands that open a connection (count, I-031) */

enum lobby_login { LOBBY_YES, LOBBY_NO, LOBBY_LATER };

/* The room's side, so that a session can be tested without one. */
struct lobby_ops {
	/* Asks auth; waits. */
	enum lobby_login (*login)(void *ctx, uint64_t session, struct slice peer_ip,
	    const struct sasl_login *who);
	/* The two steps of SCRAM; *challenge and *signature live in a. YES of the first is a challenge. */
	enum lobby_login (*scram_first)(void *ctx, uint64_t session, struct slice peer_ip,
	    const struct scram_first *f, struct arena *a, struct slice *challenge);
	enum lobby_login (*scram_final)(void *ctx, uint64_t session, const struct scram_final *f,
	    struct arena *a, struct slice *signature);
};

enum lobby_next {
	LOBBY_PARK,	/* wait for input or the deadline, then call again */
	LOBBY_CLOSE,	/* over: everything that could be said was said */
	LOBBY_STARTTLS, /* "OK" was sent: give the descriptor to door */
	LOBBY_HANDOFF,	/* auth said yes: give the descriptor, tag and leftover to door */
};

struct lobby_session {
	uint64_t id;
	uint8_t peer_ip[16];
	size_t peer_ip_n;
	bool tls;
	bool quiet;		/* after STARTTLS: no second greeting */
	bool refused;		/* the login under the kept tag was right, but its mailbox cannot be had */
	struct scram_offer scram;
	bool bindable;		/* binding is there: SCRAM-SHA-256-PLUS can be offered */
	uint8_t binding[SCRAM_BINDING];
	const struct lobby_ops *ops;
	void *ctx;
	/* its own */
	struct stream io;
	struct imapio in;
	uint64_t until_ms;	/* clock_mono_ms(): end of patience */
	unsigned bad, failures;
	bool greeted, known;	/* known: a command was understood */
	bool sasl;		/* the next line is the response to "+ " */
	enum lobby_sasl { LOBBY_PLAIN, LOBBY_SCRAM_FIRST, LOBBY_SCRAM_FINAL, LOBBY_SCRAM_LAST, LOBBY_OAUTH,
		LOBBY_OAUTH_LAST } sasl_at;
	bool scram_plus;
	uint8_t scram_flag;
	uint8_t scram_header[SCRAM_HEADER_MOST];
	size_t scram_header_n;
	uint8_t tag[LIMIT_IMAP_TAG];
	size_t tag_n;
};

/* io must be initialised, the fields above "its own" set, the rest zero. */
void lobby_begin(struct lobby_session *s, uint64_t now_ms);
/* expired: the deadline s->until_ms has passed. */
enum lobby_next lobby_turn(struct lobby_session *s, bool expired);
/* Frees what lobby_begin() made; the stream too. */
void lobby_end(struct lobby_session *s);
/* The tag to answer the login with; borrowed. */
struct slice lobby_tag(const struct lobby_session *s);

/* ---- between the files of this room ---- */

enum lobby_step { STEP_ON, STEP_CLOSE, STEP_STARTTLS, STEP_HANDOFF };

/* "TAG TEXT" CRLF; the empty tag gives "*". */
void lobby_say(struct lobby_session *s, struct slice tag, const char *text);
void lobby_keep_tag(struct lobby_session *s, struct slice tag);
/* One more bad command: STEP_CLOSE, with its "* BYE", when there were too many. */
enum lobby_step lobby_bad(struct lobby_session *s, struct slice tag, const char *text);
/* The capabilities of this moment. */
const char *lobby_capability(const struct lobby_session *s);

enum lobby_step lobby_login(struct lobby_session *s, const struct imap_command *c);
enum lobby_step lobby_authenticate(struct lobby_session *s, const struct imap_command *c,
    struct arena *a);
/* Between login.c and scram.c. */
enum lobby_step lobby_refused(struct lobby_session *s, struct slice tag);
enum lobby_step lobby_unavailable(struct lobby_session *s, struct slice tag, struct slice name);
/* What could not be decoded or can never be right; st is not SASL_OK. */
enum lobby_step lobby_undecoded(struct lobby_session *s, struct slice tag, enum sasl_status st);
/* "+ " and text in base64; the answer is for `at`. */
enum lobby_step lobby_challenge(struct lobby_session *s, struct slice text, enum lobby_sasl at);
enum lobby_step lobby_scram(struct lobby_session *s, struct slice line, struct arena *a);
/* The response to AUTHENTICATE's "+ ". */
enum lobby_step lobby_response(struct lobby_session *s, struct slice line, struct arena *a);
