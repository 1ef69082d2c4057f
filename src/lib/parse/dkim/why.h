/* SPDX-License-Identifier: MIT
 * Why a DKIM or ARC signature does not count, in words that `explain` shows and that fit as the
 * reason of an Authentication-Results field (RFC 8601 2.2: printable ASCII without quotes). */
#pragma once

#include "lib/base/slice.h"

#define DKIM_WHYS(X)                                                                               \
	X(DKIM_OK, "good signature")                                                               \
	X(DKIM_TAG_SYNTAX, "syntax error in the tag list")                                         \
	X(DKIM_TAG_DUPLICATE, "a tag occurs twice")                                                \
	X(DKIM_TAG_MANY, "too many tags")                                                          \
	X(DKIM_FIELD_LONG, "signature field too long")                                             \
	X(DKIM_FIELD_TAG, "a tag that may not be here")                                            \
	X(DKIM_NO_V, "v= missing")                                                                 \
	X(DKIM_NO_A, "a= missing")                                                                 \
	X(DKIM_NO_B, "b= missing")                                                                 \
	X(DKIM_NO_BH, "bh= missing")                                                               \
	X(DKIM_NO_D, "d= missing")                                                                 \
	X(DKIM_NO_H, "h= missing")                                                                 \
	X(DKIM_NO_S, "s= missing")                                                                 \
	X(DKIM_NO_I, "i= missing")                                                                 \
	X(DKIM_NO_CV, "cv= missing")                                                               \
	X(DKIM_BAD_V, "unknown version")                                                           \
	X(DKIM_BAD_A, "unknown algorithm")                                                         \
	X(DKIM_BAD_B, "b= is no base64")                                                           \
	X(DKIM_BAD_BH, "bh= is no base64")                                                         \
	X(DKIM_BAD_C, "unknown canonicalisation")                                                  \
	X(DKIM_BAD_D, "d= is no domain")                                                           \
	X(DKIM_BAD_H, "syntax error in h=")                                                        \
	X(DKIM_BAD_I, "syntax error in i=")                                                        \
	X(DKIM_BAD_CV, "unknown cv=")                                                              \
	X(DKIM_BAD_L, "l= is no number")                                                           \
	X(DKIM_BAD_Q, "no known query method")                                                     \
	X(DKIM_BAD_S, "s= is no selector")                                                         \
	X(DKIM_BAD_T, "t= is no time")                                                             \
	X(DKIM_BAD_X, "x= is no time, or not after t=")                                            \
	X(DKIM_H_MANY, "too many names in h=")                                                     \
	X(DKIM_H_NO_FROM, "From is not signed")                                                    \
	X(DKIM_H_SEAL, "h= names ARC-Seal")                                                        \
	X(DKIM_I_NOT_IN_D, "i= is not within d=")                                                  \
	X(DKIM_EXPIRED, "signature expired")                                                       \
	X(DKIM_FUTURE, "signed in the future")                                                     \
	X(DKIM_DNS_NONE, "no key for the selector")                                                \
	X(DKIM_DNS_TEMP, "key unavailable")                                                        \
	X(DKIM_KEY_SYNTAX, "syntax error in the key record")                                       \
	X(DKIM_KEY_V, "key record of another version")                                             \
	X(DKIM_KEY_G, "key record is for no address")                                              \
	X(DKIM_KEY_H, "key does not allow this hash")                                              \
	X(DKIM_KEY_K, "key type does not fit the algorithm")                                       \
	X(DKIM_KEY_NO_P, "key record without p=")                                                  \
	X(DKIM_KEY_REVOKED, "key revoked")                                                         \
	X(DKIM_KEY_S, "key is not for mail")                                                       \
	X(DKIM_KEY_STRICT, "key requires i= to equal d=")                                          \
	X(DKIM_KEY_BROKEN, "public key unreadable")                                                \
	X(DKIM_KEY_SHORT, "key shorter than 1024 bits")                                            \
	X(DKIM_KEY_LONG, "key longer than 4096 bits")                                              \
	X(DKIM_BODY_HASH, "body hash did not verify")                                              \
	X(DKIM_BODY_PART, "l= leaves a part of the body unsigned")                                 \
	X(DKIM_BODY_SHORT, "body shorter than l=")                                                 \
	X(DKIM_SIGNATURE_BAD, "signature did not verify")                                          \
	X(DKIM_SHA1, "rsa-sha1 is historic")                                                       \
	X(DKIM_FROM_EXTRA, "a From field is not signed")                                           \
	X(ARC_MANY, "more than 50 ARC sets")                                                       \
	X(ARC_INCOMPLETE, "an ARC set is incomplete or doubled")                                   \
	X(ARC_BAD_AAR, "ARC-Authentication-Results without its instance")                          \
	X(ARC_BAD_ORDER, "cv= does not fit its place in the chain")                                \
	X(ARC_FAILED_BEFORE, "the chain was sealed as failed")                                     \
	X(DKIM_LIMIT, "over the limit of this server")

enum dkim_why {
#define X(name, text) name,
	DKIM_WHYS(X)
#undef X
	    DKIM_WHY_END
};

/* The words of why; a literal. A value outside the enumeration is a bug (panic). */
struct slice dkim_why_text(enum dkim_why why);
