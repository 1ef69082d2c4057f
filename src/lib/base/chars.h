/* SPDX-License-Identifier: MIT
 * ASCII classes. <ctype.h> depends on the locale and is banned. Parsers pass these functions to
 * cur_take(). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline bool ch_is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static inline bool ch_is_upper(uint8_t c) { return c >= 'A' && c <= 'Z'; }
static inline bool ch_is_lower(uint8_t c) { return c >= 'a' && c <= 'z'; }
static inline bool ch_is_alpha(uint8_t c) { return ch_is_upper(c) || ch_is_lower(c); }
static inline bool ch_is_alnum(uint8_t c) { return ch_is_alpha(c) || ch_is_digit(c); }
static inline bool ch_is_wsp(uint8_t c) { return c == ' ' || c == '\t'; }
static inline bool ch_is_print(uint8_t c) { return c >= 0x20 && c <= 0x7e; }
static inline bool ch_is_vchar(uint8_t c) { return c >= 0x21 && c <= 0x7e; }
static inline bool
ch_is_hex(uint8_t c)
{
	return ch_is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
static inline uint8_t ch_lower(uint8_t c) { return ch_is_upper(c) ? (uint8_t)(c + 32) : c; }
static inline uint8_t ch_upper(uint8_t c) { return ch_is_lower(c) ? (uint8_t)(c - 32) : c; }
/* 0..15, or -1 for what is no hexadecimal digit. */
static inline int
ch_hex(uint8_t c)
{
	if (ch_is_digit(c))
		return c - '0';
	c = ch_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
