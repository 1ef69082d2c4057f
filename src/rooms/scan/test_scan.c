/* SPDX-License-Identifier: MIT
 * What scan makes of messages, with a zone and keys of the test's own. The edits are applied, and what
 * comes out is judged again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/crypto/digest.h"
#include "lib/resolve/zone.h"
#include "lib/verify/dkim/testing.h"
#include "rooms/scan/scan.h"

#define NOW 1700000000u
#define TRACE "Received: from x by mx.example.test\r\n"

static const struct slice dns = S_INIT("good.example TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"
				       "_dmarc.good.example TXT \"v=DMARC1; p=reject\"\n"
				       "junk.example TXT \"v=spf1 -all\"\n"
				       "_dmarc.junk.example TXT \"v=DMARC1; p=quarantine\"\n"
				       "open.example TXT \"v=spf1 -all\"\n"
				       "_dmarc.open.example TXT \"v=DMARC1; p=none\"\n"
				       "_dmarc.down.example SERVFAIL\n");

static struct {
	struct arena *a;
	struct zone zone;
	EVP_PKEY *rsa, *ed;
	struct scan_conf conf;
	struct scan_backend back;
	struct filter *filter;
	enum scan_auth_policy policy;
	enum ipc_status policy_ipc, keys_ipc;
	unsigned policy_asked, questions;
	bool sign_fails, own;
	size_t one_short; /* 1: a signature is missing */
	struct buf events, mail;
} w;

static void
ask(void *ctx, struct slice name, enum rr_type type, uint64_t session, uint64_t deadline_ms, struct arena *a,
    struct resolve_wire *out)
{
	(void)ctx;
	(void)session;
	assert_true(deadline_ms > clock_mono_ms());
	w.questions++;
	zone_query(&w.zone, name, type, a, out);
}

static enum ipc_status
policy(void *ctx, const struct scan_auth_sender_policy *in, uint64_t deadline_ms, struct arena *a,
    struct scan_auth_sender_policy_answer *out)
{
	(void)ctx;
	(void)deadline_ms;
	(void)a;
	w.policy_asked++;
	*out = (struct scan_auth_sender_policy_answer){ .policy = w.policy };
	assert_true(in->domain.n > 0);
	return w.policy_ipc;
}

static enum ipc_status
signers(void *ctx, const struct scan_keys_signers *in, uint64_t deadline_ms, struct arena *a,
    struct scan_keys_signers_answer *out)
{
	static struct scan_keys_signer both[] = { { S_INIT("r1"), SCAN_KEYS_ALGORITHM_RSA_SHA256 },
		{ S_INIT("e1"), SCAN_KEYS_ALGORITHM_ED25519 } };

	(void)ctx;
	(void)deadline_ms;
	(void)a;
	*out = (struct scan_keys_signers_answer){ .signers = both,
		.n_signers = slice_eq(in->domain, S("ours.example")) ? 2 : 0 };
	return w.keys_ipc;
}

static enum ipc_status
sign(void *ctx, const struct scan_keys_sign *in, uint64_t deadline_ms, struct arena *a,
    struct scan_keys_sign_answer *out)
{
	struct scan_keys_made *made = ARENA_ARRAY(a, in->n_parts, struct scan_keys_made);

	(void)ctx;
	(void)deadline_ms;
	assert_true(slice_eq(in->domain, S("ours.example")) && made != NULL);
	*out = (struct scan_keys_sign_answer){ .status = SCAN_KEYS_STATUS_FAILED };
	if (w.sign_fails)
		return IPC_OK;
	for (size_t i = 0; i < in->n_parts; i++) {
		own(buf_t) sig = { .max = 1024 };
		bool rsa = slice_eq(in->parts[i].selector, S("r1"));

		assert_int_equal(in->parts[i].digest.n, 32);
		testing_sign_digest(rsa ? w.rsa : w.ed, rsa ? DKIM_RSA_SHA256 : DKIM_ED25519_SHA256, in->parts[i].digest,
		    &sig);
		assert_true(arena_copy(a, buf_slice(&sig), &made[i].signature));
	}
	*out = (struct scan_keys_sign_answer){ .status = SCAN_KEYS_STATUS_OK, .signatures = made,
		.n_signatures = in->n_parts - w.one_short };
	return IPC_OK;
}

static void
event(void *ctx, enum event_kind kind, uint64_t session, struct slice queue_id, struct slice account,
    const struct event_field *fields, size_t n)
{
	(void)ctx;
	(void)session;
	(void)queue_id;
	(void)account;
	assert_true(n <= LIMIT_EVENT_FIELDS);
	if (kind == EVENT_SCAN_VERDICT && n > 10) { /* what reports to the owners of domains are made of */
		static const char *const counted[] = { "action", "dmarc", "disposition", "policy_domain", "aligned", "ip",
			"override", "rcpt_domain", "header_from", "dkim", "spf", "spf_domain", "spf_scope", "published" };

		for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
			size_t k = 0;

			while (k < n && strcmp(fields[k].key, counted[i]) != 0)
				k++;
			assert_true(k < n);
		}
	}
	(void)buf_add(&w.events, slice_z(event_name(kind)));
	(void)buf_byte(&w.events, ' ');
}

static int
begin(void **state)
{
	own(buf_t) zone = { .max = 65536 };
	struct slice text, records[2];

	(void)state;
	w.a = arena_new("test", 1 << 24);
	w.rsa = testing_key(2048, w.a, &records[0]);
	w.ed = testing_key(0, w.a, &records[1]);
	(void)buf_add(&zone, dns);
	for (int i = 0; i < 2; i++) {
		(void)buf_fmt(&zone, "%s._domainkey.ours.example TXT", i == 0 ? "r1" : "e1");
		for (size_t at = 0; at < records[i].n; at += 200)
			(void)buf_fmt(&zone, " \"%.*s\"", SFMT(slice_head(slice_from(records[i], at), 200)));
		(void)buf_byte(&zone, '\n');
	}
	assert_true(arena_copy(w.a, buf_slice(&zone), &text) && zone_parse(text, w.a, &w.zone));
	w.conf = (struct scan_conf){ .hostname = S("mx.example.test"), .mode = SCAN_ENFORCE, .dns_ms = 5000 };
	w.back = (struct scan_backend){ ask, policy, signers, sign, event, NULL };
	w.policy = SCAN_AUTH_POLICY_UNSAID;
	w.policy_ipc = w.keys_ipc = IPC_OK;
	w.policy_asked = w.questions = 0;
	w.sign_fails = false;
	w.one_short = 0;
	buf_init(&w.events, 65536);
	buf_init(&w.mail, 1 << 22);
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	EVP_PKEY_free(w.rsa);
	EVP_PKEY_free(w.ed);
	buf_free(&w.events);
	buf_free(&w.mail);
	arena_free(&w.a);
	return 0;
}

/* The message as smtp would write it. */
static void
apply(struct slice bytes, const struct smtp_scan_judge_answer *v)
{
	size_t at = 0;

	buf_reset(&w.mail);
	for (size_t i = 0; i < v->n_edits; i++) {
		const struct smtp_scan_edit *e = &v->edits[i];

		assert_true(e->at >= at && e->at <= bytes.n && e->remove <= bytes.n - e->at);
		(void)buf_add(&w.mail, slice_sub(bytes, at, (size_t)e->at - at));
		(void)buf_add(&w.mail, e->insert);
		at = (size_t)(e->at + e->remove);
	}
	assert_true(buf_add(&w.mail, slice_from(bytes, at)));
}

static struct smtp_scan_judge_answer
run(bool outgoing, struct slice mail, const char *sender, struct smtp_scan_rcpt *rcpts, size_t n_rcpts)
{
	static const uint8_t ip[4] = { 192, 0, 2, 1 };
	struct smtp_scan_judge *in = ARENA_NEW(w.a, struct smtp_scan_judge);
	struct scan_job *j = ARENA_NEW(w.a, struct scan_job);
	struct smtp_scan_judge_answer out;

	*in = (struct smtp_scan_judge){ .queue_id = S("abc.1"), .session = 7, .peer_ip = slice_of(ip, 4),
		.helo = S("client.example"), .sender = slice_z(sender), .size = mail.n, .trace = sizeof TRACE - 1,
		.rcpts = rcpts, .n_rcpts = n_rcpts };
	*j = (struct scan_job){ .conf = &w.conf, .back = &w.back, .a = w.a, .in = in, .now_ms = clock_mono_ms(), .now = NOW,
		.filter = w.filter, .own = w.own };
	buf_reset(&w.events);
	if (outgoing)
		scan_outgoing(j, mail, &out);
	else
		scan_incoming(j, mail, &out);
	apply(mail, &out);
	return out;
}

static bool
holds(const char *what)
{
	return slice_find(buf_slice(&w.mail), slice_z(what)) != SLICE_NONE;
}

static bool
told(const char *what)
{
	return slice_find(buf_slice(&w.events), slice_z(what)) != SLICE_NONE;
}

static void
verdicts(void **state)
{
	static const struct {
		const char *name, *sender, *from;
		enum scan_mode mode;
		enum scan_auth_policy policy;
		enum ipc_status policy_ipc;
		enum smtp_scan_action action;
		const char *says;
	} table[] = {
		{ "pass", "a@good.example", "a@good.example", SCAN_ENFORCE, SCAN_AUTH_POLICY_REJECT, IPC_UNAVAILABLE,
		    SMTP_SCAN_ACTION_ACCEPT, "dmarc=pass" },
		{ "reject", "a@open.example", "a@good.example", SCAN_ENFORCE, SCAN_AUTH_POLICY_UNSAID, IPC_OK,
		    SMTP_SCAN_ACTION_REJECT, NULL },
		{ "quarantine", "a@junk.example", "a@junk.example", SCAN_ENFORCE, SCAN_AUTH_POLICY_UNSAID, IPC_OK,
		    SMTP_SCAN_ACTION_QUARANTINE, "dmarc=fail" },
		{ "p=none", "a@open.example", "a@open.example", SCAN_ENFORCE, SCAN_AUTH_POLICY_UNSAID, IPC_OK,
		    SMTP_SCAN_ACTION_ACCEPT, "dmarc=fail" },
		{ "the DNS is down", "a@down.example", "a@down.example", SCAN_ENFORCE, SCAN_AUTH_POLICY_UNSAID, IPC_OK,
		    SMTP_SCAN_ACTION_DEFER, NULL },
		{ "two From", "a@good.example", "a@good.example\r\nFrom: b@junk.example", SCAN_ENFORCE,
		    SCAN_AUTH_POLICY_ACCEPT, IPC_OK, SMTP_SCAN_ACTION_REJECT, NULL },
		/* the administrator goes first */
		{ "trusted", "a@open.example", "a@good.example", SCAN_ENFORCE, SCAN_AUTH_POLICY_ACCEPT, IPC_OK,
		    SMTP_SCAN_ACTION_ACCEPT, "dmarc=fail" },
		{ "trusted while the DNS is down", "a@down.example", "a@down.example", SCAN_ENFORCE,
		    SCAN_AUTH_POLICY_ACCEPT, IPC_OK, SMTP_SCAN_ACTION_ACCEPT, "dmarc=temperror" },
		{ "rejected though p=none", "a@open.example", "a@open.example", SCAN_ENFORCE, SCAN_AUTH_POLICY_REJECT, IPC_OK,
		    SMTP_SCAN_ACTION_REJECT, NULL },
		{ "quarantined without a record", "a@none.example", "a@none.example", SCAN_ENFORCE,
		    SCAN_AUTH_POLICY_QUARANTINE, IPC_OK, SMTP_SCAN_ACTION_QUARANTINE, "dmarc=none" },
		{ "nobody knows the rules", "a@open.example", "a@open.example", SCAN_ENFORCE, SCAN_AUTH_POLICY_UNSAID,
		    IPC_UNAVAILABLE, SMTP_SCAN_ACTION_DEFER, NULL },
		/* marking refuses, defers and moves nothing */
		{ "mark: reject", "a@open.example", "a@good.example", SCAN_MARK, SCAN_AUTH_POLICY_REJECT, IPC_UNAVAILABLE,
		    SMTP_SCAN_ACTION_ACCEPT, "dmarc=fail" },
		{ "mark: down", "a@down.example", "a@down.example", SCAN_MARK, SCAN_AUTH_POLICY_UNSAID, IPC_UNAVAILABLE,
		    SMTP_SCAN_ACTION_ACCEPT, "dmarc=temperror" },
		{ "mark: junk", "a@junk.example", "a@junk.example", SCAN_MARK, SCAN_AUTH_POLICY_UNSAID, IPC_OK,
		    SMTP_SCAN_ACTION_ACCEPT, "dmarc=fail" },
		{ "mark: two From", "a@good.example", "a@good.example\r\nFrom: b@junk.example", SCAN_MARK,
		    SCAN_AUTH_POLICY_UNSAID, IPC_OK, SMTP_SCAN_ACTION_ACCEPT, "dmarc=permerror" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		own(buf_t) mail = { .max = 4096 };
		struct smtp_scan_judge_answer v;
		bool ends = table[i].action == SMTP_SCAN_ACTION_REJECT || table[i].action == SMTP_SCAN_ACTION_DEFER;

		(void)buf_fmt(&mail, TRACE "From: %s\r\nSubject: x\r\n\r\nhello\r\n", table[i].from);
		w.conf.mode = table[i].mode;
		w.policy = table[i].policy;
		w.policy_ipc = table[i].policy_ipc;
		v = run(false, buf_slice(&mail), table[i].sender, NULL, 0);
		if (v.action != table[i].action || (v.n_edits == 0) != ends || !told("scan.verdict") ||
		    (table[i].says != NULL && !holds(table[i].says)))
			fail_msg("%s: %s: %.*s", table[i].name, smtp_scan_action_name(v.action), SFMT(buf_slice(&w.mail)));
		if (ends)
			assert_true(v.code / 100 == (v.action == SMTP_SCAN_ACTION_DEFER ? 4 : 5) && v.text.n > 0);
		if (v.action == SMTP_SCAN_ACTION_QUARANTINE)
			assert_true(slice_eq(v.folder, S("Junk")) && v.why.n > 0);
		if (!ends)
			assert_true(slice_starts(buf_slice(&w.mail), S("Authentication-Results: mx.example.test;")) &&
			    slice_ends(buf_slice(&w.mail), buf_slice(&mail)));
	}
}

/* What says of itself that it is one of many. */
static void
bulk(void **state)
{
	static const struct {
		const char *field;
		bool is;
	} table[] = { { "Precedence: bulk", true }, { "precedence:  LIST ", true }, { "Precedence: junk", true },
		{ "Precedence: first-class", false }, { "Precedence:", false }, { "X-Precedence: bulk", false },
		{ "Precedence: special\r\nPrecedence: bulk", true }, { "List-Id: <x.ours.example>", true },
		{ "LIST-UNSUBSCRIBE: <https://ours.example/u>", true }, { "Subject: bulk", false } };

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		own(buf_t) mail = { .max = 4096 };
		struct smtp_scan_judge_answer v;

		(void)buf_fmt(&mail, TRACE "From: me@ours.example\r\n%s\r\n\r\nhello\r\n", table[i].field);
		v = run(true, buf_slice(&mail), "me@ours.example", NULL, 0);
		if (v.action != SMTP_SCAN_ACTION_ACCEPT || v.bulk != table[i].is)
			fail_msg("%s", table[i].field);
		v = run(false, buf_slice(&mail), "me@ours.example", NULL, 0);
		assert_false(v.bulk); /* strangers' mail comes in its own class anyway */
	}
}

/* fifty claims to be ours go, those of others stay, ours comes on top. */
static void
forged(void **state)
{
	own(buf_t) mail = { .max = 65536 };
	struct smtp_scan_judge_answer v;

	(void)state;
	(void)buf_add(&mail, S(TRACE "From: a@good.example\r\n"));
	for (int i = 0; i < 50; i++)
		(void)buf_fmt(&mail, "authentication-results:\r\n\tMX.Example.TEST. 1; dkim=pass header.d=forged%d\r\n%s", i,
		    i % 5 == 0 ? "X-Between: 1\r\n" : "");
	(void)buf_add(&mail, S("Authentication-Results: other.example; dkim=pass header.d=kept\r\n"
			       "Authentication-Results: (mx.example.test; dkim=pass header.d=broken\r\n\r\nbody\r\n"));
	v = run(false, buf_slice(&mail), "a@good.example", NULL, 0);
	assert_int_equal(v.action, SMTP_SCAN_ACTION_ACCEPT);
	assert_true(told("scan.forged"));
	assert_false(holds("forged") || holds("header.d=broken"));
	assert_true(holds("header.d=kept") && holds("X-Between") && holds("dmarc=pass"));
	/* more than can be removed is no mail of anybody's */
	buf_reset(&mail);
	(void)buf_add(&mail, S(TRACE "From: a@good.example\r\n"));
	for (size_t i = 0; i <= SCAN_EDITS; i++)
		(void)buf_add(&mail, S("Authentication-Results: mx.example.test; dkim=pass\r\nX-Between: 1\r\n"));
	(void)buf_add(&mail, S("\r\nbody\r\n"));
	assert_int_equal(run(false, buf_slice(&mail), "a@good.example", NULL, 0).action, SMTP_SCAN_ACTION_REJECT);
}

/* How the signatures of what came out verify: "pass pass". */
static const char *
signatures(void)
{
	static char text[200];
	struct dkim_rules rules = { .now = NOW, .skew = 300 };
	struct dkim_verdicts v;
	struct dkim_message m;
	struct resolver r = resolver_of(zone_query, &w.zone);
	own(buf_t) b = { .max = sizeof text - 1 };

	assert_true(dkim_message_split(buf_slice(&w.mail), w.a, &m) && dkim_verify(&m, &rules, &r, w.a, &v));
	for (size_t i = 0; i < v.n; i++) {
		(void)buf_add(&b, dkim_result_name(v.v[i].result));
		(void)buf_byte(&b, ' ');
	}
	memcpy(text, b.p == NULL ? (const uint8_t *)"" : b.p, b.n);
	text[b.n] = '\0';
	return text;
}

static void
outgoing(void **state)
{
	static const struct slice complete = S_INIT(TRACE "From: Me <me@ours.example>\r\nTo: a@b.example\r\n"
						    "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@ours.example>\r\n"
						    "Subject: x\r\n\r\nhello\r\n");
	struct smtp_scan_judge_answer v = run(true, complete, "me@ours.example", NULL, 0);

	(void)state;
	assert_int_equal(v.action, SMTP_SCAN_ACTION_ACCEPT);
	assert_true(slice_eq(v.from, S("me@ours.example")) && v.n_edits == 1 && told("scan.signed"));
	assert_string_equal(signatures(), "pass pass ");
	assert_true(slice_starts(buf_slice(&w.mail), S("DKIM-Signature: ")) && slice_ends(buf_slice(&w.mail), complete));
	/* what is missing is added, what is hidden and what is forged goes, and the signature covers that */
	v = run(true, S(TRACE "Bcc: secret@one.example\r\nFrom: me@ours.example\r\nSubject: x\r\n"
			"bcc: secret@two.example,\r\n secret@three.example\r\n"
			"Authentication-Results: mx.example.test; dkim=pass header.d=forged\r\n\r\nhello\r\n"),
	    "me@ours.example", NULL, 0);
	assert_int_equal(v.action, SMTP_SCAN_ACTION_ACCEPT);
	assert_false(holds("secret") || holds("forged"));
	assert_true(holds("Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n") && holds("Message-ID: <abc.1@mx.example.test>\r\n"));
	assert_string_equal(signatures(), "pass pass ");
	/* nobody can add a second From, Date or Subject afterwards */
	{
		struct slice was;

		assert_true(arena_copy(w.a, buf_slice(&w.mail), &was));
		buf_reset(&w.mail);
		(void)buf_add(&w.mail, S("From: other@evil.example\r\n"));
		(void)buf_add(&w.mail, was);
		assert_string_equal(signatures(), "fail fail ");
	}
	/* what the server itself writes as its host name is signed by the domain that this lies in, and nobody else's is */
	{
		static const struct slice dsn = S_INIT(TRACE "From: Mail <MAILER-DAEMON@mx.ours.example>\r\nDate: x\r\n"
							   "Message-ID: <x@y>\r\n\r\nfailed\r\n");

		w.own = true;
		v = run(true, dsn, "", NULL, 0);
		w.own = false;
		assert_true(v.action == SMTP_SCAN_ACTION_ACCEPT && v.n_edits == 1 && holds("d=ours.example"));
		assert_string_equal(signatures(), "pass pass ");
		v = run(true, dsn, "", NULL, 0);
		assert_true(v.action == SMTP_SCAN_ACTION_ACCEPT && v.n_edits == 0);
	}
	/* a domain that is not ours is sent as it is */
	v = run(true, S(TRACE "From: me@not.example\r\nDate: x\r\nMessage-ID: <x@y>\r\n\r\nhello\r\n"), "me@ours.example", NULL, 0);
	assert_true(v.action == SMTP_SCAN_ACTION_ACCEPT && v.n_edits == 0);
}

static void
outgoing_refused(void **state)
{
	static const struct {
		const char *from;
		enum smtp_scan_action action;
	} table[] = {
		{ "", SMTP_SCAN_ACTION_REJECT },
		{ "From: me@ours.example\r\nFrom: you@ours.example\r\n", SMTP_SCAN_ACTION_REJECT },
		{ "From: me@ours.example, you@ours.example\r\n", SMTP_SCAN_ACTION_REJECT },
		{ "From: nobody\r\n", SMTP_SCAN_ACTION_REJECT },
		{ "From: me@ours.example\r\n", SMTP_SCAN_ACTION_ACCEPT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		own(buf_t) mail = { .max = 4096 };

		(void)buf_fmt(&mail, TRACE "%sSubject: x\r\n\r\nhello\r\n", table[i].from);
		assert_int_equal(run(true, buf_slice(&mail), "me@ours.example", NULL, 0).action, table[i].action);
	}
	/* nobody signs, or not with all keys: later, and never unsigned */
	w.sign_fails = true;
	assert_int_equal(run(true, S(TRACE "From: me@ours.example\r\n\r\nhello\r\n"), "me@ours.example", NULL, 0).action,
	    SMTP_SCAN_ACTION_DEFER);
	w.sign_fails = false;
	w.one_short = 1;
	assert_int_equal(run(true, S(TRACE "From: me@ours.example\r\n\r\nhello\r\n"), "me@ours.example", NULL, 0).action,
	    SMTP_SCAN_ACTION_DEFER);
	w.one_short = 0;
	w.keys_ipc = IPC_UNAVAILABLE;
	assert_int_equal(run(true, S(TRACE "From: me@ours.example\r\n\r\nhello\r\n"), "me@ours.example", NULL, 0).action,
	    SMTP_SCAN_ACTION_DEFER);
}

/* What goes on from here is sealed, and the next one that trusts us believes that DMARC passed. */
static void
forwarding(void **state)
{
	static const struct slice mail = S_INIT(TRACE "From: a@good.example\r\nSubject: x\r\n\r\nhello\r\n");
	struct smtp_scan_rcpt rcpts[] = { { S_INIT("bob@ours.example"), 2, S_INIT("bob@ours.example") },
		{ S_INIT("bob@elsewhere.example"), 0, S_INIT("team@ours.example") } };
	struct smtp_scan_judge_answer v = run(false, mail, "a@good.example", rcpts, 1);
	struct slice sealed;

	(void)state;
	assert_true(v.action == SMTP_SCAN_ACTION_ACCEPT && !holds("ARC-Seal"));
	v = run(false, mail, "a@good.example", rcpts, 2);
	assert_true(v.action == SMTP_SCAN_ACTION_ACCEPT && told("scan.sealed"));
	assert_true(slice_starts(buf_slice(&w.mail), S("ARC-Seal: ")) && holds("cv=none") && holds("i=1; mx.example.test;"));
	/* the forwarded message at its next station: another sender, so that SPF and DMARC fail */
	assert_true(arena_copy(w.a, buf_slice(&w.mail), &sealed));
	{
		own(buf_t) next = { .max = 65536 };

		(void)buf_add(&next, S(TRACE));
		(void)buf_add(&next, sealed);
		w.conf.hostname = S("mx.next.example");
		v = run(false, buf_slice(&next), "srs@ours.example", NULL, 0);
		assert_int_equal(v.action, SMTP_SCAN_ACTION_REJECT); /* p=reject, and nobody speaks for it */
		w.conf.trusted[w.conf.n_trusted++] = S("ours.example");
		v = run(false, buf_slice(&next), "srs@ours.example", NULL, 0);
		assert_int_equal(v.action, SMTP_SCAN_ACTION_ACCEPT);
		assert_true(holds("arc=pass") && holds("trusted forwarder"));
	}
	w.keys_ipc = IPC_UNAVAILABLE;
	assert_int_equal(run(false, mail, "a@good.example", rcpts, 2).action, SMTP_SCAN_ACTION_DEFER);
}

static void
rules(struct slice text)
{
	static struct filter_errors e;

	filter_free(&w.filter);
	e.n = 0;
	w.filter = text.n == 0 ? NULL : filter_compile(text, &e);
	if (text.n > 0 && w.filter == NULL)
		fail_msg("%u:%u: %s", e.v[0].at.line, e.v[0].at.column, e.v[0].text);
}

/* What rules decide about strangers' mail, and what else is done with it then. */
static void
filtered_in(void **state)
{
	static const struct {
		struct slice rules;
		enum scan_mode mode;
		const char *sender; /* in MAIL and From */
		enum smtp_scan_action action;
		const char *folder, *why, *redirect;
		bool verdict; /* it was judged, too */
	} table[] = {
		{ S_INIT("/^Subject/ REJECT r\n"), SCAN_ENFORCE, "a@good.example", SMTP_SCAN_ACTION_REJECT, "", "r", "", false },
		{ S_INIT("/^Subject/ REJECT 450 d\n"), SCAN_ENFORCE, "a@good.example", SMTP_SCAN_ACTION_DEFER, "", "d", "", false },
		{ S_INIT("/^Subject/ DISCARD x\n"), SCAN_ENFORCE, "a@good.example", SMTP_SCAN_ACTION_DISCARD, "", "x", "", false },
		{ S_INIT("/^Subject/ HOLD h\n"), SCAN_ENFORCE, "a@good.example", SMTP_SCAN_ACTION_HOLD, "", "h", "", true },
		{ S_INIT("/^Subject/ JUNK j\n"), SCAN_ENFORCE, "a@good.example", SMTP_SCAN_ACTION_QUARANTINE, "Junk", "j", "", true },
		{ S_INIT("/^Subject/ JUNK j\n/^From/ HOLD h\n"), SCAN_MARK, "a@good.example", SMTP_SCAN_ACTION_HOLD, "Junk", "h", "",
		    true },
		{ S_INIT("/^Subject/ REDIRECT b@ours.example\n"), SCAN_ENFORCE, "a@good.example", SMTP_SCAN_ACTION_ACCEPT, "",
		    NULL, "b@ours.example", true },
		/* the sender's domain has a word, too */
		{ S_INIT("/^Subject/ HOLD h\n"), SCAN_ENFORCE, "a@junk.example", SMTP_SCAN_ACTION_HOLD, "Junk", "h", "", true },
		{ S_INIT("/^Subject/ JUNK j\n"), SCAN_ENFORCE, "a@junk.example", SMTP_SCAN_ACTION_QUARANTINE, "Junk", NULL, "",
		    true },
		{ S_INIT("/^Subject/ HOLD h\n"), SCAN_ENFORCE, "a@down.example", SMTP_SCAN_ACTION_DEFER, "", NULL, "", true },
		{ S_INIT("/^From/ ACCEPT\n"), SCAN_ENFORCE, "a@junk.example", SMTP_SCAN_ACTION_QUARANTINE, "Junk", NULL, "", true },
		/* rules without sender authentication */
		{ S_INIT("/^Subject/ HOLD h\n"), SCAN_OFF, "a@junk.example", SMTP_SCAN_ACTION_HOLD, "", "h", "", false },
		{ S_INIT("[header out]\n/^Subject/ REJECT\n"), SCAN_OFF, "a@junk.example", SMTP_SCAN_ACTION_ACCEPT, "", "", "", false },
		/* our own trace is not theirs */
		{ S_INIT("/^Received/ REJECT\n"), SCAN_ENFORCE, "a@good.example", SMTP_SCAN_ACTION_ACCEPT, "", NULL, "", true },
		/* what cannot be tried is no acceptance */
		{ S_INIT("/^Subject: (x+)+$/ REJECT\n"), SCAN_ENFORCE, "a@good.example", SMTP_SCAN_ACTION_DEFER, "", NULL, "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		own(buf_t) mail = { .max = 4096 };
		struct smtp_scan_judge_answer v;

		rules(table[i].rules);
		w.conf.mode = table[i].mode;
		(void)buf_fmt(&mail, TRACE "From: %s\r\nSubject: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx!\r\n\r\nhello\r\n",
		    table[i].sender);
		v = run(false, buf_slice(&mail), table[i].sender, NULL, 0);
		if (v.action != table[i].action || !slice_eq(v.folder, slice_z(table[i].folder)) ||
		    (table[i].why != NULL && !slice_eq(v.why, slice_z(table[i].why))) ||
		    !slice_eq(v.redirect, slice_z(table[i].redirect)) || told("scan.verdict") != table[i].verdict)
			fail_msg("%.*s: %s %.*s", SFMT(table[i].rules), smtp_scan_action_name(v.action), SFMT(v.why));
	}
	rules(S(""));
}

/* The rules' changes and ours, one after the other: two lists become one. */
static void
filtered_changes(void **state)
{
	struct smtp_scan_rcpt away = { S_INIT("bob@elsewhere.example"), 0, S_INIT("team@ours.example") };
	struct smtp_scan_judge_answer v;

	(void)state;
	rules(S("/^X-A/ REMOVE\n/^X-B/ PREPEND X-N: new\n/^X-C: (.*)/ REPLACE X-D: $1\n[body]\n/two/ REPLACE 2\n/three/ REMOVE\n"));
	v = run(false, S(TRACE "X-A: 1\r\nAuthentication-Results: mx.example.test; dkim=pass\r\nX-B: 2\r\nX-C: 3\r\n"
			 "From: a@good.example\r\n\r\none\r\ntwo\r\nthree\r\n"),
	    "a@good.example", NULL, 0);
	assert_int_equal(v.action, SMTP_SCAN_ACTION_ACCEPT);
	assert_true(slice_starts(buf_slice(&w.mail), S("Authentication-Results: mx.example.test;")));
	assert_true(slice_ends(buf_slice(&w.mail), S("\r\n" TRACE "X-N: new\r\nX-B: 2\r\nX-D: 3\r\nFrom: a@good.example\r\n\r\n"
						     "one\r\n2\r\n")));
	/* what is signed is what goes out */
	rules(S("/^X-A/ REMOVE\n/^Subject: (.*)/ REPLACE Subject: [x] $1\n/^Bcc/ REMOVE\n/^Date/ REMOVE\n"
		"/^From/ PREPEND Bcc: new@one.example\n[body]\n/two/ REPLACE 2\n"));
	v = run(true, S(TRACE "Bcc: old@one.example\r\nX-A: 1\r\nFrom: me@ours.example\r\nDate: old\r\nSubject: x\r\n"
			"Authentication-Results: mx.example.test; forged\r\n\r\none\r\ntwo\r\n"),
	    "me@ours.example", NULL, 0);
	assert_int_equal(v.action, SMTP_SCAN_ACTION_ACCEPT);
	assert_string_equal(signatures(), "pass pass ");
	assert_true(slice_ends(buf_slice(&w.mail), S("From: me@ours.example\r\nSubject: [x] x\r\n\r\none\r\n2\r\n")));
	assert_false(holds("Bcc") || holds("X-A") || holds("Date: old") || holds("forged"));
	assert_true(holds("Date: Tue, 14 Nov 2023") && holds("Message-ID:"));
	/* From is what the rules make of it */
	rules(S("/^From/ REPLACE From: you@ours.example\n"));
	v = run(true, S(TRACE "From: me@ours.example\r\n\r\none\r\n"), "me@ours.example", NULL, 0);
	assert_true(v.action == SMTP_SCAN_ACTION_ACCEPT && slice_eq(v.from, S("you@ours.example")));
	assert_string_equal(signatures(), "pass pass ");
	/* what is forwarded is sealed as it goes on */
	rules(S("[body]\n/two/ REPLACE 2\n"));
	v = run(false, S(TRACE "From: a@good.example\r\nSubject: x\r\n\r\none\r\ntwo\r\n"), "a@good.example", &away, 1);
	assert_true(v.action == SMTP_SCAN_ACTION_ACCEPT && told("scan.sealed") && holds("\r\none\r\n2\r\n"));
	{
		own(buf_t) next = { .max = 65536 };

		(void)buf_add(&next, S(TRACE));
		(void)buf_add(&next, buf_slice(&w.mail));
		rules(S(""));
		w.conf.hostname = S("mx.next.example");
		w.conf.trusted[w.conf.n_trusted++] = S("ours.example");
		v = run(false, buf_slice(&next), "srs@ours.example", NULL, 0);
		assert_true(v.action == SMTP_SCAN_ACTION_ACCEPT && holds("arc=pass"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(verdicts, begin, finish),
		cmocka_unit_test_setup_teardown(forged, begin, finish),
		cmocka_unit_test_setup_teardown(outgoing, begin, finish),
		cmocka_unit_test_setup_teardown(bulk, begin, finish),
		cmocka_unit_test_setup_teardown(outgoing_refused, begin, finish),
		cmocka_unit_test_setup_teardown(forwarding, begin, finish),
		cmocka_unit_test_setup_teardown(filtered_in, begin, finish),
		cmocka_unit_test_setup_teardown(filtered_changes, begin, finish) };

	crypto_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
