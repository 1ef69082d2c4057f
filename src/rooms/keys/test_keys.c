/* SPDX-License-Identifier: MIT
 * The room keys over its real channel, without its walls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/x509.h>
#include <pthread.h>
#include <sys/socket.h>

#include "ipc/door_keys.h"
#include "ipc/queue_keys.h"
#include "ipc/scan_keys.h"
#include "lib/clock/clock.h"
#include "lib/tls/testing.h"
#include "rooms/keys/serve.h"

static void
names_and_limits(void **state)
{
	struct ring *r = ring_new();
	struct ring_budget b = { .per_second = 3 };
	struct buf cert, pem, sig;
	uint8_t digest[32] = { 1 };

	buf_init(&cert, TLS_CHAIN_BYTES);
	buf_init(&pem, PRIVKEY_PEM_MAX);
	buf_init(&sig, TLS_SIGN_MAX);
	testing_cert(TESTING_EC, &cert, &pem);
	assert_true(ring_add(r, S("tls"), buf_slice(&pem)));
	assert_false(ring_add(r, S("tls"), buf_slice(&pem)));
	assert_false(ring_add(r, S(""), buf_slice(&pem)));
	assert_false(ring_add(r, S("x"), S("no key")));
	assert_int_equal(ring_size(r), 1);
	assert_int_equal(ring_sign(r, &b, 5000, S("tls"), TLS_ECDSA, slice_of(digest, 32), &sig), RING_OK);
	assert_true(sig.n > 60);
	buf_reset(&sig);
	assert_int_equal(ring_sign(r, &b, 5000, S("tls."), TLS_ECDSA, slice_of(digest, 32), &sig),
	    RING_UNKNOWN);
	assert_int_equal(ring_sign(r, &b, 5000, S("tls"), TLS_RSA_PSS, slice_of(digest, 32), &sig),
	    RING_REFUSED);
	/* three were asked in this second, whatever came of them */
	assert_int_equal(ring_sign(r, &b, 5999, S("tls"), TLS_ECDSA, slice_of(digest, 32), &sig),
	    RING_REFUSED);
	assert_int_equal(sig.n, 0);
	assert_int_equal(ring_sign(r, &b, 6000, S("tls"), TLS_ECDSA, slice_of(digest, 32), &sig), RING_OK);
	assert_int_equal(b.signatures, 2);
	assert_int_equal(b.refused, 2);
	ring_free(&r);
	buf_free(&cert);
	buf_free(&pem);
	buf_free(&sig);
}

static void *
serve(void *arg)
{
	loop_run(((struct keys_room *)arg)->loop);
	return NULL;
}

static void
stop_soon(void *arg)
{
	keys_stop(arg);
}

static enum door_keys_status
ask(struct ipc_client *c, struct arena *a, struct slice key, enum door_keys_algorithm alg,
    struct slice digest, struct slice *sig)
{
	struct door_keys_sign in = { .key = key, .algorithm = alg, .digest = digest };
	struct door_keys_sign_answer out;

	assert_int_equal(door_keys_sign(c, &in, clock_mono_ms() + 5000, a, &out), IPC_OK);
	*sig = out.signature;
	return out.status;
}

static void
over_the_channel(void **state)
{
	struct keys_room room = { .loop = loop_new(), .ring = ring_new(), .per_second = 10 };
	struct ipc_client *c = ipc_client_new("keys");
	struct arena *a = arena_new("test", LIMIT_ARENA_SESSION);
	struct buf cert, pem;
	struct slice sig;
	uint8_t digest[48] = { 9 };
	pthread_t thread;
	int sv[2], strangers[2];
	char byte;

	buf_init(&cert, TLS_CHAIN_BYTES);
	buf_init(&pem, PRIVKEY_PEM_MAX);
	testing_cert(TESTING_RSA, &cert, &pem);
	assert_true(ring_add(room.ring, S("tls"), buf_slice(&pem)));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, strangers), 0);
	keys_introduce(&room, "door", "", sv[1]);
	keys_introduce(&room, "smtp", "mx", strangers[1]); /* not one of ours */
	assert_int_equal(recv(strangers[0], &byte, 1, MSG_DONTWAIT), 0);
	(void)close(strangers[0]);
	assert_int_equal(pthread_create(&thread, NULL, serve, &room), 0);
	ipc_client_connect(c, sv[0]);
	assert_int_equal(ask(c, a, S("tls"), DOOR_KEYS_ALGORITHM_RSA_SHA256, slice_of(digest, 32), &sig),
	    DOOR_KEYS_STATUS_OK);
	assert_int_equal(sig.n, 256);
	assert_int_equal(ask(c, a, S("tls"), DOOR_KEYS_ALGORITHM_RSA_SHA256, slice_of(digest, 48), &sig),
	    DOOR_KEYS_STATUS_REFUSED);
	assert_int_equal(sig.n, 0);
	assert_int_equal(ask(c, a, S("dkim"), DOOR_KEYS_ALGORITHM_RSA_SHA256, slice_of(digest, 32), &sig),
	    DOOR_KEYS_STATUS_UNKNOWN_KEY);
	for (int i = 0; i < 20; i++)
		(void)ask(c, a, S("tls"), DOOR_KEYS_ALGORITHM_ED25519, slice_of(digest, 32), &sig);
	assert_int_equal(ask(c, a, S("tls"), DOOR_KEYS_ALGORITHM_RSA_SHA256, slice_of(digest, 32), &sig),
	    DOOR_KEYS_STATUS_REFUSED); /* the second's budget is gone */
	loop_post(room.loop, stop_soon, &room);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_null(room.ring);
	loop_free(&room.loop);
	ipc_client_free(&c);
	arena_free(&a);
	buf_free(&cert);
	buf_free(&pem);
}

static enum queue_keys_result
spool_key(struct ipc_client *c, struct arena *a, bool make, struct slice *key)
{
	struct queue_keys_spool_key in = { .make = make };
	struct queue_keys_spool_key_answer out;

	assert_int_equal(queue_keys_spool_key(c, &in, clock_mono_ms() + 5000, a, &out), IPC_OK);
	*key = out.key;
	return out.status;
}

/* Made once, when it is wanted, and the same ever after; a file that is no key is no key. */
static void
key_of_the_spool(void **state)
{
	char dir[] = "/tmp/postern-keys-XXXXXX";
	struct keys_room room = { .loop = loop_new(), .ring = ring_new() };
	struct ipc_client *c = ipc_client_new("keys");
	struct arena *a = arena_new("test", LIMIT_ARENA_SESSION);
	struct slice key, again;
	pthread_t thread;
	int sv[2];

	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	keys_introduce(&room, "queue", "", sv[1]);
	assert_int_equal(pthread_create(&thread, NULL, serve, &room), 0);
	ipc_client_connect(c, sv[0]);
	assert_int_equal(spool_key(c, a, false, &key), QUEUE_KEYS_RESULT_NONE);
	assert_int_equal(spool_key(c, a, true, &key), QUEUE_KEYS_RESULT_OK);
	assert_int_equal(key.n, 32);
	assert_int_equal(spool_key(c, a, true, &again), QUEUE_KEYS_RESULT_OK);
	assert_true(slice_eq(key, again));
	assert_int_equal(spool_key(c, a, false, &again), QUEUE_KEYS_RESULT_OK);
	assert_int_equal(truncate("spool.key", 7), 0);
	assert_int_equal(spool_key(c, a, true, &again), QUEUE_KEYS_RESULT_FAILED);
	assert_int_equal(unlink("spool.key"), 0);
	loop_post(room.loop, stop_soon, &room);
	assert_int_equal(pthread_join(thread, NULL), 0);
	loop_free(&room.loop);
	ipc_client_free(&c);
	arena_free(&a);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* Does the key of a record say that sig is its signature of digest? */
static bool
fits(const struct dkim_key *k, struct slice digest, struct slice sig)
{
	const unsigned char *der = k->public;
	bool rsa = k->kind == DKIM_KEY_RSA;
	EVP_PKEY *key = rsa ? d2i_PUBKEY(NULL, &der, (long)k->public_n) :
			      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, k->public, k->public_n);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok;

	if (rsa)
		ok = EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
		    EVP_PKEY_verify(ctx, sig.p, sig.n, digest.p, digest.n) == 1;
	else
		ok = EVP_DigestVerifyInit(md, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestVerify(md, sig.p, sig.n, digest.p, digest.n) == 1;
	EVP_MD_CTX_free(md);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return ok;
}

/* All signatures of a message are one question, and all or none are the answer; the keys of TLS have no name here. */
static void
signatures_of_a_message(void **state)
{
	char dir[] = "/tmp/postern-keys-XXXXXX";
	struct keys_room room = { .loop = loop_new(), .ring = ring_new(), .per_second = 5 };
	struct ipc_client *c = ipc_client_new("keys");
	struct arena *a = arena_new("test", LIMIT_ARENA_SESSION);
	uint8_t digests[2][32] = { { 1 }, { 2 } };
	const struct dkim_key *keys[4];
	struct scan_keys_part parts[4];
	struct scan_keys_sign in = { .domain = S("ours.example"), .parts = parts, .n_parts = 2 };
	struct scan_keys_sign_answer out;
	const char *why;
	pthread_t thread;
	bool refused = false;
	int sv[2];

	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	room.dkim = dkim_open(&why);
	assert_int_equal(dkim_generate(room.dkim, S("ours.example"), 1000), DKIM_DONE);
	assert_int_equal(dkim_signers(room.dkim, S("ours.example"), keys), 2);
	for (size_t i = 0; i < 2; i++)
		parts[i] = (struct scan_keys_part){ slice_z(keys[i]->selector), slice_of(digests[i], 32) };
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	keys_introduce(&room, "scan", "", sv[1]);
	assert_int_equal(pthread_create(&thread, NULL, serve, &room), 0);
	ipc_client_connect(c, sv[0]);
	assert_int_equal(scan_keys_sign(c, &in, clock_mono_ms() + 5000, a, &out), IPC_OK);
	assert_true(out.status == SCAN_KEYS_STATUS_OK && out.n_signatures == 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(fits(keys[i], parts[i].digest, out.signatures[i].signature));
		assert_false(fits(keys[i], parts[1 - i].digest, out.signatures[i].signature));
	}
	parts[1].selector = S("tls.0");
	assert_int_equal(scan_keys_sign(c, &in, clock_mono_ms() + 5000, a, &out), IPC_OK);
	assert_true(out.status == SCAN_KEYS_STATUS_UNKNOWN_KEY && out.n_signatures == 0);
	parts[1] = parts[0];
	for (int i = 0; i < 9; i++) { /* five a second */
		assert_int_equal(scan_keys_sign(c, &in, clock_mono_ms() + 5000, a, &out), IPC_OK);
		refused = refused || (out.status == SCAN_KEYS_STATUS_REFUSED && out.n_signatures == 0);
	}
	assert_true(refused);
	loop_post(room.loop, stop_soon, &room);
	assert_int_equal(pthread_join(thread, NULL), 0);
	loop_free(&room.loop);
	ipc_client_free(&c);
	arena_free(&a);
	assert_int_equal(unlink("dkim.keys"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	bool locked;

	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_limits),
		cmocka_unit_test(over_the_channel),
		cmocka_unit_test(key_of_the_spool),
		cmocka_unit_test(signatures_of_a_message),
	};

	if (!tls_init() || !privkey_init(&locked))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
