/* SPDX-License-Identifier: MIT
 * The grammar as a table: each command with what comes out, written in a small text form; every line
 * is also run at every truncation from an exact-size heap copy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/parse/imap/imap.h"

static void
put_set(struct buf *b, const struct imap_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		buf_fmt(b, s->r[i].lo == s->r[i].hi ? "%s%u" : "%s%u:%u", i == 0 ? "" : ",",
		    s->r[i].lo, s->r[i].hi);
	if (s->star)
		buf_fmt(b, "*%u-%u", s->star_lo, s->star_hi);
}

static void
put_mailbox(struct buf *b, const struct imap_mailbox *m)
{
	buf_fmt(b, m->valid ? "<" : "<!");
	buf_add(b, m->name);
	buf_byte(b, '>');
}

static void
put_flags(struct buf *b, const struct imap_flags *f)
{
	buf_fmt(b, "f%u", f->system);
	for (size_t i = 0; i < f->n_keywords; i++)
		buf_fmt(b, "+%.*s", SFMT(f->keyword[i]));
}

static void
put_section(struct buf *b, const struct imap_section *s)
{
	static const char what[] = "AHFNTM", form[] = "brht";

	buf_fmt(b, " %c%c", form[s->form], what[s->what]);
	for (size_t i = 0; i < s->n_part; i++)
		buf_fmt(b, ".%u", s->part[i]);
	for (size_t i = 0; i < s->n_fields; i++)
		buf_fmt(b, "/%.*s", SFMT(s->field[i]));
	if (s->peek)
		buf_add(b, S("?"));
	if (s->partial)
		buf_fmt(b, "<%llu.%llu>", (unsigned long long)s->from,
		    (unsigned long long)s->count);
}

static void
put_key(struct buf *b, const struct imap_search_key *k)
{
	static const char *const names[] = { "and", "or", "not", "all", "seq", "uid", "flag",
		"unflag", "new", "old", "recent", "kw", "unkw", "before", "on", "since", "sbefore",
		"son", "ssince", "larger", "smaller", "header", "body", "text" };

	for (; k != NULL; k = k->next) {
		buf_fmt(b, "%s", names[k->key]);
		if (k->first != NULL) {
			buf_byte(b, '(');
			put_key(b, k->first);
			buf_byte(b, ')');
		}
		put_set(b, &k->set);
		if (k->bits != 0)
			buf_fmt(b, "%u", k->bits);
		if (k->day != 0 || k->size != 0)
			buf_fmt(b, "%lld", (long long)k->day + (long long)k->size);
		if (k->field.n > 0)
			buf_fmt(b, "[%.*s]", SFMT(k->field));
		if (k->text.n > 0)
			buf_fmt(b, "=%.*s", SFMT(k->text));
		if (k->next != NULL)
			buf_byte(b, ' ');
	}
}

static void
put_list(struct buf *b, const struct imap_list *l)
{
	buf_fmt(b, "o%u s%u ", l->opts, l->status);
	put_mailbox(b, &l->ref);
	for (size_t i = 0; i < l->n_patterns; i++)
		put_mailbox(b, &l->pattern[i]);
}

static void
put_append(struct buf *b, const struct imap_append *a)
{
	put_mailbox(b, &a->mailbox);
	put_flags(b, &a->flags);
	if (a->dated)
		buf_fmt(b, " @%lld%+d", (long long)a->date.seconds, a->date.zone);
	buf_fmt(b, a->sync ? " {%llu}" : " {%llu+}", (unsigned long long)a->size);
}

static void
put_arguments(struct buf *b, const struct imap_command *c)
{
	switch (c->verb) {
	case IMAP_LOGIN:
		buf_fmt(b, "%.*s:%.*s", SFMT(c->u.login.user), SFMT(c->u.login.password));
		break;
	case IMAP_AUTHENTICATE:
		buf_fmt(b, "%.*s %d %.*s", SFMT(c->u.auth.mechanism), c->u.auth.has_initial,
		    SFMT(c->u.auth.initial));
		break;
	case IMAP_SELECT: case IMAP_EXAMINE: case IMAP_CREATE: case IMAP_DELETE:
	case IMAP_SUBSCRIBE: case IMAP_UNSUBSCRIBE:
		put_mailbox(b, &c->u.mailbox);
		break;
	case IMAP_RENAME:
		put_mailbox(b, &c->u.rename.from);
		put_mailbox(b, &c->u.rename.to);
		break;
	case IMAP_LIST: case IMAP_LSUB:
		put_list(b, &c->u.list);
		break;
	case IMAP_STATUS:
		put_mailbox(b, &c->u.status.mailbox);
		buf_fmt(b, " %u", c->u.status.items);
		break;
	case IMAP_APPEND:
		put_append(b, &c->u.append);
		break;
	case IMAP_SEARCH:
		buf_fmt(b, "[%.*s] ", SFMT(c->u.search.charset));
		put_key(b, c->u.search.first);
		break;
	case IMAP_FETCH:
		put_set(b, &c->u.fetch.set);
		buf_fmt(b, " i%u", c->u.fetch.items);
		for (size_t i = 0; i < c->u.fetch.n_sections; i++)
			put_section(b, &c->u.fetch.section[i]);
		break;
	case IMAP_STORE:
		put_set(b, &c->u.store.set);
		buf_fmt(b, " %d%s ", c->u.store.op, c->u.store.silent ? "s" : "");
		put_flags(b, &c->u.store.flags);
		break;
	case IMAP_COPY: case IMAP_MOVE:
		put_set(b, &c->u.copy.set);
		put_mailbox(b, &c->u.copy.to);
		break;
	case IMAP_EXPUNGE:
		if (c->uid)
			put_set(b, &c->u.set);
		break;
	case IMAP_ID: case IMAP_ENABLE:
		for (size_t i = 0; i < c->u.id.n; i++)
			buf_fmt(b, "%s%.*s", i == 0 ? "" : "|", SFMT(c->u.id.pair[i]));
		break;
	default:
		break;
	}
}

/* Runs the parser over an exact-size heap copy; the text form of the result lands in b. */
static enum imap_fault
run(struct slice in, struct buf *b)
{
	own(arena_p) a = arena_new("test", LIMIT_ARENA_IMAP);
	struct imap_command c = { .uid = false };
	uint8_t *copy = malloc(in.n == 0 ? 1 : in.n);
	struct cursor cur;
	enum imap_fault f;

	assert_non_null(copy);
	memcpy(copy, in.p, in.n);
	cur = cur_of(slice_of(copy, in.n));
	f = imap_parse(&cur, a, &c);
	buf_reset(b);
	if (f == IMAP_FINE) {
		buf_fmt(b, c.uid ? "UID %.*s " : "%.*s ", SFMT(imap_verb_name(c.verb)));
		put_arguments(b, &c);
	}
	free(copy);
	return f;
}

struct vector {
	struct slice in, out;
};

#define V(in, out) { S_INIT(in), S_INIT(out) }
static const struct vector good[] = {
	V("a1 NOOP", "NOOP "),
	V("A.b[]1 cApAbIlItY", "CAPABILITY "),
	V("a LOGIN alice s3cret]", "LOGIN alice:s3cret]"),
	V("a login \"al\\\"i\\\\ce\" {6}\r\na b\r\nc", "LOGIN al\"i\\ce:a b\r\nc"),
	V("a LOGIN {5+}\r\nalice {0}\r\n", "LOGIN alice:"),
	V("a AUTHENTICATE PLAIN", "AUTHENTICATE PLAIN 0 "),
	V("a AUTHENTICATE PLAIN =", "AUTHENTICATE PLAIN 1 "),
	V("a AUTHENTICATE PLAIN AGEAYg==", "AUTHENTICATE PLAIN 1 AGEAYg=="),
	V("a SELECT inBox", "SELECT <INBOX>"),
	V("a SELECT \"Entw&APw-rfe\"", "SELECT <Entw\xc3\xbcrfe>"),
	V("a SELECT &AP-", "SELECT <!&AP->"),
	V("a SELECT {2}\r\n\xc3\xbc", "SELECT <!\xc3\xbc>"),
	V("a RENAME a/b \"c d\"", "RENAME <a/b><c d>"),
	V("a LIST \"\" *", "LIST o0 s0 <><*>"),
	V("a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (a% \"b*\") RETURN (CHILDREN STATUS (UNSEEN SIZE))",
	    "LIST o83 s48 <><a%><b*>"),
	V("a LIST () \"\" x RETURN ()", "LIST o64 s0 <><x>"),
	V("a LSUB ref %]", "LSUB o0 s0 <ref><%]>"),
	V("a STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)", "STATUS <INBOX> 31"),
	V("a APPEND Sent {310}", "APPEND <Sent>f0 {310}"),
	V("a APPEND {4}\r\nSent (\\Seen Work) \"17-Jul-1996 02:44:25 -0700\" {310+}",
	    "APPEND <Sent>f1+Work @837596665-420 {310+}"),
	V("a APPEND Sent () \" 1-Jan-1970 00:00:00 +0000\" {1}", "APPEND <Sent>f0 @0+0 {1}"),
	V("a FETCH 1 ALL", "FETCH 1 i30"),
	V("a FETCH 1 FULL", "FETCH 1 i62"),
	V("a UID FETCH 3:1,2,7:* (FLAGS UID)", "UID FETCH 1:3*7-7 i3"),
	V("a FETCH * BODYSTRUCTURE", "FETCH *4294967295-0 i64"),
	V("a FETCH 1:4294967295 body", "FETCH 1:4294967295 i32"),
	V("a FETCH 5,4,3,9,10,12 RFC822.SIZE", "FETCH 3:5,9:10,12 i8"),
	V("a FETCH 1 (BODY[] RFC822 RFC822.HEADER RFC822.TEXT)", "FETCH 1 i0 bA rA hH? tT"),
	V("a FETCH 1 BODY.PEEK[1.2.HEADER.FIELDS (Subject \"To\")]<0.100>",
	    "FETCH 1 i0 bF.1.2/Subject/To?<0.100>"),
	V("a FETCH 1 (BODY[1] BODY.PEEK[1] BODY[1]<1.2> BODY[1.MIME] BODY[HEADER.FIELDS.NOT (a)])",
	    "FETCH 1 i0 bA.1 bA.1<1.2> bM.1 bN/a"),
	V("a FETCH 1 BODY[]<0.9223372036854775807>", "FETCH 1 i0 bA<0.9223372036854775807>"),
	V("a STORE 1 +FLAGS (\\Seen \\seen work WORK)", "STORE 1 1 f1+work"),
	V("a UID STORE 1 -flags.silent \\Deleted $Junk", "UID STORE 1 2s f8+$Junk"),
	V("a STORE 1 FLAGS ()", "STORE 1 0 f0"),
	V("a COPY 2:4 Trash", "COPY 2:4<Trash>"),
	V("a UID MOVE 2:4 \"Tr ash\"", "UID MOVE 2:4<Tr ash>"),
	V("a EXPUNGE", "EXPUNGE "),
	V("a UID EXPUNGE 5", "UID EXPUNGE 5"),
	V("a SEARCH ALL", "SEARCH [] all"),
	V("a SEARCH CHARSET UTF-8 TEXT {2}\r\n\xc3\xbc", "SEARCH [UTF-8] text=\xc3\xbc"),
	V("a UID SEARCH 1:3 UID 4 NOT SEEN OR FROM a (TO b CC \"c d\")",
	    "UID SEARCH [] seq1:3 uid4 not(flag1) or(header[From]=a and(header[To]=b header[Cc]=c d))"),
	V("a SEARCH BEFORE 2-Jan-1970 SENTON \"03-Jan-1970\" LARGER 5 HEADER X-A \"\" KEYWORD w",
	    "SEARCH [] before1 son2 larger5 header[X-A] kw=w"),
	V("a ID NIL", "ID "),
	V("a ID (\"name\" \"x\" \"os\" NIL)", "ID name|x|os|"),
	V("a ENABLE CONDSTORE UTF8=ACCEPT", "ENABLE CONDSTORE|UTF8=ACCEPT"),
};

struct refused {
	struct slice in;
	enum imap_fault fault;
};

#define R(in, fault) { S_INIT(in), fault }
static const struct refused bad[] = {
	R("", IMAP_BAD_TAG), R(" a NOOP", IMAP_BAD_TAG), R("a+ NOOP", IMAP_BAD_TAG),
	R("a\xc3\xbc NOOP", IMAP_BAD_TAG), R("(a NOOP", IMAP_BAD_TAG),
	R("a", IMAP_BAD_VERB), R("a ", IMAP_BAD_VERB), R("a XYZZY", IMAP_BAD_VERB),
	R("a UID NOOP", IMAP_BAD_VERB), R("a  NOOP", IMAP_BAD_VERB), R("a UID", IMAP_BAD_VERB),
	R("a NOOP ", IMAP_BAD_ARGS), R("a NOOP x", IMAP_BAD_ARGS),
	R("a LOGIN a", IMAP_BAD_ARGS), R("a LOGIN a  b", IMAP_BAD_ARGS),
	R("a LOGIN \"a\" \"b", IMAP_BAD_ARGS), R("a LOGIN \"a\\n\" b", IMAP_BAD_ARGS),
	/* I-008: NUL, CR, LF and 8-bit in quoted strings */
	R("a LOGIN \"a\0\" b", IMAP_BAD_ARGS), R("a LOGIN \"a\r\" b", IMAP_BAD_ARGS),
	R("a LOGIN \"a\n\" b", IMAP_BAD_ARGS), R("a LOGIN \"\xc3\xbc\" b", IMAP_BAD_ARGS),
	R("a LOGIN {3}\r\na\0b c", IMAP_BAD_ARGS), R("a LOGIN {5}\r\nabc d", IMAP_BAD_ARGS),
	R("a LOGIN {-1}\r\na b", IMAP_BAD_ARGS), R("a LOGIN {} b", IMAP_BAD_ARGS),
	R("a LOGIN {18446744073709551616}\r\nx b", IMAP_BAD_ARGS),
	R("a LOGIN a {3", IMAP_BAD_ARGS), R("a LOGIN a {3}\nabc", IMAP_BAD_ARGS),
	R("a AUTHENTICATE PLAIN a*", IMAP_BAD_ARGS), R("a AUTHENTICATE", IMAP_BAD_ARGS),
	R("a SELECT", IMAP_BAD_ARGS), R("a SELECT a b", IMAP_BAD_ARGS), R("a SELECT %", IMAP_BAD_ARGS),
	R("a LIST (RECURSIVEMATCH) \"\" *", IMAP_BAD_ARGS), R("a LIST \"\"", IMAP_BAD_ARGS),
	R("a LIST \"\" () RETURN (X)", IMAP_BAD_ARGS), R("a LIST \"\" a RETURN (X)", IMAP_BAD_ARGS),
	R("a STATUS x ()", IMAP_BAD_ARGS), R("a STATUS x MESSAGES", IMAP_BAD_ARGS),
	R("a APPEND x", IMAP_BAD_ARGS), R("a APPEND x {5}\r\nhello", IMAP_BAD_ARGS),
	R("a APPEND {1}", IMAP_BAD_ARGS), R("a APPEND x \"31-Feb-2020 00:00:00 +0000\" {1}", IMAP_BAD_ARGS),
	R("a APPEND x (\\Recent) {1}", IMAP_BAD_ARGS), R("a APPEND x {18446744073709551616}", IMAP_BAD_ARGS),
	R("a FETCH 0 FLAGS", IMAP_BAD_ARGS), R("a FETCH 1: FLAGS", IMAP_BAD_ARGS),
	R("a FETCH 1,,2 FLAGS", IMAP_BAD_ARGS), R("a FETCH 4294967296 FLAGS", IMAP_BAD_ARGS),
	R("a FETCH 1 ()", IMAP_BAD_ARGS), R("a FETCH 1 (ALL)", IMAP_BAD_ARGS),
	R("a FETCH 1 BODY[1.]", IMAP_BAD_ARGS), R("a FETCH 1 BODY[0]", IMAP_BAD_ARGS),
	R("a FETCH 1 BODY[MIME]", IMAP_BAD_ARGS), R("a FETCH 1 BODY[1TEXT]", IMAP_BAD_ARGS),
	R("a FETCH 1 BODY[HEADER.FIELDS ()]", IMAP_BAD_ARGS), R("a FETCH 1 BODY[", IMAP_BAD_ARGS),
	R("a FETCH 1 BODY[]<0.0>", IMAP_BAD_ARGS), R("a FETCH 1 BODY[]<5>", IMAP_BAD_ARGS),
	R("a FETCH 1 BODY[]<0.18446744073709551616>", IMAP_BAD_ARGS),
	R("a FETCH 1 ENVELOPE[]", IMAP_BAD_ARGS), R("a FETCH 1 BODY.PEEK", IMAP_BAD_ARGS),
	R("a STORE 1 FLAGS", IMAP_BAD_ARGS), R("a STORE 1 *FLAGS (\\Seen)", IMAP_BAD_ARGS),
	R("a STORE 1 FLAGS (\\Foo)", IMAP_BAD_ARGS), R("a STORE 1 FLAGS (a b", IMAP_BAD_ARGS),
	R("a SEARCH", IMAP_BAD_ARGS), R("a SEARCH ()", IMAP_BAD_ARGS), R("a SEARCH (ALL", IMAP_BAD_ARGS),
	R("a SEARCH NOT", IMAP_BAD_ARGS), R("a SEARCH OR ALL", IMAP_BAD_ARGS),
	R("a SEARCH ON 30-Feb-2020", IMAP_BAD_ARGS), R("a SEARCH FROM", IMAP_BAD_ARGS),
	R("a SEARCH CHARSET UTF-8", IMAP_BAD_ARGS), R("a UID EXPUNGE", IMAP_BAD_ARGS),
	R("a ID (\"x\")", IMAP_BAD_ARGS), R("a ID", IMAP_BAD_ARGS), R("a IDLE x", IMAP_BAD_ARGS),
};

static void
valid(void **state)
{
	struct buf b;

	buf_init(&b, LIMIT_IMAP_LINE);
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		if (run(good[i].in, &b) != IMAP_FINE || !slice_eq(buf_slice(&b), good[i].out))
			fail_msg("%.*s gave %.*s", SFMT(good[i].in), SFMT(buf_slice(&b)));
		for (size_t cut = 0; cut < good[i].in.n; cut++)
			(void)run(slice_head(good[i].in, cut), &b);
	}
	buf_free(&b);
}

static void
invalid(void **state)
{
	struct buf b;

	buf_init(&b, LIMIT_IMAP_LINE);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		enum imap_fault f = run(bad[i].in, &b);

		if (f != bad[i].fault)
			fail_msg("%.*s gave fault %d", SFMT(bad[i].in), f);
		for (size_t cut = 0; cut < bad[i].in.n; cut++)
			(void)run(slice_head(bad[i].in, cut), &b);
	}
	buf_free(&b);
}

/* "a VERB " + n times piece + end */
static enum imap_fault
repeat(struct slice head, struct slice piece, size_t n, struct slice end)
{
	struct buf in, out;
	enum imap_fault f;

	buf_init(&in, 4 * LIMIT_IMAP_LINE);
	buf_init(&out, 4 * LIMIT_IMAP_LINE);
	buf_add(&in, head);
	for (size_t i = 0; i < n; i++)
		buf_add(&in, piece);
	buf_add(&in, end);
	f = run(buf_slice(&in), &out);
	buf_free(&in);
	buf_free(&out);
	return f;
}

/* I-007, I-022, I-024: depth, counts and lengths end in a clear answer. */
static void
limits(void **state)
{
	struct buf b;

	assert_int_equal(repeat(S("a SEARCH "), S("NOT "), 63, S("ALL")), IMAP_FINE);
	assert_int_equal(repeat(S("a SEARCH "), S("NOT "), 64, S("ALL")), IMAP_OVER_DEPTH);
	assert_int_equal(repeat(S("a SEARCH "), S("NOT "), 15000, S("ALL")), IMAP_OVER_DEPTH);
	assert_int_equal(repeat(S("a SEARCH "), S("OR ALL "), 7000, S("ALL")), IMAP_OVER_DEPTH);
	assert_int_equal(repeat(S("a SEARCH "), S("("), 30000, S("")), IMAP_OVER_DEPTH);
	assert_int_equal(repeat(S("a SEARCH ALL"), S(" NOT ALL"), 2000, S("")), IMAP_FINE);
	assert_int_equal(repeat(S("a SEARCH ALL"), S(" ALL"), 16000, S("")), IMAP_OVER);
	assert_int_equal(repeat(S("a FETCH 1 BODY[1"), S(".1"), 99, S("]")), IMAP_FINE);
	assert_int_equal(repeat(S("a FETCH 1 BODY[1"), S(".1"), 100, S("]")), IMAP_BAD_ARGS);
	assert_int_equal(repeat(S("a FETCH 1 BODY[1"), S(".1"), 10000, S("]")), IMAP_BAD_ARGS);
	assert_int_equal(repeat(S("a FETCH 1 (BODY[1]"), S(" BODY[1]"), 7000, S(")")), IMAP_FINE);
	assert_int_equal(repeat(S("a FETCH 1"), S(",3"), 20000, S(" FLAGS")), IMAP_FINE);
	assert_int_equal(repeat(S(""), S("a"), 65, S(" NOOP")), IMAP_BAD_TAG);
	assert_int_equal(repeat(S("a STORE 1 FLAGS ("), S("x"), 129, S(")")), IMAP_OVER);
	buf_init(&b, LIMIT_IMAP_LINE);
	buf_fmt(&b, "a STORE 1 FLAGS (k");
	for (unsigned i = 0; i < 200; i++)
		buf_fmt(&b, " k%u", i);
	buf_fmt(&b, ")");
	assert_int_equal(repeat(buf_slice(&b), S(""), 0, S("")), IMAP_OVER);
	buf_free(&b);
}

static void
literals(void **state)
{
	uint64_t n = 7;

	assert_int_equal(imap_literal_at_end(S("a LOGIN x"), &n), IMAP_LITERAL_NONE);
	assert_int_equal(imap_literal_at_end(S("a {}"), &n), IMAP_LITERAL_NONE);
	assert_int_equal(imap_literal_at_end(S("a {+}"), &n), IMAP_LITERAL_NONE);
	assert_int_equal(imap_literal_at_end(S("a {-1}"), &n), IMAP_LITERAL_NONE);
	assert_int_equal(imap_literal_at_end(S("a {1 }"), &n), IMAP_LITERAL_NONE);
	assert_int_equal(imap_literal_at_end(S("5}"), &n), IMAP_LITERAL_NONE);
	assert_int_equal(imap_literal_at_end(S("}"), &n), IMAP_LITERAL_NONE);
	assert_int_equal(imap_literal_at_end(S("a {5} "), &n), IMAP_LITERAL_NONE);
	assert_int_equal(n, 7);
	assert_int_equal(imap_literal_at_end(S("{5}"), &n), IMAP_LITERAL_SYNC);
	assert_int_equal(n, 5);
	assert_int_equal(imap_literal_at_end(S("a {12+}"), &n), IMAP_LITERAL_NOW);
	assert_int_equal(n, 12);
	assert_int_equal(imap_literal_at_end(S("a {18446744073709551616}"), &n), IMAP_LITERAL_SYNC);
	assert_true(n == UINT64_MAX);
	assert_int_equal(imap_literal_at_end(S("{5}{6}"), &n), IMAP_LITERAL_SYNC);
	assert_int_equal(n, 6);
}

static void
resolve(const char *set, uint32_t largest, const char *want)
{
	own(arena_p) a = arena_new("test", LIMIT_ARENA_IMAP);
	struct imap_set s, r;
	struct buf b;

	buf_init(&b, 256);
	assert_true(imap_set_parse(slice_z(set), a, &s));
	assert_true(imap_set_resolve(&s, largest, a, &r));
	put_set(&b, &r);
	if (!slice_eq(buf_slice(&b), slice_z(want)))
		fail_msg("%s at %u gave %.*s", set, largest, SFMT(buf_slice(&b)));
	buf_free(&b);
}

static void
sets(void **state)
{
	own(arena_p) a = arena_new("test", LIMIT_ARENA_IMAP);
	struct imap_set s;

	resolve("*", 7, "7");
	resolve("*:*", 7, "7");
	resolve("5:*", 3, "3:5");
	resolve("*:5", 3, "3:5");
	resolve("1:*", 0, "");
	resolve("2,4,1:*", 9, "1:9");
	resolve("2,4,9:*,*", 6, "2,4,6:9");
	resolve("3:*,12:*", 5, "3:12");
	resolve("4294967295,1:4294967294", 5, "1:4294967295");
	resolve("4294967295:*", 4294967295u, "4294967295");
	resolve("9,1,8,2,7,3", 1, "1:3,7:9");
	assert_true(imap_set_parse(S("2:4,7,9:10"), a, &s));
	for (uint32_t v = 0; v < 12; v++)
		assert_int_equal(imap_set_has(&s, v),
		    (v >= 2 && v <= 4) || v == 7 || v == 9 || v == 10);
	assert_false(imap_set_parse(S(""), a, &s));
	assert_false(imap_set_parse(S("1 "), a, &s));
	assert_false(imap_set_parse(S("a"), a, &s));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid),
		cmocka_unit_test(invalid),
		cmocka_unit_test(limits),
		cmocka_unit_test(literals),
		cmocka_unit_test(sets),
	};

	return cmocka_run_group_tests_name("imap", tests, NULL, NULL);
}
