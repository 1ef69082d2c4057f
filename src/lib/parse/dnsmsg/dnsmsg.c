/* SPDX-License-Identifier: MIT */
#include "lib/parse/dnsmsg/dnsmsg.h"

#include "lib/base/buf.h"
#include "lib/base/cursor.h"

enum {
	T_NS = 2,
	T_CNAME = 5,
	T_SOA = 6,
	T_PTR = 12,
	T_MX = 15,
	T_SRV = 33,
	CLASS_IN = 1,
	FLAG_QR = 0x8000,
	FLAG_TC = 0x0200,
	MOST_JUMPS = 127,
};

/* A name in wire form, uncompressed. */
struct name {
	uint8_t wire[LIMIT_DNSMSG_NAME];
	size_t n;
};

struct record {
	struct name owner;
	unsigned type, class;
	uint32_t ttl;
	struct cursor rdata; /* over the message up to the end of the RDATA: names in it may point back */
};

static struct slice
name_slice(const struct name *n)
{
	return slice_of(n->wire, n->n);
}

/* Copies the labels from position at of the message on. *end gets the position behind the name where
 * it stands (behind the first pointer). Every pointer goes before the lowest position that was read
 * from yet, and a name of 127 labels needs no more pointers than that: the work is bounded. */
static bool
expand(struct slice msg, size_t at, struct name *out, size_t *end)
{
	size_t low = at;
	unsigned jumps = 0;

	out->n = 0;
	for (;;) {
		uint8_t len, next;
		struct slice label;

		if (at >= msg.n)
			return false;
		len = slice_at(msg, at);
		if (len >= 0xc0) {
			size_t to;

			if (at + 1 >= msg.n)
				return false;
			next = slice_at(msg, at + 1);
			to = (size_t)(len & 0x3f) << 8 | next;
			if (jumps == 0)
				*end = at + 2;
			if (to >= low || ++jumps > MOST_JUMPS)
				return false;
			low = at = to;
			continue;
		}
		if (len > 63 || at + 1 + len > msg.n || out->n + 1 + len > LIMIT_DNSMSG_NAME)
			return false;
		label = slice_sub(msg, at, (size_t)1 + len);
		for (size_t i = 0; i < label.n; i++)
			out->wire[out->n++] = slice_at(label, i);
		at += label.n;
		if (len == 0)
			break;
	}
	if (jumps == 0)
		*end = at;
	return true;
}

/* The name at the cursor, whose input is (a front part of) the message from its first byte. */
static bool
take_name(struct cursor *c, struct name *out)
{
	size_t end = 0;

	if (c->bad || !expand(c->in, c->at, out, &end))
		return cur_fail(c);
	c->at = end;
	return true;
}

static bool
take_record(struct cursor *c, struct record *r)
{
	struct slice data;
	uint16_t n;

	if (!take_name(c, &r->owner))
		return false;
	r->type = cur_get_u16be(c);
	r->class = cur_get_u16be(c);
	r->ttl = cur_get_u32be(c);
	n = cur_get_u16be(c);
	r->rdata = *c;
	if (c->bad || !cur_bytes(c, n, &data))
		return false;
	if (r->ttl > INT32_MAX) /* RFC 2181 8 */
		r->ttl = 0;
	r->rdata.in = slice_head(c->in, c->at);
	return true;
}

/* n plain bytes of the RDATA, then names of them, then the tail. */
static bool
copy_rdata(struct record *r, size_t plain, unsigned names, size_t tail, struct arena *a, struct slice *out)
{
	struct buf b;
	struct name name;
	struct slice part;
	bool ok;

	buf_init(&b, plain + names * LIMIT_DNSMSG_NAME + tail);
	if (cur_bytes(&r->rdata, plain, &part))
		(void)buf_add(&b, part);
	for (unsigned i = 0; i < names; i++)
		if (take_name(&r->rdata, &name))
			(void)buf_add(&b, name_slice(&name));
	if (cur_bytes(&r->rdata, tail, &part))
		(void)buf_add(&b, part);
	ok = cur_done(&r->rdata) && !b.bad && arena_copy(a, buf_slice(&b), out);
	buf_free(&b);
	return ok;
}

static bool
take_rdata(struct record *r, struct arena *a, struct slice *out)
{
	switch (r->type) {
	case T_NS:
	case T_CNAME:
	case T_PTR:
		return copy_rdata(r, 0, 1, 0, a, out);
	case T_MX:
		return copy_rdata(r, 2, 1, 0, a, out);
	case T_SRV:
		return copy_rdata(r, 6, 1, 0, a, out);
	case T_SOA:
		return copy_rdata(r, 0, 2, 20, a, out);
	default:
		return arena_copy(a, slice_from(r->rdata.in, r->rdata.at), out);
	}
}

static void
lower_ttl(uint32_t *ttl, bool *known, uint32_t with)
{
	if (!*known || with < *ttl)
		*ttl = with;
	*known = true;
}

struct reading {
	struct cursor c;
	unsigned type, chain;
	struct name owner;
	struct slice *rdata;
	size_t n;
	uint32_t ttl;
	bool ttl_known, soa, ns;
};

/* One record of the answer section: the next link of the chain, one of the answers, or neither. */
static bool
answer_record(struct reading *r, struct record *rr, struct arena *a)
{
	if (rr->class != CLASS_IN || !slice_ieq(name_slice(&rr->owner), name_slice(&r->owner)))
		return true;
	if (rr->type == r->type) {
		lower_ttl(&r->ttl, &r->ttl_known, rr->ttl);
		return take_rdata(rr, a, &r->rdata[r->n]) && ++r->n <= LIMIT_DNSMSG_RRS;
	}
	if (rr->type != T_CNAME)
		return true;
	lower_ttl(&r->ttl, &r->ttl_known, rr->ttl);
	return r->n == 0 && r->chain++ < LIMIT_DNSMSG_CHAIN && take_name(&rr->rdata, &r->owner) &&
	    cur_done(&rr->rdata);
}

/* How long "nothing there" holds: the least of the SOA's TTL and its last field (RFC 2308 5). */
static bool
negative_ttl(struct record *rr, struct arena *a, uint32_t *ttl, bool *known)
{
	struct slice soa;
	struct cursor c;

	if (rr->type != T_SOA || rr->class != CLASS_IN)
		return true;
	if (!take_rdata(rr, a, &soa))
		return false;
	c = cur_of(slice_from(soa, soa.n - 4));
	lower_ttl(ttl, known, rr->ttl);
	lower_ttl(ttl, known, cur_get_u32be(&c));
	return true;
}

/* The question has to be the one that was asked. */
static bool
same_question(struct cursor *c, struct slice name, uint16_t type)
{
	struct name asked;

	return take_name(c, &asked) && slice_ieq(name_slice(&asked), name) && cur_get_u16be(c) == type &&
	    cur_get_u16be(c) == CLASS_IN && !c->bad;
}

bool
dnsmsg_answer_parse(struct slice msg, struct slice name, uint16_t type, struct arena *a,
    struct dnsmsg_answer *out)
{
	struct reading r = { .c = cur_of(msg), .type = type };
	uint16_t flags, questions, answers, authorities;
	struct slice owner;
	struct record rr;

	(void)cur_get_u16be(&r.c); /* the id is the transport's business */
	flags = cur_get_u16be(&r.c);
	questions = cur_get_u16be(&r.c);
	answers = cur_get_u16be(&r.c);
	authorities = cur_get_u16be(&r.c);
	(void)cur_get_u16be(&r.c);
	if (r.c.bad || (flags & FLAG_QR) == 0 || questions != 1 || !same_question(&r.c, name, type))
		return false;
	size_t at = 0;
	if (!expand(name, 0, &r.owner, &at))
		return false;
	/* no record is shorter than 11 bytes */
	r.rdata = ARENA_ARRAY(a, (cur_left(&r.c) / 11 < LIMIT_DNSMSG_RRS ? cur_left(&r.c) / 11 : LIMIT_DNSMSG_RRS) + 1,
	    struct slice);
	if (r.rdata == NULL)
		return false;
	for (unsigned i = 0; i < answers; i++)
		if (!take_record(&r.c, &rr) || !answer_record(&r, &rr, a))
			return false;
	for (unsigned i = 0; i < authorities && r.n == 0; i++) {
		if (!take_record(&r.c, &rr) || !negative_ttl(&rr, a, &r.ttl, &r.ttl_known))
			return false;
		r.soa = r.soa || rr.type == T_SOA;
		r.ns = r.ns || rr.type == T_NS;
	}
	if (!arena_copy(a, name_slice(&r.owner), &owner))
		return false;
	*out = (struct dnsmsg_answer){ .rcode = flags & 0xf,
		.truncated = (flags & FLAG_TC) != 0,
		.referral = r.ns && !r.soa,
		.ttl = r.ttl,
		.owner = owner,
		.n = r.n,
		.rdata = r.rdata };
	return true;
}
