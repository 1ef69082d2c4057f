/* SPDX-License-Identifier: MIT */
#include "lib/suffix/suffix.h"

#include <stdlib.h>

#include <libpsl.h>

#include "lib/base/encode.h"

#define MOST_NAME ((size_t)1024) /* 253 bytes of A-labels can be more in UTF-8 */

bool
suffix_registrable(struct slice name, struct arena *a, struct slice *out)
{
	const char *z, *found = NULL;
	char *lower = NULL;
	bool ok;

	if (name.n == 0 || name.n > MOST_NAME || slice_at(name, 0) == '.' ||
	    !utf8_valid(name))
		return false;
	if (slice_at(name, name.n - 1) == '.')
		name = slice_head(name, name.n - 1);
	z = arena_z(a, name);
	if (z == NULL)
		return false;
	if (psl_str_to_utf8lower(z, "utf-8", NULL, &lower) == PSL_SUCCESS)
		found = psl_registrable_domain(psl_builtin(), lower);
	ok = found != NULL && arena_copy(a, slice_z(found), out);
	free(lower);
	return ok;
}
