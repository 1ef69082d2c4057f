/* SPDX-License-Identifier: MIT
 * Everything that reads fields: the first octet chooses the reader, the rest is its input. What comes
 * out lies inside the input or the arena, the text is UTF-8 without controls, the work is linear. */
#include "lib/base/cfws.h"
#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/parse/header/address.h"
#include "lib/parse/header/header.h"
#include "lib/parse/header/params.h"
#include "lib/parse/header/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
touch(struct slice s)
{
	volatile uint8_t sum = 0;

	for (size_t i = 0; i < s.n; i++)
		sum = (uint8_t)(sum + slice_at(s, i));
}

static void
linear(const struct cursor *c, size_t n)
{
#ifdef PN_FUZZ
	PN_ASSERT(c->steps <= 64 * n + 64);
#else
	(void)c;
	(void)n;
#endif
}

static void
is_text(const struct buf *b, size_t most)
{
	PN_ASSERT(!b->bad && b->n <= most && utf8_valid(buf_slice(b)));
	for (size_t i = 0; i < b->n; i++)
		PN_ASSERT(b->p[i] >= 0x20 && b->p[i] != 0x7f);
}

static void
headers(struct slice in, struct arena *a)
{
	struct cursor c = cur_of(in);
	struct header_field f;
	struct header h;
	size_t total = 0, fields = 0;

	while (header_next(&c, &f)) {
		struct slice line;

		PN_ASSERT(f.name.n + f.body.n <= f.raw.n && f.raw.n > 0);
		PN_ASSERT(slice_find(f.raw, f.body) != SLICE_NONE);
		PN_ASSERT(header_unfold(f.body, a, &line));
		PN_ASSERT(slice_find_byte(line, '\n') == SLICE_NONE);
		total += f.raw.n;
		fields++;
	}
	linear(&c, in.n);
	PN_ASSERT(c.at - total <= 2 && c.at <= in.n);
	PN_ASSERT(header_length(in) == c.at);
	if (header_split(in, a, &h))
		PN_ASSERT(h.n == fields && h.block.n == c.at && h.rest.n == in.n - c.at);
}

static void
addresses(struct slice in, struct arena *a)
{
	struct address_reader r = address_reader_of(in, a);
	struct address one;
	size_t n = 0, in_group = 0;

	for (; address_next(&r, &one); n++) {
		touch(one.name);
		touch(one.route);
		touch(one.local);
		touch(one.domain);
		in_group += one.kind == ADDRESS_GROUP ? 1 : 0;
		in_group -= one.kind == ADDRESS_GROUP_END ? 1 : 0;
		PN_ASSERT(in_group <= 1);
	}
	PN_ASSERT(!r.c.bad && in_group == 0 && n <= in.n + 1);
	linear(&r.c, in.n);
	if (address_one(in, a, &one))
		PN_ASSERT(n == 1 && one.local.n + one.domain.n > 0);
}

static void
parameters(struct slice in, struct arena *a, struct buf *b)
{
	struct slice type, subtype;
	struct content c;

	PN_ASSERT(content_type_only(in, &type, &subtype) == content_parse(in, a, &c));
	if (!content_parse(in, a, &c))
		return;
	for (size_t i = 0; i < c.n; i++) {
		touch(c.param[i].name);
		touch(c.param[i].value);
		buf_reset(b);
		PN_ASSERT(param_text(&c.param[i], b));
		is_text(b, 9 * in.n + 64);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("fuzz", 16 * 1024 * 1024);
	own(buf_t) b = { .max = 0 };
	struct slice in = slice_of(data, n), id;
	struct cursor c;

	if (n == 0 || n > 65536)
		return 0;
	buf_init(&b, 1024 * 1024);
	in = slice_from(in, 1);
	switch (data[0] % 5) {
	case 0:
		headers(in, a);
		break;
	case 1:
		addresses(in, a);
		break;
	case 2:
		parameters(in, a, &b);
		break;
	case 3:
		PN_ASSERT(words_decode(&b, in));
		is_text(&b, 3 * in.n + 16);
		break;
	default:
		c = cur_of(in);
		while (msgid_next(&c, a, &id))
			for (size_t i = 0; i < id.n; i++)
				PN_ASSERT(!ch_is_fws(slice_at(id, i)));
		PN_ASSERT(!c.bad);
		linear(&c, in.n);
	}
	return 0;
}
