/* SPDX-License-Identifier: MIT
 * One message as FETCH and SEARCH need it: content read from the store at most once, and only as much
 * as is asked for. */
#pragma once

#include "lib/parse/header/header.h"
#include "lib/parse/imap/imap.h"
#include "lib/parse/mime/mime.h"
#include "lib/store/mailbox.h"

#define MESSAGE_HEAD ((size_t)65536) /* read first where only the header is wanted */

struct message {
	struct mailbox *store;
	uint64_t folder;
	uint32_t uid, size;
	struct arena *a; /* ends with the message */
	struct mailbox_content content;
	bool head, whole; /* what of content is there */
	struct mime mime; /* root is NULL until message_tree() */
	struct buf scratch;
	struct slice kept; /* the three answers, see structure.c; p is NULL until they are there */
	enum store_err err;
};

/* Nothing is read yet. size: RFC822.SIZE. */
void message_begin(struct message *m, struct mailbox *store, uint64_t folder, uint32_t uid,
    uint32_t size);
void message_end(struct message *m);
/* The header block with its empty line; false on failure, see m->err. Borrowed until message_end()
 * or message_all(). */
[[nodiscard]] bool message_header(struct message *m, struct slice *out);
/* All of it. */
[[nodiscard]] bool message_all(struct message *m, struct slice *out);

/* Memory that ends with the message. */
struct arena *message_arena(struct message *m);
/* Its parts; borrows the content. */
[[nodiscard]] bool message_tree(struct message *m, const struct mime **out);

/* The octets of a body section (RFC 3501 6.4.5), valid until the next call. *nil: there is no such
 * part. False: see m->err. */
[[nodiscard]] bool message_section(struct message *m, const struct imap_section *s,
    struct slice *out, bool *nil);

/* The version of the three answers as they are kept: raise it when lib/parse/mime or lib/make/mime
 * answers differently. */
#define MESSAGE_CACHE 3u
/* The three answers for a whole message, as struct mailbox_input wants them. */
bool message_cache(struct slice message, struct buf *out);
/* Has ENVELOPE, BODY and BODYSTRUCTURE ready when items holds one of them: they are computed once and
 * kept beside the message. */
[[nodiscard]] bool message_structure(struct message *m, uint32_t items);
/* One of the three, as it leaves; after message_structure(). Borrowed until message_end(). May be
 * megabytes. */
struct slice message_answer(struct message *m, uint32_t item);
