/* SPDX-License-Identifier: MIT
 * The record at _smtp._tls.domain that says where reports about TLS go (RFC 8460 section 3). */
#pragma once

#include "lib/base/cursor.h"

#define LIMIT_TLSRPT_RECORD ((size_t)4096)

struct tlsrpt_record {
	struct slice rua; /* list for tlsrpt_uri_next(), at least one valid URI */
};

/* True when a TXT record begins as a TLSRPTv1 record. */
bool tlsrpt_is_record(struct slice txt);
/* False, with *out untouched, on any syntax error: the domain then has no policy. */
bool tlsrpt_parse(struct slice txt, struct tlsrpt_record *out);
/* The next URI of rua: mailto: or https:. *address gets what follows mailto: without ?hfields, else
 * it is empty. */
bool tlsrpt_uri_next(struct cursor *c, struct slice *uri, struct slice *address);
