/* SPDX-License-Identifier: MIT
 * Sequence sets (RFC 3501 "sequence-set"): kept as ranges, sorted and merged, never expanded. */
#include "lib/parse/imap/tok.h"

/* seq-number: nz-number or "*", which gives 0. */
static bool
seq_number(struct in *p, uint32_t *out)
{
	uint64_t v;

	if (cur_byte(p->c, '*')) {
		*out = 0;
		return true;
	}
	if (!in_number(p, UINT32_MAX, &v) || v == 0)
		return false;
	*out = (uint32_t)v;
	return true;
}

static void
add_star(struct imap_set *s, uint32_t lo, uint32_t hi)
{
	if (!s->star || lo < s->star_lo)
		s->star_lo = lo;
	if (!s->star || hi > s->star_hi)
		s->star_hi = hi;
	s->star = true;
}

static void
sift(struct imap_range *r, size_t i, size_t n)
{
	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		struct imap_range swap = r[i];

		if (child + 1 < n && r[child + 1].lo > r[child].lo)
			child++;
		if (r[i].lo >= r[child].lo)
			return;
		r[i] = r[child];
		r[child] = swap;
	}
}

/* Heap sort: in place, n log n whatever the client sends. */
static void
sort(struct imap_range *r, size_t n)
{
	bool sorted = true;

	for (size_t i = 1; i < n && sorted; i++)
		sorted = r[i - 1].lo <= r[i].lo;
	if (sorted)
		return;
	for (size_t i = n / 2; i-- > 0;)
		sift(r, i, n);
	for (size_t i = n; i-- > 1;) {
		struct imap_range top = r[0];

		r[0] = r[i];
		r[i] = top;
		sift(r, 0, i);
	}
}

/* Sorts and joins what overlaps or touches; returns how many are left. */
static size_t
normalise(struct imap_range *r, size_t n)
{
	size_t kept = 0;

	sort(r, n);
	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && (r[kept - 1].hi == UINT32_MAX || r[i].lo <= r[kept - 1].hi + 1)) {
			if (r[i].hi > r[kept - 1].hi)
				r[kept - 1].hi = r[i].hi;
		} else {
			r[kept++] = r[i];
		}
	}
	return kept;
}

/* Upper bound of the ranges of the set that comes next. */
static size_t
count_ranges(const struct cursor *c)
{
	size_t n = 1;

	for (size_t i = 0;; i++) {
		int b = cur_peek_at(c, i);

		if (b == ',')
			n++;
		else if (b != '*' && b != ':' && (b < '0' || b > '9'))
			return n;
	}
}

bool
in_set(struct in *p, struct imap_set *out)
{
	struct imap_set s = { .r = ARENA_ARRAY(p->a, count_ranges(p->c), struct imap_range) };
	uint32_t lo, hi;

	if (s.r == NULL)
		return in_over(p, IMAP_OVER);
	do {
		if (!seq_number(p, &lo))
			return false;
		hi = lo;
		if (cur_byte(p->c, ':') && !seq_number(p, &hi))
			return false;
		if (lo == 0 && hi == 0)
			add_star(&s, UINT32_MAX, 0);
		else if (lo == 0 || hi == 0)
			add_star(&s, lo | hi, lo | hi);
		else
			s.r[s.n++] = (struct imap_range){ lo < hi ? lo : hi, lo < hi ? hi : lo };
	} while (cur_byte(p->c, ','));
	s.n = normalise(s.r, s.n);
	*out = s;
	return true;
}

bool
imap_set_parse(struct slice in, struct arena *a, struct imap_set *out)
{
	struct cursor c = cur_of(in);
	struct in p = { &c, a, IMAP_FINE };
	struct imap_set s;

	if (!in_set(&p, &s) || !cur_done(&c))
		return false;
	*out = s;
	return true;
}

bool
imap_set_resolve(const struct imap_set *s, uint32_t largest, struct arena *a, struct imap_set *out)
{
	struct imap_set r = *s;

	if (!s->star || largest == 0) {
		r.star = false;
		*out = r;
		return true;
	}
	r = (struct imap_set){ .r = ARENA_ARRAY(a, s->n + 1, struct imap_range), .n = s->n + 1 };
	if (r.r == NULL)
		return false;
	for (size_t i = 0; i < s->n; i++)
		r.r[i] = s->r[i];
	r.r[s->n] = (struct imap_range){ s->star_lo < largest ? s->star_lo : largest,
		s->star_hi > largest ? s->star_hi : largest };
	r.n = normalise(r.r, r.n);
	*out = r;
	return true;
}

bool
imap_set_has(const struct imap_set *s, uint32_t v)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (v > s->r[mid].hi)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n && v >= s->r[lo].lo;
}
