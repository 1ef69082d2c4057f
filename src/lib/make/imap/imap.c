/* SPDX-License-Identifier: MIT */
#include "lib/make/imap/imap.h"

#define MOST_QUOTED 1000 /* longer strings are literals: some clients read lines into small buffers */

/* *plain: nothing in it needs a backslash. */
static bool
quotable(struct slice s, bool *plain)
{
	*plain = true;
	if (s.n > MOST_QUOTED)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = slice_at(s, i);

		if (!ch_is_print(c) && c != '\t')
			return false;
		if (c == '"' || c == '\\')
			*plain = false;
	}
	return true;
}

bool
imap_put_octets(struct buf *b, struct slice s)
{
	while (s.n > 0) {
		size_t nul = slice_find_byte(s, 0);

		if (nul == SLICE_NONE)
			return buf_add(b, s);
		buf_add(b, slice_head(s, nul));
		buf_byte(b, 0x80);
		s = slice_from(s, nul + 1);
	}
	return !b->bad;
}

bool
imap_put_literal(struct buf *b, struct slice s)
{
	buf_byte(b, '{');
	buf_u64(b, s.n);
	buf_add(b, S("}\r\n"));
	return imap_put_octets(b, s);
}

bool
imap_put_string(struct buf *b, struct slice s)
{
	bool plain;

	if (!quotable(s, &plain))
		return imap_put_literal(b, s);
	buf_byte(b, '"');
	if (plain)
		buf_add(b, s);
	for (size_t i = 0; i < s.n && !plain; i++) {
		uint8_t c = slice_at(s, i);

		if (c == '"' || c == '\\')
			buf_byte(b, '\\');
		buf_byte(b, c);
	}
	return buf_byte(b, '"');
}

bool
imap_put_nstring(struct buf *b, struct slice s, bool nil)
{
	return nil ? buf_add(b, S("NIL")) : imap_put_string(b, s);
}

static bool
is_atom_byte(uint8_t c)
{
	return ch_is_vchar(c) && c != '(' && c != ')' && c != '{' && c != '%' && c != '*' &&
	    c != '"' && c != '\\' && c != ']';
}

bool
imap_put_astring(struct buf *b, struct slice s)
{
	bool atom = s.n > 0 && s.n <= MOST_QUOTED && !slice_ieq(s, S("NIL"));

	for (size_t i = 0; atom && i < s.n; i++)
		atom = is_atom_byte(slice_at(s, i));
	return atom ? buf_add(b, s) : imap_put_string(b, s);
}

bool
imap_put_mailbox(struct buf *b, struct slice utf8)
{
	struct buf wire;
	bool ok;

	buf_init(&wire, 8 * (utf8.n + 8));
	ok = imap_mutf7_encode(&wire, utf8) && imap_put_astring(b, buf_slice(&wire));
	if (!ok)
		b->bad = true;
	buf_free(&wire);
	return ok;
}

struct named_bit {
	struct slice name;
	uint32_t bit;
};

static void
put_bits(struct buf *b, const struct named_bit *v, size_t n, uint32_t bits, const char **space)
{
	for (size_t i = 0; i < n; i++) {
		if ((bits & v[i].bit) == 0)
			continue;
		buf_add(b, slice_z(*space));
		buf_add(b, v[i].name);
		*space = " ";
	}
}

bool
imap_put_flags(struct buf *b, uint32_t bits, const struct slice *keyword, size_t n)
{
	static const struct named_bit names[] = {
		{ S_INIT("\\Answered"), IMAP_ANSWERED }, { S_INIT("\\Flagged"), IMAP_FLAGGED },
		{ S_INIT("\\Deleted"), IMAP_DELETED },	 { S_INIT("\\Seen"), IMAP_SEEN },
		{ S_INIT("\\Draft"), IMAP_DRAFT },	 { S_INIT("\\Recent"), IMAP_RECENT },
	};
	const char *space = "";

	buf_byte(b, '(');
	put_bits(b, names, sizeof names / sizeof names[0], bits, &space);
	for (size_t i = 0; i < n; i++) {
		buf_add(b, slice_z(space));
		buf_add(b, keyword[i]);
		space = " ";
	}
	return buf_byte(b, ')');
}

bool
imap_put_list(struct buf *b, struct slice verb, uint32_t attributes, struct slice utf8)
{
	static const struct named_bit names[] = {
		{ S_INIT("\\NonExistent"), IMAP_ATTR_NONEXISTENT },
		{ S_INIT("\\Noselect"), IMAP_ATTR_NOSELECT },
		{ S_INIT("\\HasChildren"), IMAP_ATTR_HASCHILDREN },
		{ S_INIT("\\HasNoChildren"), IMAP_ATTR_HASNOCHILDREN },
		{ S_INIT("\\Subscribed"), IMAP_ATTR_SUBSCRIBED },
		{ S_INIT("\\Drafts"), IMAP_ATTR_DRAFTS }, { S_INIT("\\Sent"), IMAP_ATTR_SENT },
		{ S_INIT("\\Junk"), IMAP_ATTR_JUNK },	  { S_INIT("\\Trash"), IMAP_ATTR_TRASH },
		{ S_INIT("\\Archive"), IMAP_ATTR_ARCHIVE },
		{ S_INIT("\\Flagged"), IMAP_ATTR_FLAGGED }, { S_INIT("\\All"), IMAP_ATTR_ALL },
	};
	const char *space = "";

	buf_add(b, S("* "));
	buf_add(b, verb);
	buf_add(b, S(" ("));
	put_bits(b, names, sizeof names / sizeof names[0], attributes, &space);
	buf_add(b, S(") \"/\" "));
	return imap_put_mailbox(b, utf8);
}

static void
put_item(struct buf *b, const char **space, const char *name, uint64_t v)
{
	buf_add(b, slice_z(*space));
	buf_add(b, slice_z(name));
	buf_byte(b, ' ');
	buf_u64(b, v);
	*space = " ";
}

bool
imap_put_status(struct buf *b, struct slice utf8, uint32_t items,
    const struct imap_status_values *v)
{
	const char *space = "";

	buf_add(b, S("* STATUS "));
	imap_put_mailbox(b, utf8);
	buf_add(b, S(" ("));
	if ((items & IMAP_STATUS_MESSAGES) != 0)
		put_item(b, &space, "MESSAGES", v->messages);
	if ((items & IMAP_STATUS_RECENT) != 0)
		put_item(b, &space, "RECENT", v->recent);
	if ((items & IMAP_STATUS_UIDNEXT) != 0)
		put_item(b, &space, "UIDNEXT", v->uidnext);
	if ((items & IMAP_STATUS_UIDVALIDITY) != 0)
		put_item(b, &space, "UIDVALIDITY", v->uidvalidity);
	if ((items & IMAP_STATUS_UNSEEN) != 0)
		put_item(b, &space, "UNSEEN", v->unseen);
	if ((items & IMAP_STATUS_SIZE) != 0)
		put_item(b, &space, "SIZE", v->size);
	return buf_byte(b, ')');
}

bool
imap_put_numbers(struct buf *b, const uint32_t *v, size_t n)
{
	PN_ASSERT(n > 0);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && v[end] == v[end - 1] + 1 && v[end] != 0; end++)
			;
		if (i > 0)
			buf_byte(b, ',');
		buf_u64(b, v[i]);
		if (end > i + 1) {
			buf_byte(b, ':');
			buf_u64(b, v[end - 1]);
		}
	}
	return !b->bad;
}

bool
imap_put_text(struct buf *b, struct slice s)
{
	s = slice_head(s, 400);
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = slice_at(s, i);

		buf_byte(b, !ch_is_print(c) || (i == 0 && c == '[') ? '?' : c);
	}
	return !b->bad;
}
