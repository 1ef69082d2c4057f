/* SPDX-License-Identifier: MIT
 * DNS records of a mail domain: RFC 5321 5, 7208, 6376, 8463, 9989, 8461, 8460, 6698, 7672, 8659,
 * 8657, 6186, 8314, 5804, 8620. */
#include "lib/make/records.h"

#include <stdio.h>

#include "lib/base/cursor.h"
#include "lib/base/encode.h"

struct maker {
	const struct records_input *in;
	struct arena *a;
	struct record *list;
	size_t n;
	bool bad;
};

static bool
is_name(struct slice s)
{
	size_t label = 0;

	if (s.n == 0 || s.n > 253)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = slice_at(s, i);

		if (c == '.' ? label == 0 : !(ch_is_alnum(c) || c == '-' || c == '_') || label == 63)
			return false;
		label = c == '.' ? 0 : label + 1;
	}
	return label > 0;
}

/* An address as it may stand in a mailto: URI without escapes: dot-atom "@" name. "!" (a size in
 * RFC 7489), "," and ";" would change the meaning of the record. */
static bool
is_address(struct slice s)
{
	size_t at = slice_rfind_byte(s, '@');

	if (at == SLICE_NONE || at == 0 || at > 64)
		return false;
	for (size_t i = 0; i < at; i++) {
		uint8_t c = slice_at(s, i);

		if (!ch_is_alnum(c) && c != '.' && c != '-' && c != '_' && c != '+' && c != '=')
			return false;
	}
	return is_name(slice_from(s, at + 1));
}

static bool
is_plain(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ch_is_vchar(slice_at(s, i)) || slice_find_byte(S("\";\\"), slice_at(s, i)) != SLICE_NONE)
			return false;
	return true;
}

static bool
is_policy(struct slice s)
{
	return s.n == 0 || slice_eq(s, S("none")) || slice_eq(s, S("quarantine")) ||
	       slice_eq(s, S("reject"));
}

bool
records_quote(struct buf *b, struct slice value)
{
	(void)buf_byte(b, '"');
	for (size_t i = 0; i < value.n; i++) {
		uint8_t c = slice_at(value, i);

		if (i > 0 && i % 255 == 0)
			(void)buf_add(b, S("\" \""));
		if (c == '"' || c == '\\')
			(void)buf_byte(b, '\\');
		if (ch_is_print(c))
			(void)buf_byte(b, c);
		else
			(void)buf_fmt(b, "\\%03u", c);
	}
	return buf_byte(b, '"');
}

/* name is prefix and domain; a false prefix of "" is the domain itself. */
static void
add(struct maker *m, struct slice prefix, struct slice domain, const char *type, struct slice rdata,
    struct slice value, const char *why)
{
	struct record r = { .type = type, .why = why };
	struct buf name;

	buf_init(&name, 253);
	(void)buf_add(&name, prefix);
	(void)buf_add(&name, domain);
	if (m->n == LIMIT_RECORDS || !is_name(buf_slice(&name)) || name.bad ||
	    !arena_copy(m->a, buf_slice(&name), &r.name) || !arena_copy(m->a, rdata, &r.rdata) ||
	    !arena_copy(m->a, value, &r.value))
		m->bad = true;
	else
		m->list[m->n++] = r;
	buf_free(&name);
}

static void
add_txt(struct maker *m, struct slice prefix, struct slice domain, const struct buf *value,
    const char *why)
{
	struct buf quoted;

	buf_init(&quoted, 5 * LIMIT_RECORD_TEXT);
	m->bad = m->bad || value->bad || !records_quote(&quoted, buf_slice(value));
	add(m, prefix, domain, "TXT", buf_slice(&quoted), buf_slice(value), why);
	buf_free(&quoted);
}

/* A record whose data is numbers and one name. */
static void
add_name(struct maker *m, struct slice prefix, struct slice domain, const char *type,
    const char *numbers, struct slice target, const char *why)
{
	struct buf b;

	buf_init(&b, 512);
	m->bad = m->bad || (target.n > 0 && !is_name(target));
	(void)buf_fmt(&b, "%s%s", numbers, numbers[0] == '\0' ? "" : " ");
	(void)buf_add(&b, target);
	m->bad = !buf_byte(&b, '.') || m->bad;
	add(m, prefix, domain, type, buf_slice(&b), S(""), why);
	buf_free(&b);
}

/* The record that was added last. */
static void
unserved(struct maker *m)
{
	if (!m->bad)
		m->list[m->n - 1].unserved = m->list[m->n - 1].optional = true;
}

static void
add_hosts(struct maker *m)
{
	const struct records_input *in = m->in;
	char number[16];

	add_name(m, S(""), in->domain, "MX", "10", in->host, "where mail for the domain goes");
	for (size_t i = 0; i < in->n_backup; i++) {
		(void)snprintf(number, sizeof number, "%zu", 20 + 10 * i);
		add_name(m, S(""), in->domain, "MX", number, in->backup[i],
		    "where mail for the domain goes");
	}
	for (size_t i = 0; i < in->n_ips; i++) {
		struct buf b;

		buf_init(&b, LIMIT_IP_TEXT);
		(void)ip_put(&b, &in->ips[i]);
		add(m, S(""), in->host, in->ips[i].n == 4 ? "A" : "AAAA", buf_slice(&b), S(""),
		    "addresses of the server");
		buf_free(&b);
	}
}

static void
add_spf(struct maker *m)
{
	const struct records_input *in = m->in;
	struct buf b;

	buf_init(&b, LIMIT_RECORD_TEXT);
	(void)buf_add(&b, S("v=spf1"));
	for (size_t i = 0; i < in->n_ips; i++) {
		(void)buf_add(&b, in->ips[i].n == 4 ? S(" ip4:") : S(" ip6:"));
		(void)ip_put(&b, &in->ips[i]);
	}
	if (in->n_ips == 0)
		(void)buf_add(&b, S(" mx"));
	for (size_t i = 0; i < in->n_includes; i++) {
		m->bad = m->bad || !is_name(in->includes[i]);
		(void)buf_add(&b, S(" include:"));
		(void)buf_add(&b, in->includes[i]);
	}
	(void)buf_add(&b, in->soft_spf ? S(" ~all") : S(" -all"));
	add_txt(m, S(""), in->domain, &b, "SPF: who may send for the domain");
	buf_reset(&b);
	(void)buf_add(&b, S("v=spf1 a -all"));
	if (!slice_ieq(in->host, in->domain))
		add_txt(m, S(""), in->host, &b, "SPF of the server's own name: bounces have no other");
	buf_free(&b);
}

static void
add_dkim(struct maker *m)
{
	for (size_t i = 0; i < m->in->n_dkim; i++) {
		const struct records_dkim *k = &m->in->dkim[i];
		struct buf b, prefix;

		buf_init(&b, LIMIT_RECORD_TEXT);
		buf_init(&prefix, 253);
		m->bad = m->bad || !is_name(k->selector) ||
			 !(slice_eq(k->algorithm, S("rsa")) || slice_eq(k->algorithm, S("ed25519")));
		(void)buf_add(&b, S("v=DKIM1; k="));
		(void)buf_add(&b, k->algorithm);
		(void)buf_add(&b, S("; p="));
		(void)base64_encode(&b, k->key);
		(void)buf_add(&prefix, k->selector);
		(void)buf_add(&prefix, S("._domainkey."));
		m->bad = m->bad || prefix.bad;
		add_txt(m, buf_slice(&prefix), m->in->domain, &b, "DKIM: keys of our signatures");
		buf_free(&prefix);
		buf_free(&b);
	}
}

static void
put_tag(struct maker *m, struct buf *b, const char *tag, struct slice policy)
{
	m->bad = m->bad || !is_policy(policy);
	if (policy.n > 0)
		(void)buf_fmt(b, "; %s=%.*s", tag, SFMT(policy));
}

/* A receiver in another domain must say that it wants the reports (RFC 9989 and 9990, "external
 * destinations"). */
static void
add_consent(struct maker *m, struct slice address)
{
	struct slice local, domain;
	struct buf b, prefix;

	if (!slice_cut(address, '@', &local, &domain) || slice_ieq(domain, m->in->domain))
		return;
	buf_init(&b, 64);
	buf_init(&prefix, 253);
	(void)buf_add(&b, S("v=DMARC1"));
	(void)buf_add(&prefix, m->in->domain);
	(void)buf_add(&prefix, S("._report._dmarc."));
	m->bad = m->bad || prefix.bad;
	add_txt(m, buf_slice(&prefix), domain, &b, "consent of the receiver of DMARC reports");
	if (!m->bad)
		m->list[m->n - 1].elsewhere = true;
	buf_free(&prefix);
	buf_free(&b);
}

static void
add_dmarc(struct maker *m)
{
	const struct records_input *in = m->in;
	struct buf b;

	buf_init(&b, LIMIT_RECORD_TEXT);
	(void)buf_add(&b, S("v=DMARC1"));
	put_tag(m, &b, "p", in->policy.n > 0 ? in->policy : S("none"));
	put_tag(m, &b, "sp", in->sub_policy);
	put_tag(m, &b, "np", in->np_policy);
	if (in->testing)
		(void)buf_add(&b, S("; t=y"));
	if (in->dmarc_report.n > 0) {
		m->bad = m->bad || !is_address(in->dmarc_report);
		(void)buf_add(&b, S("; rua=mailto:"));
		(void)buf_add(&b, in->dmarc_report);
	}
	add_txt(m, S("_dmarc."), in->domain, &b, "DMARC: what to do with mail that only claims to be ours");
	buf_free(&b);
}

static void
add_transport(struct maker *m)
{
	const struct records_input *in = m->in;
	struct buf b;

	buf_init(&b, LIMIT_RECORD_TEXT);
	if (in->mta_sts_id.n > 0) {
		static const char why[] = "MTA-STS: others must deliver over TLS. Publish it when a web server of the name "
					  "mta-sts serves the policy";

		for (size_t i = 0; i < in->mta_sts_id.n; i++)
			m->bad = m->bad || !ch_is_alnum(slice_at(in->mta_sts_id, i));
		m->bad = m->bad || in->mta_sts_id.n > 32;
		(void)buf_add(&b, S("v=STSv1; id="));
		(void)buf_add(&b, in->mta_sts_id);
		add_txt(m, S("_mta-sts."), in->domain, &b, why);
		unserved(m);
		add_name(m, S("mta-sts."), in->domain, "CNAME", "", in->host, why);
		unserved(m);
	}
	if (in->tls_report.n > 0) {
		buf_reset(&b);
		m->bad = m->bad || !is_address(in->tls_report);
		(void)buf_add(&b, S("v=TLSRPTv1; rua=mailto:"));
		(void)buf_add(&b, in->tls_report);
		add_txt(m, S("_smtp._tls."), in->domain, &b, "TLS-RPT: where others report failures of TLS");
	}
	for (size_t i = 0; i < in->n_tlsa; i++) {
		char prefix[24];

		buf_reset(&b);
		(void)snprintf(prefix, sizeof prefix, "_%u._tcp.", in->tlsa[i].port);
		(void)buf_fmt(&b, "%u %u %u ", in->tlsa[i].usage, in->tlsa[i].selector,
		    in->tlsa[i].matching);
		m->bad = !hex_encode(&b, in->tlsa[i].data) || m->bad;
		add(m, slice_z(prefix), in->host, "TLSA", buf_slice(&b), S(""),
		    "DANE: the key of the server (only with DNSSEC)");
	}
	buf_free(&b);
}

/* One more record of the set; what is not the issuer may stand otherwise. */
static void
add_caa(struct maker *m, struct slice rdata, bool optional)
{
	add(m, S(""), m->in->host, "CAA", rdata, S(""),
	    m->in->caa_only_example ? "CAA: who may issue certificates. For example: the one in use is of no CA whose name is "
				      "known here" :
				      "CAA: who may issue certificates for the server's name");
	if (m->bad)
		return;
	m->list[m->n - 1].optional = optional;
	if (m->in->caa_only_example)
		unserved(m);
}

static void
add_caas(struct maker *m)
{
	const struct records_input *in = m->in;
	struct buf b;

	buf_init(&b, LIMIT_RECORD_TEXT);
	for (size_t i = 0; i < in->n_caa; i++) {
		const struct records_caa *c = &in->caa[i];

		m->bad = m->bad || !is_name(c->issuer) || !is_plain(c->account);
		buf_reset(&b);
		(void)buf_add(&b, S("0 issue \""));
		(void)buf_add(&b, c->issuer);
		if (c->account.n > 0) {
			(void)buf_add(&b, S("; accounturi="));
			(void)buf_add(&b, c->account);
		}
		m->bad = !buf_byte(&b, '"') || m->bad;
		add_caa(m, buf_slice(&b), false);
	}
	if (in->n_caa > 0 && !in->wildcard)
		add_caa(m, S("0 issuewild \";\""), true);
	if (in->n_caa > 0 && in->security.n > 0) {
		m->bad = m->bad || !is_address(in->security);
		buf_reset(&b);
		(void)buf_add(&b, S("0 iodef \"mailto:"));
		(void)buf_add(&b, in->security);
		m->bad = !buf_byte(&b, '"') || m->bad;
		add_caa(m, buf_slice(&b), true);
	}
	buf_free(&b);
}

/* A service that is not offered says so: "0 0 0 ." (RFC 6186 3.4). */
static void
add_services(struct maker *m)
{
	static const char why[] = "so that mail programs configure themselves";
	const struct records_input *in = m->in;
	const struct {
		struct slice prefix;
		uint16_t port;
		bool deny;
	} table[] = { { S_INIT("_submissions._tcp."), in->submissions, false },
		{ S_INIT("_submission._tcp."), in->submission, true },
		{ S_INIT("_imaps._tcp."), in->imaps, true }, { S_INIT("_imap._tcp."), 0, true },
		{ S_INIT("_pop3s._tcp."), in->pop3s, true }, { S_INIT("_pop3._tcp."), 0, true },
		{ S_INIT("_sieve._tcp."), in->sieve, false },
		{ S_INIT("_jmap._tcp."), in->jmap, false } };
	char numbers[24];

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (table[i].port == 0 && !table[i].deny)
			continue;
		(void)snprintf(numbers, sizeof numbers, "0 %u %u", table[i].port > 0, table[i].port);
		add_name(m, table[i].prefix, in->domain, "SRV", numbers,
		    table[i].port > 0 ? in->host : S(""), why);
	}
	if (!in->autoconfig)
		return;
	add_name(m, S("autoconfig."), in->domain, "CNAME", "", in->host,
	    "autoconfig: the same for Thunderbird and others. Publish it when a web server of that name serves the file");
	unserved(m);
}

static void
add_reverse(struct maker *m)
{
	for (size_t i = 0; i < m->in->n_ips; i++) {
		struct buf b;

		buf_init(&b, 128);
		m->bad = !ip_reverse(&b, &m->in->ips[i]) || m->bad;
		add_name(m, S(""), buf_slice(&b), "PTR", "", m->in->host,
		    "reverse name: set by the provider of the address");
		if (!m->bad)
			m->list[m->n - 1].elsewhere = true;
		buf_free(&b);
	}
}

bool
records_make(const struct records_input *in, struct arena *a, struct records *out)
{
	struct maker m = { .in = in, .a = a, .list = ARENA_ARRAY(a, LIMIT_RECORDS, struct record) };

	if (m.list == NULL || !is_name(in->domain) || !is_name(in->host))
		return false;
	for (size_t i = 0; i < in->n_ips; i++)
		if (in->ips[i].n != 4 && in->ips[i].n != 16)
			return false;
	add_hosts(&m);
	add_spf(&m);
	add_dkim(&m);
	add_dmarc(&m);
	add_transport(&m);
	add_caas(&m);
	add_services(&m);
	add_reverse(&m);
	add_consent(&m, in->dmarc_report);
	if (m.bad)
		return false;
	*out = (struct records){ .n = m.n, .list = m.list };
	return true;
}

static void
write_some(struct buf *b, const struct records *r, bool unserved, bool elsewhere)
{
	const char *why = "";
	bool comment = unserved || elsewhere;

	for (size_t i = 0; i < r->n; i++) {
		const struct record *rec = &r->list[i];

		if (rec->elsewhere != elsewhere || rec->unserved != unserved)
			continue;
		if (rec->why != why)
			(void)buf_fmt(b, "%s; %s\n", why[0] == '\0' && !comment ? "" : "\n", rec->why);
		why = rec->why;
		(void)buf_add(b, comment ? S("; ") : S(""));
		(void)buf_add(b, rec->name);
		(void)buf_fmt(b, ". IN %s ", rec->type);
		(void)buf_add(b, rec->rdata);
		(void)buf_byte(b, '\n');
	}
}

bool
records_write(struct buf *b, const struct records *r)
{
	write_some(b, r, false, false);
	write_some(b, r, true, false);
	write_some(b, r, false, true);
	return !b->bad;
}

bool
records_sts_policy(struct buf *b, const struct records_input *in)
{
	bool ok = is_name(in->host);

	(void)buf_fmt(b, "version: STSv1\r\nmode: %.*s\r\n",
	    SFMT(in->mta_sts_mode.n == 0 ? S("testing") : in->mta_sts_mode));
	(void)buf_fmt(b, "mx: %.*s\r\n", SFMT(in->host));
	for (size_t i = 0; i < in->n_backup; i++) {
		ok = ok && is_name(in->backup[i]);
		(void)buf_fmt(b, "mx: %.*s\r\n", SFMT(in->backup[i]));
	}
	return buf_add(b, S("max_age: 604800\r\n")) && ok;
}

static void
put_server(struct buf *b, const struct records_input *in, const char *way, const char *type, uint16_t port, const char *socket)
{
	if (port == 0)
		return;
	(void)buf_fmt(b, "    <%s type=\"%s\">\n      <hostname>%.*s</hostname>\n      <port>%u</port>\n", way, type,
	    SFMT(in->host), port);
	(void)buf_fmt(b, "      <socketType>%s</socketType>\n      <authentication>password-cleartext</authentication>\n", socket);
	(void)buf_fmt(b, "      <username>%%EMAILADDRESS%%</username>\n    </%s>\n", way);
}

bool
records_autoconfig(struct buf *b, const struct records_input *in)
{
	bool ok = is_name(in->domain) && is_name(in->host) && in->imaps != 0 && (in->submissions | in->submission) != 0;

	(void)buf_add(b, S("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n"));
	(void)buf_fmt(b, "  <emailProvider id=\"%.*s\">\n    <domain>%.*s</domain>\n", SFMT(in->domain), SFMT(in->domain));
	(void)buf_fmt(b, "    <displayName>%.*s</displayName>\n    <displayShortName>%.*s</displayShortName>\n", SFMT(in->domain),
	    SFMT(in->domain));
	put_server(b, in, "incomingServer", "imap", in->imaps, "SSL");
	put_server(b, in, "outgoingServer", "smtp", in->submissions, "SSL");
	put_server(b, in, "outgoingServer", "smtp", in->submission, "STARTTLS");
	return buf_add(b, S("  </emailProvider>\n</clientConfig>\n")) && ok;
}
