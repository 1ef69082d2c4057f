/* SPDX-License-Identifier: MIT
 * The forgiving tag=value list of policy records in TXT (DMARC, MTA-STS, TLS-RPT): "name = value"
 * separated by ";", with white space around everything. Each record type decides itself what an
 * odd tag means. (DKIM's list is stricter and has folding: parse/dkim.) */
#pragma once

#include "lib/base/cursor.h"

struct tag {
	struct slice name;  /* trimmed; empty: a piece without "=" or without a name */
	struct slice value; /* trimmed; for a piece without "=" the whole piece */
};

/* The next piece between semicolons; false at the end. An empty piece (";;") comes as an empty tag,
 * an empty piece at the very end (a final ";") does not come at all. All slices lie in the input.
 * Never sets c->bad. */
bool tag_next(struct cursor *c, struct tag *out);
