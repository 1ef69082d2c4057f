/* SPDX-License-Identifier: MIT
 * The relaxed body is a filter of white space in front of the same tail that serves simple:
 *
 *   chunk -> relax() -> tail() -> sink
 *
 * relax() decides each run of white space when it sees the byte behind it; tail() holds back CRLFs
 * until it sees that they are not the last. */
#include "lib/parse/dkim/canon.h"

#include "lib/base/chars.h"
#include "lib/base/scan.h"

void
dkim_body_init(struct dkim_body *b, enum dkim_canon canon, dkim_sink *sink, void *ctx)
{
	*b = (struct dkim_body){ .canon = canon, .sink = sink, .ctx = ctx };
}

static void
give(struct dkim_body *b, struct slice s)
{
	if (s.n == 0)
		return;
	b->n += s.n;
	b->sink(b->ctx, s);
}

/* Content follows: the CRLFs held back belong to the body after all. */
static void
give_ends(struct dkim_body *b)
{
	static const struct slice many = S_INIT("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"
						"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n");

	while (b->ends > 0) {
		uint64_t now = b->ends < many.n / 2 ? b->ends : many.n / 2;

		give(b, slice_head(many, (size_t)now * 2));
		b->ends -= now;
	}
}

static void
tail(struct dkim_body *b, struct slice s)
{
	size_t end;
	uint64_t ends = 0;
	bool cr;

	if (s.n == 0)
		return;
	if (b->tail_cr) {
		b->tail_cr = false;
		if (slice_at(s, 0) == '\n') {
			b->ends++;
			s = slice_from(s, 1);
		} else {
			give_ends(b);
			give(b, S("\r"));
		}
	}
	end = s.n;
	cr = end > 0 && slice_at(s, end - 1) == '\r';
	if (cr)
		end--;
	for (; end >= 2 && slice_at(s, end - 1) == '\n' && slice_at(s, end - 2) == '\r'; end -= 2)
		ends++;
	if (end > 0) {
		give_ends(b);
		give(b, slice_head(s, end));
	}
	b->ends += ends;
	b->tail_cr = cr;
}

/* The run of white space that is open ends here: at s[i], the first byte behind it, or at the end of
 * the chunk, where nothing is decided yet. Returns the position to go on from. */
static size_t
close_run(struct dkim_body *b, struct slice s, size_t i)
{
	while (i < s.n && ch_is_wsp(slice_at(s, i)))
		i++;
	if (i == s.n)
		return i;
	if (slice_at(s, i) == '\r' && i + 1 == s.n) {
		b->wsp_cr = true;
		return i + 1;
	}
	b->wsp = false;
	if (slice_at(s, i) != '\r' || slice_at(s, i + 1) != '\n')
		tail(b, S(" "));
	return i;
}

static void
relax(struct dkim_body *b, struct slice s)
{
	size_t i = 0;

	if (s.n == 0)
		return;
	if (b->wsp_cr) {
		b->wsp = b->wsp_cr = false;
		if (slice_at(s, 0) == '\n') {
			tail(b, S("\r\n"));
			i = 1;
		} else {
			tail(b, S(" \r"));
		}
	}
	if (b->wsp)
		i = close_run(b, s, i);
	while (i < s.n) {
		size_t edge = scan_wsp_edge(s, i), upto = edge == SLICE_NONE ? s.n : edge;

		tail(b, slice_sub(s, i, upto - i));
		i = upto;
		if (i < s.n) {
			b->wsp = true;
			i = close_run(b, s, i);
		}
	}
}

void
dkim_body_feed(struct dkim_body *b, struct slice chunk)
{
	if (b->canon == DKIM_SIMPLE)
		tail(b, chunk);
	else
		relax(b, chunk);
}

uint64_t
dkim_body_end(struct dkim_body *b)
{
	/* the end of the body ends its last line too: white space before it goes */
	if (b->wsp_cr)
		tail(b, S(" \r"));
	if (b->tail_cr) {
		give_ends(b);
		give(b, S("\r"));
	}
	/* simple: an empty body is one CRLF; relaxed: it is nothing */
	if (b->n > 0 || b->canon == DKIM_SIMPLE)
		give(b, S("\r\n"));
	b->wsp = b->wsp_cr = b->tail_cr = false;
	b->ends = 0;
	return b->n;
}

/* Short pieces are collected, so that the sink (a hash) is called seldom. */
struct out {
	dkim_sink *sink;
	void *ctx;
	size_t n;
	uint8_t bytes[1024];
};

static void
flush(struct out *o)
{
	if (o->n > 0)
		o->sink(o->ctx, slice_of(o->bytes, o->n));
	o->n = 0;
}

static inline void
put(struct out *o, uint8_t c)
{
	if (o->n == sizeof o->bytes)
		flush(o);
	o->bytes[o->n++] = c;
}

/* Field name: lower case, nothing around it. Returns the position behind the colon, 0 without one. */
static size_t
put_name(struct out *o, struct slice raw)
{
	size_t colon = slice_find_byte(raw, ':'), end = colon;

	if (colon == SLICE_NONE)
		return 0;
	while (end > 0 && ch_is_wsp(slice_at(raw, end - 1)))
		end--;
	for (size_t i = 0; i < end; i++)
		put(o, ch_lower(slice_at(raw, i)));
	put(o, ':');
	return colon + 1;
}

/* A value as it comes in one or two parts: unfolded, runs of white space as one space, none at either
 * end. */
struct relaxed_value {
	bool begun, wsp;
};

static void
put_value(struct out *o, struct relaxed_value *v, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = slice_at(s, i);

		if (c == '\r' && i + 1 < s.n && slice_at(s, i + 1) == '\n') {
			i++;
		} else if (ch_is_wsp(c)) {
			v->wsp = v->begun;
		} else {
			if (v->wsp)
				put(o, ' ');
			put(o, c);
			v->wsp = false;
			v->begun = true;
		}
	}
}

static struct slice
without_crlf(struct slice raw)
{
	return slice_ends(raw, S("\r\n")) ? slice_head(raw, raw.n - 2) : raw;
}

void
dkim_header_canon(enum dkim_canon canon, struct slice raw, dkim_sink *sink, void *ctx)
{
	dkim_header_canon_without(canon, raw, raw.n, raw.n, sink, ctx);
	sink(ctx, S("\r\n"));
}

void
dkim_header_canon_without(enum dkim_canon canon, struct slice raw, size_t from, size_t end,
    dkim_sink *sink, void *ctx)
{
	struct slice before = slice_head(raw, from), after = without_crlf(slice_from(raw, end));
	struct relaxed_value v = { 0 };
	struct out o = { .sink = sink, .ctx = ctx };
	size_t at;

	PN_ASSERT(from <= end && from <= raw.n);
	if (from == raw.n)
		before = without_crlf(before);
	if (canon == DKIM_SIMPLE) {
		if (before.n > 0)
			sink(ctx, before);
		if (after.n > 0)
			sink(ctx, after);
		return;
	}
	at = put_name(&o, before);
	put_value(&o, &v, slice_from(before, at));
	put_value(&o, &v, after);
	flush(&o);
}
