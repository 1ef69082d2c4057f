/* SPDX-License-Identifier: MIT
 * One message and all milters, in the order of the configuration. Each sees what those before it made of the
 * message; all see the envelope as the client gave it. */
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "rooms/milter/milter.h"

#define LIST ((size_t)100) /* added, and dropped, recipients of one message: ipc/smtp_milter.msg (count) */

struct work {
	const struct milter_settings *s;
	const struct milter_backend *back;
	const struct smtp_milter_ask *in;
	struct arena *a;
	struct milter_message message;
	struct buf body[MILTERS]; /* what message.body points into */
	uint64_t until_ms;
	bool recipient;
	struct smtp_milter_ask_answer *out;
};

void
milter_defer(struct smtp_milter_ask_answer *out, struct slice text)
{
	*out = (struct smtp_milter_ask_answer){ .action = SMTP_MILTER_ACTION_DEFER, .code = 451,
		.enhanced = S("4.7.1"), .text = text };
}

static void
tell(const struct work *w, enum event_kind kind, const struct event_field *fields, size_t n)
{
	w->back->event(w->back->ctx, kind, w->in->session, w->in->queue_id, w->in->login, fields, n);
}

#define TELL(w, kind, ...)                                                                         \
	tell((w), (kind), (const struct event_field[]){ __VA_ARGS__ },                            \
	    sizeof((const struct event_field[]){ __VA_ARGS__ }) / sizeof(struct event_field))

/* "NAME: text", as the reason of something. */
static struct slice
because(const struct work *w, const struct milter_conf *m, struct slice text)
{
	own(buf_t) b = { .max = 200 };
	struct slice out = m->name;

	(void)buf_add(&b, m->name);
	(void)buf_add(&b, S(": "));
	(void)buf_printable(&b, text, 200 - b.n);
	(void)arena_copy(w->a, buf_slice(&b), &out);
	return out;
}

static bool
list_add(const struct work *w, struct smtp_milter_address **list, size_t *n, struct slice address)
{
	if (*list == NULL)
		*list = ARENA_ARRAY(w->a, LIST, struct smtp_milter_address);
	if (*list == NULL || *n == LIST)
		return false;
	(*list)[(*n)++].address = address;
	return true;
}

static bool
do_wish(struct work *w, const struct milter_conf *m, const struct milter_wish *x)
{
	switch (x->kind) {
	case MILTER_ADDED:
		return milter_message_append(&w->message, x->name, x->raw);
	case MILTER_INSERTED:
		return milter_message_insert(&w->message, x->index, x->name, x->raw);
	case MILTER_CHANGED:
		return milter_message_change(&w->message, x->index, x->name, x->raw);
	case MILTER_RCPT_ADDED:
		return list_add(w, &w->out->add, &w->out->n_add, x->text);
	case MILTER_RCPT_DELETED:
		return list_add(w, &w->out->drop, &w->out->n_drop, x->text);
	case MILTER_FROM:
		w->out->new_sender = true;
		w->out->sender = x->text;
		return true;
	default:
		w->out->action = SMTP_MILTER_ACTION_HOLD;
		w->out->why = because(w, m, x->text);
		return true;
	}
}

/* All wishes of a milter that came to its end. */
static bool
do_all(struct work *w, struct milter_talk *t, size_t i)
{
	for (size_t k = 0; k < t->n_wishes; k++)
		if (!do_wish(w, t->conf, &t->wish[k]))
			return false;
	if (t->has_body) {
		w->body[i] = t->body;
		t->body = (struct buf){ 0 };
		w->message.body = buf_slice(&w->body[i]);
		w->message.changed = true;
	}
	return true;
}

/* True: go on as if it were not there, because the configuration says so. */
static bool
failed(struct work *w, const struct milter_conf *m, const char *stage, const char *why)
{
	TELL(w, EVENT_MILTER_FAILED, EF("milter", m->name), EF("at", slice_z(stage)), EF("why", slice_z(why)),
	    EF("then", m->accept ? S("accept") : S("tempfail")));
	if (!m->accept)
		milter_defer(w->out, S("a filter is not available, try later"));
	return m->accept;
}

static void
refused(struct work *w, const struct milter_talk *t)
{
	*w->out = (struct smtp_milter_ask_answer){
		.action = t->code >= 500 ? SMTP_MILTER_ACTION_REJECT : SMTP_MILTER_ACTION_DEFER,
		.code = t->code, .enhanced = t->enhanced, .text = t->text, .why = t->conf->name };
}

/* What came of a talk. True: the next milter is asked. */
static bool
settle(struct work *w, struct milter_talk *t, enum milter_outcome end, size_t i, uint64_t ms)
{
	static const struct slice words[] = { [MILTER_PASSED] = S_INIT("accept"), [MILTER_REFUSED] = S_INIT("refuse"),
		[MILTER_DISCARDED] = S_INIT("discard") };

	if (end == MILTER_FAILED)
		return failed(w, t->conf, t->stage, t->why);
	if (w->recipient && end != MILTER_REFUSED) /* what is discarded is discarded whole, at its end */
		return end == MILTER_PASSED;
	TELL(w, EVENT_MILTER_VERDICT, EF("milter", t->conf->name), EF("verdict", words[end]), EF("at", slice_z(t->stage)),
	    EN("code", t->code), EF("text", t->text), EN("changes", t->n_wishes), EN("new_body", t->has_body), EN("ms", ms));
	if (end == MILTER_REFUSED) {
		refused(w, t);
		return false;
	}
	if (end == MILTER_DISCARDED) {
		*w->out = (struct smtp_milter_ask_answer){ .action = SMTP_MILTER_ACTION_DISCARD, .why = t->conf->name };
		return false;
	}
	if (do_all(w, t, i))
		return true;
	/* some of it was done: there is no way back to the message as it was */
	TELL(w, EVENT_MILTER_FAILED, EF("milter", t->conf->name), EF("at", S("changes")), EF("why", S("wants too much")),
	    EF("then", S("tempfail")));
	milter_defer(w->out, S("a filter wants too much, try later"));
	return false;
}

static bool
ask(struct work *w, size_t i)
{
	const struct milter_conf *m = &w->s->milter[i];
	uint64_t begun = clock_mono_ms(), patience = begun + m->timeout_ms;
	struct milter_talk t = { .settings = w->s, .conf = m, .in = w->in, .message = &w->message, .a = w->a,
		.until_ms = w->until_ms, .recipient = w->recipient };
	const char *why = "cannot be reached";
	struct stream io = { 0 };
	enum milter_outcome end;
	bool more;
	int fd = w->back->connect(w->back->ctx, m, patience < w->until_ms ? patience : w->until_ms, &why);

	if (fd < 0)
		return failed(w, m, "connection", why);
	stream_init_fd(&io, fd);
	t.io = &io;
	end = milter_talk(&t);
	stream_close(&io);
	more = settle(w, &t, end, i, clock_mono_ms() - begun);
	buf_free(&t.body);
	return more;
}

/* True: none of those that hear of this phase objects. */
static bool
ask_all(struct work *w, bool outgoing)
{
	bool more = true;

	*w->out = (struct smtp_milter_ask_answer){ .action = SMTP_MILTER_ACTION_ACCEPT };
	for (size_t i = 0; more && i < w->s->n; i++)
		if (outgoing ? w->s->milter[i].outgoing : w->s->milter[i].incoming)
			more = ask(w, i);
	return more;
}

void
milter_recipient(const struct milter_settings *s, const struct milter_backend *back,
    const struct smtp_milter_ask *in, bool outgoing, struct arena *a, struct smtp_milter_ask_answer *out)
{
	struct work w = { .s = s, .back = back, .in = in, .a = a, .until_ms = clock_mono_ms() + MILTER_TOTAL_MS,
		.recipient = true, .out = out };

	(void)ask_all(&w, outgoing);
}

void
milter_judge(const struct milter_settings *s, const struct milter_backend *back,
    const struct smtp_milter_ask *in, bool outgoing, struct slice bytes, int fd, struct arena *a,
    struct smtp_milter_ask_answer *out)
{
	struct work w = { .s = s, .back = back, .in = in, .a = a, .until_ms = clock_mono_ms() + MILTER_TOTAL_MS, .out = out };
	bool more;

	if (!milter_message_read(&w.message, bytes, in->trace_at, in->trace, a)) {
		*out = (struct smtp_milter_ask_answer){ .action = SMTP_MILTER_ACTION_REJECT, .code = 552, .enhanced = S("5.3.4"),
			.text = S("the header has too many fields") };
		return;
	}
	more = ask_all(&w, outgoing);
	if (more && w.message.changed) {
		out->at = in->size;
		out->changed = milter_message_write(&w.message, fd, out->at, s->max_size, &out->length);
		if (!out->changed)
			milter_defer(out, S("no room now, try later"));
	}
	for (size_t i = 0; i < MILTERS; i++)
		buf_free(&w.body[i]);
}
