/* SPDX-License-Identifier: MIT
 * One talk with one milter: the stages of a session, said again in their order, and an answer to each. Only
 * what was negotiated is said and taken; whatever else comes is a failure, as are silence and a closed
 * connection. Each recipient was asked of in a talk of its own before it was accepted; one that is refused after
 * that refuses the message, because all that are left were promised the same answer. */
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "rooms/milter/milter.h"


/* What comes after a stage. */
enum turn { GO, PASS, SKIP, REFUSED, DISCARDED, FAILED };

static enum turn
failed(struct milter_talk *t, const char *why)
{
	t->why = why;
	return FAILED;
}

static enum turn
refused(struct milter_talk *t, unsigned code, struct slice enhanced, struct slice text)
{
	t->code = code;
	return arena_copy(t->a, slice_head(enhanced, 16), &t->enhanced) &&
		arena_copy(t->a, slice_head(text, 400), &t->text)
	    ? REFUSED
	    : failed(t, "no room");
}

/* ---- hearing ---- */

static bool
bytes(struct milter_talk *t, size_t n, struct slice *out)
{
	uint64_t deadline = clock_mono_ms() + t->conf->timeout_ms;

	switch (stream_bytes(t->io, n, (int64_t)(deadline < t->until_ms ? deadline : t->until_ms), out)) {
	case STREAM_OK:
		return true;
	case STREAM_TIMEOUT:
		t->why = "does not answer in time";
		return false;
	default:
		t->why = "closed the connection";
		return false;
	}
}

/* The next packet that says something; its slices live until the next read. */
static bool
hear(struct milter_talk *t, struct milter_said *m)
{
	for (; t->packets < LIMIT_MILTER_PACKETS && clock_mono_ms() < t->until_ms; t->packets++) {
		struct slice got;
		struct cursor c;
		uint32_t n;

		if (!bytes(t, 4, &got))
			return false;
		c = cur_of(got);
		n = cur_get_u32be(&c);
		if (n == 0 || n > LIMIT_MILTER_PACKET) {
			t->why = "says a packet of an impossible length";
			return false;
		}
		if (!bytes(t, n, &got))
			return false;
		if (!milter_parse(got, m)) {
			t->why = "says what cannot be understood";
			return false;
		}
		if (m->kind != MILTER_PROGRESS)
			return true;
	}
	t->why = "never comes to an end";
	return false;
}

/* An answer that every stage may have. */
static enum turn
verdict(struct milter_talk *t, const struct milter_said *m)
{
	switch (m->kind) {
	case MILTER_CONTINUE:
		return GO;
	case MILTER_ACCEPT:
		return PASS;
	case MILTER_REJECT:
		return refused(t, 550, S("5.7.1"), S("refused"));
	case MILTER_TEMPFAIL:
		return refused(t, 451, S("4.7.1"), S("try later"));
	case MILTER_SHUTDOWN:
		return refused(t, 451, S("4.7.1"), S("try later"));
	case MILTER_REPLY:
		return refused(t, m->code, m->enhanced, m->text);
	case MILTER_DISCARD:
		return DISCARDED;
	default:
		return failed(t, "answers what was not asked");
	}
}

static enum turn
answer(struct milter_talk *t)
{
	struct milter_said m;

	return hear(t, &m) ? verdict(t, &m) : FAILED;
}

/* ---- saying ---- */

/* Sends what was made, and hears the answer where there is one. */
static enum turn
say(struct milter_talk *t, bool silent)
{
	struct buf *b = &t->packet;
	uint64_t deadline = clock_mono_ms() + t->conf->timeout_ms;
	enum stream_status st = STREAM_ERROR;

	if (!b->bad)
		st = stream_write(t->io, buf_slice(b), (int64_t)(deadline < t->until_ms ? deadline : t->until_ms));
	else
		t->why = "cannot be told this";
	buf_reset(b);
	if (t->why != NULL)
		return FAILED;
	if (st != STREAM_OK)
		return failed(t, st == STREAM_TIMEOUT ? "does not listen" : "closed the connection");
	return silent ? GO : answer(t);
}

static bool
wants(const struct milter_talk *t, enum milter_step no)
{
	return (t->steps & no) == 0;
}

static bool
is_silent(const struct milter_talk *t, enum milter_step silent)
{
	return (t->steps & silent) != 0;
}

/* ---- the stages ---- */

static enum turn
options(struct milter_talk *t)
{
	struct milter_said m;

	(void)make_milter_options(&t->packet, MILTER_VERSION, MILTER_ACTIONS, MILTER_STEPS);
	if (say(t, true) != GO || !hear(t, &m))
		return FAILED;
	if (m.kind != MILTER_OPTIONS)
		return failed(t, "does not negotiate");
	if (m.version < MILTER_LEAST || m.version > MILTER_VERSION)
		return failed(t, "speaks another version of the protocol");
	if ((m.actions & ~(uint32_t)MILTER_ACTIONS) != 0 || (m.steps & ~(uint32_t)MILTER_STEPS) != 0)
		return failed(t, "wants what was not offered");
	t->actions = m.actions;
	t->steps = m.steps;
	return GO;
}

static enum turn
connected(struct milter_talk *t)
{
	struct ip ip = { 0 };
	own(buf_t) address = { .max = LIMIT_IP_TEXT + 2 };
	struct slice name;

	if (t->in->peer_ip.n == 4 || t->in->peer_ip.n == 16) {
		memcpy(ip.b, t->in->peer_ip.p, t->in->peer_ip.n);
		ip.n = (uint8_t)t->in->peer_ip.n;
		(void)buf_byte(&address, '[');
		(void)ip_put(&address, &ip);
		(void)buf_byte(&address, ']');
	}
	name = ip.n > 0 ? buf_slice(&address) : S("localhost");
	const struct milter_macro macros[] = { { S("j"), t->settings->hostname }, { S("{daemon_name}"), S("postern") },
		{ S("v"), S("Postern") }, { S("{client_name}"), name }, { S("_"), name },
		{ S("{client_addr}"), ip.n > 0 ? slice_sub(name, 1, name.n - 2) : S("127.0.0.1") } };

	if (!wants(t, MILTER_NO_CONNECT))
		return GO;
	(void)make_milter_macros(&t->packet, 'C', macros, sizeof macros / sizeof macros[0]);
	(void)make_milter_connect(&t->packet, name, &ip, 0);
	return say(t, is_silent(t, MILTER_SILENT_CONNECT));
}

static enum turn
helo(struct milter_talk *t)
{
	const struct milter_macro macros[] = { { S("{tls_version}"), t->in->tls_version }, { S("{cipher}"), t->in->cipher } };

	if (!wants(t, MILTER_NO_HELO))
		return GO;
	(void)make_milter_macros(&t->packet, 'H', macros, sizeof macros / sizeof macros[0]);
	(void)make_milter_text(&t->packet, 'H', t->in->helo);
	return say(t, is_silent(t, MILTER_SILENT_HELO));
}

/* Behind the last '@', or nothing. */
static struct slice
domain(struct slice address)
{
	size_t at = slice_rfind_byte(address, '@');

	return at == SLICE_NONE ? S("") : slice_from(address, at + 1);
}

static enum turn
mail(struct milter_talk *t)
{
	const struct milter_macro macros[] = { { S("i"), t->in->queue_id }, { S("{auth_authen}"), t->in->login },
		{ S("{auth_type}"), t->in->login.n > 0 ? S("PLAIN") : S("") }, { S("{mail_mailer}"), S("smtp") },
		{ S("{mail_addr}"), t->in->sender }, { S("{mail_host}"), domain(t->in->sender) } };

	if (!wants(t, MILTER_NO_MAIL))
		return GO;
	(void)make_milter_macros(&t->packet, 'M', macros, sizeof macros / sizeof macros[0]);
	(void)make_milter_path(&t->packet, 'M', t->in->sender);
	return say(t, is_silent(t, MILTER_SILENT_MAIL));
}

static enum turn
recipients(struct milter_talk *t)
{
	for (size_t i = 0; wants(t, MILTER_NO_RCPT) && i < t->in->n_rcpts; i++) {
		struct slice to = t->in->rcpts[i].address;
		const struct milter_macro macros[] = { { S("{rcpt_mailer}"), S("local") }, { S("{rcpt_addr}"), to },
			{ S("{rcpt_host}"), domain(to) } };
		enum turn turn;

		(void)make_milter_macros(&t->packet, 'R', macros, sizeof macros / sizeof macros[0]);
		(void)make_milter_path(&t->packet, 'R', to);
		turn = say(t, is_silent(t, MILTER_SILENT_RCPT));
		if (turn != GO && turn != PASS) /* here "accept" is about this recipient */
			return turn;
	}
	return GO;
}

static enum turn
data(struct milter_talk *t)
{
	const struct milter_macro macros[] = { { S("i"), t->in->queue_id } };

	if (!wants(t, MILTER_NO_DATA))
		return GO;
	(void)make_milter_macros(&t->packet, 'T', macros, sizeof macros / sizeof macros[0]);
	(void)make_milter_bare(&t->packet, 'T');
	return say(t, is_silent(t, MILTER_SILENT_DATA));
}

/* A field's body as milters get it: folded by "\n", with its leading blank only where that was negotiated. */
static bool
value_of(const struct milter_talk *t, struct slice body, struct buf *b)
{
	struct slice rest = body, line;

	while (wants(t, MILTER_LEADING_SPACE) && rest.n > 0 && (slice_at(rest, 0) == ' ' || slice_at(rest, 0) == '\t'))
		rest = slice_from(rest, 1);
	while (slice_cut(rest, '\n', &line, &rest)) {
		if (line.n > 0 && slice_at(line, line.n - 1) == '\r')
			line = slice_head(line, line.n - 1);
		(void)buf_add(b, line);
		(void)buf_byte(b, '\n');
	}
	return buf_add(b, rest);
}

static enum turn
headers(struct milter_talk *t)
{
	own(buf_t) value = { .max = LIMIT_HEADER };
	const struct milter_message *m = t->message;

	for (size_t i = 0; wants(t, MILTER_NO_HEADERS) && i < m->n; i++) {
		enum turn turn;

		if (m->field[i].hidden || m->field[i].name.n == 0)
			continue;
		buf_reset(&value);
		if (!value_of(t, m->field[i].body, &value) || m->field[i].name.n + value.n + 2 > MILTER_CHUNK)
			return refused(t, 552, S("5.3.4"), S("a field of the header is too long"));
		(void)make_milter_header(&t->packet, m->field[i].name, buf_slice(&value));
		turn = say(t, is_silent(t, MILTER_SILENT_HEADER));
		if (turn != GO)
			return turn;
	}
	return GO;
}

static enum turn
end_of_headers(struct milter_talk *t)
{
	if (!wants(t, MILTER_NO_EOH))
		return GO;
	(void)make_milter_bare(&t->packet, 'N');
	return say(t, is_silent(t, MILTER_SILENT_EOH));
}

static enum turn
body(struct milter_talk *t)
{
	struct slice rest = t->message->body;

	while (wants(t, MILTER_NO_BODY) && rest.n > 0) {
		struct slice chunk = slice_head(rest, MILTER_CHUNK);
		struct milter_said m;
		enum turn turn;

		rest = slice_from(rest, chunk.n);
		(void)make_milter_body(&t->packet, chunk);
		turn = say(t, true);
		if (turn == GO && !is_silent(t, MILTER_SILENT_BODY)) {
			if (!hear(t, &m))
				return FAILED;
			if (m.kind == MILTER_SKIPPED && (t->steps & MILTER_SKIP) != 0)
				return GO;
			turn = verdict(t, &m);
		}
		if (turn != GO)
			return turn;
	}
	return GO;
}

/* ---- the end, where a milter may change things ---- */

static struct milter_wish *
new_wish(struct milter_talk *t)
{
	if (t->n_wishes == LIMIT_MILTER_CHANGES)
		return NULL;
	if (t->n_wishes == t->cap_wishes) {
		size_t cap = t->cap_wishes == 0 ? 16 : t->cap_wishes * 2;
		struct milter_wish *more = ARENA_ARRAY(t->a, cap, struct milter_wish);

		if (more == NULL)
			return NULL;
		if (t->n_wishes > 0)
			memcpy(more, t->wish, t->n_wishes * sizeof *more);
		t->wish = more;
		t->cap_wishes = cap;
	}
	return &t->wish[t->n_wishes];
}

/* "Name: value" with its line end; nothing for a field that goes. */
static bool
field(struct milter_talk *t, const struct milter_said *m, struct milter_wish *w)
{
	own(buf_t) b = { .max = 2 * LIMIT_MILTER_PACKET };

	if (m->kind == MILTER_CHANGED && m->value.n == 0)
		return arena_copy(t->a, m->name, &w->name);
	(void)buf_add(&b, m->name);
	(void)buf_byte(&b, ':');
	if (wants(t, MILTER_LEADING_SPACE))
		(void)buf_byte(&b, ' ');
	return milter_value(&b, m->value) && buf_add(&b, S("\r\n")) && arena_copy(t->a, m->name, &w->name) &&
	    arena_copy(t->a, buf_slice(&b), &w->raw);
}

static bool
address(struct milter_talk *t, struct slice a, struct milter_wish *w)
{
	if (a.n >= 2 && slice_at(a, 0) == '<' && slice_at(a, a.n - 1) == '>')
		a = slice_sub(a, 1, a.n - 2);
	return a.n <= LIMIT_SMTP_ADDRESS && arena_copy(t->a, a, &w->text);
}

/* Keeps one change for later. */
static enum turn
wish(struct milter_talk *t, const struct milter_said *m)
{
	static const struct {
		enum milter_kind kind;
		enum milter_action needs;
	} rights[] = { { MILTER_ADDED, MILTER_ADD_HEADERS }, { MILTER_INSERTED, MILTER_ADD_HEADERS },
		{ MILTER_CHANGED, MILTER_CHANGE_HEADERS }, { MILTER_RCPT_ADDED, MILTER_ADD_RCPT },
		{ MILTER_RCPT_DELETED, MILTER_DELETE_RCPT }, { MILTER_FROM, MILTER_CHANGE_FROM },
		{ MILTER_QUARANTINED, MILTER_QUARANTINE }, { MILTER_BODY, MILTER_CHANGE_BODY } };
	struct milter_wish w = { .kind = m->kind, .index = m->index }, *place;
	bool may = false, ok;

	for (size_t i = 0; i < sizeof rights / sizeof rights[0]; i++)
		may = may || (rights[i].kind == m->kind && (t->actions & rights[i].needs) != 0);
	if (!may)
		return failed(t, "does what it did not ask for");
	if (m->kind == MILTER_BODY) {
		t->has_body = true;
		return buf_add(&t->body, m->body) ? GO : failed(t, "makes the message too big");
	}
	place = new_wish(t);
	if (place == NULL)
		return failed(t, "wants too many changes");
	if (m->kind == MILTER_RCPT_ADDED || m->kind == MILTER_RCPT_DELETED || m->kind == MILTER_FROM)
		ok = address(t, m->address, &w);
	else if (m->kind == MILTER_QUARANTINED)
		ok = arena_copy(t->a, slice_head(m->text, 150), &w.text);
	else
		ok = field(t, m, &w);
	if (!ok)
		return failed(t, "wants a change that is none");
	*place = w;
	t->n_wishes++;
	return GO;
}

static enum turn
end_of_body(struct milter_talk *t)
{
	const struct milter_macro macros[] = { { S("i"), t->in->queue_id } };

	(void)make_milter_macros(&t->packet, 'E', macros, sizeof macros / sizeof macros[0]);
	(void)make_milter_bare(&t->packet, 'E');
	if (say(t, true) != GO)
		return FAILED;
	for (;;) { /* hear() has the bounds */
		struct milter_said m;

		if (!hear(t, &m))
			return FAILED;
		if (m.kind < MILTER_ADDED)
			return verdict(t, &m);
		if (wish(t, &m) != GO)
			return FAILED;
	}
}

enum milter_outcome
milter_talk(struct milter_talk *t)
{
	static const struct {
		const char *name;
		enum turn (*run)(struct milter_talk *t);
	} stages[] = { { "negotiation", options }, { "connect", connected }, { "helo", helo }, { "mail", mail },
		{ "rcpt", recipients }, { "data", data }, { "header", headers }, { "end of header", end_of_headers },
		{ "body", body }, { "end of body", end_of_body } };
	const size_t n = t->recipient ? 5 : sizeof stages / sizeof stages[0];
	enum turn turn = GO;

	buf_init(&t->packet, 2 * LIMIT_MILTER_PACKET);
	buf_init(&t->body, (size_t)t->settings->max_size);
	for (size_t i = 0; turn == GO && i < n; i++) {
		t->stage = stages[i].name;
		turn = stages[i].run(t);
	}
	if (turn != FAILED && make_milter_bare(&t->packet, 'Q'))
		(void)stream_write(t->io, buf_slice(&t->packet), (int64_t)clock_mono_ms());
	(void)stream_flush(t->io, (int64_t)clock_mono_ms());
	buf_free(&t->packet);
	return turn == GO || turn == PASS ? MILTER_PASSED
	    : turn == REFUSED		  ? MILTER_REFUSED
	    : turn == DISCARDED		  ? MILTER_DISCARDED
					  : MILTER_FAILED;
}
