/* SPDX-License-Identifier: MIT */
#include "lib/parse/url/url.h"

/* RFC 1123 2.1, at least two labels; a last label of digits would be an address to somebody (RFC 3986 3.2.2). */
static bool
is_host(struct slice host)
{
	struct slice label, rest = host;
	size_t labels = 0;
	bool letters = false;

	if (host.n == 0 || host.n > 253)
		return false;
	for (bool more = true; more; labels++) {
		more = slice_cut(rest, '.', &label, &rest);
		if (!more)
			label = rest;
		if (label.n == 0 || label.n > 63 || slice_at(label, 0) == '-' || slice_at(label, label.n - 1) == '-')
			return false;
		letters = false;
		for (size_t i = 0; i < label.n; i++) {
			uint8_t c = slice_at(label, i);

			if (!ch_is_alnum(c) && c != '-')
				return false;
			letters = letters || !ch_is_digit(c);
		}
	}
	/* 0x7f is a number, too, in the last label */
	return labels >= 2 && letters && !slice_istarts(label, S("0x"));
}

static bool
is_path(struct slice path)
{
	for (size_t i = 0; i < path.n; i++) {
		uint8_t c = slice_at(path, i);

		if (!ch_is_vchar(c) || c == '#' || c == '"' || c == '<' || c == '>' || c == '\\' || c == '^' ||
		    c == '`' || c == '{' || c == '|' || c == '}')
			return false;
	}
	return path.n > 0 && slice_at(path, 0) == '/';
}

bool
url_parse(struct slice text, struct url *out)
{
	struct url u = { .port = 443, .path = S("/") };
	struct slice rest, digits;
	uint32_t port;
	size_t slash;

	if (text.n > LIMIT_URL || !slice_istarts(text, S("https://")))
		return false;
	rest = slice_from(text, 8);
	slash = slice_find_byte(rest, '/');
	u.host = rest;
	if (slash != SLICE_NONE) {
		u.host = slice_head(rest, slash);
		u.path = slice_from(rest, slash);
	}
	if (slice_cut(u.host, ':', &u.host, &digits)) {
		if (digits.n > 5 || !slice_u32(digits, &port) || port == 0 || port > 65535)
			return false;
		u.port = (uint16_t)port;
	}
	if (!is_host(u.host) || !is_path(u.path))
		return false;
	*out = u;
	return true;
}
