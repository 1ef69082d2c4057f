/* SPDX-License-Identifier: MIT
 * A message through both ways of the room, with a zone up to the first NUL. What holds whatever it is: the edits
 * are in order and inside the message; what comes in leaves with no results of ours but our own on top; what goes
 * out has a Date and a Message-ID and hides no recipient. */
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/make/authres.h"
#include "lib/resolve/zone.h"
#include "rooms/scan/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct zone zone;

static void
ask(void *ctx, struct slice name, enum rr_type type, uint64_t session, uint64_t deadline_ms, struct arena *a,
    struct resolve_wire *out)
{
	(void)ctx;
	(void)session;
	(void)deadline_ms;
	zone_query(&zone, name, type, a, out);
}

static enum ipc_status
policy(void *ctx, const struct scan_auth_sender_policy *in, uint64_t deadline_ms, struct arena *a,
    struct scan_auth_sender_policy_answer *out)
{
	(void)ctx;
	(void)in;
	(void)deadline_ms;
	(void)a;
	*out = (struct scan_auth_sender_policy_answer){ .policy = SCAN_AUTH_POLICY_UNSAID };
	return IPC_OK;
}

static enum ipc_status
signers(void *ctx, const struct scan_keys_signers *in, uint64_t deadline_ms, struct arena *a,
    struct scan_keys_signers_answer *out)
{
	static struct scan_keys_signer one = { S_INIT("s"), SCAN_KEYS_ALGORITHM_RSA_SHA256 };

	(void)ctx;
	(void)in;
	(void)deadline_ms;
	(void)a;
	*out = (struct scan_keys_signers_answer){ .signers = &one, .n_signers = 1 };
	return IPC_OK;
}

static enum ipc_status
sign(void *ctx, const struct scan_keys_sign *in, uint64_t deadline_ms, struct arena *a,
    struct scan_keys_sign_answer *out)
{
	(void)ctx;
	(void)deadline_ms;
	(void)a;
	static struct scan_keys_made made;

	made.signature = in->parts[0].digest;
	*out = (struct scan_keys_sign_answer){ .status = SCAN_KEYS_STATUS_OK, .signatures = &made, .n_signatures = 1 };
	return IPC_OK;
}

static void
event(void *ctx, enum event_kind kind, uint64_t session, struct slice queue_id, struct slice account,
    const struct event_field *fields, size_t n)
{
	(void)ctx;
	(void)kind;
	(void)session;
	(void)queue_id;
	(void)account;
	(void)fields;
	PN_ASSERT(n <= LIMIT_EVENT_FIELDS);
}

static void
apply(struct slice bytes, const struct smtp_scan_judge_answer *v, struct buf *out)
{
	size_t at = 0;

	for (size_t i = 0; i < v->n_edits; i++) {
		const struct smtp_scan_edit *e = &v->edits[i];

		PN_ASSERT(e->at >= at && e->at <= bytes.n && e->remove <= bytes.n - e->at);
		(void)buf_add(out, slice_sub(bytes, at, (size_t)e->at - at));
		(void)buf_add(out, e->insert);
		at = (size_t)(e->at + e->remove);
	}
	PN_ASSERT(buf_add(out, slice_from(bytes, at)));
}

/* How many fields of this name the message has. */
static size_t
fields(struct slice mail, struct slice name, bool ours)
{
	struct cursor c = cur_of(mail);
	struct header_field f;
	size_t n = 0;

	while (header_next(&c, &f))
		n += slice_ieq(f.name, name) && (!ours || authres_owner(f.body, S("mx.example")) != AUTHRES_OTHER);
	return n;
}

static void
check(bool outgoing, struct slice mail)
{
	static const uint8_t ip[4] = { 192, 0, 2, 1 };
	static struct scan_conf conf = { .hostname = S_INIT("mx.example"), .mode = SCAN_ENFORCE, .dns_ms = 1000 };
	static const struct scan_backend back = { ask, policy, signers, sign, event, NULL };
	struct smtp_scan_rcpt to = { S_INIT("x@far.example"), 0, S_INIT("team@ours.example") };
	struct smtp_scan_judge in = { .queue_id = S("q.1"), .peer_ip = slice_of(ip, 4), .helo = S("h.example"),
		.sender = S("a@example.org"), .size = mail.n, .rcpts = &to, .n_rcpts = 1 };
	own(arena_p) a = arena_new("fuzz", 1 << 23);
	own(buf_t) edited = { .max = 1 << 25 };
	struct scan_job *j = ARENA_NEW(a, struct scan_job);
	struct smtp_scan_judge_answer v;

	*j = (struct scan_job){ .conf = &conf, .back = &back, .a = a, .in = &in, .now_ms = clock_mono_ms(), .now = 1700000000 };
	if (outgoing)
		scan_outgoing(j, mail, &v);
	else
		scan_incoming(j, mail, &v);
	apply(mail, &v, &edited);
	if (v.action != SMTP_SCAN_ACTION_ACCEPT && v.action != SMTP_SCAN_ACTION_QUARANTINE) {
		PN_ASSERT(v.n_edits == 0 && v.code >= 400 && v.text.n > 0);
		return;
	}
	if (!outgoing) {
		PN_ASSERT(fields(buf_slice(&edited), S("Authentication-Results"), true) == 1);
		return;
	}
	PN_ASSERT(fields(buf_slice(&edited), S("Authentication-Results"), true) == 0);
	PN_ASSERT(fields(buf_slice(&edited), S("Bcc"), false) == 0);
	PN_ASSERT(fields(buf_slice(&edited), S("Date"), false) > 0 && fields(buf_slice(&edited), S("Message-ID"), false) > 0);
	PN_ASSERT(v.from.n > 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	own(arena_p) a = arena_new("zone", 1 << 22);
	struct slice records, mail;

	if (!slice_cut(slice_of(data, n), '\0', &records, &mail))
		return 0;
	(void)zone_parse(records, a, &zone);
	check(false, mail);
	check(true, mail);
	return 0;
}
