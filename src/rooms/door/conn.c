/* SPDX-License-Identifier: MIT */
#include "rooms/door/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/own.h"

/* Buffers of CONN_HOLD in one call, each way. */
#define TURNS 4
/* Octets thrown away while the end lingers; a client that still sends is then cut. */
#define LINGER_OCTETS 65536u

/* Octets that wait for the other side: b.p[at..b.n). */
struct hold {
	struct buf b;
	size_t at;
};

struct side {
	int fd;
	/* The loop reports what is so, not what becomes so. False after EAGAIN; readable already where a read took
	 * less than there was room for, which saves the one that would find nothing: not when the side has hung up,
	 * for then nobody reports it any more. */
	bool readable, writable, hung;
};

struct conn {
	struct tls_conn *tls;
	struct side client, room;
	struct hold up, down;
	uint64_t up_count, down_count;
	uint32_t lingered;
	enum conn_phase phase;
	bool switching; /* the old room drains, nothing goes up */
	bool awaiting;	/* conn_await(), and nothing came down since */
	bool resting;	/* conn_rest() */
	bool up_ended;	/* the client will send no more */
	bool up_told;	/* and this room knows it */
	bool failed;
};

enum flow { FLOW_MOVED, FLOW_STUCK, FLOW_AGAIN, FLOW_END, FLOW_FAIL };

struct conn *
conn_new(struct tls_server *server, int client, const char *alpn)
{
	struct conn *c = calloc(1, sizeof *c);

	PN_ASSERT(c != NULL);
	c->tls = tls_conn_new(server, client);
	tls_expect(c->tls, alpn);
	c->client = (struct side){ .fd = client, .readable = true, .writable = true };
	c->room.fd = -1;
	buf_init(&c->up.b, CONN_BACKLOG);
	buf_init(&c->down.b, CONN_HOLD);
	return c;
}

static void
room_close(struct conn *c)
{
	fd_t_drop(&c->room.fd);
	c->room.readable = c->room.writable = c->room.hung = false;
}

void
conn_free(struct conn **c)
{
	struct conn *dead = *c;

	*c = NULL;
	if (dead == NULL)
		return;
	tls_conn_free(&dead->tls);
	room_close(dead);
	fd_t_drop(&dead->client.fd);
	buf_free(&dead->up.b);
	buf_free(&dead->down.b);
	free(dead);
}

int
conn_fd(const struct conn *c, enum conn_side side)
{
	return side == CONN_CLIENT ? c->client.fd : c->room.fd;
}

enum conn_phase conn_phase(const struct conn *c) { return c->phase; }
const struct tls_conn *conn_tls(const struct conn *c) { return c->tls; }
bool conn_failed(const struct conn *c) { return c->failed; }
uint64_t conn_up(const struct conn *c) { return c->up_count; }
uint64_t conn_down(const struct conn *c) { return c->down_count; }

void
conn_edge(struct conn *c, enum conn_side side, bool readable, bool writable)
{
	struct side *s = side == CONN_CLIENT ? &c->client : &c->room;

	s->readable |= readable;
	s->writable |= writable;
}

void
conn_hung(struct conn *c, enum conn_side side)
{
	struct side *s = side == CONN_CLIENT ? &c->client : &c->room;

	s->hung = s->readable = s->writable = true;
}

bool
conn_wants_read(const struct conn *c, enum conn_side side)
{
	const struct side *s = side == CONN_CLIENT ? &c->client : &c->room;

	return !s->readable && (c->phase != CONN_WAITING || (c->resting && side == CONN_CLIENT));
}

bool
conn_wants_write(const struct conn *c, enum conn_side side)
{
	const struct side *s = side == CONN_CLIENT ? &c->client : &c->room;

	return !s->writable && c->phase != CONN_WAITING;
}

/* ---- what waits ---------------------------------------------------------------------------- */

static struct slice
held(const struct hold *h)
{
	return slice_from(buf_slice(&h->b), h->at);
}

static void
hold_add(struct hold *h, struct slice s)
{
	PN_ASSERT(buf_add(&h->b, s));
}

/* Forgets n octets from the front; an empty hold gives its memory back. */
static void
hold_drop(struct hold *h, size_t n)
{
	h->at += n;
	if (h->at == h->b.n) {
		buf_free(&h->b);
		h->at = 0;
	}
}

/* ---- one step of each direction ------------------------------------------------------------ */

static enum flow
from_client(struct conn *c, uint8_t *p, size_t *n)
{
	if (!c->client.readable)
		return FLOW_STUCK;
	switch (tls_read(c->tls, p, CONN_HOLD, n)) {
	case TLS_OK:
		/* it took all that the socket gave */
		c->client.readable = c->client.hung || tls_pending(c->tls);
		return FLOW_MOVED;
	case TLS_WANT_READ:
		c->client.readable = false;
		return FLOW_STUCK;
	case TLS_WANT_WRITE:
		c->client.writable = false;
		return FLOW_STUCK;
	case TLS_AGAIN:
		return FLOW_AGAIN;
	case TLS_EOF:
		return FLOW_END;
	case TLS_FAIL:
		break;
	}
	return FLOW_FAIL;
}

static enum flow
to_client(struct conn *c, struct slice s, size_t *n)
{
	if (!c->client.writable)
		return FLOW_STUCK;
	switch (tls_write(c->tls, s, n)) {
	case TLS_OK:
		return FLOW_MOVED;
	case TLS_WANT_READ:
		c->client.readable = false;
		return FLOW_STUCK;
	case TLS_WANT_WRITE:
		c->client.writable = false;
		return FLOW_STUCK;
	case TLS_AGAIN:
		return FLOW_AGAIN;
	case TLS_EOF:
	case TLS_FAIL:
		break;
	}
	return FLOW_FAIL;
}

static enum flow
from_room(struct conn *c, uint8_t *p, size_t *n)
{
	ssize_t got;

	if (!c->room.readable)
		return FLOW_STUCK;
	do
		got = recv(c->room.fd, p, CONN_HOLD, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN) {
		c->room.readable = false;
		return FLOW_STUCK;
	}
	if (got <= 0)
		return FLOW_END; /* ECONNRESET: the room died with octets unread */
	/* while it drains for another room, only EAGAIN proves that nothing is left */
	if ((size_t)got < CONN_HOLD && !c->switching && !c->room.hung)
		c->room.readable = false;
	*n = (size_t)got;
	return FLOW_MOVED;
}

static enum flow
to_room(struct conn *c, struct slice s, size_t *n)
{
	ssize_t put;

	if (!c->room.writable)
		return FLOW_STUCK;
	do
		put = send(c->room.fd, s.p, s.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (put < 0 && errno == EINTR);
	if (put < 0 && errno == EAGAIN) {
		c->room.writable = false;
		return FLOW_STUCK;
	}
	/* A room that reads no more has said goodbye: its end comes from the other direction, and
	 * what the client still says is for nobody. */
	*n = put < 0 ? s.n : (size_t)put;
	return FLOW_MOVED;
}

/* ---- the two directions -------------------------------------------------------------------- */

/* Holds what is left of s after put octets of it went out. */
static enum flow
hold_rest(struct hold *h, struct slice s, enum flow f, size_t put)
{
	if (f == FLOW_MOVED && put < s.n)
		hold_add(h, slice_from(s, put));
	else if (f == FLOW_STUCK || f == FLOW_AGAIN)
		hold_add(h, s);
	return f;
}

static enum flow
up_step(struct conn *c, uint8_t *scratch)
{
	struct slice s = held(&c->up);
	size_t n = 0, put = 0;
	enum flow f;

	if (s.n > 0) {
		f = to_room(c, s, &put);
		if (f == FLOW_MOVED) {
			c->up_count += put;
			hold_drop(&c->up, put);
		}
		return f;
	}
	if (c->up_ended) {
		/* the client's end came before this room did */
		if (!c->up_told)
			(void)shutdown(c->room.fd, SHUT_WR);
		c->up_told = true;
		return FLOW_STUCK;
	}
	f = from_client(c, scratch, &n);
	if (f == FLOW_END) {
		c->up_ended = true;
		return FLOW_MOVED; /* told to the room in the next step */
	}
	if (f != FLOW_MOVED)
		return f;
	s = slice_of(scratch, n);
	f = to_room(c, s, &put);
	if (f == FLOW_MOVED)
		c->up_count += put;
	return hold_rest(&c->up, s, f, put);
}

static enum flow
down_step(struct conn *c, uint8_t *scratch)
{
	struct slice s = held(&c->down);
	size_t n = 0, put = 0;
	enum flow f;

	if (s.n > 0) {
		f = to_client(c, s, &put);
		if (f == FLOW_MOVED) {
			c->down_count += put;
			hold_drop(&c->down, put);
		}
		return f;
	}
	if (c->room.fd < 0)
		return FLOW_END;
	f = from_room(c, scratch, &n);
	if (f != FLOW_MOVED)
		return f;
	c->awaiting = false;
	s = slice_of(scratch, n);
	f = to_client(c, s, &put);
	if (f == FLOW_MOVED)
		c->down_count += put;
	return hold_rest(&c->down, s, f, put);
}

/* ---- the phases ---------------------------------------------------------------------------- */

/* Our end is said: the client sees it, and what it still sends does not become a reset that would
 * take our last words from it (RFC 1122 4.2.2.13). */
static enum conn_status
linger(struct conn *c)
{
	room_close(c);
	buf_free(&c->up.b);
	buf_free(&c->down.b);
	c->up.at = c->down.at = 0;
	(void)shutdown(c->client.fd, SHUT_WR);
	c->phase = CONN_LINGER;
	c->client.readable = true;
	return CONN_MORE;
}

static enum conn_status
over(struct conn *c)
{
	c->phase = CONN_OVER;
	return CONN_ENDED;
}

static enum conn_status
fail(struct conn *c)
{
	c->failed = true;
	return linger(c);
}

static enum conn_status
run_shake(struct conn *c)
{
	switch (tls_handshake(c->tls)) {
	case TLS_OK:
		c->phase = CONN_WAITING;
		return CONN_SHOOK;
	case TLS_WANT_READ:
		c->client.readable = false;
		return CONN_IDLE;
	case TLS_WANT_WRITE:
		c->client.writable = false;
		return CONN_IDLE;
	case TLS_AGAIN:
		return CONN_MORE;
	case TLS_EOF:
	case TLS_FAIL:
		break;
	}
	return fail(c);
}

static enum conn_status
run_flush(struct conn *c, uint8_t *scratch)
{
	enum flow f = FLOW_MOVED;

	while (held(&c->down).n > 0 && f == FLOW_MOVED)
		f = down_step(c, scratch);
	if (f == FLOW_FAIL)
		return fail(c);
	if (f == FLOW_AGAIN)
		return CONN_MORE;
	if (f == FLOW_STUCK)
		return CONN_IDLE;
	switch (tls_shutdown(c->tls)) {
	case TLS_WANT_WRITE:
		c->client.writable = false;
		return CONN_IDLE;
	default:
		return linger(c);
	}
}

static enum conn_status
run_linger(struct conn *c, uint8_t *scratch)
{
	for (;;) {
		ssize_t got = recv(c->client.fd, scratch, CONN_HOLD, MSG_DONTWAIT);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return CONN_IDLE;
		if (got <= 0)
			return over(c);
		c->lingered += (uint32_t)got;
		if (c->lingered > LINGER_OCTETS)
			return over(c);
	}
}

static enum conn_status
run_open(struct conn *c, uint8_t *scratch)
{
	enum flow up = FLOW_MOVED, down = FLOW_MOVED;

	for (int i = 0; i < TURNS; i++) {
		if (down == FLOW_MOVED)
			down = down_step(c, scratch);
		if (c->switching)
			up = FLOW_STUCK;
		else if (up == FLOW_MOVED)
			up = up_step(c, scratch);
		if (up == FLOW_FAIL || down == FLOW_FAIL)
			return fail(c);
		if (down == FLOW_END || (up != FLOW_MOVED && down != FLOW_MOVED))
			break;
	}
	if (c->switching && (down == FLOW_END || (down == FLOW_STUCK && !c->room.readable &&
	    held(&c->down).n == 0))) {
		room_close(c);
		c->switching = false;
		c->phase = CONN_WAITING;
		return CONN_DRAINED;
	}
	if (down == FLOW_END && c->awaiting) {
		conn_detach(c);
		return CONN_LOST;
	}
	if (down == FLOW_END) {
		c->phase = CONN_FLUSH;
		room_close(c);
		return run_flush(c, scratch);
	}
	if (up == FLOW_STUCK && down == FLOW_STUCK)
		return CONN_IDLE;
	return CONN_MORE;
}

enum conn_status
conn_run(struct conn *c)
{
	/* One for all: what stays in it after a call is in a hold. */
	static uint8_t scratch[CONN_HOLD];
	enum conn_status st = CONN_IDLE;

	switch (c->phase) {
	case CONN_SHAKE:
		st = run_shake(c);
		break;
	case CONN_WAITING:
		if (c->resting && (c->client.readable || c->up_ended || held(&c->up).n > 0))
			st = CONN_WANTED;
		break;
	case CONN_OPEN:
		st = run_open(c, scratch);
		break;
	case CONN_FLUSH:
		st = run_flush(c, scratch);
		break;
	case CONN_LINGER:
		st = run_linger(c, scratch);
		break;
	case CONN_OVER:
		return CONN_ENDED;
	}
	return st;
}

void
conn_attach(struct conn *c, int room)
{
	PN_ASSERT(c->phase == CONN_WAITING && c->room.fd < 0 && room >= 0);
	c->room = (struct side){ .fd = room, .readable = true, .writable = true };
	c->phase = CONN_OPEN;
	c->up_told = false;
	c->resting = false;
}

void
conn_rest(struct conn *c)
{
	c->resting = c->phase == CONN_WAITING;
}

void
conn_await(struct conn *c)
{
	c->awaiting = c->phase == CONN_OPEN;
}

bool
conn_awaits(const struct conn *c)
{
	return c->awaiting;
}

void
conn_detach(struct conn *c)
{
	if (c->phase != CONN_OPEN || c->switching)
		return;
	room_close(c);
	buf_free(&c->up.b);
	c->up.at = 0;
	c->awaiting = false;
	c->phase = CONN_WAITING;
}

bool
conn_switch(struct conn *c, int returned)
{
	struct hold next = { 0 };
	bool fits = true;

	if (c->phase != CONN_OPEN || c->switching)
		return false;
	buf_init(&next.b, CONN_BACKLOG);
	while (fits) {
		uint8_t *p = buf_room(&next.b, 4096);
		ssize_t got = p == NULL ? 0 : recv(returned, p, 4096, MSG_DONTWAIT);

		if (got > 0)
			buf_grown(&next.b, (size_t)got);
		fits = p != NULL;
		if (got <= 0)
			break;
	}
	if (!fits || !buf_add(&next.b, held(&c->up))) {
		buf_free(&next.b);
		return false;
	}
	c->up_count -= next.b.n - held(&c->up).n; /* counted again on the way to the next room */
	buf_free(&c->up.b);
	c->up = next;
	hold_drop(&c->up, 0); /* mostly nothing came back: no empty buffer for the conn's whole life */
	c->switching = true;
	c->room.readable = true; /* an edge may be underway: look once more */
	return true;
}

void
conn_close(struct conn *c)
{
	if (c->phase == CONN_SHAKE)
		(void)linger(c);
	if (c->phase != CONN_OPEN && c->phase != CONN_WAITING)
		return;
	room_close(c);
	c->switching = false;
	c->phase = CONN_FLUSH;
}
