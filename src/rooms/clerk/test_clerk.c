/* SPDX-License-Identifier: MIT
 * The clerk between rooms that the test plays (test_clerk.h). What we judged becomes a report mail that
 * our own reader understands to the row; what comes in is kept or dropped as A-025 wants it. */
#include "rooms/clerk/test_clerk.h"

/* ---- what we owe ---- */

struct seen {
	size_t rows;
	uint64_t passed, failed;
};

static bool
on_row(void *self, const struct dmarc_report_row *row)
{
	struct seen *s = self;

	s->rows++;
	assert_true(slice_eq(row->header_from, S("a.example")) && slice_eq(row->envelope_to, S("example.test")));
	assert_true(row->n_spf == 1 && slice_eq(row->spf_auth[0].scope, S("mfrom")) && row->ip.n == 4);
	if (slice_eq(row->dkim, S("pass"))) {
		s->passed += row->count;
		assert_true(row->n_dkim == 2 && slice_eq(row->dkim_auth[0].selector, S("s1")) &&
		    slice_eq(row->dkim_auth[1].human, S("body")) && slice_eq(row->spf, S("fail")));
		assert_true(slice_eq(row->disposition, S("none")) && row->n_reasons == 0);
	} else {
		s->failed += row->count;
		assert_true(slice_eq(row->disposition, S("reject")) && row->n_dkim == 0);
	}
	return true;
}

/* The attachment of the mail that was sent last. */
static enum report_form
attachment(struct buf *part)
{
	own(arena_p) a = arena_new("mail", 1 << 20);
	struct report_walk walk;
	struct mime m;

	assert_true(mime_parse(slice_of(w.mail, w.mail_n), a, &m));
	walk = report_walk_of(&m);
	return report_next(&walk, part);
}

static bool
mail_has(const char *text)
{
	return slice_find(slice_of(w.mail, w.mail_n), slice_z(text)) != SLICE_NONE;
}

static void
owed_and_sent(void **state)
{
	own(buf_t) part = { .max = 1 << 20 };
	own(arena_p) a = arena_new("report", 1 << 20);
	struct dmarc_report r;
	struct seen seen = { 0 };

	for (int i = 0; i < 20; i++)
		judged(NOON + i, "a.example", "192.0.2.1", true, "accept");
	judged(NOON, "a.example", "192.0.2.66", false, "reject");
	judged(NOON, "a.example", "192.0.2.66", false, "defer");     /* comes again, and is counted then */
	judged(NOON + DAY, "a.example", "192.0.2.1", true, "accept"); /* tomorrow's */
	count_all();
	count_all(); /* nothing is counted twice */
	work_off();
	assert_int_equal(w.mails, 0); /* the day is not over */
	at(20001 * DAY + 60000000);
	work_off();
	assert_int_equal(w.mails, 0); /* nor the jitter */
	at(20001 * DAY + 4300 * INT64_C(1000000));
	work_off();
	work_off();
	assert_int_equal(w.mails, 1);
	assert_string_equal(w.to, "rua@a.example/0");
	assert_true(mail_has("DKIM-Signature: signed\r\nFrom: noreply-dmarc@example.test\r\nTo: rua@a.example\r\n"));
	assert_true(mail_has("Subject: Report Domain: a.example Submitter: mail.example.test Report-ID: <2000000.a.example>"));
	assert_true(mail_has("filename=\"mail.example.test!a.example!1728000000!1728086399!2000000.a.example.xml.gz\""));
	assert_int_equal(attachment(&part), REPORT_FORM_DMARC);
	assert_int_equal(dmarc_report_read(buf_slice(&part), a, on_row, &seen, &r), DMARC_REPORT_OK);
	assert_true(seen.rows == 2 && seen.passed == 20 && seen.failed == 1);
	assert_true(r.begin == 1728000000 && r.end == 1728086399 && slice_eq(r.domain, S("a.example")));
	assert_true(slice_eq(r.p, S("reject")) && slice_eq(r.sp, S("none")) && slice_eq(r.aspf, S("s")) &&
	    slice_eq(r.testing, S("y")) && slice_eq(r.discovery, S("treewalk")));
	/* what comes late for a day that was told makes a part of its own */
	judged(NOON + 5, "a.example", "192.0.2.9", true, "accept");
	count_all();
	work_off();
	assert_true(w.mails == 2 && mail_has("Report-ID: <2000001.a.example>"));
	at(20002 * DAY + 4300 * INT64_C(1000000));
	work_off();
	assert_true(w.mails == 3 && mail_has("Report-ID: <2000100.a.example>"));
}

struct owed {
	unsigned n[4];
	char why[8][100];
};

static bool
on_owed(void *ctx, const struct reports_owed *o)
{
	struct owed *all = ctx;

	(void)snprintf(all->why[(all->n[0] + all->n[1] + all->n[2] + all->n[3]) % 8], 100, "%.*s: %.*s",
	    SFMT(o->domain), SFMT(o->why));
	all->n[o->state]++;
	return true;
}

static struct owed
owed(void)
{
	struct owed all = { 0 };

	assert_int_equal(reports_owed_list(w.c.reports, 0, 50, on_owed, &all), STORE_OK);
	return all;
}

static void
destinations(void **state)
{
	struct owed all;

	judged(NOON, "b.example", "192.0.2.1", true, "accept");
	judged(NOON, "c.example", "192.0.2.1", true, "accept");
	judged(NOON, "d.example", "192.0.2.1", true, "accept");
	judged(NOON, "nothing.example", "192.0.2.1", true, "accept");
	count_all();
	at(NOON + DAY);
	work_off();
	/* b: one destination did not agree, the other one takes 10 bytes; c asks for none; d: the DNS fails */
	all = owed();
	assert_int_equal(w.mails, 0);
	assert_true(all.n[OWED_OPEN] == 1 && all.n[OWED_NONE] == 3 && all.n[OWED_SENT] == 0);
	assert_non_null(strstr(all.why[0], "larger than its destination takes"));
	assert_non_null(strstr(all.why[1], "asks for no reports by mail"));
	assert_non_null(strstr(all.why[2], "the DNS does not say"));
	/* it is asked again, and given up one day */
	for (int i = 2; i < 20; i++) {
		at(NOON + i * DAY);
		work_off();
	}
	all = owed();
	assert_int_equal(all.n[OWED_NONE], 4);
}

/* No double, no gap: whatever happens between us and the queue. */
static void
once(void **state)
{
	judged(NOON, "a.example", "192.0.2.1", true, "accept");
	count_all();
	at(NOON + DAY);
	w.accept = SMTP_QUEUE_ACCEPT_STATUS_FULL;
	work_off();
	assert_true(w.mails == 0 && owed().n[OWED_OPEN] == 1);
	/* the queue takes it and its answer is lost; then the clerk dies */
	w.accept = SMTP_QUEUE_ACCEPT_STATUS_OK;
	w.silent = w.stored = true;
	at(NOON + DAY + DAY / 24);
	work_off();
	assert_true(w.mails == 1 && owed().n[OWED_SENDING] == 1);
	close_clerk();
	open_clerk();
	w.silent = false;
	at(NOON + 2 * DAY);
	work_off();
	assert_true(w.mails == 1 && owed().n[OWED_SENT] == 1);
	/* another day: the same, but the queue never had it */
	w.events[w.n_events - 1].kind = EVENT_QUEUE_DONE;
	judged(NOON + 2 * DAY, "a.example", "192.0.2.1", true, "accept");
	w.events[w.n_events - 1].id = 5000;
	count_all();
	at(NOON + 3 * DAY);
	assert_int_equal(reports_owe(w.c.reports, &(struct reports_owed){ .kind = REPORT_DMARC, .period = 2000200,
		.domain = S("a.example"), .to = S("rua@a.example"), .state = OWED_SENDING, .session = 99 }), STORE_OK);
	work_off();
	assert_true(w.mails == 3); /* the planned one, and the one that nobody stored */
}

struct tls_seen {
	uint64_t good, bad;
	unsigned policies;
};

static bool
on_policy(void *self, const struct tls_report_policy *p)
{
	struct tls_seen *s = self;

	s->policies++;
	s->good += p->successes;
	s->bad += p->failed;
	assert_true(slice_eq(p->type, S("sts")) && p->domain.n == 9);
	assert_true(slice_eq(p->string, S("version: STSv1\nmode: testing\nmx: mx.a.example\nmx: *.b.example\nmax_age: 86400")) ||
	    slice_eq(p->string, S("version: STSv1\nmode: enforce\nmx: mx.a.example\nmax_age: 86400")));
	assert_true(slice_eq(p->mx, S("mx.a.example")) || slice_eq(p->mx, S("mx.a.example, *.b.example")));
	assert_true(p->n <= 1);
	assert_true(p->n == 0 || (slice_eq(p->failures[0].type, S("certificate-expired")) &&
	    slice_eq(p->failures[0].receiving_mx, S("mx.a.example")) &&
	    slice_eq(p->failures[0].sending_ip, S("192.0.2.8"))));
	return true;
}

#define ENFORCE "version: STSv1\nmode: enforce\nmx: mx.a.example\nmax_age: 86400"
#define TESTING "version: STSv1\nmode: testing\nmx: mx.a.example\nmx: *.b.example\nmax_age: 86400"

static void
tls(void **state)
{
	own(buf_t) part = { .max = 1 << 20 };
	own(arena_p) a = arena_new("report", 1 << 20);
	struct tls_report r;
	struct tls_seen seen = { 0 };

	for (int i = 0; i < 5; i++)
		session(NOON, "a.example", ENFORCE, "ok");
	session(NOON, "a.example", ENFORCE, "certificate-expired");
	session(NOON, "a.example", ENFORCE, "certificate-expired");
	session(NOON, "a.example", TESTING, "ok"); /* another policy, whose sessions are told apart */
	session(NOON, "b.example", ENFORCE, "ok");
	session(NOON, "b.example", ENFORCE, "ok");
	count_all();
	at(NOON + DAY);
	work_off();
	assert_int_equal(w.mails, 1);
	assert_true(owed().n[OWED_OPEN] == 1 && owed().n[OWED_SENT] == 1 && w.posts == 1); /* b's web server is not there */
	w.http = 503;
	at(NOON + DAY + DAY / 24);
	work_off();
	assert_true(owed().n[OWED_OPEN] == 1 && w.posts == 2);
	w.http = 201;
	at(NOON + DAY + DAY / 12);
	work_off();
	assert_true(owed().n[OWED_SENT] == 2 && w.posts == 3 && w.mails == 1);
	assert_string_equal(w.url, "https://b.example/r");
	assert_int_equal(tls_report_read(slice_of(w.posted, w.posted_n), a, on_policy, &seen, &r), TLS_REPORT_OK);
	assert_true(seen.policies == 1 && seen.good == 2 && seen.bad == 0);
	seen = (struct tls_seen){ 0 };
	assert_true(mail_has("TLS-Report-Domain: a.example\r\nTLS-Report-Submitter: mail.example.test\r\n") &&
	    mail_has("report-type=\"tlsrpt\"") && mail_has("application/tlsrpt+gzip") && mail_has(".json.gz\""));
	assert_int_equal(attachment(&part), REPORT_FORM_TLS);
	assert_int_equal(tls_report_read(buf_slice(&part), a, on_policy, &seen, &r), TLS_REPORT_OK);
	assert_true(seen.policies == 2 && seen.good == 6 && seen.bad == 2);
}

/* ---- what comes in ---- */

static int
sealed(struct slice s)
{
	int fd = memfd_create("mail", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0 && write(fd, s.p, s.n) == (ssize_t)s.n);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	return fd;
}

static enum queue_mailbox_deliver_status delivered;

static void
on_delivered(void *ctx, uint32_t id, struct queue_mailbox_deliver_answer *m)
{
	(void)ctx, (void)id;
	delivered = m->status;
}

/* Queue delivers a mail, readers come as long as they are wanted. */
static enum queue_mailbox_deliver_status
deliver(uint64_t id, struct slice mail)
{
	static const struct queue_mailbox_answers h = { .deliver = on_delivered };
	own(fd_t) fd = sealed(mail);
	struct queue_mailbox_deliver m = { .delivery = id, .floor = 1, .sender = S("noreply@reporter.example"),
		.rcpt = S("dmarc-reports@example.test"), .queue_id = S("x.1"), .size = mail.n, .fd = fd };
	struct ipc_channel *ch;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	clerk_introduce(&w.c, "deliveries", "", ends[0]);
	ch = ipc_channel_new(ends[1], "clerk", "");
	assert_int_equal(queue_mailbox_deliver_ask(ch, 1, &m), IPC_OK);
	clock_real();
	delivered = QUEUE_MAILBOX_DELIVER_STATUS_TRY_LATER;
	for (int i = 0; i < 8; i++) {
		loop_once(w.c.loop, 20);
		if (w.c.wanted && w.n_threads < 60)
			meet("reader", serve_reader);
	}
	assert_int_equal(queue_mailbox_answers_serve(ch, &h, NULL), IPC_OK);
	ipc_channel_free(&ch);
	return delivered;
}

#define HEAD "From: r@reporter.example\r\nContent-Type: text/xml\r\n\r\n"
#define REPORT(domain, id, rows)                                                                   \
	"<feedback><report_metadata><org_name>O</org_name><report_id>" id "</report_id><date_range><begin>1</begin>" \
	"<end>99</end></date_range></report_metadata><policy_published><domain>" domain "</domain><p>none</p>"      \
	"</policy_published>" rows "</feedback>"
#define ROW                                                                                        \
	"<record><row><source_ip>192.0.2.1</source_ip><count>3</count><policy_evaluated><disposition>none</disposition>" \
	"<dkim>pass</dkim><spf>fail</spf></policy_evaluated></row></record>"

static struct reports_summary
summary(void)
{
	own(arena_p) a = arena_new("summary", 4096);
	const struct reports_question q = { .domain = S("") };
	struct reports_summary s;

	assert_int_equal(reports_summary(w.c.reports, &q, a, &s), STORE_OK);
	return s;
}

static bool
count_unreadable(void *ctx, const struct reports_mail *m)
{
	*(unsigned *)ctx += m->why.n > 0 ? 1 : 0;
	return true;
}

static unsigned
unreadable(void)
{
	unsigned n = 0;

	assert_int_equal(reports_inbox(w.c.reports, 100, count_unreadable, &n), STORE_OK);
	return n;
}

static void
received(void **state)
{
	const enum queue_mailbox_deliver_status ok = QUEUE_MAILBOX_DELIVER_STATUS_OK;
	struct reports_summary s;

	assert_int_equal(deliver(10, S(HEAD REPORT("example.test", "1", ROW ROW))), ok);
	s = summary();
	assert_true(s.reports == 1 && s.messages == 6 && s.passed == 6 && s.unverified == 1);
	/* queue delivers twice; a reporter sends twice; neither counts */
	assert_int_equal(deliver(10, S(HEAD REPORT("example.test", "1", ROW ROW))), ok);
	assert_int_equal(deliver(11, S(HEAD REPORT("example.test", "1", ROW ROW))), ok);
	assert_int_equal(summary().reports, 1);
	/* our own server vouches for the sender of this one; the domain is below ours */
	assert_int_equal(deliver(12, S("Authentication-Results: mail.example.test; dmarc=pass\r\n" HEAD REPORT(
				    "sub.example.test", "2", ROW))), ok);
	s = summary();
	assert_true(s.reports == 2 && s.unverified == 1 && s.messages == 9);
	/* a damaged one is kept as far as it goes */
	assert_int_equal(deliver(13, S(HEAD REPORT("example.test", "3", ROW "<record><"))), ok);
	assert_true(summary().reports == 3 && summary().damaged == 1);
	/* what is no report is kept for somebody to see */
	assert_int_equal(deliver(14, S("Subject: hello\r\n\r\nhello\r\n")), ok);
	assert_int_equal(unreadable(), 1);
	/* auth is away: later */
	w.unknown_domains = true;
	assert_int_equal(deliver(15, S(HEAD REPORT("example.test", "4", ROW))), ok);
	assert_true(summary().reports == 3 && unreadable() == 1);
}

static struct slice
many_rows(struct buf *b, unsigned n)
{
	(void)buf_add(b, S("<feedback><report_metadata><report_id>9</report_id></report_metadata><policy_published>"
			   "<domain>example.test</domain></policy_published>"));
	for (unsigned i = 0; i < n; i++)
		(void)buf_add(b, S(ROW));
	(void)buf_add(b, S("</feedback>"));
	return buf_slice(b);
}

/* stored or dropped, nothing else happens. The memory bound is the reader's own wall, and
 * check_reports.py's. */
static void
a_025(void **state)
{
	static const char *const bad[] = {
		/* billion laughs, an external entity, a DTD alone */
		"<!DOCTYPE feedback [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>" REPORT("example.test", "&b;", ROW),
		"<!DOCTYPE feedback [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>" REPORT("example.test", "&x;", ROW),
		"<!DOCTYPE feedback SYSTEM \"http://evil.example/x.dtd\">" REPORT("example.test", "5", ROW),
		/* not ours */
		REPORT("victim.example", "6", ROW),
		REPORT("test", "7", ROW),
		REPORT("notexample.test", "8", ROW),
		/* SQL and HTML */
		REPORT("x'); DROP TABLE report;--.example.tset", "9", ROW),
		REPORT("&lt;script&gt;alert(1)&lt;/script&gt;", "10", ROW),
	};
	own(buf_t) rows = { .max = 200000000 };
	own(buf_t) packed = { .max = 10000000 };
	own(buf_t) mail = { .max = 16000000 };
	uint64_t id = 100;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		buf_reset(&mail);
		(void)buf_add(&mail, S(HEAD));
		(void)buf_add(&mail, slice_z(bad[i]));
		assert_int_equal(deliver(id++, buf_slice(&mail)), QUEUE_MAILBOX_DELIVER_STATUS_OK);
		if (summary().reports != 0)
			fail_msg("report %zu was stored", i);
	}
	/* hostile texts in a report about us are texts */
	assert_int_equal(deliver(id++, S(HEAD REPORT("example.test", "x'); DROP TABLE report;--", ROW))),
	    QUEUE_MAILBOX_DELIVER_STATUS_OK);
	assert_int_equal(summary().reports, 1);
	/* 60,000 rows, packed; and a bomb of 100 MB of zeros */
	assert_true(report_gzip(&packed, many_rows(&rows, 60000)));
	assert_int_equal(deliver(id++, buf_slice(&packed)), QUEUE_MAILBOX_DELIVER_STATUS_OK);
	buf_reset(&rows);
	buf_reset(&packed);
	(void)buf_add(&rows, S("<feedback>"));
	memset(buf_room(&rows, 100000000), ' ', 100000000);
	buf_grown(&rows, 100000000);
	assert_true(report_gzip(&packed, buf_slice(&rows)));
	assert_int_equal(deliver(id++, buf_slice(&packed)), QUEUE_MAILBOX_DELIVER_STATUS_OK);
	assert_true(summary().reports == 1 && summary().messages == 3);
	/* over what a report may be */
	buf_reset(&rows);
	memset(buf_room(&rows, LIMIT_REPORT_MAIL + 1), 'x', LIMIT_REPORT_MAIL + 1);
	buf_grown(&rows, LIMIT_REPORT_MAIL + 1);
	assert_int_equal(deliver(id++, buf_slice(&rows)), QUEUE_MAILBOX_DELIVER_STATUS_REFUSED);
}

/* A mail that ends its reader is tried CLERK_TRIES times and set aside; the next one is read. */
static void
deadly(void **state)
{
	w.reader_dies = true;
	assert_int_equal(deliver(20, S(HEAD REPORT("example.test", "1", ROW))), QUEUE_MAILBOX_DELIVER_STATUS_OK);
	assert_int_equal(w.readers, 1);
	for (unsigned i = 1; i < CLERK_TRIES + 1; i++) {
		loop_cancel(w.c.loop, &w.c.reading); /* half a minute passes */
		reading_kick(&w.c);
		if (w.c.wanted)
			meet("reader", serve_reader);
	}
	assert_int_equal(w.readers, CLERK_TRIES);
	assert_int_equal(unreadable(), 1);
	w.reader_dies = false;
	loop_cancel(w.c.loop, &w.c.reading);
	assert_int_equal(deliver(21, S(HEAD REPORT("example.test", "2", ROW))), QUEUE_MAILBOX_DELIVER_STATUS_OK);
	assert_int_equal(summary().reports, 1);
}

static bool
named(void *ctx, const struct reports_sender *s)
{
	*(bool *)ctx = slice_eq(s->source, S("192.0.2.1")) && slice_eq(s->name, S("mail.a.example"));
	return true;
}

static void
names(void **state)
{
	const struct reports_question q = { .domain = S("example.test") };
	bool found = false;

	assert_int_equal(deliver(30, S(HEAD REPORT("example.test", "1", ROW))), QUEUE_MAILBOX_DELIVER_STATUS_OK);
	for (int i = 0; i < 30 && !found; i++) {
		names_kick(&w.c);
		for (int k = 0; k < 3; k++)
			loop_once(w.c.loop, 250);
		assert_int_equal(reports_senders(w.c.reports, &q, 0, 5, named, &found), STORE_OK);
	}
	assert_true(found);
}

/* Only a key that the world sees is said to be seen: our own resolver, and all public ones that answer. Time passes until
 * nothing is left to do. */
static void
rotation(void **state)
{
	w.old = "cloudflare";
	rotation_step(&w.c);
	assert_string_equal(w.keys_seen, "");
	assert_int_equal(w.asked, 2); /* of the key that we see ourselves, until one says no */
	assert_int_equal(w.ticks, 3);
	w.ticks = 0;
	w.old = NULL;
	w.dead = "quad9";
	rotation_step(&w.c);
	assert_int_equal(w.asked, 5);
	assert_string_equal(w.keys_seen, "example.test/new ");
	assert_int_equal(w.ticks, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(owed_and_sent, begin, end),
		cmocka_unit_test_setup_teardown(destinations, begin, end),
		cmocka_unit_test_setup_teardown(once, begin, end), cmocka_unit_test_setup_teardown(tls, begin, end),
		cmocka_unit_test_setup_teardown(received, begin, end), cmocka_unit_test_setup_teardown(a_025, begin, end),
		cmocka_unit_test_setup_teardown(deadly, begin, end), cmocka_unit_test_setup_teardown(names, begin, end),
		cmocka_unit_test_setup_teardown(rotation, begin, end) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
