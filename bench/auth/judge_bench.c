/* SPDX-License-Identifier: MIT
 * CPU time of judging a whole message: reverse name, SPF (a record with an include), DKIM (RSA-2048),
 * From, DMARC, the ARC chain and the Authentication-Results field.
 *
 *   judge_bench TENTHS   tenths of a second for each; each line: what, tab, CPU microseconds a message
 *
 * A message of 4 KiB. The DNS is a table in memory that is read as text once. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/make/arc/seal.h"
#include "lib/resolve/zone.h"
#include "lib/verify/dkim/testing.h"
#include "lib/verify/judge/judge.h"

#define NOW 1700000000u

static EVP_PKEY *rsa;
static struct zone zone;
static struct judge_query query;
static struct judge_verdict verdict;

static double
cpu(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
measure(const char *what, double seconds, struct slice mail, void (*work)(struct arena *))
{
	double start = cpu(), now = start;
	unsigned long n = 0;

	query.message = mail;
	for (; now - start < seconds; now = cpu())
		for (unsigned i = 0; i < 16; i++, n++) {
			own(arena_p) a = arena_new("bench", (size_t)1 << 22);

			work(a);
		}
	(void)printf("%s\t%.2f\n", what, (now - start) * 1e6 / (double)n);
}

static void
everything(struct arena *a)
{
	judge_message(&query, zone_query, &zone, a, &verdict);
	if (verdict.action != JUDGE_ACCEPT || verdict.dmarc.result != DMARC_PASS ||
	    verdict.spf.result != SPF_PASS)
		abort();
}

static void
spf_alone(struct arena *a)
{
	struct resolver r = resolver_of(zone_query, &zone);
	struct spf_query q = { .ip = query.ip, .helo = query.helo, .local = query.local,
		.domain = query.domain };

	spf_check_mail(&q, &r, a, &verdict.spf);
	if (verdict.spf.result != SPF_PASS)
		abort();
}

static bool
sign(void *ctx, const struct dkim_ask *ask, size_t n)
{
	(void)ctx;
	(void)n;
	testing_sign_digest(rsa, ask->who->alg, ask->digest, ask->signature);
	return true;
}

static void
make_mails(struct arena *a, struct buf *plain, struct buf *chained)
{
	static const struct dkim_signer relay = { DKIM_RSA_SHA256, S_INIT("relay.example"), S_INIT("s") };
	struct arc_seal_rules rules = { .now = NOW };
	struct dkim_message m;
	struct arc_sets none;
	struct buf mail;

	buf_init(&mail, 65536);
	(void)buf_add(&mail, S("From: A <a@example.org>\r\nTo: B <b@example.net>\r\n"
			       "Subject: A subject of the usual length, more or less\r\n"
			       "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
			       "Message-ID: <1234567890@example.org>\r\nMIME-Version: 1.0\r\n"
			       "Content-Type: text/plain; charset=utf-8\r\n"
			       "Content-Transfer-Encoding: 7bit\r\nUser-Agent: none\r\n\r\n"));
	while (mail.n < 4096)
		(void)buf_add(&mail, S("A line of text as people write it,  with a word or two and a full stop.\r\n"));
	testing_sign(plain, S("DKIM-Signature"), DKIM_SIGNATURE,
	    S("v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s; h=from:to:subject:date; "),
	    buf_slice(&mail), rsa, a);
	if (!dkim_message_split(buf_slice(plain), a, &m) || !arc_sets_find(&m, a, &none) ||
	    arc_seal(&m, &none, ARC_NONE, S("relay.example; dmarc=pass"), &rules, &relay, sign, NULL, a,
		chained) != DKIM_SIGNED)
		abort();
	(void)buf_add(chained, buf_slice(plain));
	buf_free(&mail);
}

int
main(int argc, char **argv)
{
	own(arena_p) a = arena_new("setup", (size_t)1 << 24);
	own(buf_t) plain = { .max = 65536 }, chained = { .max = 65536 }, b = { .max = 65536 };
	double seconds = (argc > 1 ? strtod(argv[1], NULL) : 10) / 10;
	struct slice record, text;

	rsa = testing_key(2048, a, &record);
	for (int i = 0; i < 2; i++) {
		(void)buf_fmt(&b, "s._domainkey.%s TXT", i == 0 ? "example.org" : "relay.example");
		for (size_t at = 0; at < record.n; at += 200)
			(void)buf_fmt(&b, " \"%.*s\"", SFMT(slice_head(slice_from(record, at), 200)));
		(void)buf_byte(&b, '\n');
	}
	(void)buf_add(&b, S("_dmarc.example.org TXT \"v=DMARC1; p=reject; rua=mailto:d@example.org\"\n"
			    "example.org TXT \"v=spf1 mx include:_spf.example.org -all\"\n"
			    "example.org MX 10 mail.example.org\n"
			    "_spf.example.org TXT \"v=spf1 ip4:198.51.100.0/24 ip4:192.0.2.0/24 ~all\"\n"
			    "1.2.0.192.in-addr.arpa PTR mail.example.org\n"
			    "mail.example.org A 203.0.113.1\n"));
	if (!arena_copy(a, buf_slice(&b), &text) || !zone_parse(text, a, &zone))
		return 1;
	query = (struct judge_query){ .helo = S("mail.example.org"), .local = S("a"),
		.domain = S("example.org"), .id = S("mx.example.net"), .now = NOW };
	if (!ip_parse(S("192.0.2.1"), &query.ip))
		return 1;
	make_mails(a, &plain, &chained);
	measure("SPF", seconds, buf_slice(&plain), spf_alone);
	measure("SPF, DKIM, DMARC", seconds, buf_slice(&plain), everything);
	measure("SPF, DKIM, DMARC, ARC", seconds, buf_slice(&chained), everything);
	EVP_PKEY_free(rsa);
	return 0;
}
