/* SPDX-License-Identifier: MIT
 * Prints the structure of messages for differential.py: for each file of standard input its name,
 * then a line "depth type/subtype kind octets-of-decoded-body" for each node. With -t the line goes
 * on: offsets of header, body and end, and the decoded body in hexadecimal, text as UTF-8; with -r
 * text as it is. */
#include <stdio.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/base/chars.h"
#include "lib/base/charset.h"
#include "lib/parse/header/params.h"
#include "lib/parse/mime/decode.h"

#define PIECE ((size_t)65536)
#define MOST ((size_t)(64 * 1024 * 1024))

/* The decoded body; text as UTF-8. */
static void
decoded(const struct mime_part *p, bool as_text, struct buf *out)
{
	struct mime_decoder d = mime_decoder_of(p->body, p->encoding);
	own(arena_p) a = arena_new("content", LIMIT_ARENA_MESSAGE);
	struct charset charset = charset_of(S(""));
	const struct param *name = NULL;
	struct content c;
	own(buf_t) piece = { .max = 0 };

	buf_init(&piece, 2 * PIECE);
	if (p->content_type.p != NULL && content_parse(p->content_type, a, &c))
		name = content_find(&c, S("charset"));
	if (name != NULL)
		charset = charset_of(name->value);
	while (mime_decode(&d, PIECE, &piece)) {
		if (as_text)
			(void)charset_feed(&charset, buf_slice(&piece), out);
		else
			(void)buf_add(out, buf_slice(&piece));
		buf_reset(&piece);
	}
	if (as_text)
		(void)charset_end(&charset, out);
}

static void
lower(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		(void)putchar(ch_lower(slice_at(s, i)));
}

static int
dump(const char *path, bool texts, bool raw)
{
	own(arena_p) a = arena_new("message", LIMIT_ARENA_MESSAGE);
	own(buf_t) in = { .max = 0 };
	FILE *f = fopen(path, "rb");
	struct mime m;

	if (f == NULL)
		return 1;
	buf_init(&in, MOST);
	for (uint8_t *room; (room = buf_room(&in, 65536)) != NULL;) {
		size_t n = fread(room, 1, 65536, f);

		buf_grown(&in, n);
		if (n == 0)
			break;
	}
	(void)fclose(f);
	if (!mime_parse(buf_slice(&in), a, &m))
		return 1;
	(void)printf("=%s\n", path);
	for (const struct mime_part *p = m.root; p != NULL; p = mime_next(p, m.root)) {
		(void)printf("%u ", p->depth);
		lower(p->type);
		(void)putchar('/');
		lower(p->subtype);
		own(buf_t) out = { .max = 0 };

		buf_init(&out, MOST);
		if (p->kind == MIME_LEAF)
			decoded(p, texts && !raw && mime_is(p, S("text"), S("")), &out);
		(void)printf(" %d %zu", (int)p->kind, out.n);
		if (texts) {
			(void)printf(" %zu %zu %zu ", p->body_at - p->header.n, p->body_at,
			    p->body_at + p->body.n);
			for (size_t i = 0; i < out.n; i++)
				(void)printf("%02x", out.p[i]);
		}
		(void)putchar('\n');
	}
	return 0;
}

int
main(int argc, char **argv)
{
	char path[2048];

	while (fgets(path, sizeof path, stdin) != NULL) {
		size_t n = strcspn(path, "\n");

		path[n] = 0;
		if (dump(path, argc > 1, argc > 1 && argv[1][1] == 'r') != 0)
			return 1;
	}
	return 0;
}
