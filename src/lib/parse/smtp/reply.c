/* SPDX-License-Identifier: MIT */
#include "lib/parse/smtp/reply.h"

#include "lib/base/cursor.h"

void
smtp_reply_begin(struct smtp_reply *r)
{
	r->code = r->lines = 0;
	r->class = r->subject = r->detail_hi = r->detail_lo = 0;
	r->n = 0;
}

static void
put(struct smtp_reply *r, uint8_t c)
{
	static const char digits[] = "0123456789abcdef";

	if (ch_is_print(c) && c != '\\') {
		if (r->n < sizeof r->text)
			r->text[r->n++] = c;
		return;
	}
	if (sizeof r->text - r->n < 4)
		return;
	r->text[r->n++] = '\\';
	r->text[r->n++] = 'x';
	r->text[r->n++] = (uint8_t)digits[c >> 4];
	r->text[r->n++] = (uint8_t)digits[c & 15];
}

static void
put_line(struct smtp_reply *r, struct slice text)
{
	if (text.n > 0 && r->n > 0)
		put(r, ' ');
	for (size_t i = 0; i < text.n && r->n < sizeof r->text; i++)
		put(r, slice_at(text, i));
}

/* status-code of RFC 3463 section 2 and the blank (or end) behind it; consumed only where it is one. */
static bool
enhanced(struct cursor *c, unsigned class, uint64_t *subject, uint64_t *detail)
{
	struct cursor try = *c;
	uint64_t first;

	if (!cur_u64(&try, 9, &first) || first != class || !cur_byte(&try, '.') || !cur_u64(&try, 255, subject) ||
	    !cur_byte(&try, '.') || !cur_u64(&try, 999, detail) || (cur_peek(&try) != -1 && cur_peek(&try) != ' '))
		return false;
	(void)cur_skip(&try, ch_is_wsp);
	*c = try;
	return true;
}

static bool
code(struct cursor *c, unsigned *out)
{
	unsigned v = 0;

	for (int i = 0; i < 3; i++) {
		int b = cur_next(c);

		if (b == -1 || !ch_is_digit((uint8_t)b))
			return false;
		v = v * 10 + (unsigned)(b - '0');
	}
	*out = v;
	return v >= 200 && v <= 599;
}

enum smtp_reply_step
smtp_reply_line(struct smtp_reply *r, struct slice line, struct slice *body)
{
	struct cursor c = cur_of(line);
	unsigned now;
	uint64_t subject, detail;
	int sep;

	if (r->lines >= LIMIT_SMTP_REPLY_LINES || !code(&c, &now) || (r->lines > 0 && now != r->code))
		return SMTP_REPLY_BAD;
	sep = cur_next(&c);
	if (sep != -1 && sep != ' ' && sep != '-')
		return SMTP_REPLY_BAD;
	r->code = now;
	r->lines++;
	if (body != NULL)
		*body = slice_from(line, c.at);
	if (enhanced(&c, now / 100, &subject, &detail) && r->class == 0) {
		r->class = (uint8_t)(now / 100);
		r->subject = (uint8_t)subject;
		r->detail_hi = (uint8_t)(detail >> 8);
		r->detail_lo = (uint8_t)(detail & 255);
	}
	put_line(r, slice_trim(cur_rest(&c)));
	return sep == '-' ? SMTP_REPLY_MORE : SMTP_REPLY_DONE;
}

struct slice
smtp_reply_text(const struct smtp_reply *r)
{
	return slice_of(r->text, r->n);
}

static size_t
decimal(char *out, size_t at, unsigned v)
{
	for (unsigned unit = v >= 100 ? 100 : v >= 10 ? 10 : 1; unit > 0; unit /= 10)
		out[at++] = (char)('0' + v / unit % 10);
	return at;
}

struct slice
smtp_reply_enhanced(const struct smtp_reply *r, char out[SMTP_ENHANCED_TEXT])
{
	size_t n = 0;

	if (r->class == 0)
		return S("");
	n = decimal(out, n, r->class);
	out[n++] = '.';
	n = decimal(out, n, r->subject);
	out[n++] = '.';
	n = decimal(out, n, (unsigned)r->detail_hi << 8 | r->detail_lo);
	return slice_of(out, n);
}

/* ---- EHLO --------------------------------------------------------------------------------------- */

static void
mechanisms(struct smtp_offer *o, struct slice rest)
{
	struct slice w;

	while (slice_word(&rest, &w)) {
		o->plain |= slice_ieq(w, S("PLAIN"));
		o->login |= slice_ieq(w, S("LOGIN"));
		o->scram |= slice_ieq(w, S("SCRAM-SHA-256"));
		o->scram_plus |= slice_ieq(w, S("SCRAM-SHA-256-PLUS"));
	}
}

static void
limits(struct smtp_offer *o, struct slice rest)
{
	struct slice w, name, value;

	while (slice_word(&rest, &w))
		if (slice_cut(w, '=', &name, &value) && slice_ieq(name, S("RCPTMAX")))
			(void)slice_u64(value, &o->rcpt_limit);
}

void
smtp_offer_line(struct smtp_offer *o, struct slice body)
{
	struct slice w, value;

	if (!slice_word(&body, &w))
		return;
	o->starttls |= slice_ieq(w, S("STARTTLS"));
	o->pipelining |= slice_ieq(w, S("PIPELINING"));
	o->eightbit |= slice_ieq(w, S("8BITMIME"));
	o->smtputf8 |= slice_ieq(w, S("SMTPUTF8"));
	o->dsn |= slice_ieq(w, S("DSN"));
	o->requiretls |= slice_ieq(w, S("REQUIRETLS"));
	o->chunking |= slice_ieq(w, S("CHUNKING"));
	o->enhanced |= slice_ieq(w, S("ENHANCEDSTATUSCODES"));
	if (slice_ieq(w, S("SIZE"))) {
		o->size = true;
		if (slice_word(&body, &value))
			(void)slice_u64(value, &o->size_limit);
	} else if (slice_ieq(w, S("AUTH"))) {
		mechanisms(o, body);
	} else if (slice_istarts(w, S("AUTH="))) {
		mechanisms(o, slice_from(w, 5)); /* an old form that still exists */
		mechanisms(o, body);
	} else if (slice_ieq(w, S("DELIVERBY"))) {
		o->deliverby = true;
		if (slice_word(&body, &value))
			(void)slice_u64(value, &o->min_by);
	} else if (slice_ieq(w, S("LIMITS"))) {
		limits(o, body);
	}
}
