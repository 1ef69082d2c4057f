/* SPDX-License-Identifier: MIT
 * Tables for terminals, JSON for programs, from the same rows. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "lib/make/date.h"

#define MOST_COLUMNS 16

json_t *
json_of(struct slice s)
{
	own(buf_t) b = { .max = 8192 };

	buf_printable(&b, s, 8192);
	return json_stringn((const char *)buf_slice(&b).p, b.n);
}

json_t *
json_time(int64_t us)
{
	own(buf_t) b = { .max = 64 };

	if (us == 0)
		return json_null();
	date_format_rfc3339(&b, us / 1000000, 0);
	return json_stringn((const char *)b.p, b.n);
}

void
row_set(json_t *row, const char *key, json_t *value)
{
	(void)json_object_set_new(row, key, value);
}

static const char *
cell(json_t *row, const char *key, char *to, size_t size)
{
	json_t *v = json_object_get(row, key);

	if (json_is_integer(v))
		(void)snprintf(to, size, "%lld", (long long)json_integer_value(v));
	else if (json_is_boolean(v))
		(void)snprintf(to, size, "%s", json_is_true(v) ? "yes" : "no");
	else
		(void)snprintf(to, size, "%s", json_is_string(v) ? json_string_value(v) : "-");
	return to;
}

static void
print_aligned(json_t *rows, const char *const *columns)
{
	size_t width[MOST_COLUMNS], n = 0, i;
	char text[512];
	json_t *row;

	for (; columns[n] != NULL && n < MOST_COLUMNS; n++) {
		width[n] = strlen(columns[n]);
		json_array_foreach (rows, i, row) {
			size_t w = strlen(cell(row, columns[n], text, sizeof text));

			if (w > width[n])
				width[n] = w;
		}
	}
	for (size_t k = 0; k < n; k++)
		(void)printf("%-*s%s", k + 1 == n ? 0 : (int)width[k], columns[k], k + 1 == n ? "\n" : "  ");
	json_array_foreach (rows, i, row)
		for (size_t k = 0; k < n; k++)
			(void)printf("%-*s%s", k + 1 == n ? 0 : (int)width[k], cell(row, columns[k], text, sizeof text),
			    k + 1 == n ? "\n" : "  ");
}

void
table_print(const struct cli *c, json_t *rows, const char *const *columns)
{
	if (c->json) {
		(void)json_dumpf(rows, stdout, JSON_INDENT(2));
		(void)printf("\n");
	} else if (json_array_size(rows) > 0) {
		print_aligned(rows, columns);
	} else if (!c->quiet) {
		(void)printf("(none)\n");
	}
	json_decref(rows);
}
