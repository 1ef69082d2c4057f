/* SPDX-License-Identifier: MIT
 * Prints the structure of messages for differential.py: for each file of standard input its name,
 * then a line "depth type/subtype kind octets-of-decoded-body" for each node. */
#include <stdio.h>
#include <string.h>

#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/base/chars.h"
#include "lib/parse/mime/decode.h"

#define MOST ((size_t)(64 * 1024 * 1024))

static size_t
decoded(const struct mime_part *p)
{
	struct mime_decoder d = mime_decoder_of(p->body, p->encoding);
	own(buf_t) b;

	buf_init(&b, MOST);
	while (mime_decode(&d, 65536, &b))
		;
	return b.n;
}

static void
lower(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		(void)putchar(ch_lower(slice_at(s, i)));
}

static int
dump(const char *path)
{
	own(arena_p) a = arena_new("message", LIMIT_ARENA_MESSAGE);
	own(buf_t) in;
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
		(void)printf(" %d %zu\n", (int)p->kind, p->kind == MIME_LEAF ? decoded(p) : 0);
	}
	return 0;
}

int
main(void)
{
	char path[2048];

	while (fgets(path, sizeof path, stdin) != NULL) {
		size_t n = strcspn(path, "\n");

		path[n] = 0;
		if (dump(path) != 0)
			return 1;
	}
	return 0;
}
