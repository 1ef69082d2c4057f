/* SPDX-License-Identifier: MIT */
#include "lib/parse/milter/milter.h"

/* A text up to its NUL. */
static bool
text(struct cursor *c, struct slice *out)
{
	return cur_until(c, 0, out);
}

static bool
is_name(uint8_t b)
{
	return b > 0x20 && b < 0x7f && b != ':';
}

static bool
field(struct cursor *c, struct milter_said *m)
{
	if (!text(c, &m->name) || !text(c, &m->value) || m->name.n == 0)
		return false;
	for (size_t i = 0; i < m->name.n; i++)
		if (!is_name(slice_at(m->name, i)))
			return false;
	return true;
}

static bool
numbered_field(struct cursor *c, struct milter_said *m)
{
	m->index = cur_get_u32be(c);
	return !c->bad && field(c, m);
}

static bool
options(struct cursor *c, struct milter_said *m)
{
	m->version = cur_get_u32be(c);
	m->actions = cur_get_u32be(c);
	m->steps = cur_get_u32be(c);
	return !c->bad;
}

static bool
is_enhanced(uint8_t b)
{
	return ch_is_digit(b) || b == '.';
}

/* "550 5.7.1 text", "550-5.7.1 text\r\n550 5.7.1 more": RFC 5321 section 4.2, RFC 3463. */
static bool
reply(struct cursor *c, struct milter_said *m)
{
	struct cursor line, rest;
	struct slice all, first, code, word;
	uint32_t n;

	if (!text(c, &all))
		return false;
	if (!slice_cut(all, '\n', &first, &word))
		first = all;
	if (first.n > 0 && slice_at(first, first.n - 1) == '\r')
		first = slice_head(first, first.n - 1);
	line = cur_of(first);
	if (!cur_bytes(&line, 3, &code) || !slice_u32(code, &n) || n < 400 || n > 599)
		return false;
	if (cur_peek(&line) != -1 && cur_peek(&line) != ' ' && cur_peek(&line) != '-')
		return false;
	(void)cur_next(&line);
	m->code = n;
	rest = line;
	if (cur_take(&rest, is_enhanced, 11, &word) && word.n >= 5 && slice_at(word, 0) == slice_at(code, 0) &&
	    slice_at(word, 1) == '.' && (cur_peek(&rest) == ' ' || cur_done(&rest))) {
		m->enhanced = word;
		(void)cur_byte(&rest, ' ');
		line = rest;
	}
	m->text = cur_rest(&line);
	return true;
}

static bool
address(struct cursor *c, struct milter_said *m)
{
	return text(c, &m->address) && m->address.n > 0;
}

static bool
sender(struct cursor *c, struct milter_said *m)
{
	struct slice arguments;

	return text(c, &m->address) && (cur_done(c) || text(c, &arguments));
}

static bool
body(struct cursor *c, struct milter_said *m)
{
	m->body = cur_rest(c);
	return true;
}

static bool
reason(struct cursor *c, struct milter_said *m)
{
	return text(c, &m->text);
}

static const struct {
	uint8_t command;
	enum milter_kind kind;
	bool (*data)(struct cursor *c, struct milter_said *m); /* NULL: none */
} table[] = {
	{ 'O', MILTER_OPTIONS, options },
	{ 'c', MILTER_CONTINUE, NULL },
	{ 'a', MILTER_ACCEPT, NULL },
	{ 'r', MILTER_REJECT, NULL },
	{ 't', MILTER_TEMPFAIL, NULL },
	{ 'y', MILTER_REPLY, reply },
	{ 'd', MILTER_DISCARD, NULL },
	{ 's', MILTER_SKIPPED, NULL },
	{ 'p', MILTER_PROGRESS, NULL },
	{ '4', MILTER_SHUTDOWN, NULL },
	{ 'f', MILTER_SHUTDOWN, NULL },
	{ 'h', MILTER_ADDED, field },
	{ 'i', MILTER_INSERTED, numbered_field },
	{ 'm', MILTER_CHANGED, numbered_field },
	{ '+', MILTER_RCPT_ADDED, address },
	{ '-', MILTER_RCPT_DELETED, address },
	{ 'e', MILTER_FROM, sender },
	{ 'b', MILTER_BODY, body },
	{ 'q', MILTER_QUARANTINED, reason },
};

bool
milter_parse(struct slice packet, struct milter_said *out)
{
	struct cursor c = cur_of(packet);
	struct milter_said m = { 0 };
	int command = cur_next(&c);

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (command != table[i].command)
			continue;
		m.kind = table[i].kind;
		if ((table[i].data != NULL && !table[i].data(&c, &m)) || !cur_done(&c))
			return false;
		*out = m;
		return true;
	}
	return false;
}

bool
milter_value(struct buf *b, struct slice value)
{
	struct slice line, rest = value;
	bool first = true, more = true;

	while (rest.n > 0 && (slice_at(rest, rest.n - 1) == '\n' || slice_at(rest, rest.n - 1) == '\r'))
		rest = slice_head(rest, rest.n - 1);
	while (more) {
		more = slice_cut(rest, '\n', &line, &rest);
		if (!more)
			line = rest;
		if (more && line.n > 0 && slice_at(line, line.n - 1) == '\r')
			line = slice_head(line, line.n - 1);
		if (slice_find_byte(line, '\r') != SLICE_NONE || slice_find_byte(line, 0) != SLICE_NONE)
			return false;
		if (!first && (slice_trim(line).n == 0 || (slice_at(line, 0) != ' ' && slice_at(line, 0) != '\t')))
			return false;
		if (!first)
			(void)buf_add(b, S("\r\n"));
		(void)buf_add(b, line);
		first = false;
	}
	return !b->bad;
}
