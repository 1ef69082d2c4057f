/* SPDX-License-Identifier: MIT */
#include "lib/verify/from/from.h"

#include "lib/base/encode.h"
#include "lib/parse/header/address.h"
#include "lib/parse/header/words.h"
#include "lib/verify/dkim/dkim.h"

#define MOST_NAME ((size_t)4096)

static const char no_memory[] = "no memory";

/* A line that some program could take for "From:": blanks before it, between name and colon, a fold
 * there, bytes that are not printable in the name. */
static bool
like_from(struct slice raw)
{
	static const struct slice name = S_INIT("from");
	size_t at = 0, matched = 0;

	for (; at < raw.n && slice_at(raw, at) != ':'; at++) {
		uint8_t c = slice_at(raw, at);

		if (!ch_is_vchar(c))
			continue; /* blank, fold, control byte, 8-bit byte */
		if (matched == name.n || ch_lower(c) != slice_at(name, matched))
			return false;
		matched++;
	}
	return matched == name.n && at < raw.n;
}

/* A field that begins with blanks was joined to the one before it by header_next(); only at the top
 * of the block does it stand alone. */
static bool
clean_name(const struct header_field *f)
{
	return f->name.n == 4 && f->raw.n > 4 && slice_at(f->raw, 4) == ':';
}

static bool
is_plain_domain(struct slice d)
{
	size_t label = 0;

	if (d.n == 0 || d.n > 253 || slice_find_byte(d, '.') == SLICE_NONE)
		return false;
	for (size_t i = 0; i < d.n; i++) {
		uint8_t c = slice_at(d, i);

		if (c == '.' ? label == 0 : !(ch_is_alnum(c) || c == '-' || c == '_') || label == 63)
			return false;
		label = c == '.' ? 0 : label + 1;
	}
	return label > 0;
}

/* Does the display name hold an "@" with another domain behind it? */
static bool
claims(struct slice name, struct slice domain)
{
	bool found = false;
	struct buf b;
	struct slice rest, head, tail;

	buf_init(&b, MOST_NAME);
	if (name.n <= MOST_NAME / 4 && words_decode(&b, name)) {
		rest = buf_slice(&b);
		while (!found && slice_cut(rest, '@', &head, &tail)) {
			size_t n = 0;

			while (n < tail.n && (ch_is_alnum(slice_at(tail, n)) || slice_at(tail, n) == '.' ||
						 slice_at(tail, n) == '-'))
				n++;
			found = slice_find_byte(slice_head(tail, n), '.') != SLICE_NONE &&
				!slice_ieq(slice_head(tail, n), domain);
			rest = tail;
		}
	}
	buf_free(&b);
	return found;
}

static const char *
take_mailbox(const struct address *one, struct arena *a, struct slice *domain)
{
	struct arena_mark mark = arena_mark(a);

	if (one->defect || one->local.n == 0)
		return "From is no clean address";
	if (one->route.n > 0)
		return "From with a route";
	for (size_t i = 0; i < one->local.n; i++)
		if (!ch_is_print(slice_at(one->local, i)) && slice_at(one->local, i) < 0x80)
			return "From is no clean address";
	if (ascii_only(one->domain) ? !is_plain_domain(one->domain)
				    : !utf8_valid(one->domain))
		return "From without a domain";
	if (dkim_ascii_domain(one->domain, a, domain))
		return is_plain_domain(*domain) ? "" : "From without a domain";
	arena_rewind(a, mark);
	return ARENA_ARRAY(a, 1024, uint8_t) == NULL ? no_memory : "From without a domain";
}

static const char *
join(const struct address *one, struct arena *a, struct slice *out)
{
	struct buf b;
	bool ok;

	buf_init(&b, one->local.n + one->domain.n + 1);
	(void)buf_add(&b, one->local);
	(void)buf_byte(&b, '@');
	(void)buf_add(&b, one->domain);
	ok = arena_copy(a, buf_slice(&b), out);
	buf_free(&b);
	return ok ? "" : no_memory;
}

static const char *
read_list(struct slice body, struct arena *a, struct from_verdict *v)
{
	struct slice *domains = ARENA_ARRAY(a, LIMIT_FROM_MAILBOXES, struct slice);
	struct address_reader r;
	struct address one;

	if (domains == NULL)
		return no_memory;
	v->domains = domains;
	r = address_reader_of(body, a);
	while (address_next(&r, &one)) {
		const char *why;

		if (one.kind != ADDRESS_MAILBOX)
			return "From with a group";
		if (v->n == LIMIT_FROM_MAILBOXES)
			return "From with too many addresses";
		why = take_mailbox(&one, a, &domains[v->n]);
		if (why[0] == '\0' && v->n == 0) {
			why = join(&one, a, &v->address);
			v->name = one.name;
		}
		if (why[0] != '\0')
			return why;
		v->name_claims = v->name_claims || claims(one.name, one.domain);
		v->n++;
	}
	if (r.c.bad)
		return no_memory;
	return v->n == 0 ? "From without an address" : "";
}

void
from_judge(const struct header *h, struct arena *a, struct from_verdict *out)
{
	struct from_verdict v = { .why = "" };
	const struct header_field *from = NULL;

	for (size_t i = 0; i < h->n; i++)
		if (like_from(h->field[i].raw)) {
			v.fields++;
			from = &h->field[i];
		}
	if (v.fields == 0)
		v.why = "no From field";
	else if (v.fields > 1)
		v.why = "several From fields";
	else if (!clean_name(from))
		v.why = "From field with a broken name";
	else
		v.why = read_list(from->body, a, &v);
	v.ok = v.why[0] == '\0';
	v.full = v.why == no_memory;
	if (!v.ok)
		v.n = 0;
	*out = v;
}
