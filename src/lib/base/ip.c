/* SPDX-License-Identifier: MIT
 * Textual IP addresses. inet_pton() would want NUL-terminated strings. */
#include "lib/base/ip.h"

#include "lib/base/cursor.h"

#define GROUPS 8

/* Four numbers of 0..255 without leading zeros. */
static bool
take_quad(struct cursor *c, uint8_t *out)
{
	for (size_t i = 0; i < 4; i++) {
		uint32_t v;
		size_t from;

		if (i > 0 && !cur_byte(c, '.'))
			return false;
		from = c->at;
		if (!cur_u32(c, 255, &v) || c->at - from > 3 || (v == 0 && c->at - from > 1) ||
		    (v > 0 && slice_at(c->in, from) == '0'))
			return false;
		out[i] = (uint8_t)v;
	}
	return true;
}

bool
ip4_parse(struct slice text, struct ip *out)
{
	struct cursor c = cur_of(text);
	struct ip ip = { .n = 4 };

	if (!take_quad(&c, ip.b) || !cur_done(&c))
		return false;
	*out = ip;
	return true;
}

static bool
take_group(struct cursor *c, unsigned *out)
{
	unsigned v = 0, digits = 0;

	for (int x; (x = cur_peek(c)) != -1 && ch_is_hex((uint8_t)x); digits++) {
		if (digits == 4)
			return cur_fail(c);
		v = v << 4 | (unsigned)ch_hex((uint8_t)x);
		(void)cur_next(c);
	}
	*out = v;
	return digits > 0;
}

/* True when a dotted quad starts here: a dot comes before the next colon. */
static bool
quad_ahead(const struct cursor *c)
{
	size_t i = 0;

	while (i < 3 && cur_peek_at(c, i) != -1 && ch_is_digit((uint8_t)cur_peek_at(c, i)))
		i++;
	return i > 0 && cur_peek_at(c, i) == '.';
}

/* Groups into out[] from at on; *gap gets the position of "::". */
static bool
take_groups(struct cursor *c, uint8_t *out, size_t *filled, size_t *gap)
{
	size_t n = 0;

	*gap = SLICE_NONE;
	if (cur_word(c, S("::")))
		*gap = 0;
	while (cur_left(c) > 0) {
		unsigned v;

		if (n == GROUPS)
			return false;
		if (n <= GROUPS - 2 && quad_ahead(c)) {
			if (!take_quad(c, &out[2 * n]) || !cur_done(c))
				return false;
			n += 2;
			break;
		}
		if (!take_group(c, &v))
			return false;
		out[2 * n] = (uint8_t)(v >> 8);
		out[2 * n + 1] = (uint8_t)v;
		n++;
		if (cur_left(c) == 0)
			break;
		if (*gap == SLICE_NONE && cur_word(c, S("::")))
			*gap = n;
		else if (!cur_byte(c, ':') || cur_left(c) == 0)
			return false;
	}
	*filled = n;
	return true;
}

bool
ip6_parse(struct slice text, struct ip *out)
{
	struct cursor c = cur_of(text);
	struct ip ip = { .n = 16 };
	size_t n, gap, tail;

	if (!take_groups(&c, ip.b, &n, &gap) || !cur_done(&c))
		return false;
	if (gap == SLICE_NONE ? n != GROUPS : n == GROUPS)
		return false;
	if (gap != SLICE_NONE) {
		tail = 2 * (n - gap);
		memmove(&ip.b[16 - tail], &ip.b[2 * gap], tail);
		memset(&ip.b[2 * gap], 0, 16 - tail - 2 * gap);
	}
	*out = ip;
	return true;
}

bool
ip_parse(struct slice text, struct ip *out)
{
	return slice_find_byte(text, ':') == SLICE_NONE ? ip4_parse(text, out) : ip6_parse(text, out);
}

bool
ip_put(struct buf *b, const struct ip *ip)
{
	unsigned group[GROUPS];
	size_t best = GROUPS, best_n = 1, run = 0;

	if (ip->n != 16)
		return buf_fmt(b, "%u.%u.%u.%u", ip->b[0], ip->b[1], ip->b[2], ip->b[3]);
	for (size_t i = 0; i < GROUPS; i++) {
		group[i] = (unsigned)ip->b[2 * i] << 8 | ip->b[2 * i + 1];
		run = group[i] == 0 ? run + 1 : 0;
		if (run > best_n) {
			best_n = run;
			best = i + 1 - run;
		}
	}
	if (best == 0 && best_n == 5 && group[5] == 0xffff)
		return buf_fmt(b, "::ffff:%u.%u.%u.%u", ip->b[12], ip->b[13], ip->b[14], ip->b[15]);
	for (size_t i = 0; i < GROUPS; i++) {
		if (i == best) {
			(void)buf_add(b, S("::"));
			i += best_n - 1;
			continue;
		}
		(void)buf_fmt(b, i == 0 || i == best + best_n ? "%x" : ":%x", group[i]);
	}
	return !b->bad;
}

struct ip
ip_unmap(struct ip ip)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };
	struct ip v4 = { .n = 4 };

	if (ip.n != 16 || memcmp(ip.b, prefix, sizeof prefix) != 0)
		return ip;
	memcpy(v4.b, &ip.b[12], 4);
	return v4;
}

bool
ip_in(const struct ip *ip, const struct ip *net, unsigned bits)
{
	size_t whole;
	unsigned rest;

	if (ip->n != net->n)
		return false;
	if (bits > ip->n * 8u)
		bits = ip->n * 8u;
	whole = bits / 8;
	rest = bits % 8;
	if (memcmp(ip->b, net->b, whole) != 0)
		return false;
	return rest == 0 || (ip->b[whole] ^ net->b[whole]) >> (8 - rest) == 0;
}

bool
ip_reverse(struct buf *b, const struct ip *ip)
{
	for (size_t i = ip->n; ip->n == 4 && i > 0; i--)
		(void)buf_fmt(b, "%u.", ip->b[i - 1]);
	for (size_t i = ip->n; ip->n == 16 && i > 0; i--)
		(void)buf_fmt(b, "%x.%x.", ip->b[i - 1] & 15u, ip->b[i - 1] >> 4);
	return buf_add(b, ip->n == 4 ? S("in-addr.arpa") : S("ip6.arpa"));
}

/* "ADDRESS" or "ADDRESS/BITS". */
static bool
net_parse(struct slice text, struct ip_net *out)
{
	struct slice address = text, number;
	uint64_t bits = 128;
	struct ip ip;

	if (slice_cut(text, '/', &address, &number)) {
		if (number.n == 0 || number.n > 3 || !slice_u64(number, &bits))
			return false;
		if (!ip_parse(address, &ip) || bits > 8u * ip.n)
			return false;
	} else if (!ip_parse(address, &ip)) {
		return false;
	} else {
		bits = 8u * ip.n;
	}
	for (unsigned i = (unsigned)bits; i < 8u * ip.n; i++)
		if ((ip.b[i / 8] & 0x80u >> i % 8) != 0)
			return false;
	*out = (struct ip_net){ .ip = ip, .bits = (uint8_t)bits };
	return true;
}

bool
ip_nets_parse(struct slice text, struct ip_nets *out)
{
	struct ip_nets got = { .n = 0 };
	struct slice one, rest = text;
	bool more = text.n > 0;

	while (more) {
		more = slice_cut(rest, ' ', &one, &rest);
		if (!more)
			one = rest;
		if (got.n == LIMIT_IP_NETS || !net_parse(one, &got.net[got.n]))
			return false;
		got.n++;
	}
	*out = got;
	return true;
}

bool
ip_nets_have(const struct ip_nets *nets, const struct ip *ip)
{
	for (size_t i = 0; i < nets->n; i++)
		if (ip_in(ip, &nets->net[i].ip, nets->net[i].bits))
			return true;
	return false;
}
