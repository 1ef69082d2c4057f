/* SPDX-License-Identifier: MIT
 * ENVELOPE, BODY and BODYSTRUCTURE, made once and kept in the store's cache as they leave:
 *
 *	u32 length, envelope | u32 length, BODYSTRUCTURE | u32 length, BODY     (little-endian)
 *
 * A client that lists a mailbox costs one read of that cache a message then, and no parsing. Deliveries
 * and APPEND write it in the transaction of the message; for a message of more than 256 KiB, or when
 * the version has changed, the first FETCH does. */
#include "lib/make/mime/structure.h"
#include "lib/base/cursor.h"
#include "rooms/mailbox/message.h"

#define MOST ((size_t)8388608) /* bytes of the three; a message that says more is answered uncached */

enum { ENVELOPE, EXTENDED, BASIC, ANSWERS };

/* Cuts the three answers out of what was kept. */
static bool
split(struct slice kept, struct slice answer[ANSWERS])
{
	struct cursor c = cur_of(kept);

	for (int i = 0; i < ANSWERS; i++) {
		uint32_t n = cur_get_u32le(&c);

		if (!cur_bytes(&c, n, &answer[i]))
			return false;
	}
	return cur_done(&c);
}

static bool
put_answer(const struct mime *tree, struct arena *scratch, int which, struct buf *b)
{
	struct buf one;
	bool ok;

	buf_init(&one, MOST);
	ok = which == ENVELOPE ? structure_put_envelope(&one, tree->root, scratch) :
				 structure_put_body(&one, tree->root, which == EXTENDED, scratch);
	ok = ok && buf_put_u32le(b, (uint32_t)one.n) && buf_add(b, buf_slice(&one));
	buf_free(&one);
	return ok;
}

static bool
put_all(const struct mime *tree, struct arena *scratch, struct buf *b)
{
	return put_answer(tree, scratch, ENVELOPE, b) && put_answer(tree, scratch, EXTENDED, b) &&
	    put_answer(tree, scratch, BASIC, b);
}

bool
message_cache(struct slice message, struct buf *out)
{
	struct arena *a = arena_new("message", 2 * LIMIT_ARENA_MESSAGE);
	struct mime tree;
	bool ok = mime_parse(message, a, &tree) && put_all(&tree, a, out);

	arena_free(&a);
	return ok;
}

/* Makes the answers and gives them to the store. */
static bool
make(struct message *m)
{
	const struct mime *tree;
	struct buf b;
	bool ok;

	if (!message_tree(m, &tree))
		return false;
	buf_init(&b, 3 * MOST + 12);
	ok = put_all(tree, message_arena(m), &b);
	if (ok) {
		/* losing it is harmless */
		(void)mailbox_cache_put(m->store, m->folder, m->uid, MESSAGE_CACHE, buf_slice(&b));
		ok = arena_copy(message_arena(m), buf_slice(&b), &m->kept);
	}
	if (!ok)
		m->err = STORE_LIMIT;
	buf_free(&b);
	return ok;
}

#define STRUCTURE (IMAP_ITEM_ENVELOPE | IMAP_ITEM_BODY | IMAP_ITEM_BODYSTRUCTURE)

bool
message_structure(struct message *m, uint32_t items)
{
	struct slice answer[ANSWERS];

	if ((items & STRUCTURE) == 0 || m->kept.p != NULL)
		return true;
	m->err = mailbox_cache_get(m->store, m->folder, m->uid, MESSAGE_CACHE, message_arena(m),
	    &m->kept);
	if (m->err == STORE_OK && split(m->kept, answer))
		return true;
	m->kept = (struct slice){ NULL, 0 };
	return make(m);
}

struct slice
message_answer(struct message *m, uint32_t item)
{
	struct slice answer[ANSWERS];
	int which = item == IMAP_ITEM_ENVELOPE ? ENVELOPE : item == IMAP_ITEM_BODY ? BASIC : EXTENDED;

	PN_ASSERT(m->kept.p != NULL && split(m->kept, answer));
	return answer[which];
}
