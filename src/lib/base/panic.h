/* SPDX-License-Identifier: MIT
 * A bug kills only its room: PN_ASSERT is never compiled out. It is for what the program promises
 * itself; bad input and a failing environment have ordinary returns and must never reach it. */
#pragma once

/* Writes one line to stderr and aborts. Takes where and what; never returns. */
_Noreturn void pn_panic(const char *file, int line, const char *what);

#define PN_ASSERT(x)                                                                               \
	do {                                                                                       \
		if (!(x))                                                                          \
			pn_panic(__FILE__, __LINE__, #x);                                          \
	} while (0)
