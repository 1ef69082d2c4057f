/* SPDX-License-Identifier: MIT
 * MTA-STS policies of other domains, as they were fetched (RFC 8461 section 5.1: they hold until they expire, also
 * over a restart). One file, one row a domain; times are seconds since 1970. The file is a cache: when it is lost,
 * policies are fetched again. Between uses it is closed (db_rest). Not thread-safe. */
#pragma once

#include "lib/store/store.h"

/* Domains kept (count): what expires first goes. */
#define LIMIT_STSCACHE_ROWS 50000u
/* Of one policy file, as it is fetched. */
#define LIMIT_STSCACHE_TEXT ((size_t)65536)

struct stscache;

struct stscache_row {
	struct slice id, text; /* text empty: the last fetch failed, and there is no policy */
	int64_t fetched, expires, tried;
};

/* Opens or creates the file. The path has to last until stscache_close(). */
enum store_err stscache_open(const char *path, struct stscache **out);
/* *c becomes NULL; accepts NULL. */
void stscache_close(struct stscache **c);
/* The row of a domain (lower case); slices in a. STORE_NONE, with *out untouched, when there is none. */
enum store_err stscache_get(struct stscache *c, struct slice domain, struct arena *a, struct stscache_row *out);
/* Keeps or replaces it. Rows without use at now (expired, and not tried within a day) go when there are many. */
enum store_err stscache_put(struct stscache *c, struct slice domain, const struct stscache_row *row, int64_t now);
/* How many there are. */
enum store_err stscache_count(struct stscache *c, uint64_t *out);
