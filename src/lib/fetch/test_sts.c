/* SPDX-License-Identifier: MIT
 * From a message's question to a policy that is remembered: a zone in memory, a cache in a file, and a thread that
 * plays the room fetch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/fetch/fetch.h"
#include "lib/fetch/sts.h"
#include "lib/resolve/zone.h"

#define NOW (clock_wall_us() / 1000000)

static const struct slice policy = S_INIT("version: STSv1\nmode: enforce\nmx: mx.sts.test\nmax_age: 86400\n");
static unsigned asked;

static void
on_fetch(void *ctx, struct ipc_call *call, struct room_fetch_fetch *m)
{
	struct room_fetch_fetch_answer out = { .status = ROOM_FETCH_STATUS_DONE, .code = 200, .size = policy.n,
		.type = S("text/plain") };

	(void)ctx;
	asked++;
	assert_true(slice_eq(m->type, S("text/plain")));
	assert_int_equal(m->max, LIMIT_MTASTS_POLICY);
	assert_int_equal(m->ms, 60000);
	if (slice_eq(m->url, S("https://mta-sts.gone.test/.well-known/mta-sts.txt"))) {
		out = (struct room_fetch_fetch_answer){ .status = ROOM_FETCH_STATUS_DONE, .code = 404 };
	} else if (slice_eq(m->url, S("https://mta-sts.lies.test/.well-known/mta-sts.txt"))) {
		out.size = LIMIT_MTASTS_POLICY + 1; /* says more than there may be */
	} else if (slice_eq(m->url, S("https://mta-sts.short.test/.well-known/mta-sts.txt"))) {
		out.size = policy.n + 1; /* and more than there is */
	} else if (slice_eq(m->url, S("https://mta-sts.false.test/.well-known/mta-sts.txt"))) {
		out = (struct room_fetch_fetch_answer){ .status = ROOM_FETCH_STATUS_UNTRUSTED, .why = S("certificate") };
	} else {
		assert_true(slice_eq(m->url, S("https://mta-sts.sts.test/.well-known/mta-sts.txt")));
	}
	if (out.code == 200)
		assert_int_equal(write(m->fd, policy.p, policy.n), policy.n);
	(void)room_fetch_fetch_answer(call, &out);
}

static void *
play(void *arg)
{
	static const struct room_fetch_server h = { .fetch = on_fetch };
	struct ipc_channel *ch = ipc_channel_new(*(int *)arg, "test", "");

	while (room_fetch_server_serve(ch, &h, NULL) == IPC_OK)
		;
	ipc_channel_free(&ch);
	return NULL;
}

static void
ask(struct sts_source *source, struct slice domain, struct arena *a, struct tlspolicy_domain *d)
{
	static const struct slice text = S_INIT("_mta-sts.sts.test TXT \"v=STSv1; id=one;\"\n"
						"_mta-sts.gone.test TXT \"v=STSv1; id=one;\"\n"
						"_mta-sts.lies.test TXT \"v=STSv1; id=one;\"\n"
						"_mta-sts.short.test TXT \"v=STSv1; id=one;\"\n"
						"_mta-sts.false.test TXT \"v=STSv1; id=one;\"\n");
	struct zone zone;
	struct resolver r = resolver_of(zone_query, &zone);
	struct sts_asker asker = { .source = source, .session = 7 };
	struct tlspolicy_sts sts = sts_source_of(&asker);
	struct tlspolicy_env env = { .r = &r, .sts = &sts, .now = NOW };

	assert_true(zone_parse(text, a, &zone));
	tlspolicy_domain(&env, domain, a, d);
}

static void
fetched_once_and_remembered(void **state)
{
	own(arena_p) a = arena_new("test", 4 << 20);
	struct stscache *cache = NULL;
	struct sts_source source;
	struct tlspolicy_domain d;
	char path[64];
	pthread_t t;
	int ends[2];

	(void)state;
	(void)snprintf(path, sizeof path, "sts-test-%d.db", (int)getpid());
	assert_int_equal(stscache_open(path, &cache), STORE_OK);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	sts_source_init(&source, cache);
	sts_source_connect(&source, ends[0]);
	assert_int_equal(pthread_create(&t, NULL, play, &ends[1]), 0);
	for (unsigned i = 0; i < 3; i++) {
		ask(&source, S("sts.test"), a, &d);
		assert_true(d.sts && d.policy.mode == MTASTS_ENFORCE && mtasts_matches(&d.policy, S("mx.sts.test")));
	}
	assert_int_equal(asked, 1);
	/* a failure is remembered, too */
	for (unsigned i = 0; i < 3; i++) {
		ask(&source, S("gone.test"), a, &d);
		assert_false(d.sts);
	}
	assert_int_equal(asked, 2);
	ask(&source, S("lies.test"), a, &d);
	assert_string_equal(d.result, "sts-policy-fetch-error");
	ask(&source, S("short.test"), a, &d);
	assert_string_equal(d.result, "sts-policy-fetch-error");
	ask(&source, S("false.test"), a, &d);
	assert_string_equal(d.result, "sts-webpki-invalid");
	sts_source_free(&source);
	(void)pthread_join(t, NULL);
	stscache_close(&cache);
	/* after a restart, without fetch */
	assert_int_equal(stscache_open(path, &cache), STORE_OK);
	sts_source_init(&source, cache);
	ask(&source, S("sts.test"), a, &d);
	assert_true(d.sts);
	sts_source_free(&source);
	stscache_close(&cache);
	(void)unlink(path);
	(void)snprintf(path, sizeof path, "sts-test-%d.db-wal", (int)getpid());
	(void)unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(fetched_once_and_remembered) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
