/* SPDX-License-Identifier: MIT */
#include "lib/make/dkim/fold.h"

#define WIDTH ((size_t)76)
#define TAB ((size_t)8)

static void
new_line(struct fold *f)
{
	buf_add(f->b, S("\r\n\t"));
	f->col = TAB;
}

void
fold_begin(struct fold *f, struct buf *b, struct slice name)
{
	*f = (struct fold){ .b = b, .col = name.n + 1 };
	buf_add(b, name);
	buf_byte(b, ':');
}

void
fold_word(struct fold *f, struct slice word, bool space)
{
	if (f->col + word.n + space > WIDTH && f->col > TAB) {
		new_line(f);
	} else if (space) {
		buf_byte(f->b, ' ');
		f->col++;
	}
	buf_add(f->b, word);
	f->col += word.n;
}

void
fold_text(struct fold *f, struct slice text)
{
	while (text.n > 0) {
		size_t room = f->col < WIDTH ? WIDTH - f->col : 0;
		struct slice now = slice_head(text, room);

		if (now.n == 0) {
			new_line(f);
			continue;
		}
		buf_add(f->b, now);
		f->col += now.n;
		text = slice_from(text, now.n);
	}
}

bool
fold_end(struct fold *f)
{
	return buf_add(f->b, S("\r\n"));
}
