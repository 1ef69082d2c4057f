/* SPDX-License-Identifier: MIT
 * Macro expansion, RFC 7208 section 7. */
#include "lib/verify/spf/eval.h"

/* 64 bytes of local part, "@", 255 of domain: at most 160 */
#define MOST_PARTS 192

static bool
is_unreserved(uint8_t c)
{
	return ch_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static void
put_nibbles(struct buf *b, const struct ip *ip)
{
	for (size_t i = 0; i < 16; i++)
		(void)buf_fmt(b, i == 0 ? "%X.%X" : ".%X.%X", ip->b[i] >> 4, ip->b[i] & 15u);
}

/* The name for %{p}: the domain itself, else one below it, else any, else "unknown" (7.3). */
static struct slice
client_name(struct spf_eval *e, struct slice domain)
{
	struct slice best = S("unknown"), text;
	int rank = 0;

	spf_names(e);
	if (!spf_name_text(domain, e->a, &text))
		return best;
	for (size_t i = 0; i < e->n_names; i++) {
		int here = slice_ieq(e->names[i], text) ? 3 : spf_below(e->names[i], text) ? 2 : 1;

		if (here > rank) {
			rank = here;
			best = e->names[i];
		}
	}
	return best;
}

static void
put_value(struct spf_eval *e, uint8_t letter, struct slice domain, struct buf *b)
{
	switch (letter) {
	case 's':
		(void)buf_add(b, e->local);
		(void)buf_byte(b, '@');
		(void)buf_add(b, e->sender_domain);
		break;
	case 'l':
		(void)buf_add(b, e->local);
		break;
	case 'o':
		(void)buf_add(b, e->sender_domain);
		break;
	case 'd':
		(void)buf_add(b, domain);
		break;
	case 'i':
		if (e->ip.n == 16)
			put_nibbles(b, &e->ip);
		else
			(void)ip_put(b, &e->ip);
		break;
	case 'p':
		(void)buf_add(b, client_name(e, domain));
		break;
	case 'v':
		(void)buf_add(b, e->ip.n == 16 ? S("ip6") : S("in-addr"));
		break;
	case 'h':
		(void)buf_add(b, e->q->helo);
		break;
	case 'c':
		(void)ip_put(b, &e->ip);
		break;
	case 'r':
		(void)buf_add(b, e->q->receiver.n > 0 ? e->q->receiver : S("unknown"));
		break;
	default: /* 't' */
		(void)buf_u64(b, e->q->now);
		break;
	}
}

static void
put_part(struct buf *b, struct slice part, bool escape)
{
	for (size_t i = 0; i < part.n; i++) {
		uint8_t c = slice_at(part, i);

		if (escape && !is_unreserved(c))
			(void)buf_fmt(b, "%%%02X", c);
		else
			(void)buf_byte(b, c);
	}
}

/* Splits value at the delimiters, reverses, keeps the right-hand parts, joins with dots. More
 * parts than a name can have labels make the buffer bad. */
static void
transform(const struct spf_macro *m, struct slice value, struct buf *b)
{
	struct slice delimiters = m->delimiters.n > 0 ? m->delimiters : S("."), part[MOST_PARTS];
	size_t n = 0, from = 0, skip;

	for (size_t i = 0; i <= value.n; i++) {
		if (i < value.n && slice_find_byte(delimiters, slice_at(value, i)) == SLICE_NONE)
			continue;
		if (n == MOST_PARTS) {
			b->bad = true;
			return;
		}
		part[n++] = slice_sub(value, from, i - from);
		from = i + 1;
	}
	skip = m->keep > 0 && m->keep < n ? n - m->keep : 0;
	for (size_t i = skip; i < n; i++) {
		if (i > skip)
			(void)buf_byte(b, '.');
		put_part(b, part[m->reverse ? n - 1 - i : i], m->escape);
	}
}

/* False on a syntax error. */
static bool
expand(struct spf_eval *e, struct slice text, struct slice domain, bool in_text, struct buf *out)
{
	struct cursor c = cur_of(text);
	struct spf_macro m;
	struct buf value;

	buf_init(&value, 4096);
	while (!out->bad && spf_macro_next(&c, in_text, &m)) {
		if (m.letter == 0) {
			(void)buf_add(out, m.literal);
			continue;
		}
		buf_reset(&value);
		put_value(e, m.letter, domain, &value);
		if (value.bad)
			out->bad = true;
		else
			transform(&m, buf_slice(&value), out);
	}
	buf_free(&value);
	return !c.bad && !out->bad;
}

bool
spf_name_text(struct slice raw, struct arena *a, struct slice *out)
{
	struct buf b;
	bool ok;

	buf_init(&b, 4 * LIMIT_SPF_EXPANSION);
	for (size_t i = 0; i < raw.n; i++) {
		uint8_t c = slice_at(raw, i);

		if (ch_is_vchar(c) && c != '\\' && c != '"')
			(void)buf_byte(&b, c);
		else
			(void)buf_fmt(&b, "\\%03u", c);
	}
	ok = arena_copy(a, buf_slice(&b), out);
	buf_free(&b);
	return ok;
}

enum spf_expanded
spf_expand_domain(struct spf_eval *e, struct slice spec, struct slice domain, struct slice *raw,
    struct slice *name)
{
	struct slice full;
	struct buf b;
	size_t dot;
	bool ok;

	buf_init(&b, LIMIT_SPF_EXPANSION);
	if (!expand(e, spec, domain, false, &b)) {
		buf_free(&b);
		return SPF_EXPAND_BAD;
	}
	full = buf_slice(&b);
	if (slice_ends(full, S(".")))
		full = slice_head(full, full.n - 1);
	while (full.n > LIMIT_SPF_NAME) {
		dot = slice_find_byte(full, '.');
		full = dot == SLICE_NONE ? S("") : slice_from(full, dot + 1);
	}
	ok = arena_copy(e->a, full, raw);
	buf_free(&b);
	return ok && spf_name_text(*raw, e->a, name) ? SPF_EXPAND_OK : SPF_EXPAND_NO_MEMORY;
}

enum spf_expanded
spf_expand_text(struct spf_eval *e, struct slice text, struct slice domain, struct slice *out)
{
	struct slice full;
	struct buf b;
	bool ok, stored;

	buf_init(&b, LIMIT_SPF_EXPLANATION);
	ok = expand(e, text, domain, true, &b);
	full = buf_slice(&b);
	for (size_t i = 0; ok && i < full.n; i++)
		ok = ch_is_print(slice_at(full, i));
	stored = ok && arena_copy(e->a, full, out);
	buf_free(&b);
	return !ok ? SPF_EXPAND_BAD : stored ? SPF_EXPAND_OK : SPF_EXPAND_NO_MEMORY;
}
