/* SPDX-License-Identifier: MIT
 * The channel: framing, permission, descriptors. client.c has the side that asks and waits. */
#include "lib/ipc/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/ckd.h"

struct ipc_channel {
	int fd;
	unsigned phase, send_wait_ms;
	bool nonblocking, closed;
	atomic_uint refs; /* the owner, and one for each call that is not answered yet */
	char peer[32], instance[32], why[128];
	const struct ipc_schema *schema; /* of the last receive */
	uint8_t *in; /* LIMIT_IPC bytes, while something comes: there are many channels, and most are silent */
};

struct ipc_channel *
ipc_channel_new(int fd, const char *peer, const char *instance)
{
	struct ipc_channel *ch = calloc(1, sizeof *ch);

	PN_ASSERT(ch != NULL);
	ch->fd = fd;
	ch->send_wait_ms = 1000;
	atomic_init(&ch->refs, 1);
	(void)snprintf(ch->peer, sizeof ch->peer, "%s", peer);
	(void)snprintf(ch->instance, sizeof ch->instance, "%s", instance);
	return ch;
}

static void
unref(struct ipc_channel *ch)
{
	if (atomic_fetch_sub(&ch->refs, 1) != 1)
		return;
	(void)close(ch->fd);
	free(ch->in);
	free(ch);
}

void
ipc_channel_free(struct ipc_channel **ch)
{
	struct ipc_channel *dead = *ch;

	*ch = NULL;
	if (dead == NULL)
		return;
	/* the descriptor itself stays open for the last call: its number must not be reused yet */
	(void)shutdown(dead->fd, SHUT_RDWR);
	unref(dead);
}

int
ipc_channel_give(struct ipc_channel **ch)
{
	struct ipc_channel *gone = *ch;
	int fd = gone->fd;

	*ch = NULL;
	PN_ASSERT(atomic_load(&gone->refs) == 1);
	free(gone->in);
	free(gone);
	return fd;
}

void
ipc_set_phase(struct ipc_channel *ch, unsigned phase)
{
	PN_ASSERT(phase < 32);
	ch->phase = phase;
}

void ipc_set_nonblocking(struct ipc_channel *ch, bool on) { ch->nonblocking = on; }
void ipc_set_send_wait(struct ipc_channel *ch, unsigned ms) { ch->send_wait_ms = ms; }
int ipc_fd(const struct ipc_channel *ch) { return ch->fd; }
const char *ipc_peer(const struct ipc_channel *ch) { return ch->peer; }
const char *ipc_instance(const struct ipc_channel *ch) { return ch->instance; }
const char *ipc_why(const struct ipc_channel *ch) { return ch->why; }

buf_t
ipc_frame_begin(const struct ipc_schema *s, uint16_t type)
{
	buf_t b;

	buf_init(&b, LIMIT_IPC);
	(void)buf_room(&b, 256);
	buf_put_u16le(&b, type);
	buf_put_u16le(&b, 0);
	buf_put_u32le(&b, 0);
	buf_put_u32le(&b, s->hash);
	return b;
}

void
ipc_put_bytes(struct buf *b, struct slice s, size_t max)
{
	if (s.n > max || s.n > UINT16_MAX) {
		b->bad = true;
		return;
	}
	buf_put_u16le(b, (uint16_t)s.n);
	buf_add(b, s);
}

void
ipc_put_count(struct buf *b, size_t n, size_t max)
{
	if (n > max || n > UINT16_MAX)
		b->bad = true;
	else
		buf_put_u16le(b, (uint16_t)n);
}

bool
ipc_get_bool(struct cursor *c)
{
	uint8_t v = cur_get_u8(c);

	if (v > 1)
		cur_fail(c);
	return v == 1;
}

uint8_t
ipc_get_enum(struct cursor *c, unsigned n)
{
	uint8_t v = cur_get_u8(c);

	if (v >= n) {
		cur_fail(c);
		v = 0;
	}
	return v;
}

struct slice
ipc_get_bytes(struct cursor *c, size_t max)
{
	size_t n = cur_get_u16le(c);
	struct slice s = S("");

	if (n > max)
		cur_fail(c);
	else
		(void)cur_bytes(c, n, &s);
	return s;
}

size_t
ipc_get_count(struct cursor *c, size_t max)
{
	size_t n = cur_get_u16le(c);

	/* each element takes at least one byte: a count that cannot be true costs no memory */
	if (n > max || n > cur_left(c)) {
		cur_fail(c);
		return 0;
	}
	return n;
}

static enum ipc_status
wait_writable(struct ipc_channel *ch)
{
	struct pollfd p = { .fd = ch->fd, .events = POLLOUT };

	if (ch->send_wait_ms == 0)
		return IPC_AGAIN;
	for (;;) {
		int n = poll(&p, 1, (int)ch->send_wait_ms);

		if (n < 0 && errno == EINTR)
			continue;
		return n <= 0 ? IPC_AGAIN : IPC_OK;
	}
}

bool
ipc_writable(const struct ipc_channel *ch)
{
	struct pollfd p = { .fd = ch->fd, .events = POLLOUT };

	return poll(&p, 1, 0) != 0;
}

enum ipc_status
ipc_send(struct ipc_channel *ch, struct buf *b, uint32_t id, int fd)
{
	union {
		struct cmsghdr h;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { .iov_base = b->p, .iov_len = b->n };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (b->bad)
		return IPC_TOO_BIG;
	for (size_t i = 0; i < 4; i++)
		b->p[4 + i] = (uint8_t)(id >> (8 * i));
	if (fd >= 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_LEN(sizeof(int));
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.h), &fd, sizeof fd);
	}
	for (;;) {
		ssize_t n = sendmsg(ch->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n >= 0)
			return IPC_OK;
		if (errno == EINTR)
			continue;
		if (errno == EMSGSIZE)
			return IPC_TOO_BIG;
		if (errno == ETOOMANYREFS)
			return IPC_AGAIN;
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS && errno != ENOMEM)
			return IPC_CLOSED;
		if (wait_writable(ch) != IPC_OK)
			return IPC_AGAIN;
	}
}

/* Collects at most one descriptor; the control buffer has room for exactly one (CMSG_LEN, not
 * CMSG_SPACE, whose padding would let a second one through). */
static int
received_fd(struct msghdr *m, bool *excess)
{
	int fd = -1;

	*excess = (m->msg_flags & MSG_CTRUNC) != 0;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS ||
		    h->cmsg_len != CMSG_LEN(sizeof(int))) {
			*excess = true;
			continue;
		}
		memcpy(&fd, CMSG_DATA(h), sizeof fd);
	}
	return fd;
}

static enum ipc_status
receive_datagram(struct ipc_channel *ch, struct slice *frame, int *fd, bool *excess)
{
	union {
		struct cmsghdr h;
		char bytes[CMSG_LEN(sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { .iov_base = ch->in, .iov_len = LIMIT_IPC };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
		.msg_controllen = CMSG_LEN(sizeof(int)) };
	ssize_t n;

	do
		n = recvmsg(ch->fd, &m, MSG_CMSG_CLOEXEC | (ch->nonblocking ? MSG_DONTWAIT : 0));
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		free(ch->in);
		ch->in = NULL;
		return IPC_AGAIN;
	}
	*fd = n < 0 ? -1 : received_fd(&m, excess);
	if (n <= 0) {
		fd_t_drop(fd);
		return IPC_CLOSED;
	}
	if ((m.msg_flags & MSG_TRUNC) != 0)
		*excess = true;
	*frame = slice_of(ch->in, (size_t)n);
	return IPC_OK;
}

static bool
kind_fits(enum ipc_kind kind, enum ipc_side side)
{
	switch (side) {
	case IPC_AT_SERVER:
		return kind == IPC_REQUEST || kind == IPC_NOTE;
	case IPC_AT_CLIENT:
		return kind == IPC_BACK;
	case IPC_AT_ASKER:
		return kind == IPC_REQUEST;
	}
	return false;
}

enum ipc_status
ipc_receive(struct ipc_channel *ch, const struct ipc_schema *s, enum ipc_side side, struct ipc_frame *f)
{
	const struct ipc_message *row;
	struct slice frame;
	struct cursor c;
	uint32_t hash;
	uint16_t zero;
	bool excess;
	enum ipc_status st;

	*f = (struct ipc_frame){ .fd = -1, .ch = ch };
	ch->schema = s;
	if (ch->closed)
		return IPC_CLOSED;
	if (ch->in == NULL)
		ch->in = malloc(LIMIT_IPC);
	PN_ASSERT(ch->in != NULL);
	st = receive_datagram(ch, &frame, &f->fd, &excess);
	if (st != IPC_OK)
		return st;
	c = cur_of(frame);
	f->type = cur_get_u16le(&c);
	zero = cur_get_u16le(&c);
	f->id = cur_get_u32le(&c);
	hash = cur_get_u32le(&c);
	row = f->type < s->n ? &s->messages[f->type] : &s->messages[0];
	if (excess)
		st = ipc_hostile(ch, f, "sent too much");
	else if (c.bad || zero != 0 || hash != s->hash)
		st = ipc_hostile(ch, f, "speaks another language");
	else if (!kind_fits(row->kind, side) ||
	    (side != IPC_AT_ASKER && (row->phases >> ch->phase & 1) == 0))
		st = ipc_hostile(ch, f, "unpermitted");
	else if (side == IPC_AT_ASKER ? f->fd >= 0 : (row->fds == 0 && f->fd >= 0) ||
		(row->fds == 1 && f->fd < 0))
		st = ipc_hostile(ch, f, "wrong number of descriptors");
	if (st != IPC_OK) {
		ipc_frame_end(f);
		return st;
	}
	f->body = cur_of(slice_from(frame, IPC_HEADER));
	f->arena = arena_new("ipc", LIMIT_ARENA_SESSION);
	return IPC_OK;
}

int
ipc_frame_take_fd(struct ipc_frame *f)
{
	return fd_take(&f->fd);
}

void
ipc_frame_end(struct ipc_frame *f)
{
	fd_t_drop(&f->fd);
	arena_free(&f->arena);
}

enum ipc_status
ipc_hostile(struct ipc_channel *ch, const struct ipc_frame *f, const char *why)
{
	const struct ipc_schema *s = ch->schema;

	(void)snprintf(ch->why, sizeof ch->why, "%s.%s %s", s->channel,
	    f->type > 0 && f->type < s->n ? s->messages[f->type].name : "(unknown)", why);
	ch->closed = true;
	(void)shutdown(ch->fd, SHUT_RDWR);
	return IPC_HOSTILE;
}

struct ipc_call
ipc_call_of(struct ipc_channel *ch, const struct ipc_frame *f)
{
	atomic_fetch_add(&ch->refs, 1);
	return (struct ipc_call){ .ch = ch, .id = f->id, .type = f->type };
}

static void
call_end(struct ipc_call *call)
{
	if (call->ch != NULL)
		unref(call->ch);
	call->ch = NULL;
}

bool
ipc_answer(struct ipc_call *call, struct buf *b)
{
	enum ipc_status st;

	if (call->ch == NULL)
		return false;
	st = ipc_send(call->ch, b, call->id, -1);
	if (st != IPC_TOO_BIG)
		call_end(call);
	return st == IPC_OK;
}

bool
ipc_refuse(struct ipc_call *call)
{
	call_end(call);
	return true;
}

void
ipc_fuzz_frame(const struct ipc_schema *s, int fd, const uint8_t *p, size_t n)
{
	own(buf_t) b = ipc_frame_begin(s, (uint16_t)(p[0] % (s->n + 1)));
	struct slice all = slice_of(p, n);

	buf_add(&b, slice_from(all, 1));
	(void)send(fd, b.p, b.n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

bool
ipc_sealed_memfd(int fd, uint64_t max, uint64_t *size)
{
	const int all = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & all) != all || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return false;
	if (st.st_size < 0 || (uint64_t)st.st_size > max)
		return false;
	*size = (uint64_t)st.st_size;
	return true;
}
