/* SPDX-License-Identifier: MIT
 * A growing buffer that is born with its maximum (a LIMIT_ of limits.h). The first append that does
 * not fit sets bad, which is sticky: later appends do nothing, and the caller checks once. It owns
 * heap memory; buf_free() wipes and gives it back. */
#pragma once

#include <stdarg.h>

#include "lib/base/slice.h"

struct buf {
	uint8_t *p;
	size_t n, cap, max;
	bool bad;
};

void buf_init(struct buf *b, size_t max);
/* Wipes and frees; the buffer is again as after buf_init(); accepts a zeroed struct. */
void buf_free(struct buf *b);
/* Forgets (and wipes) the content, keeps the memory; clears bad. */
void buf_reset(struct buf *b);
/* Each returns !b->bad. */
bool buf_add(struct buf *b, struct slice s);
bool buf_byte(struct buf *b, uint8_t c);
bool buf_u64(struct buf *b, uint64_t v);
bool buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first n bytes (n > b->n is a bug). */
void buf_drop_front(struct buf *b, size_t n);
/* Cuts back to n bytes (n > b->n is a bug); the sticky error stays. */
void buf_cut(struct buf *b, size_t n);
/* Writable room for exactly n bytes behind the content, or NULL (and bad). buf_grown() then counts
 * the bytes that were really written, n at most. */
uint8_t *buf_room(struct buf *b, size_t n);
void buf_grown(struct buf *b, size_t n);
/* The content; borrowed until the next change of b. */
static inline struct slice
buf_slice(const struct buf *b)
{
	return (struct slice){ b->p, b->n };
}

/* Binary little-endian writers, for lib/ipc. */
bool buf_put_u16le(struct buf *b, uint16_t v);
bool buf_put_u32le(struct buf *b, uint32_t v);
bool buf_put_u64le(struct buf *b, uint64_t v);

/* s with everything outside 0x20..0x7e, and '\' itself, written as \xNN: for log lines and replies.
 * At most max bytes of output; a longer result is cut and ends in "...". */
bool buf_printable(struct buf *b, struct slice s, size_t max);
