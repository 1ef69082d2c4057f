/* SPDX-License-Identifier: MIT */
#include "lib/make/arc/seal.h"

#include "lib/base/cursor.h"
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/crypto/digest.h"
#include "lib/make/dkim/fold.h"
#include "lib/parse/dkim/taglist.h"

struct job {
	const struct dkim_message *m;
	const struct arc_sets *sets;
	const struct arc_seal_rules *rules;
	const struct dkim_signer *who;
	enum arc_cv cv;
	uint32_t instance;
	const struct slice *names;
	size_t n_names;
	dkim_key_fn *key;
	void *key_ctx;
	struct arena *a;
};

static void
to_digest(void *ctx, struct slice piece)
{
	struct digest *d = ctx;

	digest_add(d, piece);
}

/* True when each line end is followed by white space, so that no field can begin in it. */
static bool
is_folded(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = slice_at(s, i);

		if (c == 0 || (c == '\n' && (i == 0 || slice_at(s, i - 1) != '\r')))
			return false;
		if (c == '\r' &&
		    (s.n - i < 3 || slice_at(s, i + 1) != '\n' || !ch_is_wsp(slice_at(s, i + 2))))
			return false;
	}
	return true;
}

/* ARC-Message-Signature and ARC-Seal are written twice, without and with the value of b=; what stands
 * behind b= begins a new line, so that both have the same folding. bh is NULL for the seal. */
static void
write_signature(const struct job *j, const uint8_t *bh, struct slice b, struct buf *out)
{
	own(buf_t) text = { .max = 8192 };
	struct fold f;

	base64_encode(&text, b);
	fold_begin(&f, out, bh == NULL ? S("ARC-Seal") : S("ARC-Message-Signature"));
	fold_pair(&f, S("a="), dkim_alg_name(j->who->alg));
	fold_word(&f, S("b="), true);
	if (j->rules->whole_b)
		buf_add(out, buf_slice(&text));
	else
		fold_text(&f, buf_slice(&text));
	/* never on a line of its own: some verifiers would keep the white space before it */
	buf_byte(out, ';');
	fold_line(&f);
	if (bh == NULL) {
		fold_pair(&f, S("cv="), arc_cv_name(j->cv));
	} else {
		buf_reset(&text);
		base64_encode(&text, slice_of(bh, 32));
		fold_pair(&f, S("bh="), buf_slice(&text));
		fold_word(&f, S("c=relaxed/relaxed;"), true);
	}
	fold_pair(&f, S("d="), j->who->domain);
	if (bh != NULL)
		fold_names(&f, j->names, j->n_names);
	fold_number(&f, S("i="), j->instance);
	fold_pair(&f, S("s="), j->who->selector);
	fold_word(&f, S("t="), true);
	buf_u64(out, j->rules->now);
	(void)fold_end(&f);
}

static bool
ask(const struct job *j, const uint8_t *digest, struct buf *raw)
{
	struct dkim_ask one = { .who = j->who, .digest = slice_of(digest, 32), .signature = raw };

	return j->key(j->key_ctx, &one, 1) && !raw->bad;
}

static enum dkim_signed
write_message_signature(const struct job *j, struct buf *out)
{
	own(buf_t) blank = { .max = LIMIT_DKIM_FIELD };
	own(buf_t) raw = { .max = 4096 };
	uint8_t body[32], digest[32];

	dkim_sign_body(j->m->body, body);
	write_signature(j, body, S(""), &blank);
	if (blank.bad || !dkim_sign_header(j->m, j->names, j->n_names,
			     slice_head(buf_slice(&blank), blank.n - 2), j->a, digest))
		return DKIM_SIGN_NO_MEMORY;
	if (!ask(j, digest, &raw))
		return DKIM_SIGN_NO_KEY;
	write_signature(j, body, buf_slice(&raw), out);
	return out->bad ? DKIM_SIGN_NO_MEMORY : DKIM_SIGNED;
}

/* RFC 8617 5.1.1: all sets in order, ours last; 5.1.2: with cv=fail ours alone. */
static enum dkim_signed
write_seal(const struct job *j, struct slice aar, struct slice ams, struct buf *out)
{
	own(buf_t) blank = { .max = LIMIT_DKIM_FIELD };
	own(buf_t) raw = { .max = 4096 };
	uint8_t digest[32];
	struct digest d;

	write_signature(j, NULL, S(""), &blank);
	digest_begin(&d, DIGEST_SHA256);
	for (size_t k = 0; j->cv != ARC_FAIL && k < j->sets->n; k++) {
		const struct arc_set *set = &j->sets->sets[k];

		dkim_header_canon(DKIM_RELAXED, set->aar->raw, to_digest, &d);
		dkim_header_canon(DKIM_RELAXED, set->ams_field->raw, to_digest, &d);
		dkim_header_canon(DKIM_RELAXED, set->seal_field->raw, to_digest, &d);
	}
	dkim_header_canon(DKIM_RELAXED, aar, to_digest, &d);
	dkim_header_canon(DKIM_RELAXED, ams, to_digest, &d);
	dkim_header_canon_without(DKIM_RELAXED, buf_slice(&blank), blank.n, blank.n, to_digest, &d);
	(void)digest_end(&d, digest);
	if (blank.bad)
		return DKIM_SIGN_NO_MEMORY;
	if (!ask(j, digest, &raw))
		return DKIM_SIGN_NO_KEY;
	write_signature(j, NULL, buf_slice(&raw), out);
	return out->bad ? DKIM_SIGN_NO_MEMORY : DKIM_SIGNED;
}

static enum dkim_signed
write_set(const struct job *j, struct slice results, struct buf *out)
{
	own(buf_t) aar = { .max = LIMIT_DKIM_FIELD };
	own(buf_t) ams = { .max = LIMIT_DKIM_FIELD };
	enum dkim_signed done;

	buf_add(&aar, S("ARC-Authentication-Results: i="));
	buf_u64(&aar, j->instance);
	buf_add(&aar, S("; "));
	buf_add(&aar, results);
	if (!buf_add(&aar, S("\r\n")))
		return DKIM_SIGN_NO_MEMORY;
	done = write_message_signature(j, &ams);
	if (done == DKIM_SIGNED)
		done = write_seal(j, buf_slice(&aar), buf_slice(&ams), out);
	if (done != DKIM_SIGNED)
		return done;
	buf_add(out, buf_slice(&ams));
	return buf_add(out, buf_slice(&aar)) ? DKIM_SIGNED : DKIM_SIGN_NO_MEMORY;
}

enum dkim_signed
arc_seal(const struct dkim_message *m, const struct arc_sets *sets, enum arc_cv cv,
    struct slice results, const struct arc_seal_rules *rules, const struct dkim_signer *who,
    dkim_key_fn *key, void *key_ctx, struct arena *a, struct buf *out)
{
	struct job j = { .m = m, .sets = sets, .rules = rules, .who = who, .cv = cv, .key = key,
		.key_ctx = key_ctx, .a = a, .names = rules->names, .n_names = rules->n_names };
	size_t start = out->n;
	enum dkim_signed done;

	PN_ASSERT(who->alg == DKIM_RSA_SHA256 || who->alg == DKIM_ED25519_SHA256);
	PN_ASSERT(dkim_domain_ok(who->domain, 2) && dkim_domain_ok(who->selector, 1));
	PN_ASSERT(cv == ARC_FAIL || sets->why == DKIM_OK);
	PN_ASSERT((cv == ARC_NONE) == sets->none);
	if (sets->why == ARC_FAILED_BEFORE || sets->highest >= LIMIT_ARC_SETS || !is_folded(results))
		return DKIM_SIGN_REFUSED;
	j.instance = sets->highest + 1;
	if (j.names == NULL && !dkim_sign_names(m, false, a, &j.names, &j.n_names))
		return DKIM_SIGN_REFUSED;
	done = write_set(&j, results, out);
	if (done != DKIM_SIGNED)
		buf_cut(out, start);
	return done;
}

/* Cuts "id [version];" off an Authentication-Results value; true when the id is ours. */
static bool
take_ours(struct slice value, struct slice id, struct slice *results)
{
	struct slice head, tail;
	size_t from = 0, end;

	if (!slice_cut(value, ';', &head, &tail))
		return false;
	while (from < head.n && dkim_is_fws(slice_at(head, from)))
		from++;
	for (end = from; end < head.n && !dkim_is_fws(slice_at(head, end)); end++)
		;
	if (!slice_ieq(slice_sub(head, from, end - from), id))
		return false;
	for (from = 0; from < tail.n && dkim_is_fws(slice_at(tail, from)); from++)
		;
	for (end = tail.n; end > from &&
	     (dkim_is_fws(slice_at(tail, end - 1)) || slice_at(tail, end - 1) == ';');
	     end--)
		;
	*results = slice_sub(tail, from, end - from);
	return end > from;
}

bool
arc_results_of(const struct dkim_message *m, struct slice id, struct buf *out)
{
	size_t start = out->n;
	struct slice results;

	for (size_t i = 0; i < m->n; i++) {
		if (!slice_eq(m->fields[i].name, S("authentication-results")) ||
		    !take_ours(m->fields[i].value, id, &results))
			continue;
		if (out->n == start)
			buf_add(out, id);
		buf_add(out, S("; "));
		buf_add(out, results);
	}
	return out->n > start && !out->bad;
}
