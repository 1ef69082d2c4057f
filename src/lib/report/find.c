/* SPDX-License-Identifier: MIT */
#include "lib/report/find.h"

#include "lib/base/limits.h"
#include "lib/parse/header/header.h"
#include "lib/parse/mime/decode.h"
#include "lib/report/unpack.h"

#define LOOK ((size_t)8192) /* bytes in which a report has to show its face */

static enum report_form
form_of_text(struct slice s)
{
	size_t at = slice_starts(s, S("\xef\xbb\xbf")) ? 3 : 0;

	while (at < s.n && (ch_is_wsp(slice_at(s, at)) || slice_at(s, at) == '\r' || slice_at(s, at) == '\n'))
		at++;
	s = slice_head(slice_from(s, at), LOOK);
	if (slice_starts(s, S("{")) && (slice_find(s, S("organization-name")) != SLICE_NONE ||
		slice_find(s, S("policies")) != SLICE_NONE))
		return REPORT_FORM_TLS;
	if (slice_starts(s, S("<")) && (slice_find(s, S("feedback")) != SLICE_NONE ||
		slice_find(s, S("report_metadata")) != SLICE_NONE))
		return REPORT_FORM_DMARC;
	return REPORT_FORM_NONE;
}

enum report_form
report_form(struct slice bytes)
{
	struct unpack *u;
	struct slice piece = S("");
	enum report_form form = REPORT_FORM_NONE;

	if (!slice_starts(bytes, S("\x1f\x8b")) && !slice_starts(bytes, S("PK\x03\x04")))
		return form_of_text(bytes);
	u = unpack_new(bytes);
	if (u != NULL && unpack_next(u, &piece) == UNPACK_MORE)
		form = form_of_text(piece);
	unpack_free(&u);
	return form;
}

struct report_walk
report_walk_of(const struct mime *m)
{
	return (struct report_walk){ .top = m->root, .at = m->root };
}

static enum report_form
look(const struct mime_part *p, struct buf *out)
{
	struct mime_decoder d = mime_decoder_of(p->body, p->encoding);

	buf_reset(out);
	while (mime_decode(&d, 65536, out))
		;
	if (out->bad || out->n == 0)
		return REPORT_FORM_NONE;
	if (mime_is(p, S("message"), S("feedback-report")))
		return REPORT_FORM_ARF;
	return report_form(buf_slice(out));
}

enum report_form
report_next(struct report_walk *w, struct buf *out)
{
	enum report_form form = REPORT_FORM_NONE;

	while (w->at != NULL && w->decoded < LIMIT_REPORT_PARTS && form == REPORT_FORM_NONE) {
		const struct mime_part *p = w->at;

		w->at = mime_next(p, w->top);
		if (p->kind != MIME_LEAF || mime_is(p, S("text"), S("html")))
			continue;
		w->decoded++;
		form = look(p, out);
	}
	return form;
}

bool
report_verified(struct slice message, struct slice id)
{
	struct cursor c = cur_of(message);
	struct header_field f;

	while (header_next(&c, &f)) {
		struct slice body = f.body, head, tail;

		if (!slice_ieq(f.name, S("Authentication-Results")))
			continue;
		while (body.n > 0 && (ch_is_wsp(slice_at(body, 0)) || slice_at(body, 0) == '\r' ||
					 slice_at(body, 0) == '\n'))
			body = slice_from(body, 1);
		if (!slice_cut(body, ';', &head, &tail) || !slice_ieq(slice_trim(head), id))
			continue;
		return slice_find(tail, S("dmarc=pass")) != SLICE_NONE;
	}
	return false;
}
