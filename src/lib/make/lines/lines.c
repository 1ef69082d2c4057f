/* SPDX-License-Identifier: MIT */
#include "lib/make/lines/lines.h"

struct breaking {
	bool (*put)(void *arg, struct slice piece);
	void *arg;
	bool header;
	size_t breaks;
};

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* The next line with its end; *text is it without. */
static struct slice
next_line(struct slice message, size_t at, struct slice *text)
{
	struct slice rest = slice_from(message, at);
	size_t lf = slice_find_byte(rest, '\n');
	struct slice line = lf == SLICE_NONE ? rest : slice_head(rest, lf + 1);

	*text = lf == SLICE_NONE ? line : slice_head(line, lf);
	if (lf != SLICE_NONE && lf > 0 && slice_at(line, lf - 1) == '\r')
		*text = slice_head(line, lf - 1);
	return line;
}

bool
lines_too_long(struct slice message)
{
	struct slice text;

	for (size_t at = 0; at < message.n;) {
		at += next_line(message, at, &text).n;
		if (text.n > LINES_MOST)
			return true;
	}
	return false;
}

static size_t
blanks_at_start(struct slice s)
{
	size_t n = 0;

	while (n < s.n && is_blank(slice_at(s, n)))
		n++;
	return n;
}

/* Where to break s so that at most most octets stay before: before the last blank behind which, and before which, there is
 * more than blanks; else between two characters. */
static size_t
place(struct slice s, size_t most)
{
	size_t first = blanks_at_start(slice_head(s, most)), at = most;

	for (size_t k = most; k > first; k--)
		if (is_blank(slice_at(s, k)))
			return k;
	for (int i = 0; i < 3 && (slice_at(s, at) & 0xc0) == 0x80; i++)
		at--;
	return at;
}

/* In a header: the blanks that no line could hold. */
static struct slice
trimmed(struct slice s)
{
	size_t n = blanks_at_start(s), end = s.n;

	if (n >= LINES_MOST && n < s.n)
		s = slice_from(s, n - 1);
	end = s.n;
	while (end > 0 && is_blank(slice_at(s, end - 1)))
		end--;
	return end == 0 ? s : slice_head(s, end);
}

static bool
break_line(struct breaking *b, struct slice s)
{
	size_t space = 0; /* one that came in before s */

	if (b->header)
		s = trimmed(s);
	while (s.n + space > LINES_MOST) {
		size_t at = place(s, LINES_MOST - space);

		if (!b->put(b->arg, slice_head(s, at)) || !b->put(b->arg, S("\r\n")))
			return false;
		s = slice_from(s, at);
		if (b->header)
			s = trimmed(s);
		space = is_blank(slice_at(s, 0)) ? 0 : 1;
		if (space != 0 && !b->put(b->arg, S(" ")))
			return false;
		b->breaks++;
	}
	return b->put(b->arg, s);
}

bool
lines_break(struct slice message, bool (*put)(void *arg, struct slice piece), void *arg, size_t *breaks)
{
	struct breaking b = { .put = put, .arg = arg, .header = true };
	size_t kept = 0; /* [kept, at) goes out as it is */
	struct slice text;
	bool ok = true;

	for (size_t at = 0; at < message.n && ok;) {
		struct slice line = next_line(message, at, &text);

		if (text.n > LINES_MOST) {
			ok = (kept == at || put(arg, slice_sub(message, kept, at - kept))) && break_line(&b, text);
			kept = at + text.n;
		}
		b.header = b.header && text.n > 0;
		at += line.n;
	}
	if (!ok || (kept < message.n && !put(arg, slice_from(message, kept))))
		return false;
	*breaks = b.breaks;
	return true;
}
