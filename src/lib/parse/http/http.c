/* SPDX-License-Identifier: MIT */
#include "lib/parse/http/http.h"

#include "lib/base/chars.h"

static enum http_step
bad(struct http_head *h, unsigned code)
{
	h->code = code;
	return HTTP_BAD;
}

static bool
is_token(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ch_is_alnum(slice_at(s, i)) &&
		    slice_find_byte(S("!#$%&'*+-.^_`|~"), slice_at(s, i)) == SLICE_NONE)
			return false;
	return s.n > 0;
}

/* RFC 9112 section 3: method SP target SP version. */
static enum http_step
request_line(struct http_head *h, struct slice line, struct arena *a)
{
	struct slice method, target, version, rest;

	if (!slice_cut(line, ' ', &method, &rest) || !slice_cut(rest, ' ', &target, &version) || !is_token(method) ||
	    target.n == 0)
		return bad(h, 400);
	for (size_t i = 0; i < target.n; i++)
		if (!ch_is_vchar(slice_at(target, i)))
			return bad(h, 400);
	if (!slice_starts(version, S("HTTP/")) || version.n != 8 || !ch_is_digit(slice_at(version, 5)) ||
	    slice_at(version, 6) != '.' || !ch_is_digit(slice_at(version, 7)))
		return bad(h, 400);
	if (slice_at(version, 5) != '1' || slice_at(version, 7) > '1')
		return bad(h, 505);
	h->minor = slice_at(version, 7) - '0';
	h->close = h->minor == 0;
	return arena_copy(a, method, &h->method) && arena_copy(a, target, &h->target) ? HTTP_MORE : bad(h, 431);
}

static enum http_step
content_length(struct http_head *h, struct slice v)
{
	if (h->has_length || v.n > 10 || !slice_u64(v, &h->length))
		return bad(h, 400);
	h->has_length = true;
	return HTTP_MORE;
}

/* RFC 9110 section 7.2, as far as a name or address and a port. */
static enum http_step
host(struct http_head *h, struct slice v)
{
	for (size_t i = 0; i < v.n; i++)
		if (!ch_is_alnum(slice_at(v, i)) && slice_find_byte(S("-.:[]_"), slice_at(v, i)) == SLICE_NONE)
			return bad(h, 400);
	if (h->host)
		return bad(h, 400);
	h->host = true;
	return HTTP_MORE;
}

/* RFC 6750 section 2.1. Another scheme is no token of ours. */
static enum http_step
authorization(struct http_head *h, struct slice v, struct arena *a)
{
	struct slice token = v.n > 7 ? slice_trim(slice_from(v, 7)) : S("");

	if (h->authorization)
		return bad(h, 400);
	h->authorization = true;
	if (!slice_istarts(v, S("Bearer ")) || token.n > HTTP_BEARER)
		return HTTP_MORE;
	for (size_t i = 0; i < token.n; i++)
		if (!ch_is_alnum(slice_at(token, i)) && slice_find_byte(S("-._~+/="), slice_at(token, i)) == SLICE_NONE)
			return HTTP_MORE;
	return arena_copy(a, token, &h->bearer) ? HTTP_MORE : bad(h, 431);
}

static enum http_step
content_type(struct http_head *h, struct slice v)
{
	struct slice type = v, parameters;

	if (h->type)
		return bad(h, 400);
	h->type = true;
	(void)slice_cut(v, ';', &type, &parameters);
	h->json = slice_ieq(slice_trim(type), S("application/json"));
	return HTTP_MORE;
}

static enum http_step
connection(struct http_head *h, struct slice v)
{
	struct slice one, rest = v;

	for (bool more = true; more;) {
		more = slice_cut(rest, ',', &one, &rest);
		if (!more)
			one = rest;
		if (slice_ieq(slice_trim(one), S("close")))
			h->close = true;
	}
	return HTTP_MORE;
}

static enum http_step
field(struct http_head *h, struct slice line, struct arena *a)
{
	struct slice name, v;

	if (h->lines > HTTP_FIELDS + 1) /* the request line was the first */
		return bad(h, 431);
	if (!slice_cut(line, ':', &name, &v) || !is_token(name))
		return bad(h, 400);
	v = slice_trim(v);
	for (size_t i = 0; i < v.n; i++)
		if ((slice_at(v, i) < 0x20 && slice_at(v, i) != '\t') || slice_at(v, i) == 0x7f)
			return bad(h, 400);
	if (slice_ieq(name, S("Content-Length")))
		return content_length(h, v);
	if (slice_ieq(name, S("Transfer-Encoding")))
		h->chunked = true;
	if (slice_ieq(name, S("Host")))
		return host(h, v);
	if (slice_ieq(name, S("Authorization")))
		return authorization(h, v, a);
	if (slice_ieq(name, S("Content-Type")))
		return content_type(h, v);
	if (slice_ieq(name, S("Connection")))
		return connection(h, v);
	if (slice_ieq(name, S("Content-Encoding")))
		h->encoded = h->encoded || !slice_ieq(v, S("identity"));
	if (slice_ieq(name, S("Expect"))) {
		if (!slice_ieq(v, S("100-continue")))
			return bad(h, 417);
		h->expects = h->minor > 0;
	}
	return HTTP_MORE;
}

/* The empty line: does all of it make one request that ends in one place? */
static enum http_step
whole(struct http_head *h)
{
	if (h->chunked)
		return bad(h, h->has_length || h->minor == 0 ? 400 : 501);
	if (h->minor == 1 && !h->host)
		return bad(h, 400);
	if (h->encoded)
		return bad(h, 415);
	if (!h->has_length && slice_eq(h->method, S("POST")))
		return bad(h, 411);
	return HTTP_DONE;
}

enum http_step
http_head_line(struct http_head *h, struct slice line, struct arena *a)
{
	h->bytes += line.n + 2;
	if (line.n > HTTP_LINE || h->bytes > HTTP_HEAD)
		return bad(h, h->lines == 0 ? 414 : 431);
	if (h->lines++ == 0)
		return request_line(h, line, a);
	return line.n == 0 ? whole(h) : field(h, line, a);
}

const char *
http_reason(unsigned code)
{
	static const struct {
		unsigned code;
		const char *text;
	} reasons[] = { { 200, "OK" }, { 400, "Bad Request" }, { 401, "Unauthorized" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 408, "Request Timeout" }, { 411, "Length Required" },
		{ 413, "Content Too Large" }, { 414, "URI Too Long" }, { 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" }, { 422, "Unprocessable Content" },
		{ 431, "Request Header Fields Too Large" }, { 501, "Not Implemented" },
		{ 503, "Service Unavailable" }, { 505, "HTTP Version Not Supported" } };

	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
		if (reasons[i].code == code)
			return reasons[i].text;
	return "Status";
}
