/* SPDX-License-Identifier: MIT
 * libunbound's context: how it is set up, asked, and understood. */
#include <stdio.h>
#include <string.h>
#include <unbound.h>

#include "lib/base/ip.h"
#include "lib/clock/clock.h"
#include "lib/parse/dnsmsg/dnsmsg.h"
#include "rooms/dns/dns.h"

#define RCODE_NXDOMAIN 3
/* libunbound's third state is 0, insecure */
#define SEC_BOGUS 1
#define SEC_SECURE 2

/* Small and strict. The caches are ceilings that an idle room does not reach. */
static const struct {
	const char *key, *value;
} OPTIONS[] = {
	{ "qname-minimisation:", "yes" },
	{ "use-caps-for-id:", "yes" }, /* with fallback: servers that fold the case are asked thrice and compared */
	{ "harden-glue:", "yes" },
	{ "harden-dnssec-stripped:", "yes" },
	{ "harden-below-nxdomain:", "yes" },
	{ "harden-algo-downgrade:", "no" },
	{ "hide-identity:", "yes" },
	{ "minimal-responses:", "yes" },
	{ "edns-buffer-size:", "1232" }, /* no fragments to forge */
	{ "unwanted-reply-threshold:", "10000" },
	{ "val-nsec3-keysize-iterations:", "1024 50 2048 50 4096 50" }, /* RFC 9276 3.2: more is insecure */
	{ "val-clean-additional:", "yes" },
	{ "aggressive-nsec:", "yes" },
	{ "cache-max-ttl:", "86400" },
	{ "cache-max-negative-ttl:", "900" },
	{ "infra-host-ttl:", "300" },
	{ "outgoing-range:", "128" },
	{ "num-queries-per-thread:", "512" },
	{ "outgoing-num-tcp:", "16" },
	{ "incoming-num-tcp:", "0" },
	{ "msg-buffer-size:", "65552" },
	{ "msg-cache-slabs:", "1" },
	{ "rrset-cache-slabs:", "1" },
	{ "infra-cache-slabs:", "1" },
	{ "key-cache-slabs:", "1" },
	{ "msg-cache-size:", "1m" },
	{ "rrset-cache-size:", "2m" },
	{ "key-cache-size:", "512k" },
	{ "neg-cache-size:", "256k" },
	{ "infra-cache-numhosts:", "2000" },
	{ "use-syslog:", "no" },
};

bool
dns_server_parse(struct slice text, struct slice *address, uint16_t *port)
{
	struct slice host = text, digits = S("53");
	struct ip ip;
	uint32_t n;

	(void)slice_cut(text, '@', &host, &digits);
	if (!ip_parse(host, &ip) || !slice_u32(digits, &n) || n == 0 || n > 65535)
		return false;
	*address = host;
	*port = (uint16_t)n;
	return true;
}

static bool
is_loopback(struct slice address)
{
	return slice_starts(address, S("127.")) || slice_eq(address, S("::1"));
}

static const char *
forward(struct dns_room *r, struct slice servers)
{
	struct slice one, rest = servers;
	bool more = servers.n > 0;

	/* whoever forwards has a view of its own: private addresses and .test have their names there */
	if (more && ub_ctx_set_option(r->ub, "unblock-lan-zones:", "yes") != 0)
		return "unblock-lan-zones";
	while (more) {
		struct slice address;
		char z[64];
		uint16_t port;

		more = slice_cut(rest, ' ', &one, &rest);
		if (!more)
			one = rest;
		if (!dns_server_parse(one, &address, &port))
			return "servers: ADDRESS or ADDRESS@PORT";
		if (is_loopback(address) && ub_ctx_set_option(r->ub, "do-not-query-localhost:", "no") != 0)
			return "do-not-query-localhost";
		(void)snprintf(z, sizeof z, "%.*s@%u", SFMT(address), port);
		if (ub_ctx_set_fwd(r->ub, z) != 0)
			return "servers";
	}
	return NULL;
}

/* DS or DNSKEY records, one a line; ";" starts a comment. */
static const char *
anchor(struct dns_room *r, struct slice text)
{
	own(arena_p) a = arena_new("anchors", 2 * LIMIT_DNS_ANCHORS);
	struct slice line, rest = text, comment;
	bool more = text.n > 0;

	while (more) {
		const char *z;

		more = slice_cut(rest, '\n', &line, &rest);
		if (!more)
			line = rest;
		(void)slice_cut(line, ';', &line, &comment);
		line = slice_trim(line);
		if (line.n == 0)
			continue;
		z = arena_z(a, line);
		if (z == NULL || ub_ctx_add_ta(r->ub, z) != 0)
			return "a trust anchor is no DS or DNSKEY record";
	}
	return NULL;
}

static void
nothing(void *arg, int rcode, void *packet, int n, int sec, char *why, int limited)
{
	(void)arg;
	(void)rcode;
	(void)packet;
	(void)n;
	(void)sec;
	(void)why;
	(void)limited;
}

const char *
dns_open(struct dns_room *r, struct slice servers, struct slice anchors)
{
	const char *wrong;
	int id;

	r->base = loopbase_new(r->loop);
	r->ub = ub_ctx_create_ub_event(r->base);
	if (r->ub == NULL)
		return "no memory";
	for (size_t i = 0; i < sizeof OPTIONS / sizeof *OPTIONS; i++)
		if (ub_ctx_set_option(r->ub, OPTIONS[i].key, OPTIONS[i].value) != 0)
			return OPTIONS[i].key;
	wrong = forward(r, servers);
	if (wrong == NULL)
		wrong = anchor(r, anchors);
	if (wrong != NULL)
		return wrong;
	if (servers.n > 0 && ub_ctx_zone_remove(r->ub, "test.") != 0)
		return "the zone test.";
	/* settles everything that libunbound opens or reads, with a question that stays at home */
	return ub_resolve_event(r->ub, "localhost.", RR_A, 1, NULL, nothing, &id) != 0 ? "the context" : NULL;
}

void
dns_close(struct dns_room *r)
{
	if (r->ub != NULL)
		ub_ctx_delete(r->ub);
	r->ub = NULL;
	if (r->base != NULL)
		loopbase_free(&r->base);
}

struct dns_query *
dns_query_new(struct dns_room *r, struct dns_peer *p)
{
	if (p->flight >= LIMIT_DNS_PEER || r->flight >= LIMIT_DNS_FLIGHT)
		return NULL;
	for (size_t i = 0; i < LIMIT_DNS_FLIGHT; i++) {
		struct dns_query *q = &r->queries[i];

		if (q->room != NULL)
			continue;
		*q = (struct dns_query){ .room = r, .peer = p, .started_ms = clock_mono_ms() };
		p->flight++;
		r->flight++;
		return q;
	}
	return NULL;
}

static void
end(struct dns_query *q, const struct dns_answer *answer)
{
	struct dns_room *r = q->room;

	if (q->timer != NULL)
		loop_cancel(r->loop, &q->timer);
	q->done(q, answer);
	if (q->peer != NULL)
		q->peer->flight--;
	r->flight--;
	q->room = NULL;
}

void
dns_convert(struct slice wire, uint16_t type, int rcode, struct slice packet, int sec, struct arena *a,
    struct dns_answer *out)
{
	struct dnsmsg_answer m;
	struct slice owner;

	*out = (struct dns_answer){ .status = sec == SEC_BOGUS ? RESOLVE_BOGUS : RESOLVE_SERVFAIL, .why = "" };
	/* rcode tells of errors on the way here; what the zone says stands in the packet */
	if (sec == SEC_BOGUS || rcode != 0 || !dnsmsg_answer_parse(packet, wire, type, a, &m) || m.truncated || m.referral ||
	    (m.rcode != 0 && m.rcode != RCODE_NXDOMAIN) || !name_from_wire(m.owner, a, &owner))
		return;
	*out = (struct dns_answer){ .status = m.rcode == RCODE_NXDOMAIN ? RESOLVE_NXDOMAIN :
		    m.n > 0					? RESOLVE_OK :
								  RESOLVE_NODATA,
		.secure = sec == SEC_SECURE,
		.ttl = m.ttl,
		.why = "" };
	if (out->status != RESOLVE_OK)
		return;
	out->name = owner;
	out->n = m.n;
	out->rdata = m.rdata;
}

static void
on_answer(void *arg, int rcode, void *packet, int n, int sec, char *why, int limited)
{
	struct dns_query *q = arg;
	own(arena_p) a = arena_new("answer", LIMIT_ARENA_MESSAGE);
	struct dns_answer out;

	(void)limited;
	q->asked = false;
	dns_convert(slice_of(q->wire, q->n_wire), q->type, rcode, slice_of(packet, n < 0 ? 0 : (size_t)n), sec, a,
	    &out);
	if (why != NULL && out.status == RESOLVE_BOGUS)
		out.why = why;
	end(q, &out);
}

static void
on_deadline(void *arg)
{
	struct dns_query *q = arg;
	struct dns_answer out = { .status = RESOLVE_TIMEOUT, .why = "" };

	q->timer = NULL;
	if (q->asked)
		(void)ub_cancel(q->room->ub, q->async_id);
	end(q, &out);
}

void
dns_ask(struct dns_room *r, struct dns_query *q, struct slice name, uint16_t type)
{
	own(arena_p) a = arena_new("question", LIMIT_ARENA_COMMAND);
	struct dns_answer failed = { .status = RESOLVE_SERVFAIL, .why = "" };
	struct slice wire, text;
	own(buf_t) z = { .max = LIMIT_RESOLVE_WIRE * 4 + 2 };
	int st, id = 0;

	if (!name_to_wire(name, a, &wire) || !name_from_wire(wire, a, &text)) {
		failed.status = RESOLVE_NXDOMAIN; /* a name that cannot exist */
		end(q, &failed);
		return;
	}
	memcpy(q->wire, wire.p, wire.n);
	q->n_wire = wire.n;
	q->type = type;
	buf_add(&z, text);
	buf_byte(&z, '.');
	buf_byte(&z, 0);
	q->asked = true;
	q->timer = loop_after(r->loop, r->timeout_ms, on_deadline, q);
	st = ub_resolve_event(r->ub, (const char *)z.p, type, 1, q, on_answer, &id);
	if (st != 0 && q->room != NULL && q->asked) {
		q->asked = false;
		end(q, &failed);
	} else if (q->asked) {
		q->async_id = id; /* the callback did not run yet */
	}
}
