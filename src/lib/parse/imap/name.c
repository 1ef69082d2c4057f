/* SPDX-License-Identifier: MIT
 * Mailbox names and LIST patterns (RFC 3501 5.1, 6.3.8). */
#include "lib/parse/imap/imap.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"

bool
imap_name_is_inbox(struct slice name)
{
	return slice_ieq(name, S("INBOX"));
}

static bool
level_valid(struct slice level)
{
	return level.n > 0 && !slice_eq(level, S(".")) && !slice_eq(level, S(".."));
}

static bool
cp_valid(int32_t cp)
{
	return cp >= 0x20 && (cp < 0x7f || cp > 0x9f) && cp != '*' && cp != '%' && cp != '\\' &&
	    cp != 0x2028 && cp != 0x2029 && cp != 0xfeff && (cp & 0xfffe) != 0xfffe;
}

bool
imap_name_valid(struct slice name)
{
	size_t at = 0;
	unsigned levels = 1;
	struct slice level, rest = name;

	if (name.n == 0 || name.n > LIMIT_IMAP_MAILBOX)
		return false;
	for (int32_t cp; (cp = utf8_next(name, &at)) != -1;)
		if (!cp_valid(cp))
			return false;
	for (struct slice next; slice_cut(rest, IMAP_DELIMITER, &level, &next); rest = next)
		if (!level_valid(level) || ++levels > LIMIT_IMAP_LEVELS)
			return false;
	return level_valid(rest);
}

/* Appends one byte of a pattern; a wildcard beside a wildcard joins it ("*" wins). */
static size_t
add_byte(uint8_t *p, size_t n, uint8_t c)
{
	uint8_t last = n == 0 ? 0 : p[n - 1];

	if ((last == '*' && (c == '*' || c == '%')) || (last == '%' && c == '%'))
		return n;
	if (last == '%' && c == '*') {
		p[n - 1] = '*';
		return n;
	}
	p[n] = c;
	return n + 1;
}

bool
imap_pattern_make(struct slice ref, struct slice pattern, struct arena *a, struct imap_pattern *out)
{
	uint8_t *p = arena_alloc(a, ref.n + pattern.n, 1);
	size_t n = 0;
	struct imap_pattern made = { .wild = false };

	if (p == NULL)
		return false;
	for (size_t i = 0; i < ref.n; i++)
		n = add_byte(p, n, slice_at(ref, i));
	for (size_t i = 0; i < pattern.n; i++)
		n = add_byte(p, n, slice_at(pattern, i));
	made.p = slice_of(p, n);
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '*' || p[i] == '%')
			made.wild = true;
		else
			made.least++;
	}
	*out = made;
	return true;
}

bool
imap_match(const struct imap_pattern *p, struct slice name)
{
	size_t steps = 0;

	return imap_match_counted(p, name, &steps);
}

/* How the search goes on after a mismatch: back to the last "%" while it may still swallow the next
 * byte, else back to the last "*". An earlier wildcard never helps: what stood before the last "*"
 * was matched as far to the left as possible, and a "%" before another "%" of the same level can
 * only move the later one to the right. A "%" that failed up to the end of a level fails there for
 * every later start in that level, so the "*" jumps behind it: that keeps the work near
 * pattern * name. */
struct marks {
	size_t star, star_at; /* pattern behind "*", name where it goes on; SLICE_NONE: none */
	size_t perc, perc_at;
	bool slash, perc_slash; /* a delimiter was matched since "*"; between "*" and "%" */
};

static bool
back(struct marks *m, struct slice name, size_t *i, size_t *j)
{
	if (m->perc != SLICE_NONE && m->perc_at < name.n &&
	    slice_at(name, m->perc_at) != IMAP_DELIMITER) {
		*j = m->perc;
		*i = ++m->perc_at;
		m->slash = m->perc_slash;
		return true;
	}
	if (m->perc != SLICE_NONE && !m->perc_slash && m->perc_at > m->star_at)
		m->star_at = m->perc_at;
	m->perc = SLICE_NONE;
	if (m->star == SLICE_NONE || m->star_at >= name.n)
		return false;
	*j = m->star;
	*i = ++m->star_at;
	m->slash = false;
	return true;
}

static bool
same(struct slice name, size_t i, uint8_t c, bool inbox)
{
	uint8_t b = slice_at(name, i);

	return b == c || (inbox && i < 5 && ch_upper(b) == ch_upper(c));
}

bool
imap_match_counted(const struct imap_pattern *p, struct slice name, size_t *steps)
{
	struct marks m = { SLICE_NONE, 0, SLICE_NONE, 0, false, false };
	bool inbox = slice_istarts(name, S("INBOX")) &&
	    (name.n == 5 || slice_at(name, 5) == IMAP_DELIMITER);
	size_t i = 0, j = 0;

	if (name.n < p->least || (!p->wild && name.n != p->least))
		return false;
	for (;;) {
		uint8_t c = j < p->p.n ? slice_at(p->p, j) : 0;

		(*steps)++;
		if (c == '*') {
			m = (struct marks){ ++j, i, SLICE_NONE, 0, false, false };
			if (j == p->p.n)
				return true;
		} else if (c == '%') {
			m.perc = ++j;
			m.perc_at = i;
			m.perc_slash = m.slash;
		} else if (j < p->p.n && i < name.n && same(name, i, c, inbox)) {
			m.slash = m.slash || c == IMAP_DELIMITER;
			i++;
			j++;
		} else if (j == p->p.n && i == name.n) {
			return true;
		} else if (!back(&m, name, &i, &j)) {
			return false;
		}
	}
}
