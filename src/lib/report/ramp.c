/* SPDX-License-Identifier: MIT */
#include "lib/report/ramp.h"

static uint64_t
less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void
weigh_sender(struct ramp_sender *s)
{
	uint64_t failing = less(s->messages, s->passed), ours;

	s->legitimate = !s->foreign && (s->passed > 0 || (s->other > 0 && s->days >= RAMP_STEADY));
	ours = less(failing, s->forwarded);
	/* a sender that never passes: only what is authenticated as somebody is its own */
	if (s->passed == 0 && s->other < ours)
		ours = s->other;
	s->hit = s->legitimate ? ours : 0;
	s->forged = less(less(failing, s->forwarded), s->hit);
	s->breaks = s->hit >= RAMP_FEW && s->hit * 1000 > s->messages * RAMP_SENDER_PERMILLE;
}

static void
decide(struct ramp *r, uint64_t permille)
{
	bool breaks = false;

	for (size_t i = 0; i < r->n; i++)
		breaks = breaks || r->senders[i].breaks;
	r->loss = !breaks && r->hit * 1000 > r->legitimate * permille;
	if (r->days < r->want_days || r->messages < r->want_messages || r->orgs < RAMP_ORGS)
		r->answer = RAMP_WAIT;
	else
		r->answer = breaks || r->loss ? RAMP_FIX : RAMP_GO;
}

void
ramp_weigh(struct ramp *r)
{
	bool first = r->now != RAMP_QUARANTINE;

	r->hit = r->legitimate = r->forged = 0;
	for (size_t i = 0; i < r->n; i++) {
		weigh_sender(&r->senders[i]);
		r->hit += r->senders[i].hit;
		r->forged += r->senders[i].forged;
		r->legitimate += r->senders[i].legitimate ? less(r->senders[i].messages, r->senders[i].forged) : 0;
	}
	r->want_days = first ? RAMP_QUARANTINE_DAYS : RAMP_REJECT_DAYS;
	r->want_messages = first ? RAMP_QUARANTINE_MESSAGES : RAMP_REJECT_MESSAGES;
	r->next = r->now == RAMP_NO_RECORD ? RAMP_NONE : first ? RAMP_QUARANTINE : RAMP_REJECT;
	decide(r, first ? RAMP_QUARANTINE_PERMILLE : RAMP_REJECT_PERMILLE);
	if (r->now == RAMP_NO_RECORD)
		r->answer = RAMP_START;
	if (r->now == RAMP_REJECT) {
		r->answer = RAMP_DONE;
		r->next = RAMP_REJECT;
	}
}

const char *
ramp_policy_name(enum ramp_policy p)
{
	static const char *const names[] = { "", "none", "quarantine", "reject" };

	return (unsigned)p < sizeof names / sizeof *names ? names[p] : "";
}

bool
ramp_record(struct buf *b, struct slice record, struct slice domain, enum ramp_policy p)
{
	struct slice tag, rest = record, name, value;

	(void)buf_fmt(b, "v=DMARC1; p=%s", ramp_policy_name(p));
	if (record.n == 0) {
		(void)buf_add(b, S("; rua=mailto:dmarc-reports@"));
		return buf_add(b, domain);
	}
	for (bool more = true; more;) {
		more = slice_cut(rest, ';', &tag, &rest);
		tag = slice_trim(more ? tag : rest);
		if (!slice_cut(tag, '=', &name, &value))
			continue;
		name = slice_trim(name);
		if (slice_ieq(name, S("v")) || slice_ieq(name, S("p")) || slice_ieq(name, S("pct")))
			continue;
		(void)buf_add(b, S("; "));
		(void)buf_printable(b, tag, 1000);
	}
	return !b->bad;
}
