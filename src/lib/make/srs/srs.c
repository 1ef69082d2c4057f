/* SPDX-License-Identifier: MIT */
#include "lib/make/srs/srs.h"

#include "lib/base/buf.h"
#include "lib/base/chars.h"
#include "lib/base/cursor.h"
#include "lib/base/limits.h"

#define HASH ((size_t)8) /* characters, 5 bits each */
#define ROUND 1024u	 /* days until TT comes round */

static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";

static bool
is_mark(uint8_t c)
{
	return c == '=' || c == '-' || c == '+';
}

/* "SRS0" or "SRS1" and a separator, of which there are three in the wild. */
static bool
kind(struct slice local, uint8_t which)
{
	return local.n > 5 && slice_istarts(local, S("SRS")) && slice_at(local, 3) == which &&
	    is_mark(slice_at(local, 4));
}

bool
srs_is(struct slice local)
{
	return kind(local, '0') || kind(local, '1');
}

/* The hash of what stands behind it. */
static bool
hash(const struct srs *s, struct slice what, uint8_t out[static HASH])
{
	uint8_t mac[32];
	uint64_t bits = 0;
	struct buf low;
	bool ok = true;

	buf_init(&low, 2 * LIMIT_SMTP_ADDRESS);
	for (size_t i = 0; i < what.n; i++)
		ok = buf_byte(&low, ch_lower(slice_at(what, i)));
	s->mac(s->ctx, buf_slice(&low), mac);
	buf_free(&low);
	for (size_t i = 0; i < 5; i++)
		bits = bits << 8 | mac[i];
	for (size_t i = 0; i < HASH; i++)
		out[i] = (uint8_t)digits[bits >> (35 - 5 * i) & 31];
	return ok;
}

/* kind=hash=what@ours; false when the local part is too long, or at the ceiling. */
static bool
put(const struct srs *s, struct slice prefix, struct slice what, struct slice ours, struct arena *a,
    struct slice *out)
{
	uint8_t h[HASH];
	struct buf b;
	bool ok;

	buf_init(&b, LIMIT_SMTP_ADDRESS);
	ok = hash(s, what, h) && prefix.n + HASH + 1 + what.n <= LIMIT_SMTP_LOCAL && buf_add(&b, prefix) &&
	    buf_add(&b, slice_of(h, HASH)) && buf_byte(&b, '=') && buf_add(&b, what) &&
	    buf_byte(&b, '@') && buf_add(&b, ours) && b.n <= LIMIT_SMTP_MAILBOX &&
	    arena_copy(a, buf_slice(&b), out);
	buf_free(&b);
	return ok;
}

/* What SRS1 carries behind its hash: "first==rest" of SRS0=rest@first, and the same of another's SRS1. */
static bool
onward(struct slice local, struct slice domain, struct buf *b)
{
	struct slice rest = slice_from(local, 5), unused, first, behind;

	if (kind(local, '0'))
		return buf_add(b, domain) && buf_byte(b, '=') && buf_add(b, slice_from(local, 4));
	return slice_cut(rest, '=', &unused, &rest) && slice_cut(rest, '=', &first, &behind) && first.n > 0 &&
	    behind.n > 1 && is_mark(slice_at(behind, 0)) && buf_add(b, rest);
}

/* A local part that has to be quoted, or an address literal, does not travel inside another. */
static bool
plain(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ch_is_vchar(slice_at(s, i)) || slice_find_byte(S("\"\\<>()@,:;[]"), slice_at(s, i)) != SLICE_NONE)
			return false;
	return s.n > 0;
}

bool
srs_write(const struct srs *s, struct slice sender, struct slice ours, uint32_t day, struct arena *a,
    struct slice *out)
{
	size_t at = slice_rfind_byte(sender, '@');
	const char stamp[3] = { digits[day % ROUND / 32], digits[day % 32], '=' };
	struct slice local, domain;
	struct buf what;
	bool ok = false;

	if (at == SLICE_NONE || at == 0 || at + 1 == sender.n)
		return false;
	local = slice_head(sender, at);
	domain = slice_from(sender, at + 1);
	buf_init(&what, LIMIT_SMTP_ADDRESS);
	if (plain(local) && plain(domain) && slice_find_byte(domain, '=') == SLICE_NONE) {
		if (srs_is(local))
			ok = onward(local, domain, &what) && put(s, S("SRS1="), buf_slice(&what), ours, a, out);
		else
			ok = buf_add(&what, slice_of(stamp, 3)) && buf_add(&what, domain) &&
			    buf_byte(&what, '=') && buf_add(&what, local) &&
			    put(s, S("SRS0="), buf_slice(&what), ours, a, out);
	}
	if (!ok) {
		buf_reset(&what);
		ok = buf_add(&what, slice_of(stamp, 3)) && buf_byte(&what, '=') &&
		    put(s, S("SRS0="), buf_slice(&what), ours, a, out);
	}
	buf_free(&what);
	return ok;
}

static int
digit(uint8_t c)
{
	size_t at = slice_find_byte(S("abcdefghijklmnopqrstuvwxyz234567"), ch_lower(c));

	return at == SLICE_NONE ? -1 : (int)at;
}

/* Is the hash right? In constant time, although 40 bits that expire would hardly care. */
static bool
genuine(const struct srs *s, struct slice said, struct slice what)
{
	uint8_t h[HASH], differ = 0;

	if (!hash(s, what, h))
		return false;
	for (size_t i = 0; i < HASH; i++)
		differ |= (uint8_t)(ch_lower(slice_at(said, i)) ^ h[i]);
	return differ == 0;
}

static bool
address(struct arena *a, struct slice before, struct slice local, struct slice domain, struct slice *out)
{
	struct buf b;
	bool ok;

	buf_init(&b, LIMIT_SMTP_ADDRESS);
	ok = local.n > 0 && domain.n > 0 && buf_add(&b, before) && buf_add(&b, local) && buf_byte(&b, '@') &&
	    buf_add(&b, domain) && arena_copy(a, buf_slice(&b), out);
	buf_free(&b);
	return ok;
}

static enum srs_status
read0(struct slice what, uint32_t day, struct arena *a, struct slice *out)
{
	struct slice domain, local;
	int high, low;

	if (what.n < 4 || slice_at(what, 2) != '=')
		return SRS_FORGED;
	high = digit(slice_at(what, 0));
	low = digit(slice_at(what, 1));
	if (high < 0 || low < 0)
		return SRS_FORGED;
	if ((day + ROUND - (uint32_t)(high * 32 + low)) % ROUND > SRS_DAYS)
		return SRS_EXPIRED;
	if (slice_eq(slice_from(what, 3), S("=")))
		return SRS_POSTMASTER;
	return slice_cut(slice_from(what, 3), '=', &domain, &local) &&
	    address(a, S(""), local, domain, out) ? SRS_OK : SRS_FORGED;
}

static enum srs_status
read1(struct slice what, struct arena *a, struct slice *out)
{
	struct slice first, rest;

	if (!slice_cut(what, '=', &first, &rest) || rest.n < 2 || !is_mark(slice_at(rest, 0)))
		return SRS_FORGED;
	return address(a, S("SRS0"), rest, first, out) ? SRS_OK : SRS_FORGED;
}

enum srs_status
srs_read(const struct srs *s, struct slice local, uint32_t day, struct arena *a, struct slice *out)
{
	struct slice said, what;

	if (!srs_is(local) || local.n < 5 + HASH + 2 || slice_at(local, 5 + HASH) != '=')
		return SRS_FORGED;
	said = slice_sub(local, 5, HASH);
	what = slice_from(local, 5 + HASH + 1);
	if (!genuine(s, said, what))
		return SRS_FORGED;
	return kind(local, '0') ? read0(what, day, a, out) : read1(what, a, out);
}
