/* SPDX-License-Identifier: MIT */
#include "rooms/auth/hasher.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/scram/scram.h"

#define STACK ((size_t)128 * 1024)

struct hasher {
	struct loop *loop;
	unsigned long long ops;
	size_t memory;
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct hash_job *first, **last;	  /* that wait */
	struct hash_job *done, **done_last; /* that the loop is to hear of */
	bool posted;			  /* the loop has been told that there are some */
	size_t waiting;
	unsigned threads, idle;
	bool ending;
	pthread_t thread[HASHER_THREADS];
	char nobody[crypto_pwhash_STRBYTES]; /* a hash of nothing that anybody knows */
};

bool
hasher_prepare(void)
{
	return sodium_init() >= 0;
}

struct hasher *
hasher_new(struct loop *l, unsigned long long ops, size_t memory)
{
	struct hasher *h = calloc(1, sizeof *h);
	uint8_t unknown[32];
	char text[65];

	PN_ASSERT(h != NULL);
	h->loop = l;
	h->ops = ops;
	h->memory = memory;
	h->last = &h->first;
	h->done_last = &h->done;
	(void)pthread_mutex_init(&h->lock, NULL);
	(void)pthread_cond_init(&h->work, NULL);
	randombytes_buf(unknown, sizeof unknown);
	(void)sodium_bin2hex(text, sizeof text, unknown, sizeof unknown);
	PN_ASSERT(crypto_pwhash_str_alg(h->nobody, text, 64, ops, memory,
	    crypto_pwhash_ALG_ARGON2ID13) == 0);
	sodium_memzero(unknown, sizeof unknown);
	sodium_memzero(text, sizeof text);
	return h;
}

void
hash_job_fill(struct hash_job *j, struct slice password, struct slice hash)
{
	PN_ASSERT(password.n <= sizeof j->password && hash.n < sizeof j->hash);
	if (password.n > 0)
		memcpy(j->password, password.p, password.n);
	j->password_n = password.n;
	if (hash.n > 0)
		memcpy(j->hash, hash.p, hash.n);
	j->hash[hash.n] = 0;
}

static bool
make(struct hasher *h, struct hash_job *j)
{
	char argon[crypto_pwhash_STRBYTES];
	struct scram_keys keys = { 0 };
	struct buf text;

	if (crypto_pwhash_str_alg(argon, j->password, j->password_n, h->ops, h->memory,
		crypto_pwhash_ALG_ARGON2ID13) != 0)
		return false;
	buf_init(&text, sizeof j->hash);
	(void)buf_add(&text, slice_z(argon));
	if (!j->no_scram) {
		scram_make(&keys, slice_of(j->password, j->password_n));
		(void)buf_byte(&text, '\n');
		(void)scram_put(&text, &keys);
	}
	PN_ASSERT(buf_byte(&text, 0));
	memcpy(j->hash, text.p, text.n);
	buf_free(&text);
	sodium_memzero(&keys, sizeof keys);
	return true;
}

static void
work_on(struct hasher *h, struct hash_job *j)
{
	bool nobody = j->hash[0] == 0;
	char *end = memchr(j->hash, '\n', sizeof j->hash);

	if (j->make) {
		j->ok = make(h, j);
		j->failed = !j->ok;
	} else {
		errno = 0;
		if (end != NULL)
			*end = 0;
		j->ok = crypto_pwhash_str_verify(nobody ? h->nobody : j->hash, j->password,
		    j->password_n) == 0 && !nobody;
		j->failed = !j->ok && errno == ENOMEM;
	}
	sodium_memzero(j->password, sizeof j->password);
}

/* In the loop's thread. A hasher that was freed meanwhile has left its memory here, and its jobs are gone. */
static void
finished(void *arg)
{
	struct hasher *h = arg;
	struct hash_job *j, *next;
	bool ending;

	(void)pthread_mutex_lock(&h->lock);
	j = h->done;
	h->done = NULL;
	h->done_last = &h->done;
	h->posted = false;
	ending = h->ending;
	(void)pthread_mutex_unlock(&h->lock);
	if (ending) {
		(void)pthread_mutex_destroy(&h->lock);
		free(h);
		return;
	}
	for (; j != NULL; j = next) {
		next = j->next;
		j->done(j);
	}
}

/* Under the lock, by a worker. */
static void
hand_back(struct hasher *h, struct hash_job *j)
{
	j->next = NULL;
	*h->done_last = j;
	h->done_last = &j->next;
	if (!h->posted)
		loop_post(h->loop, finished, h);
	h->posted = true;
}

static struct hash_job *
take(struct hasher *h)
{
	struct hash_job *j = h->first;

	h->first = j->next;
	if (h->first == NULL)
		h->last = &h->first;
	h->waiting--;
	return j;
}

static void *
run(void *arg)
{
	struct hasher *h = arg;

	(void)pthread_mutex_lock(&h->lock);
	while (!h->ending) {
		struct hash_job *j;

		if (h->first == NULL) {
			h->idle++;
			(void)pthread_cond_wait(&h->work, &h->lock);
			h->idle--;
			continue;
		}
		j = take(h);
		(void)pthread_mutex_unlock(&h->lock);
		work_on(h, j);
		(void)pthread_mutex_lock(&h->lock);
		hand_back(h, j);
	}
	(void)pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* Under the lock. */
static void
one_more_thread(struct hasher *h)
{
	pthread_attr_t a;

	if (h->idle > 0 || h->threads == HASHER_THREADS)
		return;
	(void)pthread_attr_init(&a);
	(void)pthread_attr_setstacksize(&a, STACK);
	if (pthread_create(&h->thread[h->threads], &a, run, h) == 0)
		h->threads++;
	(void)pthread_attr_destroy(&a);
}

bool
hasher_add(struct hasher *h, struct hash_job *j)
{
	bool taken = false;

	(void)pthread_mutex_lock(&h->lock);
	one_more_thread(h);
	if (h->waiting < HASHER_QUEUE + (j->ahead ? HASHER_AHEAD : 0) && h->threads > 0) {
		j->hasher = h;
		j->next = j->ahead ? h->first : NULL;
		if (!j->ahead || h->first == NULL) {
			*h->last = j;
			h->last = &j->next;
		} else {
			h->first = j;
		}
		h->waiting++;
		taken = true;
		(void)pthread_cond_signal(&h->work);
	}
	(void)pthread_mutex_unlock(&h->lock);
	return taken;
}

void
hasher_free(struct hasher **hp)
{
	struct hasher *h = *hp;

	*hp = NULL;
	if (h == NULL)
		return;
	(void)pthread_mutex_lock(&h->lock);
	h->ending = true;
	(void)pthread_cond_broadcast(&h->work);
	(void)pthread_mutex_unlock(&h->lock);
	for (unsigned i = 0; i < h->threads; i++)
		(void)pthread_join(h->thread[i], NULL);
	for (struct hash_job *j = h->first; j != NULL; j = j->next)
		sodium_memzero(j->password, sizeof j->password);
	(void)pthread_cond_destroy(&h->work);
	if (h->posted)
		return; /* finished() is still to come, and frees it */
	(void)pthread_mutex_destroy(&h->lock);
	free(h);
}
