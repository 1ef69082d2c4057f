/* SPDX-License-Identifier: MIT
 * The room over real channels and sealed memfds; there is no dns, and keys are played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/clock/clock.h"
#include "lib/crypto/digest.h"
#include "rooms/scan/room.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static struct {
	struct scan_room room;
	struct ipc_client *mx, *submission;
	struct ipc_channel *keys;
	pthread_t serving, signing;
	unsigned asked_signers;
} house;

static void *
serve(void *arg)
{
	(void)arg;
	loop_run(house.room.loop);
	return NULL;
}

static void
on_signers(void *ctx, struct ipc_call *call, struct scan_keys_signers *m)
{
	struct scan_keys_signer s = { S("s1"), SCAN_KEYS_ALGORITHM_ED25519 };
	struct scan_keys_signers_answer out = { .signers = &s, .n_signers = slice_eq(m->domain, S("ours.example")) };

	(void)ctx;
	house.asked_signers++;
	(void)scan_keys_signers_answer(call, &out);
}

static void
on_sign(void *ctx, struct ipc_call *call, struct scan_keys_sign *m)
{
	uint8_t signature[64] = { 1 };
	struct scan_keys_made made = { .signature = slice_of(signature, 64) };
	struct scan_keys_sign_answer out = { .status = SCAN_KEYS_STATUS_OK, .signatures = &made, .n_signatures = m->n_parts };

	(void)ctx;
	assert_int_equal(m->n_parts, 1);
	(void)scan_keys_sign_answer(call, &out);
}

static void *
play_keys(void *arg)
{
	static const struct scan_keys_server side = { .signers = on_signers, .sign = on_sign };

	(void)arg;
	while (scan_keys_server_serve(house.keys, &side, NULL) == IPC_OK)
		;
	return NULL;
}

static int
meet(const char *peer, const char *instance)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	scan_introduce(&house.room, peer, instance, ends[1]);
	return ends[0];
}

static int
begin(void **state)
{
	struct scan_conf conf = { .hostname = S("mx.example.test"), .mode = SCAN_MARK, .dns_ms = 200 };

	(void)state;
	scan_room_init(&house.room, NULL, loop_new(), &conf, 1 << 20);
	house.mx = ipc_client_new("scan");
	house.submission = ipc_client_new("scan");
	ipc_client_connect(house.mx, meet("smtp", "mx"));
	ipc_client_connect(house.submission, meet("smtp", "submission"));
	house.keys = ipc_channel_new(meet("keys", ""), "scan", "");
	return pthread_create(&house.serving, NULL, serve, NULL) != 0 ||
	    pthread_create(&house.signing, NULL, play_keys, NULL) != 0;
}

static void
stop_soon(void *arg)
{
	scan_stop(arg);
}

static int
finish(void **state)
{
	(void)state;
	loop_post(house.room.loop, stop_soon, &house.room);
	assert_int_equal(pthread_join(house.serving, NULL), 0);
	ipc_client_free(&house.room.keys); /* ends the player's channel */
	assert_int_equal(pthread_join(house.signing, NULL), 0);
	ipc_channel_free(&house.keys);
	ipc_client_free(&house.mx);
	ipc_client_free(&house.submission);
	return 0;
}

static struct smtp_scan_judge_answer
judge(struct ipc_client *c, const char *mail, bool sealed, uint64_t trace, struct arena *a)
{
	own(fd_t) fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct smtp_scan_judge in = { .queue_id = S("q.1"), .sender = S("a@far.example"), .size = strlen(mail),
		.trace = trace, .fd = fd };
	struct smtp_scan_judge_answer out;

	assert_int_equal(write(fd, mail, strlen(mail)), strlen(mail));
	if (sealed)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, SEALS), 0);
	assert_int_equal(smtp_scan_judge(c, &in, clock_mono_ms() + 10000, a, &out), IPC_OK);
	return out;
}

static void
both_ways(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 22);
	struct smtp_scan_judge_answer v;

	(void)state;
	v = judge(house.mx, "From: a@far.example\r\n\r\nhello\r\n", true, 0, a);
	assert_int_equal(v.action, SMTP_SCAN_ACTION_ACCEPT);
	assert_int_equal(v.n_edits, 1);
	assert_true(slice_starts(v.edits[0].insert, S("Authentication-Results: mx.example.test;")));
	for (int i = 0; i < 3; i++) {
		v = judge(house.submission, "From: a@ours.example\r\n\r\nhello\r\n", true, 0, a);
		assert_int_equal(v.action, SMTP_SCAN_ACTION_ACCEPT);
		assert_int_equal(v.n_edits, 2);
		assert_true(slice_starts(v.edits[0].insert, S("DKIM-Signature: ")) && slice_eq(v.from, S("a@ours.example")));
	}
	assert_int_equal(house.asked_signers, 1); /* remembered */
}

/* What could change while it is read, or is not what was said, is not read. */
static void
distrust(void **state)
{
	own(arena_p) a = arena_new("test", 1 << 22);

	(void)state;
	assert_int_equal(judge(house.mx, "From: a@far.example\r\n\r\nhello\r\n", false, 0, a).action, SMTP_SCAN_ACTION_DEFER);
	assert_int_equal(judge(house.mx, "From: a@far.example\r\n\r\nhello\r\n", true, 1000, a).action, SMTP_SCAN_ACTION_DEFER);
}

/* Nobody may ask but those that are wired. */
static void
strangers(void **state)
{
	char byte;
	own(fd_t) fd = meet("lobby", "");

	(void)state;
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

static void *
many(void *arg)
{
	for (int i = 0; i < 50; i++) {
		own(arena_p) a = arena_new("test", 1 << 22);

		if (judge(arg, "From: a@ours.example\r\n\r\nhello\r\n", true, 0, a).action != SMTP_SCAN_ACTION_ACCEPT)
			return arg;
	}
	return NULL;
}

static void
at_once(void **state)
{
	pthread_t t[16];
	void *failed;

	(void)state;
	for (int i = 0; i < 16; i++)
		assert_int_equal(pthread_create(&t[i], NULL, many, i % 2 == 0 ? house.mx : house.submission), 0);
	for (int i = 0; i < 16; i++) {
		assert_int_equal(pthread_join(t[i], &failed), 0);
		assert_null(failed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(both_ways), cmocka_unit_test(distrust),
		cmocka_unit_test(strangers), cmocka_unit_test(at_once) };

	crypto_init();
	return cmocka_run_group_tests(tests, begin, finish);
}
