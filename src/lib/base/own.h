/* SPDX-License-Identifier: MIT
 * Scoped ownership. `own(arena_p) a = arena_new(...)` ends with the block; TAKE(a) gives it away.
 * Define and assign in one statement; never mix with goto (there is none in Postern). */
#pragma once

#include <errno.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"

typedef struct arena *arena_p;
typedef struct buf buf_t;
typedef int fd_t;

#define own(type) __attribute__((cleanup(type##_drop))) type
#define TAKE(p)                                                                                    \
	__extension__({                                                                            \
		__typeof__(p) pn_taken = (p);                                                      \
		(p) = NULL;                                                                        \
		pn_taken;                                                                          \
	})

static inline void
arena_p_drop(arena_p *a)
{
	arena_free(a);
}

static inline void
buf_t_drop(buf_t *b)
{
	buf_free(b);
}

/* Closes and forgets; accepts -1; keeps errno. */
static inline void
fd_t_drop(fd_t *fd)
{
	int keep = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = keep;
}

static inline int
fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}
