/* SPDX-License-Identifier: MIT
 * Works on whole lines with memchr(), never on single bytes: about two searches a line. Bytes of
 * CRLF.CRLF that straddle two pieces are the state `at`. A dot at the start of a line is held back;
 * so is the CR behind it. A CR elsewhere is emitted at once, as it can only be half of CRLF in a good
 * message, and a bad one is not kept. */
#include "lib/parse/smtp/data.h"

enum { AT_START, AT_MIDDLE, AT_CR, AT_DOT, AT_DOT_CR };

/* One call of smtp_data_feed(): in[from, pos) is content that the sink has not seen. */
struct feed {
	struct smtp_data *d;
	const struct smtp_data_sink *sink;
	struct slice in;
	size_t from, pos;
};

void
smtp_data_start(struct smtp_data *d, uint64_t max)
{
	*d = (struct smtp_data){ .max = max, .at = AT_START, .in_header = true };
}

void
smtp_data_start_chunked(struct smtp_data *d, uint64_t max)
{
	smtp_data_start(d, max);
	d->chunked = true;
}

static void
fault(struct smtp_data *d, unsigned why)
{
	d->faults |= why;
	d->in_header = false;
}

/* Hands in[from, pos) to the sink. */
static void
emit(struct feed *f)
{
	struct slice piece = slice_sub(f->in, f->from, f->pos - f->from);
	struct smtp_data *d = f->d;

	f->from = f->pos;
	d->size += piece.n;
	if (d->size > d->max)
		fault(d, SMTP_DATA_SIZE);
	if (d->faults != 0 || piece.n == 0)
		return;
	if (!f->sink->body(f->sink->arg, piece))
		fault(d, SMTP_DATA_SINK);
}

/* A header line (or its first SMTP_DATA_FIELD bytes) is complete. RFC 5322 section 2.2. */
static void
header_line(struct feed *f)
{
	struct smtp_data *d = f->d;
	struct slice line = slice_of(d->field, d->field_n), value;
	bool folded = line.n > 0 && (slice_at(line, 0) == ' ' || slice_at(line, 0) == '\t');
	bool told = false;

	if (d->line == 0) {
		d->in_header = false;
	} else if (folded && d->fold_delivered) {
		value = slice_trim(line);
		told = value.n > 0;
	} else if (slice_istarts(line, S("delivered-to:"))) {
		value = slice_trim(slice_from(line, S("delivered-to:").n));
		told = value.n > 0;
		d->fold_delivered = !told;
	} else {
		d->fold_delivered = false;
		if (slice_istarts(line, S("received:")))
			d->received++;
	}
	if (told) {
		d->fold_delivered = false;
		if (f->sink->delivered_to != NULL)
			f->sink->delivered_to(f->sink->arg, value);
	}
	d->field_n = 0;
}

/* Accounts for a piece of a line: no CRLF in it, and no dot that was removed. */
static void
line_piece(struct feed *f, struct slice piece)
{
	struct smtp_data *d = f->d;

	d->line += piece.n;
	if (d->line > LIMIT_BODY_LINE)
		fault(d, SMTP_DATA_LINE);
	if (!d->in_header || piece.n == 0)
		return;
	d->header_size += piece.n;
	if (d->header_size > LIMIT_HEADER)
		fault(d, SMTP_DATA_HEADER);
	piece = slice_head(piece, SMTP_DATA_FIELD - d->field_n);
	if (piece.n > 0)
		memcpy(&d->field[d->field_n], piece.p, piece.n);
	d->field_n += piece.n;
}

static void
line_end(struct feed *f)
{
	struct smtp_data *d = f->d;

	if (d->line > d->longest_line)
		d->longest_line = d->line;
	if (d->in_header) {
		d->header_size += 2;
		header_line(f);
	}
	d->line = 0;
	d->at = AT_START;
}

/* The state between two bytes of the frame, where a piece may end: moves over one byte at most.
 * True at the end of data. */
static bool
step(struct feed *f)
{
	struct smtp_data *d = f->d;
	uint8_t b = slice_at(f->in, f->pos);

	switch (d->at) {
	case AT_START:
		if (b != '.' || d->chunked) {
			d->at = AT_MIDDLE;
			return false;
		}
		emit(f);
		f->from = ++f->pos; /* the dot is held back */
		d->at = AT_DOT;
		return false;
	case AT_DOT:
		d->at = b == '\r' ? AT_DOT_CR : AT_MIDDLE;
		if (b == '\r')
			f->from = ++f->pos;
		return false;
	case AT_DOT_CR:
		if (b == '\n') {
			f->from = ++f->pos;
			return true;
		}
		fault(d, SMTP_DATA_BARE);
		d->at = AT_MIDDLE;
		return false;
	default: /* AT_CR */
		if (b == '\n') {
			f->pos++;
			line_end(f);
			return false;
		}
		fault(d, SMTP_DATA_BARE);
		d->at = AT_MIDDLE;
		return false;
	}
}

/* Inside a line: to behind its CRLF, or to the end of the piece. */
static void
middle(struct feed *f)
{
	struct smtp_data *d = f->d;
	struct slice rest = slice_from(f->in, f->pos);
	size_t lf = slice_find_byte(rest, '\n'), n = lf == SLICE_NONE ? rest.n : lf, cr;

	if ((d->faults & SMTP_DATA_BARE) == 0) {
		cr = slice_find_byte(slice_head(rest, n), '\r');
		if (cr != SLICE_NONE ? cr + 1 != n : lf != SLICE_NONE)
			fault(d, SMTP_DATA_BARE);
	}
	/* from here on only the last byte before LF, or of the piece, matters */
	if (n > 0 && slice_at(rest, n - 1) == '\r') {
		line_piece(f, slice_head(rest, n - 1));
		f->pos += n;
		d->at = AT_CR;
		return;
	}
	line_piece(f, slice_head(rest, n));
	f->pos += n;
	if (lf != SLICE_NONE)
		f->pos++; /* a bare LF: the fault is set, the line goes on */
}

bool
smtp_data_feed(struct smtp_data *d, struct slice in, const struct smtp_data_sink *sink,
    size_t *used)
{
	struct feed f = { .d = d, .sink = sink, .in = in };
	bool end = false;

	while (!end && f.pos < in.n) {
		if (d->at == AT_MIDDLE)
			middle(&f);
		else
			end = step(&f);
	}
	emit(&f);
	if (slice_find_byte(slice_head(in, f.pos), 0) != SLICE_NONE)
		fault(d, SMTP_DATA_NUL);
	*used = f.pos;
	return end;
}

void
smtp_data_finish(struct smtp_data *d, const struct smtp_data_sink *sink)
{
	struct feed f = { .d = d, .sink = sink, .in = S("\r\n") };

	if (d->at == AT_CR)
		fault(d, SMTP_DATA_BARE);
	if (d->at == AT_START || d->faults != 0)
		return;
	f.pos = f.in.n;
	line_end(&f);
	emit(&f);
}
