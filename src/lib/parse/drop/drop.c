/* SPDX-License-Identifier: MIT */
#include "lib/parse/drop/drop.h"

#include "lib/base/limits.h"
#include "lib/parse/addr/envelope.h"

bool
drop_address_ok(struct slice s)
{
	struct arena *a = arena_new("address", 8192);
	uint8_t whole[LIMIT_SMTP_LOCAL + 2];
	struct addr ad;
	bool ok;

	if (slice_find_byte(s, '@') != SLICE_NONE) {
		ok = addr_parse_utf8(s, a, &ad) == ADDR_OK && ad.local.n > 0;
	} else { /* judged as if it had a domain */
		ok = s.n > 0 && s.n <= LIMIT_SMTP_LOCAL;
		if (ok) {
			memcpy(whole, s.p, s.n);
			whole[s.n] = '@';
			whole[s.n + 1] = 'x';
			ok = addr_parse_utf8(slice_of(whole, s.n + 2), a, &ad) == ADDR_OK;
		}
	}
	arena_free(&a);
	return ok;
}

static bool
is_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ch_is_print(slice_at(s, i)))
			return false;
	return s.n <= 200;
}

bool
drop_line_parse(struct slice line, struct drop_line *out)
{
	struct drop_line l = { .word = DROP_END };
	struct slice word = line;

	if (line.n > DROP_LINE)
		return false;
	(void)slice_cut(line, ' ', &word, &l.text);
	if (line.n == 0)
		l.word = DROP_END;
	else if (slice_eq(word, S("mail")) && slice_eq(l.text, S("1")))
		l.word = DROP_MAIL;
	else if (slice_eq(word, S("from")) && slice_eq(l.text, S("<>")))
		l = (struct drop_line){ .word = DROP_FROM };
	else if (slice_eq(word, S("from")) && slice_find_byte(l.text, '@') != SLICE_NONE &&
	    drop_address_ok(l.text))
		l.word = DROP_FROM;
	else if (slice_eq(word, S("name")) && is_name(l.text))
		l.word = DROP_NAME;
	else if (slice_eq(word, S("to")) && drop_address_ok(l.text))
		l.word = DROP_TO;
	else if (slice_eq(line, S("recipients header")))
		l.word = DROP_HEADER;
	else if (slice_eq(word, S("size")) && slice_u64(l.text, &l.number))
		l.word = DROP_SIZE;
	else
		return false;
	*out = l;
	return true;
}
