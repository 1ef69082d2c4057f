/* SPDX-License-Identifier: MIT
 * MTA-STS: discovery, cache, refresh (RFC 8461 sections 3 and 5.1). */
#include "lib/verify/tlspolicy/tlspolicy.h"

#include "lib/base/own.h"

enum txt { TXT_NONE, TXT_FOUND, TXT_FAILED };

static bool
name_under(struct slice prefix, struct slice domain, struct arena *a, struct slice *out)
{
	own(buf_t) b = { .max = LIMIT_RESOLVE_WIRE * 4 };

	return buf_add(&b, prefix) && buf_add(&b, domain) && arena_copy(a, buf_slice(&b), out);
}

/* Section 3.1: exactly one record that says v=STSv1, and it can be read. */
static enum txt
discover(const struct tlspolicy_env *env, struct slice domain, struct arena *a, struct slice *id)
{
	struct resolve_answer answer;
	struct mtasts_record record;
	struct slice name;
	const struct rr *rr, *found = NULL;
	size_t at = 0, n = 0;

	if (!name_under(S("_mta-sts."), domain, a, &name))
		return TXT_FAILED;
	resolve(env->r, name, RR_TXT, a, &answer);
	if (resolve_failed(answer.status))
		return TXT_FAILED;
	while (rr_next(&answer, &at, &rr))
		if (mtasts_is_record(rr->text)) {
			found = rr;
			n++;
		}
	if (n != 1 || !mtasts_record_parse(found->text, &record))
		return TXT_NONE;
	*id = record.id;
	return TXT_FOUND;
}

/* Fetches the policy for an id and keeps it. On failure the entry stays what it was, and is not tried again
 * for a while; the answer is the result type, or NULL. */
static const char *
fetch(const struct tlspolicy_env *env, struct slice domain, struct slice id, struct arena *a,
    struct tlspolicy_sts_entry *entry)
{
	const struct tlspolicy_sts *sts = env->sts;
	struct mtasts_policy policy;
	struct slice text;
	enum tlspolicy_fetch f = sts->fetch(sts->self, domain, a, &text);
	const char *result = f == TLSPOLICY_FETCH_ERROR ? "sts-policy-fetch-error" :
	    f == TLSPOLICY_FETCH_UNTRUSTED		? "sts-webpki-invalid" :
							  NULL;

	if (f == TLSPOLICY_FETCHED && !mtasts_policy_parse(text, &policy))
		result = "sts-policy-invalid";
	if (result != NULL)
		entry->tried = env->now;
	else
		*entry = (struct tlspolicy_sts_entry){ .id = id,
			.text = text,
			.fetched = env->now,
			.expires = env->now + policy.max_age };
	sts->put(sts->self, domain, entry);
	return result;
}

static bool
live(const struct tlspolicy_sts_entry *e, int64_t now)
{
	return e->text.n > 0 && e->expires > now;
}

void
tlspolicy_domain(const struct tlspolicy_env *env, struct slice domain, struct arena *a,
    struct tlspolicy_domain *out)
{
	struct tlspolicy_sts_entry entry = { .id = S("") };
	struct slice id = S("");

	*out = (struct tlspolicy_domain){ .domain = domain };
	if (env->sts == NULL)
		return;
	if (!env->sts->get(env->sts->self, domain, a, &entry))
		entry = (struct tlspolicy_sts_entry){ .id = S("") };
	/* without a record, or an answer, only what is cached counts (section 5.1) */
	if (discover(env, domain, a, &id) == TXT_FOUND) {
		bool fresh = live(&entry, env->now) && slice_eq(entry.id, id) &&
		    env->now - entry.fetched < TLSPOLICY_STS_REFRESH;
		bool waits = env->now >= entry.tried && env->now - entry.tried < TLSPOLICY_STS_AGAIN;

		if (!fresh && !waits)
			out->result = fetch(env, domain, id, a, &entry);
	}
	out->sts = live(&entry, env->now) && mtasts_policy_parse(entry.text, &out->policy) &&
	    out->policy.mode != MTASTS_NONE;
}
