/* SPDX-License-Identifier: MIT
 * The first byte is the type, the rest RDATA; and all of it as the text of a name. A name that was
 * decoded must encode again to the same bytes. */
#include "lib/base/own.h"
#include "lib/resolve/resolve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("fuzz", 1 << 20);
	struct slice in = slice_of(data, n), wire, text, again;
	struct rr rr;

	if (n == 0)
		return 0;
	if (rr_decode((enum rr_type)data[0], slice_from(in, 1), a, &rr))
		PN_ASSERT(rr.name.n <= 4 * LIMIT_RESOLVE_WIRE && rr.text.n <= n);
	if (name_from_wire(in, a, &text)) {
		PN_ASSERT(name_to_wire(text, a, &wire) && slice_eq(wire, in));
	}
	if (name_to_wire(in, a, &wire)) {
		PN_ASSERT(wire.n <= LIMIT_RESOLVE_WIRE);
		PN_ASSERT(name_from_wire(wire, a, &text));
		PN_ASSERT(name_to_wire(text, a, &again) && slice_eq(wire, again));
	}
	return 0;
}
