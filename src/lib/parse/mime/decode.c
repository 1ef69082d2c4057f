/* SPDX-License-Identifier: MIT */
#include "lib/parse/mime/decode.h"

#include "lib/base/chars.h"

/* Values of the alphabet; 64 is white space and junk, 65 is '='. */
#define SKIP 64
#define PAD 65

static const uint8_t values[256] = {
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 62, 64, 64, 64, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 65, 64, 64, 64, 0,  1,  2,  3,  4,  5,  6,
	7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 64, 64, 64, 64, 64,
	64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48,
	49, 50, 51, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
};

struct mime_decoder
mime_decoder_of(struct slice body, enum mime_encoding encoding)
{
	return (struct mime_decoder){ .in = body, .encoding = encoding };
}

static size_t
identity(struct mime_decoder *d, uint8_t *to, size_t most)
{
	struct slice piece = slice_head(slice_from(d->in, d->at), most);

	if (piece.n > 0)
		memcpy(to, piece.p, piece.n);
	d->at += piece.n;
	return piece.n;
}

/* Four octets of the alphabet as three; false when something else is among them. */
static bool
four(struct slice in, size_t at, uint8_t *to)
{
	struct slice q = slice_sub(in, at, 4);
	uint32_t a = values[slice_at(q, 0)], b = values[slice_at(q, 1)];
	uint32_t c = values[slice_at(q, 2)], e = values[slice_at(q, 3)];
	uint32_t held = a << 18 | b << 12 | c << 6 | e;

	if ((a | b | c | e) >= SKIP)
		return false;
	to[0] = (uint8_t)(held >> 16);
	to[1] = (uint8_t)(held >> 8);
	to[2] = (uint8_t)held;
	return true;
}

static size_t
base64(struct mime_decoder *d, uint8_t *to, size_t most)
{
	struct slice in = d->in;
	size_t n = 0;

	while (n < most && d->at < in.n) {
		uint8_t v;

		if (d->bits == 0 && most - n >= 3 && in.n - d->at >= 4 && four(in, d->at, &to[n])) {
			d->at += 4;
			n += 3;
			continue;
		}
		v = values[slice_at(in, d->at++)];

		if (v == PAD) {
			d->bits = 0;
			d->held = 0;
		} else if (v != SKIP) {
			d->held = d->held << 6 | v;
			d->bits += 6;
			if (d->bits >= 8) {
				d->bits -= 8;
				to[n++] = (uint8_t)(d->held >> d->bits);
			}
		}
	}
	return n;
}

/* Finds the end of the line at d->at: line_end behind its LF, text_end before its trailing blanks. */
static void
qp_line(struct mime_decoder *d)
{
	size_t lf = slice_find_byte(slice_from(d->in, d->at), '\n');

	d->line_end = lf == SLICE_NONE ? d->in.n : d->at + lf + 1;
	d->text_end = lf == SLICE_NONE ? d->in.n : d->at + lf;
	if (lf != SLICE_NONE && d->text_end > d->at && slice_at(d->in, d->text_end - 1) == '\r')
		d->text_end--;
	while (d->text_end > d->at && ch_is_wsp(slice_at(d->in, d->text_end - 1)))
		d->text_end--;
}

/* What stands at the end of a line: nothing behind "=", else its line end. */
static size_t
qp_line_end(struct mime_decoder *d, uint8_t *to)
{
	bool lf = d->line_end > 0 && d->line_end > d->text_end &&
	    slice_at(d->in, d->line_end - 1) == '\n';
	bool cr = lf && d->line_end - d->text_end > 1 && slice_at(d->in, d->line_end - 2) == '\r';
	size_t n = 0;

	if (cr)
		to[n++] = '\r';
	if (lf)
		to[n++] = '\n';
	d->at = d->line_end;
	return n;
}

/* Octets up to the next '=' or the end of the line's text. */
static size_t
qp_plain(struct mime_decoder *d, uint8_t *to, size_t most)
{
	struct slice text = slice_sub(d->in, d->at, d->text_end - d->at);
	size_t n;

	text = slice_head(text, most);
	n = slice_find_byte(text, '=');
	if (n == SLICE_NONE)
		n = text.n;
	memcpy(to, text.p, n);
	d->at += n;
	return n;
}

static size_t
quoted_printable(struct mime_decoder *d, uint8_t *to, size_t most)
{
	struct slice in = d->in;
	size_t n = 0;

	while (d->at < in.n && most - n >= 2) {
		if (d->at >= d->line_end)
			qp_line(d);
		if (d->at >= d->text_end) {
			n += qp_line_end(d, &to[n]);
			continue;
		}
		uint8_t b = slice_at(in, d->at);
		size_t left = d->text_end - d->at;

		if (b != '=') {
			n += qp_plain(d, &to[n], most - n);
		} else if (left == 1) {
			d->at = d->line_end;
		} else if (left > 2 && ch_is_hex(slice_at(in, d->at + 1)) &&
		    ch_is_hex(slice_at(in, d->at + 2))) {
			to[n++] = (uint8_t)(ch_hex(slice_at(in, d->at + 1)) << 4 |
			    ch_hex(slice_at(in, d->at + 2)));
			d->at += 3;
		} else {
			to[n++] = b;
			d->at++;
		}
	}
	return n;
}

bool
mime_decode(struct mime_decoder *d, size_t most, struct buf *out)
{
	size_t n = 0;

	if (most < 2)
		most = 2;
	while (n == 0 && d->at < d->in.n) {
		size_t left = d->in.n - d->at, room = left < most ? left : most;
		uint8_t *to;

		if (room < 2)
			room = 2;
		to = buf_room(out, room);
		if (to == NULL)
			return false;
		if (d->encoding == MIME_BASE64)
			n = base64(d, to, room);
		else if (d->encoding == MIME_QUOTED_PRINTABLE)
			n = quoted_printable(d, to, room);
		else
			n = identity(d, to, room);
		buf_grown(out, n);
	}
	return n > 0;
}
