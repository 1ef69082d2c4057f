/* SPDX-License-Identifier: MIT */
#include "lib/parse/drop/drop.h"

#include "lib/base/limits.h"
#include "lib/parse/addr/envelope.h"

bool
drop_address_ok(struct slice s)
{
	struct arena *a = arena_new("address", 8192);
	struct cursor c = cur_of(s);
	struct addr ad;
	bool ok;

	if (slice_find_byte(s, '@') == SLICE_NONE) { /* judged as if it had a domain */
		uint8_t whole[LIMIT_SMTP_LOCAL + 2];

		ok = s.n > 0 && s.n <= LIMIT_SMTP_LOCAL;
		if (ok) {
			memcpy(whole, s.p, s.n);
			whole[s.n] = '@';
			whole[s.n + 1] = 'x';
			c = cur_of(slice_of(whole, s.n + 2));
			ok = addr_mailbox(&c, a, &ad) == ADDR_OK && cur_done(&c);
		}
	} else {
		ok = addr_mailbox(&c, a, &ad) == ADDR_OK && cur_done(&c) && ad.local.n > 0;
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
