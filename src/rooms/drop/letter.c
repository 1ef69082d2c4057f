/* SPDX-License-Identifier: MIT
 * One letter: {"user": "42", "template": "welcome", "values": {"name": "Ann"}} or {"user": "42",
 * "subject": "...", "text": "..."}. The program never sees an address, nor whether there is one: the
 * answer is the same, and comes at the next tick.
 *
 * Values stand where {{name}} stands in a template, once: what a value holds is text and nothing else,
 * whatever braces or line ends are in it. */
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "lib/base/chars.h"
#include "lib/base/encode.h"
#include "lib/clock/clock.h"
#include "lib/edits/edits.h"
#include "rooms/drop/drop.h"

#define BODY ((size_t)262144) /* of a letter with its values */

struct letter {
	struct slice user, template_name, subject, text, once;
	json_t *values;
};

/* ---- what was asked ---- */

static bool
string_of(json_t *v, struct arena *a, struct slice *out)
{
	char digits[32];

	if (json_is_integer(v)) {
		(void)snprintf(digits, sizeof digits, "%lld", (long long)json_integer_value(v));
		return arena_copy(a, slice_z(digits), out);
	}
	if (!json_is_string(v))
		return false;
	*out = slice_of(json_string_value(v), json_string_length(v));
	return true;
}

static bool
read_letter(json_t *o, bool watched, struct arena *a, struct letter *l)
{
	struct slice unused;
	const char *key;
	json_t *v;

	*l = (struct letter){ 0 };
	json_object_foreach (o, key, v) {
		struct slice k = slice_z(key);
		struct slice *to = slice_eq(k, S("user")) ? &l->user : slice_eq(k, S("template")) ?
		    &l->template_name : slice_eq(k, S("subject")) ? &l->subject : slice_eq(k, S("text")) ?
		    &l->text : watched && slice_eq(k, S("once")) ? &l->once : NULL;

		if (slice_eq(k, S("values")) && json_is_object(v))
			l->values = v;
		else if (to == NULL || !string_of(v, a, to))
			return false;
	}
	if (l->values != NULL)
		json_object_foreach (l->values, key, v)
			if (!string_of(v, a, &unused))
				return false;
	return l->user.n > 0 && l->user.n <= APPS_USER_ID &&
	    (l->template_name.n > 0 ? l->subject.n + l->text.n == 0 : l->subject.n > 0 && l->text.n > 0);
}

/* ---- templates ---- */

/* One value; of several lines only where lines may be. False where there is no such value. */
static bool
put_value(struct buf *b, json_t *values, struct slice name, bool lines, struct arena *a)
{
	char key[APPS_NAME + 1];
	struct slice v;

	name = slice_trim(name);
	if (name.n == 0 || name.n > APPS_NAME)
		return false;
	memcpy(key, name.p, name.n);
	key[name.n] = '\0';
	if (values == NULL || !string_of(json_object_get(values, key), a, &v))
		return false;
	for (size_t i = 0; i < v.n; i++) {
		uint8_t c = slice_at(v, i);

		(void)buf_byte(b, c < 0x20 && !(lines && (c == '\n' || c == '\t')) ? ' ' : c);
	}
	return !b->bad;
}

static bool
fill_in(struct buf *b, struct slice from, json_t *values, bool lines, struct arena *a)
{
	size_t open, end;

	while ((open = slice_find(from, S("{{"))) != SLICE_NONE) {
		struct slice behind = slice_from(from, open + 2);

		end = slice_find(behind, S("}}"));
		if (end == SLICE_NONE)
			break;
		if (!buf_add(b, slice_head(from, open)) ||
		    !put_value(b, values, slice_head(behind, end), lines, a))
			return false;
		from = slice_from(behind, end + 2);
	}
	return buf_add(b, from);
}

/* ---- the message ---- */

/* RFC 2047 words of at most 75 columns, cut between characters; plain where it is ASCII. */
static void
put_subject(struct buf *b, struct slice s)
{
	bool plain = s.n < 70;

	for (size_t i = 0; i < s.n; i++)
		plain = plain && ch_is_print(slice_at(s, i));
	(void)buf_add(b, S("Subject:"));
	if (plain && slice_find(s, S("=?")) == SLICE_NONE) {
		(void)buf_byte(b, ' ');
		(void)buf_add(b, s);
	} else {
		while (s.n > 0) {
			size_t n = s.n < 42 ? s.n : 42;

			while (n > 1 && n < s.n && (slice_at(s, n) & 0xc0) == 0x80)
				n--;
			(void)buf_add(b, S("\r\n =?UTF-8?B?"));
			(void)base64_encode(b, slice_head(s, n));
			(void)buf_add(b, S("?="));
			s = slice_from(s, n);
		}
	}
	(void)buf_add(b, S("\r\n"));
}

/* Quoted-printable (RFC 2045 section 6.7): lines of at most 76 columns, CRLF. */
static void
put_text(struct buf *b, struct slice s)
{
	size_t column = 0;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = slice_at(s, i);
		bool last = i + 1 == s.n || slice_at(s, i + 1) == '\n' || slice_at(s, i + 1) == '\r';
		bool safe = c == '\t' || (c >= 0x20 && c < 0x7f && c != '=');

		if (c == '\r' && i + 1 < s.n && slice_at(s, i + 1) == '\n')
			continue;
		if (c == '\n') {
			(void)buf_add(b, S("\r\n"));
			column = 0;
			continue;
		}
		safe = safe && !(last && (c == ' ' || c == '\t')) && !(column == 0 && (c == '.' || c == 'F'));
		if (column + (safe ? 1 : 3) > 75) {
			(void)buf_add(b, S("=\r\n"));
			column = 0;
			safe = safe && c != '.' && c != 'F';
		}
		if (safe)
			(void)buf_byte(b, c);
		else
			(void)buf_fmt(b, "=%02X", c);
		column += safe ? 1 : 3;
	}
	if (column > 0)
		(void)buf_add(b, S("\r\n"));
}

static bool
write_letter(struct drop_mail *m, struct slice subject, struct slice text)
{
	own(buf_t) b = { .max = 4 * BODY };

	(void)buf_fmt(&b, "From: <%.*s>\r\nTo: <%.*s>\r\n", SFMT(m->sender), SFMT(m->rcpts[0]));
	put_subject(&b, subject);
	(void)buf_add(&b, S("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"));
	put_text(&b, text);
	m->size += b.n;
	return !b.bad && edits_write(m->fd, buf_slice(&b)) && edits_seal(m->fd);
}

/* Subject and text, from the template or as they were given. */
static bool
compose(struct drop_mail *m, const struct letter *l, struct slice *subject, struct slice *text,
    struct drop_answer *an)
{
	struct app_template t = { .subject = l->subject, .text = l->text };
	own(buf_t) head = { .max = 2000 };
	own(buf_t) body = { .max = BODY };
	enum store_err e = STORE_OK;
	bool ok;

	if (l->template_name.n > 0) {
		(void)pthread_mutex_lock(&m->room->lock);
		e = app_template_get(m->room->apps, m->app.name, l->template_name, m->a, &t);
		(void)pthread_mutex_unlock(&m->room->lock);
		if (e == STORE_NONE)
			return drop_say(an, 550, "5.5.0", "no such template");
		if (e != STORE_OK)
			return drop_say(an, 451, "4.3.0", "try later");
		ok = fill_in(&head, t.subject, l->values, false, m->a) && fill_in(&body, t.text, l->values, true, m->a);
	} else {
		/* as it is: braces mean nothing */
		for (size_t i = 0; i < t.subject.n; i++)
			(void)buf_byte(&head, slice_at(t.subject, i) < 0x20 ? ' ' : slice_at(t.subject, i));
		ok = !head.bad && buf_add(&body, t.text);
	}
	if (!ok || slice_find_byte(buf_slice(&body), 0) != SLICE_NONE)
		return drop_say(an, 550, "5.5.0", "a value is missing or too long");
	return (arena_copy(m->a, buf_slice(&head), subject) && arena_copy(m->a, buf_slice(&body), text)) ||
	    drop_say(an, 452, "4.3.1", "no room now, try later");
}

/* Whom it is for: the second database, which the program cannot read. */
static bool
find_user(struct drop_mail *m, const struct letter *l, struct drop_answer *an)
{
	enum store_err e;

	(void)pthread_mutex_lock(&m->room->lock);
	e = app_user_address(m->room->apps, m->app.name, l->user, m->a, &m->rcpts[0]);
	(void)pthread_mutex_unlock(&m->room->lock);
	if (e != STORE_OK && e != STORE_NONE)
		return drop_say(an, 451, "4.3.0", "try later");
	m->nobody = e == STORE_NONE;
	if (m->nobody)
		m->rcpts[0] = drop_default_sender(&m->app);
	m->n_rcpts = 1;
	return arena_copy(m->a, l->user, &m->user) || drop_say(an, 452, "4.3.1", "no room now, try later");
}

/* A key is a program's own: no other one can use it up. */
static bool
take_key(struct drop_mail *m, const struct letter *l, struct drop_answer *an)
{
	own(buf_t) b = { .max = 2 * APPS_NAME + DROP_LETTER };
	uint8_t hash[STORE_SHA256];

	if (l->once.n == 0)
		return true;
	(void)buf_add(&b, m->app.name);
	(void)buf_byte(&b, ' ');
	(void)buf_add(&b, l->once);
	store_sha256(buf_slice(&b), hash);
	return arena_copy(m->a, slice_of(hash, sizeof hash), &m->once) ||
	    drop_say(an, 452, "4.3.1", "no room now, try later");
}

static void
send_letter(struct drop_conv *c, const struct app *app, const struct letter *l, struct arena *a,
    struct drop_answer *an)
{
	struct drop_mail *m = ARENA_NEW(a, struct drop_mail);
	struct slice subject, text;

	PN_ASSERT(m != NULL);
	if (drop_mail_begin(c, a, app, m, an) && take_key(m, l, an) && compose(m, l, &subject, &text, an) && find_user(m, l, an)) {
		if (write_letter(m, subject, text))
			drop_pass(m, an);
		else
			(void)drop_say(an, 452, "4.3.1", "no room now, try later");
		/* that an address of the directory is wrong is the administrator's to know */
		if ((m->nobody && an->code == 250) || (an->code >= 500 && slice_starts(slice_z(an->enhanced), S("5.1.")))) {
			EVENT(EVENT_DROP_REFUSED, c->session, m->queue_id, S(""), EF("program", app->name),
			    EF("user", l->user), EF("text", m->nobody ? S("no such user") : slice_z(an->text)));
			(void)drop_say(an, 250, "2.0.0", "ok");
		}
	}
	drop_mail_end(m);
}

/* Until the next tick after start. */
static void
wait_for_tick(uint64_t start)
{
	uint64_t took = clock_mono_ms() - start, rest = DROP_TICK_MS - took % DROP_TICK_MS;
	struct timespec t = { .tv_nsec = (long)rest * 1000000 };

	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* A letter is an object with one object in it, and may lie in an array. jansson calls itself for each level, up to 2,048:
 * more than the stack of a thread here holds (H-015). */
static bool
is_shallow(struct slice s, unsigned most)
{
	unsigned depth = 0;
	bool text = false;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = slice_at(s, i);

		if (text) {
			i += c == '\\';
			text = c != '"';
		} else if (c == '"') {
			text = true;
		} else if (c == '{' || c == '[') {
			if (++depth > most)
				return false;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return true;
}

/* One letter, read; its answer comes at a tick. 200, 422 or 503. */
static unsigned
letter_of(struct drop_conv *c, const struct app *app, json_t *o, struct buf *out)
{
	own(arena_p) a = arena_new("letter", LIMIT_ARENA_MESSAGE);
	struct drop_answer an = { 550, "5.5.2", "not a letter: {\\\"user\\\": ..., \\\"template\\\" or \\\"subject\\\" "
	    "and \\\"text\\\": ...}" };
	uint64_t start = clock_mono_ms();
	struct letter l;

	if (json_is_object(o) && read_letter(o, c->watches[0] != '\0', a, &l))
		send_letter(c, app, &l, a, &an);
	if (an.code != 250)
		EVENT(an.code >= 500 ? EVENT_DROP_REFUSED : EVENT_DROP_DEFERRED, c->session, S(""), S(""),
		    EF("program", app->name), EN("uid", c->uid), EN("code", an.code), EF("text", slice_z(an.text)));
	wait_for_tick(start);
	if (an.code == 250)
		(void)buf_add(out, S("{\"status\":\"ok\"}"));
	else
		(void)buf_fmt(out, "{\"status\":\"%s\",\"text\":\"%s\"}", an.code >= 500 ? "refused" : "later", an.text);
	return an.code == 250 ? 200 : an.code >= 500 ? 422 : 503;
}

void
drop_letter(struct drop_conv *c, const struct app *app, struct slice line, struct buf *out)
{
	json_t *o = is_shallow(line, 3) ? json_loadb((const char *)line.p, line.n, JSON_REJECT_DUPLICATES, NULL) : NULL;

	(void)letter_of(c, app, o, out);
	(void)buf_byte(out, '\n');
	json_decref(o);
}

unsigned
drop_letters(struct drop_conv *c, const struct app *app, struct slice body, struct buf *out)
{
	json_t *all = is_shallow(body, 4) ? json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES, NULL) : NULL;
	size_t n = json_array_size(all);
	unsigned code = 200;

	if (json_is_object(all)) {
		code = letter_of(c, app, all, out);
	} else if (!json_is_array(all) || n == 0 || n > DROP_HTTP_LETTERS) {
		(void)buf_fmt(out, "{\"status\":\"refused\",\"text\":\"not a letter, nor an array of 1 to %zu\"}", DROP_HTTP_LETTERS);
		code = 400;
	} else {
		for (size_t i = 0; i < n; i++) {
			(void)buf_byte(out, i == 0 ? '[' : ',');
			(void)letter_of(c, app, json_array_get(all, i), out);
		}
		(void)buf_byte(out, ']');
	}
	(void)buf_byte(out, '\n');
	json_decref(all);
	return code;
}
