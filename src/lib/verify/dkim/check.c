/* SPDX-License-Identifier: MIT */
#include "lib/verify/dkim/check.h"

#include "lib/base/buf.h"
#include "lib/base/own.h"
#include "lib/crypto/pubkey.h"

enum digest_kind
dkim_hash_kind(enum dkim_alg alg)
{
	return alg == DKIM_RSA_SHA1 ? DIGEST_SHA1 : DIGEST_SHA256;
}

void
dkim_digest_sink(void *ctx, struct slice piece)
{
	struct digest *d = ctx;

	digest_add(d, piece);
}

/* Hashes the first left octets, drops the others. */
struct prefix {
	struct digest d;
	uint64_t left;
};

static void
prefix_sink(void *ctx, struct slice piece)
{
	struct prefix *p = ctx;

	if (piece.n > p->left)
		piece = slice_head(piece, (size_t)p->left);
	p->left -= piece.n;
	if (piece.n > 0)
		digest_add(&p->d, piece);
}

const struct dkim_bodyhash *
dkim_bodies_get(struct dkim_bodies *b, const struct dkim_sig *sig)
{
	struct dkim_bodyhash *h;
	struct dkim_body body;
	struct prefix p;
	enum digest_kind kind = dkim_hash_kind(sig->alg);
	uint64_t l = sig->has_l ? sig->l : UINT64_MAX;

	for (size_t i = 0; i < b->n; i++) {
		h = &b->known[i];
		if (h->canon == sig->body_canon && h->kind == kind && h->l == l)
			return h;
	}
	h = &b->known[b->n < DKIM_BODYHASHES ? b->n++ : DKIM_BODYHASHES - 1];
	*h = (struct dkim_bodyhash){ .canon = sig->body_canon, .kind = kind, .l = l };
	p.left = l;
	digest_begin(&p.d, kind);
	dkim_body_init(&body, sig->body_canon, prefix_sink, &p);
	dkim_body_feed(&body, b->body);
	h->whole = dkim_body_end(&body);
	h->n = digest_end(&p.d, h->digest);
	return h;
}

bool
dkim_keys_get(struct resolver *dns, struct slice domain, struct slice selector, struct arena *a,
    struct dkim_keys *out, enum dkim_why *why)
{
	own(buf_t) name = { .max = 1024 };
	struct dkim_keys k = { 0 };
	struct resolve_answer answer;
	enum dkim_why first = DKIM_DNS_NONE;
	const struct rr *rr;

	buf_add(&name, selector);
	buf_add(&name, S("._domainkey."));
	buf_add(&name, domain);
	resolve(dns, buf_slice(&name), RR_TXT, a, &answer);
	for (size_t at = 0; k.n < LIMIT_DKIM_KEYS && rr_next(&answer, &at, &rr);) {
		enum dkim_why bad = DKIM_OK;

		if (dkim_keyrec_parse(rr->text, a, &k.rec[k.n], &bad))
			k.n++;
		else if (first == DKIM_DNS_NONE)
			first = bad;
	}
	if (k.n == 0) {
		*why = resolve_failed(answer.status) || first == DKIM_LIMIT ? DKIM_DNS_TEMP : first;
		return false;
	}
	k.secure = answer.secure;
	*out = k;
	return true;
}

bool
dkim_header_hash(const struct dkim_message *m, const struct dkim_field *self,
    const struct dkim_sig *sig, struct arena *a, struct dkim_hash *out, size_t *left_from)
{
	size_t value_at = self->raw.n - self->value.n - (slice_ends(self->raw, S("\r\n")) ? 2 : 0);
	const struct dkim_field *f;
	struct arena_mark mark = arena_mark(a);
	struct dkim_pick pick;
	struct digest d;

	if (!dkim_pick_begin(&pick, m, a))
		return false;
	pick.skip = self;
	digest_begin(&d, dkim_hash_kind(sig->alg));
	for (size_t i = 0; i < sig->n_h; i++) {
		f = dkim_pick_next(&pick, sig->h[i]);
		if (f != NULL)
			dkim_header_canon(sig->header_canon, f->raw, dkim_digest_sink, &d);
	}
	dkim_header_canon_without(sig->header_canon, self->raw, value_at + sig->b_from,
	    value_at + sig->b_end, dkim_digest_sink, &d);
	out->n = digest_end(&d, out->digest);
	*left_from = dkim_pick_left(&pick, S("from"));
	arena_rewind(a, mark);
	return true;
}

static enum dkim_why
check_one(const struct dkim_sig *sig, const struct dkim_keyrec *key, struct slice hash, size_t *bits)
{
	struct dkim_rsa rsa;
	bool ed = sig->alg == DKIM_ED25519_SHA256;

	if (ed != (key->type == DKIM_KEY_ED25519))
		return DKIM_KEY_K;
	if (sig->alg == DKIM_RSA_SHA1 ? !key->sha1 : !key->sha256)
		return DKIM_KEY_H;
	if (ed) {
		if (key->public.n != 32)
			return DKIM_KEY_BROKEN;
		*bits = 256;
		return pubkey_ed25519_check(key->public, hash, sig->b) ? DKIM_OK : DKIM_SIGNATURE_BAD;
	}
	if (!dkim_rsa_parse(key->public, &rsa))
		return DKIM_KEY_BROKEN;
	*bits = rsa.bits;
	if (rsa.bits > LIMIT_DKIM_RSA_BITS_MAX)
		return DKIM_KEY_LONG;
	return pubkey_rsa_check(rsa.n, rsa.e, dkim_hash_kind(sig->alg), hash, sig->b) ?
		   DKIM_OK :
		   DKIM_SIGNATURE_BAD;
}

enum dkim_why
dkim_check_signature(const struct dkim_sig *sig, const struct dkim_keys *keys,
    const struct dkim_hash *hash, size_t *bits, const struct dkim_keyrec **used)
{
	enum dkim_why why = DKIM_DNS_NONE;

	*bits = 0;
	for (size_t i = 0; i < keys->n && why != DKIM_OK; i++) {
		why = check_one(sig, &keys->rec[i], slice_of(hash->digest, hash->n), bits);
		*used = &keys->rec[i];
	}
	return why;
}

enum dkim_why
dkim_check_times(const struct dkim_sig *s, uint64_t now, uint64_t skew)
{
	if (s->has_x && now > skew && now - skew > s->x)
		return DKIM_EXPIRED;
	if (s->has_t && s->t > skew && s->t - skew > now)
		return DKIM_FUTURE;
	return DKIM_OK;
}
