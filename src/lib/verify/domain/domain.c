/* SPDX-License-Identifier: MIT */
#include "lib/verify/domain/domain.h"

#include "lib/base/chars.h"
#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/parse/mtasts/mtasts.h"

#define MOST_SEEN ((size_t)1024)

static enum rr_type
type_of(const char *type)
{
	static const struct {
		const char *name;
		enum rr_type type;
	} table[] = { { "A", RR_A }, { "AAAA", RR_AAAA }, { "MX", RR_MX }, { "TXT", RR_TXT },
		{ "CNAME", RR_CNAME }, { "SRV", RR_SRV }, { "TLSA", RR_TLSA }, { "CAA", RR_CAA } };

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strcmp(type, table[i].name) == 0)
			return table[i].type;
	return RR_PTR;
}

/* One record of an answer in the form that make/records writes. */
static void
put_rdata(struct buf *b, const struct rr *rr)
{
	struct ip ip = { .n = rr->type == RR_A ? 4 : 16 };

	switch (rr->type) {
	case RR_A:
	case RR_AAAA:
		memcpy(ip.b, rr->ip, ip.n);
		(void)ip_put(b, &ip);
		return;
	case RR_TXT:
		(void)buf_add(b, rr->text);
		return;
	case RR_TLSA:
		(void)buf_fmt(b, "%u %u %u ", rr->usage, rr->selector, rr->matching);
		(void)hex_encode(b, rr->text);
		return;
	case RR_CAA:
		(void)buf_fmt(b, "%u ", rr->usage);
		(void)buf_add(b, rr->name);
		(void)buf_byte(b, ' ');
		(void)records_quote(b, rr->text);
		return;
	case RR_SRV:
		(void)buf_fmt(b, "%u %u %u ", rr->preference, rr->weight, rr->port);
		break;
	case RR_MX:
		(void)buf_fmt(b, "%u ", rr->preference);
		break;
	default:
		break;
	}
	(void)buf_add(b, rr->name);
	(void)buf_byte(b, '.');
}

/* Equal but for case and white space. A key's base64 has case that matters: texts are compared with it. */
static bool
same(struct slice a, struct slice b, bool text)
{
	size_t i = 0, k = 0;

	for (;;) {
		while (i < a.n && ch_is_wsp(slice_at(a, i)))
			i++;
		while (k < b.n && ch_is_wsp(slice_at(b, k)))
			k++;
		if (i == a.n || k == b.n)
			return i == a.n && k == b.n;
		if (text ? slice_at(a, i) != slice_at(b, k)
			 : ch_lower(slice_at(a, i)) != ch_lower(slice_at(b, k)))
			return false;
		i++;
		k++;
	}
}

/* What a TXT record is: "v=spf1", "v=DKIM1", ... */
static struct slice
kind_of(struct slice text)
{
	size_t n = 0;

	while (n < text.n && slice_at(text, n) != ';' && !ch_is_wsp(slice_at(text, n)))
		n++;
	return slice_head(text, n);
}

/* Does this answer compete with the wanted record? Of TXT only the same kind; of SRV and CNAME all; of
 * addresses, MX, TLSA and CAA several may stand side by side, and each is wanted or not. */
static bool
competes(const struct record *want, const struct rr *rr)
{
	return rr->type != RR_TXT || slice_ieq(kind_of(want->value), kind_of(rr->text));
}

/* Is it one of the other records that we want at this name? */
static bool
wanted_elsewhere(const struct records *all, const struct record *want, struct slice seen, bool text)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct record *other = &all->list[i];

		if (other != want && strcmp(other->type, want->type) == 0 &&
		    slice_ieq(other->name, want->name) && same(text ? other->value : other->rdata, seen, text))
			return true;
	}
	return false;
}

static bool
note(struct buf *seen, struct slice rdata, struct arena *a, struct slice *out)
{
	bool ok;

	buf_reset(seen);
	(void)buf_printable(seen, rdata, MOST_SEEN);
	ok = arena_copy(a, buf_slice(seen), out);
	return ok;
}

/* Goes through an answer; false at the arena's ceiling. */
static bool
compare(const struct records *all, const struct resolve_answer *ans, struct arena *a,
    struct domain_finding *f)
{
	bool text = strcmp(f->record->type, "TXT") == 0, found = false, odd = false, ok = true;
	struct slice want = text ? f->record->value : f->record->rdata;
	const struct rr *rr;
	struct buf rdata, seen;

	buf_init(&rdata, 65536 * 5);
	buf_init(&seen, MOST_SEEN + 4);
	for (size_t at = 0; ok && rr_next(ans, &at, &rr);) {
		buf_reset(&rdata);
		put_rdata(&rdata, rr);
		if (same(buf_slice(&rdata), want, text) && !found) {
			found = true;
		} else if (competes(f->record, rr) &&
			   !wanted_elsewhere(all, f->record, buf_slice(&rdata), text)) {
			odd = true;
			ok = note(&seen, buf_slice(&rdata), a, &f->seen);
		}
	}
	f->state = found ? odd ? DOMAIN_EXTRA : DOMAIN_OK : odd ? DOMAIN_DIFFERENT : DOMAIN_MISSING;
	/* addresses of a host and keys of a TLSA may be more than this server's own */
	if (f->state == DOMAIN_EXTRA && (strcmp(f->record->type, "TLSA") == 0 ||
					    strcmp(f->record->type, "PTR") == 0))
		f->state = DOMAIN_OK;
	buf_free(&rdata);
	buf_free(&seen);
	return ok;
}

/* A name that we would write as an alias may have addresses of its own. */
static void
accept_addresses(struct resolver *r, struct arena *a, struct domain_finding *f)
{
	static const enum rr_type types[] = { RR_A, RR_AAAA };

	for (size_t i = 0; i < 2 && strcmp(f->record->type, "CNAME") == 0 && f->state == DOMAIN_MISSING; i++) {
		struct resolve_answer ans;

		resolve(r, f->record->name, types[i], a, &ans);
		if (ans.n > 0)
			f->state = DOMAIN_OK;
	}
}

/* What is there in its own form: any id of MTA-STS, a web server elsewhere, another address for iodef. */
static void
accept_others(const struct resolve_answer *ans, struct domain_finding *f)
{
	struct mtasts_record sts;
	const struct rr *rr;
	size_t at = 0;

	if (!f->record->optional || (f->state != DOMAIN_DIFFERENT && f->state != DOMAIN_EXTRA))
		return;
	if (strcmp(f->record->type, "TXT") != 0)
		f->state = DOMAIN_OK;
	/* several of them are none at all (RFC 8461 3.1) */
	while (f->state == DOMAIN_DIFFERENT && rr_next(ans, &at, &rr))
		if (mtasts_record_parse(rr->text, &sts))
			f->state = DOMAIN_OK;
	at = 0;
	for (size_t n = 0; rr_next(ans, &at, &rr);)
		if (mtasts_is_record(rr->text) && ++n > 1)
			f->state = DOMAIN_EXTRA;
}

/* ---- CAA: the closest set above the name says who may issue (RFC 8659 3 and 4.2) ---- */

static struct slice
issuer_of(struct slice value)
{
	struct slice name = value, parameters;

	(void)slice_cut(value, ';', &name, &parameters);
	return slice_trim(name);
}

/* The issuer in the data of a record that we want: 0 issue "name; ...". */
static struct slice
wanted_issuer(struct slice rdata)
{
	struct slice head, tail = S("");

	(void)slice_cut(rdata, '"', &head, &tail);
	return issuer_of(slice_head(tail, tail.n == 0 ? 0 : tail.n - 1));
}

static bool
check_issuer(struct resolver *r, struct arena *a, struct domain_finding *f)
{
	struct slice name = f->record->name, label, want = wanted_issuer(f->record->rdata);
	struct resolve_answer ans = { .n = 0 };
	own(buf_t) seen = { .max = MOST_SEEN + 4 };
	const struct rr *rr;
	bool restricts = false, ok = true;

	do {
		resolve(r, name, RR_CAA, a, &ans);
	} while (!resolve_failed(ans.status) && ans.n == 0 && slice_cut(name, '.', &label, &name));
	f->secure = ans.secure;
	f->state = resolve_failed(ans.status) ? DOMAIN_UNKNOWN : DOMAIN_MISSING;
	if (f->state == DOMAIN_UNKNOWN)
		f->seen = slice_z(resolve_status_name(ans.status));
	for (size_t at = 0; ok && f->state == DOMAIN_MISSING && rr_next(&ans, &at, &rr);) {
		if (!slice_ieq(rr->name, S("issue")))
			continue;
		restricts = true;
		if (slice_ieq(issuer_of(rr->text), want))
			f->state = DOMAIN_OK;
		ok = note(&seen, rr->text, a, &f->seen);
	}
	if (f->state == DOMAIN_OK)
		f->seen = S("");
	else if (restricts)
		f->state = DOMAIN_DIFFERENT;
	return ok;
}

static bool
check_one(const struct records *all, struct resolver *r, struct arena *a, struct domain_finding *f)
{
	struct resolve_answer ans;

	if (strcmp(f->record->type, "CAA") == 0 && !f->record->optional)
		return check_issuer(r, a, f);
	resolve(r, f->record->name, type_of(f->record->type), a, &ans);
	f->secure = ans.secure;
	if (resolve_failed(ans.status)) {
		f->state = DOMAIN_UNKNOWN;
		f->seen = slice_z(resolve_status_name(ans.status));
		return true;
	}
	if (!compare(all, &ans, a, f))
		return false;
	accept_addresses(r, a, f);
	accept_others(&ans, f);
	return true;
}

bool
domain_check(const struct records *records, struct resolver *r, struct arena *a,
    struct domain_findings *out)
{
	struct domain_finding *list = ARENA_ARRAY(a, records->n, struct domain_finding);
	struct domain_findings all = { .n = records->n, .list = list };

	if (list == NULL)
		return false;
	for (size_t i = 0; i < records->n; i++) {
		list[i].record = &records->list[i];
		if (!check_one(records, r, a, &list[i]))
			return false;
		all.unknown += list[i].state == DOMAIN_UNKNOWN;
		all.wrong += list[i].state != DOMAIN_OK && list[i].state != DOMAIN_UNKNOWN &&
		    !(list[i].state == DOMAIN_MISSING && list[i].record->optional);
	}
	*out = all;
	return true;
}

const char *
domain_state_name(enum domain_state s)
{
	static const char *const names[] = { "ok", "missing", "different", "extra", "unknown" };

	return (unsigned)s < sizeof names / sizeof *names ? names[s] : "unknown";
}
