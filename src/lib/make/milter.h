/* SPDX-License-Identifier: MIT
 * What an MTA says to a milter (lib/parse/milter/milter.h says which protocol). Each function appends one
 * packet and returns !b->bad; what does not fit b, is longer than libmilter takes (MILTER_CHUNK), or has a
 * NUL inside a text makes b bad. */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/ip.h"

#define MILTER_CHUNK ((size_t)65535) /* bytes of data in one packet: libmilter refuses more */

bool make_milter_options(struct buf *b, uint32_t version, uint32_t actions, uint32_t steps);

/* A name of the macros of sendmail, with its braces where it has them, and its value. */
struct milter_macro {
	struct slice name, value;
};
/* The macros of the command that follows. Those without a value are left out. */
bool make_milter_macros(struct buf *b, char command, const struct milter_macro *m, size_t n);

/* Who connected; an address with n == 0 is told as a local one. */
bool make_milter_connect(struct buf *b, struct slice name, const struct ip *ip, uint16_t port);
/* command: 'H' with a name. */
bool make_milter_text(struct buf *b, char command, struct slice text);
/* command: 'M' or 'R'. The address gets its brackets here. */
bool make_milter_path(struct buf *b, char command, struct slice address);
bool make_milter_header(struct buf *b, struct slice name, struct slice value);
/* At most MILTER_CHUNK bytes. */
bool make_milter_body(struct buf *b, struct slice chunk);
/* Commands without data: 'T' (DATA), 'N' (end of header), 'E' (end of body), 'Q' (quit). */
bool make_milter_bare(struct buf *b, char command);
