/* SPDX-License-Identifier: MIT
 * The whole of door in one process: real clients on loopback, and the rooms played by this test at
 * the other ends of their channels. */
#include "rooms/door/stage.h"

#include <sys/resource.h>

/* ---- tests --------------------------------------------------------------------------------- */

static void
bare_socket(void **state)
{
	struct stage st;
	struct sockaddr_in sin;
	socklen_t n = sizeof sin;
	int c;

	begin(&st, wide);
	c = client(st.ports[0]);
	UNTIL(&st, heard.converse == 1);
	assert_true(heard.session != 0);
	assert_int_equal(heard.tls, DOOR_SMTP_TLS_NONE);
	assert_int_equal(heard.ip_n, 4);
	assert_string_equal(heard.listener, "smtp");
	assert_int_equal(getsockname(c, (struct sockaddr *)&sin, &n), 0);
	assert_int_equal(heard.peer_port, ntohs(sin.sin_port));
	put(heard.fd, "220 here\r\n");
	assert_true(reads(&st, c, "220 here\r\n"));
	put(c, "QUIT\r\n");
	assert_true(reads(&st, heard.fd, "QUIT\r\n"));
	/* only the room that has it can end it, and only once */
	smtp_closed(&st, heard.session ^ 1);
	for (int i = 0; i < 5; i++)
		turn(&st);
	assert_int_equal(caps_total(st.h->caps), 1);
	smtp_closed(&st, heard.session);
	smtp_closed(&st, heard.session);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	(void)close(heard.fd);
	heard.fd = -1;
	assert_true(sees_end(&st, c)); /* door kept nothing of it */
	(void)close(c);
	end(&st);
}

/* S-021. What stands behind STARTTLS in plain text never reaches the conversation under TLS. */
static void
starttls(void **state)
{
	struct stage st;
	struct secure tls;
	char got[64];
	int c;

	/* the room has read it all and drops what it had buffered */
	begin(&st, wide);
	c = client(st.ports[0]);
	UNTIL(&st, heard.converse == 1);
	put(c, "STARTTLS\r\nMAIL FROM:<evil@example.com>\r\n");
	assert_true(reads(&st, heard.fd, "STARTTLS\r\nMAIL FROM:<evil@example.com>\r\n"));
	put(heard.fd, "220 go\r\n");
	assert_true(reads(&st, c, "220 go\r\n"));
	smtp_starttls(&st, heard.session, heard.fd);
	(void)close(heard.fd);
	heard.fd = -1;
	assert_true(shake(&st, &tls, c));
	UNTIL(&st, heard.converse == 2);
	assert_int_equal(heard.tls, DOOR_SMTP_TLS_TLS13);
	assert_string_equal(heard.cipher, "TLS_AES_256_GCM_SHA384");
	assert_int_equal(recv(heard.fd, got, sizeof got, 0), -1);
	secure_put(&tls, "EHLO x\r\n");
	assert_true(reads(&st, heard.fd, "EHLO x\r\n"));
	put(heard.fd, "221 bye\r\n");
	smtp_closed(&st, heard.session); /* before the stream's end: the last words still arrive */
	for (int i = 0; i < 5; i++)
		turn(&st);
	(void)close(heard.fd);
	heard.fd = -1;
	assert_true(secure_gets(&st, &tls, "221 bye\r\n"));
	assert_true(secure_ends(&st, &tls));
	(void)close(c);
	secure_free(&tls);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	end(&st);

	/* the injected line was still in the socket: it is no ClientHello, and that is the end */
	begin(&st, wide);
	c = client(st.ports[0]);
	UNTIL(&st, heard.converse == 1);
	put(c, "STARTTLS\r\n");
	assert_true(reads(&st, heard.fd, "STARTTLS\r\n"));
	put(c, "MAIL FROM:<evil@example.com>\r\n");
	smtp_starttls(&st, heard.session, heard.fd);
	(void)close(heard.fd);
	heard.fd = -1;
	assert_false(shake(&st, &tls, c));
	UNTIL(&st, heard.gone == 1);
	assert_int_equal(heard.gone_session, heard.session);
	assert_int_equal(heard.converse, 1);
	(void)close(c);
	secure_free(&tls);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	end(&st);
}

/* A room that sends back something else than the client's socket hurts its own conversation only. */
static void
wrong_descriptors(void **state)
{
	struct stage st;
	int pipes[2], sv[2], c, other;

	begin(&st, wide);
	other = client(st.ports[0]);
	UNTIL(&st, heard.converse == 1);
	for (int i = 0; i < 4; i++) {
		int fd;

		assert_int_equal(pipe(pipes), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		c = client(st.ports[0]);
		UNTIL(&st, heard.converse == (unsigned)i + 2);
		fd = i == 0 ? pipes[0] : i == 1 ? sv[0] : i == 2 ? other : open("/dev/null", O_RDONLY);
		smtp_starttls(&st, heard.session, fd);
		UNTIL(&st, heard.gone == (unsigned)i + 1);
		assert_int_equal(caps_total(st.h->caps), 1);
		if (i == 3)
			(void)close(fd);
		(void)close(c);
		(void)close(pipes[0]);
		(void)close(pipes[1]);
		(void)close(sv[0]);
		(void)close(sv[1]);
	}
	(void)close(other);
	end(&st);
}

static void
login(bool implicit, bool join_first)
{
	struct stage st;
	struct secure tls = { 0 };
	uint64_t id;
	int c, old;

	begin(&st, wide);
	c = client(st.ports[implicit ? 2 : 1]);
	if (implicit)
		assert_true(shake(&st, &tls, c));
	UNTIL(&st, heard.converse == 1);
	assert_int_equal(heard.tls, implicit ? DOOR_LOBBY_TLS_TLS13 : DOOR_LOBBY_TLS_NONE);
	assert_string_equal(heard.listener, implicit ? "imaps" : "imap");
	id = heard.session;
	if (implicit)
		secure_put(&tls, "a LOGIN x y\r\nb SEL");
	else
		put(c, "a LOGIN x y\r\nb SEL");
	/* lobby reads the login and a piece more; the rest is underway */
	assert_true(reads(&st, heard.fd, "a LOGIN x y\r\nb"));
	put(heard.fd, "* CAPABILITY\r\n");
	old = fd_take(&heard.fd);
	if (join_first) {
		warden_join(&st, id, 1001);
		for (int i = 0; i < 5; i++)
			turn(&st);
	}
	lobby_handoff(&st, id, old, S("a"), S("b"));
	(void)close(old);
	if (implicit)
		secure_put(&tls, "ECT\r\n");
	else
		put(c, "ECT\r\n");
	for (int i = 0; i < 5; i++)
		turn(&st);
	assert_int_equal(heard.joins, join_first ? 1 : 0);
	if (!join_first)
		warden_join(&st, id, 1001);
	UNTIL(&st, heard.joins == 1);
	assert_int_equal(heard.session, id);
	assert_string_equal(heard.tag, "a");
	assert_string_equal(heard.leftover, "b");
	assert_true(reads(&st, heard.fd, " SELECT\r\n"));
	put(heard.fd, "a OK\r\n");
	if (implicit)
		assert_true(secure_gets(&st, &tls, "* CAPABILITY\r\na OK\r\n"));
	else
		assert_true(reads(&st, c, "* CAPABILITY\r\na OK\r\n"));
	/* lobby has no say any more */
	assert_int_equal(
	    door_lobby_closed_send(st.lobby, &(struct door_lobby_closed){ .session = id }), IPC_OK);
	for (int i = 0; i < 5; i++)
		turn(&st);
	assert_int_equal(caps_total(st.h->caps), 1);
	/* the mailbox room ends */
	(void)close(heard.fd);
	heard.fd = -1;
	ipc_channel_free(&st.mailbox);
	if (implicit)
		assert_true(secure_ends(&st, &tls));
	else
		assert_true(sees_end(&st, c));
	(void)close(c);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	secure_free(&tls);
	end(&st);
}

static void
logins(void **state)
{
	login(true, false);
	login(true, true);
	login(false, false);
	login(false, true);
}

enum absence {
	NEVER,	    /* warden cannot have the room */
	NEVER_EARLY, /* the same, and says so before lobby hands over */
	DIES,	    /* the room dies with the conversation before it has said a word */
	CLOSES,	    /* the room closes the conversation without a word */
	ANSWERS,    /* the room answers the login and then dies: nothing is left to say */
	ABSENCES
};

static void
be_absent(struct stage *st, enum absence how, uint64_t id)
{
	struct warden_door_unavailable m = { .session = id };

	switch (how) {
	case NEVER:
	case NEVER_EARLY:
		assert_int_equal(warden_door_unavailable_send(st->warden, &m), IPC_OK);
		return;
	case ANSWERS:
		put(heard.fd, "a OK in\r\n");
		break;
	default:
		break;
	}
	fd_t_drop(&heard.fd);
	if (how != CLOSES)
		ipc_channel_free(&st->mailbox);
}

/* A client with TLS in its mailbox room; returns its socket. */
static int
in_mailbox(struct stage *st, struct secure *tls, uint64_t *id)
{
	int c, old;

	begin(st, wide);
	c = client(st->ports[2]);
	assert_true(shake(st, tls, c));
	UNTIL(st, heard.converse == 1);
	*id = heard.session;
	old = fd_take(&heard.fd);
	lobby_handoff(st, *id, old, S("a"), S(""));
	(void)close(old);
	warden_join(st, *id, 1001);
	UNTIL(st, heard.joins == 1);
	put(heard.fd, "a OK\r\n");
	return c;
}

/* The mailbox room gives its end back, as rooms do: sent and closed. */
static void
give_rest(struct stage *st, uint64_t id)
{
	struct door_mailbox_rest m = { .session = id, .fd = heard.fd };

	assert_int_equal(door_mailbox_rest_send(st->mailbox, &m), IPC_OK);
	fd_t_drop(&heard.fd);
}

static void
turns(struct stage *st, int n)
{
	while (n-- > 0)
		turn(st);
}

/* A session in IDLE without a stream between door and its room: whoever has something to say brings it back, and
 * not an octet is lost or comes twice, whatever crossed the rest. */
static void
resting(void **state)
{
	struct door_mailbox_wake wake = { 0 };
	struct stage st;
	struct secure tls;
	int c = in_mailbox(&st, &tls, &wake.session);

	assert_true(secure_gets(&st, &tls, "a OK\r\n"));

	/* the room's last words arrive, then it rests, and nothing happens by itself */
	put(heard.fd, "+ idling\r\n");
	give_rest(&st, wake.session);
	assert_true(secure_gets(&st, &tls, "+ idling\r\n"));
	turns(&st, 20);
	assert_int_equal(heard.resumes, 0);
	/* the client speaks */
	secure_put(&tls, "DONE\r\n");
	UNTIL(&st, heard.resumes == 1 && heard.session == wake.session);
	assert_true(reads(&st, heard.fd, "DONE\r\n"));
	/* a wake that crossed it changes nothing */
	assert_int_equal(door_mailbox_wake_send(st.mailbox, &wake), IPC_OK);
	turns(&st, 20);
	assert_int_equal(heard.resumes, 1);
	/* the room speaks, before door has even taken the stream */
	give_rest(&st, wake.session);
	assert_int_equal(door_mailbox_wake_send(st.mailbox, &wake), IPC_OK);
	UNTIL(&st, heard.resumes == 2);
	put(heard.fd, "* 1 EXISTS\r\n");
	assert_true(secure_gets(&st, &tls, "* 1 EXISTS\r\n"));

	/* octets that the room did not read before it rested, and more behind them */
	secure_put(&tls, "DO");
	turns(&st, 20);
	give_rest(&st, wake.session);
	secure_put(&tls, "NE\r\n");
	UNTIL(&st, heard.resumes == 3);
	assert_true(reads(&st, heard.fd, "DONE\r\n"));

	/* of nobody's session: the room is told */
	heard.gone = 0;
	assert_int_equal(door_mailbox_rest_send(st.mailbox,
	    &(struct door_mailbox_rest){ .session = wake.session + 1, .fd = heard.fd }), IPC_OK);
	UNTIL(&st, heard.gone == 1 && heard.gone_session == wake.session + 1);

	/* the client leaves */
	give_rest(&st, wake.session);
	turns(&st, 5);
	(void)close(c);
	UNTIL(&st, heard.resumes == 4);
	assert_true(sees_end(&st, heard.fd));
	fd_t_drop(&heard.fd);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	secure_free(&tls);
	end(&st);
}

/* Ends of a session that rests: the room hears of door's, the client of the room's. */
static void
resting_ends(void **state)
{
	for (int how = 0; how < 3; how++) {
		struct stage st;
		struct secure tls;
		uint64_t id;
		int c = in_mailbox(&st, &tls, &id);

		give_rest(&st, id);
		assert_true(secure_gets(&st, &tls, "a OK\r\n"));
		turns(&st, 5);
		if (how == 0) {
			ipc_channel_free(&st.mailbox);
		} else if (how == 1) {
			assert_int_equal(door_mailbox_closed_send(st.mailbox,
			    &(struct door_mailbox_closed){ .session = id }), IPC_OK);
		} else {
			session_free(st.h, session_find(st.h, id));
			UNTIL(&st, heard.gone == 1 && heard.gone_session == id);
		}
		if (how < 2)
			assert_true(secure_ends(&st, &tls));
		(void)close(c);
		UNTIL(&st, caps_total(st.h->caps) == 0);
		secure_free(&tls);
		end(&st);
	}
}

/* The login was right and the mailbox cannot be had: lobby gets the conversation back, to say so. */
static void
no_mailbox(void **state)
{
	for (enum absence how = 0; how < ABSENCES; how++) {
		struct stage st;
		struct secure tls;
		uint64_t id;
		int c, old;

		begin(&st, wide);
		c = client(st.ports[2]);
		assert_true(shake(&st, &tls, c));
		UNTIL(&st, heard.converse == 1);
		id = heard.session;
		old = fd_take(&heard.fd);
		if (how == NEVER_EARLY)
			be_absent(&st, how, id);
		turn(&st);
		lobby_handoff(&st, id, old, S("a"), S(""));
		(void)close(old);
		turn(&st);
		if (how != NEVER && how != NEVER_EARLY) {
			warden_join(&st, id, 1001);
			UNTIL(&st, heard.joins == 1);
		}
		if (how != NEVER_EARLY)
			be_absent(&st, how, id);
		if (how == ANSWERS) {
			assert_true(secure_gets(&st, &tls, "a OK in\r\n"));
		} else {
			UNTIL(&st, heard.unavailable == 1);
			assert_true(heard.unavailable == 1 && heard.session == id);
			assert_string_equal(heard.tag, "a");
			put(heard.fd, "a NO [UNAVAILABLE]\r\n");
			assert_true(secure_gets(&st, &tls, "a NO [UNAVAILABLE]\r\n"));
			fd_t_drop(&heard.fd);
		}
		assert_true(secure_ends(&st, &tls));
		assert_int_equal(heard.unavailable, how != ANSWERS);
		(void)close(c);
		secure_free(&tls);
		UNTIL(&st, caps_total(st.h->caps) == 0);
		end(&st);
	}
}

/* A room dies: its conversations end cleanly, new clients wait for its successor. */
static void
room_restarts(void **state)
{
	struct stage st;
	struct secure tls;
	int c, waiting;

	begin(&st, wide);
	c = client(st.ports[2]);
	assert_true(shake(&st, &tls, c));
	UNTIL(&st, heard.converse == 1);
	put(heard.fd, "* OK ready\r\n");
	assert_true(secure_gets(&st, &tls, "* OK ready\r\n"));
	ipc_channel_free(&st.lobby);
	assert_true(secure_ends(&st, &tls));
	(void)close(c);
	secure_free(&tls);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	waiting = client(st.ports[1]);
	for (int i = 0; i < 20; i++)
		turn(&st);
	assert_int_equal(heard.converse, 1);
	st.lobby = introduce(&st, "lobby", "");
	UNTIL(&st, heard.converse == 2);
	assert_string_equal(heard.listener, "imap");
	(void)close(waiting);
	end(&st);
}

/* Three kinds of flood by one address. */
static void
limits(void **state)
{
	struct stage st;
	struct secure tls[4];
	int c[4];

	begin(&st, (struct caps_limits){ .total = 10, .per_address = 2, .handshakes = 1, .burst = 2 });
	c[0] = client(st.ports[0]);
	UNTIL(&st, heard.converse == 1);
	c[1] = client(st.ports[0]);
	UNTIL(&st, heard.converse == 2);
	c[2] = client(st.ports[0]);
	assert_true(sees_end(&st, c[2]));
	assert_int_equal(heard.converse, 2);
	smtp_closed(&st, heard.session);
	UNTIL(&st, caps_total(st.h->caps) == 1);
	for (int i = 0; i < 3; i++)
		(void)close(c[i]);
	/* two handshakes are saved up, the third is one too many */
	for (int i = 0; i < 3; i++) {
		c[i] = client(st.ports[2]);
		assert_int_equal(shake(&st, &tls[i], c[i]), i < 2);
		if (i < 2)
			UNTIL(&st, heard.converse == 3 + (unsigned)i);
		(void)close(c[i]);
		if (heard.fd >= 0)
			(void)close(heard.fd);
		heard.fd = -1;
		UNTIL(&st, caps_total(st.h->caps) == 1);
		secure_free(&tls[i]);
	}
	end(&st);
}

/* smtp hears once that the total comes near its end, and once that this is over. */
static void
crowd(void **state)
{
	struct stage st;
	uint64_t ids[20];
	int c[20];

	begin(&st, (struct caps_limits){ .total = 20 });
	for (unsigned i = 0; i < 20; i++) {
		c[i] = client(st.ports[0]);
		UNTIL(&st, heard.converse == i + 1);
		ids[i] = heard.session;
		UNTIL(&st, heard.crowded == (i >= 17 ? 1 : 0));
	}
	assert_true(heard.crowd);
	ipc_channel_free(&st.smtp); /* and so does a room that comes later: all bare conversations went with the old */
	for (unsigned i = 0; i < 20; i++)
		(void)close(c[i]);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	st.smtp = introduce(&st, "smtp", "mx");
	for (unsigned i = 0; i < 18; i++) {
		c[i] = client(st.ports[0]);
		UNTIL(&st, heard.converse == 21 + i);
		ids[i] = heard.session;
	}
	UNTIL(&st, heard.crowded == 2);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(heard.crowd && heard.crowded == 2);
		smtp_closed(&st, ids[i]);
		UNTIL(&st, caps_total(st.h->caps) == 17 - i);
	}
	UNTIL(&st, heard.crowded == 3);
	assert_false(heard.crowd);
	for (unsigned i = 0; i < 18; i++)
		(void)close(c[i]);
	end(&st);
}

/* More clients at once than the room's channel holds, while the room does something else: none is cut. */
static void
room_behind(void **state)
{
	struct stage st;
	int c[600];

	begin(&st, (struct caps_limits){ .total = 1000, .per_address = 1000 });
	for (unsigned i = 0; i < 600; i++) {
		c[i] = client(st.ports[0]);
		loop_once(st.h->loop, 1);
	}
	assert_true(caps_total(st.h->caps) < 600); /* the channel is full: the others wait in the backlog */
	UNTIL(&st, heard.converse == 600);
	assert_int_equal(caps_total(st.h->caps), 600);
	for (unsigned i = 0; i < 600; i++)
		(void)close(c[i]);
	end(&st);
}

/* A front end that does not say who its client is holds a place in the total all the same. */
static void
front_ends_count(void **state)
{
	struct stage st;
	struct ip_nets nets;
	int c[3];

	begin(&st, (struct caps_limits){ .total = 2, .per_address = 5 });
	assert_true(ip_nets_parse(S("127.0.0.0/8"), &nets));
	house_proxies(st.h, "smtp", &nets);
	c[0] = client(st.ports[0]);
	UNTIL(&st, caps_total(st.h->caps) == 1);
	c[1] = client(st.ports[0]);
	UNTIL(&st, caps_total(st.h->caps) == 2);
	c[2] = client(st.ports[0]);
	assert_true(sees_end(&st, c[2]));
	put(c[0], "PROXY TCP4 192.0.2.1 192.0.2.2 1000 25\r\n");
	UNTIL(&st, heard.converse == 1);
	assert_int_equal(caps_total(st.h->caps), 2); /* once, not twice */
	(void)close(c[1]);
	UNTIL(&st, caps_total(st.h->caps) == 1);
	(void)close(c[0]);
	(void)close(c[2]);
	end(&st);
}

/* S-023: a client that says nothing, or text, where a handshake belongs is cut within 10 s. */
static void
no_hello(void **state)
{
	struct stage st;
	int quiet, text, slow;
	uint64_t now = 1000000;

	begin(&st, wide);
	clock_fake(now, 0);
	quiet = client(st.ports[2]);
	text = client(st.ports[2]);
	slow = client(st.ports[2]);
	put(text, "a LOGIN x y\r\n");
	UNTIL(&st, caps_total(st.h->caps) == 3);
	assert_true(sees_end(&st, text)); /* at once */
	(void)close(text);
	UNTIL(&st, caps_total(st.h->caps) == 2);
	for (int i = 0; i < 38; i++) {
		clock_fake(now += 250, 0);
		put(slow, i == 0 ? "\x16" : i == 1 ? "\x03" : i == 2 ? "\x01" : "\x10"); /* drip */
		turn(&st);
		assert_int_equal(caps_total(st.h->caps), i < 37 ? 2 : caps_total(st.h->caps));
	}
	clock_fake(now += 500, 0);
	for (int i = 0; i < 4; i++)
		turn(&st);
	assert_int_equal(caps_total(st.h->caps), 0);
	assert_true(sees_end(&st, quiet));
	assert_true(sees_end(&st, slow));
	assert_int_equal(heard.converse, 0);
	clock_real();
	(void)close(quiet);
	(void)close(slow);
	end(&st);
}

/* Without the room keys no handshake completes, and nothing waits for it. */
static void
no_keys(void **state)
{
	struct stage st;
	struct signer signer;
	struct signer_key key = { .signer = &signer, .name = S("tls") };
	struct secure tls;
	struct buf cert, pem;
	uint64_t before;
	int c;

	begin(&st, wide);
	signer_init(&signer);
	buf_init(&cert, TLS_CHAIN_BYTES);
	buf_init(&pem, PRIVKEY_PEM_MAX);
	testing_cert(TESTING_EC, &cert, &pem);
	tls_server_free(&st.h->tls);
	st.h->tls = tls_server_new();
	assert_true(tls_server_add(st.h->tls, buf_slice(&cert), signer_sign, &key, NULL));
	c = client(st.ports[2]);
	before = clock_mono_ms();
	assert_false(shake(&st, &tls, c));
	assert_true(clock_mono_ms() - before < LIMIT_IMPLICIT_MS); /* the signature failed, nobody waited for the handshake's end */
	assert_int_equal(signer.failed, 1);
	secure_free(&tls);
	(void)close(c);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	ipc_client_free(&signer.client);
	arena_free(&signer.arena);
	buf_free(&cert);
	buf_free(&pem);
	end(&st);
}

/* A room that breaks the rules of its channel loses its conversations, door goes on. */
static void
hostile_room(void **state)
{
	struct stage st;
	int c;

	begin(&st, wide);
	c = client(st.ports[0]);
	UNTIL(&st, heard.converse == 1);
	assert_int_equal(send(ipc_fd(st.smtp), "\xff\xff rubbish", 10, 0), 10);
	UNTIL(&st, caps_total(st.h->caps) == 0);
	(void)close(c);
	ipc_channel_free(&st.smtp);
	st.smtp = introduce(&st, "smtp", "mx");
	c = client(st.ports[0]);
	UNTIL(&st, heard.converse == 2);
	(void)close(c);
	end(&st);
}

/* No descriptor is left for a client: nothing spins, and it is served when there is one again. */
static void
out_of_descriptors(void **state)
{
	struct stage st;
	struct rlimit keep, few;
	unsigned rounds = 0;
	uint64_t from;
	int c, next;

	begin(&st, wide);
	c = client(st.ports[0]);
	next = dup(c);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &keep), 0);
	few = (struct rlimit){ .rlim_cur = (rlim_t)next, .rlim_max = keep.rlim_max };
	(void)close(next);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	from = clock_mono_ms();
	while (clock_mono_ms() - from < 150) {
		loop_once(st.h->loop, 50);
		rounds++;
	}
	assert_int_equal(heard.converse, 0);
	assert_true(rounds < 10);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &keep), 0);
	UNTIL(&st, heard.converse == 1);
	(void)close(c);
	end(&st);
}

static void
on_timeout(void *arg)
{
	*(bool *)arg = true;
}

/* Stop: nobody new, a moment for what is being said, then a clean end for clients under TLS. */
static void
stops(void **state)
{
	struct stage st;
	struct secure tls;
	struct loop_timer *guard;
	bool late = false;
	int c, bare, refused;
	struct sockaddr_in sin = { .sin_family = AF_INET };

	begin(&st, wide);
	bare = client(st.ports[0]);
	UNTIL(&st, heard.converse == 1);
	c = client(st.ports[2]);
	assert_true(shake(&st, &tls, c));
	UNTIL(&st, heard.converse == 2);
	put(heard.fd, "* BYE\r\n");
	guard = loop_after(st.h->loop, 5000, on_timeout, &late);
	house_stop(st.h);
	house_stop(st.h);
	refused = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(st.ports[0]);
	assert_int_equal(connect(refused, (struct sockaddr *)&sin, sizeof sin), -1);
	loop_run(st.h->loop);
	assert_false(late);
	loop_cancel(st.h->loop, &guard);
	assert_true(secure_gets(&st, &tls, "* BYE\r\n"));
	assert_true(secure_ends(&st, &tls));
	(void)close(refused);
	(void)close(bare);
	(void)close(c);
	secure_free(&tls);
	end(&st);
}

/* PROXY from a listed front end: the true address goes to the room, what follows stays in the socket;
 * anybody else's is text like any other (S-090). */
static void
proxy_protocol(void **state)
{
	struct ip_nets nets;
	struct stage st;
	int c;

	begin(&st, wide);
	assert_true(ip_nets_parse(S("127.0.0.0/8"), &nets));
	c = client(st.ports[0]);
	put(c, "PROXY TCP4 192.0.2.9 198.51.100.1 5000 25\r\n");
	UNTIL(&st, heard.converse == 1);
	assert_int_not_equal(heard.peer_port, 5000);
	(void)close(c);
	house_proxies(st.h, "smtp", &nets);
	c = client(st.ports[0]);
	put(c, "PROXY TCP4 192.0.2.9 198.");
	for (int i = 0; i < 20; i++)
		turn(&st);
	assert_int_equal(heard.converse, 1);
	put(c, "51.100.1 5000 25\r\nEHLO x\r\n");
	UNTIL(&st, heard.converse == 2);
	assert_int_equal(heard.peer_port, 5000);
	assert_int_equal(heard.ip_n, 4);
	assert_true(reads(&st, heard.fd, "EHLO x\r\n"));
	(void)close(c);
	c = client(st.ports[0]);
	put(c, "EHLO x\r\n");
	assert_true(sees_end(&st, c));
	assert_int_equal(heard.converse, 2);
	(void)close(c);
	end(&st);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bare_socket),
		cmocka_unit_test(starttls),
		cmocka_unit_test(wrong_descriptors),
		cmocka_unit_test(logins),
		cmocka_unit_test(no_mailbox),
		cmocka_unit_test(resting),
		cmocka_unit_test(resting_ends),
		cmocka_unit_test(room_restarts),
		cmocka_unit_test(limits), cmocka_unit_test(crowd), cmocka_unit_test(room_behind), cmocka_unit_test(front_ends_count),
		cmocka_unit_test(no_hello),
		cmocka_unit_test(no_keys),
		cmocka_unit_test(hostile_room),
		cmocka_unit_test(out_of_descriptors),
		cmocka_unit_test(proxy_protocol),
		cmocka_unit_test(stops),
	};

	if (!tls_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
