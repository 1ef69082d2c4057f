/* SPDX-License-Identifier: MIT
 * How many messages each smarthost has had in an hour, so that a restart does not give it as many again: one file, one row
 * a smarthost, on the disk when relaycap_put() returns. Between uses it is closed (db_rest). Not thread-safe. */
#pragma once

#include "lib/store/store.h"

struct relaycap;

/* Opens or creates the file. The path has to last until relaycap_close(). */
enum store_err relaycap_open(const char *path, struct relaycap **out);
/* *c becomes NULL; accepts NULL. */
void relaycap_close(struct relaycap **c);
/* hour counts hours since 1970. STORE_NONE, with both untouched, for one that is not known. */
enum store_err relaycap_get(struct relaycap *c, struct slice relay, uint64_t *hour, uint32_t *used);
/* Keeps or replaces it. relay is 1..63 bytes. */
enum store_err relaycap_put(struct relaycap *c, struct slice relay, uint64_t hour, uint32_t used);
