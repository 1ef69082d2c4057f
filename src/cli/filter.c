/* SPDX-License-Identifier: MIT
 * "postern filter": what the rules would do, by the same library that the server asks. It needs no server
 * and touches none. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "lib/base/limits.h"
#include "lib/clock/clock.h"
#include "lib/filter/filter.h"

#define TIME_MS 5000u /* as the room scan gives its rules */

struct filter *
cli_rules(const char *path)
{
	own(buf_t) text = { .max = 65536 };
	own(fd_t) fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct filter_errors errors = { 0 };
	struct filter *f = fd < 0 ? NULL : filter_read(fd, &errors);

	if (f != NULL)
		return f;
	if (errors.n == 0)
		exit(cli_fail(EX_NOINPUT, path, strerror(errno)));
	filter_tell_errors(path, &errors, &text);
	(void)fprintf(stderr, "%.*s", SFMT(buf_slice(&text)));
	exit(EX_CONFIG);
}

/* The file that the command names, or the configuration. */
static const char *
path_of(struct cli *c, const char *named)
{
	if (named != NULL)
		return named;
	cli_config(c);
	if (c->config.filter[0] == '\0')
		exit(cli_fail(EX_CONFIG, c->config_path, "it names no file of rules: filter = \"FILE\""));
	return c->config.filter;
}

int
cmd_filter_check(struct cli *c)
{
	const char *path;
	struct filter *f;

	if (c->argc > 1 && !cli_args(c, 1, "filter check [FILE]"))
		return EX_USAGE;
	path = path_of(c, c->argc == 1 ? c->argv[0] : NULL);
	f = cli_rules(path);
	if (!c->quiet)
		(void)printf("%s: good\n", path);
	filter_free(&f);
	return EX_OK;
}

/* A whole message, from a file or "-". */
static void
read_message(const char *path, struct buf *out)
{
	own(fd_t) fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;

	if (fd < 0)
		exit(cli_fail(EX_NOINPUT, path, strerror(errno)));
	do {
		uint8_t *room = buf_room(out, 65536);

		if (room == NULL)
			exit(cli_fail(EX_DATAERR, path, "this is too large for a message"));
		n = read(fd, room, 65536);
		if (n < 0)
			exit(cli_fail(EX_NOINPUT, path, strerror(errno)));
		buf_grown(out, (size_t)n);
	} while (n > 0);
}

static bool
late(void *ctx)
{
	return clock_mono_ms() > *(uint64_t *)ctx + TIME_MS;
}

static const char *
verdict_of(const struct filter_outcome *o)
{
	switch (o->verdict) {
	case FILTER_DROP:
		return "discard";
	case FILTER_REFUSE:
		return "reject";
	case FILTER_LATER:
		return "defer";
	case FILTER_PASS:
		break;
	}
	return o->hold.n > 0 ? "hold" : o->junk.n > 0 ? "junk" : "accept";
}

static void
changed(struct slice mail, const struct filter_outcome *o, struct buf *out)
{
	size_t at = 0;

	for (size_t i = 0; i < o->n_edits; i++) {
		const struct filter_edit *e = &o->edit[i];

		(void)buf_add(out, slice_sub(mail, at, (size_t)e->at - at));
		(void)buf_add(out, e->insert);
		at = (size_t)(e->at + e->remove);
	}
	(void)buf_add(out, slice_from(mail, at));
}

/* ---- for people ----------------------------------------------------------------------------------- */

static void
put_lines(const char *mark, struct slice s)
{
	struct slice line;

	while (s.n > 0) {
		own(buf_t) b = { .max = 4096 };

		if (!slice_cut(s, '\n', &line, &s)) {
			line = s;
			s = S("");
		}
		if (slice_ends(line, S("\r")))
			line = slice_head(line, line.n - 1);
		(void)buf_printable(&b, line, 4096);
		(void)printf("%s %.*s\n", mark, SFMT(buf_slice(&b)));
	}
}

static void
put_hit(const char *rules, const struct filter_hit *h)
{
	own(buf_t) line = { .max = 4 * FILTER_LINE };
	own(buf_t) text = { .max = 4 * LIMIT_FILTER_FIELD };

	(void)buf_printable(&line, h->line, 4 * FILTER_LINE);
	(void)buf_printable(&text, h->text, 4 * LIMIT_FILTER_FIELD);
	(void)printf("%s:%u: %s", rules, h->rule->at.line, filter_action_name(h->rule->action));
	if (h->rule->action == FILTER_SCORE)
		(void)printf(" %d", (int)h->rule->points);
	(void)printf("%s%.*s\n", text.n > 0 ? " " : "", SFMT(buf_slice(&text)));
	if (h->failed)
		(void)printf("    could not be tried to its end on\n");
	if (h->where != 0)
		(void)printf("    %s: %.*s\n", filter_lines_name(h->where), SFMT(buf_slice(&line)));
}

static void
put_outcome(const char *rules, struct slice mail, const struct filter_outcome *o)
{
	for (size_t i = 0; i < o->n_hits && i < FILTER_HITS; i++)
		put_hit(rules, &o->hit[i]);
	if (o->n_hits > FILTER_HITS)
		(void)printf("and %zu more\n", o->n_hits - FILTER_HITS);
	for (size_t i = 0; i < o->n_edits; i++) {
		put_lines("-", slice_sub(mail, (size_t)o->edit[i].at, (size_t)o->edit[i].remove));
		put_lines("+", o->edit[i].insert);
	}
	(void)printf("%s", verdict_of(o));
	if (o->verdict == FILTER_REFUSE || o->verdict == FILTER_LATER)
		(void)printf(": %u %.*s %.*s", o->code, SFMT(o->enhanced), SFMT(o->text));
	else if (o->verdict == FILTER_PASS && (o->hold.n > 0 || o->junk.n > 0))
		(void)printf(": %.*s", SFMT(o->hold.n > 0 ? o->hold : o->junk));
	if (o->score != 0)
		(void)printf(", %lld points", (long long)o->score);
	if (o->redirect.n > 0 && o->verdict == FILTER_PASS)
		(void)printf(", to %.*s alone", SFMT(o->redirect));
	(void)printf("\n");
}

/* ---- for programs --------------------------------------------------------------------------------- */

static json_t *
text_of(struct slice s)
{
	return s.n == 0 ? json_string("") : json_of(s);
}

static void
put_json(const char *rules, struct slice mail, const struct filter_outcome *o)
{
	json_t *all = json_object(), *hits = json_array(), *edits = json_array();
	own(buf_t) message = { .max = 2 * mail.n + FILTER_EDITS * 4096 };

	for (size_t i = 0; i < o->n_hits && i < FILTER_HITS; i++) {
		const struct filter_hit *h = &o->hit[i];
		json_t *row = json_object();

		row_set(row, "line", json_integer((json_int_t)h->rule->at.line));
		row_set(row, "action", json_string(filter_action_name(h->rule->action)));
		row_set(row, "in", json_string(filter_lines_name(h->where)));
		row_set(row, "matched", text_of(h->line));
		row_set(row, "text", text_of(h->text));
		row_set(row, "failed", json_boolean(h->failed));
		(void)json_array_append_new(hits, row);
	}
	for (size_t i = 0; i < o->n_edits; i++) {
		json_t *row = json_object();

		row_set(row, "at", json_integer((json_int_t)o->edit[i].at));
		row_set(row, "removed", text_of(slice_sub(mail, (size_t)o->edit[i].at, (size_t)o->edit[i].remove)));
		row_set(row, "inserted", text_of(o->edit[i].insert));
		(void)json_array_append_new(edits, row);
	}
	changed(mail, o, &message);
	row_set(all, "rules", json_string(rules));
	row_set(all, "verdict", json_string(verdict_of(o)));
	row_set(all, "code", o->code == 0 ? json_null() : json_integer((json_int_t)o->code));
	row_set(all, "enhanced", text_of(o->enhanced));
	row_set(all, "text", text_of(o->text));
	row_set(all, "hold", text_of(o->hold));
	row_set(all, "junk", text_of(o->junk));
	row_set(all, "redirect", text_of(o->redirect));
	row_set(all, "score", json_integer(o->score));
	row_set(all, "hits", hits);
	row_set(all, "edits", edits);
	row_set(all, "message", text_of(buf_slice(&message)));
	(void)json_dumpf(all, stdout, JSON_INDENT(2));
	(void)printf("\n");
	json_decref(all);
}

int
cmd_filter_test(struct cli *c)
{
	static const char usage[] = "filter test FILE|- [--rules FILE] [--direction in|out] [--message]";
	own(buf_t) mail = { .max = 4 * LIMIT_MESSAGE };
	own(buf_t) message = { .max = 5 * LIMIT_MESSAGE };
	const char *rules = NULL, *direction = "in";
	struct filter_outcome *o = ARENA_NEW(c->arena, struct filter_outcome);
	bool whole = cli_option(c, "--message", NULL), out;
	uint64_t began = clock_mono_ms();
	struct filter *f;

	(void)cli_option(c, "--rules", &rules);
	(void)cli_option(c, "--direction", &direction);
	if (!cli_args(c, 1, usage))
		return EX_USAGE;
	out = strcmp(direction, "out") == 0;
	if (!out && strcmp(direction, "in") != 0)
		return cli_fail(EX_USAGE, direction, "a direction is in or out");
	rules = path_of(c, rules);
	f = cli_rules(rules);
	read_message(c->argv[0], &mail);
	PN_ASSERT(o != NULL);
	filter_run(f, buf_slice(&mail), out ? FILTER_OUT : FILTER_IN, late, &began, c->arena, o);
	if (c->json) {
		put_json(rules, buf_slice(&mail), o);
	} else if (whole) {
		changed(buf_slice(&mail), o, &message);
		(void)fwrite(message.p, 1, message.n, stdout);
	} else {
		put_outcome(rules, buf_slice(&mail), o);
	}
	filter_free(&f);
	return EX_OK;
}
