/* SPDX-License-Identifier: MIT */
#include "lib/parse/header/words.h"

#include "lib/base/cfws.h"
#include "lib/base/charset.h"

#define CHUNK ((size_t)192) /* a multiple of 3 and 4 */

struct decoder {
	struct buf *out;
	struct charset charset;
	bool in_word;		/* charset belongs to an encoded-word that may go on */
	uint8_t chunk[CHUNK];
	size_t n;
};

struct word {
	struct slice charset, text;
	bool base64;
	size_t end;		/* position behind "?=" */
};

static void
flush(struct decoder *d)
{
	(void)charset_feed(&d->charset, slice_of(d->chunk, d->n), d->out);
	d->n = 0;
}

/* Control characters would let an encoded-word say what a header line cannot. */
static void
put(struct decoder *d, uint8_t b)
{
	if (d->n == CHUNK)
		flush(d);
	d->chunk[d->n++] = b < 0x20 || b == 0x7f ? ' ' : b;
}

static void
end_word(struct decoder *d)
{
	flush(d);
	(void)charset_end(&d->charset, d->out);
	d->in_word = false;
}

static void
plain_text(struct decoder *d, struct slice s)
{
	end_word(d);
	d->charset = charset_of(S(""));
	for (size_t i = 0; i < s.n; i++) {
		uint8_t b = slice_at(s, i);

		if (b != '\r' && b != '\n')
			put(d, b);
	}
	end_word(d);
}

static void
q_text(struct decoder *d, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t b = slice_at(s, i);

		if (b == '=' && s.n - i > 2 && ch_is_hex(slice_at(s, i + 1)) &&
		    ch_is_hex(slice_at(s, i + 2))) {
			put(d, (uint8_t)(ch_hex(slice_at(s, i + 1)) << 4 | ch_hex(slice_at(s, i + 2))));
			i += 2;
		} else {
			put(d, b == '_' ? ' ' : b);
		}
	}
}

static int
base64_value(uint8_t b)
{
	if (ch_is_upper(b))
		return b - 'A';
	if (ch_is_lower(b))
		return b - 'a' + 26;
	if (ch_is_digit(b))
		return b - '0' + 52;
	return b == '+' ? 62 : b == '/' ? 63 : -1;
}

static void
b_text(struct decoder *d, struct slice s)
{
	uint32_t bits = 0, held = 0;

	for (size_t i = 0; i < s.n; i++) {
		int v = base64_value(slice_at(s, i));

		if (v < 0)
			continue;
		held = held << 6 | (uint32_t)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			put(d, (uint8_t)(held >> bits));
		}
	}
}

static bool
is_token(uint8_t b)
{
	return ch_is_vchar(b) && b != '?' && b != '=';
}

/* An encoded-word at position at, where "=?" stands. *no_close is a position before which no "?="
 * follows any more, so that unfinished words are not searched twice. */
static bool
word_at(struct slice in, size_t at, size_t *no_close, struct word *out)
{
	struct cursor c = { .in = in, .at = at + 2 };
	struct slice name;
	size_t star, from;
	int how;

	if (c.at < *no_close || !cur_take(&c, is_token, SIZE_MAX, &name) || !cur_byte(&c, '?'))
		return false;
	how = cur_next(&c);
	if (how == -1 || !cur_byte(&c, '?'))
		return false;
	how = ch_lower((uint8_t)how);
	if (how != 'q' && how != 'b')
		return false;
	from = c.at;
	for (int b; (b = cur_peek(&c)) != -1 && !ch_is_fws((uint8_t)b); c.at++) {
		if (b != '?' || cur_peek_at(&c, 1) != '=')
			continue;
		star = slice_find_byte(name, '*');
		*out = (struct word){ .charset = star == SLICE_NONE ? name : slice_head(name, star),
			.text = slice_sub(in, from, c.at - from), .base64 = how == 'b',
			.end = c.at + 2 };
		return true;
	}
	*no_close = c.at;
	return false;
}

static bool
only_blanks(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ch_is_fws(slice_at(s, i)))
			return false;
	return true;
}

bool
words_decode(struct buf *out, struct slice in)
{
	struct decoder d = { .out = out };
	size_t done = 0, no_close = 0;

	for (size_t at = 0; !out->bad;) {
		size_t hit = slice_find(slice_from(in, at), S("=?"));
		struct slice between;
		struct charset charset;
		struct word w;

		if (hit == SLICE_NONE)
			break;
		at += hit;
		if (!word_at(in, at, &no_close, &w)) {
			at += 2;
			continue;
		}
		between = slice_sub(in, done, at - done);
		if (between.n > 0 && !(d.in_word && only_blanks(between)))
			plain_text(&d, between);
		charset = charset_of(w.charset);
		if (!d.in_word || !charset_same(&charset, &d.charset)) {
			end_word(&d);
			d.charset = charset;
			d.in_word = true;
		}
		if (w.base64)
			b_text(&d, w.text);
		else
			q_text(&d, w.text);
		done = at = w.end;
	}
	if (done < in.n)
		plain_text(&d, slice_from(in, done));
	end_word(&d);
	return !out->bad;
}
