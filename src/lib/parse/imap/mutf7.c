/* SPDX-License-Identifier: MIT
 * Modified UTF-7 (RFC 3501 5.1.3): UTF-16 in base64 between '&' and '-', with ',' for '/'. Every
 * name has exactly one spelling here, so that two spellings never name one mailbox. */
#include "lib/parse/imap/imap.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"

static int
b64_value(int c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == ',' ? 63 : -1;
}

/* One decoded code point must not be what has an ASCII spelling, nor a control. */
static bool
cp_allowed(uint32_t cp)
{
	return cp >= 0xa0;
}

struct utf16 {
	struct buf *out;
	uint32_t high; /* pending high surrogate, or 0 */
};

static bool
utf16_unit(struct utf16 *u, uint32_t unit)
{
	uint32_t cp = unit;

	if (unit >= 0xdc00 && unit <= 0xdfff) {
		if (u->high == 0)
			return false;
		cp = 0x10000 + ((u->high - 0xd800) << 10) + (unit - 0xdc00);
		u->high = 0;
	} else if (u->high != 0) {
		return false;
	} else if (unit >= 0xd800 && unit <= 0xdbff) {
		u->high = unit;
		return true;
	}
	return cp_allowed(cp) && utf8_put(u->out, cp);
}

/* From behind '&' to behind '-'; at least one unit. */
static bool
shifted(struct cursor *c, struct buf *out)
{
	struct utf16 u = { .out = out };
	uint32_t bits = 0;
	unsigned have = 0, units = 0;
	int v, b;

	while ((v = b64_value(b = cur_next(c))) >= 0) {
		bits = (bits << 6 | (uint32_t)v) & 0xffffff;
		have += 6;
		if (have >= 16) {
			have -= 16;
			units++;
			if (!utf16_unit(&u, bits >> have & 0xffff))
				return false;
		}
	}
	/* what is left over is less than one digit, and zero */
	return b == '-' && units > 0 && u.high == 0 && have < 6 &&
	    (bits & ((1u << have) - 1)) == 0;
}

static bool
decode(struct cursor *c, struct buf *out)
{
	bool was_shifted = false;

	for (int b; (b = cur_next(c)) != -1;) {
		if (b != '&') {
			if (!ch_is_print((uint8_t)b) || !buf_byte(out, (uint8_t)b))
				return false;
			was_shifted = false;
		} else if (cur_byte(c, '-')) {
			if (!buf_byte(out, '&'))
				return false;
			was_shifted = false;
		} else {
			/* "&AAA-&BBB-" would be a second spelling of "&AAABBB-" */
			if (was_shifted || !shifted(c, out))
				return false;
			was_shifted = true;
		}
	}
	return true;
}

bool
imap_mutf7_decode(struct slice in, struct arena *a, struct slice *out)
{
	struct cursor c = cur_of(in);
	struct buf b;
	bool ok;

	buf_init(&b, LIMIT_IMAP_LINE);
	ok = decode(&c, &b) && arena_copy(a, buf_slice(&b), out);
	buf_free(&b);
	return ok;
}

struct shifter {
	struct buf *out;
	uint32_t bits;
	unsigned have;
	bool open;
};

static void
shift_unit(struct shifter *s, uint32_t unit)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

	if (!s->open)
		buf_byte(s->out, '&');
	s->open = true;
	s->bits = (s->bits << 16 | unit) & 0x3fffff;
	for (s->have += 16; s->have >= 6; s->have -= 6)
		buf_byte(s->out, (uint8_t)digits[s->bits >> (s->have - 6) & 63]);
}

static void
shift_end(struct shifter *s)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

	if (!s->open)
		return;
	if (s->have > 0)
		buf_byte(s->out, (uint8_t)digits[s->bits << (6 - s->have) & 63]);
	buf_byte(s->out, '-');
	s->open = false;
	s->have = 0;
}

bool
imap_mutf7_encode(struct buf *b, struct slice utf8)
{
	struct shifter s = { .out = b };
	size_t at = 0;

	for (int32_t cp; (cp = utf8_next(utf8, &at)) != -1;) {
		uint32_t u = cp < 0 ? 0xfffd : (uint32_t)cp;

		if (u >= 0x20 && u <= 0x7e) {
			shift_end(&s);
			buf_byte(b, (uint8_t)u);
			if (u == '&')
				buf_byte(b, '-');
		} else if (u >= 0x10000) {
			shift_unit(&s, 0xd800 + ((u - 0x10000) >> 10));
			shift_unit(&s, 0xdc00 + ((u - 0x10000) & 0x3ff));
		} else {
			shift_unit(&s, u);
		}
	}
	shift_end(&s);
	return !b->bad;
}
