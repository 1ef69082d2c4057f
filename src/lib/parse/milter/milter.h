/* SPDX-License-Identifier: MIT
 * What a milter says: Sendmail's milter protocol, version 6, as libmilter speaks it (there is no RFC; the
 * protocol is that of sendmail 8.14 and later). A packet is four bytes of length, one of command, and data
 * whose texts end in NUL. Strict: a text has its NUL at its end and nowhere else, nothing stands behind the
 * last field, numbers are in their range. Who says anything else is not understood, and a milter that is
 * not understood has accepted nothing. */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/cursor.h"
#include "lib/base/limits.h"

#define MILTER_VERSION 6u
#define MILTER_LEAST 2u /* versions below had other packets */

/* Actions (SMFIF_): what a milter may do at the end of a message. */
enum milter_action {
	MILTER_ADD_HEADERS = 0x01,
	MILTER_CHANGE_BODY = 0x02,
	MILTER_ADD_RCPT = 0x04,
	MILTER_DELETE_RCPT = 0x08,
	MILTER_CHANGE_HEADERS = 0x10,
	MILTER_QUARANTINE = 0x20,
	MILTER_CHANGE_FROM = 0x40,
	MILTER_ACTIONS = 0x7f,
};

/* Steps (SMFIP_): what it does not want to hear, what it does not answer, and how it wants things. */
enum milter_step {
	MILTER_NO_CONNECT = 0x01,
	MILTER_NO_HELO = 0x02,
	MILTER_NO_MAIL = 0x04,
	MILTER_NO_RCPT = 0x08,
	MILTER_NO_BODY = 0x10,
	MILTER_NO_HEADERS = 0x20,
	MILTER_NO_EOH = 0x40,
	MILTER_SILENT_HEADER = 0x80,
	MILTER_NO_UNKNOWN = 0x100,
	MILTER_NO_DATA = 0x200,
	MILTER_SKIP = 0x400,
	MILTER_SILENT_CONNECT = 0x1000,
	MILTER_SILENT_HELO = 0x2000,
	MILTER_SILENT_MAIL = 0x4000,
	MILTER_SILENT_RCPT = 0x8000,
	MILTER_SILENT_DATA = 0x10000,
	MILTER_SILENT_UNKNOWN = 0x20000,
	MILTER_SILENT_EOH = 0x40000,
	MILTER_SILENT_BODY = 0x80000,
	MILTER_LEADING_SPACE = 0x100000,
	MILTER_STEPS = 0x1ff7ff,
};

enum milter_kind {
	MILTER_OPTIONS,	   /* version, actions, steps */
	MILTER_CONTINUE,
	MILTER_ACCEPT,
	MILTER_REJECT,
	MILTER_TEMPFAIL,
	MILTER_REPLY,	   /* code, enhanced (may be empty), text */
	MILTER_DISCARD,
	MILTER_SKIPPED,
	MILTER_PROGRESS,
	MILTER_SHUTDOWN,   /* 421 and away: it does not want this connection */
	MILTER_ADDED,	   /* name, value */
	MILTER_INSERTED,   /* index, name, value */
	MILTER_CHANGED,	   /* index, name, value */
	MILTER_RCPT_ADDED, /* address */
	MILTER_RCPT_DELETED,
	MILTER_FROM,	   /* address; ESMTP arguments are not asked for, and dropped */
	MILTER_BODY,	   /* body */
	MILTER_QUARANTINED, /* text */
};

struct milter_said {
	enum milter_kind kind;
	uint32_t version, actions, steps;
	unsigned code;	       /* 400..599 */
	struct slice enhanced; /* "5.7.1", of the class of code */
	struct slice text;     /* hostile bytes; of a reply of several lines, the first */
	uint32_t index;
	struct slice name;     /* of a header field: printable ASCII without ':' */
	struct slice value;    /* as sent: lines may end in LF or CRLF; never NUL */
	struct slice address;  /* as sent, with or without brackets */
	struct slice body;
};

/* One packet without its length: command and data. Slices point into packet. False, with *out untouched,
 * for what no milter says. */
bool milter_parse(struct slice packet, struct milter_said *out);

/* A header value as a message holds it: "\n" and "\r\n" become CRLF, line ends at its end go; a line that
 * would not be a continuation (no blank in front, or nothing but blanks) makes it false, so that no value
 * adds a field or ends the header. Appends to b. */
bool milter_value(struct buf *b, struct slice value);
