/* SPDX-License-Identifier: MIT
 * DKIM and ARC from the command line, for the comparison with other implementations:
 *
 *   dkim_tool verify ZONE NOW LIST     LIST: a file with one message file a line
 *   dkim_tool arc    ZONE NOW LIST
 *   dkim_tool sign   RSA.pem ED.pem NOW LIST   lines "IN OUT DOMAIN RSA_SELECTOR|- ED_SELECTOR|-"
 *   dkim_tool seal   RSA.pem ED.pem NOW ZONE LIST   lines "IN OUT DOMAIN SELECTOR rsa|ed"
 *
 * ZONE: lines "name TXT-text". Output of verify, a line for each signature, separated by tabs: file,
 * result, cryptographic outcome, reason, d=, s=, a=. Of arc: file, cv, reason, sets. */
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/make/arc/seal.h"
#include "lib/verify/arc/arc.h"
#include "lib/verify/dkim/testing.h"

#define MOST ((size_t)1 << 26)

static struct testing_dns zone;
static EVP_PKEY *rsa, *ed;

static void
die(const char *what, const char *name)
{
	(void)fprintf(stderr, "dkim_tool: %s %s\n", what, name);
	exit(2);
}

static void
read_file(const char *path, struct buf *out)
{
	if (!testing_slurp(path, out))
		die("cannot read", path);
}

static EVP_PKEY *
read_key(const char *path)
{
	FILE *f = fopen(path, "r");
	EVP_PKEY *key = f == NULL ? NULL : PEM_read_PrivateKey(f, NULL, NULL, NULL);

	if (key == NULL)
		die("no key in", path);
	(void)fclose(f);
	return key;
}

static void
read_zone(const char *path)
{
	static struct buf text = { .max = MOST };
	struct slice lines, line, name, txt;

	read_file(path, &text);
	for (lines = buf_slice(&text); slice_cut(lines, '\n', &line, &lines);)
		if (slice_cut(slice_head(line, line.n - 1), ' ', &name, &txt))
			testing_dns_add(&zone, name, txt, RESOLVE_OK);
}

/* The next word of a line; "" at its end. */
static const char *
word(struct slice *line, struct arena *a)
{
	struct slice head, rest = S("");

	if (!slice_cut(*line, ' ', &head, &rest))
		head = *line;
	*line = rest;
	return arena_z(a, head);
}

static bool
sign_digest(void *ctx, const struct dkim_ask *ask, size_t n)
{
	for (size_t i = 0; i < n; i++)
		testing_sign_digest(ask[i].who->alg == DKIM_RSA_SHA256 ? rsa : ed, ask[i].who->alg, ask[i].digest,
		    ask[i].signature);
	return true;
}

static void
write_file(const char *path, struct buf *head, struct slice mail)
{
	FILE *f = fopen(path, "wb");

	if (f == NULL)
		die("cannot write", path);
	(void)fwrite(head->p, 1, head->n, f);
	(void)fwrite(mail.p, 1, mail.n, f);
	(void)fclose(f);
}

static void
verify(const char *path, uint64_t now, struct arena *a)
{
	static const char *crypto[] = { "none", "good", "bad" };
	own(buf_t) mail = { .max = MOST };
	struct dkim_rules rules = { .now = now, .skew = 300 };
	struct resolver dns = resolver_of(testing_dns_query, &zone);
	struct dkim_verdicts v;
	struct dkim_message m;

	read_file(path, &mail);
	if (!dkim_message_split(buf_slice(&mail), a, &m) || !dkim_verify(&m, &rules, &dns, a, &v)) {
		(void)printf("%s\tlimit\tnone\tlimit\t\t\t\n", path);
		return;
	}
	for (size_t i = 0; i < v.n; i++) {
		const struct dkim_verdict *d = &v.v[i];
		struct slice alg = d->sig.usable ? dkim_alg_name(d->sig.alg) : S("");

		(void)printf("%s\t%.*s\t%s\t%.*s\t%.*s\t%.*s\t%.*s\n", path,
		    SFMT(dkim_result_name(d->result)), crypto[d->crypto], SFMT(dkim_why_text(d->why)),
		    SFMT(d->sig.domain), SFMT(d->sig.selector), SFMT(alg));
	}
}

static void
arc(const char *path, uint64_t now, struct arena *a)
{
	own(buf_t) mail = { .max = MOST };
	struct dkim_rules rules = { .now = now, .skew = 300 };
	struct resolver dns = resolver_of(testing_dns_query, &zone);
	struct dkim_message m;
	struct arc_chain c;

	read_file(path, &mail);
	if (!dkim_message_split(buf_slice(&mail), a, &m) || !arc_verify(&m, &rules, &dns, a, &c))
		die("cannot judge", path);
	(void)printf("%s\t%.*s\t%.*s\t%zu\n", path, SFMT(arc_cv_name(c.cv)), SFMT(dkim_why_text(c.why)),
	    c.sets.n);
}

static void
sign(struct slice line, uint64_t now, struct arena *a)
{
	own(buf_t) mail = { .max = MOST };
	own(buf_t) out = { .max = MOST };
	struct dkim_sign_rules rules = { .now = now };
	const char *from = word(&line, a), *to = word(&line, a), *domain = word(&line, a);
	const char *by_rsa = word(&line, a), *by_ed = word(&line, a);
	struct dkim_signer who[2];
	struct dkim_message m;
	size_t n = 0;

	if (by_rsa[0] != '-')
		who[n++] = (struct dkim_signer){ DKIM_RSA_SHA256, slice_z(domain), slice_z(by_rsa) };
	if (by_ed[0] != '-')
		who[n++] = (struct dkim_signer){ DKIM_ED25519_SHA256, slice_z(domain), slice_z(by_ed) };
	read_file(from, &mail);
	if (!dkim_message_split(buf_slice(&mail), a, &m) ||
	    dkim_sign(&m, &rules, who, n, sign_digest, NULL, a, &out) != DKIM_SIGNED)
		die("cannot sign", from);
	write_file(to, &out, buf_slice(&mail));
}

static void
seal(struct slice line, uint64_t now, struct arena *a)
{
	own(buf_t) mail = { .max = MOST };
	own(buf_t) out = { .max = MOST };
	struct dkim_rules judge = { .now = now, .skew = 300 };
	struct resolver dns = resolver_of(testing_dns_query, &zone);
	struct arc_seal_rules rules = { .now = now };
	const char *from = word(&line, a), *to = word(&line, a), *domain = word(&line, a);
	const char *selector = word(&line, a), *type = word(&line, a);
	struct dkim_signer who = { type[0] == 'r' ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256,
		slice_z(domain), slice_z(selector) };
	struct dkim_message m;
	struct arc_chain c;

	read_file(from, &mail);
	if (!dkim_message_split(buf_slice(&mail), a, &m) || !arc_verify(&m, &judge, &dns, a, &c))
		die("cannot judge", from);
	buf_add(&out, S(""));
	if (arc_seal(&m, &c.sets, c.cv, S("relay.example;\r\n\tspf=pass smtp.mailfrom=a@example.org;\r\n"
					  "\tdkim=pass header.d=example.org"),
		&rules, &who, sign_digest, NULL, a, &out) != DKIM_SIGNED)
		die("cannot seal", from);
	write_file(to, &out, buf_slice(&mail));
}

int
main(int argc, char **argv)
{
	own(buf_t) list = { .max = MOST };
	struct slice lines, line, what = slice_z(argc < 2 ? "" : argv[1]);
	bool signs = slice_eq(what, S("sign")), seals = slice_eq(what, S("seal"));
	uint64_t now;

	if (argc != (seals ? 7 : signs ? 6 : 5) || !slice_u64(slice_z(argv[signs || seals ? 4 : 3]), &now))
		die("usage: verify|arc ZONE NOW LIST; sign RSA ED NOW LIST; seal RSA ED NOW ZONE LIST", "");
	if (signs || seals) {
		rsa = read_key(argv[2]);
		ed = read_key(argv[3]);
	}
	if (!signs)
		read_zone(argv[seals ? 5 : 2]);
	read_file(argv[argc - 1], &list);
	for (lines = buf_slice(&list); slice_cut(lines, '\n', &line, &lines);) {
		own(arena_p) a = arena_new("tool", MOST);

		line = slice_head(line, line.n - 1);
		if (signs)
			sign(line, now, a);
		else if (seals)
			seal(line, now, a);
		else if (slice_eq(what, S("arc")))
			arc(arena_z(a, line), now, a);
		else
			verify(arena_z(a, line), now, a);
	}
	return 0;
}
