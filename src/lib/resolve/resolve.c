/* SPDX-License-Identifier: MIT
 * Budget, names and record data of the resolver interface. All reading of RDATA goes through a
 * cursor; RFC 1035 section 3.3, 3596, 2782, 6698, 8659. */
#include "lib/resolve/resolve.h"

#include "lib/base/cursor.h"

struct resolver
resolver_of(void (*query)(void *self, struct slice name, enum rr_type type, struct arena *a,
		struct resolve_wire *out),
    void *self)
{
	return (struct resolver){ .query = query, .self = self, .left = LIMIT_RESOLVE_QUERIES };
}

bool
resolve_failed(enum resolve_status s)
{
	return s == RESOLVE_SERVFAIL || s == RESOLVE_TIMEOUT || s == RESOLVE_BOGUS;
}

const char *
resolve_status_name(enum resolve_status s)
{
	static const char *const names[] = { "ok", "nodata", "nxdomain", "servfail", "timeout",
		"bogus" };

	return (unsigned)s < sizeof names / sizeof *names ? names[s] : "servfail";
}

bool
rr_next(const struct resolve_answer *answer, size_t *at, const struct rr **out)
{
	if (*at >= answer->n)
		return false;
	*out = &answer->rr[(*at)++];
	return true;
}

/* One byte of a label in text, with its escapes: \DDD or \X. False on a broken escape. */
static bool
label_byte(struct cursor *c, uint8_t *out)
{
	int b = cur_next(c), value = 0;

	if (b != '\\') {
		*out = (uint8_t)b;
		return b != -1;
	}
	b = cur_next(c);
	if (b == -1)
		return false;
	if (!ch_is_digit((uint8_t)b)) {
		*out = (uint8_t)b;
		return true;
	}
	value = b - '0';
	for (int i = 0; i < 2; i++) {
		b = cur_next(c);
		if (b == -1 || !ch_is_digit((uint8_t)b))
			return false;
		value = value * 10 + b - '0';
	}
	*out = (uint8_t)value;
	return value <= 255;
}

bool
name_to_wire(struct slice text, struct arena *a, struct slice *out)
{
	uint8_t wire[LIMIT_RESOLVE_WIRE];
	size_t n = 0, start;
	struct cursor c = cur_of(text);

	if (slice_eq(text, S(".")))
		(void)cur_next(&c);
	while (cur_left(&c) > 0) {
		start = n++;
		while (cur_peek(&c) != -1 && cur_peek(&c) != '.') {
			/* one byte stays free for the root label */
			if (n >= sizeof wire - 1 || n - start > LIMIT_RESOLVE_LABEL ||
			    !label_byte(&c, &wire[n]))
				return false;
			n++;
		}
		if (n - start < 2 || n > sizeof wire - 1)
			return false;
		wire[start] = (uint8_t)(n - start - 1);
		(void)cur_byte(&c, '.');
	}
	wire[n++] = 0;
	return arena_copy(a, slice_of(wire, n), out);
}

static void
put_label_byte(struct buf *b, uint8_t c)
{
	if (ch_is_vchar(c) && c != '.' && c != '\\' && c != '"')
		(void)buf_byte(b, c);
	else
		(void)buf_fmt(b, "\\%03u", c);
}

/* Reads one name; the cursor stands behind it afterwards. */
static bool
take_name(struct cursor *c, struct arena *a, struct slice *out)
{
	struct buf b;
	size_t start = c->at;
	bool ok = false;

	buf_init(&b, LIMIT_RESOLVE_WIRE * 4);
	for (;;) {
		uint8_t len = cur_get_u8(c);
		struct slice label;

		if (c->bad || len > LIMIT_RESOLVE_LABEL || c->at - start > LIMIT_RESOLVE_WIRE)
			break;
		if (len == 0) {
			ok = !b.bad && arena_copy(a, buf_slice(&b), out);
			break;
		}
		if (!cur_bytes(c, len, &label))
			break;
		if (b.n > 0)
			(void)buf_byte(&b, '.');
		for (size_t i = 0; i < label.n; i++)
			put_label_byte(&b, slice_at(label, i));
	}
	buf_free(&b);
	return ok;
}

bool
name_from_wire(struct slice wire, struct arena *a, struct slice *out)
{
	struct cursor c = cur_of(wire);
	struct slice name;

	if (!take_name(&c, a, &name) || !cur_done(&c))
		return false;
	*out = name;
	return true;
}

/* Joins the character-strings of a TXT record. */
static bool
take_text(struct cursor *c, struct arena *a, struct rr *out)
{
	struct slice part;
	struct buf b;
	bool ok;

	buf_init(&b, c->in.n);
	do {
		if (!cur_bytes(c, cur_get_u8(c), &part))
			break;
		(void)buf_add(&b, part);
		out->strings++;
	} while (cur_left(c) > 0);
	ok = !c->bad && !b.bad && arena_copy(a, buf_slice(&b), &out->text);
	buf_free(&b);
	return ok;
}

static bool
take_ip(struct cursor *c, size_t n, uint8_t *out)
{
	struct slice ip;

	if (!cur_bytes(c, n, &ip))
		return false;
	memcpy(out, ip.p, n);
	return true;
}

static bool
take_rdata(enum rr_type type, struct cursor *c, struct arena *a, struct rr *out)
{
	switch (type) {
	case RR_A:
		return take_ip(c, 4, out->ip);
	case RR_AAAA:
		return take_ip(c, 16, out->ip);
	case RR_SRV:
		out->preference = cur_get_u16be(c);
		out->weight = cur_get_u16be(c);
		out->port = cur_get_u16be(c);
		return take_name(c, a, &out->name);
	case RR_MX:
		out->preference = cur_get_u16be(c);
		return take_name(c, a, &out->name);
	case RR_NS:
	case RR_CNAME:
	case RR_PTR:
		return take_name(c, a, &out->name);
	case RR_TXT:
		return take_text(c, a, out);
	case RR_TLSA:
		out->usage = cur_get_u8(c);
		out->selector = cur_get_u8(c);
		out->matching = cur_get_u8(c);
		return arena_copy(a, cur_rest(c), &out->text) && !c->bad;
	case RR_CAA:
		out->usage = cur_get_u8(c);
		return cur_bytes(c, cur_get_u8(c), &out->name) &&
		       arena_copy(a, out->name, &out->name) && arena_copy(a, cur_rest(c), &out->text);
	case RR_SOA:
		if (!take_name(c, a, &out->name))
			return false;
		(void)cur_rest(c);
		return true;
	}
	(void)cur_rest(c);
	return true;
}

bool
rr_decode(enum rr_type type, struct slice rdata, struct arena *a, struct rr *out)
{
	struct cursor c = cur_of(rdata);
	struct rr rr = { .type = type };

	if (!take_rdata(type, &c, a, &rr) || !cur_done(&c))
		return false;
	*out = rr;
	return true;
}

/* The canonical text of a name: checked, lower case, without the final dot. */
static bool
canonical(struct slice name, struct arena *a, struct slice *out)
{
	struct slice wire, text;
	struct buf b;
	bool ok;

	if (!name_to_wire(name, a, &wire) || !name_from_wire(wire, a, &text))
		return false;
	buf_init(&b, LIMIT_RESOLVE_WIRE * 4);
	for (size_t i = 0; i < text.n; i++)
		(void)buf_byte(&b, ch_lower(slice_at(text, i)));
	ok = !b.bad && arena_copy(a, buf_slice(&b), out);
	buf_free(&b);
	return ok;
}

static bool
decode_all(const struct resolve_wire *w, enum rr_type type, struct arena *a,
    struct resolve_answer *out)
{
	struct rr *rr;

	if (w->n > LIMIT_RESOLVE_RRS)
		return false;
	rr = ARENA_ARRAY(a, w->n, struct rr);
	if (rr == NULL)
		return false;
	for (size_t i = 0; i < w->n; i++)
		if (!rr_decode(type, w->rdata[i], a, &rr[i]))
			return false;
	out->rr = rr;
	out->n = w->n;
	return true;
}

void
resolve(struct resolver *r, struct slice name, enum rr_type type, struct arena *a,
    struct resolve_answer *out)
{
	struct resolve_wire w = { .status = RESOLVE_SERVFAIL };
	struct slice q, probe;

	*out = (struct resolve_answer){ .status = RESOLVE_SERVFAIL };
	if (!canonical(name, a, &q)) {
		/* a full arena must not look like an absent name */
		if (arena_copy(a, S("12345678901234567890"), &probe) && ARENA_ARRAY(a, 2048, uint8_t) != NULL)
			out->status = RESOLVE_NXDOMAIN;
		return;
	}
	if (r->left == 0) {
		r->spent = true;
		return;
	}
	r->left--;
	r->query(r->self, q, type, a, &w);
	out->secure = w.secure;
	out->ttl = w.ttl;
	out->status = w.status;
	if (w.status != RESOLVE_OK)
		return;
	out->name = w.name;
	if (w.n == 0)
		out->status = RESOLVE_NODATA;
	else if (!decode_all(&w, type, a, out))
		*out = (struct resolve_answer){ .status = RESOLVE_SERVFAIL };
}
