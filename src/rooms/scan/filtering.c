/* SPDX-License-Identifier: MIT
 * The administrator's rules in front of everything else that scan does, and how their changes and ours
 * become one list: rules see the message as it came, we see it as they leave it. */
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/parse/header/header.h"
#include "rooms/scan/scan.h"

/* ---- what the rules say --------------------------------------------------------------------------- */

static bool
late(void *ctx)
{
	const struct scan_job *j = ctx;

	return clock_mono_ms() > j->now_ms + SCAN_FILTER_MS;
}

static void
tell_hit(struct scan_job *j, const struct filter_hit *h)
{
	own(buf_t) rule = { .max = 16 };
	own(buf_t) points = { .max = 16 };

	(void)buf_fmt(&rule, "line %u", h->rule->at.line);
	if (h->rule->action == FILTER_SCORE)
		(void)buf_fmt(&points, "%d", (int)h->rule->points);
	SCAN_EVENT(j, h->failed ? EVENT_FILTER_FAILED : EVENT_FILTER_HIT, EF("rule", buf_slice(&rule)),
	    EF("action", slice_z(filter_action_name(h->rule->action))), EF("points", buf_slice(&points)),
	    EF("text", h->text), EF("in", slice_z(filter_lines_name(h->where))), EF("line", h->line));
}

/* What the rules did, hit by hit. */
static void
tell(struct scan_job *j, const struct filter_outcome *o)
{
	for (size_t i = 0; i < o->n_hits && i < FILTER_HITS; i++)
		tell_hit(j, &o->hit[i]);
	if (o->n_hits > FILTER_HITS)
		SCAN_EVENT(j, EVENT_FILTER_HIT, EN("more", o->n_hits - FILTER_HITS));
}

static bool
decided(const struct filter_outcome *o, struct smtp_scan_judge_answer *out)
{
	if (o->verdict == FILTER_PASS)
		return false;
	*out = (struct smtp_scan_judge_answer){ .action = o->verdict == FILTER_DROP ? SMTP_SCAN_ACTION_DISCARD :
		    o->verdict == FILTER_REFUSE				       ? SMTP_SCAN_ACTION_REJECT :
										 SMTP_SCAN_ACTION_DEFER,
		.code = o->code, .enhanced = o->enhanced, .text = o->text, .why = slice_head(o->text, 200) };
	return true;
}

/* What the edits from index *i on make of the octets from at up to end; they all lie there. */
static void
write_piece(const struct filter_outcome *o, size_t *i, struct slice mail, size_t at, size_t end, struct buf *b)
{
	for (; *i < o->n_edits && o->edit[*i].at < end; (*i)++) {
		const struct filter_edit *e = &o->edit[*i];

		(void)buf_add(b, slice_sub(mail, at, (size_t)e->at - at));
		(void)buf_add(b, e->insert);
		at = (size_t)(e->at + e->remove);
	}
	(void)buf_add(b, slice_sub(mail, at, end - at));
}

/* The message as the rules leave it. */
static bool
rewrite(struct scan_job *j, bool with_body)
{
	own(buf_t) header = { .max = 2 * LIMIT_HEADER };
	const struct filter_outcome *o = j->filtered;
	size_t end = header_length(j->mail), i = 0;
	struct slice mail = j->mail;

	if (o->n_edits == 0)
		return true;
	write_piece(o, &i, mail, 0, end, &header);
	if (header.bad || !arena_copy(j->a, buf_slice(&header), &j->mail))
		return false;
	if (i == o->n_edits || !with_body)
		return true;
	buf_init(&j->new_body, mail.n + FILTER_EDITS * 4 * LIMIT_FILTER_FIELD);
	write_piece(o, &i, mail, end, mail.n, &j->new_body);
	j->body = buf_slice(&j->new_body);
	return !j->new_body.bad;
}

bool
scan_filter(struct scan_job *j, enum filter_direction d, bool with_body, struct smtp_scan_judge_answer *out)
{
	struct filter_outcome *o;

	j->body = slice_from(j->mail, header_length(j->mail));
	if (j->filter == NULL || !filter_concerns(j->filter, d))
		return true;
	o = ARENA_NEW(j->a, struct filter_outcome);
	if (o == NULL) {
		scan_defer(out, S("no room now, try again later"));
		return false;
	}
	filter_run(j->filter, j->mail, d, late, j, j->a, o);
	j->filtered = o;
	tell(j, o);
	if (decided(o, out))
		return false;
	if (!rewrite(j, with_body)) {
		scan_defer(out, S("no room now, try again later"));
		return false;
	}
	return true;
}

void
scan_filtered(const struct scan_job *j, struct smtp_scan_judge_answer *out)
{
	const struct filter_outcome *o = j->filtered;

	if (o == NULL)
		return;
	if (o->junk.n > 0 && out->action == SMTP_SCAN_ACTION_ACCEPT) {
		out->action = SMTP_SCAN_ACTION_QUARANTINE;
		out->folder = S("Junk");
		out->why = slice_head(o->junk, 200);
	}
	if (o->hold.n > 0) { /* released, it goes where it would have gone */
		out->action = SMTP_SCAN_ACTION_HOLD;
		out->why = slice_head(o->hold, 200);
	}
	out->redirect = o->redirect;
}

/* ---- two lists of edits, one after the other, as one ------------------------------------------------ */

struct composer {
	struct scan_job *j;
	size_t next;	    /* of the second list, j->edits */
	uint64_t mid;	    /* where we are in the message between the two */
	uint64_t skip;	    /* octets of it that go */
	struct smtp_scan_edit made[SCAN_EDITS];
	size_t n;
	uint64_t from;	    /* where we are in the message as it came */
	uint64_t gone;	    /* of it, right before from */
	struct buf text;    /* that comes in its place */
};

/* The change that lies before from is complete. */
static void
close_edit(struct composer *c)
{
	struct smtp_scan_edit *e = &c->made[c->n];

	if (c->gone == 0 && c->text.n == 0)
		return;
	if (c->n == SCAN_EDITS || c->text.bad || !arena_copy(c->j->a, buf_slice(&c->text), &e->insert)) {
		c->j->full = true;
		return;
	}
	e->at = c->from - c->gone;
	e->remove = c->gone;
	c->n++;
	c->gone = 0;
	buf_reset(&c->text);
}

/* Where the next edit of the second list is. */
static uint64_t
coming(const struct composer *c)
{
	return c->next < c->j->n_edits ? c->j->edits[c->next].at : UINT64_MAX;
}

/* n octets of the message between: from the message as it came (text NULL), or a text of the first list. */
static void
piece(struct composer *c, uint64_t n, const struct slice *text)
{
	for (uint64_t done = 0; done < n || coming(c) == c->mid;) {
		uint64_t some = n - done;

		if (coming(c) == c->mid) {
			(void)buf_add(&c->text, c->j->edits[c->next].insert);
			c->skip = c->j->edits[c->next].remove;
			c->next++;
			continue;
		}
		if (c->skip > 0)
			some = some < c->skip ? some : c->skip;
		else if (coming(c) - c->mid < some)
			some = coming(c) - c->mid;
		if (text != NULL) {
			if (c->skip == 0)
				(void)buf_add(&c->text, slice_sub(*text, (size_t)done, (size_t)some));
		} else if (c->skip > 0) {
			c->gone += some;
			c->from += some;
		} else {
			close_edit(c);
			c->from += some;
		}
		c->skip -= c->skip > 0 ? some : 0;
		c->mid += some;
		done += some;
	}
}

bool
scan_compose(struct scan_job *j)
{
	const struct filter_outcome *o = j->filtered;
	struct composer *c;
	uint64_t end;

	if (o == NULL || o->n_edits == 0)
		return true;
	c = ARENA_NEW(j->a, struct composer);
	if (c == NULL)
		return false;
	c->j = j;
	buf_init(&c->text, SCAN_INSERT);
	for (size_t i = 0; i < o->n_edits; i++) {
		piece(c, o->edit[i].at + j->in->trace - c->from, NULL);
		piece(c, o->edit[i].insert.n, &o->edit[i].insert);
		c->gone += o->edit[i].remove;
		c->from += o->edit[i].remove;
	}
	end = j->n_edits == 0 ? 0 : j->edits[j->n_edits - 1].at + j->edits[j->n_edits - 1].remove;
	piece(c, end > c->mid ? end - c->mid : 0, NULL);
	close_edit(c);
	buf_free(&c->text);
	memcpy(j->edits, c->made, sizeof c->made);
	j->n_edits = c->n;
	return !j->full;
}
