/* SPDX-License-Identifier: MIT */
#include "lib/parse/mtasts/mtasts.h"

#include "lib/parse/tags/tags.h"

#define MOST_NAME 32
#define MOST_AGE_DIGITS 10

static bool
is_version(const struct tag *t)
{
	return slice_eq(t->name, S("v")) && slice_eq(t->value, S("STSv1"));
}

bool
mtasts_is_record(struct slice txt)
{
	struct cursor c = cur_of(txt);
	struct tag t;

	return tag_next(&c, &t) && is_version(&t);
}

static bool
is_name(struct slice s)
{
	if (s.n == 0 || s.n > MOST_NAME || !ch_is_alnum(slice_at(s, 0)))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = slice_at(s, i);

		if (!ch_is_alnum(c) && c != '_' && c != '-' && c != '.')
			return false;
	}
	return true;
}

static bool
is_id(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ch_is_alnum(slice_at(s, i)))
			return false;
	return s.n > 0 && s.n <= 32;
}

bool
mtasts_record_parse(struct slice txt, struct mtasts_record *out)
{
	struct cursor c = cur_of(txt);
	struct mtasts_record r = { .id = S("") };
	struct tag t;

	if (txt.n > LIMIT_MTASTS_RECORD || !tag_next(&c, &t) || !is_version(&t))
		return false;
	while (tag_next(&c, &t)) {
		if (slice_eq(t.name, S("id"))) {
			if (r.id.n > 0 || !is_id(t.value))
				return false;
			r.id = t.value;
			continue;
		}
		if (!is_name(t.name) || t.value.n == 0)
			return false;
		for (size_t i = 0; i < t.value.n; i++)
			if (!ch_is_vchar(slice_at(t.value, i)) || slice_at(t.value, i) == '=')
				return false;
	}
	if (r.id.n == 0)
		return false;
	*out = r;
	return true;
}

/* A host name of at least two labels, "*." before it allowed. */
static bool
is_pattern(struct slice s)
{
	size_t label = 0, dots = 0;

	if (slice_starts(s, S("*.")))
		s = slice_from(s, 2);
	if (s.n == 0 || s.n > 253)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = slice_at(s, i);

		if (c == '.') {
			if (label == 0 || slice_at(s, i - 1) == '-')
				return false;
			dots++;
			label = 0;
		} else if (!(ch_is_alnum(c) || (c == '-' && label > 0)) || ++label > 63) {
			return false;
		}
	}
	return label > 0 && dots > 0 && slice_at(s, s.n - 1) != '-';
}

/* The next "key: value" line, trimmed. False at the end; c->bad on a line without a colon. */
static bool
next_line(struct cursor *c, struct slice *key, struct slice *value)
{
	struct slice line;

	if (cur_left(c) == 0)
		return false;
	if (!cur_until(c, '\n', &line))
		line = cur_rest(c);
	if (slice_ends(line, S("\r")))
		line = slice_head(line, line.n - 1);
	if (!slice_cut(line, ':', key, value))
		return cur_fail(c);
	*value = slice_trim(*value);
	return true;
}

struct seen {
	bool version, mode, max_age;
};

static bool
take_mode(struct slice v, struct mtasts_policy *p)
{
	static const struct slice names[] = { S_INIT("none"), S_INIT("testing"), S_INIT("enforce") };

	for (size_t i = 0; i < 3; i++)
		if (slice_eq(v, names[i])) {
			p->mode = (enum mtasts_mode)i;
			return true;
		}
	return false;
}

static bool
take_age(struct slice v, struct mtasts_policy *p)
{
	uint64_t n;

	if (v.n > MOST_AGE_DIGITS || !slice_u64(v, &n))
		return false;
	p->max_age = n > LIMIT_MTASTS_MAX_AGE ? LIMIT_MTASTS_MAX_AGE : (uint32_t)n;
	return true;
}

static bool
is_text(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ch_is_print(slice_at(s, i)) && slice_at(s, i) < 0x80)
			return false;
	return s.n > 0;
}

/* Of a key given twice only the first counts (3.2), but for mx. */
static bool
take_line(struct slice key, struct slice value, struct seen *seen, struct mtasts_policy *p)
{
	if (slice_eq(key, S("version"))) {
		if (!seen->version && !slice_eq(value, S("STSv1")))
			return false;
		seen->version = true;
		return true;
	}
	if (slice_eq(key, S("mode"))) {
		if (!seen->mode && !take_mode(value, p))
			return false;
		seen->mode = true;
		return true;
	}
	if (slice_eq(key, S("max_age"))) {
		if (!seen->max_age && !take_age(value, p))
			return false;
		seen->max_age = true;
		return true;
	}
	if (slice_eq(key, S("mx")))
		return is_pattern(value) && ++p->n_mx <= LIMIT_MTASTS_MX;
	return is_name(key) && is_text(value);
}

bool
mtasts_policy_parse(struct slice text, struct mtasts_policy *out)
{
	struct mtasts_policy p = { .text = text };
	struct seen seen = { .version = false };
	struct cursor c = cur_of(text);
	struct slice key, value;

	if (text.n > LIMIT_MTASTS_POLICY)
		return false;
	while (next_line(&c, &key, &value))
		if (!take_line(key, value, &seen, &p))
			return false;
	if (!cur_done(&c) || !seen.version || !seen.mode || !seen.max_age ||
	    (p.mode != MTASTS_NONE && p.n_mx == 0))
		return false;
	*out = p;
	return true;
}

bool
mtasts_matches(const struct mtasts_policy *p, struct slice host)
{
	struct cursor c = cur_of(p->text);
	struct slice key, value, label, parent = S("");

	if (slice_ends(host, S(".")))
		host = slice_head(host, host.n - 1);
	if (!slice_cut(host, '.', &label, &parent) || label.n == 0)
		parent = S("");
	while (next_line(&c, &key, &value)) {
		if (!slice_eq(key, S("mx")))
			continue;
		if (slice_starts(value, S("*.")) ? parent.n > 0 && slice_ieq(slice_from(value, 2), parent)
						 : slice_ieq(value, host))
			return true;
	}
	return false;
}

const char *
mtasts_mode_name(enum mtasts_mode m)
{
	return m == MTASTS_ENFORCE ? "enforce" : m == MTASTS_TESTING ? "testing" : "none";
}
