/* SPDX-License-Identifier: MIT */
#include "lib/parse/mime/search.h"

#include "lib/base/cfws.h"
#include "lib/base/charset.h"
#include "lib/base/fold.h"
#include "lib/base/limits.h"
#include "lib/parse/header/address.h"
#include "lib/parse/header/params.h"
#include "lib/parse/header/words.h"
#include "lib/parse/mime/decode.h"

#define PIECE ((size_t)32768)
#define MOST_NEEDLE LIMIT_MESSAGE

void
search_begin(struct search *s, struct slice needle)
{
	*s = (struct search){ .needle = S("") };
	buf_init(&s->folded, MOST_NEEDLE);
	buf_init(&s->text, 4 * PIECE + needle.n + 3 * LIMIT_HEADER);
	buf_init(&s->piece, PIECE + 16);
	(void)buf_add(&s->folded, needle);
	if (s->folded.n > 0)
		fold_utf8(s->folded.p, s->folded.n);
	s->needle = buf_slice(&s->folded);
}

void
search_end(struct search *s)
{
	buf_free(&s->folded);
	buf_free(&s->text);
	buf_free(&s->piece);
	s->needle = S("");
}

/* Folds the text behind from and looks for the needle in all of it. */
static bool
found(struct search *s, size_t from)
{
	if (s->text.n > from)
		fold_utf8(&s->text.p[from], s->text.n - from);
	return slice_find(buf_slice(&s->text), s->needle) != SLICE_NONE;
}

static bool
field_holds(struct search *s, const struct header_field *f, bool name_too)
{
	struct slice body = f->body;

	while (body.n > 0 && ch_is_fws(slice_at(body, 0)))
		body = slice_from(body, 1);
	buf_reset(&s->text);
	if (name_too) {
		(void)buf_add(&s->text, f->name);
		(void)buf_add(&s->text, S(": "));
	}
	(void)words_decode(&s->text, body);
	return found(s, 0);
}

static bool
is_address_field(struct slice name)
{
	static const struct slice names[] = { S_INIT("From"), S_INIT("To"), S_INIT("Cc"),
		S_INIT("Bcc"), S_INIT("Sender"), S_INIT("Reply-To") };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (slice_ieq(names[i], name))
			return true;
	return false;
}

/* Addresses one after the other, "\n" between, so that the needle does not reach over two. */
static bool
address_holds(struct search *s, const struct header_field *f, struct arena *scratch)
{
	struct arena_mark mark = arena_mark(scratch);
	struct address_reader r = address_reader_of(f->body, scratch);
	struct address a;

	buf_reset(&s->text);
	while (address_next(&r, &a)) {
		if (a.kind != ADDRESS_MAILBOX)
			continue;
		(void)buf_add(&s->text, a.local);
		(void)buf_byte(&s->text, '@');
		(void)buf_add(&s->text, a.domain);
		(void)buf_byte(&s->text, '\n');
	}
	arena_rewind(scratch, mark);
	return found(s, 0);
}

bool
search_header(struct search *s, struct slice block, struct slice name, struct arena *scratch)
{
	bool addresses = is_address_field(name);
	struct cursor c = cur_of(block);
	struct header_field f;

	while (header_next(&c, &f)) {
		if (!slice_ieq(f.name, name))
			continue;
		if (field_holds(s, &f, false) || (addresses && address_holds(s, &f, scratch)))
			return true;
	}
	return false;
}

bool
search_block(struct search *s, struct slice block)
{
	struct cursor c = cur_of(block);
	struct header_field f;

	while (header_next(&c, &f))
		if (field_holds(s, &f, f.name.n > 0))
			return true;
	return false;
}

static struct charset
charset_of_part(const struct mime_part *part, struct arena *scratch)
{
	struct arena_mark mark = arena_mark(scratch);
	struct charset charset = charset_of(S(""));
	struct content type;

	if (part->content_type.p != NULL && content_parse(part->content_type, scratch, &type)) {
		const struct param *p = content_find(&type, S("charset"));

		if (p != NULL)
			charset = charset_of(p->value);
	}
	arena_rewind(scratch, mark);
	return charset;
}

bool
search_part(struct search *s, const struct mime_part *part, struct arena *scratch)
{
	struct mime_decoder d = mime_decoder_of(part->body, part->encoding);
	struct charset charset = charset_of_part(part, scratch);
	size_t from = 0, keep = s->needle.n;
	bool more = true;

	buf_reset(&s->text);
	while (more) {
		buf_reset(&s->piece);
		more = mime_decode(&d, PIECE, &s->piece);
		/* charset_feed() gives whole code points, so each piece can be folded alone */
		if (more)
			(void)charset_feed(&charset, buf_slice(&s->piece), &s->text);
		else
			(void)charset_end(&charset, &s->text);
		if (found(s, from))
			return true;
		/* the needle may begin in what is here and end in what comes */
		if (s->text.n > keep)
			buf_drop_front(&s->text, s->text.n - keep);
		from = s->text.n;
	}
	return false;
}

bool
search_body(struct search *s, const struct mime *m, struct arena *scratch)
{
	for (const struct mime_part *p = m->root; p != NULL; p = mime_next(p, m->root)) {
		if (p->envelope != NULL && p->parent != NULL && search_block(s, p->header))
			return true;
		if (p->kind == MIME_LEAF && mime_is(p, S("text"), S("")) && search_part(s, p, scratch))
			return true;
	}
	return false;
}
