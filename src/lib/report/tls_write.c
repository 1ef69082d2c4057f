/* SPDX-License-Identifier: MIT
 * The writer of TLS reports, RFC 8460 section 4.4. */
#include "lib/base/civil.h"
#include "lib/base/encode.h"
#include "lib/report/tls.h"

static void
put_string(struct buf *b, struct slice s)
{
	(void)buf_byte(b, '"');
	for (size_t at = 0; at < s.n && at < LIMIT_TLS_REPORT_TEXT;) {
		size_t was = at;
		int32_t cp = utf8_next(s, &at);

		if (cp < 0)
			(void)buf_byte(b, '?');
		else if (cp < 0x20 || cp == 0x7f)
			(void)buf_fmt(b, "\\u%04x", (unsigned)cp);
		else if (cp == '"' || cp == '\\')
			(void)buf_fmt(b, "\\%c", (char)cp);
		else
			(void)buf_add(b, slice_sub(s, was, at - was));
	}
	(void)buf_byte(b, '"');
}

/* "key": "value", preceded by a comma; left out when empty. */
static void
put(struct buf *b, const char *key, struct slice value)
{
	if (value.n == 0)
		return;
	(void)buf_fmt(b, ",\"%s\":", key);
	put_string(b, value);
}

static void
put_date(struct buf *b, int64_t seconds)
{
	struct civil c = civil_of(seconds);

	(void)buf_fmt(b, "\"%04d-%02u-%02uT%02u:%02u:%02uZ\"", c.year, c.month, c.day, c.hour, c.minute,
	    c.second);
}

/* An array of the parts of a joined text. */
static void
put_list(struct buf *b, const char *key, struct slice joined, uint8_t between)
{
	bool more = joined.n > 0;

	if (!more)
		return;
	(void)buf_fmt(b, ",\"%s\":[", key);
	for (bool first = true; more; first = false) {
		struct slice head = joined, tail = S("");

		more = slice_cut(joined, between, &head, &tail);
		joined = tail;
		if (!first)
			(void)buf_byte(b, ',');
		put_string(b, slice_trim(head));
	}
	(void)buf_byte(b, ']');
}

bool
tls_report_begin(struct buf *b, const struct tls_report *r)
{
	(void)buf_add(b, S("{\"organization-name\":"));
	put_string(b, r->organization);
	(void)buf_add(b, S(",\"date-range\":{\"start-datetime\":"));
	put_date(b, r->start);
	(void)buf_add(b, S(",\"end-datetime\":"));
	put_date(b, r->end);
	(void)buf_byte(b, '}');
	put(b, "contact-info", r->contact);
	put(b, "report-id", r->id);
	return buf_add(b, S(",\"policies\":["));
}

static void
put_failure(struct buf *b, const struct tls_report_failure *f)
{
	(void)buf_add(b, S("{\"result-type\":"));
	put_string(b, f->type);
	put(b, "sending-mta-ip", f->sending_ip);
	put(b, "receiving-mx-hostname", f->receiving_mx);
	put(b, "receiving-mx-helo", f->receiving_helo);
	put(b, "receiving-ip", f->receiving_ip);
	(void)buf_add(b, S(",\"failed-session-count\":"));
	(void)buf_u64(b, f->sessions);
	put(b, "additional-information", f->info);
	put(b, "failure-reason-code", f->reason);
	(void)buf_byte(b, '}');
}

bool
tls_report_policy(struct buf *b, const struct tls_report_policy *p, bool first)
{
	(void)buf_add(b, first ? S("{\"policy\":{\"policy-type\":") : S(",{\"policy\":{\"policy-type\":"));
	put_string(b, p->type);
	put_list(b, "policy-string", p->string, '\n');
	put(b, "policy-domain", p->domain);
	put_list(b, "mx-host", p->mx, ',');
	(void)buf_add(b, S("},\"summary\":{\"total-successful-session-count\":"));
	(void)buf_u64(b, p->successes);
	(void)buf_add(b, S(",\"total-failure-session-count\":"));
	(void)buf_u64(b, p->failed);
	(void)buf_byte(b, '}');
	for (size_t i = 0; i < p->n; i++) {
		(void)buf_add(b, i == 0 ? S(",\"failure-details\":[") : S(","));
		put_failure(b, &p->failures[i]);
	}
	return buf_add(b, p->n > 0 ? S("]}") : S("}"));
}

bool
tls_report_end(struct buf *b)
{
	return buf_add(b, S("]}\n"));
}
