/* SPDX-License-Identifier: MIT */
#include "lib/make/dkim/sign.h"

#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/crypto/digest.h"
#include "lib/make/dkim/fold.h"

/* RFC 6376 5.4.1, RFC 8058 4 (List-Unsubscribe must be signed). What a mailing list adds without
 * touching the rest (Sender, List-*) is signed where it is, but not nailed shut. */
static const struct {
	struct slice name;
	bool oversign;
} LIST[] = {
	{ S_INIT("From"), true },
	{ S_INIT("To"), true },
	{ S_INIT("Cc"), true },
	{ S_INIT("Subject"), true },
	{ S_INIT("Date"), true },
	{ S_INIT("Message-ID"), true },
	{ S_INIT("Reply-To"), true },
	{ S_INIT("In-Reply-To"), true },
	{ S_INIT("References"), true },
	{ S_INIT("MIME-Version"), true },
	{ S_INIT("Content-Type"), true },
	{ S_INIT("Content-Transfer-Encoding"), true },
	{ S_INIT("Content-Disposition"), true },
	{ S_INIT("Content-ID"), false },
	{ S_INIT("Content-Description"), false },
	{ S_INIT("Sender"), false },
	{ S_INIT("Resent-From"), false },
	{ S_INIT("Resent-To"), false },
	{ S_INIT("Resent-Cc"), false },
	{ S_INIT("Resent-Date"), false },
	{ S_INIT("Resent-Message-ID"), false },
	{ S_INIT("Auto-Submitted"), false },
	{ S_INIT("Autocrypt"), false },
	{ S_INIT("List-Id"), false },
	{ S_INIT("List-Help"), false },
	{ S_INIT("List-Unsubscribe"), false },
	{ S_INIT("List-Unsubscribe-Post"), false },
	{ S_INIT("List-Subscribe"), false },
	{ S_INIT("List-Post"), false },
	{ S_INIT("List-Owner"), false },
	{ S_INIT("List-Archive"), false },
};

#define N_LIST (sizeof LIST / sizeof *LIST)

static void
to_digest(void *ctx, struct slice piece)
{
	struct digest *d = ctx;

	digest_add(d, piece);
}

bool
dkim_sign_names(const struct dkim_message *m, bool oversign, struct arena *a,
    const struct slice **names, size_t *n)
{
	size_t total = 0, at = 0, times[N_LIST];
	struct slice *all;

	for (size_t i = 0; i < N_LIST; i++) {
		times[i] = dkim_message_count(m, LIST[i].name) + (oversign && LIST[i].oversign);
		total += times[i];
	}
	if (total > LIMIT_DKIM_SIGNED)
		return false;
	all = ARENA_ARRAY(a, total, struct slice);
	if (all == NULL)
		return false;
	for (size_t i = 0; i < N_LIST; i++)
		for (size_t k = 0; k < times[i]; k++)
			all[at++] = LIST[i].name;
	*names = all;
	*n = total;
	return true;
}

void
dkim_sign_body(struct slice body, uint8_t digest[static 32])
{
	struct dkim_body b;
	struct digest d;

	digest_begin(&d, DIGEST_SHA256);
	dkim_body_init(&b, DKIM_RELAXED, to_digest, &d);
	dkim_body_feed(&b, body);
	(void)dkim_body_end(&b);
	(void)digest_end(&d, digest);
}

bool
dkim_sign_header(const struct dkim_message *m, const struct slice *names, size_t n,
    struct slice field, struct arena *a, uint8_t digest[static 32])
{
	struct arena_mark mark = arena_mark(a);
	struct dkim_pick pick;
	struct digest d;

	if (!dkim_pick_begin(&pick, m, a))
		return false;
	digest_begin(&d, DIGEST_SHA256);
	for (size_t i = 0; i < n; i++) {
		const struct dkim_field *f = dkim_pick_next(&pick, names[i]);

		if (f != NULL)
			dkim_header_canon(DKIM_RELAXED, f->raw, to_digest, &d);
	}
	dkim_header_canon_without(DKIM_RELAXED, field, field.n, field.n, to_digest, &d);
	(void)digest_end(&d, digest);
	arena_rewind(a, mark);
	return true;
}

struct job {
	const struct dkim_message *m;
	const struct dkim_sign_rules *rules;
	const struct slice *names;
	size_t n_names;
	uint8_t body[32];
	dkim_key_fn *key;
	void *key_ctx;
	struct arena *a;
};

/* Everything up to and including "b=". */
static void
write_tags(const struct job *j, const struct dkim_signer *who, struct fold *f, struct buf *b)
{
	own(buf_t) bh = { .max = 64 };

	base64_encode(&bh, slice_of(j->body, sizeof j->body));
	fold_begin(f, b, S("DKIM-Signature"));
	fold_word(f, S("v=1;"), true);
	fold_pair(f, S("a="), dkim_alg_name(who->alg));
	fold_word(f, S("c=relaxed/relaxed;"), true);
	fold_pair(f, S("d="), who->domain);
	fold_pair(f, S("s="), who->selector);
	fold_number(f, S("t="), j->rules->now);
	if (j->rules->lifetime > 0)
		fold_number(f, S("x="), j->rules->now + j->rules->lifetime);
	fold_names(f, j->names, j->n_names);
	fold_pair(f, S("bh="), buf_slice(&bh));
	fold_word(f, S("b="), true);
}

static enum dkim_signed
sign_one(const struct job *j, const struct dkim_signer *who, struct buf *out)
{
	own(buf_t) raw = { .max = 4096 };
	own(buf_t) text = { .max = 8192 };
	size_t start = out->n;
	uint8_t digest[32];
	struct fold f;

	PN_ASSERT(who->alg == DKIM_RSA_SHA256 || who->alg == DKIM_ED25519_SHA256);
	PN_ASSERT(dkim_domain_ok(who->domain, 2) && dkim_domain_ok(who->selector, 1));
	write_tags(j, who, &f, out);
	if (out->bad || !dkim_sign_header(j->m, j->names, j->n_names, slice_from(buf_slice(out), start),
			    j->a, digest))
		return DKIM_SIGN_NO_MEMORY;
	if (!j->key(j->key_ctx, who, slice_of(digest, sizeof digest), &raw) || raw.bad)
		return DKIM_SIGN_NO_KEY;
	base64_encode(&text, buf_slice(&raw));
	fold_text(&f, buf_slice(&text));
	return fold_end(&f) ? DKIM_SIGNED : DKIM_SIGN_NO_MEMORY;
}

enum dkim_signed
dkim_sign(const struct dkim_message *m, const struct dkim_sign_rules *rules,
    const struct dkim_signer *signers, size_t n, dkim_key_fn *key, void *key_ctx, struct arena *a,
    struct buf *out)
{
	struct job j = { .m = m, .rules = rules, .key = key, .key_ctx = key_ctx, .a = a };
	enum dkim_signed done = DKIM_SIGNED;
	size_t start = out->n;

	if (dkim_message_count(m, S("from")) == 0)
		return DKIM_SIGN_REFUSED;
	if (!dkim_sign_names(m, true, a, &j.names, &j.n_names))
		return DKIM_SIGN_REFUSED;
	dkim_sign_body(m->body, j.body);
	for (size_t i = 0; i < n && done == DKIM_SIGNED; i++)
		done = sign_one(&j, &signers[i], out);
	if (done != DKIM_SIGNED)
		buf_cut(out, start);
	return done;
}

bool
dkim_record_text(struct buf *out, enum dkim_alg alg, struct slice public)
{
	buf_add(out, alg == DKIM_ED25519_SHA256 ? S("v=DKIM1; k=ed25519; p=") : S("v=DKIM1; k=rsa; p="));
	return base64_encode(out, public);
}

bool
dkim_record_zone(struct buf *out, enum dkim_alg alg, struct slice public)
{
	own(buf_t) text = { .max = LIMIT_DKIM_KEY_RECORD };
	struct slice left;

	if (!dkim_record_text(&text, alg, public)) {
		out->bad = true;
		return false;
	}
	for (left = buf_slice(&text); left.n > 0;) {
		struct slice now = slice_head(left, 255);

		buf_add(out, now.p == text.p ? S("\"") : S(" \""));
		buf_add(out, now);
		buf_byte(out, '"');
		left = slice_from(left, now.n);
	}
	return !out->bad;
}
