/* SPDX-License-Identifier: MIT
 * Content in and out of descriptors, for lib/store alone. */
#pragma once

#include "lib/store/store.h"

#define STORE_CHUNK ((size_t)262144) /* content is kept in rows of at most this much */

/* Content to be stored: prefix, then bytes or a descriptor, as one stream. */
struct source {
	struct slice prefix, content;
	int fd;
	uint64_t size;	/* of content */
	uint64_t at;	/* read so far, prefix included */
	uint8_t *chunk;	/* STORE_CHUNK or less, made when needed; source_free() */
	size_t cap;
};

static inline uint64_t
source_total(const struct source *s)
{
	return s->prefix.n + s->size;
}
/* The next bytes: STORE_CHUNK of them, or what is left. Borrowed until the next call. STORE_IO when the
 * descriptor holds less than was said. At the end an empty slice. */
enum store_err source_next(struct source *s, struct slice *out);
void source_free(struct source *s);

/* A new empty memfd, or -1. */
int memfd_new(const char *name);
enum store_err memfd_write(int fd, struct slice s);
/* Seals it against every change and rewinds it. */
enum store_err memfd_seal(int fd);
