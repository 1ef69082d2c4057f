/* SPDX-License-Identifier: MIT */
#include "rooms/mailbox/match.h"

#include "lib/base/encode.h"
#include "lib/base/charset.h"
#include "lib/parse/header/address.h"
#include "lib/parse/header/params.h"
#include "lib/parse/header/words.h"
#include "lib/parse/mime/decode.h"

/* Lower case of two-octet code points whose lower case has two octets as well. */
static uint32_t
fold_cp(uint32_t cp)
{
	if ((cp >= 0xc0 && cp <= 0xde && cp != 0xd7) || (cp >= 0x391 && cp <= 0x3a9) ||
	    (cp >= 0x410 && cp <= 0x42f))
		return cp + 0x20;
	if (cp >= 0x400 && cp <= 0x40f)
		return cp + 0x50;
	if ((cp >= 0x100 && cp <= 0x137) || (cp >= 0x14a && cp <= 0x177) ||
	    (cp >= 0x460 && cp <= 0x481))
		return cp == 0x130 || cp == 0x131 ? cp : cp | 1;
	if ((cp >= 0x139 && cp <= 0x148) || (cp >= 0x179 && cp <= 0x17e))
		return cp + (cp & 1);
	return cp;
}

/* Folds in place; octets that are no UTF-8 stay. */
static void
fold(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] < 0x80) {
			p[i] = ch_lower(p[i]);
		} else if (p[i] >= 0xc2 && p[i] <= 0xdf && i + 1 < n && (p[i + 1] & 0xc0) == 0x80) {
			uint32_t cp = fold_cp((uint32_t)(p[i] & 0x1f) << 6 | (p[i + 1] & 0x3f));

			p[i] = (uint8_t)(0xc0 | cp >> 6);
			p[++i] = (uint8_t)(0x80 | (cp & 0x3f));
		}
	}
}

static void
fold_from(struct buf *b, size_t from)
{
	if (from < b->n)
		fold(&b->p[from], b->n - from);
}

bool
match_fold(struct slice in, struct arena *a, struct slice *out)
{
	uint8_t *p = arena_alloc(a, in.n, 1);

	if (p == NULL)
		return false;
	memcpy(p, in.p, in.n);
	fold(p, in.n);
	*out = slice_of(p, in.n);
	return true;
}

/* Folds what a buffer holds and looks for the needle. */
static bool
found(struct buf *text, struct slice needle)
{
	fold_from(text, 0);
	return slice_find(buf_slice(text), needle) != SLICE_NONE;
}

/* One field, decoded: with its name, or its body alone. */
static bool
field_holds(const struct header_field *f, bool name_too, struct slice needle)
{
	struct buf text;
	bool hit;

	if (needle.n == 0)
		return true;
	buf_init(&text, 3 * f->raw.n + 64);
	if (name_too) {
		buf_add(&text, f->name);
		buf_add(&text, S(": "));
	}
	(void)words_decode(&text, f->body);
	hit = found(&text, needle);
	buf_free(&text);
	return hit;
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

/* An address is found as ENVELOPE shows it, whatever comments and blanks stand inside. */
static bool
address_holds(struct message *m, const struct header_field *f, struct slice needle)
{
	struct arena_mark mark = arena_mark(message_arena(m));
	struct address_reader r = address_reader_of(f->body, message_arena(m));
	struct address a;
	struct buf text;
	bool hit = false;

	buf_init(&text, 2 * f->body.n + 64);
	while (!hit && address_next(&r, &a)) {
		buf_reset(&text);
		buf_add(&text, a.local);
		buf_byte(&text, '@');
		buf_add(&text, a.domain);
		hit = a.kind == ADDRESS_MAILBOX && found(&text, needle);
	}
	buf_free(&text);
	arena_rewind(message_arena(m), mark);
	return hit;
}

enum match_result
match_header(struct message *m, struct slice field, struct slice needle)
{
	bool addresses = is_address_field(field);
	struct slice block;
	struct header_field f;

	if (!message_header(m, &block))
		return MATCH_FAILED;
	for (struct cursor c = cur_of(block); header_next(&c, &f);)
		if (slice_ieq(f.name, field) &&
		    (field_holds(&f, false, needle) ||
			(addresses && address_holds(m, &f, needle))))
			return MATCH_YES;
	return MATCH_NO;
}

/* Whether a stream of pieces holds the needle: each look begins a needle's length before the new text. */
struct sought {
	struct slice needle;
	struct charset charset;
	struct buf text; /* folded; what was looked through already is dropped */
};

static bool
look(struct sought *w, struct slice octets)
{
	size_t from = w->text.n, keep = w->needle.n + 2;

	(void)charset_feed(&w->charset, octets, &w->text);
	/* a code point that was cut is fed later, so folding by pieces is safe */
	fold_from(&w->text, from);
	if (slice_find(buf_slice(&w->text), w->needle) != SLICE_NONE)
		return true;
	if (w->text.n > keep)
		buf_drop_front(&w->text, w->text.n - keep);
	return false;
}

#define PIECE ((size_t)65536)

static struct charset
charset_of_part(const struct mime_part *part, struct arena *a)
{
	struct content type;
	const struct param *p = NULL;

	if (part->content_type.p != NULL && content_parse(part->content_type, a, &type))
		p = content_find(&type, S("charset"));
	return charset_of(p == NULL ? S("") : p->value);
}

static bool
part_holds(struct message *m, const struct mime_part *part, struct slice needle)
{
	struct sought w = { .needle = needle };
	struct arena_mark mark = arena_mark(message_arena(m));
	struct mime_decoder d = mime_decoder_of(part->body, part->encoding);
	struct buf piece;
	bool hit = false;

	w.charset = charset_of_part(part, message_arena(m));
	buf_init(&piece, PIECE + 16);
	buf_init(&w.text, 4 * PIECE + needle.n + 64);
	while (!hit && mime_decode(&d, PIECE, &piece)) {
		hit = look(&w, buf_slice(&piece));
		buf_reset(&piece);
	}
	buf_free(&piece);
	buf_free(&w.text);
	arena_rewind(message_arena(m), mark);
	return hit;
}

/* Text parts, and the headers of embedded messages, which a reader sees as text too. */
static bool
holds(struct message *m, const struct mime_part *part, struct slice needle)
{
	struct header_field f;

	if (part->envelope != NULL && part->parent != NULL)
		for (struct cursor c = cur_of(part->header); header_next(&c, &f);)
			if (field_holds(&f, true, needle))
				return true;
	return part->kind == MIME_LEAF && mime_is(part, S("text"), S("")) &&
	    part_holds(m, part, needle);
}

enum match_result
match_body(struct message *m, struct slice needle)
{
	const struct mime *tree;

	if (!message_tree(m, &tree))
		return MATCH_FAILED;
	if (needle.n == 0)
		return MATCH_YES;
	for (const struct mime_part *p = tree->root; p != NULL; p = mime_next(p, tree->root))
		if (holds(m, p, needle))
			return MATCH_YES;
	return MATCH_NO;
}

enum match_result
match_text(struct message *m, struct slice needle)
{
	struct slice block;
	struct header_field f;

	if (!message_header(m, &block))
		return MATCH_FAILED;
	for (struct cursor c = cur_of(block); header_next(&c, &f);)
		if (field_holds(&f, true, needle))
			return MATCH_YES;
	return match_body(m, needle);
}
