/* SPDX-License-Identifier: MIT
 * The spool at rest: content sealed with XChaCha20-Poly1305 (libsodium), with a key that the room keys
 * holds. Each part has a nonce of its own, drawn at random; which message and part it is, and whether it is
 * the last, are authenticated with it. Envelopes are not sealed: the queue is sorted by them.
 *
 * Until the key has come, nothing is accepted and nothing is taken from the spool. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "ipc/queue_keys.h"
#include "lib/events/events.h"
#include "rooms/queue/queue.h"

#define KEY crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define NONCE ((size_t)crypto_aead_xchacha20poly1305_ietf_NPUBBYTES)
#define TAG ((size_t)crypto_aead_xchacha20poly1305_ietf_ABYTES)
#define ASK_AGAIN_MS 2000u

_Static_assert(KEY == 32, "ipc/queue_keys.msg");

static uint8_t key[KEY]; /* one spool, one room */

struct bound {
	uint64_t message, part, last;
};

static bool
seal(void *ctx, uint64_t message, uint64_t part, bool last, struct slice in, struct buf *out)
{
	struct bound with = { message, part, last };
	uint8_t nonce[NONCE], *p;
	unsigned long long n = 0;

	(void)ctx;
	randombytes_buf(nonce, sizeof nonce);
	if (!buf_add(out, slice_of(nonce, sizeof nonce)) || (p = buf_room(out, in.n + TAG)) == NULL)
		return false;
	if (crypto_aead_xchacha20poly1305_ietf_encrypt(p, &n, in.p, in.n, (const uint8_t *)&with, sizeof with, NULL, nonce,
	    key) != 0)
		return false;
	buf_grown(out, (size_t)n);
	return true;
}

static bool
unseal(void *ctx, uint64_t message, uint64_t part, bool last, struct slice in, struct buf *out)
{
	struct bound with = { message, part, last };
	unsigned long long n = 0;
	uint8_t *p;

	(void)ctx;
	if (in.n < NONCE + TAG || (p = buf_room(out, in.n - NONCE - TAG)) == NULL)
		return false;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(p, &n, NULL, slice_from(in, NONCE).p, in.n - NONCE,
	    (const uint8_t *)&with, sizeof with, in.p, key) != 0)
		return false;
	buf_grown(out, (size_t)n);
	return true;
}

void
cipher_use(struct queue *q, struct slice with)
{
	static const struct spool_cipher cipher = { .seal = seal, .open = unseal };

	PN_ASSERT(with.n == KEY);
	memcpy(key, with.p, KEY);
	spool_set_cipher(q->spool, &cipher, q->set.encrypt);
	q->locked = false;
}

/* ---- the channel to keys ------------------------------------------------------------------------ */

static void
ask(void *arg)
{
	struct queue *q = arg;
	struct queue_keys_spool_key m = { .make = q->set.encrypt };

	q->ask_key = NULL;
	if (q->keys != NULL && q->locked)
		(void)queue_keys_spool_key_ask(q->keys, 1, &m);
}

static void
on_key(void *ctx, uint32_t id, struct queue_keys_spool_key_answer *m)
{
	struct queue *q = ctx;

	(void)id;
	if (!q->locked)
		return;
	if (m->status == QUEUE_KEYS_RESULT_OK && m->key.n == KEY) {
		cipher_use(q, m->key);
	} else if (m->status == QUEUE_KEYS_RESULT_NONE && !q->set.encrypt) {
		q->locked = false; /* nothing was ever sealed */
	} else {
		EVENT(EVENT_STORE_ERROR, 0, S(""), S(""), EF("what", S("the key of the spool")),
		    EF("error", slice_z(queue_keys_result_name(m->status))));
		q->ask_key = loop_after(q->loop, ASK_AGAIN_MS, ask, q);
	}
}

static void
keys_gone(struct queue *q)
{
	loop_cancel(q->loop, &q->ask_key);
	loop_unwatch(q->loop, &q->keys_watch);
	ipc_channel_free(&q->keys);
}

static void
from_keys(void *arg, unsigned ready)
{
	static const struct queue_keys_answers answers = { .spool_key = on_key };
	struct queue *q = arg;
	enum ipc_status st = queue_keys_answers_serve(q->keys, &answers, q);

	(void)ready;
	if (st == IPC_OK || st == IPC_AGAIN)
		return;
	if (st == IPC_HOSTILE)
		proc_suspect(q->proc, q->keys);
	keys_gone(q); /* warden introduces the next one */
}

void
cipher_keys(struct queue *q, int fd)
{
	keys_gone(q);
	q->keys = ipc_channel_new(fd, "keys", "");
	ipc_set_nonblocking(q->keys, true);
	q->keys_watch = loop_watch(q->loop, fd, LOOP_READ, from_keys, q);
	ask(q);
}

bool
cipher_init(void)
{
	return sodium_init() >= 0;
}
