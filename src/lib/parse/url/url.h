/* SPDX-License-Identifier: MIT
 * The one form of URL that is fetched: https://HOST[:PORT]/PATH[?QUERY], RFC 3986 as far as that. No user
 * information, no fragment, no address instead of a host name, no escape in the host. */
#pragma once

#include "lib/base/cursor.h"

#define LIMIT_URL ((size_t)2048)

struct url {
	struct slice host; /* as written; a name of letters, digits, hyphens and dots, not ending in a number label */
	uint16_t port;	   /* 443 where none is written */
	struct slice path; /* with its "/", query included; at least "/" */
};

/* False, with *out untouched, on anything else. Slices lie in the text. */
bool url_parse(struct slice text, struct url *out);
