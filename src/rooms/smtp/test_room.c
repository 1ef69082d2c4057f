/* SPDX-License-Identifier: MIT
 * The room over real channels and sockets: door, auth and queue are played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

#include "ipc/door_smtp.h"
#include "rooms/smtp/room.h"

static struct {
	struct smtp_room room;
	struct loop *loop;
	struct ipc_channel *door, *auth, *queue;
	pthread_t serving, authing, queueing;
	atomic_uint accepted;
	atomic_bool stress;  /* what queue says */
	/* what door heard */
	unsigned starttls, closed;
	uint64_t session;
	uint32_t errors;
	int fd;
} house;

static void
pair(int ends[2], int type)
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
}

/* What this test waits for comes soon or not at all. */
static void
soon(int fd)
{
	const struct timeval most = { .tv_sec = 5 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most), 0);
}

static void *
serve(void *loop)
{
	loop_run(loop);
	return NULL;
}

static void
on_rcpt(void *ctx, struct ipc_call *call, struct smtp_auth_rcpt *m)
{
	struct smtp_auth_target bob = { .account = 2, .address = S("bob@example.test") };
	struct smtp_auth_rcpt_answer out = { .status = SMTP_AUTH_RCPT_STATUS_UNKNOWN_USER };

	(void)ctx;
	if (slice_eq(m->address, S("bob@example.test")))
		out = (struct smtp_auth_rcpt_answer){ .targets = &bob, .n_targets = 1 };
	(void)smtp_auth_rcpt_answer(call, &out);
}

static void *
play_auth(void *ch)
{
	static const struct smtp_auth_server side = { .rcpt = on_rcpt };

	while (smtp_auth_server_serve(ch, &side, NULL) == IPC_OK)
		;
	return NULL;
}

static void
on_accept(void *ctx, struct ipc_call *call, struct smtp_queue_accept *m)
{
	struct smtp_queue_accept_answer out = { .status = SMTP_QUEUE_ACCEPT_STATUS_OK,
		.stress = atomic_load(&house.stress) };
	uint64_t size;

	(void)ctx;
	if (!ipc_sealed_memfd(m->fd, LIMIT_MESSAGE, &size) || size != m->size || m->n_rcpts != 1 ||
	    m->rcpts[0].account != 2)
		out.status = SMTP_QUEUE_ACCEPT_STATUS_REFUSED;
	atomic_fetch_add(&house.accepted, 1);
	(void)smtp_queue_accept_answer(call, &out);
}

static void *
play_queue(void *ch)
{
	static const struct smtp_queue_server side = { .accept = on_accept };

	while (smtp_queue_server_serve(ch, &side, NULL) == IPC_OK)
		;
	return NULL;
}

static void
on_starttls(void *ctx, struct door_smtp_starttls *m)
{
	(void)ctx;
	house.starttls++;
	house.session = m->session;
	house.fd = fd_take(&m->fd);
}

static void
on_closed(void *ctx, struct door_smtp_closed *m)
{
	(void)ctx;
	house.closed++;
	house.session = m->session;
	house.errors = m->errors;
}

static const struct door_smtp_client door_side = { .starttls = on_starttls, .closed = on_closed };

static int
build(void **state)
{
	static const struct smtp_config conf = { .hostname = S_INIT("mx.example.test"), .starttls = true,
		.at = { { .enhanced_codes = true, .chunking = true, .smtputf8 = true } },
		.max_size = 1000000 };
	int d[2], a[2], q[2];

	(void)state;
	pair(d, SOCK_SEQPACKET);
	pair(a, SOCK_SEQPACKET);
	pair(q, SOCK_SEQPACKET);
	house.loop = loop_new();
	smtp_room_init(&house.room, NULL, house.loop, &conf);
	smtp_introduce(&house.room, "door", "0", d[0]);
	smtp_introduce(&house.room, "auth", "", a[0]);
	smtp_introduce(&house.room, "queue", "", q[0]);
	soon(d[1]);
	house.door = ipc_channel_new(d[1], "smtp", "mx");
	house.auth = ipc_channel_new(a[1], "smtp", "mx");
	house.queue = ipc_channel_new(q[1], "smtp", "mx");
	assert_int_equal(pthread_create(&house.authing, NULL, play_auth, house.auth), 0);
	assert_int_equal(pthread_create(&house.queueing, NULL, play_queue, house.queue), 0);
	assert_int_equal(pthread_create(&house.serving, NULL, serve, house.loop), 0);
	return 0;
}

static int
converse(uint64_t session, enum door_smtp_tls tls, const char *listener)
{
	struct door_smtp_converse m = { .session = session, .peer_ip = S("\x7f\0\0\1"),
		.local_ip = S("\x7f\0\0\1"), .tls = tls, .listener = slice_z(listener) };
	int ends[2];

	pair(ends, SOCK_STREAM);
	soon(ends[1]);
	m.fd = ends[0];
	assert_int_equal(door_smtp_converse_send(house.door, &m), IPC_OK);
	(void)close(ends[0]);
	return ends[1];
}

/* Reads until the client has seen this text. */
static void
expect(int fd, const char *text)
{
	char got[2048];
	size_t n = 0;

	while (slice_find(slice_of(got, n), slice_z(text)) == SLICE_NONE) {
		ssize_t r = recv(fd, &got[n], sizeof got - n, 0);

		if (r <= 0)
			fail_msg("%s instead of %s: %.*s", r == 0 ? "the end" : "nothing more", text, (int)n, got);
		n += (size_t)r;
	}
}

static void
say(int fd, const char *text)
{
	struct slice s = slice_z(text);

	assert_int_equal(send(fd, text, s.n, MSG_NOSIGNAL), (ssize_t)s.n);
}

static void
door_hears(void)
{
	assert_int_equal(door_smtp_client_serve(house.door, &door_side, NULL), IPC_OK);
}

static void
one_mail(int fd)
{
	say(fd, "EHLO client.example\r\n");
	expect(fd, "250 8BITMIME\r\n");
	say(fd, "MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.test>\r\nRCPT TO:<x@example.test>\r\nDATA\r\n");
	expect(fd, "354 ");
	say(fd, "Subject: x\r\n\r\nhello\r\n.\r\n");
	expect(fd, "250 2.0.0 queued as ");
}

static void
mail_in_plain_text(void **state)
{
	unsigned before = atomic_load(&house.accepted);
	int fd = converse(77, DOOR_SMTP_TLS_NONE, "smtp");
	char end;

	(void)state;
	expect(fd, "220 mx.example.test ESMTP");
	one_mail(fd);
	assert_int_equal(atomic_load(&house.accepted), before + 1);
	say(fd, "QUIT\r\n");
	expect(fd, "221 ");
	door_hears();
	assert_int_equal(house.session, 77);
	assert_int_equal(house.errors, 2); /* one unknown recipient counts as one and one */
	assert_int_equal(recv(fd, &end, 1, 0), 0);
	(void)close(fd);
}

static void
starttls_and_back(void **state)
{
	int fd = converse(78, DOOR_SMTP_TLS_NONE, "smtp"), again;
	unsigned closed = house.closed;

	(void)state;
	expect(fd, "220 ");
	say(fd, "EHLO client.example\r\n");
	expect(fd, "250-STARTTLS\r\n");
	say(fd, "STARTTLS\r\nEHLO evil.example\r\n");
	expect(fd, "220 2.0.0 ");
	door_hears();
	assert_int_equal(house.starttls, 1);
	assert_int_equal(house.session, 78);
	say(house.fd, "our own socket\n"); /* it is the client's socket that came back */
	expect(fd, "our own socket");
	(void)close(house.fd);
	again = converse(78, DOOR_SMTP_TLS_TLS13, "smtp");
	one_mail(again); /* without a greeting */
	say(again, "QUIT\r\n");
	expect(again, "221 ");
	door_hears();
	assert_int_equal(house.closed, closed + 1);
	(void)close(fd);
	(void)close(again);
}

static void
tls_from_the_start(void **state)
{
	int fd = converse(79, DOOR_SMTP_TLS_TLS12, "submissions");

	(void)state;
	expect(fd, "220 ");
	(void)close(fd);
	door_hears();
	assert_int_equal(house.session, 79);
}

/* Many at once, each parked between its commands; then door says that one is gone. */
static void
many_and_gone(void **state)
{
	enum { MANY = 200 };
	struct door_smtp_gone gone = { .session = 1003 };
	int fds[MANY];
	char end;

	(void)state;
	for (int i = 0; i < MANY; i++)
		fds[i] = converse(1000 + (uint64_t)i, DOOR_SMTP_TLS_NONE, "smtp");
	for (int i = 0; i < MANY; i++)
		expect(fds[i], "220 ");
	(void)nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL); /* longer than they linger */
	for (int i = 0; i < MANY; i++)
		say(fds[i], "NOOP\r\n");
	for (int i = 0; i < MANY; i++)
		expect(fds[i], "250 ");
	assert_int_equal(door_smtp_gone_send(house.door, &gone), IPC_OK);
	assert_int_equal(recv(fds[3], &end, 1, 0), 0);
	door_hears();
	assert_int_equal(house.session, 1003);
	for (int i = 0; i < MANY; i++) {
		(void)close(fds[i]);
		if (i != 3)
			door_hears();
	}
}

/* Junk until it is cut: how many errors were borne. */
static unsigned
patience(uint64_t session)
{
	int fd = converse(session, DOOR_SMTP_TLS_NONE, "smtp");
	unsigned n = 0;
	char got[256];

	expect(fd, "220 ");
	for (;; n++) {
		ssize_t r;

		say(fd, "X\r\n");
		r = recv(fd, got, sizeof got, 0);
		assert_true(r > 4);
		if (memcmp(got, "421", 3) == 0)
			break;
	}
	door_hears();
	(void)close(fd);
	return n;
}

static void
stress_now(uint64_t session, bool stress)
{
	int fd = converse(session, DOOR_SMTP_TLS_NONE, "smtp");

	atomic_store(&house.stress, stress);
	expect(fd, "220 ");
	one_mail(fd);
	say(fd, "QUIT\r\n");
	expect(fd, "221 ");
	door_hears();
	(void)close(fd);
}

/* Queue says so with an answer, door with a message; both have to end it. */
static void
stress(void **state)
{
	int idle = converse(90, DOOR_SMTP_TLS_NONE, "smtp");
	unsigned usual = patience(91);

	(void)state;
	expect(idle, "220 ");
	assert_true(usual > 10);
	stress_now(92, true);
	assert_int_equal(patience(93), 3);
	assert_int_equal(door_smtp_crowded_send(house.door, &(struct door_smtp_crowded){ .yes = true }), IPC_OK);
	stress_now(94, false);
	assert_int_equal(patience(95), 3);
	say(idle, "NOOP\r\n"); /* who was woken by it goes on */
	expect(idle, "250 ");
	assert_int_equal(door_smtp_crowded_send(house.door, &(struct door_smtp_crowded){ .yes = false }), IPC_OK);
	assert_int_equal(patience(96), usual);
	(void)close(idle);
	door_hears();
}

/* A cut client gets its last reply although it has sent more than was read. */
static void
last_words_arrive(void **state)
{
	int fd = converse(80, DOOR_SMTP_TLS_NONE, "smtp");

	(void)state;
	expect(fd, "220 ");
	say(fd, "GET / HTTP/1.1\r\nHost: x\r\nMAIL FROM:<>\r\n\r\n");
	expect(fd, "554 5.5.1 ");
	door_hears();
	(void)close(fd);
}

/* Must be the last: the room ends. */
static void
stops(void **state)
{
	int fd = converse(81, DOOR_SMTP_TLS_NONE, "smtp");

	(void)state;
	expect(fd, "220 ");
	loop_post(house.loop, smtp_stop, &house.room);
	expect(fd, "421 4.3.2 ");
	door_hears();
	assert_int_equal(pthread_join(house.serving, NULL), 0);
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_in_plain_text),
		cmocka_unit_test(starttls_and_back),
		cmocka_unit_test(tls_from_the_start),
		cmocka_unit_test(many_and_gone),
		cmocka_unit_test(stress),
		cmocka_unit_test(last_words_arrive),
		cmocka_unit_test(stops),
	};

	return cmocka_run_group_tests(tests, build, NULL);
}
