/* SPDX-License-Identifier: MIT
 * A conversation with a local program: "mail 1" and one message, or JSON lines. */
#include <stdio.h>
#include <sys/mman.h>

#include "lib/clock/clock.h"
#include "lib/edits/edits.h"
#include "lib/make/trace.h"
#include "rooms/drop/drop.h"

static int64_t
deadline(const struct drop_conv *c)
{
	uint64_t idle = clock_mono_ms() + DROP_IDLE_MS;

	return (int64_t)(idle < c->until_ms ? idle : c->until_ms);
}

enum stream_status
drop_line(struct drop_conv *c, size_t max, struct slice *out)
{
	struct slice piece;
	enum stream_status st;
	size_t at;

	buf_free(&c->line);
	buf_init(&c->line, max + 2);
	for (;;) {
		st = stream_peek(&c->stream, deadline(c), &piece);
		if (st != STREAM_OK)
			return st;
		at = slice_find_byte(piece, '\n');
		if (!buf_add(&c->line, slice_head(piece, at == SLICE_NONE ? piece.n : at)))
			return STREAM_TOO_LONG;
		stream_consume(&c->stream, at == SLICE_NONE ? piece.n : at + 1);
		if (at != SLICE_NONE)
			break;
	}
	*out = buf_slice(&c->line);
	if (out->n > 0 && slice_at(*out, out->n - 1) == '\r')
		*out = slice_head(*out, out->n - 1);
	return out->n > max ? STREAM_TOO_LONG : STREAM_OK;
}

static void
reply(struct drop_conv *c, struct slice s)
{
	if (stream_write(&c->stream, s, deadline(c)) == STREAM_OK)
		(void)stream_flush(&c->stream, deadline(c));
}

bool
drop_who(struct drop_room *r, uint32_t uid, struct arena *a, struct app *app, struct drop_answer *an)
{
	enum store_err e;

	(void)pthread_mutex_lock(&r->lock);
	e = app_of(r->apps, uid, a, app);
	(void)pthread_mutex_unlock(&r->lock);
	if (e == STORE_OK)
		return true;
	if (e != STORE_NONE)
		return drop_say(an, 451, "4.3.0", "the directory of programs cannot be read now");
	if (uid == 0 && r->postmaster.n > 0) {
		*app = (struct app){ S("root"), 0, r->postmaster, DROP_ROOT_PER_HOUR, 0 };
		return true;
	}
	return drop_say(an, 550, "5.7.1", "the user with uid %u may not send mail; the administrator can allow it: "
	    "postern app add NAME --uid %u --from ADDRESS", uid, uid);
}

bool
drop_mail_begin(struct drop_conv *c, struct arena *a, const struct app *app, struct drop_mail *m,
    struct drop_answer *an)
{
	own(buf_t) text = { .max = 1000 };
	struct session_text s = session_text(c->session);

	*m = (struct drop_mail){ .room = c->room, .a = a, .app = *app, .uid = c->uid, .session = c->session,
		.fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING) };
	buf_fmt(&text, "%s.%u", s.z, ++c->messages);
	if (m->fd < 0 || !arena_copy(a, buf_slice(&text), &m->queue_id))
		return drop_say(an, 452, "4.3.1", "no room now, try later");
	m->sender = drop_default_sender(&m->app);
	buf_reset(&text);
	if (!trace_local(&text, c->room->hostname, m->app.name, m->uid, m->queue_id, clock_wall_us() / 1000000) ||
	    !edits_write(m->fd, buf_slice(&text)))
		return drop_say(an, 452, "4.3.1", "no room now, try later");
	m->size = m->trace = text.n;
	return true;
}

void
drop_mail_end(struct drop_mail *m)
{
	fd_t_drop(&m->fd);
}

/* Content has CRLF at the end of each line and nowhere else a CR, an LF or a NUL (O-005). */
struct content_check {
	uint8_t last;
	size_t line;
	bool bad, long_line, high;
};

static void
look_at(struct content_check *k, struct slice piece)
{
	for (size_t i = 0; i < piece.n; i++) {
		uint8_t b = slice_at(piece, i);

		k->bad = k->bad || b == 0 || (b == '\n') != (k->last == '\r');
		k->high = k->high || b >= 0x80;
		k->line = b == '\n' ? 0 : k->line + 1;
		k->long_line = k->long_line || k->line > LIMIT_BODY_LINE;
		k->last = b;
	}
}

static bool
take_content(struct drop_conv *c, struct drop_mail *m, uint64_t size, struct drop_answer *an)
{
	struct content_check k = { .last = '\n' };
	struct slice piece;
	bool room = true;

	while (size > 0) {
		if (stream_peek(&c->stream, deadline(c), &piece) != STREAM_OK)
			return drop_say(an, 451, "4.4.2", "the message ended too early");
		piece = slice_head(piece, size < piece.n ? (size_t)size : piece.n);
		look_at(&k, piece);
		room = room && edits_write(m->fd, piece);
		size -= piece.n;
		m->size += piece.n;
		stream_consume(&c->stream, piece.n);
	}
	m->body_8bit = k.high;
	if (!room)
		return drop_say(an, 452, "4.3.1", "no room now, try later");
	if (k.bad || k.last != '\n')
		return drop_say(an, 550, "5.6.0", "lines end in CRLF, and hold no other CR, LF or NUL");
	return !k.long_line || drop_say(an, 552, "5.3.4", "line too long");
}

/* The lines before the content. False with *an. */
static bool
take_envelope(struct drop_conv *c, struct drop_mail *m, uint64_t *size, struct drop_answer *an)
{
	struct drop_line l = { .word = DROP_MAIL };
	struct slice line;
	bool sized = false;

	for (size_t n = 0; n < DROP_RCPTS + 8; n++) {
		if (drop_line(c, DROP_LINE, &line) != STREAM_OK || !drop_line_parse(line, &l))
			return drop_say(an, 501, "5.5.2", "not a line of drop's language, or not an address");
		if (l.word == DROP_END)
			return sized || drop_say(an, 501, "5.5.2", "no size");
		sized = sized || l.word == DROP_SIZE;
		if (l.word == DROP_SIZE)
			*size = l.number;
		m->from_header = m->from_header || l.word == DROP_HEADER;
		m->own_sender = m->own_sender || l.word == DROP_FROM;
		if (l.word == DROP_TO && m->n_rcpts == DROP_RCPTS)
			return drop_say(an, 552, "5.5.3", "more than %zu recipients", DROP_RCPTS);
		if ((l.word == DROP_FROM && !arena_copy(m->a, l.text, &m->sender)) ||
		    (l.word == DROP_NAME && !arena_copy(m->a, l.text, &m->name)) ||
		    (l.word == DROP_TO && !arena_copy(m->a, l.text, &m->rcpts[m->n_rcpts++])))
			return drop_say(an, 452, "4.3.1", "no room now, try later");
	}
	return drop_say(an, 552, "5.5.3", "more than %zu recipients", DROP_RCPTS);
}

static void
take_mail(struct drop_conv *c, struct drop_answer *an)
{
	own(arena_p) a = arena_new("mail", LIMIT_ARENA_MESSAGE);
	struct drop_mail *m = ARENA_NEW(a, struct drop_mail);
	uint64_t size = 0;
	struct app app;

	PN_ASSERT(m != NULL);
	if (!drop_who(c->room, c->uid, a, &app, an))
		return;
	if (drop_mail_begin(c, a, &app, m, an) && take_envelope(c, m, &size, an)) {
		if (size > c->room->max_size || size == 0)
			(void)drop_say(an, 552, "5.3.4", "a message has 1 to %llu bytes",
			    (unsigned long long)c->room->max_size);
		else if (take_content(c, m, size, an) && drop_header(m, an))
			drop_pass(m, an);
	}
	drop_mail_end(m);
}

static void
tell_refused(struct drop_conv *c, const struct drop_answer *an)
{
	if (an->code != 250)
		EVENT(an->code >= 500 ? EVENT_DROP_REFUSED : EVENT_DROP_DEFERRED, c->session, S(""), S(""),
		    EN("uid", c->uid), EN("code", an->code), EF("text", slice_z(an->text)));
}

static void
one_mail(struct drop_conv *c)
{
	struct drop_answer an = { 451, "4.3.0", "try later" };
	own(buf_t) out = { .max = 512 };

	take_mail(c, &an);
	tell_refused(c, &an);
	buf_fmt(&out, "%u %s %s\n", an.code, an.enhanced, an.text);
	reply(c, buf_slice(&out));
}

static void
letters(struct drop_conv *c, struct slice line)
{
	own(arena_p) a = arena_new("letters", LIMIT_ARENA_COMMAND);
	struct drop_answer an = { 451, "4.3.0", "try later" };
	enum stream_status st = STREAM_OK;
	struct app app;

	if (!drop_who(c->room, c->uid, a, &app, &an)) {
		own(buf_t) out = { .max = 512 };

		tell_refused(c, &an);
		buf_fmt(&out, "{\"status\":\"%s\",\"text\":\"%s\"}\n", an.code >= 500 ? "refused" : "later", an.text);
		reply(c, buf_slice(&out));
		return;
	}
	for (unsigned n = 0; st == STREAM_OK && n < 1000; n++) {
		own(buf_t) out = { .max = 1024 };

		if (line.n > 0) {
			drop_letter(c, &app, line, &out);
			reply(c, buf_slice(&out));
		}
		st = drop_line(c, DROP_LETTER, &line);
	}
	if (st == STREAM_TOO_LONG)
		reply(c, S("{\"status\":\"refused\",\"text\":\"the line is too long\"}\n"));
}

bool
drop_watched(struct drop_conv *c)
{
	struct slice line;

	while (stream_readable(&c->stream)) {
		own(arena_p) a = arena_new("letters", LIMIT_ARENA_COMMAND);
		own(buf_t) out = { .max = 1024 };
		enum stream_status st = drop_line(c, DROP_LETTER, &line);
		struct app app;
		enum store_err e;

		if (st != STREAM_OK)
			return false;
		(void)pthread_mutex_lock(&c->room->lock);
		e = app_named(c->room->apps, slice_z(c->watches), a, &app);
		(void)pthread_mutex_unlock(&c->room->lock);
		if (e == STORE_OK) {
			c->uid = app.uid;
			drop_letter(c, &app, line, &out);
		} else {
			(void)buf_add(&out, S("{\"status\":\"later\",\"text\":\"postern app add: there is no such program\"}\n"));
		}
		reply(c, buf_slice(&out));
	}
	return true;
}

void
drop_talk(struct drop_conv *c)
{
	struct slice line;
	enum stream_status st = drop_line(c, DROP_LETTER, &line);

	if (st == STREAM_OK && slice_starts(line, S("{")))
		letters(c, line);
	else if (st == STREAM_OK && slice_eq(line, S("mail 1")))
		one_mail(c);
	else if (st == STREAM_OK || st == STREAM_TOO_LONG) {
		EVENT(EVENT_PROTOCOL_ABUSE, c->session, S(""), S(""), EF("what", S("not drop's language")),
		    EN("uid", c->uid));
		reply(c, S("501 5.5.2 not drop's language\n"));
	}
}
