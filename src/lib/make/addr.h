/* SPDX-License-Identifier: MIT
 * Addresses as text: the inverse of lib/parse/addr/envelope.h. */
#pragma once

#include "lib/base/buf.h"

/* local "@" domain, the local part quoted where RFC 5321 needs it; without "@" where domain is empty.
 * Parsing what is written gives the same local part and domain again. local must be printable
 * ASCII or UTF-8, which every parsed local part is; other bytes set b->bad. Two empty slices (the null sender) write
 * nothing. */
bool addr_write(struct buf *b, struct slice local, struct slice domain);
