/* SPDX-License-Identifier: MIT
 * The messages of SCRAM (RFC 5802 section 7, RFC 7677), as text behind base64: the client's two for a server, the server's
 * two for a client; and channel binding by tls-exporter (RFC 9266). Nothing here computes: lib/scram does. */
#pragma once

#include "lib/base/arena.h"
#include "lib/parse/sasl/sasl.h"

#define SCRAM_NONCE_MOST ((size_t)256)
#define SCRAM_BARE_MOST ((size_t)1000)
#define SCRAM_HEADER_MOST ((size_t)320)
#define SCRAM_PROOF ((size_t)32)
#define SCRAM_BINDING ((size_t)32) /* RFC 9266: keying material that is exported */

struct scram_first {
	uint8_t flag;	     /* 'n': the client cannot bind, 'y': it can but believes that we cannot, 'p' */
	struct slice header; /* with its last comma: what c= has to begin with */
	struct slice name;   /* "=2C" and "=3D" decoded; sasl_name_ok() holds */
	struct slice nonce;  /* 1..SCRAM_NONCE_MOST printable bytes without a comma */
	struct slice bare;   /* client-first-message-bare, at most SCRAM_BARE_MOST */
};

struct scram_final {
	struct slice binding; /* c=, decoded */
	struct slice nonce;
	struct slice without_proof;
	uint8_t proof[SCRAM_PROOF];
};

/* client-first-message. An authorization identity other than the name, a mandatory extension (m=) and a
 * binding type other than tls-exporter are refused. */
enum sasl_status scram_first_parse(struct slice message, struct arena *a, struct scram_first *out);
/* client-final-message. */
enum sasl_status scram_final_parse(struct slice message, struct arena *a, struct scram_final *out);

struct scram_challenge {
	struct slice nonce; /* begins with the client's where all is well: the caller's to check */
	struct slice salt;  /* decoded, not empty */
	uint32_t iterations;
};

/* server-first-message; a mandatory extension is refused. Slices lie in message and in a. */
enum sasl_status scram_challenge_parse(struct slice message, struct arena *a, struct scram_challenge *out);
/* server-final-message with its signature ("v="). SASL_REFUSE: an error of the server ("e="), or nothing of the kind. */
enum sasl_status scram_verdict_parse(struct slice message, struct arena *a, uint8_t signature[static SCRAM_PROOF]);

/* What a server offers: nothing of it set is the usual, both mechanisms where TLS can be bound to. */
struct scram_offer {
	bool off;	/* neither */
	bool must_bind; /* SCRAM-SHA-256-PLUS only */
};
/* Is the mechanism (plus: SCRAM-SHA-256-PLUS) offered in a session with or without binding? */
bool scram_offered(const struct scram_offer *o, bool plus, bool bindable);

/* May this first message go with the mechanism that was named? plus: SCRAM-SHA-256-PLUS; offered: we
 * offered PLUS in this session. A client that says it could bind but was not offered it, where it was,
 * has been lied to: RFC 5802 section 6, U-018. */
bool scram_flag_ok(uint8_t flag, bool plus, bool offered);
/* Does c= hold the header, and with 'p' behind it the binding of this very connection (empty: none)? */
bool scram_bound(struct slice header, uint8_t flag, struct slice binding, struct slice said);
