/* SPDX-License-Identifier: MIT */
#include "lib/idn/idn.h"

#include <idn2.h>
#include <stdlib.h>
#include <string.h>
#include <uninorm.h>
#include <unistr.h>

#include "lib/base/encode.h"
#include "lib/base/limits.h"

static bool
is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (slice_at(s, i) >= 0x80)
			return false;
	return true;
}

bool
idn_domain(struct slice in, struct arena *a, struct slice *out)
{
	uint8_t *ascii = NULL;
	const char *z;
	bool ok;

	if (in.n > 4 * LIMIT_DOMAIN || slice_find_byte(in, 0) != SLICE_NONE)
		return false;
	if (is_ascii(in))
		return in.n <= LIMIT_DOMAIN && arena_copy(a, in, out);
	z = arena_z(a, in);
	if (z == NULL || idn2_lookup_u8((const uint8_t *)z, &ascii,
			     IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return false;
	ok = slice_z((const char *)ascii).n <= LIMIT_DOMAIN && arena_copy(a, slice_z((const char *)ascii), out);
	idn2_free(ascii);
	return ok;
}

bool
idn_nfc(struct slice in, struct arena *a, struct slice *out)
{
	uint8_t *text;
	size_t n = 0;
	bool ok;

	if (in.n > LIMIT_SMTP_ADDRESS || !utf8_valid(in))
		return false;
	if (is_ascii(in))
		return arena_copy(a, in, out);
	text = u8_normalize(UNINORM_NFC, in.p, in.n, NULL, &n);
	if (text == NULL)
		return false;
	ok = n <= LIMIT_SMTP_ADDRESS && arena_copy(a, slice_of(text, n), out);
	free(text);
	return ok;
}

/* RFC 3454 tables C.1.2 and B.1: ' ', 0, or the character itself. */
static ucs4_t
mapped(ucs4_t c)
{
	static const struct {
		ucs4_t from, to, as;
	} map[] = { { 0xa0, 0xa0, ' ' }, { 0xad, 0xad, 0 }, { 0x34f, 0x34f, 0 }, { 0x1680, 0x1680, ' ' },
		{ 0x1806, 0x1806, 0 }, { 0x180b, 0x180d, 0 }, { 0x2000, 0x200a, ' ' }, { 0x200b, 0x200d, 0 },
		{ 0x202f, 0x202f, ' ' }, { 0x205f, 0x205f, ' ' }, { 0x2060, 0x2060, 0 }, { 0x3000, 0x3000, ' ' },
		{ 0xfe00, 0xfe0f, 0 }, { 0xfeff, 0xfeff, 0 } };

	for (size_t i = 0; i < sizeof map / sizeof *map; i++)
		if (c >= map[i].from && c <= map[i].to)
			return map[i].as;
	return c;
}

bool
idn_password(struct slice in, struct arena *a, struct slice *out)
{
	uint8_t *p, *text;
	size_t n = 0;
	bool ok;

	if (in.n > LIMIT_PASSWORD)
		return false;
	if (is_ascii(in) || !utf8_valid(in))
		return arena_copy(a, in, out);
	p = arena_alloc(a, in.n, 1);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < in.n;) {
		ucs4_t c;
		int step = u8_mbtouc(&c, &in.p[i], in.n - i);

		c = mapped(c);
		if (c != 0) {
			int m = u8_uctomb(&p[n], c, (ptrdiff_t)(in.n - n));

			PN_ASSERT(m > 0);
			n += (size_t)m;
		}
		i += (size_t)step;
	}
	text = u8_normalize(UNINORM_NFKC, p, n, NULL, &n);
	if (text == NULL)
		return false;
	ok = n <= LIMIT_PASSWORD && arena_copy(a, slice_of(text, n), out);
	explicit_bzero(text, n);
	free(text);
	return ok;
}

bool
idn_address(struct slice in, struct arena *a, struct slice *out)
{
	struct slice local, domain;
	size_t at = SLICE_NONE;
	uint8_t *both;

	for (size_t i = 0; i < in.n; i++)
		if (slice_at(in, i) == '@')
			at = i;
	if (at == SLICE_NONE)
		return idn_nfc(in, a, out);
	if (!idn_nfc(slice_head(in, at), a, &local) || !idn_domain(slice_from(in, at + 1), a, &domain))
		return false;
	both = arena_alloc(a, local.n + 1 + domain.n, 1);
	if (both == NULL)
		return false;
	if (local.n > 0)
		memcpy(both, local.p, local.n);
	both[local.n] = '@';
	if (domain.n > 0)
		memcpy(&both[local.n + 1], domain.p, domain.n);
	*out = slice_of(both, local.n + 1 + domain.n);
	return true;
}
