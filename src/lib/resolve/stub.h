/* SPDX-License-Identifier: MIT
 * Asks one recursive server directly, for commands that compare what several of them say: UDP with a random id and
 * port, TCP where the answer is cut, nothing cached, nothing validated: "secure" is what that server says (AD), and
 * proves nothing. Blocks. No room uses this: rooms ask the room dns. */
#pragma once

#include "lib/base/ip.h"
#include "lib/resolve/resolve.h"

struct stub {
	struct ip ip;
	uint16_t port;
	uint32_t timeout_ms; /* for one question */
	bool silent;	     /* it did not answer once: it is not asked again */
};

/* "ADDRESS" or "ADDRESS@PORT"; false, with *out untouched, on anything else. */
bool stub_parse(struct slice text, struct stub *out);
/* The query function for resolver_of(stub_query, &stub). */
void stub_query(void *self, struct slice name, enum rr_type type, struct arena *a, struct resolve_wire *out);
