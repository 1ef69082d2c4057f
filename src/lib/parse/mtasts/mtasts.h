/* SPDX-License-Identifier: MIT
 * MTA-STS (RFC 8461): the TXT record at _mta-sts.domain (section 3.1), the policy file (3.2), and the
 * comparison of an MX host with it (4.1). All slices lie in the input. */
#pragma once

#include "lib/base/cursor.h"

#define LIMIT_MTASTS_RECORD ((size_t)4096)
#define LIMIT_MTASTS_POLICY ((size_t)65536)	/* RFC 8461 3.3 suggests 64 kilobytes */
#define LIMIT_MTASTS_MX 1024u			/* mx lines of one policy */
#define LIMIT_MTASTS_MAX_AGE 31557600u		/* seconds, 3.2; more counts as this */

struct mtasts_record {
	struct slice id; /* 1..32 letters and digits: a new id means a new policy */
};

enum mtasts_mode { MTASTS_NONE, MTASTS_TESTING, MTASTS_ENFORCE };

struct mtasts_policy {
	enum mtasts_mode mode;
	uint32_t max_age;  /* seconds */
	size_t n_mx;	   /* mx lines; at least 1 unless the mode is none */
	struct slice text; /* for mtasts_matches() */
};

/* False, with *out untouched, when the TXT record is no STSv1 record or breaks the grammar: no
 * policy. (Several STSv1 records of one name are none as well: the caller counts.) */
bool mtasts_is_record(struct slice txt);
bool mtasts_record_parse(struct slice txt, struct mtasts_record *out);

/* False, with *out untouched, on an unknown version or mode, a missing or broken field, an mx that is
 * no host pattern, or too much of it. Lines end in LF or CRLF. */
bool mtasts_policy_parse(struct slice text, struct mtasts_policy *out);

/* Does host (A-labels, any case, final dot allowed) match an mx line? "*." stands for exactly one
 * label. */
bool mtasts_matches(const struct mtasts_policy *p, struct slice host);

/* "none", "testing", "enforce". A literal. */
const char *mtasts_mode_name(enum mtasts_mode m);
