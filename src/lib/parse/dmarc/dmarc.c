/* SPDX-License-Identifier: MIT
 * DMARC records, RFC 9989 sections 4.7 and 4.8. */
#include "lib/parse/dmarc/dmarc.h"

#include "lib/parse/tags/tags.h"

enum tag_kind { T_P, T_SP, T_NP, T_ADKIM, T_ASPF, T_PSD, T_T, T_FO, T_RUA, T_RUF, T_PCT, T_RI, T_RF };

static const struct {
	struct slice name;
	enum tag_kind kind;
} known[] = { { S_INIT("p"), T_P }, { S_INIT("sp"), T_SP }, { S_INIT("np"), T_NP },
	{ S_INIT("adkim"), T_ADKIM }, { S_INIT("aspf"), T_ASPF }, { S_INIT("psd"), T_PSD },
	{ S_INIT("t"), T_T }, { S_INIT("fo"), T_FO }, { S_INIT("rua"), T_RUA }, { S_INIT("ruf"), T_RUF },
	{ S_INIT("pct"), T_PCT }, { S_INIT("ri"), T_RI }, { S_INIT("rf"), T_RF } };

static bool is_scheme(uint8_t c) { return ch_is_alnum(c) || c == '+' || c == '-' || c == '.'; }

static bool
is_version(const struct tag *t)
{
	return slice_ieq(t->name, S("v")) && slice_eq(t->value, S("DMARC1"));
}

bool
dmarc_is_record(struct slice txt)
{
	struct cursor c = cur_of(txt);
	struct tag t;

	return tag_next(&c, &t) && is_version(&t);
}

static enum dmarc_policy
policy(struct slice v)
{
	if (slice_ieq(v, S("none")))
		return DMARC_P_NONE;
	if (slice_ieq(v, S("quarantine")))
		return DMARC_P_QUARANTINE;
	return slice_ieq(v, S("reject")) ? DMARC_P_REJECT : DMARC_P_INVALID;
}

const char *
dmarc_policy_name(enum dmarc_policy p)
{
	return p == DMARC_P_REJECT ? "reject" : p == DMARC_P_QUARANTINE ? "quarantine" : "none";
}

/* fo = "0" / "1" / "d" / "s", separated by colons. Unknown options are ignored. */
static void
failure_options(struct slice v, struct dmarc_record *r)
{
	bool more = true;

	r->fo_all = false;
	while (more) {
		struct slice head = v, tail = S("");

		more = slice_cut(v, ':', &head, &tail);
		v = tail;
		head = slice_trim(head);
		r->fo_all = r->fo_all || slice_eq(head, S("0"));
		r->fo_any = r->fo_any || slice_eq(head, S("1"));
		r->fo_dkim = r->fo_dkim || slice_ieq(head, S("d"));
		r->fo_spf = r->fo_spf || slice_ieq(head, S("s"));
	}
	r->fo_all = r->fo_all || !(r->fo_any || r->fo_dkim || r->fo_spf);
}

static void
take(enum tag_kind kind, struct slice v, struct dmarc_record *r)
{
	uint32_t n;

	switch (kind) {
	case T_P:
		r->p = policy(v);
		break;
	case T_SP:
		r->sp = policy(v);
		break;
	case T_NP:
		r->np = policy(v);
		break;
	case T_ADKIM:
		r->dkim_strict = slice_ieq(v, S("s"));
		break;
	case T_ASPF:
		r->spf_strict = slice_ieq(v, S("s"));
		break;
	case T_PSD:
		r->psd = slice_ieq(v, S("y"))	? DMARC_PSD_Y
			 : slice_ieq(v, S("n")) ? DMARC_PSD_N
						: DMARC_PSD_U;
		break;
	case T_T:
		r->testing = slice_ieq(v, S("y"));
		break;
	case T_FO:
		failure_options(v, r);
		break;
	case T_RUA:
		r->rua = v;
		break;
	case T_RUF:
		r->ruf = v;
		break;
	case T_PCT:
		if (slice_u32(v, &n) && n <= 100)
			r->pct = n;
		break;
	case T_RI:
		if (slice_u32(v, &n))
			r->ri = n;
		break;
	case T_RF:
		break;
	}
}

bool
dmarc_parse(struct slice txt, struct dmarc_record *out)
{
	struct dmarc_record r = { .text = txt, .fo_all = true, .pct = 100, .ri = 86400 };
	struct cursor c = cur_of(txt), uris;
	struct dmarc_uri uri;
	unsigned seen = 0;
	struct tag t;

	if (txt.n > LIMIT_DMARC_RECORD || !tag_next(&c, &t) || !is_version(&t))
		return false;
	while (tag_next(&c, &t)) {
		if (slice_ieq(t.name, S("v")))
			return false;
		for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
			if (!slice_ieq(t.name, known[i].name))
				continue;
			if ((seen >> i & 1) != 0)
				return false;
			seen |= 1u << i;
			take(known[i].kind, t.value, &r);
		}
	}
	uris = cur_of(r.rua);
	r.usable = r.p >= DMARC_P_NONE && r.sp != DMARC_P_INVALID && r.np != DMARC_P_INVALID;
	if (!r.usable && dmarc_uri_next(&uris, &uri)) {
		r.usable = true; /* 4.10.1: as if it said p=none */
		r.p = DMARC_P_NONE;
		r.sp = r.np = DMARC_P_ABSENT;
	}
	*out = r;
	return true;
}

/* "!" number [k / m / g / t] at the end; false when there is a wrong one. */
static bool
cut_size(struct slice *s, uint64_t *max)
{
	static const struct slice units = S_INIT("kmgt");
	size_t at = slice_rfind_byte(*s, '!'), unit;
	struct slice digits;

	*max = 0;
	if (at == SLICE_NONE)
		return true;
	digits = slice_from(*s, at + 1);
	if (digits.n == 0)
		return false;
	unit = slice_find_byte(units, ch_lower(slice_at(digits, digits.n - 1)));
	if (unit != SLICE_NONE)
		digits = slice_head(digits, digits.n - 1);
	if (!slice_u64(digits, max) || *max > UINT32_MAX)
		return false;
	if (unit != SLICE_NONE)
		*max <<= 10 * (unit + 1) < 32 ? 10 * (unit + 1) : 31;
	*s = slice_head(*s, at);
	return true;
}

static bool
is_uri(struct slice s, struct dmarc_uri *out)
{
	struct slice scheme, rest, head, tail;
	size_t at;

	if (!slice_cut(s, ':', &scheme, &rest) || scheme.n == 0 || rest.n == 0 ||
	    !ch_is_alpha(slice_at(scheme, 0)))
		return false;
	for (size_t i = 0; i < scheme.n; i++)
		if (!is_scheme(slice_at(scheme, i)))
			return false;
	for (size_t i = 0; i < rest.n; i++)
		if (!ch_is_vchar(slice_at(rest, i)))
			return false;
	out->uri = s;
	if (!slice_ieq(scheme, S("mailto")))
		return true;
	if (slice_cut(rest, '?', &head, &tail))
		rest = head;
	at = slice_rfind_byte(rest, '@');
	if (at == SLICE_NONE || at == 0 || at + 1 == rest.n)
		return false;
	out->address = rest;
	return true;
}

bool
dmarc_uri_next(struct cursor *c, struct dmarc_uri *out)
{
	while (cur_left(c) > 0) {
		struct dmarc_uri u = { .max = 0 };
		struct slice piece;

		if (!cur_until(c, ',', &piece))
			piece = cur_rest(c);
		piece = slice_trim(piece);
		if (cut_size(&piece, &u.max) && is_uri(piece, &u)) {
			*out = u;
			return true;
		}
	}
	return false;
}
