/* SPDX-License-Identifier: MIT
 * The IMAP grammar: RFC 3501 with IDLE (2177), NAMESPACE (2342), ID (2971), the cheap part of LIST
 * (3348, 5258, 5819), UNSELECT (3691), UIDPLUS (4315), SASL-IR (4959), ENABLE (5161), SPECIAL-USE
 * (6154), MOVE (6851) and LITERAL+ (7888).
 *
 * Framing is separate. A room reads one line, asks imap_literal_at_end() whether a literal follows,
 * reads the literal and the next line, and so on, with budgets of its own. The grammar then sees one
 * finite slice: the whole command without its last CRLF, in which literals stand in place
 * ("a LOGIN {5}\r\nalice secret"). Only the message of APPEND never stands in the slice: a slice
 * that ends in its "{123}" parses, and the room streams the 123 bytes itself.
 *
 * Invariants: no I/O, no globals. Slices of the result lie in the input or in the arena. Work is
 * linear in the input but for the sort of a set. Nothing is ever expanded: "1:4294967295" is one
 * range. Nesting ends at LIMIT_IMAP_DEPTH. */
#pragma once

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/cursor.h"
#include "lib/parse/date/date.h"

#define IMAP_DELIMITER '/' /* hierarchy delimiter of every mailbox name here */

enum imap_literal {
	IMAP_LITERAL_NONE, /* the line is the end of the command */
	IMAP_LITERAL_SYNC, /* "{n}": the client waits for "+ " */
	IMAP_LITERAL_NOW,  /* "{n+}": the bytes follow without waiting (RFC 7888) */
};

/* Whether a literal follows a line (given without its CRLF), and how many bytes it has. A number
 * that does not fit gives UINT64_MAX, so that the caller's budget refuses it. *n is untouched when
 * there is none; "{-1}" and "{}" are none, and the grammar refuses them. RFC 3501 4.3. */
enum imap_literal imap_literal_at_end(struct slice line, uint64_t *n);

enum imap_verb {
	IMAP_CAPABILITY, IMAP_NOOP, IMAP_LOGOUT, IMAP_ID, IMAP_STARTTLS, IMAP_AUTHENTICATE, IMAP_LOGIN,
	IMAP_ENABLE, IMAP_SELECT, IMAP_EXAMINE, IMAP_CREATE, IMAP_DELETE, IMAP_RENAME, IMAP_SUBSCRIBE,
	IMAP_UNSUBSCRIBE, IMAP_LIST, IMAP_LSUB, IMAP_NAMESPACE, IMAP_STATUS, IMAP_APPEND, IMAP_IDLE,
	IMAP_CHECK, IMAP_CLOSE, IMAP_UNSELECT, IMAP_EXPUNGE, IMAP_SEARCH, IMAP_FETCH, IMAP_STORE,
	IMAP_COPY, IMAP_MOVE, IMAP_VERBS
};

/* A mailbox name as UTF-8, INBOX in capitals. Where the client's bytes are no strict modified UTF-7
 * (RFC 3501 5.1.3) valid is false and name holds those bytes: the answer is NO [CANNOT]. */
struct imap_mailbox {
	struct slice name;
	bool valid;
};

/* lo <= hi, both inclusive, both from 1 on. */
struct imap_range {
	uint32_t lo, hi;
};

/* A set of sequence numbers or UIDs: sorted, disjoint, not adjacent. "*" has no value before the
 * mailbox is looked at, so all "n:*" are kept together: they stand for
 * min(star_lo, largest)..max(star_hi, largest). */
struct imap_set {
	struct imap_range *r;
	size_t n;
	bool star;
	uint32_t star_lo, star_hi;
};

/* The set with "*" replaced by largest (0: an empty mailbox, where "*" means nothing). False at the
 * arena's ceiling. */
[[nodiscard]] bool imap_set_resolve(const struct imap_set *s, uint32_t largest, struct arena *a,
    struct imap_set *out);
/* Whether v lies in a resolved set: binary search. */
bool imap_set_has(const struct imap_set *s, uint32_t v);
/* Parses a sequence set alone (RFC 3501 sequence-set); the whole slice must be one. */
[[nodiscard]] bool imap_set_parse(struct slice in, struct arena *a, struct imap_set *out);

/* System flags as bits; the same bits in lib/make/imap. */
#define IMAP_SEEN 1u
#define IMAP_ANSWERED 2u
#define IMAP_FLAGGED 4u
#define IMAP_DELETED 8u
#define IMAP_DRAFT 16u
#define IMAP_RECENT 32u /* never in a command */

struct imap_flags {
	uint32_t system;
	struct slice *keyword; /* distinct without regard to case, at most LIMIT_IMAP_KEYWORDS */
	size_t n_keywords;
};

/* The bit of "\Seen" and its like in any case, or 0. */
uint32_t imap_flag_bit(struct slice name);

/* What of a body section (RFC 3501 6.4.5). */
enum imap_section_what {
	IMAP_SECTION_ALL, IMAP_SECTION_HEADER, IMAP_SECTION_FIELDS, IMAP_SECTION_FIELDS_NOT,
	IMAP_SECTION_TEXT, IMAP_SECTION_MIME
};

/* How the answer names the item. */
enum imap_section_form { IMAP_FORM_BODY, IMAP_FORM_RFC822, IMAP_FORM_RFC822_HEADER,
	IMAP_FORM_RFC822_TEXT };

struct imap_section {
	enum imap_section_what what;
	enum imap_section_form form;
	uint32_t *part; /* "1.2.3"; n_part <= LIMIT_MIME_DEPTH */
	size_t n_part;
	struct slice *field; /* names of HEADER.FIELDS, as the client wrote them */
	size_t n_fields;
	bool peek;
	bool partial; /* <from.count> */
	uint64_t from, count;
};

#define IMAP_ITEM_UID 1u
#define IMAP_ITEM_FLAGS 2u
#define IMAP_ITEM_INTERNALDATE 4u
#define IMAP_ITEM_SIZE 8u
#define IMAP_ITEM_ENVELOPE 16u
#define IMAP_ITEM_BODY 32u
#define IMAP_ITEM_BODYSTRUCTURE 64u

struct imap_fetch {
	struct imap_set set;
	uint32_t items;
	struct imap_section *section; /* distinct, at most LIMIT_IMAP_SECTIONS */
	size_t n_sections;
};

enum imap_key {
	IMAP_KEY_AND, IMAP_KEY_OR, IMAP_KEY_NOT, IMAP_KEY_ALL, IMAP_KEY_SEQ, IMAP_KEY_UID,
	IMAP_KEY_FLAG,	  /* .bits set */
	IMAP_KEY_UNFLAG,  /* .bits clear */
	IMAP_KEY_NEW, IMAP_KEY_OLD, IMAP_KEY_RECENT, IMAP_KEY_KEYWORD, IMAP_KEY_UNKEYWORD,
	IMAP_KEY_BEFORE, IMAP_KEY_ON, IMAP_KEY_SINCE, IMAP_KEY_SENTBEFORE, IMAP_KEY_SENTON,
	IMAP_KEY_SENTSINCE, IMAP_KEY_LARGER, IMAP_KEY_SMALLER, IMAP_KEY_HEADER, IMAP_KEY_BODY,
	IMAP_KEY_TEXT
};

/* One node of a search program; a list hangs on next. FROM, TO, CC, BCC and SUBJECT are HEADER with
 * that field. */
struct imap_search_key {
	enum imap_key key;
	struct imap_search_key *next;
	struct imap_search_key *first; /* AND: all of the list; OR: either of two; NOT: the one */
	struct imap_set set;
	uint32_t bits;
	int64_t day;		   /* days since 1970-01-01 */
	uint64_t size;
	struct slice field, text;  /* text of KEYWORD, HEADER, BODY, TEXT */
};

struct imap_search {
	struct slice charset; /* empty: not given */
	struct imap_search_key *first; /* all of the list must hold; never NULL */
};

enum imap_store_op { IMAP_STORE_SET, IMAP_STORE_ADD, IMAP_STORE_REMOVE };

struct imap_store_args {
	struct imap_set set;
	enum imap_store_op op;
	bool silent;
	struct imap_flags flags;
};

#define IMAP_STATUS_MESSAGES 1u
#define IMAP_STATUS_RECENT 2u
#define IMAP_STATUS_UIDNEXT 4u
#define IMAP_STATUS_UIDVALIDITY 8u
#define IMAP_STATUS_UNSEEN 16u
#define IMAP_STATUS_SIZE 32u

#define IMAP_LIST_SUBSCRIBED 1u	   /* selection: only subscribed names */
#define IMAP_LIST_RECURSIVE 2u	   /* selection: RECURSIVEMATCH */
#define IMAP_LIST_SPECIAL 4u	   /* selection: only names with a special use */
#define IMAP_LIST_RET_SUBSCRIBED 8u
#define IMAP_LIST_RET_CHILDREN 16u
#define IMAP_LIST_RET_SPECIAL 32u
#define IMAP_LIST_EXTENDED 64u	   /* a form of RFC 5258 was used */

struct imap_list {
	uint32_t opts;
	struct imap_mailbox ref;
	struct imap_mailbox *pattern; /* 1..LIMIT_IMAP_PATTERNS */
	size_t n_patterns;
	uint32_t status; /* RETURN (STATUS (...)), 0: none (RFC 5819) */
};

struct imap_append {
	struct imap_mailbox mailbox;
	struct imap_flags flags;
	bool dated;
	struct date date;
	uint64_t size;
	bool sync; /* the client waits for "+ " */
};

struct imap_command {
	struct slice tag;
	enum imap_verb verb;
	bool uid; /* UID FETCH and the like */
	union {
		struct {
			struct slice mechanism, initial;
			bool has_initial; /* "=" gives an empty one (RFC 4959) */
		} auth;
		struct {
			struct slice user, password;
		} login;
		struct imap_mailbox mailbox; /* SELECT EXAMINE CREATE DELETE (UN)SUBSCRIBE */
		struct {
			struct imap_mailbox from, to;
		} rename;
		struct imap_list list; /* LIST and LSUB */
		struct {
			struct imap_mailbox mailbox;
			uint32_t items;
		} status;
		struct imap_append append;
		struct imap_set set; /* UID EXPUNGE */
		struct imap_search search;
		struct imap_fetch fetch;
		struct imap_store_args store;
		struct {
			struct imap_set set;
			struct imap_mailbox to;
		} copy; /* COPY and MOVE */
		struct {
			struct slice *pair; /* field, value, field, value; NIL is empty */
			size_t n;
		} id; /* ID and ENABLE */
	} u;
};

enum imap_fault {
	IMAP_FINE = 0,
	IMAP_BAD_TAG,	  /* nothing is set: "* BAD" */
	IMAP_BAD_VERB,	  /* tag is set: unknown command */
	IMAP_BAD_ARGS,	  /* tag and verb are set: "BAD" */
	IMAP_OVER,	  /* tag and verb are set: a limit or the arena's ceiling, "NO [LIMIT]" */
	IMAP_OVER_DEPTH,  /* tag and verb are set: nesting over LIMIT_IMAP_DEPTH, "BAD" */
};

/* Parses one whole command. What out holds after a fault says enum imap_fault. */
[[nodiscard]] enum imap_fault imap_parse(struct cursor *c, struct arena *a,
    struct imap_command *out);

/* The verb's name in capitals. */
struct slice imap_verb_name(enum imap_verb v);

/* Modified UTF-7 (RFC 3501 5.1.3). Decoding is strict: no printable ASCII in base64, no 8-bit, no
 * control, no lone surrogate, no superfluous shift, no stray bits; false with *out untouched. */
[[nodiscard]] bool imap_mutf7_decode(struct slice in, struct arena *a, struct slice *out);
/* Appends UTF-8 as modified UTF-7; bad sequences become U+FFFD. */
bool imap_mutf7_encode(struct buf *b, struct slice utf8);

/* Whether a name (UTF-8) may be created: 1..LIMIT_IMAP_MAILBOX bytes, at most LIMIT_IMAP_LEVELS
 * levels, none empty, "." or "..", no control, no wildcard, valid UTF-8. */
bool imap_name_valid(struct slice name);
/* INBOX in any case, alone. */
bool imap_name_is_inbox(struct slice name);

/* A compiled LIST pattern: runs of wildcards are one wildcard. */
struct imap_pattern {
	struct slice p;
	size_t least; /* bytes that are no wildcard: a shorter name never matches */
	bool wild;    /* holds a wildcard */
};

/* Joins reference and pattern as RFC 3501 6.3.8 and compiles. False at the arena's ceiling. */
[[nodiscard]] bool imap_pattern_make(struct slice ref, struct slice pattern, struct arena *a,
    struct imap_pattern *out);
/* Whether name matches: "*" is anything, "%" anything without the delimiter; INBOX in any case.
 * Two marks instead of recursion: at most pattern * name steps, never exponential. */
bool imap_match(const struct imap_pattern *p, struct slice name);
/* Like imap_match(), and counts steps. */
bool imap_match_counted(const struct imap_pattern *p, struct slice name, size_t *steps);
