/* SPDX-License-Identifier: MIT
 * A table in PostgreSQL, for the room that alone links libpq. */
#pragma once

#include "lib/outbox/outbox.h"

struct outbox_server {
	const char *host; /* the directory of a Unix socket, or a literal IP address */
	const char *port, *database, *role;
	int password; /* a file, read at each connection; -1: none. Stays the caller's */
};

/* Connects at the first question, and again after a failure; a question takes OUTBOX_PG_MS at most. All strings outlive
 * the handle. Nothing of libpq's surroundings counts: no environment, no ~/.pgpass, no service file. */
#define OUTBOX_PG_MS 5000u
struct outbox *outbox_postgres(const struct outbox_server *at, const char *table);
