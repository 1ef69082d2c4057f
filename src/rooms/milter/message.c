/* SPDX-License-Identifier: MIT */
#include "lib/parse/header/header.h"
#include "lib/base/own.h"
#include "rooms/milter/milter.h"

#include <unistd.h>

bool
milter_message_read(struct milter_message *m, struct slice bytes, uint64_t trace_at, uint64_t trace,
    struct arena *a)
{
	struct header h;
	uint64_t at = 0;

	if (!header_split(bytes, a, &h))
		return false;
	*m = (struct milter_message){ .a = a, .n = h.n, .cap = h.n + 16, .body = h.rest };
	m->field = ARENA_ARRAY(a, m->cap, struct milter_field);
	if (m->field == NULL)
		return false;
	for (size_t i = 0; i < h.n; i++) {
		const struct header_field *f = &h.field[i];

		m->field[i] = (struct milter_field){ f->raw, f->name, f->body,
			.hidden = at >= trace_at && at < trace_at + trace };
		at += f->raw.n;
	}
	m->blank = h.block.n > at;
	return true;
}

/* Room for one more field, at position at. */
static bool
put(struct milter_message *m, size_t at, struct slice name, struct slice raw)
{
	if (m->n == m->cap) {
		struct milter_field *more = ARENA_ARRAY(m->a, m->cap * 2, struct milter_field);

		if (more == NULL)
			return false;
		memcpy(more, m->field, m->n * sizeof *more);
		m->field = more;
		m->cap *= 2;
	}
	memmove(&m->field[at + 1], &m->field[at], (m->n - at) * sizeof *m->field);
	m->field[at] = (struct milter_field){ .raw = raw, .name = name };
	m->n++;
	m->changed = true;
	return true;
}

bool
milter_message_append(struct milter_message *m, struct slice name, struct slice raw)
{
	return put(m, m->n, name, raw);
}

bool
milter_message_insert(struct milter_message *m, uint32_t index, struct slice name, struct slice raw)
{
	uint32_t seen = 0;

	for (size_t i = 0; i < m->n; i++)
		if (!m->field[i].hidden && ++seen >= index)
			return put(m, i, name, raw);
	return put(m, m->n, name, raw);
}

bool
milter_message_change(struct milter_message *m, uint32_t index, struct slice name, struct slice raw)
{
	uint32_t seen = 0;

	for (size_t i = 0; i < m->n; i++) {
		struct milter_field *f = &m->field[i];

		if (f->hidden || !slice_ieq(f->name, name) || ++seen < index)
			continue;
		m->changed = true;
		if (raw.n > 0) {
			*f = (struct milter_field){ .raw = raw, .name = name };
			return true;
		}
		memmove(f, &m->field[i + 1], (m->n - i - 1) * sizeof *f);
		m->n--;
		return true;
	}
	return raw.n == 0 || put(m, m->n, name, raw);
}

/* One piece at *at, which moves on. */
static bool
write_piece(int fd, uint64_t *at, uint64_t end, struct slice s)
{
	if (s.n > end - *at)
		return false;
	while (s.n > 0) {
		ssize_t n = pwrite(fd, s.p, s.n, (off_t)*at);

		if (n <= 0)
			return false;
		*at += (uint64_t)n;
		s = slice_from(s, (size_t)n);
	}
	return true;
}

bool
milter_message_write(const struct milter_message *m, int fd, uint64_t at, uint64_t most, uint64_t *length)
{
	own(buf_t) header = { .max = 2 * LIMIT_HEADER };
	uint64_t begin = at;

	for (size_t i = 0; i < m->n; i++) {
		(void)buf_add(&header, m->field[i].raw);
		if (!slice_ends(m->field[i].raw, S("\n")))
			(void)buf_add(&header, S("\r\n"));
	}
	if (m->blank || m->body.n > 0)
		(void)buf_add(&header, S("\r\n"));
	if (header.bad || !write_piece(fd, &at, begin + most, buf_slice(&header)) ||
	    !write_piece(fd, &at, begin + most, m->body))
		return false;
	*length = at - begin;
	return true;
}
