/* SPDX-License-Identifier: MIT
 * TLSA records (RFC 6698, RFC 7671) without a handshake: which of them can be used, and whether a chain
 * matches. The work is OpenSSL's. */
#pragma once

#include "lib/tls/client.h"

/* Certificates of one chain that are looked at (count), and bytes of one. */
#define LIMIT_DANE_CHAIN 10u
#define LIMIT_DANE_CERTIFICATE ((size_t)65536)

/* RFC 7672 3.1: usage 2 or 3, a known selector and matching type, data of the right size (a whole certificate
 * or key that can be read where it is not hashed). */
bool tls_tlsa_usable(const struct tls_tlsa *t);

/* Does the chain (DER, the leaf first) match one of the records for one of the names, at a time (seconds since
 * 1970)? TLS_PROBLEM_NONE: yes. Usage 3 looks at neither names nor time. */
enum tls_problem tls_dane_verify(const struct slice *chain, size_t n_chain, const struct tls_tlsa *tlsa, size_t n_tlsa,
    const struct slice *names, size_t n_names, int64_t at);
