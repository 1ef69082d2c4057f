/* SPDX-License-Identifier: MIT */
#include "lib/base/charset.h"

#include "lib/base/chars.h"
#include "lib/base/encode.h"

#include "lib/base/charset_tables.h"

enum { GUESS, UTF8, TABLE };

#define TABLES (sizeof single_octet / sizeof single_octet[0])
#define MOST_NAME ((size_t)32)
#define REPLACEMENT 0xfffdu

/* Letters and digits of a name in lower case; empty when it is too long to be one. */
static struct slice
plain_name(struct slice name, uint8_t out[static MOST_NAME])
{
	size_t n = 0;

	for (size_t i = 0; i < name.n; i++) {
		uint8_t b = ch_lower(slice_at(name, i));

		if (!ch_is_alnum(b))
			continue;
		if (n == MOST_NAME)
			return S("");
		out[n++] = b;
	}
	return slice_of(out, n);
}

static uint8_t
table_of(struct slice plain)
{
	for (size_t i = 0; i < TABLES; i++) {
		uint8_t space[MOST_NAME];

		if (slice_eq(plain_name(slice_z(single_octet[i].name), space), plain))
			return (uint8_t)i;
	}
	return UINT8_MAX;
}

struct charset
charset_of(struct slice name)
{
	static const struct {
		struct slice alias, name;
	} aliases[] = {
		{ S_INIT("iso88591"), S_INIT("windows1252") }, { S_INIT("latin1"), S_INIT("windows1252") },
		{ S_INIT("l1"), S_INIT("windows1252") }, { S_INIT("cp1252"), S_INIT("windows1252") },
		{ S_INIT("cp819"), S_INIT("windows1252") }, { S_INIT("latin2"), S_INIT("iso88592") },
		{ S_INIT("latin9"), S_INIT("iso885915") }, { S_INIT("latin0"), S_INIT("iso885915") },
		{ S_INIT("iso88598i"), S_INIT("iso88598") }, { S_INIT("cp1250"), S_INIT("windows1250") },
		{ S_INIT("cp1251"), S_INIT("windows1251") }, { S_INIT("cp1253"), S_INIT("windows1253") },
		{ S_INIT("cp1254"), S_INIT("windows1254") }, { S_INIT("cp1255"), S_INIT("windows1255") },
		{ S_INIT("cp1256"), S_INIT("windows1256") }, { S_INIT("cp1257"), S_INIT("windows1257") },
		{ S_INIT("cp1258"), S_INIT("windows1258") }, { S_INIT("cp437"), S_INIT("ibm437") },
		{ S_INIT("cp850"), S_INIT("ibm850") }, { S_INIT("cp866"), S_INIT("ibm866") },
		{ S_INIT("xmacroman"), S_INIT("macintosh") }, { S_INIT("koi8"), S_INIT("koi8r") },
	};
	uint8_t space[MOST_NAME];
	struct slice plain = plain_name(name, space);
	struct charset c = { .kind = GUESS, .table = table_of(S("windows1252")) };
	uint8_t table;

	if (plain.n == 0 || slice_eq(plain, S("usascii")))
		return c;
	if (slice_eq(plain, S("utf8"))) {
		c.kind = UTF8;
		return c;
	}
	for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
		if (slice_eq(aliases[i].alias, plain)) {
			plain = aliases[i].name;
			break;
		}
	table = table_of(plain);
	if (table != UINT8_MAX)
		c = (struct charset){ .kind = TABLE, .table = table };
	return c;
}

bool
charset_known(const struct charset *c)
{
	return c->kind != GUESS;
}

bool
charset_same(const struct charset *a, const struct charset *b)
{
	return a->kind == b->kind && a->table == b->table;
}

/* Length of the run of ASCII at position at. */
static size_t
ascii_run(struct slice in, size_t at)
{
	size_t i = at;
	uint64_t eight;

	while (in.n - i >= 8) {
		memcpy(&eight, in.p + i, 8);
		if ((eight & 0x8080808080808080u) != 0)
			break;
		i += 8;
	}
	while (i < in.n && in.p[i] < 0x80)
		i++;
	return i - at;
}

static void
put_table(struct buf *out, uint8_t table, uint8_t b)
{
	uint16_t cp = single_octet[table].upper[b & 0x7f];

	(void)utf8_put(out, cp == 0 ? REPLACEMENT : cp);
}

/* An octet that is no UTF-8. */
static void
put_stray(struct charset *c, struct buf *out, uint8_t b)
{
	if (c->kind == UTF8)
		(void)utf8_put(out, REPLACEMENT);
	else
		put_table(out, c->table, b);
}

static void
put_pending_stray(struct charset *c, struct buf *out)
{
	for (size_t i = 0; i < c->n_pending; i++)
		put_stray(c, out, c->pending[i]);
	c->n_pending = 0;
}

/* One octet at or above 0x80, or one that ends an unfinished sequence. False when it is still to be
 * read as ASCII. */
static bool
utf8_octet(struct charset *c, struct buf *out, uint8_t b)
{
	uint8_t lead;
	size_t want, at = 0;

	if (c->n_pending > 0 && (b & 0xc0) != 0x80)
		put_pending_stray(c, out);
	if (b < 0x80)
		return false;
	if (c->n_pending == 0 && (b < 0xc2 || b > 0xf4)) {
		put_stray(c, out, b);
		return true;
	}
	c->pending[c->n_pending++] = b;
	lead = c->pending[0];
	want = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (c->n_pending < want)
		return true;
	if (utf8_next(slice_of(c->pending, want), &at) >= 0) {
		(void)buf_add(out, slice_of(c->pending, want));
		c->n_pending = 0;
	} else {
		put_pending_stray(c, out);
	}
	return true;
}

bool
charset_feed(struct charset *c, struct slice in, struct buf *out)
{
	for (size_t i = 0; i < in.n && !out->bad;) {
		uint8_t b = in.p[i];

		if (b < 0x80 && c->n_pending == 0) {
			size_t run = ascii_run(in, i);

			(void)buf_add(out, slice_sub(in, i, run));
			i += run;
		} else if (c->kind == TABLE) {
			put_table(out, c->table, b);
			i++;
		} else if (utf8_octet(c, out, b)) {
			i++;
		}
	}
	return !out->bad;
}

bool
charset_end(struct charset *c, struct buf *out)
{
	if (c->n_pending > 0 && c->kind == UTF8) {
		c->n_pending = 0;
		(void)utf8_put(out, REPLACEMENT);
	}
	put_pending_stray(c, out);
	return !out->bad;
}
