/* SPDX-License-Identifier: MIT
 * The milters' word on a message. The room milter gets a copy that it may only make longer, and writes what the
 * milters made of the message behind it; the copy is closed for writing before anything of it is read, and what
 * is taken goes through the same framing as what clients send. The message is changed wholly or it is not
 * accepted: every way that does not end well is 4xx, and the original stays what it was until then. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/edits/edits.h"
#include "rooms/smtp/content.h"

/* A message may have become this much longer than what a client may send. */
#define LONGER LIMIT_STREAM_IN

static bool
not_now(struct smtp_session *s)
{
	smtp_refuse(s, "data", S(""), 451, "4.7.1", "a filter is not available, try later");
	return false;
}

/* The milters want what cannot be. */
static bool
not_so(struct smtp_session *s, struct slice what, struct slice value)
{
	SMTP_EVENT(s, EVENT_MILTER_REFUSED, EF("what", what), EF("value", value));
	return not_now(s);
}

/* A copy that can grow, but not shrink: whoever maps it is safe. -1: no room. */
static int
copy(const struct content *c)
{
	own(fd_t) fd = memfd_create("filtered", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *p = mmap(NULL, (size_t)c->size, PROT_READ, MAP_SHARED, c->fd, 0);
	bool ok;

	if (p == MAP_FAILED)
		return -1;
	ok = fd >= 0 && edits_write(fd, slice_of(p, (size_t)c->size)) && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0;
	(void)munmap(p, (size_t)c->size);
	return ok ? fd_take(&fd) : -1;
}

static bool
ask(struct smtp_session *s, const struct content *c, int fd, struct smtp_milter_ask_answer *out)
{
	struct smtp_milter_ask in = { .queue_id = slice_z(s->txn.queue_id),
		.session = s->peer.session,
		.peer_ip = slice_of(s->peer.ip.b, s->peer.ip.n),
		.helo = slice_head(buf_slice(&s->helo), 255),
		.sender = s->txn.sender,
		.login = buf_slice(&s->account),
		.tls_version = slice_z(s->peer.tls_version),
		.cipher = slice_z(s->peer.cipher),
		.size = c->size,
		.trace_at = c->trace_at,
		.trace = c->trace,
		.rcpts = ARENA_ARRAY(s->txn.arena, s->txn.n_rcpts, struct smtp_milter_address),
		.fd = fd };

	if (in.rcpts == NULL)
		return false;
	for (size_t i = 0; i < s->txn.n_rcpts; i++) /* an alias with many targets is one recipient */
		if (i == 0 || !slice_eq(s->txn.rcpts[i].original, s->txn.rcpts[i - 1].original))
			in.rcpts[in.n_rcpts++].address = s->txn.rcpts[i].original;
	return s->back->filter(s->back->ctx, &in, clock_mono_ms() + SMTP_MILTER_MS, s->txn.arena, out) == IPC_OK;
}

bool
smtp_filtered_recipient(struct smtp_session *s, struct slice address)
{
	own(arena_p) a = arena_new("filtered", LIMIT_ARENA_SESSION);
	struct smtp_milter_recipient in = { .queue_id = slice_z(s->txn.queue_id),
		.session = s->peer.session,
		.peer_ip = slice_of(s->peer.ip.b, s->peer.ip.n),
		.helo = slice_head(buf_slice(&s->helo), 255),
		.sender = s->txn.sender,
		.login = buf_slice(&s->account),
		.tls_version = slice_z(s->peer.tls_version),
		.cipher = slice_z(s->peer.cipher),
		.address = address };
	struct smtp_milter_recipient_answer out;

	if (!s->conf->milter)
		return true;
	if (s->back->filter_recipient(s->back->ctx, &in, clock_mono_ms() + SMTP_MILTER_MS, a, &out) != IPC_OK) {
		smtp_refuse(s, "rcpt", address, 451, "4.7.1", "a filter is not available, try later");
		return false;
	}
	if (out.action == SMTP_MILTER_ACTION_ACCEPT)
		return true;
	smtp_verdict_reply(s, "rcpt", address, out.action != SMTP_MILTER_ACTION_REJECT, out.code, out.enhanced, out.text);
	return false;
}

static bool
keep(void *arg, struct slice piece)
{
	return edits_write(*(int *)arg, piece);
}

/* The part of fd that is the new message, as a sealed file of its own; -1: it is none. */
static int
take(const struct smtp_session *s, int fd, uint64_t at, uint64_t length, uint64_t *size)
{
	own(fd_t) made = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct smtp_data_sink sink = { .body = keep, .arg = &made };
	struct smtp_data frame;
	struct stat st;
	size_t used;
	void *p;

	if (made < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SEAL) != 0 || fstat(fd, &st) != 0 ||
	    at > (uint64_t)st.st_size || length == 0 || length > (uint64_t)st.st_size - at ||
	    length > s->conf->max_size + LONGER)
		return -1;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -1;
	smtp_data_start_chunked(&frame, s->conf->max_size + LONGER);
	(void)smtp_data_feed(&frame, slice_sub(slice_of(p, (size_t)st.st_size), (size_t)at, (size_t)length), &sink, &used);
	smtp_data_finish(&frame, &sink);
	(void)munmap(p, (size_t)st.st_size);
	if (frame.faults != 0 || fstat(made, &st) != 0 || !edits_seal(made))
		return -1;
	*size = (uint64_t)st.st_size;
	return fd_take(&made);
}

/* Recipients and sender as the milters want them; false after the reply. */
static bool
envelope(struct smtp_session *s, const struct smtp_milter_ask_answer *out)
{
	for (size_t i = 0; i < out->n_drop; i++)
		smtp_rcpt_drop(s, out->drop[i].address);
	for (size_t i = 0; i < out->n_add; i++)
		if (!smtp_rcpt_add(s, out->add[i].address))
			return not_so(s, S("recipient"), out->add[i].address);
	if (out->new_sender && !smtp_sender_change(s, out->sender))
		return not_so(s, S("sender"), out->sender);
	return true;
}

bool
smtp_filtered(struct smtp_session *s, struct content *c, struct smtp_filter_word *word)
{
	struct smtp_milter_ask_answer out = { 0 };
	own(fd_t) fd = -1;

	if (!s->conf->milter)
		return true;
	fd = copy(c);
	if (fd < 0 || !ask(s, c, fd, &out))
		return not_now(s);
	if (out.action == SMTP_MILTER_ACTION_REJECT || out.action == SMTP_MILTER_ACTION_DEFER) {
		smtp_verdict_reply(s, "data", S(""), out.action == SMTP_MILTER_ACTION_DEFER, out.code, out.enhanced, out.text);
		return false;
	}
	word->discard = out.action == SMTP_MILTER_ACTION_DISCARD;
	word->hold = out.action == SMTP_MILTER_ACTION_HOLD;
	word->why = out.why;
	if (word->discard)
		return true;
	if (out.changed) {
		uint64_t size = 0;
		int made = take(s, fd, out.at, out.length, &size);

		if (made < 0)
			return not_so(s, S("message"), S(""));
		(void)close(c->fd);
		c->fd = made;
		c->size = size;
	}
	if (!envelope(s, &out))
		return false;
	word->discard = s->txn.n_rcpts == 0; /* they took all of them away */
	return true;
}
