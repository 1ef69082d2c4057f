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

/* Begins d with the named fields of m. False, with nothing begun, at the arena's ceiling. */
static bool
begin_header(const struct dkim_message *m, const struct slice *names, size_t n, struct arena *a, struct digest *d)
{
	struct arena_mark mark = arena_mark(a);
	struct dkim_pick pick;

	if (!dkim_pick_begin(&pick, m, a))
		return false;
	digest_begin(d, DIGEST_SHA256);
	for (size_t i = 0; i < n; i++) {
		const struct dkim_field *f = dkim_pick_next(&pick, names[i]);

		if (f != NULL)
			dkim_header_canon(DKIM_RELAXED, f->raw, to_digest, d);
	}
	arena_rewind(a, mark);
	return true;
}

/* What a signature's own field adds: all of it, its b= being empty. */
static void
end_header(struct digest *d, struct slice field, uint8_t digest[static 32])
{
	dkim_header_canon_without(DKIM_RELAXED, field, field.n, field.n, to_digest, d);
	(void)digest_end(d, digest);
}

bool
dkim_sign_header(const struct dkim_message *m, const struct slice *names, size_t n,
    struct slice field, struct arena *a, uint8_t digest[static 32])
{
	struct digest d;

	if (!begin_header(m, names, n, a, &d))
		return false;
	end_header(&d, field, digest);
	return true;
}

struct job {
	const struct dkim_sign_rules *rules;
	const struct slice *names;
	size_t n_names;
	struct slice body; /* its hash in base64 */
};

/* One signature on its way: the field without its value, what was hashed, what came back. */
struct half {
	struct buf field, raw;
	struct fold fold;
	uint8_t digest[32];
};

/* Everything up to and including "b=". */
static void
write_tags(const struct job *j, const struct dkim_signer *who, struct fold *f, struct buf *b)
{
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
	fold_pair(f, S("bh="), j->body);
	fold_word(f, S("b="), true);
}

static bool
begin_one(const struct job *j, const struct dkim_signer *who, const struct digest *header, struct half *h)
{
	struct digest d;

	PN_ASSERT(who->alg == DKIM_RSA_SHA256 || who->alg == DKIM_ED25519_SHA256);
	PN_ASSERT(dkim_domain_ok(who->domain, 2) && dkim_domain_ok(who->selector, 1));
	write_tags(j, who, &h->fold, &h->field);
	if (h->field.bad)
		return false;
	digest_copy(header, &d);
	end_header(&d, buf_slice(&h->field), h->digest);
	return true;
}

static bool
end_one(struct half *h, struct buf *out)
{
	own(buf_t) text = { .max = 8192 };

	base64_encode(&text, buf_slice(&h->raw));
	fold_text(&h->fold, buf_slice(&text));
	return fold_end(&h->fold) && buf_add(out, buf_slice(&h->field));
}

static enum dkim_signed
sign_all(const struct job *j, const struct dkim_signer *signers, size_t n, const struct digest *header,
    struct half *halves, dkim_key_fn *key, void *key_ctx, struct buf *out)
{
	struct dkim_ask ask[LIMIT_DKIM_SIGNERS];

	for (size_t i = 0; i < n; i++) {
		if (!begin_one(j, &signers[i], header, &halves[i]))
			return DKIM_SIGN_NO_MEMORY;
		ask[i] = (struct dkim_ask){ .who = &signers[i],
			.digest = slice_of(halves[i].digest, sizeof halves[i].digest),
			.signature = &halves[i].raw };
	}
	if (!key(key_ctx, ask, n))
		return DKIM_SIGN_NO_KEY;
	for (size_t i = 0; i < n; i++)
		if (halves[i].raw.bad)
			return DKIM_SIGN_NO_KEY;
		else if (!end_one(&halves[i], out))
			return DKIM_SIGN_NO_MEMORY;
	return DKIM_SIGNED;
}

enum dkim_signed
dkim_sign(const struct dkim_message *m, const struct dkim_sign_rules *rules,
    const struct dkim_signer *signers, size_t n, dkim_key_fn *key, void *key_ctx, struct arena *a,
    struct buf *out)
{
	own(buf_t) bh = { .max = 64 };
	struct half halves[LIMIT_DKIM_SIGNERS];
	struct job j = { .rules = rules };
	enum dkim_signed done;
	size_t start = out->n;
	uint8_t body[32];
	struct digest header;

	PN_ASSERT(n <= LIMIT_DKIM_SIGNERS);
	if (dkim_message_count(m, S("from")) == 0)
		return DKIM_SIGN_REFUSED;
	if (!dkim_sign_names(m, true, a, &j.names, &j.n_names))
		return DKIM_SIGN_REFUSED;
	if (!begin_header(m, j.names, j.n_names, a, &header))
		return DKIM_SIGN_NO_MEMORY;
	dkim_sign_body(m->body, body);
	base64_encode(&bh, slice_of(body, sizeof body));
	j.body = buf_slice(&bh);
	for (size_t i = 0; i < n; i++) {
		buf_init(&halves[i].field, LIMIT_DKIM_FIELD);
		buf_init(&halves[i].raw, 4096);
	}
	done = sign_all(&j, signers, n, &header, halves, key, key_ctx, out);
	digest_free(&header);
	for (size_t i = 0; i < n; i++) {
		buf_free(&halves[i].field);
		buf_free(&halves[i].raw);
	}
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
