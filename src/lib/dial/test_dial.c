/* SPDX-License-Identifier: MIT
 * The dialer against a warden of the test, over a socket pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/dial_warden.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/dial/dial.h"

static struct loop *loop;
static struct dialer dialer;
static struct ipc_channel *warden;

static void
on_dial(void *ctx, struct dial_warden_dial *m)
{
	struct dial_warden_dialed out = { .call = m->call, .fd = -1 };

	(void)ctx;
	if (m->which == 9) /* silence */
		return;
	if (m->which != 3)
		out.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (m->which == 7) { /* an answer that nobody waits for, first */
		struct dial_warden_dialed other = { .call = m->call + 100, .fd = out.fd };

		assert_int_equal(dial_warden_dialed_send(warden, &other), IPC_OK);
	}
	assert_int_equal(dial_warden_dialed_send(warden, &out), IPC_OK);
	fd_t_drop(&out.fd);
}

static void
from_dialer(void *arg, unsigned ready)
{
	static const struct dial_warden_server handlers = { .dial = on_dial };

	(void)arg;
	(void)ready;
	(void)dial_warden_server_serve(warden, &handlers, NULL);
}

struct asking {
	uint32_t which;
	uint64_t ms;
	int fd;
	bool done;
};

static void
done(void *arg)
{
	((struct asking *)arg)->done = true;
}

static void *
ask(void *arg)
{
	struct asking *a = arg;

	a->fd = dialer_dial(&dialer, a->which, clock_mono_ms() + a->ms);
	loop_post(loop, done, a);
	return NULL;
}

static int
dialed(uint32_t which, uint64_t ms)
{
	struct asking a = { .which = which, .ms = ms, .fd = -2 };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, ask, &a), 0);
	while (!a.done)
		loop_once(loop, 50);
	(void)pthread_join(thread, NULL);
	return a.fd;
}

static void
dials(void **state)
{
	struct loop_watch *watch;
	uint64_t began;
	int ends[2], fd;

	(void)state;
	loop = loop_new();
	dialer_init(&dialer, loop);
	assert_int_equal(dialed(0, 5000), -1); /* warden is not there yet: at once */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	warden = ipc_channel_new(ends[0], "room", "");
	watch = loop_watch(loop, ends[0], LOOP_READ, from_dialer, NULL);
	dialer_connect(&dialer, ends[1]);
	fd = dialed(0, 5000);
	assert_true(fd >= 0 && close(fd) == 0);
	assert_int_equal(dialed(3, 5000), -1);
	fd = dialed(7, 5000);
	assert_true(fd >= 0 && close(fd) == 0);
	began = clock_mono_ms();
	assert_int_equal(dialed(9, 200), -1);
	assert_in_range(clock_mono_ms() - began, 200, 3000);
	loop_unwatch(loop, &watch);
	ipc_channel_free(&warden);
	loop_once(loop, 50); /* hears that warden is gone */
	assert_int_equal(dialed(0, 5000), -1);
	ipc_channel_free(&dialer.warden);
	loop_free(&loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(dials) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
