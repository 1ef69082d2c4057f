/* SPDX-License-Identifier: MIT */
#include "lib/resolve/stub.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/resolve/wire.h"

#define ANSWER_MOST ((size_t)65535)
#define TIMEOUT_MS 3000u

bool
stub_parse(struct slice text, struct stub *out)
{
	struct slice host = text, digits = S("53");
	struct stub s = { .timeout_ms = TIMEOUT_MS };
	uint32_t port;

	(void)slice_cut(text, '@', &host, &digits);
	if (!ip_parse(host, &s.ip) || !slice_u32(digits, &port) || port == 0 || port > 65535)
		return false;
	s.port = (uint16_t)port;
	*out = s;
	return true;
}

static int
connected(const struct stub *s, int kind)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(s->port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(s->port) };
	bool four = s->ip.n == 4;
	own(fd_t) fd = socket(four ? AF_INET : AF_INET6, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(&v4.sin_addr, s->ip.b, 4);
	memcpy(&v6.sin6_addr, s->ip.b, 16);
	if (fd < 0 || (connect(fd, four ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
			   four ? sizeof v4 : sizeof v6) != 0 && errno != EINPROGRESS))
		return -1;
	return fd_take(&fd);
}

static bool
ready(int fd, short events, uint64_t until)
{
	struct pollfd p = { .fd = fd, .events = events };
	uint64_t now = clock_mono_ms();

	return now < until && poll(&p, 1, (int)(until - now)) == 1;
}

/* The datagram whose id is ours; others are ignored until the deadline. */
static bool
over_udp(const struct stub *s, struct slice question, uint64_t until, struct buf *answer)
{
	own(fd_t) fd = connected(s, SOCK_DGRAM);

	if (fd < 0 || send(fd, question.p, question.n, MSG_NOSIGNAL) != (ssize_t)question.n)
		return false;
	while (ready(fd, POLLIN, until)) {
		uint8_t *p;
		ssize_t n;

		buf_reset(answer);
		p = buf_room(answer, ANSWER_MOST);
		n = p == NULL ? -1 : recv(fd, p, ANSWER_MOST, 0);
		if (n < 0)
			return false;
		buf_grown(answer, (size_t)n);
		if (n >= 12 && slice_eq(slice_head(buf_slice(answer), 2), slice_head(question, 2)))
			return true;
	}
	return false;
}

static bool
receive_exactly(int fd, size_t n, uint64_t until, struct buf *to)
{
	for (size_t left = n; left > 0;) {
		uint8_t *p = buf_room(to, left);
		ssize_t got = p == NULL || !ready(fd, POLLIN, until) ? -1 : recv(fd, p, left, 0);

		if (got <= 0)
			return false;
		buf_grown(to, (size_t)got);
		left -= (size_t)got;
	}
	return true;
}

static bool
over_tcp(const struct stub *s, struct slice question, uint64_t until, struct buf *answer)
{
	own(fd_t) fd = connected(s, SOCK_STREAM);
	own(buf_t) framed = { .max = 1024 };
	own(buf_t) head = { .max = 2 };
	size_t n;

	(void)buf_byte(&framed, (uint8_t)(question.n >> 8));
	(void)buf_byte(&framed, (uint8_t)question.n);
	(void)buf_add(&framed, question);
	if (fd < 0 || !ready(fd, POLLOUT, until) || send(fd, framed.p, framed.n, MSG_NOSIGNAL) != (ssize_t)framed.n ||
	    !receive_exactly(fd, 2, until, &head))
		return false;
	n = (size_t)(slice_at(buf_slice(&head), 0) << 8 | slice_at(buf_slice(&head), 1));
	buf_reset(answer);
	return receive_exactly(fd, n, until, answer) && n >= 12 &&
	    slice_eq(slice_head(buf_slice(answer), 2), slice_head(question, 2));
}

void
stub_query(void *self, struct slice name, enum rr_type type, struct arena *a, struct resolve_wire *out)
{
	struct stub *s = self;
	own(buf_t) question = { .max = 512 };
	own(buf_t) answer = { .max = ANSWER_MOST };
	uint64_t until = clock_mono_ms() + s->timeout_ms;
	struct slice wire;
	uint16_t id = 0;
	bool udp;

	*out = (struct resolve_wire){ .status = RESOLVE_TIMEOUT };
	if (s->silent || !name_to_wire(name, a, &wire) || getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
		return;
	(void)wire_question(&question, id, wire, type);
	udp = over_udp(s, buf_slice(&question), until, &answer);
	if (udp && (slice_at(buf_slice(&answer), 2) & 2) != 0) /* TC */
		udp = over_tcp(s, buf_slice(&question), until, &answer);
	if (!udp) {
		s->silent = true;
		return;
	}
	wire_answer(buf_slice(&answer), wire, type, a, out);
}
