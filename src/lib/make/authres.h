/* SPDX-License-Identifier: MIT
 * Authentication-Results (RFC 8601): our own field written so that no byte of a message, a HELO or a
 * DNS record can change what a reader of it understands, and foreign fields that claim to
 * be ours recognised and removed. */
#pragma once

#include "lib/base/buf.h"

/* Bytes of one value; a longer one is cut and ends in "...". An address has 320. */
#define LIMIT_AUTHRES_VALUE ((size_t)400)
/* Bytes of the whole field that we write. */
#define LIMIT_AUTHRES ((size_t)16384)

struct authres_prop {
	struct slice type;	/* "smtp", "header", "policy", "body": a literal */
	struct slice property;	/* "mailfrom", "d", "s", ...: a literal */
	struct slice value;	/* hostile */
};

struct authres_result {
	struct slice method;  /* "spf", "dkim", "dmarc", "arc", "iprev", "auth": a literal */
	struct slice result;  /* "pass", ...: a literal */
	struct slice comment; /* may be hostile; empty: none */
	struct slice reason;  /* may be hostile; empty: none */
	const struct authres_prop *props;
	size_t n_props;
};

/* Appends the whole field with its name, folded, CRLF at the end. id is our own name, checked when
 * it was configured. No results give "; none". Returns !b->bad. */
bool authres_write(struct buf *b, struct slice id, const struct authres_result *results, size_t n);

/* Appends a value as a token where it is one, an address as it is, anything else as a
 * quoted-string; control bytes become "?". Returns !b->bad. */
bool authres_put_value(struct buf *b, struct slice value);

enum authres_owner {
	AUTHRES_OTHER,
	AUTHRES_OURS,	/* claims to be written by id */
	AUTHRES_BROKEN, /* has no readable authserv-id: nobody may rely on it either */
};

/* Whose field is it? body: what follows the colon, folds included. Names compare without case and
 * without a final dot, comments and quoting undone. */
enum authres_owner authres_owner(struct slice body, struct slice id);

/* Does a field body (or what follows "i=N;" in ARC-Authentication-Results) report this result of this
 * method, as in "id; ... ; dmarc=pass ..."? Comments and quoted strings are no results; both words
 * compare without case. */
bool authres_reports(struct slice body, struct slice method, struct slice result);

/* Copies a header block without the Authentication-Results fields that are ours or broken; every
 * other byte stays. *removed gets their number. Returns !b->bad. */
bool authres_remove(struct buf *b, struct slice header, struct slice id, size_t *removed);
