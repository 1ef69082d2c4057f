/* SPDX-License-Identifier: MIT
 * Mail of our own accounts on its way out (RFC 6409): one readable author, Date and Message-ID where
 * they are missing (section 8), no Bcc, no results that claim to be ours; then signed by DKIM in the
 * name of the domain in From, where it is one of ours.
 *
 * The administrator's rules come first, so that all of this is about what they leave, not about what they
 * saw. The signature is made over the message as it will be: the header is put together anew in the arena,
 * the body stays where it is. */
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/make/date.h"
#include "rooms/scan/scan.h"

struct outgoing {
	struct header h;
	struct buf added; /* fields that the message lacks */
	struct slice fields; /* the same, in the arena */
	size_t hidden;	  /* Bcc fields that were removed */
};

/* RFC 6409 section 8: fields that every message has. */
static bool
add_missing(struct scan_job *j, struct outgoing *o)
{
	if (header_find(&o->h, S("Date"), 0) == SLICE_NONE) {
		(void)buf_add(&o->added, S("Date: "));
		(void)date_format_rfc5322(&o->added, (int64_t)j->now, 0);
		(void)buf_add(&o->added, S("\r\n"));
	}
	if (header_find(&o->h, S("Message-ID"), 0) == SLICE_NONE)
		(void)buf_fmt(&o->added, "Message-ID: <%.*s@%.*s>\r\n", SFMT(j->in->queue_id),
		    SFMT(j->conf->hostname));
	if (o->added.bad || !arena_copy(j->a, buf_slice(&o->added), &o->fields))
		return false;
	if (o->fields.n > 0)
		scan_edit(j, j->in->trace, 0, o->fields);
	return true;
}

static bool
is_hidden(struct slice name)
{
	return slice_ieq(name, S("Bcc")) || slice_ieq(name, S("Resent-Bcc"));
}

static void
remove_hidden(struct scan_job *j, struct outgoing *o)
{
	struct cursor c = cur_of(j->mail);
	struct header_field f;
	uint64_t at = j->in->trace;

	for (; header_next(&c, &f); at += f.raw.n)
		if (is_hidden(f.name)) {
			scan_edit(j, at, f.raw.n, S(""));
			o->hidden++;
		}
}

/* The message as it will be, for hashing: header in the arena, body where it is. */
static bool
as_it_will_be(struct scan_job *j, const struct outgoing *o, struct dkim_message *m)
{
	own(buf_t) header = { .max = LIMIT_HEADER };
	struct slice text;

	(void)buf_add(&header, o->fields);
	for (size_t i = 0; i < o->h.n; i++)
		if (!is_hidden(o->h.field[i].name))
			(void)buf_add(&header, o->h.field[i].raw);
	if (header.bad || !arena_copy(j->a, buf_slice(&header), &text) || !dkim_message_split(text, j->a, m))
		return false;
	m->body = j->body;
	return true;
}

static bool
sign(struct scan_job *j, const struct outgoing *o, struct slice domain)
{
	struct dkim_message m;
	struct slice fields;
	size_t n, dot = slice_find_byte(domain, '.');

	if (!as_it_will_be(j, o, &m) || !scan_sign(j, &m, domain, &fields, &n))
		return false;
	/* we write as our host name, and keys are of the domain that it lies in: aligned as DMARC has it (RFC 7489 3.1.1) */
	if (n == 0 && j->own && dot != SLICE_NONE) {
		domain = slice_from(domain, dot + 1);
		if (!scan_sign(j, &m, domain, &fields, &n))
			return false;
	}
	if (fields.n > 0)
		scan_on_top(j, fields);
	SCAN_EVENT(j, EVENT_SCAN_SIGNED, EF("domain", domain), EN("signatures", fields.n > 0 ? n : 0),
	    EN("bcc_removed", o->hidden), EN("added", o->fields.n), EN("ms", clock_mono_ms() - j->now_ms));
	return true;
}

/* One of many alike, as its sender says: RFC 2076 section 3.9 (Precedence), 2919, 2369. */
static bool
is_bulk(const struct header *h)
{
	static const struct slice words[] = { S_INIT("bulk"), S_INIT("list"), S_INIT("junk") };

	if (header_find(h, S("List-Id"), 0) != SLICE_NONE || header_find(h, S("List-Unsubscribe"), 0) != SLICE_NONE)
		return true;
	for (size_t i = header_find(h, S("Precedence"), 0); i != SLICE_NONE; i = header_find(h, S("Precedence"), i + 1))
		for (size_t k = 0; k < sizeof words / sizeof *words; k++)
			if (slice_ieq(slice_trim(h->field[i].body), words[k]))
				return true;
	return false;
}

static void
prepare(struct scan_job *j, struct outgoing *o, struct smtp_scan_judge_answer *out)
{
	struct from_verdict from;

	if (!header_split(j->mail, j->a, &o->h)) {
		scan_refuse(out, S("5.6.0"), S("the header is too large"));
		return;
	}
	from_judge(&o->h, j->a, &from);
	if (from.full) {
		scan_defer(out, S("no room now, try again later"));
	} else if (!from.ok || from.n != 1) {
		scan_refuse(out, S("5.6.0"), from.ok ? S("From has to name one author") : slice_z(from.why));
		SCAN_EVENT(j, EVENT_SCAN_VERDICT, EF("action", S("reject")), EF("why", out->why));
	} else {
		out->from = from.address;
		out->bulk = !j->own && is_bulk(&o->h);
		(void)scan_remove_forged(j);
		remove_hidden(j, o);
		scan_filtered(j, out);
		if (add_missing(j, o) && sign(j, o, from.domains[0]))
			scan_finish(j, out);
		else
			scan_defer(out, S("the message cannot be signed now, try again later"));
	}
}

void
scan_outgoing(struct scan_job *j, struct slice bytes, struct smtp_scan_judge_answer *out)
{
	struct outgoing o = { .added = { .max = 1024 } };

	j->mail = slice_from(bytes, (size_t)j->in->trace);
	*out = (struct smtp_scan_judge_answer){ .action = SMTP_SCAN_ACTION_ACCEPT };
	if (scan_filter(j, FILTER_OUT, true, out))
		prepare(j, &o, out);
	buf_free(&o.added);
	buf_free(&j->new_body);
}
