/* SPDX-License-Identifier: MIT */
#include "lib/parse/arc/sets.h"

#include "lib/base/cursor.h"
#include "lib/base/limits.h"
#include "lib/parse/dkim/taglist.h"

struct slice
arc_cv_name(enum arc_cv cv)
{
	static const struct slice names[] = { S_INIT("none"), S_INIT("fail"), S_INIT("pass") };

	return names[cv];
}

bool
arc_results_parse(struct slice value, uint32_t *instance, struct slice *rest)
{
	struct cursor c = cur_of(value);
	uint32_t n;

	(void)cur_skip(&c, dkim_is_fws);
	if (!cur_byte(&c, 'i'))
		return false;
	(void)cur_skip(&c, dkim_is_fws);
	if (!cur_byte(&c, '='))
		return false;
	(void)cur_skip(&c, dkim_is_fws);
	if (cur_peek(&c) == '0' || !cur_u32(&c, LIMIT_ARC_SETS, &n))
		return false;
	(void)cur_skip(&c, dkim_is_fws);
	if (!cur_byte(&c, ';'))
		return false;
	(void)cur_skip(&c, dkim_is_fws);
	*instance = n;
	*rest = cur_rest(&c);
	return true;
}

static void
broken(struct arc_sets *s, enum dkim_why why, uint32_t at)
{
	if (s->why != DKIM_OK)
		return;
	s->why = why;
	s->at = at;
}

static void
saw(struct arc_sets *s, uint32_t instance)
{
	if (instance > s->highest)
		s->highest = instance;
}

/* The set of that instance, when it is one of 1..n. */
static struct arc_set *
slot(struct arc_sets *s, size_t n, uint32_t instance)
{
	return instance >= 1 && instance <= n ? &s->sets[instance - 1] : NULL;
}

static void
put_results(struct arc_sets *s, size_t n, const struct dkim_field *f)
{
	struct arc_set *set;
	struct slice rest;
	uint32_t i;

	if (f->value.n > LIMIT_DKIM_FIELD) {
		broken(s, DKIM_FIELD_LONG, 0);
		return;
	}
	if (!arc_results_parse(f->value, &i, &rest)) {
		broken(s, ARC_BAD_AAR, 0);
		return;
	}
	saw(s, i);
	set = slot(s, n, i);
	if (set == NULL || set->aar != NULL) {
		broken(s, ARC_INCOMPLETE, i);
		return;
	}
	set->aar = f;
	set->results = rest;
}

static void
put_signature(struct arc_sets *s, size_t n, const struct dkim_field *f, enum dkim_kind kind,
    struct arena *a)
{
	struct arc_set *set;
	struct dkim_sig sig;

	if (!dkim_sig_parse(f->value, kind, a, &sig))
		broken(s, sig.defect, sig.instance);
	saw(s, sig.instance);
	set = slot(s, n, sig.instance);
	if (set == NULL || (kind == DKIM_ARC_SEAL ? set->seal_field : set->ams_field) != NULL) {
		broken(s, ARC_INCOMPLETE, sig.instance);
		return;
	}
	if (kind == DKIM_ARC_SEAL) {
		set->seal_field = f;
		set->seal = sig;
	} else {
		set->ams_field = f;
		set->ams = sig;
	}
}

/* RFC 8617 5.2 step 2 and 3: what cv= may be where. */
static void
check_order(struct arc_sets *s, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		enum arc_cv cv = s->sets[k].seal.cv;

		if (cv == ARC_FAIL && k + 1 == n)
			broken(s, ARC_FAILED_BEFORE, (uint32_t)n);
		else if (cv != (k == 0 ? ARC_NONE : ARC_PASS))
			broken(s, ARC_BAD_ORDER, (uint32_t)k + 1);
	}
}

static const struct dkim_field *
above(const struct dkim_message *m, const struct dkim_field *f)
{
	return f->above == DKIM_NO_FIELD ? NULL : &m->fields[f->above];
}

static const struct dkim_field *
lowest(const struct dkim_message *m, const struct dkim_name *n)
{
	return n == NULL ? NULL : &m->fields[n->last];
}

static void
read_fields(const struct dkim_message *m, struct arc_sets *s, size_t n, struct arena *a)
{
	const struct dkim_field *f;

	for (f = lowest(m, dkim_message_name(m, S("arc-authentication-results"))); f != NULL;
	     f = above(m, f))
		put_results(s, n, f);
	for (f = lowest(m, dkim_message_name(m, S("arc-message-signature"))); f != NULL; f = above(m, f))
		put_signature(s, n, f, DKIM_ARC_MESSAGE, a);
	for (f = lowest(m, dkim_message_name(m, S("arc-seal"))); f != NULL; f = above(m, f))
		put_signature(s, n, f, DKIM_ARC_SEAL, a);
}

bool
arc_sets_find(const struct dkim_message *m, struct arena *a, struct arc_sets *out)
{
	size_t results = dkim_message_count(m, S("arc-authentication-results"));
	size_t ams = dkim_message_count(m, S("arc-message-signature"));
	size_t seals = dkim_message_count(m, S("arc-seal"));
	struct arc_sets s = { .none = results + ams + seals == 0 };
	size_t n = seals;

	if (results > LIMIT_ARC_SETS || ams > LIMIT_ARC_SETS || seals > LIMIT_ARC_SETS) {
		s.highest = LIMIT_ARC_SETS;
		s.why = ARC_MANY;
		*out = s;
		return true;
	}
	s.sets = ARENA_ARRAY(a, n, struct arc_set);
	if (s.sets == NULL)
		return false;
	read_fields(m, &s, n, a);
	if (s.why == DKIM_LIMIT)
		return false;
	for (size_t k = 0; k < n; k++)
		if (s.sets[k].aar == NULL || s.sets[k].ams_field == NULL || s.sets[k].seal_field == NULL)
			broken(&s, ARC_INCOMPLETE, (uint32_t)k + 1);
	if (s.why == DKIM_OK)
		check_order(&s, n);
	s.n = s.why == DKIM_OK ? n : 0;
	*out = s;
	return true;
}
