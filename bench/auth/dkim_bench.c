/* SPDX-License-Identifier: MIT
 * CPU time of DKIM and ARC in one process, without any daemon around it:
 *
 *   dkim_bench TENTHS [WHAT]   tenths of a second for each; each line: what, tab, CPU microseconds a message
 *
 * Messages of 4 KiB and 1 MiB of text with 12 fields. Verification includes the split of the header,
 * both hashes, the key record as text and the signature; the DNS is a table. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/make/arc/seal.h"
#include "lib/make/dkim/sign.h"
#include "lib/verify/arc/arc.h"
#include "lib/verify/dkim/testing.h"

static struct testing_dns zone;
static struct arena *keep;
static EVP_PKEY *rsa, *ed;
static double seconds;
static struct slice only; /* what to measure; empty: all */

static double
cpu(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Runs work on mail until the time is up. */
static void
measure(const char *what, void (*work)(struct slice, struct arena *), struct slice mail)
{
	double start = cpu(), now = start;
	unsigned long n = 0;

	if (only.n > 0 && !slice_eq(slice_z(what), only))
		return;
	for (; now - start < seconds; now = cpu())
		for (unsigned i = 0; i < 16; i++, n++) {
			own(arena_p) a = arena_new("bench", (size_t)1 << 22);

			work(mail, a);
		}
	(void)printf("%s\t%.2f\n", what, (now - start) * 1e6 / (double)n);
}

static bool
key_operation(void *ctx, const struct dkim_ask *ask, size_t n)
{
	for (size_t i = 0; i < n; i++)
		testing_sign_digest(ask[i].who->alg == DKIM_RSA_SHA256 ? rsa : ed, ask[i].who->alg, ask[i].digest,
		    ask[i].signature);
	return true;
}

static const struct dkim_signer BY[] = {
	{ DKIM_RSA_SHA256, S_INIT("example.org"), S_INIT("rsa") },
	{ DKIM_ED25519_SHA256, S_INIT("example.org"), S_INIT("ed") },
};

static void
sign(struct slice mail, struct arena *a, const struct dkim_signer *by, size_t n, struct buf *out)
{
	struct dkim_sign_rules rules = { .now = 1700000000 };
	struct dkim_message m;

	if (!dkim_message_split(mail, a, &m) ||
	    dkim_sign(&m, &rules, by, n, key_operation, NULL, a, out) != DKIM_SIGNED)
		abort();
}

static void
sign_rsa(struct slice mail, struct arena *a)
{
	own(buf_t) out = { .max = 65536 };

	sign(mail, a, BY, 1, &out);
}

static void
sign_ed(struct slice mail, struct arena *a)
{
	own(buf_t) out = { .max = 65536 };

	sign(mail, a, BY + 1, 1, &out);
}

static void
sign_dual(struct slice mail, struct arena *a)
{
	own(buf_t) out = { .max = 65536 };

	sign(mail, a, BY, 2, &out);
}

/* The private-key operation alone, for comparison. */
static void
bare_rsa(struct slice mail, struct arena *a)
{
	own(buf_t) out = { .max = 65536 };

	testing_sign_digest(rsa, DKIM_RSA_SHA256, slice_head(mail, 32), &out);
}

static void
verify(struct slice mail, struct arena *a)
{
	struct dkim_rules rules = { .now = 1700000000, .skew = 300 };
	struct resolver dns = resolver_of(testing_dns_query, &zone);
	struct dkim_verdicts v;
	struct dkim_message m;

	if (!dkim_message_split(mail, a, &m) || !dkim_verify(&m, &rules, &dns, a, &v))
		abort();
	for (size_t i = 0; i < v.n; i++)
		if (v.v[i].result != DKIM_RESULT_PASS)
			abort();
}

static void
verify_chain(struct slice mail, struct arena *a)
{
	struct dkim_rules rules = { .now = 1700000000, .skew = 300 };
	struct resolver dns = resolver_of(testing_dns_query, &zone);
	struct dkim_message m;
	struct arc_chain c;

	if (!dkim_message_split(mail, a, &m) || !arc_verify(&m, &rules, &dns, a, &c) || c.cv != ARC_PASS)
		abort();
}

static void
write_mail(struct buf *b, size_t size)
{
	buf_add(b, S("Received: from a.example (a.example [192.0.2.1])\r\n\tby mx.example.net with ESMTPS"
		     " id 4Sxyz;\r\n\tTue, 14 Nov 2023 22:13:20 +0000\r\nFrom: A <a@example.org>\r\n"
		     "To: B <b@example.net>\r\nSubject: A subject of the usual length, more or less\r\n"
		     "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1234567890@example.org>\r\n"
		     "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
		     "Content-Transfer-Encoding: 7bit\r\nUser-Agent: none\r\nX-One: 1\r\nX-Two: 2\r\n\r\n"));
	while (b->n < size)
		buf_add(b, S("A line of text as people write it,  with a word or two and a full stop.\r\n"));
}

/* head on top of tail, both kept. */
static struct slice
stack(struct slice head, struct slice tail)
{
	uint8_t *p = arena_alloc(keep, head.n + tail.n, 1);

	if (p == NULL)
		abort();
	memcpy(p, head.p, head.n);
	for (size_t i = 0; i < tail.n; i++)
		p[head.n + i] = slice_at(tail, i);
	return slice_of(p, head.n + tail.n);
}

static struct slice
signed_mail(struct slice mail, const struct dkim_signer *by, size_t n)
{
	own(buf_t) out = { .max = 65536 };

	sign(mail, keep, by, n, &out);
	return stack(buf_slice(&out), mail);
}

static struct slice
chained_mail(struct slice mail, size_t sets)
{
	struct dkim_rules judge = { .now = 1700000000, .skew = 300 };
	struct arc_seal_rules rules = { .now = 1700000000 };
	struct resolver dns = resolver_of(testing_dns_query, &zone);
	struct dkim_message m;
	struct arc_chain c;

	for (size_t i = 0; i < sets; i++) {
		own(buf_t) out = { .max = 65536 };

		if (!dkim_message_split(mail, keep, &m) || !arc_verify(&m, &judge, &dns, keep, &c) ||
		    arc_seal(&m, &c.sets, c.cv, S("mx.example; spf=pass"), &rules, BY, key_operation, NULL,
			keep, &out) != DKIM_SIGNED)
			abort();
		mail = stack(buf_slice(&out), mail);
	}
	return mail;
}

int
main(int argc, char **argv)
{
	own(buf_t) small = { .max = 1 << 24 };
	own(buf_t) large = { .max = 1 << 24 };
	uint64_t tenths;
	struct slice rec;

	only = slice_z(argc == 3 ? argv[2] : "");
	if (argc < 2 || argc > 3 || !slice_u64(slice_z(argv[1]), &tenths) || tenths == 0) {
		(void)fprintf(stderr, "usage: dkim_bench TENTHS [WHAT]\n");
		return 2;
	}
	seconds = (double)tenths / 10;
	keep = arena_new("bench", (size_t)1 << 28);
	rsa = testing_key(2048, keep, &rec);
	testing_dns_add(&zone, S("rsa._domainkey.example.org"), rec, RESOLVE_OK);
	ed = testing_key(0, keep, &rec);
	testing_dns_add(&zone, S("ed._domainkey.example.org"), rec, RESOLVE_OK);
	write_mail(&small, 4096);
	write_mail(&large, 1 << 20);
	measure("rsa2048 operation", bare_rsa, buf_slice(&small));
	measure("sign rsa2048 4 KiB", sign_rsa, buf_slice(&small));
	measure("sign ed25519 4 KiB", sign_ed, buf_slice(&small));
	measure("sign both 4 KiB", sign_dual, buf_slice(&small));
	measure("verify rsa2048 4 KiB", verify, signed_mail(buf_slice(&small), BY, 1));
	measure("verify ed25519 4 KiB", verify, signed_mail(buf_slice(&small), BY + 1, 1));
	measure("verify both 4 KiB", verify, signed_mail(buf_slice(&small), BY, 2));
	measure("verify rsa2048 1 MiB", verify, signed_mail(buf_slice(&large), BY, 1));
	measure("verify chain of 3 4 KiB", verify_chain, chained_mail(buf_slice(&small), 3));
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ed);
	arena_free(&keep);
	return 0;
}
