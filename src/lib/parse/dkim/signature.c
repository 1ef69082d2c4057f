/* SPDX-License-Identifier: MIT */
#include "lib/parse/dkim/signature.h"

#include "lib/base/chars.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/parse/dkim/taglist.h"

struct job {
	struct dkim_tags tags;
	enum dkim_kind kind;
	struct arena *a;
	struct dkim_sig *out;
};

/* The first defect stays. hard: nothing can be computed any more. */
static void
defect(struct dkim_sig *s, enum dkim_why why, bool hard)
{
	if (s->defect == DKIM_OK)
		s->defect = why;
	if (hard)
		s->usable = false;
}

/* The tag's value, or NULL; a missing one is a hard defect when absent is not DKIM_OK. */
static const struct slice *
tag(struct job *j, struct slice name, enum dkim_why absent)
{
	const struct dkim_tag *t = dkim_tags_find(&j->tags, name);

	if (t == NULL && absent != DKIM_OK)
		defect(j->out, absent, true);
	return t == NULL ? NULL : &t->value;
}

static bool
is_label_byte(uint8_t c)
{
	return ch_is_alnum(c) || c == '-' || c == '_' || c >= 0x80;
}

static bool
label_ok(struct slice l)
{
	if (l.n == 0 || l.n > 63 || slice_at(l, 0) == '-' || slice_at(l, l.n - 1) == '-')
		return false;
	for (size_t i = 0; i < l.n; i++)
		if (!is_label_byte(slice_at(l, i)))
			return false;
	return true;
}

bool
dkim_domain_ok(struct slice s, size_t least)
{
	struct slice head, tail = s;
	size_t labels = 1;

	if (s.n > 253 || !utf8_valid(s))
		return false;
	for (; slice_cut(tail, '.', &head, &tail); labels++)
		if (!label_ok(head))
			return false;
	return label_ok(tail) && labels >= least;
}

struct slice
dkim_alg_name(enum dkim_alg alg)
{
	static const struct slice names[] = { S_INIT("rsa-sha1"), S_INIT("rsa-sha256"),
		S_INIT("ed25519-sha256") };

	return names[alg];
}

static void
read_version(struct job *j)
{
	const struct slice *v;

	if (j->kind != DKIM_SIGNATURE) {
		/* RFC 8617 4.1.2, 4.1.3 define no version; a signer of some other one is not known */
		if (dkim_tags_find(&j->tags, S("v")) != NULL)
			defect(j->out, DKIM_FIELD_TAG, false);
		return;
	}
	v = tag(j, S("v"), DKIM_OK);
	if (v == NULL)
		defect(j->out, DKIM_NO_V, false);
	else if (!slice_eq(*v, S("1")))
		defect(j->out, DKIM_BAD_V, false);
}

static void
read_algorithm(struct job *j)
{
	const struct slice *v = tag(j, S("a"), DKIM_NO_A);

	if (v == NULL)
		return;
	for (enum dkim_alg a = DKIM_RSA_SHA1; a <= DKIM_ED25519_SHA256; a++)
		if (slice_ieq(*v, dkim_alg_name(a))) {
			j->out->alg = a;
			return;
		}
	defect(j->out, DKIM_BAD_A, true);
}

static bool
canon_of(struct slice s, enum dkim_canon *out)
{
	if (!slice_ieq(s, S("simple")) && !slice_ieq(s, S("relaxed")))
		return false;
	*out = s.n == 6 ? DKIM_SIMPLE : DKIM_RELAXED;
	return true;
}

static void
read_canon(struct job *j)
{
	const struct slice *v = tag(j, S("c"), DKIM_OK);
	struct slice header, body = S("simple");

	j->out->header_canon = j->out->body_canon = DKIM_SIMPLE;
	if (v == NULL)
		return;
	header = *v;
	(void)slice_cut(*v, '/', &header, &body);
	if (!canon_of(header, &j->out->header_canon) || !canon_of(body, &j->out->body_canon))
		defect(j->out, DKIM_BAD_C, true);
}

static void
read_base64(struct job *j, struct slice name, enum dkim_why absent, enum dkim_why bad,
    struct slice *out)
{
	const struct slice *v = tag(j, name, absent);
	enum dkim_why why;

	if (v == NULL)
		return;
	why = dkim_base64(*v, j->a, out);
	if (why != DKIM_OK)
		defect(j->out, why == DKIM_LIMIT ? why : bad, true);
}

static void
read_names(struct job *j)
{
	const struct slice *d = tag(j, S("d"), DKIM_NO_D), *s = tag(j, S("s"), DKIM_NO_S);

	if (d != NULL && dkim_domain_ok(*d, 2))
		j->out->domain = *d;
	else if (d != NULL)
		defect(j->out, DKIM_BAD_D, true);
	if (s != NULL && dkim_domain_ok(*s, 1))
		j->out->selector = *s;
	else if (s != NULL)
		defect(j->out, DKIM_BAD_S, true);
}

/* dkim-quoted-printable (RFC 6376 2.11): =XX, all else as it is; white space is ignored. */
static bool
unquote(struct slice in, struct arena *a, struct slice *out)
{
	uint8_t *p;
	size_t n = 0;

	if (!dkim_strip(in, a, &in))
		return false;
	p = arena_alloc(a, in.n, 1);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < in.n; i++) {
		int hi, lo;

		if (slice_at(in, i) != '=') {
			p[n++] = slice_at(in, i);
			continue;
		}
		if (in.n - i < 3)
			return false;
		hi = ch_hex(slice_at(in, i + 1));
		lo = ch_hex(slice_at(in, i + 2));
		if (hi < 0 || lo < 0)
			return false;
		p[n++] = (uint8_t)(hi << 4 | lo);
		i += 2;
	}
	*out = slice_of(p, n);
	return true;
}

static void
read_auid(struct job *j)
{
	const struct slice *v = tag(j, S("i"), DKIM_OK);
	struct slice id, domain;
	size_t at;

	j->out->auid_domain = j->out->domain;
	if (v == NULL)
		return;
	if (!unquote(*v, j->a, &id) || (at = slice_rfind_byte(id, '@')) == SLICE_NONE ||
	    slice_find_byte(id, 0) != SLICE_NONE || !utf8_valid(id)) {
		defect(j->out, DKIM_BAD_I, false);
		return;
	}
	domain = slice_from(id, at + 1);
	if (!dkim_domain_ok(domain, 2)) {
		defect(j->out, DKIM_BAD_I, false);
		return;
	}
	j->out->auid = id;
	j->out->auid_domain = domain;
}

static void
read_instance(struct job *j)
{
	const struct slice *v = tag(j, S("i"), DKIM_NO_I);
	uint32_t n;

	if (v == NULL)
		return;
	if (slice_u32(*v, &n) && n >= 1 && n <= LIMIT_ARC_SETS && slice_at(*v, 0) != '0')
		j->out->instance = n;
	else
		defect(j->out, DKIM_BAD_I, true);
}

/* ftext of RFC 5322 2.2: printable but ":" (";" cannot be here). */
static bool
header_name_ok(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ch_is_vchar(slice_at(s, i)))
			return false;
	return s.n > 0;
}

static void
read_h(struct job *j)
{
	const struct slice *v = tag(j, S("h"), DKIM_NO_H);
	struct slice rest, item, *h;
	bool more = true, from = false;
	size_t n = 0, colons = 0;

	/* an AMS may sign no field at all, nor need it sign From (RFC 8617 4.1.2) */
	if (v == NULL || (v->n == 0 && j->kind == DKIM_ARC_MESSAGE))
		return;
	for (size_t i = 0; i < v->n; i++)
		colons += slice_at(*v, i) == ':';
	if (colons >= LIMIT_DKIM_SIGNED) {
		defect(j->out, DKIM_H_MANY, true);
		return;
	}
	h = ARENA_ARRAY(j->a, colons + 1, struct slice);
	if (h == NULL) {
		defect(j->out, DKIM_LIMIT, true);
		return;
	}
	for (rest = *v; dkim_list_next(&rest, &more, &item); n++) {
		if (!header_name_ok(item)) {
			defect(j->out, DKIM_BAD_H, true);
			return;
		}
		h[n] = item;
		from |= slice_ieq(item, S("from"));
		if (j->kind == DKIM_ARC_MESSAGE && slice_ieq(item, S("arc-seal")))
			defect(j->out, DKIM_H_SEAL, false);
	}
	j->out->h = h;
	j->out->n_h = n;
	if (!from && j->kind == DKIM_SIGNATURE)
		defect(j->out, DKIM_H_NO_FROM, false);
}

static void
read_query(struct job *j)
{
	const struct slice *v = tag(j, S("q"), DKIM_OK);
	struct slice rest, item;
	bool more = true;

	if (v == NULL)
		return;
	for (rest = *v; dkim_list_next(&rest, &more, &item);)
		if (slice_ieq(item, S("dns/txt")) || slice_ieq(item, S("dns")))
			return;
	defect(j->out, DKIM_BAD_Q, true);
}

/* At most most digits; more than fits is the largest number. */
static bool
digits(struct slice s, size_t most, uint64_t *out)
{
	uint64_t v;

	if (s.n == 0 || s.n > most)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!ch_is_digit(slice_at(s, i)))
			return false;
	while (s.n > 1 && slice_at(s, 0) == '0')
		s = slice_from(s, 1);
	*out = slice_u64(s, &v) ? v : UINT64_MAX;
	return true;
}

static void
read_numbers(struct job *j)
{
	struct dkim_sig *o = j->out;
	const struct slice *l = j->kind == DKIM_ARC_SEAL ? NULL : tag(j, S("l"), DKIM_OK);
	const struct slice *t = tag(j, S("t"), DKIM_OK), *x = tag(j, S("x"), DKIM_OK);

	o->has_l = l != NULL;
	o->has_t = t != NULL;
	o->has_x = x != NULL;
	if (l != NULL && !digits(*l, 76, &o->l))
		defect(o, DKIM_BAD_L, true);
	if (t != NULL && !digits(*t, 12, &o->t))
		defect(o, DKIM_BAD_T, false);
	if (x != NULL && (!digits(*x, 12, &o->x) || (t != NULL && o->x <= o->t)))
		defect(o, DKIM_BAD_X, false);
}

static void
read_cv(struct job *j)
{
	const struct slice *v = tag(j, S("cv"), DKIM_NO_CV);

	if (v == NULL)
		return;
	if (slice_ieq(*v, S("none")))
		j->out->cv = ARC_NONE;
	else if (slice_ieq(*v, S("pass")))
		j->out->cv = ARC_PASS;
	else if (slice_ieq(*v, S("fail")))
		j->out->cv = ARC_FAIL;
	else
		defect(j->out, DKIM_BAD_CV, true);
}

static void
read_all(struct job *j)
{
	const struct dkim_tag *b;

	read_version(j);
	read_algorithm(j);
	read_names(j);
	if (j->kind == DKIM_SIGNATURE)
		read_auid(j);
	else
		read_instance(j);
	read_base64(j, S("b"), DKIM_NO_B, DKIM_BAD_B, &j->out->b);
	read_query(j);
	read_numbers(j);
	if (j->kind == DKIM_ARC_SEAL) {
		read_cv(j);
		j->out->header_canon = DKIM_RELAXED;
		/* RFC 8617 4.1.3: h= in a seal makes it fail; so does a body hash */
		if (tag(j, S("h"), DKIM_OK) != NULL || tag(j, S("bh"), DKIM_OK) != NULL)
			defect(j->out, DKIM_FIELD_TAG, false);
	} else {
		read_canon(j);
		read_base64(j, S("bh"), DKIM_NO_BH, DKIM_BAD_BH, &j->out->bh);
		read_h(j);
	}
	b = dkim_tags_find(&j->tags, S("b"));
	if (b != NULL) {
		j->out->b_from = b->from;
		j->out->b_end = b->end;
	}
}

bool
dkim_sig_parse(struct slice value, enum dkim_kind kind, struct arena *a, struct dkim_sig *out)
{
	struct job j = { .kind = kind, .a = a, .out = out };
	enum dkim_why why;

	*out = (struct dkim_sig){ .usable = true };
	if (value.n > LIMIT_DKIM_FIELD)
		defect(out, DKIM_FIELD_LONG, true);
	else if (!dkim_tags_parse(value, a, &j.tags, &why))
		defect(out, why, true);
	else
		read_all(&j);
	return out->defect == DKIM_OK;
}
