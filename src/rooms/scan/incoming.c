/* SPDX-License-Identifier: MIT
 * Mail from strangers: judged by lib/verify/judge, marked with Authentication-Results, and refused,
 * deferred or put into Junk where the sender's domain, or the administrator, asks for it. */
#include "lib/clock/clock.h"
#include "rooms/scan/scan.h"

/* The resolver of one message: its questions share one deadline. */
struct asking {
	const struct scan_job *j;
	uint64_t deadline_ms;
};

static void
ask_dns(void *self, struct slice name, enum rr_type type, struct arena *a, struct resolve_wire *out)
{
	const struct asking *q = self;
	const struct scan_job *j = q->j;

	if (clock_mono_ms() >= q->deadline_ms) {
		*out = (struct resolve_wire){ .status = RESOLVE_TIMEOUT };
		return;
	}
	j->back->query(j->back->ctx, name, type, j->in->session, q->deadline_ms, a, out);
}

/* MAIL FROM as SPF wants it: the last "@" divides, which in a quoted local part is the right one. */
static void
split_sender(struct slice sender, struct judge_query *q)
{
	size_t at = slice_rfind_byte(sender, '@');

	if (at == SLICE_NONE)
		return;
	q->local = slice_head(sender, at);
	q->domain = slice_from(sender, at + 1);
}

/* The verdicts on the signatures, "pass example.org s1, fail ...", for the event. */
static void
tell_dkim(const struct judge_verdict *v, struct buf *b)
{
	for (size_t i = 0; i < v->dkim.n; i++) {
		const struct dkim_verdict *d = &v->dkim.v[i];
		struct slice why = d->why == DKIM_OK ? S("") : dkim_why_text(d->why);

		(void)buf_fmt(b, "%s%.*s d=%.*s s=%.*s%s%.*s", i == 0 ? "" : "; ", SFMT(dkim_result_name(d->result)),
		    SFMT(d->sig.domain), SFMT(d->sig.selector), why.n > 0 ? ": " : "", SFMT(why));
	}
	if (v->dkim.n == 0)
		(void)buf_add(b, S("none"));
}

/* What the owner published, and which of the two aligned: an aggregate report needs them (RFC 9990). */
static void
tell_policy(const struct dmarc_verdict *v, struct buf *published, struct buf *aligned)
{
	const struct dmarc_record *r = &v->record;

	(void)buf_fmt(aligned, "%s%s%s", v->dkim_aligned.n > 0 ? "dkim" : "",
	    v->dkim_aligned.n > 0 && v->spf_aligned.n > 0 ? " " : "", v->spf_aligned.n > 0 ? "spf" : "");
	if (v->policy_domain.n == 0)
		return;
	(void)buf_fmt(published, "p=%s adkim=%s aspf=%s", dmarc_policy_name(r->p), r->dkim_strict ? "s" : "r",
	    r->spf_strict ? "s" : "r");
	if (r->sp > DMARC_P_INVALID)
		(void)buf_fmt(published, " sp=%s", dmarc_policy_name(r->sp));
	if (r->np > DMARC_P_INVALID)
		(void)buf_fmt(published, " np=%s", dmarc_policy_name(r->np));
	if (r->testing)
		(void)buf_add(published, S(" t=y"));
}

/* The domain of the first recipient, which DMARC reports tell by domain alone. */
static struct slice
recipient_domain(const struct smtp_scan_judge *in)
{
	struct slice address = in->n_rcpts == 0 ? S("") : in->rcpts[0].original.n > 0 ? in->rcpts[0].original :
										     in->rcpts[0].address;
	size_t at = slice_rfind_byte(address, '@');

	return at == SLICE_NONE ? S("") : slice_from(address, at + 1);
}

static struct slice
override_name(enum dmarc_override o)
{
	return o == DMARC_OVERRIDE_TEST ? S("policy_test_mode") :
	    o == DMARC_OVERRIDE_ARC	? S("trusted_forwarder") :
					  S("");
}

static void
tell_verdict(struct scan_job *j, const struct judge_verdict *v, const struct smtp_scan_judge_answer *out,
    struct slice by)
{
	own(buf_t) dkim = { .max = 8192 };
	own(buf_t) ip = { .max = LIMIT_IP_TEXT };
	own(buf_t) published = { .max = 200 };
	own(buf_t) aligned = { .max = 16 };
	struct ip peer = { .n = (uint8_t)j->in->peer_ip.n };

	if (peer.n > 0)
		memcpy(peer.b, j->in->peer_ip.p, peer.n);
	(void)ip_put(&ip, &peer);
	tell_dkim(v, &dkim);
	tell_policy(&v->dmarc, &published, &aligned);
	SCAN_EVENT(j, EVENT_SCAN_VERDICT, EF("action", slice_z(smtp_scan_action_name(out->action))),
	    EF("why", out->why), EF("by", by), EF("from", v->from.address),
	    EF("claims", v->from.name_claims ? S("yes") : S("")),
	    EF("spf", slice_z(spf_result_name(v->spf.result))), EF("spf_domain", v->spf.domain),
	    EF("spf_why", slice_z(v->spf.why)), EF("dkim", buf_slice(&dkim)),
	    EF("dmarc", slice_z(dmarc_result_name(v->dmarc.result))),
	    EF("policy", slice_z(dmarc_policy_name(v->dmarc.published))),
	    EF("policy_domain", v->dmarc.policy_domain), EF("dmarc_why", slice_z(v->dmarc.why)),
	    EF("arc", arc_cv_name(v->arc.cv)), EF("iprev", slice_z(iprev_result_name(v->iprev.result))),
	    EF("name", v->iprev.name), EF("ip", buf_slice(&ip)), EN("queries", v->queries),
	    EN("ms", clock_mono_ms() - j->now_ms), EF("judged", slice_z(judge_action_name(v->action))),
	    EF("header_from", v->dmarc.from), EF("aligned", buf_slice(&aligned)),
	    EF("published", buf_slice(&published)),
	    EF("disposition", slice_z(dmarc_policy_name(v->dmarc.disposition))),
	    EF("override", override_name(v->dmarc.override)),
	    EF("spf_scope", v->spf.by_helo ? S("helo") : S("mfrom")),
	    EF("rcpt_domain", recipient_domain(j->in)));
}

/* What the administrator said about this sender, where it matters: false when nobody could be asked. */
static bool
overridden(struct scan_job *j, const struct judge_verdict *v, enum scan_auth_policy *policy)
{
	struct scan_auth_sender_policy in = { .domain = v->dmarc.from.n > 0 ? v->dmarc.from :
		    v->from.n > 0 ? v->from.domains[0] : S("") };
	struct scan_auth_sender_policy_answer answer;

	*policy = SCAN_AUTH_POLICY_UNSAID;
	if (in.domain.n == 0 || !v->from.ok || v->dmarc.result == DMARC_PASS || v->dmarc.result == DMARC_REFUSE)
		return true;
	if (j->back->policy(j->back->ctx, &in, clock_mono_ms() + SCAN_ASK_MS, j->a, &answer) != IPC_OK ||
	    answer.status != SCAN_AUTH_RESULT_OK)
		return false;
	*policy = answer.policy;
	return true;
}

static void
quarantine(struct smtp_scan_judge_answer *out, struct slice why)
{
	out->action = SMTP_SCAN_ACTION_QUARANTINE;
	out->folder = S("Junk");
	out->why = why;
}

static void
by_sender(const struct judge_verdict *v, struct smtp_scan_judge_answer *out)
{
	switch (v->action) {
	case JUDGE_REJECT:
		scan_refuse(out, S("5.7.1"), slice_z(v->why));
		return;
	case JUDGE_DEFER:
		scan_defer(out, slice_z(v->why));
		return;
	case JUDGE_QUARANTINE:
		quarantine(out, slice_z(v->why));
		return;
	case JUDGE_ACCEPT:
		return;
	}
}

/* What is to be done; by tells whose wish it is. */
static struct slice
decide(struct scan_job *j, const struct judge_verdict *v, struct smtp_scan_judge_answer *out)
{
	enum scan_auth_policy policy;

	if (j->conf->mode != SCAN_ENFORCE) {
		out->why = slice_z(v->why);
		return S("mark");
	}
	if (!overridden(j, v, &policy)) {
		scan_defer(out, S("the rules for senders cannot be read now, try again later"));
		return S("server");
	}
	switch (policy) {
	case SCAN_AUTH_POLICY_ACCEPT:
		out->why = S("the administrator accepts unauthenticated mail of this domain");
		return S("administrator");
	case SCAN_AUTH_POLICY_QUARANTINE:
		quarantine(out, S("the administrator quarantines unauthenticated mail of this domain"));
		return S("administrator");
	case SCAN_AUTH_POLICY_REJECT:
		scan_refuse(out, S("5.7.1"), S("unauthenticated mail of this domain is not accepted here"));
		return S("administrator");
	case SCAN_AUTH_POLICY_UNSAID:
		break;
	}
	by_sender(v, out);
	return v->action == JUDGE_ACCEPT ? S("") : S("sender");
}

/* The domain of ours in whose name mail is forwarded: that of the first recipient that goes on. */
static struct slice
forwards_for(const struct smtp_scan_judge *in)
{
	for (size_t i = 0; i < in->n_rcpts; i++) {
		size_t at = slice_rfind_byte(in->rcpts[i].original, '@');

		if (in->rcpts[i].account == 0 && at != SLICE_NONE)
			return slice_from(in->rcpts[i].original, at + 1);
	}
	return S("");
}

/* Our fields on top: the ARC set of what goes on, then the results. False: no memory or no keys now. */
static bool
put_on_top(struct scan_job *j, const struct judge_verdict *v)
{
	struct slice domain = forwards_for(j->in), set = S("");
	own(buf_t) top = { .max = SCAN_INSERT };
	struct slice text;

	if (domain.n > 0 && !scan_seal(j, v, domain, &set))
		return false;
	(void)buf_add(&top, set);
	(void)buf_add(&top, v->field);
	if (top.bad || !arena_copy(j->a, buf_slice(&top), &text))
		return false;
	scan_on_top(j, text);
	return true;
}

static void
judge_incoming(struct scan_job *j, struct slice bytes, struct smtp_scan_judge_answer *out)
{
	struct judge_query q = { .helo = j->in->helo, .id = j->conf->hostname, .now = j->now,
		.trusted = j->conf->trusted, .n_trusted = j->conf->n_trusted };
	struct asking asking = { .j = j, .deadline_ms = j->now_ms + j->conf->dns_ms };
	struct judge_verdict *v = ARENA_NEW(j->a, struct judge_verdict);
	size_t forged;
	struct slice by;

	j->mail = slice_from(bytes, (size_t)j->in->trace);
	q.message = j->mail;
	q.ip.n = (uint8_t)j->in->peer_ip.n;
	if (q.ip.n > 0)
		memcpy(q.ip.b, j->in->peer_ip.p, q.ip.n);
	split_sender(j->in->sender, &q);
	*out = (struct smtp_scan_judge_answer){ .action = SMTP_SCAN_ACTION_ACCEPT };
	if (v == NULL) {
		scan_defer(out, S("no room now, try again later"));
		return;
	}
	if (!scan_filter(j, FILTER_IN, forwards_for(j->in).n > 0, out))
		return;
	if (j->conf->mode == SCAN_OFF) {
		scan_filtered(j, out);
		scan_finish(j, out);
		return;
	}
	judge_message(&q, ask_dns, &asking, j->a, v);
	out->from = slice_head(v->from.address, LIMIT_SMTP_ADDRESS);
	out->sender_verified = j->in->sender.n > 0 && v->spf.result == SPF_PASS;
	by = decide(j, v, out);
	forged = scan_remove_forged(j);
	if (forged > 0)
		SCAN_EVENT(j, EVENT_SCAN_FORGED, EN("removed", forged));
	if (out->action == SMTP_SCAN_ACTION_ACCEPT || out->action == SMTP_SCAN_ACTION_QUARANTINE) {
		scan_filtered(j, out);
		if (put_on_top(j, v))
			scan_finish(j, out);
		else
			scan_defer(out, S("no room now, try again later"));
	}
	tell_verdict(j, v, out, by);
}

void
scan_incoming(struct scan_job *j, struct slice bytes, struct smtp_scan_judge_answer *out)
{
	judge_incoming(j, bytes, out);
	buf_free(&j->new_body);
}
