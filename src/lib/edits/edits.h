/* SPDX-License-Identifier: MIT
 * The changes that scan asks for, applied by whoever holds the message, so that nobody else ever writes
 * into one. */
#pragma once

#include "ipc/smtp_scan.h"

/* Replaces *fd (a sealed memfd of *size bytes) by a sealed memfd of the message with its edits; none
 * leaves it alone. False, with *fd as it was, when they do not stand in order inside the message, or the
 * result is over most bytes, or there is no room. scan may be taken over: nothing of it is believed. */
[[nodiscard]] bool edits_apply(int *fd, uint64_t *size, const struct smtp_scan_edit *edits, size_t n,
    uint64_t most);
/* Replaces *fd (a sealed memfd of *size bytes) by one whose lines have at most 998 octets (lib/make/lines), where it has
 * longer ones; *breaks: how many came in. For mail that begins here, before it is signed. False, with *fd as it was, when
 * there is no room. */
[[nodiscard]] bool edits_break_lines(int *fd, uint64_t *size, size_t *breaks);
/* Is this an address of the list, "a@x b@y", that warden gave for redirections? scan is not believed. */
bool edits_may_redirect(struct slice list, struct slice address);
/* No more writing; everybody who gets fd sees what it holds now. */
[[nodiscard]] bool edits_seal(int fd);
/* Writes all of s at the end of fd. */
[[nodiscard]] bool edits_write(int fd, struct slice s);
