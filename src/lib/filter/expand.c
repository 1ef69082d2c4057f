/* SPDX-License-Identifier: MIT
 * What patterns caught, put into texts. It is a stranger's: nothing of it may end a line. */
#include "lib/filter/rules.h"

/* "$1", "${1}", "$(1)" and "$$" at the cursor, which stands behind the "$". False: none of them. *n is 0
 * for "$$": group 0 is none that can be asked for. */
static bool
read_group(struct cursor *c, uint32_t *n)
{
	struct cursor try = *c;
	bool curly = cur_byte(&try, '{'), round = !curly && cur_byte(&try, '(');

	if (!curly && !round && cur_byte(&try, '$')) {
		*n = 0;
		*c = try;
		return true;
	}
	if (curly || round) {
		if (!cur_u32(&try, 99, n) || *n == 0 || !cur_byte(&try, curly ? '}' : ')'))
			return false;
	} else {
		int digit = cur_next(&try);

		if (digit < '1' || digit > '9')
			return false;
		*n = (uint32_t)digit - '0';
	}
	*c = try;
	return true;
}

uint32_t
filter_highest(struct slice text, size_t *at)
{
	struct cursor c = cur_of(text);
	uint32_t highest = 0, n;

	for (int b; (b = cur_next(&c)) != -1;) {
		if (b != '$')
			continue;
		*at = c.at - 1;
		if (!read_group(&c, &n))
			return UINT32_MAX;
		if (n > highest)
			highest = n;
	}
	return highest;
}

/* As much of s as there is room for. */
static void
add(struct buf *b, struct slice s, bool field)
{
	if (!field) {
		size_t room = b->max - b->n;

		if (room >= 4)
			(void)buf_printable(b, s, room);
		return;
	}
	for (size_t i = 0; i < s.n && b->n < b->max; i++) {
		uint8_t x = slice_at(s, i);

		(void)buf_byte(b, x < 0x20 || x == 0x7f ? ' ' : x);
	}
}

void
filter_expand(struct buf *b, struct slice text, struct slice subject, const PCRE2_SIZE *groups, uint32_t n,
    bool field)
{
	struct cursor c = cur_of(text);
	uint32_t g;

	for (int x; (x = cur_next(&c)) != -1 && b->n < b->max;) {
		if (x != '$' || groups == NULL || !read_group(&c, &g))
			(void)buf_byte(b, (uint8_t)x);
		else if (g == 0)
			(void)buf_byte(b, '$');
		else if (g < n && groups[2 * g] != PCRE2_UNSET && groups[2 * g] <= groups[2 * g + 1])
			add(b, slice_sub(subject, groups[2 * g], groups[2 * g + 1] - groups[2 * g]), field);
	}
}
