/* SPDX-License-Identifier: MIT
 * OAUTHBEARER (RFC 7628 section 3.1): the client's response, framed strictly. What is in the token is
 * for whoever knows its issuer. */
#pragma once

#include "lib/base/arena.h"
#include "lib/parse/sasl/sasl.h"

#define OAUTH_TOKEN_MOST ((size_t)8192)

struct oauth_bearer {
	struct slice name;  /* a=; empty: not said */
	struct slice token; /* 1..OAUTH_TOKEN_MOST bytes of b64token (RFC 6750 section 2.1) */
};

/* One line in base64. */
enum sasl_status oauth_bearer(struct slice line, struct arena *a, struct oauth_bearer *out);
/* What a server without an issuer for the token answers (section 3.2.2), before the client gives up with
 * "AQ==" and gets its refusal. */
#define OAUTH_INVALID "{\"status\":\"invalid_token\",\"schemes\":\"bearer\"}"
