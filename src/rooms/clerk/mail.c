/* SPDX-License-Identifier: MIT
 * A report becomes a mail: RFC 9990 section 3.2 and RFC 8460 section 5.3. It goes the way of all mail
 * that leaves: scan signs it, queue takes it over. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/clerk_auth.h"
#include "ipc/smtp_queue.h"
#include "ipc/smtp_scan.h"
#include "lib/base/encode.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/events/events.h"
#include "lib/fetch/fetch.h"
#include "lib/make/date.h"
#include "rooms/clerk/clerk.h"

#define MAIL_MOST ((size_t)16777216)
#define LINE ((size_t)57) /* octets of one line of base64 */
#define SIGN_MS 15000u
#define POST_MS 15000u
#define POST_ANSWER ((size_t)65536) /* nobody reads it */
#define MOST_HOME ((size_t)20)

void
mail_queue_id(uint64_t session, char out[static QUEUE_ID_TEXT])
{
	(void)snprintf(out, QUEUE_ID_TEXT, "%s.1", session_text(session).z);
}

static void
put_head(struct buf *b, const struct clerk *c, const struct mail *m, const char *boundary)
{
	bool tls = m->kind == REPORT_TLS;

	(void)buf_fmt(b, "From: %.*s\r\nTo: %.*s\r\nSubject: ", SFMT(m->from), SFMT(m->to));
	(void)buf_add(b, m->subject);
	(void)buf_add(b, S("\r\nDate: "));
	(void)date_format_rfc5322(b, m->now_us / 1000000, 0);
	(void)buf_fmt(b, "\r\nMessage-ID: <%s.report@%.*s>\r\n", session_text(m->session).z, SFMT(c->hostname));
	if (tls)
		(void)buf_fmt(b, "TLS-Report-Domain: %.*s\r\nTLS-Report-Submitter: %.*s\r\n", SFMT(m->domain),
		    SFMT(c->hostname));
	(void)buf_add(b, S("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"));
	(void)buf_add(b, tls ? S("Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n")
			     : S("Content-Type: multipart/mixed;\r\n"));
	(void)buf_fmt(b, "\tboundary=\"%s\"\r\n\r\n", boundary);
}

static void
put_base64(struct buf *b, struct slice s)
{
	for (size_t at = 0; at < s.n && !b->bad; at += LINE) {
		(void)base64_encode(b, slice_head(slice_from(s, at), LINE));
		(void)buf_add(b, S("\r\n"));
	}
}

bool
mail_write(struct buf *b, const struct clerk *c, const struct mail *m)
{
	char boundary[40];
	bool tls = m->kind == REPORT_TLS;

	(void)snprintf(boundary, sizeof boundary, "=_report_%s", session_text(m->session).z);
	put_head(b, c, m, boundary);
	(void)buf_fmt(b, "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", boundary);
	(void)buf_fmt(b,
	    tls ? "What %.*s saw of TLS when it sent mail to %.*s,\r\nas the domain asks for (RFC 8460).\r\n" :
		  "What %.*s saw of mail in the name of %.*s,\r\nas the domain asks for (DMARC, RFC 9990).\r\n",
	    SFMT(c->hostname), SFMT(m->domain));
	(void)buf_add(b, S("A program wrote this, and no one reads the answers.\r\n"));
	(void)buf_fmt(b, "\r\n--%s\r\nContent-Type: %s; name=\"%.*s\"\r\n", boundary,
	    tls ? "application/tlsrpt+gzip" : "application/gzip", SFMT(m->filename));
	(void)buf_fmt(b, "Content-Disposition: attachment; filename=\"%.*s\"\r\n", SFMT(m->filename));
	(void)buf_add(b, S("Content-Transfer-Encoding: base64\r\n\r\n"));
	put_base64(b, m->packed);
	return buf_fmt(b, "--%s--\r\n", boundary);
}

static int
sealed(struct slice s)
{
	own(fd_t) fd = memfd_create("report", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	while (fd >= 0 && s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n <= 0)
			return -1;
		s = slice_from(s, (size_t)n);
	}
	if (fd < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return -1;
	return fd_take(&fd);
}

/* What scan asks for; false when its edits are none. */
static bool
edited(struct slice mail, const struct smtp_scan_judge_answer *a, struct buf *out)
{
	uint64_t at = 0;

	for (size_t i = 0; i < a->n_edits; i++) {
		const struct smtp_scan_edit *e = &a->edits[i];

		if (e->at < at || e->at > mail.n || e->remove > mail.n - e->at)
			return false;
		(void)buf_add(out, slice_sub(mail, (size_t)at, (size_t)(e->at - at)));
		(void)buf_add(out, e->insert);
		at = e->at + e->remove;
	}
	return buf_add(out, slice_from(mail, (size_t)at));
}

static enum mail_status
sign(struct clerk *c, const struct mail *m, struct slice queue_id, struct slice mail, struct buf *out,
    const char **why)
{
	own(arena_p) a = arena_new("sign", LIMIT_ARENA_MESSAGE);
	own(fd_t) fd = sealed(mail);
	struct smtp_scan_rcpt rcpt = { .address = m->to };
	struct smtp_scan_judge in = { .queue_id = queue_id, .session = m->session, .helo = c->hostname,
		.sender = m->from, .size = mail.n, .received_us = m->now_us, .rcpts = &rcpt, .n_rcpts = 1,
		.fd = fd };
	struct smtp_scan_judge_answer answer;

	*why = "scan did not sign it";
	if (fd < 0 || !ipc_client_connected(c->scan) ||
	    smtp_scan_judge(c->scan, &in, clock_mono_ms() + SIGN_MS, a, &answer) != IPC_OK ||
	    answer.action == SMTP_SCAN_ACTION_DEFER)
		return MAIL_LATER;
	if (answer.action != SMTP_SCAN_ACTION_ACCEPT) {
		*why = "scan refused it";
		return MAIL_REFUSED;
	}
	return edited(mail, &answer, out) ? MAIL_SENT : MAIL_LATER;
}

/* A destination at home is a delivery like any other; one that is not here goes out. */
static bool
find_home(struct clerk *c, struct slice to, struct arena *a, struct smtp_queue_rcpt *rcpts, size_t *n)
{
	struct clerk_auth_resolve in = { .address = to };
	struct clerk_auth_resolve_answer out;

	if (!ipc_client_connected(c->auth) ||
	    clerk_auth_resolve(c->auth, &in, clock_mono_ms() + CLERK_ASK_MS, a, &out) != IPC_OK ||
	    out.place == CLERK_AUTH_PLACE_FAILED)
		return false;
	*n = 0;
	if (out.place == CLERK_AUTH_PLACE_ELSEWHERE)
		rcpts[(*n)++] = (struct smtp_queue_rcpt){ .address = to };
	for (size_t i = 0; out.place == CLERK_AUTH_PLACE_HERE && i < out.n_targets && i < MOST_HOME; i++)
		rcpts[(*n)++] = (struct smtp_queue_rcpt){ .address = out.targets[i].address,
			.account = out.targets[i].account, .original = to };
	return true;
}

enum mail_status
mail_send(struct clerk *c, const struct mail *m, const char **why)
{
	own(arena_p) a = arena_new("send", LIMIT_ARENA_COMMAND);
	own(buf_t) mail = { .max = MAIL_MOST };
	own(buf_t) whole = { .max = MAIL_MOST };
	own(fd_t) fd = -1;
	char id[QUEUE_ID_TEXT];
	struct smtp_queue_rcpt rcpts[MOST_HOME];
	struct smtp_queue_accept in = { .session = m->session, .sender = m->from, .received_us = m->now_us,
		.rcpts = rcpts, .priority = -4 };
	struct smtp_queue_accept_answer answer;
	enum mail_status st;
	enum ipc_status ipc;

	mail_queue_id(m->session, id);
	in.queue_id = slice_z(id);
	*why = "auth does not say where it goes";
	if (!find_home(c, m->to, a, rcpts, &in.n_rcpts))
		return MAIL_LATER;
	*why = "nobody has this address here";
	if (in.n_rcpts == 0)
		return MAIL_REFUSED;
	*why = "it is too big for a mail";
	if (!mail_write(&mail, c, m))
		return MAIL_REFUSED;
	st = sign(c, m, in.queue_id, buf_slice(&mail), &whole, why);
	if (st != MAIL_SENT)
		return st;
	fd = sealed(buf_slice(&whole));
	in.fd = fd;
	in.size = whole.n;
	*why = "the queue cannot be asked now";
	if (fd < 0 || !ipc_client_connected(c->queue))
		return MAIL_LATER;
	ipc = smtp_queue_accept(c->queue, &in, clock_mono_ms() + SIGN_MS, a, &answer);
	if (ipc == IPC_UNAVAILABLE || ipc == IPC_CLOSED)
		return MAIL_UNKNOWN;
	*why = "the queue does not take it";
	if (ipc != IPC_OK || answer.status == SMTP_QUEUE_ACCEPT_STATUS_REFUSED)
		return MAIL_REFUSED;
	return answer.status == SMTP_QUEUE_ACCEPT_STATUS_OK ? MAIL_SENT : MAIL_LATER;
}

enum mail_status
mail_post(struct clerk *c, const struct mail *m, struct arena *a, const char **why)
{
	struct room_fetch_fetch_answer out;
	struct slice body;

	*why = "it is too big for one HTTPS request of this server";
	if (m->packed.n > FETCH_BODY)
		return MAIL_REFUSED;
	*why = "fetch cannot be asked now";
	if (!ipc_client_connected(c->fetch))
		return MAIL_LATER;
	fetch_post(c->fetch, m->to, S("application/tlsrpt+gzip"), m->packed, S(""), POST_ANSWER, POST_MS, m->session, a, &out, &body);
	*why = "its web server does not take it";
	if ((out.status == ROOM_FETCH_STATUS_DONE || out.status == ROOM_FETCH_STATUS_LARGE) && out.code / 100 == 2)
		return MAIL_SENT;
	if (out.status == ROOM_FETCH_STATUS_REFUSED)
		*why = "its URL is no https: URL of the public Internet";
	else if (out.status == ROOM_FETCH_STATUS_UNTRUSTED)
		*why = "the certificate of its web server is not valid";
	else if (out.status != ROOM_FETCH_STATUS_DONE)
		*why = "its web server cannot be reached";
	return MAIL_LATER;
}
