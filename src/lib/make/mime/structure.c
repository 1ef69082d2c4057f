/* SPDX-License-Identifier: MIT */
#include "lib/make/mime/structure.h"

#include "lib/base/cfws.h"
#include "lib/base/ckd.h"
#include "lib/base/limits.h"
#include "lib/make/imap/imap.h"
#include "lib/parse/header/address.h"
#include "lib/parse/header/header.h"
#include "lib/parse/header/params.h"

/* An answer under construction. */
struct answer {
	struct buf *b;
	struct arena *scratch;
	size_t budget;		/* when b has this many octets, only NIL follows */
};

static struct answer
answer_of(struct buf *b, struct arena *scratch)
{
	size_t budget;

	if (ckd_add(&budget, b->n, LIMIT_STRUCTURE))
		budget = SIZE_MAX;
	return (struct answer){ b, scratch, budget };
}

static bool
spent(const struct answer *w)
{
	return w->b->n >= w->budget;
}

/* A name that cannot be NIL: overlong it is no name (RFC 6838 section 4.2 allows 127 octets). */
static void
put_name(const struct answer *w, struct slice s, struct slice fallback)
{
	(void)imap_put_string(w->b, s.n > 127 || (s.n > 20 && spent(w)) ? fallback : s);
}

static void
nil(struct buf *b)
{
	(void)buf_add(b, S("NIL"));
}

/* A field body on one line, NIL when the field is absent. */
static bool
put_line(const struct answer *w, struct slice body)
{
	struct arena_mark mark = arena_mark(w->scratch);
	struct slice line;
	bool ok;

	if (body.p == NULL || spent(w)) {
		nil(w->b);
		return true;
	}
	ok = header_unfold(body, w->scratch, &line);
	if (ok)
		(void)imap_put_string(w->b, line);
	arena_rewind(w->scratch, mark);
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

/* The addresses of one field body; *any says whether there were some, here or before, *group whether
 * one is open. */
static bool
put_addresses(const struct answer *w, struct slice body, bool *any, bool *group)
{
	struct arena_mark mark = arena_mark(w->scratch);
	struct address_reader r = address_reader_of(body, w->scratch);
	struct address a;
	bool ok;

	while (!w->b->bad && !spent(w) && address_next(&r, &a)) {
		if (!*any)
			(void)buf_byte(w->b, '(');
		*any = true;
		*group = a.kind == ADDRESS_GROUP || (*group && a.kind != ADDRESS_GROUP_END);
		put_address(w->b, &a);
	}
	ok = !r.c.bad;
	arena_rewind(w->scratch, mark);
	return ok;
}

/* The address list of a field, NIL where it is absent or empty. The field may come more than once
 * when name is not empty. */
static bool
put_list(const struct answer *w, const struct mime_part *part, struct slice body, struct slice name)
{
	struct cursor c = cur_of(part->header);
	struct header_field f;
	bool any = false, group = false, ok = true;

	if (body.p != NULL && name.n == 0)
		ok = put_addresses(w, body, &any, &group);
	while (name.n > 0 && ok && !spent(w) && header_next(&c, &f))
		if (slice_ieq(f.name, name))
			ok = put_addresses(w, f.body, &any, &group);
	if (group)
		(void)buf_add(w->b, S("(NIL NIL NIL NIL)"));
	if (any)
		(void)buf_byte(w->b, ')');
	else
		nil(w->b);
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

/* What stands in b from from on, n octets, once more. */
static void
put_again(struct buf *b, size_t from, size_t n)
{
	uint8_t *to = buf_room(b, n);

	if (to == NULL || n == 0)
		return;
	memcpy(to, &b->p[from], n);
	buf_grown(b, n);
}

/* From, and Sender and Reply-To, which are From where they are absent or empty. */
static bool
put_senders(const struct answer *w, const struct mime_part *part)
{
	const struct mime_envelope *e = part->envelope;
	const struct slice others[] = { e->sender, e->reply_to };
	size_t from = w->b->n, n;

	if (!put_list(w, part, e->from, S("")))
		return false;
	n = w->b->n - from;
	for (size_t i = 0; i < 2; i++) {
		(void)buf_byte(w->b, ' ');
		if (is_blank(others[i]) && !spent(w))
			put_again(w->b, from, n);
		else if (!put_list(w, part, is_blank(others[i]) ? e->from : others[i], S("")))
			return false;
	}
	return true;
}

static bool
put_envelope(const struct answer *w, const struct mime_part *part)
{
	const struct mime_envelope *e = part->envelope;
	const struct slice once = S("");
	bool ok;

	PN_ASSERT(e != NULL);
	(void)buf_byte(w->b, '(');
	ok = put_line(w, e->date);
	(void)buf_byte(w->b, ' ');
	ok = ok && put_line(w, e->subject);
	(void)buf_byte(w->b, ' ');
	ok = ok && put_senders(w, part);
	const struct {
		struct slice body, name;
	} lists[] = {
		{ e->to, e->more ? S("to") : once },
		{ e->cc, e->more ? S("cc") : once },
		{ e->bcc, e->more ? S("bcc") : once },
	};
	for (size_t i = 0; ok && i < sizeof lists / sizeof lists[0]; i++) {
		(void)buf_byte(w->b, ' ');
		ok = put_list(w, part, lists[i].body, lists[i].name);
	}
	(void)buf_byte(w->b, ' ');
	ok = ok && put_line(w, e->in_reply_to);
	(void)buf_byte(w->b, ' ');
	ok = ok && put_line(w, e->message_id);
	(void)buf_byte(w->b, ')');
	return ok;
}

bool
structure_put_envelope(struct buf *b, const struct mime_part *part, struct arena *scratch)
{
	struct answer w = answer_of(b, scratch);

	return put_envelope(&w, part) && !b->bad;
}

static void
put_params(const struct answer *w, const struct content *c, bool charset)
{
	struct buf *b = w->b;
	bool add = charset && content_find(c, S("charset")) == NULL &&
	    content_find(c, S("charset*")) == NULL;

	if ((c->n == 0 && !add) || spent(w)) {
		nil(b);
		return;
	}
	(void)buf_byte(b, '(');
	if (add)
		(void)buf_add(b, S("\"charset\" \"us-ascii\""));
	for (size_t i = 0; i < c->n && (i == 0 || !spent(w)); i++) {
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
put_type_params(const struct answer *w, const struct mime_part *p, bool text)
{
	struct arena_mark mark = arena_mark(w->scratch);
	struct content c = { 0 };
	bool ok = p->content_type.p == NULL || content_parse(p->content_type, w->scratch, &c);

	if (ok)
		put_params(w, &c, text);
	arena_rewind(w->scratch, mark);
	return ok;
}

/* body-fld-dsp. */
static bool
put_disposition(const struct answer *w, const struct mime_part *p)
{
	struct arena_mark mark = arena_mark(w->scratch);
	struct buf *b = w->b;
	struct slice value, none;
	struct content c;
	bool ok;

	if (p->disposition.p == NULL || spent(w) ||
	    !content_type_only(p->disposition, &value, &none)) {
		nil(b);
		return true;
	}
	ok = content_parse(p->disposition, w->scratch, &c);
	if (ok) {
		(void)buf_byte(b, '(');
		put_name(w, c.type, S("attachment"));
		(void)buf_byte(b, ' ');
		put_params(w, &c, false);
		(void)buf_byte(b, ')');
	}
	arena_rewind(w->scratch, mark);
	return ok;
}

static bool
is_language(uint8_t c)
{
	return !ch_is_fws(c) && c != ',' && c != '(';
}

/* body-fld-lang: NIL, one tag, or a list of tags (RFC 3282). */
static void
put_language(const struct answer *w, const struct mime_part *p)
{
	struct buf *b = w->b;
	struct cursor c = cur_of(p->language);
	struct slice tag, first = S("");
	size_t n = 0;

	while (!spent(w)) {
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
put_tail(const struct answer *w, const struct mime_part *p)
{
	struct buf *b = w->b;
	(void)buf_byte(b, ' ');
	if (!put_disposition(w, p))
		return false;
	(void)buf_byte(b, ' ');
	put_language(w, p);
	(void)buf_byte(b, ' ');
	return put_line(w, p->location);
}

/* body-fields: parameters, id, description, encoding, octets. */
static bool
put_fields(const struct answer *w, const struct mime_part *p, bool text)
{
	struct buf *b = w->b;
	struct slice encoding = S("7bit"), none;

	if (!put_type_params(w, p, text))
		return false;
	(void)buf_byte(b, ' ');
	if (!put_line(w, p->id))
		return false;
	(void)buf_byte(b, ' ');
	if (!put_line(w, p->description))
		return false;
	(void)buf_byte(b, ' ');
	if (p->transfer_encoding.p != NULL)
		(void)content_type_only(p->transfer_encoding, &encoding, &none);
	put_name(w, encoding, S("7bit"));
	(void)buf_byte(b, ' ');
	(void)buf_u64(b, p->body.n);
	return true;
}

static bool
put_md5(const struct answer *w, const struct mime_part *p)
{
	struct buf *b = w->b;
	(void)buf_byte(b, ' ');
	return put_line(w, p->md5) && put_tail(w, p);
}

static bool
put_leaf(const struct answer *w, const struct mime_part *p, bool extended)
{
	struct buf *b = w->b;
	bool text = mime_is(p, S("text"), S(""));
	bool deep = mime_is(p, S("multipart"), S("")) || mime_is(p, S("message"), S("rfc822")) ||
	    mime_is(p, S("message"), S("global"));

	put_name(w, deep ? S("application") : p->type, S("application"));
	(void)buf_byte(b, ' ');
	put_name(w, deep ? S("octet-stream") : p->subtype, text ? S("plain") : S("octet-stream"));
	(void)buf_byte(b, ' ');
	if (!put_fields(w, p, text))
		return false;
	if (text) {
		(void)buf_byte(b, ' ');
		(void)buf_u64(b, p->lines);
	}
	return !extended || put_md5(w, p);
}

/* What opens a node: for a message everything before the embedded body. */
static bool
put_open(const struct answer *w, const struct mime_part *p)
{
	struct buf *b = w->b;
	(void)buf_byte(b, '(');
	if (p->kind == MIME_MULTIPART)
		return true;
	(void)imap_put_string(b, p->type);
	(void)buf_byte(b, ' ');
	(void)imap_put_string(b, p->subtype);
	(void)buf_byte(b, ' ');
	if (!put_fields(w, p, false))
		return false;
	(void)buf_byte(b, ' ');
	if (!put_envelope(w, p->first))
		return false;
	(void)buf_byte(b, ' ');
	return true;
}

/* What closes a node behind its children. */
static bool
put_close(const struct answer *w, const struct mime_part *p, bool extended)
{
	struct buf *b = w->b;
	bool ok = true;

	(void)buf_byte(b, ' ');
	if (p->kind == MIME_MULTIPART) {
		put_name(w, p->subtype, S("mixed"));
		if (extended) {
			(void)buf_byte(b, ' ');
			ok = put_type_params(w, p, false) && put_tail(w, p);
		}
	} else {
		(void)buf_u64(b, p->lines);
		ok = !extended || put_md5(w, p);
	}
	(void)buf_byte(b, ')');
	return ok;
}

/* A node without children. */
static bool
put_childless(const struct answer *w, const struct mime_part *p, bool extended)
{
	struct buf *b = w->b;
	bool ok = true;

	(void)buf_byte(b, '(');
	if (p->kind == MIME_MULTIPART) {
		(void)buf_add(b, S("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0"));
		(void)buf_add(b, extended ? S(" NIL NIL NIL NIL)") : S(")"));
		return put_close(w, p, extended);
	}
	ok = put_leaf(w, p, extended);
	(void)buf_byte(b, ')');
	return ok;
}

bool
structure_put_body(struct buf *b, const struct mime_part *part, bool extended,
    struct arena *scratch)
{
	struct answer answer = answer_of(b, scratch), *w = &answer;
	const struct mime_part *p = part;
	bool ok = true;

	while (ok && !b->bad) {
		if (p->first != NULL) {
			ok = put_open(w, p);
			p = p->first;
			continue;
		}
		ok = put_childless(w, p, extended);
		while (ok && p != part && p->next == NULL) {
			p = p->parent;
			ok = put_close(w, p, extended);
		}
		if (p == part)
			break;
		p = p->next;
	}
	return ok && !b->bad;
}
