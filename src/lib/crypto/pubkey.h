/* SPDX-License-Identifier: MIT
 * Checks signatures over a digest with public keys given as numbers, as DKIM has them. Limits of size
 * are the caller's business: an RSA key of n bits costs n squared. */
#pragma once

#include "lib/crypto/digest.h"

/* RSASSA-PKCS1-v1_5 (RFC 8017 8.2.2) over a digest already made. n, e: big-endian, without leading
 * zeros. False when the signature does not fit, or libcrypto refuses the key. */
bool pubkey_rsa_check(struct slice n, struct slice e, enum digest_kind kind, struct slice digest,
    struct slice signature);

/* PureEdDSA (RFC 8032) over message, which for DKIM is a SHA-256 digest (RFC 8463 3). key: 32 octets;
 * any other length is false. */
bool pubkey_ed25519_check(struct slice key, struct slice message, struct slice signature);
