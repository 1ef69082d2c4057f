/* SPDX-License-Identifier: MIT */
#include "lib/verify/dkim/testing.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "lib/base/encode.h"
#include "lib/verify/dkim/check.h"

void
testing_dns_add(struct testing_dns *d, struct slice name, struct slice txt,
    enum resolve_status status)
{
	PN_ASSERT(d->n < TESTING_RECORDS);
	d->r[d->n].name = name;
	d->r[d->n].txt = txt;
	d->r[d->n++].status = status;
}

void
testing_dns_query(void *self, struct slice name, enum rr_type type, struct arena *a,
    struct resolve_wire *out)
{
	struct testing_dns *d = self;
	struct slice *rdata = ARENA_ARRAY(a, TESTING_RECORDS, struct slice);
	size_t n = 0;

	d->queries++;
	*out = (struct resolve_wire){ .status = RESOLVE_NXDOMAIN };
	for (size_t i = 0; i < d->n && type == RR_TXT && rdata != NULL; i++) {
		struct slice left = d->r[i].txt;
		own(buf_t) b = { .max = 1 << 20 };

		if (!slice_ieq(d->r[i].name, name))
			continue;
		out->status = d->r[i].status;
		if (out->status != RESOLVE_OK)
			return;
		do {
			struct slice part = slice_head(left, 255);

			buf_byte(&b, (uint8_t)part.n);
			buf_add(&b, part);
			left = slice_from(left, part.n);
		} while (left.n > 0);
		if (!arena_copy(a, buf_slice(&b), &rdata[n++]))
			out->status = RESOLVE_SERVFAIL;
	}
	out->n = n;
	out->rdata = rdata;
	out->name = name;
}

bool
testing_slurp(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "rb");
	int c, last = 0;

	buf_reset(out);
	if (f == NULL)
		return false;
	for (; (c = getc(f)) != EOF; last = c) {
		if (c == '\n' && last != '\r')
			buf_byte(out, '\r');
		buf_byte(out, (uint8_t)c);
	}
	(void)fclose(f);
	return true;
}

EVP_PKEY *
testing_key(size_t bits, struct arena *a, struct slice *record)
{
	EVP_PKEY *key = bits == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") :
				    EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits);
	own(buf_t) b = { .max = 65536 };
	uint8_t raw[32], *der = NULL;
	size_t n = sizeof raw;

	PN_ASSERT(key != NULL);
	if (bits == 0) {
		PN_ASSERT(EVP_PKEY_get_raw_public_key(key, raw, &n) == 1);
		buf_add(&b, S("v=DKIM1; k=ed25519; p="));
		base64_encode(&b, slice_of(raw, n));
	} else {
		n = (size_t)i2d_PUBKEY(key, &der);
		buf_add(&b, S("v=DKIM1; k=rsa; p="));
		base64_encode(&b, slice_of(der, n));
		OPENSSL_free(der);
	}
	PN_ASSERT(arena_copy(a, buf_slice(&b), record));
	return key;
}

void
testing_sign_digest(EVP_PKEY *key, enum dkim_alg alg, struct slice digest, struct buf *out)
{
	uint8_t sig[1024];
	size_t n = sizeof sig;

	if (alg == DKIM_ED25519_SHA256) {
		EVP_MD_CTX *ctx = EVP_MD_CTX_new();

		PN_ASSERT(EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1);
		PN_ASSERT(EVP_DigestSign(ctx, sig, &n, digest.p, digest.n) == 1);
		EVP_MD_CTX_free(ctx);
	} else {
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);

		PN_ASSERT(EVP_PKEY_sign_init(ctx) == 1);
		PN_ASSERT(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1);
		PN_ASSERT(EVP_PKEY_CTX_set_signature_md(ctx,
			      alg == DKIM_RSA_SHA1 ? EVP_sha1() : EVP_sha256()) == 1);
		PN_ASSERT(EVP_PKEY_sign(ctx, sig, &n, digest.p, digest.n) == 1);
		EVP_PKEY_CTX_free(ctx);
	}
	buf_add(out, slice_of(sig, n));
}

/* field: tags bh=...; b=... with those two as base64. */
static void
write_field(struct buf *out, struct slice field, struct slice tags, struct slice bh, struct slice b)
{
	buf_reset(out);
	buf_add(out, field);
	buf_add(out, S(": "));
	buf_add(out, tags);
	if (bh.n > 0) {
		buf_add(out, S(" bh="));
		base64_encode(out, bh);
		buf_add(out, S(";"));
	}
	buf_add(out, S(" b="));
	base64_encode(out, b);
	buf_add(out, S("\r\n"));
}

void
testing_sign(struct buf *out, struct slice field, enum dkim_kind kind, struct slice tags,
    struct slice mail, EVP_PKEY *key, struct arena *a)
{
	own(buf_t) line = { .max = 1 << 20 };
	own(buf_t) whole = { .max = 1 << 26 };
	own(buf_t) raw = { .max = 4096 };
	struct dkim_bodies bodies = { 0 };
	const struct dkim_bodyhash *body;
	struct dkim_message m;
	struct dkim_hash hash;
	struct dkim_sig sig;
	size_t left;

	write_field(&line, field, tags, S("?"), S("?"));
	(void)dkim_sig_parse(slice_sub(buf_slice(&line), field.n + 1, line.n - field.n - 3), kind, a,
	    &sig);
	PN_ASSERT(sig.usable && dkim_message_split(mail, a, &m));
	bodies.body = m.body;
	body = dkim_bodies_get(&bodies, &sig);
	write_field(&line, field, tags, slice_of(body->digest, body->n), S("?"));
	buf_add(&whole, buf_slice(&line));
	buf_add(&whole, mail);
	PN_ASSERT(dkim_message_split(buf_slice(&whole), a, &m));
	(void)dkim_sig_parse(m.fields[0].value, kind, a, &sig);
	PN_ASSERT(dkim_header_hash(&m, &m.fields[0], &sig, a, &hash, &left));
	testing_sign_digest(key, sig.alg, slice_of(hash.digest, hash.n), &raw);
	write_field(&line, field, tags, slice_of(body->digest, body->n), buf_slice(&raw));
	buf_reset(out);
	buf_add(out, buf_slice(&line));
	buf_add(out, mail);
	PN_ASSERT(!out->bad);
}
