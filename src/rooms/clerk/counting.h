/* SPDX-License-Identifier: MIT
 * The form in which what we judged and sent is counted: fields of one row, packed with their lengths
 * in a fixed order. Rows that are equal are one row with a count. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/report/dmarc.h"
#include "lib/report/tls.h"

#define COUNTED_FIELDS 12u
#define COUNTED_LONG ((size_t)1000) /* bytes of the first field, and of the signatures */

struct counted {
	struct slice f[COUNTED_FIELDS];
};

/* A judged message. */
enum counted_dmarc { CD_SOURCE, CD_DISPOSITION, CD_DKIM, CD_SPF, CD_REASON, CD_TO, CD_MAIL_FROM, CD_FROM,
	CD_SIGNATURES, CD_SPF_DOMAIN, CD_SPF_SCOPE, CD_SPF_RESULT };
/* A TLS session. CT_POLICY is its type, and behind a line feed the lines of the policy. */
enum counted_tls { CT_POLICY, CT_MX, CT_RESULT, CT_SENDING, CT_RECEIVING, CT_REASON };

/* Each field is cut to 255 bytes, the first one and the signatures to 1,000. */
void counted_pack(struct buf *b, const struct counted *c);
/* False when it was not packed here. */
bool counted_unpack(struct slice packed, struct counted *out);

/* The report's row of one counted row; slices in packed and the arena. "pass d=a.example s=s1; fail
 * ..." is taken apart. False when it is not one, or at the ceiling. */
bool counted_dmarc_row(struct slice packed, uint64_t n, struct arena *a, struct dmarc_report_row *out);
/* What the owner had published, "p=reject sp=none adkim=s t=y ...", into the head of a report. */
void counted_published(struct slice published, struct dmarc_report *out);
