/* SPDX-License-Identifier: MIT
 * From a listening socket to a session. A client that has to wait for its room waits in the
 * kernel's backlog, where it costs us nothing. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/parse/proxy/proxy.h"
#include "rooms/door/house.h"

/* The names that warden gives to listening sockets, and what they mean. */
static const struct service services[] = {
	{ .name = "smtp", .peer = "smtp", .instance = "mx", .kind = PEER_SMTP },
	{ .name = "submission", .peer = "smtp", .instance = "submission", .kind = PEER_SMTP },
	{ .name = "submissions", .peer = "smtp", .instance = "submission", .kind = PEER_SMTP,
	    .implicit_tls = true },
	{ .name = "lmtp", .peer = "smtp", .instance = "lmtp", .kind = PEER_SMTP },
	{ .name = "imap", .peer = "lobby", .instance = "", .kind = PEER_LOBBY,
	    .alpn = "imap", .protocol = DOOR_LOBBY_PROTOCOL_IMAP },
	{ .name = "imaps", .peer = "lobby", .instance = "", .kind = PEER_LOBBY,
	    .alpn = "imap", .protocol = DOOR_LOBBY_PROTOCOL_IMAP, .implicit_tls = true },
	{ .name = "pop3", .peer = "lobby", .instance = "", .kind = PEER_LOBBY,
	    .alpn = "pop3", .protocol = DOOR_LOBBY_PROTOCOL_POP3 },
	{ .name = "pop3s", .peer = "lobby", .instance = "", .kind = PEER_LOBBY,
	    .alpn = "pop3", .protocol = DOOR_LOBBY_PROTOCOL_POP3, .implicit_tls = true },
	{ .name = "managesieve", .peer = "lobby", .instance = "", .kind = PEER_LOBBY,
	    .alpn = "managesieve", .protocol = DOOR_LOBBY_PROTOCOL_MANAGESIEVE },
};

const char *
house_service(size_t i)
{
	return i < sizeof services / sizeof *services ? services[i].name : NULL;
}

void
house_address(const struct sockaddr_storage *ss, struct ip *ip, uint16_t *port)
{
	*ip = (struct ip){ 0 };
	*port = 0;
	if (ss->ss_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, ss, sizeof in);
		memcpy(ip->b, &in.sin_addr, 4);
		ip->n = 4;
		*port = ntohs(in.sin_port);
	} else if (ss->ss_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, ss, sizeof in6);
		memcpy(ip->b, &in6.sin6_addr, 16);
		ip->n = 16;
		*ip = ip_unmap(*ip);
		*port = ntohs(in6.sin6_port);
	}
}

void
house_refused(struct house *h, enum event_kind kind, const struct listener *l,
    const struct session *s, const struct ip *ip, struct slice reason)
{
	own(buf_t) text = { .max = LIMIT_IP_TEXT };
	uint64_t now = clock_mono_ms();
	size_t n = h->untold > 0 ? 4 : 3;

	if (now - h->told_since_ms >= 1000) {
		h->told_since_ms = now;
		h->told = 0;
	}
	if (h->told == LIMIT_TOLD) {
		h->untold++;
		return;
	}
	h->told++;
	ip_put(&text, ip);
	const struct event_field fields[] = { EF("listener", slice_z(l->service->name)),
		EF("ip", buf_slice(&text)), EF("reason", reason), EN("untold", h->untold) };

	events_emit(kind, s == NULL ? 0 : s->id, S(""), S(""), fields, n);
	h->untold = 0;
}

static void
tell_open(const struct session *s)
{
	own(buf_t) text = { .max = LIMIT_IP_TEXT };

	ip_put(&text, &s->peer_ip);
	EVENT(EVENT_CONN_OPEN, s->id, S(""), S(""),
	    EF("listener", slice_z(s->listener->service->name)), EF("ip", buf_slice(&text)),
	    EN("port", s->peer_port));
}

/* Counts the client and, where TLS comes first, its handshake. NULL: refused, nothing is counted. */
static struct caps_address *
admit(const struct listener *l, const struct ip *ip)
{
	struct house *h = l->house;
	struct caps_address *address = NULL;
	uint64_t now = clock_mono_ms();
	struct slice why = S("too many handshakes");

	switch (caps_enter(h->caps, ip, now, &address)) {
	case CAPS_OK:
		if (!l->service->implicit_tls || caps_handshake(h->caps, address, now))
			return address;
		caps_leave(h->caps, &address, now);
		break;
	case CAPS_TOTAL:
		why = S("too many connections");
		break;
	case CAPS_ADDRESS:
		why = S("too many connections from this address");
		break;
	}
	house_refused(h, EVENT_CONN_REFUSED, l, NULL, ip, why);
	return NULL;
}

/* A front end's connection counts in the total from its first moment: whose it is comes later. */
static bool
admit_unknown(const struct listener *l, const struct ip *ip)
{
	if (caps_enter_unknown(l->house->caps))
		return true;
	house_refused(l->house, EVENT_CONN_REFUSED, l, NULL, ip, S("too many connections"));
	return false;
}

/* The client is known and counted: its conversation begins. fd is taken over. The session may be gone
 * afterwards. */
static void
start(struct house *h, struct session *s, int client)
{
	own(fd_t) fd = client;

	s->room = s->listener->room;
	list_put(&s->room->sessions, LINK_ROOM, s);
	tell_open(s);
	if (s->listener->service->implicit_tls)
		session_shake(h, s, fd_take(&fd));
	else if (!room_converse(s, fd)) {
		house_refused(h, EVENT_CONN_REFUSED, s->listener, s, &s->peer_ip,
		    S("the room takes no conversations"));
		session_free(h, s);
	}
}

/* The header of a front end was read: what it says counts from here on. */
static void
introduced(struct house *h, struct session *s, const struct proxy_header *header)
{
	int one = 1, fd = s->bare;

	loop_unwatch(h->loop, &s->watch[0]);
	deadline_set(h, s, NO_DEADLINE);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one);
	if (!header->local) {
		s->peer_ip = ip_unmap(header->peer);
		s->peer_port = header->peer_port;
		s->local_ip = ip_unmap(header->to);
		s->local_port = header->to_port;
	}
	s->unknown = false;
	caps_leave_unknown(h->caps);
	s->address = admit(s->listener, &s->peer_ip);
	if (s->address == NULL)
		session_free(h, s);
	else
		start(h, s, fd_take(&s->bare));
}

/* Peeks until the header is whole, takes the header and nothing of what follows. */
static void
on_header(void *arg, unsigned ready)
{
	struct session *s = arg;
	struct house *h = s->listener->house;
	uint8_t octets[PROXY_MOST];
	ssize_t n = recv(s->bare, octets, sizeof octets, MSG_PEEK | MSG_DONTWAIT);
	enum proxy_status st = PROXY_BAD;
	struct proxy_header header;
	size_t used = 0;

	(void)ready;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		st = proxy_parse(slice_of(octets, (size_t)n), &header, &used);
	if (st == PROXY_MORE) {
		int more = (int)n + 1; /* what is there already would wake us for ever */

		(void)setsockopt(s->bare, SOL_SOCKET, SO_RCVLOWAT, &more, sizeof more);
	} else if (st == PROXY_OK && recv(s->bare, octets, used, MSG_DONTWAIT) == (ssize_t)used) {
		introduced(h, s, &header);
	} else {
		house_refused(h, EVENT_CONN_REFUSED, s->listener, s, &s->peer_ip, S("no PROXY header"));
		session_free(h, s);
	}
}

static void
begin(struct listener *l, int client, const struct sockaddr_storage *from)
{
	struct house *h = l->house;
	own(fd_t) fd = client;
	struct sockaddr_storage to = { 0 };
	socklen_t n = sizeof to;
	struct caps_address *address = NULL;
	struct session *s;
	bool front_end;
	struct ip ip;
	uint16_t port;

	house_address(from, &ip, &port);
	front_end = ip_nets_have(&l->proxies, &ip);
	if (front_end ? !admit_unknown(l, &ip) : (address = admit(l, &ip)) == NULL)
		return;
	s = session_new(h, l);
	s->address = address;
	s->unknown = front_end;
	house_crowding(h);
	s->peer_ip = s->socket_ip = ip;
	s->peer_port = s->socket_port = port;
	if (getsockname(fd, (struct sockaddr *)&to, &n) == 0)
		house_address(&to, &s->local_ip, &s->local_port);
	if (front_end) {
		s->bare = fd_take(&fd);
		deadline_set(h, s, DEADLINE_PROXY);
		s->watch[0] = loop_watch(h->loop, s->bare, LOOP_READ, on_header, s);
	} else {
		start(h, s, fd_take(&fd));
	}
}

static void
on_pause_over(void *arg)
{
	struct house *h = arg;

	h->pause = NULL;
	listeners_watch(h);
}

/* A listener that stays ready would only spin. */
static void
pause_accepting(struct listener *l, unsigned ms)
{
	struct house *h = l->house;

	loop_unwatch(h->loop, &l->watch);
	if (h->pause == NULL)
		h->pause = loop_after(h->loop, ms, on_pause_over, h);
}

/* No descriptors or no memory. */
static void
cannot_accept(struct listener *l)
{
	struct ip none = { 0 };

	house_refused(l->house, EVENT_CONN_REFUSED, l, NULL, &none, slice_z(strerror(errno)));
	pause_accepting(l, LIMIT_PAUSE_MS);
}

/* A room that does not keep up gets no more conversations for a moment: a client that waits in the kernel's
 * backlog is better off than one that is let in and cut. */
static void
on_client(void *arg, unsigned ready)
{
	struct listener *l = arg;

	for (int i = 0; i < LIMIT_ACCEPTS && l->room->ch != NULL; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t n = sizeof from;
		int fd;

		if (!ipc_writable(l->room->ch)) {
			pause_accepting(l, LIMIT_BEHIND_MS);
			return;
		}
		fd = accept4(l->fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				cannot_accept(l);
			return;
		}
		begin(l, fd, &from);
	}
}

bool
house_listen(struct house *h, const char *name, int fd)
{
	struct listener *l = &h->listeners[h->n_listeners];
	const int on = 1, unsent = LIMIT_UNSENT, idle = 300;

	if (h->n_listeners == LIMIT_LISTENERS)
		return false;
	for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
		const struct service *sv = &services[i];

		if (!slice_eq(slice_z(sv->name), slice_z(name)))
			continue;
		*l = (struct listener){ .house = h, .service = sv, .fd = fd };
		l->room = house_room(h, sv->kind, sv->peer, sv->instance);
		/* Accepted sockets inherit these. */
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
		(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
		(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
		h->n_listeners++;
		return true;
	}
	return false;
}

void
house_proxies(struct house *h, const char *name, const struct ip_nets *nets)
{
	for (size_t i = 0; i < h->n_listeners; i++)
		if (slice_eq(slice_z(h->listeners[i].service->name), slice_z(name)))
			h->listeners[i].proxies = *nets;
}

void
listeners_watch(struct house *h)
{
	for (size_t i = 0; i < h->n_listeners; i++) {
		struct listener *l = &h->listeners[i];
		bool want = l->room->ch != NULL && l->fd >= 0;

		if (want && l->watch == NULL)
			l->watch = loop_watch(h->loop, l->fd, LOOP_READ, on_client, l);
		else if (!want)
			loop_unwatch(h->loop, &l->watch);
	}
}

void
listeners_close(struct house *h)
{
	for (size_t i = 0; i < h->n_listeners; i++) {
		loop_unwatch(h->loop, &h->listeners[i].watch);
		fd_t_drop(&h->listeners[i].fd);
	}
}
