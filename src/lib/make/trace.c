/* SPDX-License-Identifier: MIT */
#include "lib/make/trace.h"

#include "lib/base/chars.h"
#include "lib/base/encode.h"
#include "lib/make/date.h"

#define COLUMNS 78

/* Printable, or UTF-8 beyond ASCII. */
static bool
is_fit(struct slice w)
{
	for (size_t i = 0; i < w.n; i++)
		if (slice_at(w, i) < 0x80 && !ch_is_print(slice_at(w, i)))
			return false;
	return utf8_valid(w);
}

/* A word of a field that is being folded; column is where the line stands. */
static void
word(struct buf *b, size_t *column, struct slice w)
{
	if (!is_fit(w))
		b->bad = true;
	if (*column + 1 + w.n > COLUMNS) {
		(void)buf_add(b, S("\r\n\t"));
		*column = 8;
	} else {
		(void)buf_byte(b, ' ');
		(*column)++;
	}
	(void)buf_add(b, w);
	*column += w.n;
}

static const char *
protocol(const struct trace_received *r)
{
	if (r->lmtp)
		return r->utf8 ? "UTF8LMTP" : "LMTP";
	if (r->utf8 && r->tls)
		return r->auth ? "UTF8SMTPSA" : "UTF8SMTPS";
	if (r->utf8)
		return r->auth ? "UTF8SMTPA" : "UTF8SMTP";
	if (!r->esmtp)
		return "SMTP";
	if (r->tls)
		return r->auth ? "ESMTPSA" : "ESMTPS";
	return r->auth ? "ESMTPA" : "ESMTP";
}

/* "([192.0.2.1])" or "([IPv6:2001:db8::1])" behind the name. */
static void
peer(struct buf *b, size_t *column, const struct ip *ip)
{
	struct buf text;

	buf_init(&text, 80);
	(void)buf_add(&text, ip->n == 4 ? S("([") : S("([IPv6:"));
	(void)ip_put(&text, ip);
	(void)buf_add(&text, S("])"));
	b->bad = b->bad || text.bad;
	word(b, column, buf_slice(&text));
	buf_free(&text);
}

static void
bracketed(struct buf *b, size_t *column, const char *open, struct slice in, const char *close)
{
	struct buf text;

	buf_init(&text, 400);
	(void)buf_add(&text, slice_z(open));
	(void)buf_add(&text, in);
	(void)buf_add(&text, slice_z(close));
	b->bad = b->bad || text.bad;
	word(b, column, buf_slice(&text));
	buf_free(&text);
}

bool
trace_received(struct buf *b, const struct trace_received *r)
{
	size_t column = S("Received:").n;

	(void)buf_add(b, S("Received:"));
	if (r->helo.n > 0 || r->peer.n > 0) {
		word(b, &column, S("from"));
		word(b, &column, r->helo.n > 0 ? r->helo : S("unknown"));
		if (r->peer.n > 0)
			peer(b, &column, &r->peer);
	}
	word(b, &column, S("by"));
	word(b, &column, r->host);
	word(b, &column, S("with"));
	word(b, &column, slice_z(protocol(r)));
	if (r->tls && r->tls_version.n > 0) {
		struct buf text;

		buf_init(&text, 200);
		(void)buf_add(&text, r->tls_version);
		(void)buf_byte(&text, ' ');
		(void)buf_add(&text, r->cipher.n > 0 ? r->cipher : S("unknown"));
		b->bad = b->bad || text.bad;
		bracketed(b, &column, "(", buf_slice(&text), ")");
		buf_free(&text);
	}
	word(b, &column, S("id"));
	word(b, &column, r->id);
	if (r->rcpt.n > 0) {
		word(b, &column, S("for"));
		bracketed(b, &column, "<", r->rcpt, ">");
	}
	(void)buf_add(b, S(";\r\n\t"));
	(void)date_format_rfc5322(b, r->seconds, 0);
	return buf_add(b, S("\r\n"));
}

bool
trace_local(struct buf *b, struct slice host, struct slice program, uint32_t uid, struct slice id,
    int64_t seconds)
{
	for (size_t i = 0; i < program.n; i++)
		if (!ch_is_vchar(slice_at(program, i)) || slice_find_byte(S("()\\"), slice_at(program, i)) != SLICE_NONE)
			return b->bad = true, false;
	(void)buf_fmt(b, "Received: by %.*s (from %.*s, uid %u)\r\n\tid %.*s;\r\n\t", SFMT(host), SFMT(program), uid,
	    SFMT(id));
	(void)date_format_rfc5322(b, seconds, 0);
	return buf_add(b, S("\r\n"));
}

static bool
field(struct buf *b, struct slice name, const char *open, struct slice value, const char *close)
{
	if (!is_fit(value))
		b->bad = true;
	(void)buf_add(b, name);
	(void)buf_add(b, slice_z(open));
	(void)buf_add(b, value);
	(void)buf_add(b, slice_z(close));
	return buf_add(b, S("\r\n"));
}

bool
trace_return_path(struct buf *b, struct slice sender)
{
	return field(b, S("Return-Path: "), "<", sender, ">");
}

bool
trace_delivered_to(struct buf *b, struct slice address)
{
	return field(b, S("Delivered-To: "), "", address, "");
}

bool
trace_list(struct buf *b, struct slice list)
{
	size_t at = slice_rfind_byte(list, '@');
	struct buf id;
	bool ok;

	if (at == SLICE_NONE)
		return b->bad = true, false;
	buf_init(&id, 400);
	(void)buf_add(&id, slice_head(list, at));
	(void)buf_byte(&id, '.');
	(void)buf_add(&id, slice_from(list, at + 1));
	ok = !id.bad && field(b, S("List-Id: "), "<", buf_slice(&id), ">") &&
	    field(b, S("List-Post: "), "<mailto:", list, ">") && field(b, S("Precedence: "), "", S("list"), "");
	buf_free(&id);
	return ok;
}
