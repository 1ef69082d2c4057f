/* SPDX-License-Identifier: MIT */
#include "rooms/mailbox/message.h"

#include "lib/parse/mime/section.h"

void
message_begin(struct message *m, struct mailbox *store, uint64_t folder, uint32_t uid,
    uint32_t size)
{
	*m = (struct message){ .store = store, .folder = folder, .uid = uid, .size = size };
}

static void
forget(struct message *m)
{
	if (m->head || m->whole)
		mailbox_content_free(&m->content);
	m->head = m->whole = false;
}

void
message_end(struct message *m)
{
	forget(m);
	buf_free(&m->scratch);
	arena_free(&m->a);
}

bool
message_all(struct message *m, struct slice *out)
{
	if (!m->whole) {
		forget(m);
		m->err = mailbox_content(m->store, m->folder, m->uid, &m->content);
		m->whole = m->err == STORE_OK;
	}
	if (m->whole)
		*out = m->content.bytes;
	return m->whole;
}

bool
message_header(struct message *m, struct slice *out)
{
	struct slice bytes;
	size_t n;

	if (!m->whole && !m->head) {
		m->err = mailbox_content_head(m->store, m->folder, m->uid, MESSAGE_HEAD,
		    &m->content);
		if (m->err != STORE_OK)
			return false;
		m->head = true;
	}
	n = header_length(m->content.bytes);
	/* a block that fills all that was read may go on */
	if (!m->whole && n == m->content.bytes.n && n < m->size) {
		if (!message_all(m, &bytes))
			return false;
		n = header_length(bytes);
	}
	*out = slice_head(m->content.bytes, n);
	return true;
}

struct arena *
message_arena(struct message *m)
{
	if (m->a == NULL)
		m->a = arena_new("message", 4 * LIMIT_ARENA_MESSAGE);
	return m->a;
}

bool
message_tree(struct message *m, const struct mime **out)
{
	struct slice all;

	if (!message_all(m, &all))
		return false;
	if (m->mime.root == NULL && !mime_parse(all, message_arena(m), &m->mime)) {
		m->err = STORE_LIMIT;
		return false;
	}
	*out = &m->mime;
	return true;
}

/* What the header alone answers is answered without the body: clients list mailboxes this way. */
static bool
from_header(struct message *m, const struct mime_section *sec, struct slice *out)
{
	struct mime_part root = { .depth = 0 };
	struct mime part = { .root = &root };

	if (!message_header(m, &root.header))
		return false;
	if (mime_section(&part, sec, &m->scratch, out))
		return true;
	m->err = STORE_LIMIT;
	return false;
}

static bool
needs_body(const struct imap_section *s)
{
	return s->n_part > 0 || s->what == IMAP_SECTION_ALL || s->what == IMAP_SECTION_TEXT;
}

bool
message_section(struct message *m, const struct imap_section *s, struct slice *out, bool *nil)
{
	static const enum mime_section_what what[] = {
		[IMAP_SECTION_ALL] = MIME_SECTION_ALL,
		[IMAP_SECTION_HEADER] = MIME_SECTION_HEADER,
		[IMAP_SECTION_FIELDS] = MIME_SECTION_FIELDS,
		[IMAP_SECTION_FIELDS_NOT] = MIME_SECTION_FIELDS_NOT,
		[IMAP_SECTION_TEXT] = MIME_SECTION_TEXT,
		[IMAP_SECTION_MIME] = MIME_SECTION_MIME,
	};
	struct mime_section sec = { .what = what[s->what], .part = s->part, .n_part = s->n_part,
		.field = s->field, .n_fields = s->n_fields };
	const struct mime *tree;
	struct slice all;

	*nil = false;
	buf_reset(&m->scratch);
	m->scratch.max = (size_t)LIMIT_STORE_MESSAGE;
	if (!needs_body(s))
		return from_header(m, &sec, out);
	if (s->n_part == 0) { /* without a tree: BODY[] is what is fetched most */
		if (!message_all(m, &all))
			return false;
		*out = s->what == IMAP_SECTION_ALL ? all : slice_from(all, header_length(all));
		return true;
	}
	if (!message_tree(m, &tree))
		return false;
	*nil = !mime_section(tree, &sec, &m->scratch, out);
	return true;
}
