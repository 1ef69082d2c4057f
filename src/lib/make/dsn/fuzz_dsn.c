/* SPDX-License-Identifier: MIT
 * Whatever remote servers and senders say: outside what is returned of the message every octet is
 * printable ASCII or a line end of ours, no line is longer than mail allows, and a field that we did
 * not write does not appear. */
#include "lib/base/chars.h"
#include "lib/base/own.h"
#include "lib/make/dsn/dsn.h"
#include "lib/make/dsn/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct slice
next(struct slice *in)
{
	struct slice head;

	if (!slice_cut(*in, '\n', &head, in)) {
		head = *in;
		*in = S("");
	}
	return head;
}

static void
ours_alone(struct slice out)
{
	static const char *const starts[] = { "Reporting-MTA: ", "Original-Envelope-Id: ", "Arrival-Date: ",
		"X-Postern-Queue-ID: ", "Original-Recipient: ", "Final-Recipient: ", "Action: ", "Status: ",
		"Remote-MTA: ", "Diagnostic-Code: ", "Last-Attempt-Date: ", "Will-Retry-Until: ", "\r\n", "--=_" };
	struct slice line;

	while (slice_cut(out, '\n', &line, &out)) {
		bool known = line.n == 1;

		for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
			known = known || slice_starts(line, slice_z(starts[i]));
		PN_ASSERT(known);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n), out, boundary;
	struct dsn_rcpt r = { .code = (uint32_t)(n % 600) };
	struct dsn d = { .host = S("mx.example"), .id = S("0123456789abc.2"), .about = S("0123456789abc.1"),
		.rcpts = &r, .n = 1, .kind = (enum dsn_kind)(n % 4), .until = n % 2 };
	own(buf_t) b = { .max = LIMIT_DSN };
	size_t at, line = 0;

	r.address = slice_head(next(&in), 320);
	r.orcpt = slice_head(next(&in), 500);
	r.status = next(&in);
	r.said = slice_head(next(&in), 400);
	d.to = r.address.n > 0 && slice_find_byte(r.address, '\r') == SLICE_NONE ? r.address : S("a@b");
	d.envid = slice_head(r.orcpt, 100);
	r.remote = slice_head(r.said, 255);
	d.full = in.n <= LIMIT_DSN_FULL;
	d.original = d.full ? in : dsn_header(in);
	PN_ASSERT(dsn_words(r.status, r.code).n > 0);
	PN_ASSERT(dsn_write(&b, &d));
	out = buf_slice(&b);
	at = slice_find(out, S("\r\nContent-Type: message/delivery-status\r\n"));
	PN_ASSERT(at != SLICE_NONE);
	out = slice_from(out, at + 2);
	at = slice_find(out, S("\r\n\r\n"));
	out = slice_from(out, at + 4);
	at = slice_find(out, S("\r\n--=_"));
	PN_ASSERT(at != SLICE_NONE);
	ours_alone(slice_head(out, at + 2));
	/* behind what is returned: CRLF, two hyphens, the boundary, two hyphens, CRLF */
	at = slice_find(buf_slice(&b), S("boundary=\""));
	PN_ASSERT(at != SLICE_NONE && slice_cut(slice_from(buf_slice(&b), at + 10), '"', &boundary, &out));
	out = slice_head(buf_slice(&b), b.n - d.original.n - boundary.n - 8);
	for (size_t i = 0; i < out.n; i++) {
		uint8_t c = slice_at(out, i);

		line = c == '\n' ? 0 : line + 1;
		PN_ASSERT(line <= 998);
		PN_ASSERT(ch_is_print(c) || c == '\r' || c == '\n' || c == '\t' || dsn_is_utf8(&d));
	}
	return 0;
}
