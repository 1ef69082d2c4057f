/* SPDX-License-Identifier: MIT */
#include "lib/base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/chars.h"
#include "lib/base/ckd.h"

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void
buf_free(struct buf *b)
{
	size_t max = b->max;

	if (b->p != NULL) {
		explicit_bzero(b->p, b->n);
		free(b->p);
	}
	buf_init(b, max);
}

void
buf_reset(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->n);
	b->n = 0;
	b->bad = false;
}

uint8_t *
buf_room(struct buf *b, size_t n)
{
	size_t need, cap = b->cap < 64 ? 64 : b->cap;
	uint8_t *p;

	if (b->bad || ckd_add(&need, b->n, n) || need > b->max) {
		b->bad = true;
		return NULL;
	}
	if (need > b->cap) {
		while (cap < need)
			cap *= 2;
		if (cap > b->max)
			cap = b->max;
		p = malloc(cap);
		PN_ASSERT(p != NULL);
		if (b->n > 0)
			memcpy(p, b->p, b->n);
		if (b->p != NULL) {
			/* not realloc(): the old copy would stay behind unwiped */
			explicit_bzero(b->p, b->n);
			free(b->p);
		}
		b->p = p;
		b->cap = cap;
	}
	return b->p == NULL ? (uint8_t *)"" : b->p + b->n;
}

void
buf_grown(struct buf *b, size_t n)
{
	PN_ASSERT(n <= b->cap - b->n);
	b->n += n;
}

bool
buf_add(struct buf *b, struct slice s)
{
	uint8_t *p;

	if (s.n == 0)
		return !b->bad;
	p = buf_room(b, s.n);
	if (p == NULL)
		return false;
	memcpy(p, s.p, s.n);
	b->n += s.n;
	return true;
}

bool
buf_byte(struct buf *b, uint8_t c)
{
	return buf_add(b, slice_of(&c, 1));
}

bool
buf_u64(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	return buf_add(b, slice_of(digits + at, sizeof digits - at));
}

bool
buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;
	uint8_t *p;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	PN_ASSERT(n >= 0);
	p = buf_room(b, (size_t)n + 1);
	if (p == NULL)
		return false;
	va_start(ap, fmt);
	(void)vsnprintf((char *)p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
	return true;
}

void
buf_drop_front(struct buf *b, size_t n)
{
	PN_ASSERT(n <= b->n);
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->n - n);
	explicit_bzero(b->p + (b->n - n), n);
	b->n -= n;
}

void
buf_cut(struct buf *b, size_t n)
{
	PN_ASSERT(n <= b->n);
	if (n < b->n)
		explicit_bzero(b->p + n, b->n - n);
	b->n = n;
}

static bool
put(struct buf *b, uint64_t v, size_t n)
{
	uint8_t le[8];

	for (size_t i = 0; i < n; i++)
		le[i] = (uint8_t)(v >> (8 * i));
	return buf_add(b, slice_of(le, n));
}

bool buf_put_u16le(struct buf *b, uint16_t v) { return put(b, v, 2); }
bool buf_put_u32le(struct buf *b, uint32_t v) { return put(b, v, 4); }
bool buf_put_u64le(struct buf *b, uint64_t v) { return put(b, v, 8); }

bool
buf_printable(struct buf *b, struct slice s, size_t max)
{
	static const char hex[] = "0123456789abcdef";
	size_t from = b->n;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		size_t need = ch_is_print(c) && c != '\\' ? 1 : 4;

		if (b->n - from + need + 3 > max && !(i + 1 == s.n && b->n - from + need <= max))
			return buf_add(b, S("..."));
		if (need == 1) {
			buf_byte(b, c);
		} else {
			buf_add(b, S("\\x"));
			buf_byte(b, (uint8_t)hex[c >> 4]);
			buf_byte(b, (uint8_t)hex[c & 15]);
		}
	}
	return !b->bad;
}
