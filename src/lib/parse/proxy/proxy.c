/* SPDX-License-Identifier: MIT */
#include "lib/parse/proxy/proxy.h"

#include "lib/base/cursor.h"

#define V1_MOST ((size_t)107) /* with its CRLF: section 2.1 */
#define V2_FIXED ((size_t)16)

static const struct slice signature = S_INIT("\r\n\r\n\0\r\nQUIT\n");

static bool
is_not_blank(uint8_t b)
{
	return b > ' ' && b < 0x7f;
}

static bool
port(struct cursor *c, uint16_t *out)
{
	struct slice digits;
	uint64_t n;

	if (!cur_take(c, ch_is_digit, 5, &digits) || !slice_u64(digits, &n) || n > UINT16_MAX ||
	    (digits.n > 1 && slice_at(digits, 0) == '0'))
		return false;
	*out = (uint16_t)n;
	return true;
}

/* "PROXY TCP4 192.0.2.1 192.0.2.2 5000 25" or "PROXY UNKNOWN" and anything; without CRLF. */
static bool
line(struct slice in, struct proxy_header *h)
{
	struct cursor c = cur_of(in);
	struct slice peer, to;
	uint8_t n;

	if (!cur_word(&c, S("PROXY ")))
		return false;
	if (cur_word(&c, S("UNKNOWN"))) {
		h->local = true;
		return cur_done(&c) || cur_peek(&c) == ' ';
	}
	n = cur_word(&c, S("TCP4 ")) ? 4 : cur_word(&c, S("TCP6 ")) ? 16 : 0;
	return n != 0 && cur_take(&c, is_not_blank, 45, &peer) && cur_byte(&c, ' ') &&
	    cur_take(&c, is_not_blank, 45, &to) && cur_byte(&c, ' ') && port(&c, &h->peer_port) &&
	    cur_byte(&c, ' ') && port(&c, &h->to_port) && cur_done(&c) &&
	    (n == 4 ? ip4_parse(peer, &h->peer) && ip4_parse(to, &h->to)
		    : ip6_parse(peer, &h->peer) && ip6_parse(to, &h->to));
}

static enum proxy_status
version_1(struct slice in, struct proxy_header *out, size_t *used)
{
	size_t end = slice_find(slice_head(in, V1_MOST), S("\r\n"));
	struct proxy_header h = { .local = false };

	if (end == SLICE_NONE)
		return in.n < V1_MOST && slice_find_byte(in, '\n') == SLICE_NONE ? PROXY_MORE : PROXY_BAD;
	/* a bare CR or LF before it: what came in pieces must not be read otherwise than what came at once */
	if (slice_find_byte(in, '\n') != end + 1 || slice_find_byte(in, '\r') != end || !line(slice_head(in, end), &h))
		return PROXY_BAD;
	*out = h;
	*used = end + 2;
	return PROXY_OK;
}

static uint16_t
u16(struct slice in, size_t at)
{
	return (uint16_t)(slice_at(in, at) << 8 | slice_at(in, at + 1));
}

static void
addresses(struct slice in, uint8_t n, struct proxy_header *h)
{
	struct slice from = slice_sub(in, 0, n), to = slice_sub(in, n, n);

	memcpy(h->peer.b, from.p, n);
	memcpy(h->to.b, to.p, n);
	h->peer.n = h->to.n = n;
	h->peer_port = u16(in, 2u * n);
	h->to_port = u16(in, 2u * n + 2);
}

static enum proxy_status
version_2(struct slice in, struct proxy_header *out, size_t *used)
{
	struct proxy_header h = { .local = false };
	uint8_t verb, family;
	size_t length;

	if (in.n < V2_FIXED)
		return PROXY_MORE;
	verb = slice_at(in, 12);
	family = slice_at(in, 13);
	length = u16(in, 14);
	if ((verb != 0x20 && verb != 0x21) || length > PROXY_MOST - V2_FIXED)
		return PROXY_BAD;
	if (in.n < V2_FIXED + length)
		return PROXY_MORE;
	if (verb == 0x20 || family == 0)
		h.local = true;
	else if (family == 0x11 && length >= 12)
		addresses(slice_sub(in, V2_FIXED, length), 4, &h);
	else if (family == 0x21 && length >= 36)
		addresses(slice_sub(in, V2_FIXED, length), 16, &h);
	else
		return PROXY_BAD;
	*out = h;
	*used = V2_FIXED + length;
	return PROXY_OK;
}

enum proxy_status
proxy_parse(struct slice in, struct proxy_header *out, size_t *used)
{
	struct slice word = S("PROXY ");

	if (slice_starts(in, word))
		return version_1(in, out, used);
	if (slice_starts(in, signature))
		return version_2(in, out, used);
	if ((in.n < word.n && slice_starts(word, in)) || (in.n < signature.n && slice_starts(signature, in)))
		return PROXY_MORE;
	return PROXY_BAD;
}
