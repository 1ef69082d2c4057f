/* SPDX-License-Identifier: MIT
 * The three ends of a stream: socket, memory, injected faults. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/stream/stream.h"

int
stream_poll_ms(int64_t deadline)
{
	struct timespec now;
	int64_t left;

	PN_ASSERT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	left = deadline - ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	if (left <= 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

static ssize_t
fd_read(struct stream_end *e, void *p, size_t n)
{
	return recv(e->fd, p, n, MSG_DONTWAIT);
}

static ssize_t
fd_write(struct stream_end *e, const void *p, size_t n)
{
	return send(e->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int
fd_wait(struct stream_end *e, short events, int64_t deadline)
{
	struct pollfd pfd = { .fd = e->fd, .events = events };
	int ready;

	do
		ready = poll(&pfd, 1, deadline <= 0 ? 0 : stream_poll_ms(deadline));
	while (ready < 0 && errno == EINTR);
	return ready;
}

static void
fd_close(struct stream_end *e)
{
	if (e->fd >= 0)
		(void)close(e->fd);
	e->fd = -1;
}

static void
init(struct stream *s, struct stream_end end)
{
	*s = (struct stream){ .end = end };
	buf_init(&s->out, LIMIT_STREAM_OUT);
}

void
stream_init_fd(struct stream *s, int fd)
{
	static const struct stream_ops ops = { fd_read, fd_write, fd_wait, fd_close };

	PN_ASSERT(fd >= 0);
	init(s, (struct stream_end){ .ops = &ops, .fd = fd });
}

static ssize_t
memory_read(struct stream_end *e, void *p, size_t n)
{
	struct stream_memory *m = e->self;
	struct slice piece = slice_from(m->in, m->at);

	if (piece.n == 0 && m->hang) {
		errno = EAGAIN;
		return -1;
	}
	piece = slice_head(piece, m->chunk > 0 && m->chunk < n ? m->chunk : n);
	if (piece.n > 0)
		memcpy(p, piece.p, piece.n);
	m->at += piece.n;
	return (ssize_t)piece.n;
}

static ssize_t
memory_write(struct stream_end *e, const void *p, size_t n)
{
	struct stream_memory *m = e->self;

	if (buf_add(&m->out, slice_of(p, n)))
		return (ssize_t)n;
	errno = EPIPE;
	return -1;
}

static int
memory_wait(struct stream_end *e, short events, int64_t deadline)
{
	struct stream_memory *m = e->self;

	(void)deadline;
	return events == POLLOUT || m->at < m->in.n || !m->hang;
}

static void
memory_close(struct stream_end *e)
{
	e->self = NULL;
}

void
stream_init_memory(struct stream *s, struct stream_memory *m)
{
	static const struct stream_ops ops = { memory_read, memory_write, memory_wait, memory_close };

	init(s, (struct stream_end){ .ops = &ops, .self = m, .fd = -1 });
}

static ssize_t
injected(const struct stream_fault *f, bool reading)
{
	if (f->error == 0 && reading)
		return 0;
	errno = f->error == 0 ? EPIPE : f->error == ETIMEDOUT ? EAGAIN : f->error;
	return -1;
}

static size_t
bounded(const struct stream_fault *f, size_t n)
{
	return f->most > 0 && f->most < n ? f->most : n;
}

static ssize_t
fault_read(struct stream_end *e, void *p, size_t n)
{
	struct stream_fault *f = e->self;

	f->reads++;
	if (f->fail_read > 0 && f->reads >= f->fail_read)
		return injected(f, true);
	return f->under.ops->read(&f->under, p, bounded(f, n));
}

static ssize_t
fault_write(struct stream_end *e, const void *p, size_t n)
{
	struct stream_fault *f = e->self;

	f->writes++;
	if (f->fail_write > 0 && f->writes >= f->fail_write)
		return injected(f, false);
	return f->under.ops->write(&f->under, p, bounded(f, n));
}

static int
fault_wait(struct stream_end *e, short events, int64_t deadline)
{
	struct stream_fault *f = e->self;
	bool reading = events == POLLIN;
	size_t at = reading ? f->fail_read : f->fail_write, made = reading ? f->reads : f->writes;

	if (f->error == ETIMEDOUT && at > 0 && made >= at)
		return 0;
	return f->under.ops->wait(&f->under, events, deadline);
}

static void
fault_close(struct stream_end *e)
{
	struct stream_fault *f = e->self;

	f->under.fd = e->fd; /* -1 after stream_detach() */
	f->under.ops->close(&f->under);
}

void
stream_inject(struct stream *s, struct stream_fault *f)
{
	static const struct stream_ops ops = { fault_read, fault_write, fault_wait, fault_close };

	f->under = s->end;
	s->end = (struct stream_end){ .ops = &ops, .self = f, .fd = f->under.fd };
}
