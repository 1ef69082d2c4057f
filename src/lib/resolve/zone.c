/* SPDX-License-Identifier: MIT
 * The in-memory zone: text to records in wire form, and lookups in it. It scans all records for
 * each query, which is fine for the sizes of tests. */
#include "lib/resolve/zone.h"

#include <arpa/inet.h>

#include "lib/base/cursor.h"
#include "lib/base/encode.h"

#define MOST_CHAIN 8
#define MOST_RDATA ((size_t)65535)

enum kind { RECORD, FAILURE, SECURE, EXISTS };

struct zone_record {
	enum kind kind;
	struct slice name; /* wire form */
	unsigned type;	   /* 0 in a FAILURE: every type */
	enum resolve_status status;
	struct slice rdata;
	struct slice target; /* CNAME, text */
};

static bool is_field(uint8_t c) { return !ch_is_wsp(c) && c != '\r' && c != '\n'; }

static bool
field(struct cursor *c, struct slice *out)
{
	(void)cur_skip(c, ch_is_wsp);
	return cur_take(c, is_field, MOST_RDATA, out);
}

static bool
number(struct cursor *c, uint32_t max, struct buf *b, unsigned bytes)
{
	struct slice f;
	uint32_t v;

	if (!field(c, &f) || !slice_u32(f, &v) || v > max)
		return false;
	if (bytes == 2)
		(void)buf_byte(b, (uint8_t)(v >> 8));
	return buf_byte(b, (uint8_t)v);
}

static bool
target(struct cursor *c, struct arena *a, struct buf *b, struct slice *text)
{
	struct slice f, wire;

	if (!field(c, &f) || !name_to_wire(f, a, &wire))
		return false;
	*text = f;
	return buf_add(b, wire);
}

/* A quoted string; its bytes without the quotes go to b. */
static bool
quoted(struct cursor *c, struct buf *b)
{
	(void)cur_skip(c, ch_is_wsp);
	if (!cur_byte(c, '"'))
		return false;
	for (;;) {
		int x = cur_next(c), d1, d2;

		if (x == -1)
			return false;
		if (x == '"')
			return !b->bad;
		if (x != '\\') {
			(void)buf_byte(b, (uint8_t)x);
			continue;
		}
		x = cur_next(c);
		if (x == -1)
			return false;
		if (ch_is_digit((uint8_t)x)) {
			d1 = cur_next(c);
			d2 = cur_next(c);
			if (d1 < '0' || d1 > '9' || d2 < '0' || d2 > '9')
				return false;
			x = (x - '0') * 100 + (d1 - '0') * 10 + d2 - '0';
			if (x > 255)
				return false;
		}
		(void)buf_byte(b, (uint8_t)x);
	}
}

static bool
texts(struct cursor *c, struct buf *b)
{
	struct buf one;
	bool ok = true;

	buf_init(&one, 255);
	do {
		buf_reset(&one);
		ok = quoted(c, &one) && buf_byte(b, (uint8_t)one.n) && buf_add(b, buf_slice(&one));
		(void)cur_skip(c, ch_is_wsp);
	} while (ok && cur_left(c) > 0);
	buf_free(&one);
	return ok;
}

static bool
address(struct cursor *c, int family, struct arena *a, struct buf *b)
{
	uint8_t ip[16];
	struct slice f, raw;
	const char *z;

	if (!field(c, &f))
		return false;
	if (family == AF_INET6 && f.n == 32 && hex_decode(f, a, &raw))
		return buf_add(b, raw);
	z = arena_z(a, f);
	if (z == NULL || inet_pton(family, z, ip) != 1)
		return false;
	return buf_add(b, slice_of(ip, family == AF_INET ? 4 : 16));
}

static bool
hex_field(struct cursor *c, struct arena *a, struct buf *b)
{
	struct slice f, raw;

	return field(c, &f) && hex_decode(f, a, &raw) && buf_add(b, raw);
}

static bool
caa(struct cursor *c, struct buf *b)
{
	struct slice tag;

	if (!number(c, 255, b, 1) || !field(c, &tag) || tag.n > 255)
		return false;
	return buf_byte(b, (uint8_t)tag.n) && buf_add(b, tag) && quoted(c, b);
}

static bool
type_of(struct slice word, unsigned *out)
{
	static const struct {
		struct slice word;
		enum rr_type type;
	} table[] = { { S_INIT("A"), RR_A }, { S_INIT("AAAA"), RR_AAAA }, { S_INIT("MX"), RR_MX },
		{ S_INIT("TXT"), RR_TXT }, { S_INIT("CNAME"), RR_CNAME }, { S_INIT("NS"), RR_NS },
		{ S_INIT("PTR"), RR_PTR }, { S_INIT("SRV"), RR_SRV }, { S_INIT("TLSA"), RR_TLSA },
		{ S_INIT("CAA"), RR_CAA } };

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (slice_eq(word, table[i].word)) {
			*out = table[i].type;
			return true;
		}
	return false;
}

static bool
rdata(struct cursor *c, struct arena *a, struct buf *b, struct zone_record *r)
{
	switch (r->type) {
	case RR_A:
		return address(c, AF_INET, a, b);
	case RR_AAAA:
		return address(c, AF_INET6, a, b);
	case RR_MX:
		return number(c, 65535, b, 2) && target(c, a, b, &r->target);
	case RR_TXT:
		return texts(c, b);
	case RR_SRV:
		return number(c, 65535, b, 2) && number(c, 65535, b, 2) && number(c, 65535, b, 2) &&
		       target(c, a, b, &r->target);
	case RR_TLSA:
		return number(c, 255, b, 1) && number(c, 255, b, 1) && number(c, 255, b, 1) &&
		       hex_field(c, a, b);
	case RR_CAA:
		return caa(c, b);
	default:
		return target(c, a, b, &r->target);
	}
}

static bool
failure(struct cursor *c, enum resolve_status status, struct zone_record *r)
{
	struct slice word;

	r->kind = FAILURE;
	r->status = status;
	return !field(c, &word) || type_of(word, &r->type);
}

static bool
record(struct cursor *c, struct arena *a, struct buf *b, struct zone_record *r)
{
	struct slice name, word;

	if (!field(c, &name) || !name_to_wire(name, a, &r->name) || !field(c, &word))
		return false;
	if (slice_eq(word, S("TIMEOUT")))
		return failure(c, RESOLVE_TIMEOUT, r);
	if (slice_eq(word, S("SERVFAIL")))
		return failure(c, RESOLVE_SERVFAIL, r);
	if (slice_eq(word, S("BOGUS")))
		return failure(c, RESOLVE_BOGUS, r);
	if (slice_eq(word, S("SECURE")) || slice_eq(word, S("EXISTS"))) {
		r->kind = slice_eq(word, S("SECURE")) ? SECURE : EXISTS;
		return true;
	}
	return type_of(word, &r->type) && rdata(c, a, b, r) && !b->bad &&
	       arena_copy(a, buf_slice(b), &r->rdata);
}

/* Cuts the next line off *rest; a last line without LF counts. */
static struct slice
line_of(struct slice *rest)
{
	struct slice head, tail;

	if (!slice_cut(*rest, '\n', &head, &tail)) {
		head = *rest;
		tail = slice_from(*rest, rest->n);
	}
	*rest = tail;
	if (head.n > 0 && slice_at(head, head.n - 1) == '\r')
		head = slice_head(head, head.n - 1);
	return slice_trim(head);
}

bool
zone_parse(struct slice text, struct arena *a, struct zone *out)
{
	size_t lines = 1, number_of = 0;
	struct buf b;

	*out = (struct zone){ 0 };
	for (size_t i = 0; i < text.n; i++)
		lines += slice_at(text, i) == '\n';
	out->records = ARENA_ARRAY(a, lines, struct zone_record);
	if (out->records == NULL) {
		out->bad_line = 1;
		return false;
	}
	buf_init(&b, MOST_RDATA);
	while (text.n > 0 && out->bad_line == 0) {
		struct cursor c = cur_of(line_of(&text));
		struct zone_record r = { 0 };

		number_of++;
		if (cur_left(&c) == 0 || cur_peek(&c) == '#')
			continue;
		buf_reset(&b);
		if (record(&c, a, &b, &r) && (cur_skip(&c, ch_is_wsp), cur_done(&c)))
			out->records[out->n++] = r;
		else
			out->bad_line = number_of;
	}
	buf_free(&b);
	return out->bad_line == 0;
}

/* True when name is owner, or stands below it (an empty non-terminal exists too). */
static bool
at_or_below(struct slice name, struct slice owner)
{
	size_t skip = 0;

	if (name.n < owner.n)
		return false;
	while (name.n - skip > owner.n)
		skip += slice_at(name, skip) + (size_t)1;
	return name.n - skip == owner.n && slice_ieq(slice_from(name, skip), owner);
}

struct lookup {
	size_t n;
	bool exists, secure;
	struct slice cname;
	enum resolve_status failure; /* RESOLVE_OK: none */
	enum resolve_status failure_all;
};

static void
scan(const struct zone *z, struct slice wire, enum rr_type type, struct lookup *out)
{
	for (size_t i = 0; i < z->n; i++) {
		const struct zone_record *r = &z->records[i];

		if (!at_or_below(r->name, wire))
			continue;
		out->exists = true;
		if (r->name.n != wire.n)
			continue;
		if (r->kind == RECORD && r->type == (unsigned)type)
			out->n++;
		if (r->kind == RECORD && r->type == RR_CNAME)
			out->cname = r->target;
		if (r->kind == SECURE)
			out->secure = true;
		if (r->kind == FAILURE && r->type == (unsigned)type)
			out->failure = r->status;
		if (r->kind == FAILURE && r->type == 0)
			out->failure_all = r->status;
	}
}

static void
collect(const struct zone *z, struct slice wire, enum rr_type type, struct arena *a, size_t n,
    struct resolve_wire *out)
{
	struct slice *list = ARENA_ARRAY(a, n, struct slice);

	if (list == NULL) {
		out->status = RESOLVE_SERVFAIL;
		return;
	}
	for (size_t i = 0; i < z->n; i++)
		if (z->records[i].kind == RECORD && z->records[i].type == (unsigned)type &&
		    slice_ieq(z->records[i].name, wire))
			list[out->n++] = z->records[i].rdata;
	out->rdata = list;
	out->status = RESOLVE_OK;
}

void
zone_query(void *self, struct slice name, enum rr_type type, struct arena *a,
    struct resolve_wire *out)
{
	struct zone *z = self;
	bool secure = true;

	z->queries++;
	*out = (struct resolve_wire){ .status = RESOLVE_SERVFAIL, .ttl = 3600 };
	for (int depth = 0; depth <= MOST_CHAIN; depth++) {
		struct lookup l = { 0 };
		struct slice wire;

		if (!name_to_wire(name, a, &wire))
			return;
		scan(z, wire, type, &l);
		secure = secure && l.secure;
		out->secure = secure;
		out->name = name;
		if (l.failure != RESOLVE_OK || (l.n == 0 && l.failure_all != RESOLVE_OK)) {
			out->status = l.failure != RESOLVE_OK ? l.failure : l.failure_all;
			out->secure = false;
			return;
		}
		if (l.n > 0) {
			collect(z, wire, type, a, l.n, out);
			return;
		}
		if (l.cname.n == 0) {
			out->status = l.exists ? RESOLVE_NODATA : RESOLVE_NXDOMAIN;
			return;
		}
		name = l.cname;
	}
}
