/* SPDX-License-Identifier: MIT
 * Signatures of our own: keys says which keys sign for a domain, the libraries hash and format, keys
 * makes the signature. */
#include "lib/clock/clock.h"
#include "lib/make/arc/seal.h"
#include "rooms/scan/scan.h"

/* The signatures of one message made by the room keys, in one question, for lib/make. */
static bool
sign_digests(void *ctx, const struct dkim_ask *ask, size_t n)
{
	struct scan_job *j = ctx;
	struct scan_keys_part parts[LIMIT_DKIM_SIGNERS];
	struct scan_keys_sign in = { .domain = ask->who->domain, .parts = parts, .n_parts = n };
	struct scan_keys_sign_answer out;
	bool ok;

	for (size_t i = 0; i < n; i++)
		parts[i] = (struct scan_keys_part){ .selector = ask[i].who->selector, .digest = ask[i].digest };
	ok = j->back->sign(j->back->ctx, &in, clock_mono_ms() + SCAN_ASK_MS, j->a, &out) == IPC_OK &&
	    out.status == SCAN_KEYS_STATUS_OK && out.n_signatures == n;
	for (size_t i = 0; i < n && ok; i++)
		ok = out.signatures[i].signature.n > 0 && buf_add(ask[i].signature, out.signatures[i].signature);
	return ok;
}

/* Who signs for domain; those that break the rules of names are left out. False: nobody to ask. */
static bool
signers_of(struct scan_job *j, struct slice domain, struct dkim_signer who[static 4], size_t *n)
{
	struct scan_keys_signers in = { .domain = domain };
	struct scan_keys_signers_answer out;

	*n = 0;
	if (!dkim_domain_ok(domain, 2))
		return true;
	if (j->back->signers(j->back->ctx, &in, clock_mono_ms() + SCAN_ASK_MS, j->a, &out) != IPC_OK)
		return false;
	for (size_t i = 0; i < out.n_signers && i < 4; i++)
		if (dkim_domain_ok(out.signers[i].selector, 1))
			who[(*n)++] = (struct dkim_signer){ .domain = domain,
				.selector = out.signers[i].selector,
				.alg = out.signers[i].algorithm == SCAN_KEYS_ALGORITHM_ED25519 ?
				    DKIM_ED25519_SHA256 : DKIM_RSA_SHA256 };
	return true;
}

bool
scan_sign(struct scan_job *j, const struct dkim_message *m, struct slice domain, struct slice *out,
    size_t *n)
{
	own(buf_t) text = { .max = SCAN_INSERT / 2 };
	struct dkim_sign_rules rules = { .now = j->now };
	struct dkim_signer who[4];

	*out = S("");
	if (!signers_of(j, domain, who, n))
		return false;
	if (*n == 0)
		return true;
	switch (dkim_sign(m, &rules, who, *n, sign_digests, j, j->a, &text)) {
	case DKIM_SIGNED:
		return arena_copy(j->a, buf_slice(&text), out);
	case DKIM_SIGN_REFUSED: /* more fields than a signature names: it goes out unsigned */
		*n = 0;
		return true;
	case DKIM_SIGN_NO_KEY:
	case DKIM_SIGN_NO_MEMORY:
		break;
	}
	return false;
}

/* What Authentication-Results says, without the name of the field and the line end. */
static struct slice
results_of(struct slice field)
{
	struct slice name, value = S("");

	(void)slice_cut(field, ':', &name, &value);
	value = slice_trim(value);
	return slice_ends(value, S("\r\n")) ? slice_head(value, value.n - 2) : value;
}

bool
scan_seal(struct scan_job *j, const struct judge_verdict *v, struct slice domain, struct slice *out)
{
	own(buf_t) set = { .max = SCAN_INSERT / 2 };
	struct arc_seal_rules rules = { .now = j->now };
	struct dkim_signer who[4];
	struct dkim_message m;
	size_t n;

	*out = S("");
	if (!signers_of(j, domain, who, &n))
		return false;
	/* RFC 8617 knows RSA alone; what could not be judged, or judged only for now, is not sealed */
	if (n == 0 || who[0].alg != DKIM_RSA_SHA256 || v->field.n == 0 || v->arc.temporary)
		return true;
	if (!dkim_message_split(j->mail, j->a, &m))
		return false;
	m.body = j->body;
	switch (arc_seal(&m, &v->arc.sets, v->arc.cv, results_of(v->field), &rules, &who[0], sign_digests, j,
	    j->a, &set)) {
	case DKIM_SIGNED:
		SCAN_EVENT(j, EVENT_SCAN_SEALED, EF("domain", domain), EF("selector", who[0].selector),
		    EF("cv", arc_cv_name(v->arc.cv)));
		return arena_copy(j->a, buf_slice(&set), out);
	case DKIM_SIGN_REFUSED:
		return true;
	case DKIM_SIGN_NO_KEY:
	case DKIM_SIGN_NO_MEMORY:
		break;
	}
	return false;
}
