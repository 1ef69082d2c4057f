/* SPDX-License-Identifier: MIT */
#include "lib/report/arf.h"

#include "lib/parse/date/date.h"
#include "lib/parse/header/header.h"

enum kind {
	K_TYPE,
	K_AGENT,
	K_VERSION,
	K_MAIL_FROM,
	K_RCPT,
	K_ENVELOPE,
	K_MTA,
	K_SOURCE,
	K_PORT,
	K_ARRIVAL,
	K_INCIDENTS,
	K_AUTH,
	K_DELIVERY,
	K_ALIGNMENT,
	K_DKIM_DOMAIN,
	K_DKIM_IDENTITY,
	K_DKIM_SELECTOR,
	K_DKIM_DNS,
	K_SPF_DNS,
	K_DKIM_HEADER,
	K_DKIM_BODY,
	K_DOMAIN,
	K_URI,
	K_RESULT,
};

static const struct {
	struct slice name;
	enum kind kind;
} fields[] = { { S_INIT("Feedback-Type"), K_TYPE }, { S_INIT("User-Agent"), K_AGENT },
	{ S_INIT("Version"), K_VERSION }, { S_INIT("Original-Mail-From"), K_MAIL_FROM },
	{ S_INIT("Original-Rcpt-To"), K_RCPT }, { S_INIT("Original-Envelope-Id"), K_ENVELOPE },
	{ S_INIT("Reporting-MTA"), K_MTA }, { S_INIT("Source-IP"), K_SOURCE },
	{ S_INIT("Source-Port"), K_PORT }, { S_INIT("Arrival-Date"), K_ARRIVAL },
	{ S_INIT("Received-Date"), K_ARRIVAL }, { S_INIT("Incidents"), K_INCIDENTS },
	{ S_INIT("Auth-Failure"), K_AUTH }, { S_INIT("Delivery-Result"), K_DELIVERY },
	{ S_INIT("Identity-Alignment"), K_ALIGNMENT }, { S_INIT("DKIM-Domain"), K_DKIM_DOMAIN },
	{ S_INIT("DKIM-Identity"), K_DKIM_IDENTITY }, { S_INIT("DKIM-Selector"), K_DKIM_SELECTOR },
	{ S_INIT("DKIM-Selector-DNS"), K_DKIM_DNS }, { S_INIT("SPF-DNS"), K_SPF_DNS },
	{ S_INIT("DKIM-Canonicalized-Header"), K_DKIM_HEADER },
	{ S_INIT("DKIM-Canonicalized-Body"), K_DKIM_BODY }, { S_INIT("Reported-Domain"), K_DOMAIN },
	{ S_INIT("Reported-URI"), K_URI }, { S_INIT("Authentication-Results"), K_RESULT } };

static bool
lower(struct slice s, struct arena *a, struct slice *out)
{
	struct buf b;
	bool ok;

	buf_init(&b, s.n);
	for (size_t i = 0; i < s.n; i++)
		(void)buf_byte(&b, ch_lower(slice_at(s, i)));
	ok = arena_copy(a, buf_slice(&b), out);
	buf_free(&b);
	return ok;
}

static void
append(struct slice *list, size_t *n, struct slice s)
{
	if (*n < LIMIT_ARF_LIST)
		list[(*n)++] = s;
}

/* The fields that are not plain texts. False only at the ceiling. */
static bool
take_other(enum kind kind, struct slice v, struct arena *a, struct arf *out)
{
	struct slice text = v, head, tail;
	struct date d;

	switch (kind) {
	case K_TYPE:
		return lower(v, a, &out->type);
	case K_AUTH:
		return lower(v, a, &out->auth_failure);
	case K_DELIVERY:
		return lower(v, a, &out->delivery_result);
	case K_ALIGNMENT:
		return lower(v, a, &out->identity_alignment);
	case K_DOMAIN:
		if (!lower(v, a, &text))
			return false;
		append(out->domains, &out->n_domains, text);
		return true;
	case K_VERSION:
		(void)slice_u32(v, &out->version);
		return true;
	case K_PORT:
		(void)slice_u32(v, &out->source_port);
		return true;
	case K_INCIDENTS:
		(void)slice_u32(v, &out->incidents);
		return true;
	case K_ARRIVAL:
		out->has_arrival = date_parse(v, &d);
		out->arrival = out->has_arrival ? d.seconds : 0;
		return true;
	case K_SOURCE:
		out->source = v;
		if (slice_cut(v, ' ', &head, &tail))
			text = head;
		(void)ip_parse(text, &out->ip);
		return true;
	case K_MTA: /* "dns; name" */
		out->reporting_mta = slice_cut(v, ';', &head, &tail) ? slice_trim(tail) : v;
		return true;
	default:
		return true;
	}
}

static bool
take(enum kind kind, struct slice v, struct arena *a, struct arf *out)
{
	struct slice *const plain[] = { [K_AGENT] = &out->user_agent, [K_MAIL_FROM] = &out->mail_from,
		[K_ENVELOPE] = &out->envelope_id, [K_DKIM_DOMAIN] = &out->dkim_domain,
		[K_DKIM_IDENTITY] = &out->dkim_identity, [K_DKIM_SELECTOR] = &out->dkim_selector,
		[K_DKIM_DNS] = &out->dkim_selector_dns, [K_SPF_DNS] = &out->spf_dns,
		[K_DKIM_HEADER] = &out->dkim_header, [K_DKIM_BODY] = &out->dkim_body };

	if (kind < sizeof plain / sizeof *plain && plain[kind] != NULL)
		*plain[kind] = v;
	else if (kind == K_RCPT)
		append(out->rcpts, &out->n_rcpts, v);
	else if (kind == K_URI)
		append(out->uris, &out->n_uris, v);
	else if (kind == K_RESULT)
		append(out->results, &out->n_results, v);
	else
		return take_other(kind, v, a, out);
	return true;
}

/* An empty line before the first field belongs to the transfer, not to the report. */
static struct slice
without_blank_lines(struct slice s)
{
	size_t n = 0;

	while (n < s.n && (slice_at(s, n) == '\r' || slice_at(s, n) == '\n'))
		n++;
	return slice_from(s, n);
}

bool
arf_parse(struct slice part, struct arena *a, struct arf *out)
{
	struct cursor c = cur_of(without_blank_lines(part));
	struct arf *arf = ARENA_NEW(a, struct arf);
	struct header_field f;
	struct slice v;

	if (arf == NULL || part.n > LIMIT_ARF)
		return false;
	arf->incidents = 1;
	while (header_next(&c, &f))
		for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
			if (!slice_ieq(f.name, fields[i].name))
				continue;
			if (!header_unfold(f.body, a, &v) || !take(fields[i].kind, v, a, arf))
				return false;
		}
	if (arf->type.n == 0)
		return false;
	*out = *arf;
	return true;
}
