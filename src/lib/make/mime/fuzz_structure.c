/* SPDX-License-Identifier: MIT
 * A message: its tree holds together, its parts lie inside it and apart from each other, every part is
 * found again by its number, decoding never grows, and what the writers say is read back by a client
 * that believes nothing. */
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/make/mime/strict.h"
#include "lib/make/mime/structure.h"
#include "lib/parse/mime/decode.h"
#include "lib/parse/mime/section.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
tree(const struct mime *m)
{
	uint32_t n = 0;

	for (const struct mime_part *p = m->root; p != NULL; p = mime_next(p, m->root), n++) {
		size_t at = p->body_at;

		PN_ASSERT(p->depth < LIMIT_MIME_DEPTH && p->type.n > 0 && p->subtype.n > 0);
		PN_ASSERT(p->body.n <= m->in.n - p->body_at);
		PN_ASSERT(p->lines == slice_count_byte(p->body, '\n'));
		for (const struct mime_part *c = p->first; c != NULL; c = c->next) {
			PN_ASSERT(c->parent == p && c->body_at - c->header.n >= at);
			at = c->body_at + c->body.n;
			PN_ASSERT(at <= p->body_at + p->body.n);
		}
	}
	PN_ASSERT(n == m->parts && n <= LIMIT_MIME_PARTS);
}

/* The number of a part, from the root down; 0 for an embedded message, which has none of its own. */
static size_t
number_of(const struct mime_part *p, uint32_t *number)
{
	size_t n = 0;

	for (; p->parent != NULL; p = p->parent)
		if (p->parent->kind == MIME_MULTIPART)
			number[n++] = p->number;
		else if (p->kind != MIME_MULTIPART)
			number[n++] = 1;
	if (p->kind != MIME_MULTIPART)
		number[n++] = 1;
	for (size_t i = 0; i < n / 2; i++) {
		uint32_t swap = number[i];

		number[i] = number[n - 1 - i];
		number[n - 1 - i] = swap;
	}
	return n;
}

static void
sections(const struct mime *m, struct buf *b)
{
	static const struct slice names[] = { S_INIT("subject"), S_INIT("to") };
	uint32_t number[LIMIT_MIME_DEPTH + 1];
	size_t tries = 0;

	for (const struct mime_part *p = m->root; p != NULL && tries++ < 100;
	     p = mime_next(p, m->root)) {
		struct mime_section s = { .part = number, .field = names, .n_fields = 2 };
		struct slice out;

		s.n_part = number_of(p, number);
		if (p->kind == MIME_MULTIPART && p->envelope != NULL)
			continue; /* has no number */
		PN_ASSERT(mime_find(m, number, s.n_part) == p);
		PN_ASSERT(mime_section(m, &s, b, &out) && slice_eq(out, p->body));
		s.what = MIME_SECTION_FIELDS_NOT;
		buf_reset(b);
		if (mime_section(m, &s, b, &out))
			PN_ASSERT(out.n <= p->body.n + 4 && slice_ends(out, S("\r\n")));
	}
}

static void
bodies(const struct mime *m, struct buf *b)
{
	for (const struct mime_part *p = m->root; p != NULL; p = mime_next(p, m->root)) {
		struct mime_decoder d = mime_decoder_of(p->body, p->encoding);

		if (p->kind != MIME_LEAF)
			continue;
		buf_reset(b);
		while (mime_decode(&d, 7, b))
			;
		PN_ASSERT(!b->bad && b->n <= p->body.n);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("message", LIMIT_ARENA_MESSAGE);
	own(arena_p) scratch = arena_new("scratch", LIMIT_ARENA_MESSAGE);
	own(buf_t) b = { .max = 0 };
	struct mime m;
	struct cursor c;
	size_t parts = 0, again = 0;

	if (n > 65536)
		return 0;
	buf_init(&b, 64 * 1024 * 1024);
	PN_ASSERT(mime_parse(slice_of(data, n), a, &m));
	tree(&m);
	sections(&m, &b);
	bodies(&m, &b);
	buf_reset(&b);
	PN_ASSERT(structure_put_envelope(&b, m.root, scratch));
	c = cur_of(buf_slice(&b));
	PN_ASSERT(strict_envelope(&c) && cur_done(&c));
	buf_reset(&b);
	PN_ASSERT(structure_put_body(&b, m.root, false, scratch));
	c = cur_of(buf_slice(&b));
	PN_ASSERT(strict_body(&c, false, LIMIT_MIME_DEPTH + 1, &parts) && cur_done(&c));
	buf_reset(&b);
	PN_ASSERT(structure_put_body(&b, m.root, true, scratch));
	c = cur_of(buf_slice(&b));
	PN_ASSERT(strict_body(&c, true, LIMIT_MIME_DEPTH + 1, &again) && cur_done(&c));
	PN_ASSERT(parts == again && arena_used(scratch) == 0);
	return 0;
}
