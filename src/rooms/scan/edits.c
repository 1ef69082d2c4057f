/* SPDX-License-Identifier: MIT
 * What is to be changed in a message, in order; and the answers that change nothing. */
#include "lib/make/authres.h"
#include "lib/parse/header/header.h"
#include "rooms/scan/scan.h"

void
scan_edit(struct scan_job *j, uint64_t at, uint64_t remove, struct slice insert)
{
	struct smtp_scan_edit *e = j->edits;
	size_t i = j->n_edits;

	PN_ASSERT(insert.n <= SCAN_INSERT);
	/* what is inserted where something goes comes before it */
	while (i > 0 && (e[i - 1].at > at || (e[i - 1].at == at && remove == 0 && e[i - 1].remove > 0)))
		i--;
	if (i > 0 && insert.n == 0 && e[i - 1].at + e[i - 1].remove == at && e[i - 1].remove > 0) {
		e[i - 1].remove += remove;
		return;
	}
	if (j->n_edits == SCAN_EDITS) {
		j->full = true;
		return;
	}
	for (size_t k = j->n_edits; k > i; k--)
		e[k] = e[k - 1];
	e[i] = (struct smtp_scan_edit){ .at = at, .remove = remove, .insert = insert };
	j->n_edits++;
}

void
scan_on_top(struct scan_job *j, struct slice insert)
{
	PN_ASSERT(insert.n <= SCAN_INSERT);
	if (j->n_edits == SCAN_EDITS) {
		j->full = true;
		return;
	}
	for (size_t k = j->n_edits++; k > 0; k--)
		j->edits[k] = j->edits[k - 1];
	j->edits[0] = (struct smtp_scan_edit){ .insert = insert };
}

size_t
scan_remove_forged(struct scan_job *j)
{
	struct cursor c = cur_of(j->mail);
	struct header_field f;
	uint64_t at = j->in->trace;
	size_t removed = 0;

	for (; header_next(&c, &f); at += f.raw.n)
		if (slice_ieq(f.name, S("Authentication-Results")) &&
		    authres_owner(f.body, j->conf->hostname) != AUTHRES_OTHER) {
			scan_edit(j, at, f.raw.n, S(""));
			removed++;
		}
	return removed;
}

void
scan_defer(struct smtp_scan_judge_answer *out, struct slice why)
{
	*out = (struct smtp_scan_judge_answer){ .action = SMTP_SCAN_ACTION_DEFER,
		.code = 451,
		.enhanced = S("4.7.1"),
		.text = why,
		.why = why };
}

void
scan_refuse(struct smtp_scan_judge_answer *out, struct slice enhanced, struct slice why)
{
	*out = (struct smtp_scan_judge_answer){ .action = SMTP_SCAN_ACTION_REJECT,
		.code = 550,
		.enhanced = enhanced,
		.text = why,
		.why = why };
}

void
scan_finish(struct scan_job *j, struct smtp_scan_judge_answer *out)
{
	if (j->full || !scan_compose(j)) {
		scan_refuse(out, S("5.6.0"), S("the message has too many lines that have to be changed"));
		return;
	}
	out->edits = j->edits;
	out->n_edits = j->n_edits;
}
