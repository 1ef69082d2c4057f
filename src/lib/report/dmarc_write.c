/* SPDX-License-Identifier: MIT
 * The writer of DMARC aggregate reports, RFC 9990 section 3.1 and its schema. */
#include <zlib.h>

#include "lib/base/chars.h"
#include "lib/base/encode.h"
#include "lib/report/dmarc.h"

static void
put_text(struct buf *b, struct slice s)
{
	size_t at = 0;

	while (at < s.n && at < LIMIT_DMARC_REPORT_TEXT) {
		size_t was = at;
		int32_t cp = utf8_next(s, &at);

		if (cp == '&')
			(void)buf_add(b, S("&amp;"));
		else if (cp == '<')
			(void)buf_add(b, S("&lt;"));
		else if (cp == '>')
			(void)buf_add(b, S("&gt;"));
		else if (cp < 0x20 || cp == 0x7f || cp == 0xfffe || cp == 0xffff)
			(void)buf_byte(b, '?');
		else
			(void)buf_add(b, slice_sub(s, was, at - was));
	}
}

static void
put(struct buf *b, const char *name, struct slice text)
{
	if (text.n == 0)
		return;
	(void)buf_fmt(b, "<%s>", name);
	put_text(b, text);
	(void)buf_fmt(b, "</%s>\n", name);
}

static void
put_number(struct buf *b, const char *name, uint64_t n)
{
	(void)buf_fmt(b, "<%s>", name);
	(void)buf_u64(b, n);
	(void)buf_fmt(b, "</%s>\n", name);
}

bool
dmarc_report_begin(struct buf *b, const struct dmarc_report *r)
{
	(void)buf_add(b, S("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			   "<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\">\n"
			   "<version>1.0</version>\n<report_metadata>\n"));
	put(b, "org_name", r->org_name);
	put(b, "email", r->email);
	put(b, "extra_contact_info", r->extra_contact);
	put(b, "report_id", r->report_id);
	(void)buf_add(b, S("<date_range>\n"));
	put_number(b, "begin", r->begin);
	put_number(b, "end", r->end);
	(void)buf_add(b, S("</date_range>\n"));
	put(b, "error", r->error);
	put(b, "generator", r->generator);
	(void)buf_add(b, S("</report_metadata>\n<policy_published>\n"));
	put(b, "domain", r->domain);
	put(b, "p", r->p);
	put(b, "sp", r->sp);
	put(b, "np", r->np);
	put(b, "adkim", r->adkim);
	put(b, "aspf", r->aspf);
	put(b, "discovery_method", r->discovery);
	put(b, "fo", r->fo);
	put(b, "testing", r->testing);
	return buf_add(b, S("</policy_published>\n"));
}

static void
put_auth(struct buf *b, const char *name, const struct dmarc_report_auth *auth)
{
	(void)buf_fmt(b, "<%s>\n", name);
	put(b, "domain", auth->domain);
	put(b, "selector", auth->selector);
	put(b, "scope", auth->scope);
	put(b, "result", auth->result);
	put(b, "human_result", auth->human);
	(void)buf_fmt(b, "</%s>\n", name);
}

bool
dmarc_report_row(struct buf *b, const struct dmarc_report_row *row)
{
	(void)buf_add(b, S("<record>\n<row>\n"));
	if (row->ip.n > 0) {
		(void)buf_add(b, S("<source_ip>"));
		(void)ip_put(b, &row->ip);
		(void)buf_add(b, S("</source_ip>\n"));
	} else {
		put(b, "source_ip", row->source);
	}
	put_number(b, "count", row->count);
	(void)buf_add(b, S("<policy_evaluated>\n"));
	put(b, "disposition", row->disposition);
	put(b, "dkim", row->dkim);
	put(b, "spf", row->spf);
	for (size_t i = 0; i < row->n_reasons && i < LIMIT_DMARC_REPORT_LIST; i++) {
		(void)buf_add(b, S("<reason>\n"));
		put(b, "type", row->reasons[i].type);
		put(b, "comment", row->reasons[i].comment);
		(void)buf_add(b, S("</reason>\n"));
	}
	(void)buf_add(b, S("</policy_evaluated>\n</row>\n<identifiers>\n"));
	put(b, "envelope_to", row->envelope_to);
	put(b, "envelope_from", row->envelope_from);
	put(b, "header_from", row->header_from);
	(void)buf_add(b, S("</identifiers>\n<auth_results>\n"));
	for (size_t i = 0; i < row->n_dkim && i < LIMIT_DMARC_REPORT_LIST; i++)
		put_auth(b, "dkim", &row->dkim_auth[i]);
	for (size_t i = 0; i < row->n_spf && i < LIMIT_DMARC_REPORT_LIST; i++)
		put_auth(b, "spf", &row->spf_auth[i]);
	return buf_add(b, S("</auth_results>\n</record>\n"));
}

bool
dmarc_report_end(struct buf *b)
{
	return buf_add(b, S("</feedback>\n"));
}

bool
report_gzip(struct buf *out, struct slice in)
{
	z_stream z = { .next_in = NULL };
	uint8_t piece[2048];
	int status;

	if (in.n > UINT32_MAX || deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	z.next_in = (z_const Bytef *)(uintptr_t)in.p;
	z.avail_in = (uInt)in.n;
	do {
		z.next_out = piece;
		z.avail_out = sizeof piece;
		status = deflate(&z, Z_FINISH);
		(void)buf_add(out, slice_of(piece, sizeof piece - z.avail_out));
	} while (status == Z_OK && !out->bad);
	(void)deflateEnd(&z);
	return status == Z_STREAM_END && !out->bad;
}

static void
put_safe(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n && i < 128; i++) {
		uint8_t c = slice_at(s, i);

		(void)buf_byte(b, ch_is_alnum(c) || c == '.' || c == '-' || c == '_' ? c : '_');
	}
}

bool
dmarc_report_filename(struct buf *b, const struct dmarc_report *r, struct slice receiver)
{
	put_safe(b, receiver);
	(void)buf_byte(b, '!');
	put_safe(b, r->domain);
	(void)buf_byte(b, '!');
	(void)buf_u64(b, r->begin);
	(void)buf_byte(b, '!');
	(void)buf_u64(b, r->end);
	(void)buf_byte(b, '!');
	put_safe(b, r->report_id);
	return buf_add(b, S(".xml.gz"));
}

bool
dmarc_report_subject(struct buf *b, const struct dmarc_report *r, struct slice receiver)
{
	(void)buf_add(b, S("Report Domain: "));
	put_safe(b, r->domain);
	(void)buf_add(b, S(" Submitter: "));
	put_safe(b, receiver);
	(void)buf_add(b, S(" Report-ID: <"));
	put_safe(b, r->report_id);
	return buf_byte(b, '>');
}
