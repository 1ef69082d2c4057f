/* SPDX-License-Identifier: MIT
 * The resolver over a channel: the far end is a thread that plays the dns room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/socket.h>

#include "ipc/room_dns.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/resolve/room.h"

static struct resolve_room dns;

static void
on_query(void *ctx, struct ipc_call *call, struct room_dns_query *m)
{
	struct room_dns_rdata one = { .data = S("\x00\x0a\x01m\x04test\x00") };
	struct room_dns_query_answer out = { .status = ROOM_DNS_STATUS_OK,
		.secure = true,
		.ttl = 60,
		.name = m->name,
		.rdata = &one,
		.n_rdata = 1 };

	(void)ctx;
	if (slice_eq(m->name, S("silent.test"))) {
		(void)ipc_refuse(call);
		return;
	}
	if (slice_eq(m->name, S("short.test")))
		one.data = S("\x00");
	if (slice_eq(m->name, S("bogus.test")))
		out = (struct room_dns_query_answer){ .status = ROOM_DNS_STATUS_BOGUS };
	if (slice_eq(m->name, S("none.test")))
		out = (struct room_dns_query_answer){ .status = ROOM_DNS_STATUS_NXDOMAIN, .secure = true };
	(void)room_dns_query_answer(call, &out);
}

static void *
play(void *arg)
{
	static const struct room_dns_server h = { .query = on_query };
	struct ipc_channel *ch = ipc_channel_new(*(int *)arg, "test", "");

	while (room_dns_server_serve(ch, &h, NULL) == IPC_OK)
		;
	ipc_channel_free(&ch);
	return NULL;
}

static void
answers_over_the_channel(void **state)
{
	static const struct {
		struct slice name;
		enum resolve_status status;
		bool secure;
	} table[] = {
		{ S_INIT("a.test"), RESOLVE_OK, true },
		{ S_INIT("none.test"), RESOLVE_NXDOMAIN, true },
		{ S_INIT("bogus.test"), RESOLVE_BOGUS, false },
		{ S_INIT("short.test"), RESOLVE_SERVFAIL, false },
		{ S_INIT("silent.test"), RESOLVE_TIMEOUT, false },
	};
	struct resolve_asker asker = { .room = &dns, .session = 7 };
	struct resolver r = resolve_via_room(&asker);
	pthread_t t;
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	resolve_room_init(&dns, 300);
	resolve_room_connect(&dns, ends[0]);
	assert_int_equal(pthread_create(&t, NULL, play, &ends[1]), 0);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		own(arena_p) a = arena_new("test", 1 << 20);
		struct resolve_answer out;

		resolve(&r, table[i].name, RR_MX, a, &out);
		assert_int_equal(out.status, table[i].status);
		assert_int_equal(out.secure, table[i].secure);
		assert_int_equal(out.n, table[i].status == RESOLVE_OK ? 1 : 0);
		if (out.n == 1)
			assert_true(slice_eq(out.rr[0].name, S("m.test")));
	}
	resolve_room_free(&dns);
	(void)pthread_join(t, NULL);
}

/* D-003: without dns nothing is absent, and nobody waits beyond the deadline. */
static void
d003_no_dns_is_a_timeout(void **state)
{
	struct resolve_asker asker = { .room = &dns };
	struct resolver r = resolve_via_room(&asker);
	own(arena_p) a = arena_new("test", 1 << 20);
	struct resolve_answer out;
	uint64_t start = clock_mono_ms();

	(void)state;
	resolve_room_init(&dns, 60000);
	asker.deadline_ms = start + 100;
	resolve(&r, S("a.test"), RR_MX, a, &out);
	assert_int_equal(out.status, RESOLVE_TIMEOUT);
	assert_true(resolve_failed(out.status));
	assert_true(clock_mono_ms() - start < 30000); /* its own deadline, not the room's */
	resolve_room_free(&dns);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(answers_over_the_channel),
		cmocka_unit_test(d003_no_dns_is_a_timeout) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
