/* SPDX-License-Identifier: MIT
 * The first line is a needle, the rest a message. What streams through a search in pieces must give
 * what a look at the whole decoded text gives. */
#include "lib/base/charset.h"
#include "lib/base/encode.h"
#include "lib/base/fold.h"
#include "lib/base/own.h"
#include "lib/parse/header/params.h"
#include "lib/parse/mime/decode.h"
#include "lib/parse/mime/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The slow way: all of the part in one buffer. */
static bool
whole(const struct mime_part *p, struct slice needle, struct arena *a)
{
	struct mime_decoder d = mime_decoder_of(p->body, p->encoding);
	struct charset charset = charset_of(S(""));
	const struct param *name = NULL;
	struct content c;
	own(buf_t) octets, text;

	buf_init(&octets, 1024 * 1024);
	buf_init(&text, 4 * 1024 * 1024);
	if (p->content_type.p != NULL && content_parse(p->content_type, a, &c))
		name = content_find(&c, S("charset"));
	if (name != NULL)
		charset = charset_of(name->value);
	while (mime_decode(&d, 3, &octets))
		;
	(void)charset_feed(&charset, buf_slice(&octets), &text);
	(void)charset_end(&charset, &text);
	PN_ASSERT(!text.bad && utf8_valid(buf_slice(&text)));
	if (text.n > 0)
		fold_utf8(text.p, text.n);
	PN_ASSERT(utf8_valid(buf_slice(&text)));
	return slice_find(buf_slice(&text), needle) != SLICE_NONE;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("fuzz", 8 * 1024 * 1024);
	struct slice in = slice_of(data, n), needle;
	struct search s;
	struct mime m;

	if (n > 65536 || !slice_cut(in, '\n', &needle, &in) || !mime_parse(in, a, &m))
		return 0;
	search_begin(&s, needle);
	for (const struct mime_part *p = m.root; p != NULL; p = mime_next(p, m.root))
		if (p->kind == MIME_LEAF)
			PN_ASSERT(search_part(&s, p, a) == whole(p, s.needle, a));
	(void)search_body(&s, &m, a);
	(void)search_block(&s, m.root->header);
	(void)search_header(&s, m.root->header, S("From"), a);
	search_end(&s);
	return 0;
}
