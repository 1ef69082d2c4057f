/* SPDX-License-Identifier: MIT
 * The vectors of imap-bodystructure, for test_structure.c alone: messages and what another server
 * answers. Every answer of ours that differs is in a table with the text that we follow. */

#define LONGEST ((size_t)(1024 * 1024))

static const char *const files[] = { "000", "001", "002", "003", "004", "005", "006", "008", "009",
	"011", "014" };

static void
load(const char *name, const char *suffix, struct buf *out)
{
	own(buf_t) path = { .max = 0 };
	FILE *f;

	buf_init(&path, 4096);
	buf_fmt(&path, VECTORS "/imap-bodystructure/%s.%s", name, suffix);
	buf_byte(&path, 0);
	f = fopen((const char *)path.p, "rb");
	assert_non_null(f);
	buf_reset(out);
	for (int b; (b = getc(f)) != EOF;)
		buf_byte(out, (uint8_t)b);
	(void)fclose(f);
}

/* One answer in one form: tokens in lower case with one blank between, a computed MD5 as NIL. */
static void
fold(struct slice in, struct buf *out)
{
	struct cursor c = cur_of(in);
	struct slice s;
	uint64_t n;

	buf_reset(out);
	for (int b; (b = cur_peek(&c)) != -1;) {
		size_t from = out->n;

		if (ch_is_wsp((uint8_t)b) || b == '\r' || b == '\n') {
			(void)cur_next(&c);
			continue;
		}
		if (out->n > 0)
			buf_byte(out, ' ');
		from = out->n;
		if (b == '{') {
			(void)cur_next(&c);
			assert_true(cur_u64(&c, LONGEST, &n) && cur_byte(&c, '}'));
			(void)cur_byte(&c, '\r');
			assert_true(cur_byte(&c, '\n') && cur_bytes(&c, (size_t)n, &s));
			buf_byte(out, '"');
			buf_add(out, s);
			buf_byte(out, '"');
		} else if (b == '"') {
			assert_true(strict_string(&c, &s));
			buf_byte(out, '"');
			buf_add(out, s);
			buf_byte(out, '"');
		} else if (b == '(' || b == ')') {
			buf_byte(out, (uint8_t)cur_next(&c));
		} else {
			while ((b = cur_peek(&c)) != -1 && ch_is_alnum((uint8_t)b))
				buf_byte(out, (uint8_t)cur_next(&c));
			assert_true(out->n > from);
		}
		size_t hex = 0;
		for (size_t i = from; i < out->n; i++) {
			hex += ch_is_hex(out->p[i]) ? 1 : 0;
			out->p[i] = ch_lower(out->p[i]);
		}
		if (hex == 32 && out->n - from == 34) {
			buf_cut(out, from);
			buf_add(out, S("nil"));
		}
	}
}

/* What to change in the other server's answer, and why. Both sides are folded: lower case, one blank
 * between tokens, and an MD5 that it computed is NIL (RFC 3501 7.4.2 "body MD5" is that of the
 * Content-MD5 field, RFC 1864). Type names are compared without case (RFC 2045 5.1). */
static const struct {
	const char *file, *from, *to, *why;
} differences[] = {
	{ "000", "( \"text\" \"basic\" ( \"charset\" \"us-ascii\" ) nil nil \"base64\" 85 2",
	    "( \"audio\" \"basic\" nil nil nil \"base64\" 85", "the field says audio/basic" },
	{ "000", "( \"text\" \"jpeg\" ( \"charset\" \"us-ascii\" ) nil nil \"base64\" 44 1",
	    "( \"image\" \"jpeg\" nil nil nil \"base64\" 44", "the field says image/jpeg" },
	{ "000", "nil nil nil nil 223", "nil nil nil \"7bit\" 223", "body-fld-enc is never NIL (9)" },
	{ "000", "( ( nil nil \"unknown\" \"localhost\" ) ) ( ( nil nil \"unknown\" \"localhost\" ) ) "
		 "( ( nil nil \"unknown\" \"localhost\" ) )", "nil nil nil",
	    "From has a comment and no address: an empty list is NIL (7.4.2)" },
	{ "000", "48 1 ) 0", "48 1 ) 7", "a message has its size in lines (7.4.2)" },
	{ "000", "48 1 nil nil nil nil ) 0", "48 1 nil nil nil nil ) 7", "the same" },
	{ "001", "nil nil nil 79", "nil nil \"7bit\" 79", "body-fld-enc is never NIL" },
	{ "001", "nil nil nil 79", "nil nil \"7bit\" 79", "the same" },
	{ "001", "nil nil nil 97", "nil nil \"7bit\" 97", "the same" },
	{ "002", "\"thu, 13 aug 1998", "\"mon, 13 aug 1998", "Date leaves as it was written" },
	{ "002", "\"a1 gore (the enforcer)\"", "\"a1 gore\"",
	    "a comment is no part of the display name (RFC 5322 3.2.2)" },
	{ "002", "\"mixed\" ) 0", "\"mixed\" ) 47", "a message has its size in lines" },
	{ "002", "nil nil nil ) 0", "nil nil nil ) 47", "the same" },
	{ "003", "nil nil nil nil 51", "nil nil nil \"7bit\" 51", "body-fld-enc is never NIL" },
	{ "004", "\"message\" nil nil nil nil nil", "\"message\" \"rfc822\" nil nil nil \"7bit\"",
	    "the default in multipart/digest is message/rfc822 (RFC 2046 5.1.5), with its subtype" },
	{ "004", "\"message\" nil nil nil nil nil", "\"message\" \"rfc822\" nil nil nil \"7bit\"",
	    "the same" },
	{ "004", "\"unknown\" \"localhost\"", "\"someone-else\" \"missing_domain\"",
	    "no host is invented" },
	{ "004", "\"unknown\" \"localhost\"", "\"someone-else\" \"missing_domain\"", "the same" },
	{ "004", "\"unknown\" \"localhost\"", "\"someone-else\" \"missing_domain\"", "the same" },
	{ "004", "\"unknown\" \"localhost\"", "\"someone-else-again\" \"missing_domain\"", "the same" },
	{ "004", "\"unknown\" \"localhost\"", "\"someone-else-again\" \"missing_domain\"", "the same" },
	{ "004", "\"unknown\" \"localhost\"", "\"someone-else-again\" \"missing_domain\"", "the same" },
	{ "004", "22 1 ) 0", "22 1 ) 5", "a message has its size in lines" },
	{ "004", "31 1 ) 0", "31 1 ) 5", "the same" },
	{ "004", "22 1 nil nil nil nil ) 0", "22 1 nil nil nil nil ) 5", "the same" },
	{ "004", "31 1 nil nil nil nil ) 0", "31 1 nil nil nil nil ) 5", "the same" },
	{ "009", "nil nil nil nil 723", "nil nil nil \"7bit\" 723", "body-fld-enc is never NIL" },
	{ "009", "\"name\" \"=?utf-8?b?qm9vaybhym91dcdimjugdgfibgvzlmdpzg==?=\"",
	    "\"name*\" \"''book%20about%20utf-8''%e2%98%95 tables.gif\"",
	    "sections are put together, not decoded (RFC 2231 6); a charset stands only in the first" },
	{ "009", "\"mixed\" ) 0", "\"mixed\" ) 19", "a message has its size in lines" },
	{ "009", "nil nil nil ) 0", "nil nil nil ) 19", "the same" },
	{ "011", "\"message\" \"rfc822\" nil nil nil nil", "\"message\" \"rfc822\" nil nil nil \"7bit\"",
	    "body-fld-enc is never NIL" },
	{ "011", "\"message\" nil nil nil nil nil", "\"message\" \"rfc822\" nil nil nil \"7bit\"",
	    "the default in multipart/digest has its subtype" },
	{ "011", "\"message\" nil nil nil nil nil", "\"message\" \"rfc822\" nil nil nil \"7bit\"",
	    "the same" },
	{ "011", "8 1 ) 0", "8 1 ) 4", "a message has its size in lines" },
	{ "011", "8 1 ) 0", "8 1 ) 4", "the same" },
	{ "011", "8 1 nil nil nil nil ) 0", "8 1 nil nil nil nil ) 4", "the same" },
	{ "011", "8 1 nil nil nil nil ) 0", "8 1 nil nil nil nil ) 4", "the same" },
	{ "011", "\"digest\" ) 0", "\"digest\" ) 25", "the same" },
	{ "011", "( \"boundary\" \"foo\" ) nil nil nil ) 0",
	    "( \"boundary\" \"foo\" ) nil nil nil ) 25", "the same" },
};

/* Applies the differences of a file, one after the other, to want. */
static void
apply(const char *file, struct buf *want, struct buf *work)
{
	for (size_t i = 0; i < sizeof differences / sizeof differences[0]; i++) {
		size_t hit;

		if (!slice_eq(slice_z(differences[i].file), slice_z(file)))
			continue;
		hit = slice_find(buf_slice(want), slice_z(differences[i].from));
		if (hit == SLICE_NONE)
			continue; /* of the other form, BODY or BODYSTRUCTURE */
		buf_reset(work);
		buf_add(work, slice_head(buf_slice(want), hit));
		buf_add(work, slice_z(differences[i].to));
		buf_add(work, slice_from(buf_slice(want), hit + slice_z(differences[i].from).n));
		buf_reset(want);
		buf_add(want, buf_slice(work));
	}
}

/* The answer to an item in the file of the other server: from its "(" to the empty line. */
static struct slice
answer_of(struct slice file, struct slice item)
{
	size_t from = slice_find(file, item), end;

	assert_true(from != SLICE_NONE);
	file = slice_from(file, from + item.n - 1);
	end = slice_find(file, S("\n\n"));
	assert_true(end != SLICE_NONE);
	return slice_head(file, end);
}

static void
vector_structures(void **state)
{
	own(buf_t) message, theirs, e, b, s, want, got, work;
	size_t wrong = 0;

	buf_init(&message, LONGEST);
	buf_init(&theirs, LONGEST);
	buf_init(&e, LONGEST);
	buf_init(&b, LONGEST);
	buf_init(&s, LONGEST);
	buf_init(&want, LONGEST);
	buf_init(&got, LONGEST);
	buf_init(&work, LONGEST);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		load(files[i], "txt", &message);
		load(files[i], "imap", &theirs);
		(void)answers(buf_slice(&message), &e, &b, &s);
		/* 008: a message/rfc822 in base64, which the other server decodes and RFC 2046 5.2.1
		 * forbids. The structure of the decoded message is not that of the octets that
		 * BODY[2.1] would have to give, so ours is that of the octets. */
		if (slice_eq(slice_z(files[i]), S("008")))
			continue;
		for (int form = 0; form < 2; form++) {
			fold(answer_of(buf_slice(&theirs), form == 0 ? S("BODY (") : S("\nBODYSTRUCTURE (")),
			    &want);
			fold(buf_slice(form == 0 ? &b : &s), &got);
			apply(files[i], &want, &work);
			if (slice_eq(buf_slice(&want), buf_slice(&got)))
				continue;
			wrong++;
			print_message("%s: want %.*s\n      got %.*s\n", files[i], SFMT(buf_slice(&want)),
			    SFMT(buf_slice(&got)));
		}
	}
	assert_int_equal(wrong, 0);
}

/* Reads "1.2.HEADER" or "HEADER.FIELDS (FROM TO)". */
static struct mime_section
section_of(struct slice spec, uint32_t *numbers, struct slice *fields)
{
	struct mime_section s = { .part = numbers, .field = fields };
	struct cursor c = cur_of(spec);
	static const struct {
		struct slice name;
		enum mime_section_what what;
	} names[] = { { S_INIT("HEADER.FIELDS.NOT "), MIME_SECTION_FIELDS_NOT },
		{ S_INIT("HEADER.FIELDS "), MIME_SECTION_FIELDS }, { S_INIT("HEADER"), MIME_SECTION_HEADER },
		{ S_INIT("TEXT"), MIME_SECTION_TEXT }, { S_INIT("MIME"), MIME_SECTION_MIME } };

	while (cur_u32(&c, 1000, &numbers[s.n_part])) {
		s.n_part++;
		(void)cur_byte(&c, '.');
	}
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (!cur_word(&c, names[i].name))
			continue;
		s.what = names[i].what;
		break;
	}
	if (cur_byte(&c, '('))
		while (cur_take(&c, ch_is_alpha, 20, &fields[s.n_fields])) {
			s.n_fields++;
			(void)cur_byte(&c, ' ');
		}
	return s;
}

/* Why the other server's answer to a section differs from ours, or NULL when there is no reason.
 * RFC 3501 6.4.5 and its grammar in 9. */
static const char *
section_reason(const char *name, const struct mime *m, const struct mime_section *s, bool nil,
    struct slice ours, struct slice theirs)
{
	const struct mime_part *above = mime_find(m, s->part, s->n_part > 0 ? s->n_part - 1 : 0);
	const struct mime_part *part = mime_find(m, s->part, s->n_part);

	if (slice_eq(slice_z(name), S("008")) && s->n_part > 0 && s->part[0] == 2)
		return "a message in base64, which RFC 2046 5.2.1 forbids, is not decoded";
	if (slice_eq(slice_z(name), S("011")) && s->what == MIME_SECTION_TEXT && s->n_part == 1)
		return "HEADER (123) and TEXT (148) of a message are all of it (271): with its epilogue";
	if (s->what == MIME_SECTION_MIME && s->n_part == 0)
		return "the grammar has no BODY[MIME]";
	if (s->what == MIME_SECTION_MIME && theirs.n <= ours.n + 1)
		return "the MIME header of a part is its header, not only the Content- fields of it";
	if (nil && s->what == MIME_SECTION_MIME && part == NULL)
		return "there is no such part";
	if (nil && (s->what == MIME_SECTION_HEADER || s->what == MIME_SECTION_TEXT) &&
	    (part == NULL || part->kind != MIME_MESSAGE))
		return "HEADER and TEXT of a part are for message/rfc822 alone";
	if (nil && s->what == MIME_SECTION_ALL && above != NULL && above->kind == MIME_LEAF)
		return "a part that is no multipart and no message has no parts";
	return NULL;
}

static size_t
compare_sections(struct slice file, const struct mime *m, const char *name, size_t *differ)
{
	struct cursor c = cur_of(file);
	own(buf_t) scratch = { .max = 0 };
	size_t n = 0, wrong = 0;

	buf_init(&scratch, LONGEST);
	for (size_t hit; (hit = slice_find(slice_from(file, c.at), S("\nBODY["))) != SLICE_NONE;) {
		struct slice spec, want, got, fields[8];
		uint32_t numbers[16];
		uint64_t from = 0, octets;
		bool partial;

		c.at += hit + 6;
		assert_true(cur_until(&c, ']', &spec));
		partial = cur_byte(&c, '<') && cur_u64(&c, 1000, &from) && cur_byte(&c, '>');
		assert_true(cur_word(&c, S(" {")) && cur_u64(&c, LONGEST, &octets) &&
		    cur_word(&c, S("}\r\n")) && cur_bytes(&c, (size_t)octets, &want));
		struct mime_section s = section_of(spec, numbers, fields);
		buf_reset(&scratch);
		n++;
		bool nil = !mime_section(m, &s, &scratch, &got);

		if (nil)
			got = S("");
		if (partial)
			got = mime_partial(got, from, octets);
		if (!nil && slice_ieq(want, got))
			continue;
		/* the empty line that we add to fields is CRLF, the message has LF here */
		if (s.n_fields > 0 && want.n + 1 == got.n && slice_ends(got, S("\r\n")) &&
		    slice_ieq(slice_head(want, want.n - 1), slice_head(got, got.n - 2)))
			continue;
		if (section_reason(name, m, &s, nil, got, want) != NULL) {
			++*differ;
			continue;
		}
		print_message("%s BODY[%.*s]: want {%zu} %.*s got {%zu} %.*s\n", name, SFMT(spec), want.n,
		    SFMT(want), got.n, SFMT(got));
		wrong++;
	}
	assert_int_equal(wrong, 0);
	return n;
}

static void
vector_sections(void **state)
{
	own(buf_t) message, theirs;
	size_t n = 0, differ = 0;

	buf_init(&message, LONGEST);
	buf_init(&theirs, LONGEST);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		own(arena_p) a = arena_new("message", LIMIT_ARENA_MESSAGE);
		struct mime m;

		load(files[i], "txt", &message);
		load(files[i], "imap", &theirs);
		assert_true(mime_parse(buf_slice(&message), a, &m));
		n += compare_sections(buf_slice(&theirs), &m, files[i], &differ);
	}
	print_message("%zu sections, %zu differ as explained\n", n, differ);
	assert_true(n >= 200);
}
