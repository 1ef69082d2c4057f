/* SPDX-License-Identifier: MIT
 * Key records (RFC 6376 3.6.1, RFC 8463 3) and the RSA public keys in them. */
#pragma once

#include "lib/base/arena.h"
#include "lib/parse/dkim/why.h"

enum dkim_key_type { DKIM_KEY_RSA, DKIM_KEY_ED25519 };

struct dkim_keyrec {
	enum dkim_key_type type;
	bool sha1, sha256;   /* what h= allows; both without it */
	bool testing;	     /* t=y: treat a failure as no signature (3.6.1) */
	bool strict;	     /* t=s: i= must equal d= */
	struct slice public; /* p= decoded */
};

/* Parses one TXT record (its strings joined), which must outlive *out; the rest comes from a. False,
 * with *out untouched and *why set: DKIM_KEY_SYNTAX, DKIM_KEY_V, DKIM_KEY_K, DKIM_KEY_S, DKIM_KEY_H
 * (no hash known here), DKIM_KEY_NO_P, DKIM_KEY_REVOKED, DKIM_KEY_G (RFC 4871 3.6.1: an empty g= in a
 * record with v= matches no address; RFC 6376 dropped the tag, but whoever wrote that meant it),
 * DKIM_LIMIT. */
[[nodiscard]] bool dkim_keyrec_parse(struct slice txt, struct arena *a, struct dkim_keyrec *out,
    enum dkim_why *why);

struct dkim_rsa {
	struct slice n, e; /* big-endian, without leading zeros */
	size_t bits;	   /* of n */
};

/* An RSA public key in DER: SubjectPublicKeyInfo (what the world publishes) or RSAPublicKey (what RFC
 * 6376 3.6.1 says). Slices of der. False, with *out untouched, on anything else: other algorithms,
 * trailing bytes, negative or even numbers, an exponent below 3 or over 64 bits. */
[[nodiscard]] bool dkim_rsa_parse(struct slice der, struct dkim_rsa *out);
