/* SPDX-License-Identifier: MIT */
#include "lib/store/store.h"

const char *
store_err_name(enum store_err e)
{
	static const char *const name[] = {
		[STORE_OK] = "ok", [STORE_NONE] = "none", [STORE_EXISTS] = "exists",
		[STORE_REFUSED] = "refused", [STORE_LIMIT] = "limit", [STORE_FULL] = "full",
		[STORE_IO] = "io", [STORE_DAMAGED] = "damaged", [STORE_BUSY] = "busy",
		[STORE_NEWER] = "newer",
	};

	return (size_t)e < sizeof name / sizeof name[0] ? name[e] : "unknown";
}
