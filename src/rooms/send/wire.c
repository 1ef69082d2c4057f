/* SPDX-License-Identifier: MIT */
#include "rooms/send/wire.h"

struct walk {
	struct slice body;
	size_t from;   /* [from, at) is good as it is and not put yet */
	size_t cr, lf; /* the next ones, found already; SLICE_NONE: none any more */
	bool (*put)(void *arg, struct slice piece);
	void *arg;
};

static bool
flush(struct walk *w, size_t to)
{
	struct slice piece = slice_sub(w->body, w->from, to - w->from);

	w->from = to;
	return piece.n == 0 || w->put(w->arg, piece);
}

/* What stands before at goes out, then instead, and the skipped octets do not. */
static bool
replace(struct walk *w, size_t at, size_t skip, struct slice instead)
{
	if (!flush(w, at))
		return false;
	w->from = at + skip;
	return w->put(w->arg, instead);
}

/* The next byte b from position from on, remembered: each byte of the body is looked at once for each of the two. */
static size_t
next_of(struct walk *w, uint8_t b, size_t from, size_t *known)
{
	if (*known == SLICE_NONE || *known >= from)
		return *known;
	*known = slice_find_byte(slice_from(w->body, from), b);
	if (*known != SLICE_NONE)
		*known += from;
	return *known;
}

/* Where the line that begins at at ends: the position behind it. ok is false when put() refused. */
static size_t
line(struct walk *w, size_t at, bool *ok)
{
	size_t cr = next_of(w, '\r', at, &w->cr), lf = next_of(w, '\n', at, &w->lf);

	if (cr == SLICE_NONE && lf == SLICE_NONE) {
		*ok = replace(w, w->body.n, 0, S("\r\n"));
		return w->body.n;
	}
	if (cr < lf && cr + 1 == lf)
		return lf + 1;
	if (cr < lf) {
		*ok = replace(w, cr, 1, S("\r\n"));
		return cr + 1;
	}
	*ok = replace(w, lf, 1, S("\r\n"));
	return lf + 1;
}

bool
wire_body(struct slice body, bool dots, bool (*put)(void *arg, struct slice piece), void *arg)
{
	struct walk w = { .body = body, .put = put, .arg = arg };
	bool ok = true;

	w.cr = slice_find_byte(body, '\r');
	w.lf = slice_find_byte(body, '\n');
	for (size_t at = 0; at < body.n && ok;) {
		if (dots && slice_at(body, at) == '.' && !replace(&w, at, 0, S(".")))
			return false;
		at = line(&w, at, &ok);
	}
	return ok && flush(&w, body.n);
}

static bool
count(void *arg, struct slice piece)
{
	*(uint64_t *)arg += piece.n;
	return true;
}

uint64_t
wire_size(struct slice body, bool dots)
{
	uint64_t n = 0;

	(void)wire_body(body, dots, count, &n);
	return n;
}

struct slice
wire_header(struct slice body)
{
	size_t end = slice_find(body, S("\r\n\r\n"));

	return end == SLICE_NONE ? body : slice_head(body, end + 4);
}
