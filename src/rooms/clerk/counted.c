/* SPDX-License-Identifier: MIT */
#include "lib/base/cursor.h"
#include "rooms/clerk/counting.h"

#define FIELD ((size_t)255)

void
counted_pack(struct buf *b, const struct counted *c)
{
	for (size_t i = 0; i < COUNTED_FIELDS; i++) {
		struct slice s = slice_head(c->f[i], i == 0 || i == CD_SIGNATURES ? COUNTED_LONG : FIELD);

		(void)buf_put_u16le(b, (uint16_t)s.n);
		(void)buf_add(b, s);
	}
}

bool
counted_unpack(struct slice packed, struct counted *out)
{
	struct cursor c = cur_of(packed);
	struct counted got = { 0 };

	for (size_t i = 0; i < COUNTED_FIELDS; i++)
		if (!cur_bytes(&c, cur_get_u16le(&c), &got.f[i]))
			return false;
	if (!cur_done(&c))
		return false;
	*out = got;
	return true;
}

/* The value of "key=" among words. */
static struct slice
value_of(struct slice words, struct slice key)
{
	struct slice word, rest = words;

	for (bool more = words.n > 0; more;) {
		more = slice_cut(rest, ' ', &word, &rest);
		if (!more)
			word = rest;
		if (slice_starts(word, key))
			return slice_from(word, key.n);
	}
	return S("");
}

/* "pass d=a.example s=s1: why" */
static void
take_signature(struct slice one, struct dmarc_report_row *out)
{
	struct dmarc_report_auth *auth = &out->dkim_auth[out->n_dkim];
	struct slice head = one, tail;
	size_t colon = slice_find(one, S(": "));

	if (colon != SLICE_NONE)
		head = slice_head(one, colon);
	*auth = (struct dmarc_report_auth){ .domain = value_of(head, S("d=")), .selector = value_of(head, S("s=")) };
	if (!slice_cut(head, ' ', &auth->result, &tail))
		auth->result = head;
	if (colon != SLICE_NONE)
		auth->human = slice_from(one, colon + 2);
	if (auth->domain.n > 0) /* without a domain it is none for the schema */
		out->n_dkim++;
}

static void
take_signatures(struct slice list, struct dmarc_report_row *out)
{
	struct slice one, rest = list;

	for (bool more = list.n > 0; more && out->n_dkim < LIMIT_DMARC_REPORT_LIST;) {
		more = slice_cut(rest, ';', &one, &rest);
		take_signature(slice_trim(more ? one : rest), out);
	}
}

bool
counted_dmarc_row(struct slice packed, uint64_t n, struct arena *a, struct dmarc_report_row *out)
{
	struct dmarc_report_row *row = ARENA_NEW(a, struct dmarc_report_row);
	struct counted c;

	if (row == NULL || !counted_unpack(packed, &c))
		return false;
	row->source = c.f[CD_SOURCE];
	(void)ip_parse(row->source, &row->ip);
	row->count = n;
	row->disposition = c.f[CD_DISPOSITION];
	row->dkim = c.f[CD_DKIM];
	row->spf = c.f[CD_SPF];
	row->envelope_to = c.f[CD_TO];
	row->envelope_from = c.f[CD_MAIL_FROM];
	row->header_from = c.f[CD_FROM];
	if (c.f[CD_REASON].n > 0)
		row->reasons[row->n_reasons++].type = c.f[CD_REASON];
	take_signatures(c.f[CD_SIGNATURES], row);
	if (c.f[CD_SPF_DOMAIN].n > 0) {
		row->spf_auth[0] = (struct dmarc_report_auth){ .domain = c.f[CD_SPF_DOMAIN],
			.scope = c.f[CD_SPF_SCOPE], .result = c.f[CD_SPF_RESULT] };
		row->n_spf = 1;
	}
	*out = *row;
	return true;
}

void
counted_published(struct slice published, struct dmarc_report *out)
{
	out->p = value_of(published, S("p="));
	out->sp = value_of(published, S("sp="));
	out->np = value_of(published, S("np="));
	out->adkim = value_of(published, S("adkim="));
	out->aspf = value_of(published, S("aspf="));
	out->fo = value_of(published, S("fo="));
	out->testing = value_of(published, S("t="));
	out->discovery = S("treewalk");
	if (out->p.n == 0)
		out->p = S("none");
}
