/* SPDX-License-Identifier: MIT
 * Where a report goes, and whom it comes from. */
#include <sys/random.h>

#include "ipc/clerk_auth.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/parse/dmarc/dmarc.h"
#include "lib/parse/tlsrpt/tlsrpt.h"
#include "lib/parse/url/url.h"
#include "lib/verify/dmarc/dmarc.h"
#include "rooms/clerk/owing.h"

#define QUERIES 16u /* for one domain */

/* A plain address: what strangers wrote into their DNS stands in our header and our queue. */
static bool
plain(struct slice address, struct slice *host)
{
	struct slice local, domain;

	if (address.n > LIMIT_SMTP_MAILBOX || !slice_cut(address, '@', &local, &domain) || local.n == 0 ||
	    local.n > LIMIT_SMTP_LOCAL || domain.n < 3 || slice_find_byte(domain, '.') == SLICE_NONE)
		return false;
	for (size_t i = 0; i < local.n; i++) {
		uint8_t b = slice_at(local, i);

		if (!ch_is_alnum(b) && slice_find_byte(S("._+-=#$&*/"), b) == SLICE_NONE)
			return false;
	}
	for (size_t i = 0; i < domain.n; i++)
		if (!ch_is_alnum(slice_at(domain, i)) && slice_at(domain, i) != '.' && slice_at(domain, i) != '-')
			return false;
	*host = domain;
	return slice_at(local, 0) != '.' && slice_at(local, local.n - 1) != '.';
}

static void
add(struct owing_places *p, struct slice to, uint64_t most)
{
	for (size_t i = 0; i < p->n; i++)
		if (slice_ieq(p->to[i], to))
			return;
	if (p->n == CLERK_DESTINATIONS)
		return;
	p->to[p->n] = to;
	p->most[p->n++] = most;
}

static void
dmarc_places(struct slice text, struct slice domain, struct resolver *r, struct arena *a, struct owing_places *out)
{
	struct dmarc_record record;
	struct dmarc_uri uri;
	struct cursor c;
	struct slice host;

	out->why = "its DMARC record asks for no reports by mail";
	if (!dmarc_parse(text, &record))
		return;
	c = cur_of(record.rua);
	while (dmarc_uri_next(&c, &uri)) {
		if (uri.address.n == 0 || !plain(uri.address, &host))
			continue;
		if (dmarc_report_allowed(domain, host, r, a))
			add(out, uri.address, uri.max);
		else
			out->why = "its destination does not say that it takes reports about this domain";
	}
}

static void
tls_places(struct slice text, struct owing_places *out)
{
	struct tlsrpt_record record;
	struct slice uri, address, host;
	struct cursor c;
	struct url url;

	out->why = "its TLSRPT record asks for reports in no way that this server knows";
	if (!tlsrpt_parse(text, &record))
		return;
	c = cur_of(record.rua);
	while (tlsrpt_uri_next(&c, &uri, &address))
		if (address.n > 0 && plain(address, &host))
			add(out, address, 0);
		else if (slice_istarts(uri, S("https:")) && url_parse(uri, &url) && url.port == 443)
			add(out, uri, 0);
}

bool
owing_places(struct clerk *c, enum report_kind kind, struct slice domain, struct arena *a,
    struct owing_places *out)
{
	struct resolver r = resolver_of(clerk_query, c);
	struct owing_places places = { .why = "it has no record (any more) that asks for reports" };
	own(buf_t) name = { .max = 300 };
	struct resolve_answer answer;
	const struct rr *rr;
	size_t at = 0;

	r.left = QUERIES;
	(void)buf_add(&name, kind == REPORT_TLS ? S("_smtp._tls.") : S("_dmarc."));
	(void)buf_add(&name, domain);
	resolve(&r, buf_slice(&name), RR_TXT, a, &answer);
	if (resolve_failed(answer.status))
		return false;
	while (rr_next(&answer, &at, &rr))
		if (kind == REPORT_TLS && tlsrpt_is_record(rr->text))
			tls_places(rr->text, &places);
		else if (kind == REPORT_DMARC && dmarc_is_record(rr->text))
			dmarc_places(rr->text, domain, &r, a, &places);
	*out = places;
	return true;
}

bool
owing_from(struct clerk *c, struct arena *a, struct slice *out)
{
	struct clerk_auth_domains in = { .after = S("") };
	struct clerk_auth_domains_answer got;
	struct slice best = S("");
	own(buf_t) b = { .max = 320 };

	if (c->from.n > 0) {
		*out = c->from;
		return true;
	}
	if (!ipc_client_connected(c->auth) ||
	    clerk_auth_domains(c->auth, &in, clock_mono_ms() + CLERK_ASK_MS, a, &got) != IPC_OK || got.failed)
		return false;
	for (size_t i = 0; i < got.n_domains; i++) {
		struct slice d = got.domains[i].name;

		if (best.n == 0 || (c->hostname.n > d.n &&
			slice_ieq(slice_from(c->hostname, c->hostname.n - d.n), d) &&
			slice_at(c->hostname, c->hostname.n - d.n - 1) == '.'))
			best = d;
	}
	(void)buf_add(&b, S("noreply-dmarc@"));
	(void)buf_add(&b, best);
	return best.n > 0 && arena_copy(a, buf_slice(&b), out);
}

uint64_t
owing_session(void)
{
	uint64_t n = 0;

	PN_ASSERT(getrandom(&n, sizeof n, 0) == (ssize_t)sizeof n);
	return n | 1;
}
