/* SPDX-License-Identifier: MIT
 * reader: takes one report mail apart, behind walls of its own: no file, no network, no memory beyond
 * READER_MEMORY, and nothing to be had but that mail. It answers in rows; what it says is only as true
 * as the mail. */
#pragma once

#include "ipc/clerk_reader.h"
#include "lib/base/slice.h"

#define READER_MEMORY ((uint64_t)268435456)	/* of address space: A-025 */
#define READER_ROWS 50000u			/* of one report; more is "big" */

/* Reads bytes, and tells ch what is in them. */
void reader_read(struct ipc_channel *ch, struct slice bytes, struct slice hostname);
