/* SPDX-License-Identifier: MIT */
#include "lib/make/dsn/dsn.h"

#include "lib/base/chars.h"
#include "lib/base/encode.h"
#include "lib/make/date.h"
#include "lib/make/dsn/words.h"

#define LINE ((size_t)900) /* of what came from elsewhere; RFC 5322 2.1.1 ends a line at 998 */

static const struct {
	const char *subject, *action, *people;
	char class;
} kinds[] = {
	[DSN_FAILED] = { "Undelivered Mail Returned to Sender", "failed",
	    "Your message could not be delivered to:", '5' },
	[DSN_DELAYED] = { "Delayed Mail (still being retried)", "delayed",
	    "Your message could not yet be delivered to the following. You need not send it\r\n"
	    "again: the server keeps trying.", '4' },
	[DSN_DELIVERED] = { "Successful Mail Delivery Report", "delivered",
	    "Your message was delivered to:", '2' },
	[DSN_RELAYED] = { "Successful Mail Delivery Report", "relayed",
	    "Your message was passed on to a server that does not report deliveries, for:", '2' },
};

struct slice
dsn_header(struct slice message)
{
	size_t end = slice_find(message, S("\r\n\r\n"));
	struct slice head = end == SLICE_NONE ? message : slice_head(message, end + 2);

	if (head.n <= LIMIT_DSN_HEADER)
		return head;
	head = slice_head(head, LIMIT_DSN_HEADER);
	end = slice_rfind_byte(head, '\n');
	return slice_head(head, end == SLICE_NONE ? 0 : end + 1);
}

bool
dsn_is_8bit(const struct dsn *d)
{
	return d->original.n > 0 && !ascii_only(d->original);
}

bool
dsn_is_utf8(const struct dsn *d)
{
	return !ascii_only(d->to);
}

static void
line(struct buf *b, const char *name, struct slice value)
{
	(void)buf_add(b, slice_z(name));
	(void)buf_printable(b, value, LINE);
	(void)buf_add(b, S("\r\n"));
}

/* An address as it is: the backslash of a quoted local part belongs to it. Escaped where it has what
 * no address has. */
static void
as_it_is(struct buf *b, struct slice a)
{
	bool plain = ascii_only(a) || utf8_valid(a);

	for (size_t i = 0; i < a.n; i++)
		plain = plain && slice_at(a, i) >= 0x20 && slice_at(a, i) != 0x7f;
	if (plain && a.n <= LINE)
		(void)buf_add(b, a);
	else
		(void)buf_printable(b, a, LINE);
}

static void
date(struct buf *b, const char *name, int64_t seconds)
{
	(void)buf_add(b, slice_z(name));
	(void)date_format_rfc5322(b, seconds, 0);
	(void)buf_add(b, S("\r\n"));
}

/* RFC 6533 3: utf-8-addr-xtext, where \x{HEX} stands for what is no plain ASCII. */
static void
address(struct buf *b, const char *name, struct slice a)
{
	size_t from = b->n;

	(void)buf_add(b, slice_z(name));
	(void)buf_add(b, ascii_only(a) || !utf8_valid(a) ? S("rfc822; ") : S("utf-8; "));
	if (ascii_only(a)) {
		as_it_is(b, a);
	} else if (!utf8_valid(a)) {
		(void)buf_printable(b, a, LINE);
	} else {
		for (size_t at = 0; at < a.n && b->n - from < LINE;) {
			int32_t cp = utf8_next(a, &at);

			if (cp > 0x20 && cp < 0x7f && cp != '\\' && cp != '+' && cp != '=')
				(void)buf_byte(b, (uint8_t)cp);
			else
				(void)buf_fmt(b, "\\x{%X}", (unsigned)cp);
		}
	}
	(void)buf_add(b, S("\r\n"));
}

/* RFC 3461 4: "+41" is an octet. What is not xtext stays as it is. */
static void
unescaped(struct buf *b, const char *name, struct slice type, struct slice in)
{
	struct buf plain;

	buf_init(&plain, 1024);
	for (size_t i = 0; i < in.n; i++) {
		uint8_t c = slice_at(in, i);

		if (c == '+' && i + 2 < in.n && ch_hex(slice_at(in, i + 1)) >= 0 && ch_hex(slice_at(in, i + 2)) >= 0) {
			c = (uint8_t)(ch_hex(slice_at(in, i + 1)) << 4 | ch_hex(slice_at(in, i + 2)));
			i += 2;
		}
		(void)buf_byte(&plain, c);
	}
	(void)buf_add(b, slice_z(name));
	if (type.n > 0) {
		(void)buf_printable(b, type, 40);
		(void)buf_add(b, S("; "));
	}
	(void)buf_printable(b, buf_slice(&plain), LINE);
	(void)buf_add(b, S("\r\n"));
	buf_free(&plain);
}

/* A status of the kind's own class: "failed" with a 4.x.x would say two things. */
static void
status(struct buf *b, const struct dsn *d, const struct dsn_rcpt *r)
{
	struct slice class, detail;

	(void)buf_byte(b, (uint8_t)kinds[d->kind].class);
	if (slice_cut(r->status, '.', &class, &detail) && detail.n >= 3 && detail.n <= 7) {
		(void)buf_byte(b, '.');
		(void)buf_printable(b, detail, 8);
	} else {
		(void)buf_add(b, S(".0.0"));
	}
}

/* ---- the parts ---------------------------------------------------------------------------------- */

static void
header(struct buf *b, const struct dsn *d, struct slice boundary)
{
	date(b, "Date: ", d->seconds);
	(void)buf_add(b, S("From: Mail Delivery System <MAILER-DAEMON@"));
	(void)buf_printable(b, d->host, 255);
	(void)buf_add(b, S(">\r\nTo: <"));
	as_it_is(b, d->to);
	(void)buf_fmt(b, ">\r\nSubject: %s\r\nMessage-ID: <", kinds[d->kind].subject);
	(void)buf_printable(b, d->id, 80);
	(void)buf_byte(b, '@');
	(void)buf_printable(b, d->host, 255);
	(void)buf_add(b, S(">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\""));
	(void)buf_add(b, boundary);
	(void)buf_add(b, S("\"\r\n"));
	if (dsn_is_8bit(d))
		(void)buf_add(b, S("Content-Transfer-Encoding: 8bit\r\n"));
	(void)buf_add(b, S("\r\n"));
}

static void
part(struct buf *b, struct slice boundary, const char *fields)
{
	(void)buf_add(b, S("\r\n--"));
	(void)buf_add(b, boundary);
	(void)buf_add(b, S("\r\n"));
	(void)buf_add(b, slice_z(fields));
	(void)buf_add(b, S("\r\n"));
}

/* The reply as it was, but for its code: "5.1.1 no such user". */
static void
said(struct buf *b, const struct dsn_rcpt *r)
{
	if (r->status.n > 0) {
		(void)buf_printable(b, r->status, 16);
		(void)buf_byte(b, ' ');
	}
	line(b, "", r->said);
}

static void
people_rcpt(struct buf *b, const struct dsn *d, const struct dsn_rcpt *r)
{
	(void)buf_add(b, S("\r\n<"));
	(void)buf_printable(b, r->address, LINE);
	(void)buf_add(b, S(">\r\n"));
	if (d->kind == DSN_DELIVERED || d->kind == DSN_RELAYED)
		return;
	line(b, "    ", dsn_words(r->status, r->code));
	if (r->said.n > 0 && r->code != 0 && r->remote.n > 0) {
		(void)buf_add(b, S("    The server "));
		(void)buf_printable(b, r->remote, 255);
		(void)buf_fmt(b, " said:\r\n    %u ", r->code % 1000);
		said(b, r);
	} else if (r->said.n > 0) {
		line(b, "    In detail: ", r->said);
	}
}

static void
people(struct buf *b, const struct dsn *d)
{
	(void)buf_add(b, S("This is the mail server at "));
	line(b, "", d->host);
	(void)buf_fmt(b, "\r\n%s\r\n", kinds[d->kind].people);
	for (size_t i = 0; i < d->n && i < LIMIT_DSN_RCPTS; i++)
		people_rcpt(b, d, &d->rcpts[i]);
	if (d->n > LIMIT_DSN_RCPTS)
		(void)buf_fmt(b, "\r\nand %zu more.\r\n", d->n - LIMIT_DSN_RCPTS);
	if (d->kind == DSN_DELAYED && d->until != 0)
		date(b, "\r\nThe server gives up on ", d->until);
	(void)buf_add(b, S("\r\nThe administrator finds more under the number "));
	(void)buf_printable(b, d->about, 80);
	(void)buf_add(b, d->full ? S(".\r\nYour message is attached.\r\n") :
				   S(".\r\nThe header of your message is attached.\r\n"));
}

static void
machine_rcpt(struct buf *b, const struct dsn *d, const struct dsn_rcpt *r)
{
	struct slice type, value;

	(void)buf_add(b, S("\r\n"));
	if (slice_cut(r->orcpt, ';', &type, &value))
		unescaped(b, "Original-Recipient: ", type, value);
	address(b, "Final-Recipient: ", r->address);
	(void)buf_fmt(b, "Action: %s\r\nStatus: ", kinds[d->kind].action);
	status(b, d, r);
	(void)buf_add(b, S("\r\n"));
	if (r->remote.n > 0)
		line(b, "Remote-MTA: dns; ", r->remote);
	if (r->said.n > 0 && r->code != 0) {
		(void)buf_fmt(b, "Diagnostic-Code: smtp; %u ", r->code % 1000);
		said(b, r);
	} else if (r->said.n > 0) {
		line(b, "Diagnostic-Code: X-Postern; ", r->said);
	}
	date(b, "Last-Attempt-Date: ", d->seconds);
	if (d->kind == DSN_DELAYED && d->until != 0)
		date(b, "Will-Retry-Until: ", d->until);
}

static void
machine(struct buf *b, const struct dsn *d)
{
	line(b, "Reporting-MTA: dns; ", d->host);
	if (d->envid.n > 0)
		unescaped(b, "Original-Envelope-Id: ", S(""), d->envid);
	date(b, "Arrival-Date: ", d->arrived);
	line(b, "X-Postern-Queue-ID: ", d->about);
	for (size_t i = 0; i < d->n && i < LIMIT_DSN_RCPTS; i++)
		machine_rcpt(b, d, &d->rcpts[i]);
}

/* One that does not occur in what is returned, whoever wrote it. */
static void
choose_boundary(struct buf *to, const struct dsn *d)
{
	for (unsigned k = 0; k < 1000; k++) {
		buf_reset(to);
		(void)buf_add(to, S("=_"));
		(void)buf_printable(to, slice_head(d->id, 50), 60);
		(void)buf_fmt(to, "_%u", k);
		if (slice_find(d->original, buf_slice(to)) == SLICE_NONE)
			return;
	}
}

bool
dsn_write(struct buf *b, const struct dsn *d)
{
	static const char *const types[2][2] = { { "text/rfc822-headers", "message/rfc822" },
		{ "message/global-headers", "message/global" } };
	bool wide = !ascii_only(dsn_header(d->original)) && d->original.n > 0;
	struct buf boundary, fields;

	buf_init(&boundary, 128);
	buf_init(&fields, 512);
	choose_boundary(&boundary, d);
	header(b, d, buf_slice(&boundary));
	part(b, buf_slice(&boundary), "Content-Type: text/plain; charset=us-ascii\r\nContent-Description: Notification\r\n");
	people(b, d);
	part(b, buf_slice(&boundary),
	    "Content-Type: message/delivery-status\r\nContent-Description: Delivery report\r\n");
	machine(b, d);
	(void)buf_fmt(&fields, "Content-Type: %s%s\r\nContent-Description: %s\r\n%s%c", types[wide][d->full],
	    d->full || wide ? "" : "; charset=us-ascii", d->full ? "Your message" : "Header of your message",
	    dsn_is_8bit(d) ? "Content-Transfer-Encoding: 8bit\r\n" : "", '\0');
	part(b, buf_slice(&boundary), fields.bad ? "" : (const char *)fields.p);
	(void)buf_add(b, d->original);
	(void)buf_add(b, S("\r\n--"));
	(void)buf_add(b, buf_slice(&boundary));
	(void)buf_add(b, S("--\r\n"));
	buf_free(&boundary);
	buf_free(&fields);
	return !b->bad;
}
