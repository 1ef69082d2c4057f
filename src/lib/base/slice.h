/* SPDX-License-Identifier: MIT
 * A slice borrows bytes: it never owns, is never freed and is never NUL-terminated. The owner is an
 * arena, a buffer, a mapping or a literal, and outlives it. All pointer arithmetic of the project
 * stands in lib/base; everybody else indexes through the checked functions below. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/panic.h"

struct slice {
	const uint8_t *p;
	size_t n;
};

/* A slice of a string literal (without its NUL). */
#define S(literal) ((struct slice){ (const uint8_t *)("" literal), sizeof(literal) - 1 })
/* The same for the initialiser of a static table, where a compound literal is no constant. */
#define S_INIT(literal) { (const uint8_t *)("" literal), sizeof(literal) - 1 }
/* printf("%.*s", SFMT(s)); only for bytes known to be printable and shorter than INT_MAX. */
#define SFMT(s) (int)(s).n, (const char *)(s).p

/* Bytes of a C string, which must outlive the slice; NULL gives the empty slice. */
static inline struct slice
slice_z(const char *z)
{
	return (struct slice){ (const uint8_t *)z, z == NULL ? 0 : strlen(z) };
}

static inline struct slice
slice_of(const void *p, size_t n)
{
	return (struct slice){ (const uint8_t *)p, n };
}

/* Byte i; i >= n is a bug (panic). */
static inline uint8_t
slice_at(struct slice s, size_t i)
{
	PN_ASSERT(i < s.n);
	return s.p[i];
}

/* n bytes from position from; outside is a bug (panic). */
static inline struct slice
slice_sub(struct slice s, size_t from, size_t n)
{
	PN_ASSERT(from <= s.n && n <= s.n - from);
	return (struct slice){ n == 0 ? s.p : s.p + from, n };
}

/* Everything from position from on; from > n is a bug (panic). */
static inline struct slice
slice_from(struct slice s, size_t from)
{
	PN_ASSERT(from <= s.n);
	return slice_sub(s, from, s.n - from);
}

/* The first n bytes, or the whole slice where it is shorter. */
static inline struct slice
slice_head(struct slice s, size_t n)
{
	return slice_sub(s, 0, n < s.n ? n : s.n);
}

static inline bool
slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Equality that ignores the case of A-Z only: never the locale's idea of case. */
bool slice_ieq(struct slice a, struct slice b);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_istarts(struct slice s, struct slice prefix);
bool slice_ends(struct slice s, struct slice suffix);
/* Bytewise order: <0, 0, >0; a prefix sorts first. */
int slice_cmp(struct slice a, struct slice b);

#define SLICE_NONE SIZE_MAX
/* Position of the first (last) byte b, or SLICE_NONE. */
size_t slice_find_byte(struct slice s, uint8_t b);
size_t slice_rfind_byte(struct slice s, uint8_t b);
/* How often byte b occurs; eight bytes at a time. */
size_t slice_count_byte(struct slice s, uint8_t b);
/* Position of the first occurrence of needle, or SLICE_NONE; the empty needle is found at 0. */
size_t slice_find(struct slice s, struct slice needle);
/* Without spaces and tabs at both ends. */
struct slice slice_trim(struct slice s);
/* Cuts s at the first byte b: *head gets what stands before, *tail what stands after.
 * False, with both untouched, where b does not occur. */
bool slice_cut(struct slice s, uint8_t b, struct slice *head, struct slice *tail);
/* The next word of a list with spaces or tabs between: *rest loses it. False at the end, with *out
 * untouched. */
bool slice_word(struct slice *rest, struct slice *out);

/* Decimal number of 1..20 digits, nothing else; false on anything else or overflow. */
bool slice_u64(struct slice s, uint64_t *out);
bool slice_u32(struct slice s, uint32_t *out);
