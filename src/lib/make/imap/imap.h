/* SPDX-License-Identifier: MIT
 * Pieces of IMAP responses (RFC 3501 section 7). Bytes that come from mail or from names can never
 * break the framing: they leave as an atom, a quoted string or a counted literal, whichever holds
 * them (I-034). Every function appends to b and returns !b->bad; the caller writes the CRLF. */
#pragma once

#include "lib/base/buf.h"
#include "lib/parse/imap/imap.h"

/* A string: quoted when it is short printable text, else a literal. NUL, which no IMAP string may
 * hold, leaves as 0x80, so that counts stay right. */
bool imap_put_string(struct buf *b, struct slice s);
/* "{n}" CRLF and the bytes, always. */
bool imap_put_literal(struct buf *b, struct slice s);
/* The bytes of a literal whose count was written before: for messages that leave in pieces. */
bool imap_put_octets(struct buf *b, struct slice s);
/* A string, or NIL when nil is set. */
bool imap_put_nstring(struct buf *b, struct slice s, bool nil);
/* An atom when it is one, else a string. "NIL" leaves quoted. */
bool imap_put_astring(struct buf *b, struct slice s);
/* A mailbox name, given as UTF-8, in modified UTF-7. */
bool imap_put_mailbox(struct buf *b, struct slice utf8);
/* "(\Seen \Recent work)": bits of lib/parse/imap, then the keywords, which are atoms. */
bool imap_put_flags(struct buf *b, uint32_t bits, const struct slice *keyword, size_t n);

#define IMAP_ATTR_NOSELECT 1u
#define IMAP_ATTR_HASCHILDREN 2u
#define IMAP_ATTR_HASNOCHILDREN 4u
#define IMAP_ATTR_SUBSCRIBED 8u
#define IMAP_ATTR_NONEXISTENT 16u
#define IMAP_ATTR_DRAFTS 32u
#define IMAP_ATTR_SENT 64u
#define IMAP_ATTR_JUNK 128u
#define IMAP_ATTR_TRASH 256u
#define IMAP_ATTR_ARCHIVE 512u
#define IMAP_ATTR_FLAGGED 1024u
#define IMAP_ATTR_ALL 2048u
#define IMAP_ATTR_SPECIAL 4064u
/* "* LIST (\HasNoChildren) "/" name" without CRLF; verb is "LIST" or "LSUB". */
bool imap_put_list(struct buf *b, struct slice verb, uint32_t attributes, struct slice utf8);

struct imap_status_values {
	uint32_t messages, recent, uidnext, uidvalidity, unseen;
	uint64_t size;
};
/* "* STATUS name (MESSAGES 3 ...)" of the items (IMAP_STATUS_*), without CRLF. */
bool imap_put_status(struct buf *b, struct slice utf8, uint32_t items,
    const struct imap_status_values *v);

/* Numbers as a sequence set, compact: runs of rising neighbours become ranges, the order stays (RFC
 * 4315: COPYUID pairs by position). n > 0. */
bool imap_put_numbers(struct buf *b, const uint32_t *v, size_t n);

/* A text for people (resp-text): printable ASCII, everything else '?', at most 400 bytes, never
 * starting with '['. */
bool imap_put_text(struct buf *b, struct slice s);
