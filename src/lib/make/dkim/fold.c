/* SPDX-License-Identifier: MIT */
#include "lib/make/dkim/fold.h"

#include "lib/base/own.h"

#define WIDTH ((size_t)76)
#define INDENT ((size_t)1)

void
fold_line(struct fold *f)
{
	/* a space, not a tab: dkimpy looks for " i=" in an ARC-Message-Signature */
	buf_add(f->b, S("\r\n "));
	f->col = INDENT;
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
	if (f->col + word.n + space > WIDTH && f->col > INDENT) {
		fold_line(f);
	} else if (space && f->col > INDENT) {
		buf_byte(f->b, ' ');
		f->col++;
	}
	buf_add(f->b, word);
	f->col += word.n;
}

void
fold_pair(struct fold *f, struct slice tag, struct slice value)
{
	own(buf_t) word = { .max = 512 };

	buf_add(&word, tag);
	buf_add(&word, value);
	if (!buf_byte(&word, ';'))
		f->b->bad = true;
	fold_word(f, buf_slice(&word), true);
}

void
fold_number(struct fold *f, struct slice tag, uint64_t value)
{
	own(buf_t) digits = { .max = 32 };

	buf_u64(&digits, value);
	fold_pair(f, tag, buf_slice(&digits));
}

void
fold_names(struct fold *f, const struct slice *names, size_t n)
{
	own(buf_t) word = { .max = 512 };

	if (n == 0)
		fold_word(f, S("h=;"), true);
	for (size_t i = 0; i < n; i++) {
		buf_reset(&word);
		buf_add(&word, i == 0 ? S("h=") : S(""));
		buf_add(&word, names[i]);
		if (!buf_byte(&word, i + 1 == n ? ';' : ':'))
			f->b->bad = true;
		fold_word(f, buf_slice(&word), i == 0);
	}
}

void
fold_text(struct fold *f, struct slice text)
{
	while (text.n > 0) {
		size_t room = f->col < WIDTH ? WIDTH - f->col : 0;
		struct slice now = slice_head(text, room);

		if (now.n == 0) {
			fold_line(f);
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
