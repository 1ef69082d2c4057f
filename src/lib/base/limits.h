/* SPDX-License-Identifier: MIT
 * Every maximum of the program, in bytes unless said, with its reason. A buffer, an arena or a list
 * is born with one of these. */
#pragma once

#include <stddef.h>

/* SMTP */
#define LIMIT_SMTP_LINE ((size_t)2048)		/* RFC 5321 4.5.3.1.4 says 512; ESMTP parameters need more */
#define LIMIT_SMTP_AUTH_LINE ((size_t)12288)	/* RFC 4954 4: a base64 SASL response */
#define LIMIT_SMTP_OVERLONG ((size_t)65536)	/* an endless command line is cut after this much */
#define LIMIT_SMTP_RCPTS ((size_t)1000)		/* RFC 5321 4.5.3.1.10 asks for at least 100 */
#define LIMIT_SMTP_ADDRESS ((size_t)320)	/* RFC 5321 4.5.3.1: 64 + "@" + 255 */
#define LIMIT_SMTP_LOCAL ((size_t)64)		/* RFC 5321 4.5.3.1.1 */
#define LIMIT_SMTP_MAILBOX ((size_t)254)	/* RFC 5321 4.5.3.1.3: a path of 256 with its brackets */
#define LIMIT_DOMAIN ((size_t)255)		/* RFC 5321 4.5.3.1.2, RFC 1035 2.3.4 */
#define LIMIT_SMTP_ERRORS 20u			/* bad commands of one connection (count) */
#define LIMIT_SMTP_TRANSACTIONS 1000u		/* MAIL commands of one connection (count) */
#define LIMIT_SMTP_JUNK 100u			/* NOOP, VRFY, RSET without mail between (count) */
#define LIMIT_SMTP_BAD_RCPTS 20u		/* unknown recipients of one connection (count) */
#define LIMIT_SMTP_REPLY_LINE ((size_t)2048)	/* one line of a server's reply; RFC 5321 4.5.3.1.5 says 512 */
#define LIMIT_SMTP_REPLY_LINES 128u		/* lines of one reply (count) */
#define LIMIT_SMTP_REPLY_TEXT ((size_t)400)	/* what is kept of its text: ipc/queue_send.msg */
#define LIMIT_MESSAGE ((size_t)52428800)	/* default of message_size: 50 MiB */
#define LIMIT_HEADER ((size_t)1048576)		/* header block of one message: over it is no mail */
#define LIMIT_BODY_LINE ((size_t)1048576)	/* one line of DATA; RFC 5322 says 998 */
#define LIMIT_RECEIVED 50u			/* hop count: RFC 5321 6.3 */

/* Milters */
#define LIMIT_MILTER_PACKET ((size_t)131072)	/* one packet of theirs: libmilter's own chunks end at 65,535 */
#define LIMIT_MILTER_PACKETS 1000000u		/* packets of one milter about one message (count) */
#define LIMIT_MILTER_CHANGES ((size_t)1000)	/* changes that one milter wishes of one message (count) */

/* IMAP */
#define LIMIT_IMAP_LINE ((size_t)65536)		/* the brief's imap_max_line_length */
#define LIMIT_IMAP_PRELOGIN ((size_t)8192)	/* line plus literals before login, per command */
#define LIMIT_IMAP_PRELOGIN_LITERALS 4u		/* per connection (count) */
#define LIMIT_IMAP_DEPTH 64u			/* nesting of parentheses, NOT, OR */
#define LIMIT_IMAP_BAD 20u			/* bad commands of one connection (count) */
#define LIMIT_IMAP_TAG ((size_t)64)
#define LIMIT_IMAP_MAILBOX ((size_t)1000)	/* name of a mailbox, UTF-8 */
#define LIMIT_IMAP_LEVELS 64u			/* hierarchy depth */
#define LIMIT_IMAP_KEYWORDS 200u		/* keywords of one mailbox (count) */
#define LIMIT_IMAP_KEYWORD ((size_t)128)
#define LIMIT_IMAP_SECTIONS 256u		/* distinct body sections of one FETCH (count) */
#define LIMIT_IMAP_FIELDS 256u			/* header names of one section (count) */
#define LIMIT_IMAP_PATTERNS 64u			/* patterns of one LIST (count) */
#define LIMIT_IMAP_ID 60u			/* fields and values of ID: RFC 2971 3.3 allows 30 pairs */
#define LIMIT_ARENA_IMAP ((size_t)1048576)	/* one parsed command: a set of 32,768 ranges is 256 KiB */
#define LIMIT_IMAP_OUT ((size_t)262144)		/* output that waits for a slow reader */
#define LIMIT_SESSIONS_PER_USER 20u

/* Streams */
#define LIMIT_STREAM_IN ((size_t)16384)		/* one read; the read buffer starts with it */
#define LIMIT_STREAM_LINE ((size_t)131072)	/* longest line or counted piece that may be asked for */
#define LIMIT_STREAM_OUT ((size_t)16384)	/* output that is collected before it is sent */

/* MIME */
#define LIMIT_MIME_DEPTH 100u
#define LIMIT_MIME_PARTS 10000u
#define LIMIT_HEADER_FIELDS 10000u
#define LIMIT_STRUCTURE ((size_t)1048576)	/* ENVELOPE, BODYSTRUCTURE: behind it only NIL and the frame */
#define LIMIT_MIME_PARAMS 1000u		/* parameters of one Content- field, continuations counted (count) */

/* Databases */
#define LIMIT_STORE_WAIT_MS 3000 /* for the process that had a file before (ms) */

/* Lifetimes */
#define LIMIT_ARENA_COMMAND ((size_t)65536)
#define LIMIT_ARENA_SESSION ((size_t)262144)
#define LIMIT_ARENA_MESSAGE ((size_t)4194304)

/* Login */
#define LIMIT_PASSWORD ((size_t)1024)
#define LIMIT_LOGIN_NAME ((size_t)320)

/* Accounts that are no people: recipients of mail that rooms take (numbers, beyond any user_range) */
#define ACCOUNT_CLERK 0xfffffff0u /* reports about our domains */

/* Between rooms */
#define LIMIT_IPC ((size_t)65536)		/* one frame; more goes as a sealed memfd */
#define LIMIT_IPC_FLIGHT ((size_t)1024)		/* requests under way on one channel (count) */

/* Events */
#define LIMIT_EVENT_FIELDS ((size_t)32)
#define LIMIT_EVENT_VALUE ((size_t)1024)

/* Sender authentication: DKIM and ARC */
#define LIMIT_DKIM_SIGNATURES ((size_t)8)	/* signatures checked of one message (count) */
#define LIMIT_DKIM_FIELD ((size_t)65536)	/* one DKIM-Signature or ARC field; over it is an error */
#define LIMIT_DKIM_TAGS ((size_t)64)		/* tags of one list (count); RFC 6376 defines 13 */
#define LIMIT_DKIM_SIGNED ((size_t)1024)	/* names in one h= (count) */
#define LIMIT_DKIM_KEY_RECORD ((size_t)16384)	/* TXT of one key: RSA-4096 needs 800 */
#define LIMIT_DKIM_KEYS 3u			/* key records tried under one selector (count) */
#define LIMIT_DKIM_RSA_BITS_MIN 1024u		/* RFC 8301 3.2 (bits) */
#define LIMIT_DKIM_RSA_BITS_MAX 4096u		/* RFC 8301 3.2 (bits) */
#define LIMIT_ARC_SETS 50u			/* RFC 8617 4.2.1 (count) */
