/* SPDX-License-Identifier: MIT */
#include "lib/make/mime/structure.h"

#include "lib/base/cfws.h"
#include "lib/base/limits.h"
#include "lib/make/imap/imap.h"
#include "lib/parse/header/address.h"
#include "lib/parse/header/header.h"
#include "lib/parse/header/params.h"

static void
nil(struct buf *b)
{
	(void)buf_add(b, S("NIL"));
}

/* A field body on one line, NIL when the field is absent. */
static bool
put_line(struct buf *b, struct slice body, struct arena *scratch)
{
	struct arena_mark mark = arena_mark(scratch);
	struct slice line;
	bool ok;

	if (body.p == NULL) {
		nil(b);
		return true;
	}
	ok = header_unfold(body, scratch, &line);
	if (ok)
		(void)imap_put_string(b, line);
	arena_rewind(scratch, mark);
	return ok;
}

static void
put_or_nil(struct buf *b, struct slice s)
{
	(void)imap_put_nstring(b, s, s.n == 0);
}

static void
put_address(struct buf *b, const struct address *a)
{
	(void)buf_byte(b, '(');
	switch (a->kind) {
	case ADDRESS_GROUP:
		(void)buf_add(b, S("NIL NIL "));
		(void)imap_put_string(b, a->name);
		(void)buf_add(b, S(" NIL"));
		break;
	case ADDRESS_GROUP_END:
		(void)buf_add(b, S("NIL NIL NIL NIL"));
		break;
	case ADDRESS_MAILBOX:
		put_or_nil(b, a->name);
		(void)buf_byte(b, ' ');
		put_or_nil(b, a->route);
		(void)buf_byte(b, ' ');
		(void)imap_put_string(b, a->local.n > 0 ? a->local : S("MISSING_MAILBOX"));
		(void)buf_byte(b, ' ');
		(void)imap_put_string(b, a->domain.n > 0 ? a->domain : S("MISSING_DOMAIN"));
		break;
	}
	(void)buf_byte(b, ')');
}

/* The addresses of one field body; *any says whether there were some, here or before. */
static bool
put_addresses(struct buf *b, struct slice body, bool *any, struct arena *scratch)
{
	struct arena_mark mark = arena_mark(scratch);
	struct address_reader r = address_reader_of(body, scratch);
	struct address a;
	bool ok;

	while (!b->bad && address_next(&r, &a)) {
		if (!*any)
			(void)buf_byte(b, '(');
		*any = true;
		put_address(b, &a);
	}
	ok = !r.c.bad;
	arena_rewind(scratch, mark);
	return ok;
}

/* The address list of a field, NIL where it is absent or empty. The field may come more than once
 * when name is not empty. */
static bool
put_list(struct buf *b, const struct mime_part *part, struct slice body, struct slice name,
    struct arena *scratch)
{
	struct cursor c = cur_of(part->header);
	struct header_field f;
	bool any = false, ok = true;

	if (body.p != NULL && name.n == 0)
		ok = put_addresses(b, body, &any, scratch);
	while (name.n > 0 && ok && header_next(&c, &f))
		if (slice_ieq(f.name, name))
			ok = put_addresses(b, f.body, &any, scratch);
	if (any)
		(void)buf_byte(b, ')');
	else
		nil(b);
	return ok;
}

/* Whether a list field has nothing but white space. */
static bool
is_blank(struct slice body)
{
	for (size_t i = 0; i < body.n; i++)
		if (!ch_is_fws(slice_at(body, i)))
			return false;
	return true;
}

bool
structure_put_envelope(struct buf *b, const struct mime_part *part, struct arena *scratch)
{
	const struct mime_envelope *e = part->envelope;
	const struct slice once = S("");
	bool ok;

	PN_ASSERT(e != NULL);
	(void)buf_byte(b, '(');
	ok = put_line(b, e->date, scratch);
	(void)buf_byte(b, ' ');
	ok = ok && put_line(b, e->subject, scratch);
	const struct {
		struct slice body, name;
	} lists[] = {
		{ e->from, once },
		{ is_blank(e->sender) ? e->from : e->sender, once },
		{ is_blank(e->reply_to) ? e->from : e->reply_to, once },
		{ e->to, e->more ? S("to") : once },
		{ e->cc, e->more ? S("cc") : once },
		{ e->bcc, e->more ? S("bcc") : once },
	};
	for (size_t i = 0; ok && i < sizeof lists / sizeof lists[0]; i++) {
		(void)buf_byte(b, ' ');
		ok = put_list(b, part, lists[i].body, lists[i].name, scratch);
	}
	(void)buf_byte(b, ' ');
	ok = ok && put_line(b, e->in_reply_to, scratch);
	(void)buf_byte(b, ' ');
	ok = ok && put_line(b, e->message_id, scratch);
	(void)buf_byte(b, ')');
	return ok && !b->bad;
}

static void
put_params(struct buf *b, const struct content *c, bool charset)
{
	bool add = charset && content_find(c, S("charset")) == NULL &&
	    content_find(c, S("charset*")) == NULL;

	if (c->n == 0 && !add) {
		nil(b);
		return;
	}
	(void)buf_byte(b, '(');
	if (add)
		(void)buf_add(b, S("\"charset\" \"us-ascii\""));
	for (size_t i = 0; i < c->n; i++) {
		if (i > 0 || add)
			(void)buf_byte(b, ' ');
		(void)imap_put_string(b, c->param[i].name);
		(void)buf_byte(b, ' ');
		(void)imap_put_string(b, c->param[i].value);
	}
	(void)buf_byte(b, ')');
}

/* body-fld-param of Content-Type. */
static bool
put_type_params(struct buf *b, const struct mime_part *p, bool text, struct arena *scratch)
{
	struct arena_mark mark = arena_mark(scratch);
	struct content c = { 0 };
	bool ok = p->content_type.p == NULL || content_parse(p->content_type, scratch, &c);

	if (ok)
		put_params(b, &c, text);
	arena_rewind(scratch, mark);
	return ok;
}

/* body-fld-dsp. */
static bool
put_disposition(struct buf *b, const struct mime_part *p, struct arena *scratch)
{
	struct arena_mark mark = arena_mark(scratch);
	struct slice value, none;
	struct content c;
	bool ok;

	if (p->disposition.p == NULL || !content_type_only(p->disposition, &value, &none)) {
		nil(b);
		return true;
	}
	ok = content_parse(p->disposition, scratch, &c);
	if (ok) {
		(void)buf_byte(b, '(');
		(void)imap_put_string(b, c.type);
		(void)buf_byte(b, ' ');
		put_params(b, &c, false);
		(void)buf_byte(b, ')');
	}
	arena_rewind(scratch, mark);
	return ok;
}

static bool
is_language(uint8_t c)
{
	return !ch_is_fws(c) && c != ',' && c != '(';
}

/* body-fld-lang: NIL, one tag, or a list of tags (RFC 3282). */
static void
put_language(struct buf *b, const struct mime_part *p)
{
	struct cursor c = cur_of(p->language);
	struct slice tag, first = S("");
	size_t n = 0;

	for (;;) {
		cur_cfws(&c);
		if (cur_byte(&c, ','))
			continue;
		if (!cur_take(&c, is_language, SIZE_MAX, &tag))
			break;
		if (n == 0) {
			first = tag;
		} else {
			if (n == 1) {
				(void)buf_byte(b, '(');
				(void)imap_put_string(b, first);
			}
			(void)buf_byte(b, ' ');
			(void)imap_put_string(b, tag);
		}
		n++;
	}
	if (n == 0)
		nil(b);
	else if (n == 1)
		(void)imap_put_string(b, first);
	else
		(void)buf_byte(b, ')');
}

/* body-fld-dsp, body-fld-lang and body-fld-loc, which end both kinds of extension data. */
static bool
put_tail(struct buf *b, const struct mime_part *p, struct arena *scratch)
{
	(void)buf_byte(b, ' ');
	if (!put_disposition(b, p, scratch))
		return false;
	(void)buf_byte(b, ' ');
	put_language(b, p);
	(void)buf_byte(b, ' ');
	return put_line(b, p->location, scratch);
}

/* body-fields: parameters, id, description, encoding, octets. */
static bool
put_fields(struct buf *b, const struct mime_part *p, bool text, struct arena *scratch)
{
	struct slice encoding = S("7bit"), none;

	if (!put_type_params(b, p, text, scratch))
		return false;
	(void)buf_byte(b, ' ');
	if (!put_line(b, p->id, scratch))
		return false;
	(void)buf_byte(b, ' ');
	if (!put_line(b, p->description, scratch))
		return false;
	(void)buf_byte(b, ' ');
	if (p->transfer_encoding.p != NULL)
		(void)content_type_only(p->transfer_encoding, &encoding, &none);
	(void)imap_put_string(b, encoding);
	(void)buf_byte(b, ' ');
	(void)buf_u64(b, p->body.n);
	return true;
}

static bool
put_md5(struct buf *b, const struct mime_part *p, struct arena *scratch)
{
	(void)buf_byte(b, ' ');
	return put_line(b, p->md5, scratch) && put_tail(b, p, scratch);
}

static bool
put_leaf(struct buf *b, const struct mime_part *p, bool extended, struct arena *scratch)
{
	bool text = mime_is(p, S("text"), S(""));
	bool deep = mime_is(p, S("multipart"), S("")) || mime_is(p, S("message"), S("rfc822")) ||
	    mime_is(p, S("message"), S("global"));

	(void)imap_put_string(b, deep ? S("application") : p->type);
	(void)buf_byte(b, ' ');
	(void)imap_put_string(b, deep ? S("octet-stream") : p->subtype);
	(void)buf_byte(b, ' ');
	if (!put_fields(b, p, text, scratch))
		return false;
	if (text) {
		(void)buf_byte(b, ' ');
		(void)buf_u64(b, p->lines);
	}
	return !extended || put_md5(b, p, scratch);
}

/* What opens a node: for a message everything before the embedded body. */
static bool
put_open(struct buf *b, const struct mime_part *p, struct arena *scratch)
{
	(void)buf_byte(b, '(');
	if (p->kind == MIME_MULTIPART)
		return true;
	(void)imap_put_string(b, p->type);
	(void)buf_byte(b, ' ');
	(void)imap_put_string(b, p->subtype);
	(void)buf_byte(b, ' ');
	if (!put_fields(b, p, false, scratch))
		return false;
	(void)buf_byte(b, ' ');
	if (!structure_put_envelope(b, p->first, scratch))
		return false;
	(void)buf_byte(b, ' ');
	return true;
}

/* What closes a node behind its children. */
static bool
put_close(struct buf *b, const struct mime_part *p, bool extended, struct arena *scratch)
{
	bool ok = true;

	(void)buf_byte(b, ' ');
	if (p->kind == MIME_MULTIPART) {
		(void)imap_put_string(b, p->subtype);
		if (extended) {
			(void)buf_byte(b, ' ');
			ok = put_type_params(b, p, false, scratch) && put_tail(b, p, scratch);
		}
	} else {
		(void)buf_u64(b, p->lines);
		ok = !extended || put_md5(b, p, scratch);
	}
	(void)buf_byte(b, ')');
	return ok;
}

/* A node without children. */
static bool
put_childless(struct buf *b, const struct mime_part *p, bool extended, struct arena *scratch)
{
	bool ok = true;

	(void)buf_byte(b, '(');
	if (p->kind == MIME_MULTIPART) {
		(void)buf_add(b, S("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0"));
		(void)buf_add(b, extended ? S(" NIL NIL NIL NIL)") : S(")"));
		return put_close(b, p, extended, scratch);
	}
	ok = put_leaf(b, p, extended, scratch);
	(void)buf_byte(b, ')');
	return ok;
}

bool
structure_put_body(struct buf *b, const struct mime_part *part, bool extended,
    struct arena *scratch)
{
	const struct mime_part *p = part;
	bool ok = true;

	while (ok && !b->bad) {
		if (p->first != NULL) {
			ok = put_open(b, p, scratch);
			p = p->first;
			continue;
		}
		ok = put_childless(b, p, extended, scratch);
		while (ok && p != part && p->next == NULL) {
			p = p->parent;
			ok = put_close(b, p, extended, scratch);
		}
		if (p == part)
			break;
		p = p->next;
	}
	return ok && !b->bad;
}
