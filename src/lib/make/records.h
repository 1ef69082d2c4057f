/* SPDX-License-Identifier: MIT
 * Every DNS record that a mail domain needs, from what the machine and the domain's settings say:
 * `postern domain dns` prints them in zone-file form (RFC 1035 section 5), `postern domain check`
 * compares them with what the world sees. Pure: no clock, file or network.
 *
 * Nothing hostile gets into a zone file: names are letters, digits, "-", "_" and dots; texts are
 * printable ASCII, quoted. Input that breaks this is refused as a whole. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/ip.h"

#define LIMIT_RECORDS ((size_t)128)	/* records of one domain (count) */
#define LIMIT_RECORD_TEXT ((size_t)4096) /* bytes of one TXT value: RSA-4096 takes 800 */

struct records_dkim {
	struct slice selector;
	struct slice algorithm; /* "rsa" or "ed25519" */
	struct slice key;	/* raw bytes for p=: SubjectPublicKeyInfo (RFC 6376 3.6.1), or the 32
				   bytes of Ed25519 (RFC 8463 4); empty: revoked */
};

struct records_tlsa {
	uint16_t port;
	uint8_t usage, selector, matching; /* RFC 6698 2.1; DANE-EE(3) SPKI(1) SHA-256(1) is usual */
	struct slice data;		   /* raw bytes */
};

struct records_caa {
	struct slice issuer;  /* "letsencrypt.org" */
	struct slice account; /* accounturi of RFC 8657, or empty */
};

/* What the domain and its server are. Empty slices and zero counts leave the record out, except
 * where said. All borrowed for the call. */
struct records_input {
	struct slice domain;
	struct slice host; /* name of the server; the MX */
	const struct ip *ips;
	size_t n_ips;
	const struct slice *backup; /* further MX hosts, preference 20, 30, ... */
	size_t n_backup;
	const struct slice *includes; /* SPF include: of other senders */
	size_t n_includes;
	bool soft_spf; /* "~all" instead of "-all" */
	const struct records_dkim *dkim;
	size_t n_dkim;
	struct slice policy;	   /* DMARC p=: "none" (also when empty), "quarantine", "reject" */
	struct slice sub_policy;   /* sp= */
	struct slice np_policy;	   /* np= */
	bool testing;		   /* t=y, RFC 9989 */
	struct slice dmarc_report; /* address for rua= */
	struct slice tls_report;   /* address for TLS-RPT */
	struct slice mta_sts_id;   /* letters and digits, 1..32 (RFC 8461 3.1); its records are unserved */
	struct slice mta_sts_mode; /* "testing" (also when empty), "enforce" */
	const struct records_tlsa *tlsa;
	size_t n_tlsa;
	const struct records_caa *caa; /* of the server's name: that is what the certificate is for */
	size_t n_caa;
	bool caa_only_example; /* none of them issued the certificate in use: unserved */
	bool wildcard;	       /* the certificate in use is for "*." too */
	struct slice security; /* address for CAA iodef */
	uint16_t imaps, submissions, submission, pop3s, sieve, jmap; /* ports; 0: not offered */
	bool autoconfig; /* the name autoconfig., unserved */
};

struct record {
	struct slice name; /* without final dot */
	const char *type;  /* "MX", "TXT", ...; a literal */
	struct slice rdata; /* zone-file form, names with final dot */
	struct slice value; /* TXT: the value before quoting; else empty */
	const char *why;   /* one line for people; a literal */
	bool elsewhere;	   /* belongs into another zone (reverse zone, the report receiver's) */
	bool unserved;	   /* true only once something else is there: a web server with a file, another certificate */
	bool optional;	   /* no fault where it is missing; so is what is unserved */
};

struct records {
	size_t n;
	const struct record *list;
};

/* Fills *out from the arena. False, with *out untouched, on input that is no name, no address of
 * the expected form or not printable, when there are more than LIMIT_RECORDS, or at the ceiling. */
bool records_make(const struct records_input *in, struct arena *a, struct records *out);

/* The zone file: a comment where the purpose changes, one record a line; those that are unserved, and records of
 * other zones, as comments at the end. Returns !b->bad. */
bool records_write(struct buf *b, const struct records *r);

/* The policy file of MTA-STS (RFC 8461 3.2) that goes with the records. Returns false, too, where the input is none. */
bool records_sts_policy(struct buf *b, const struct records_input *in);
/* What mail programs read at https://autoconfig.DOMAIN/mail/config-v1.1.xml (draft-ietf-mailmaint-autoconfig). Returns
 * false, too, where the input is none, or offers neither way. */
bool records_autoconfig(struct buf *b, const struct records_input *in);

/* Appends value as the strings of a TXT record: quoted, at most 255 bytes each. Returns !b->bad. */
bool records_quote(struct buf *b, struct slice value);
