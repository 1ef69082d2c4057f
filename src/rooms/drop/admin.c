/* SPDX-License-Identifier: MIT
 * What the administrator changes: programs, the people they write to, templates. */
#include <stdlib.h>
#include <sys/random.h>

#include "ipc/cli_drop.h"
#include "rooms/drop/drop.h"

#define APPS ((size_t)40)
#define USERS ((size_t)100)
#define TEMPLATES ((size_t)1)

struct drop_admin {
	struct drop_admin *next;
	struct drop_room *room;
	struct arena *arena; /* holds this struct */
	struct ipc_channel *ch;
	struct loop_watch *watch;
};

static enum cli_drop_result
result_of(enum store_err e)
{
	switch (e) {
	case STORE_OK:
		return CLI_DROP_RESULT_OK;
	case STORE_EXISTS:
		return CLI_DROP_RESULT_EXISTS;
	case STORE_NONE:
		return CLI_DROP_RESULT_NONE;
	case STORE_REFUSED:
	case STORE_LIMIT:
		return CLI_DROP_RESULT_INVALID;
	case STORE_FULL:
		return CLI_DROP_RESULT_FULL;
	default:
		return CLI_DROP_RESULT_FAILED;
	}
}

static struct slice
text_of(enum cli_drop_result res, struct slice invalid)
{
	switch (res) {
	case CLI_DROP_RESULT_EXISTS:
		return S("another program has this uid");
	case CLI_DROP_RESULT_NONE:
		return S("no such program, user or template");
	case CLI_DROP_RESULT_INVALID:
		return invalid;
	case CLI_DROP_RESULT_FULL:
		return S("no space left");
	case CLI_DROP_RESULT_FAILED:
		return S("drop.db failed");
	case CLI_DROP_RESULT_OK:
		break;
	}
	return S("");
}

static void
changed(enum store_err e, struct slice what, struct slice subject, struct slice detail)
{
	if (e == STORE_OK)
		EVENT(EVENT_ADMIN_CHANGE, 0, S(""), S(""), EF("what", what), EF("subject", subject),
		    EF("detail", detail));
}

/* A page of a list: rows until it is full; more when one was left over. */
struct page {
	struct arena *a;
	void *row;
	size_t n;
	bool more, failed;
};

static enum store_err
set_app(struct apps *a, const struct cli_drop_app_set *m)
{
	struct app app = { m->name, m->uid, m->senders, m->per_hour, m->per_recipient };

	return app_set(a, &app);
}

static enum store_err
set_users(struct apps *a, const struct cli_drop_user_set *m)
{
	enum store_err e = app_user_begin(a, m->app);

	if (e != STORE_OK)
		return e;
	for (size_t i = 0; i < m->n_users; i++)
		(void)app_user_set(a, m->app, m->users[i].id, m->users[i].address);
	return app_user_commit(a);
}

static enum store_err
set_template(struct apps *a, const struct cli_drop_template_set *m)
{
	struct app_template t = { m->name, m->subject, m->text };

	return app_template_set(a, m->app, &t);
}

static void
on_app_set(void *ctx, struct ipc_call *call, struct cli_drop_app_set *m)
{
	struct drop_room *r = ((struct drop_admin *)ctx)->room;
	struct cli_drop_app_set_answer out = { .status = CLI_DROP_RESULT_FAILED };
	enum store_err e;

	(void)pthread_mutex_lock(&r->lock);
	e = set_app(r->apps, m);
	(void)pthread_mutex_unlock(&r->lock);
	changed(e, S("app.set"), m->name, m->senders);
	out.status = result_of(e);
	out.text = text_of(out.status, S("a name has letters, digits, '-', '_' and '.'; the first sender is an address, others may be \"@domain\""));
	(void)cli_drop_app_set_answer(call, &out);
}

static void
on_app_delete(void *ctx, struct ipc_call *call, struct cli_drop_app_delete *m)
{
	struct drop_room *r = ((struct drop_admin *)ctx)->room;
	struct cli_drop_app_delete_answer out = { .status = CLI_DROP_RESULT_FAILED };
	enum store_err e;

	(void)pthread_mutex_lock(&r->lock);
	e = app_delete(r->apps, m->name);
	(void)pthread_mutex_unlock(&r->lock);
	changed(e, S("app.delete"), m->name, S(""));
	out.status = result_of(e);
	out.text = text_of(out.status, S(""));
	(void)cli_drop_app_delete_answer(call, &out);
}

static void
on_app_token(void *ctx, struct ipc_call *call, struct cli_drop_app_token *m)
{
	struct drop_room *r = ((struct drop_admin *)ctx)->room;
	struct cli_drop_app_token_answer out = { .status = CLI_DROP_RESULT_FAILED };
	own(buf_t) token = { .max = APPS_TOKEN };
	uint8_t random[32];
	enum store_err e;

	PN_ASSERT(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random);
	(void)pthread_mutex_lock(&r->lock);
	e = app_token_set(r->apps, m->name, m->revoke ? S("") : slice_of(random, sizeof random), &token);
	(void)pthread_mutex_unlock(&r->lock);
	explicit_bzero(random, sizeof random);
	changed(e, S("app.token"), m->name, m->revoke ? S("revoked") : S("made"));
	out.status = result_of(e);
	if (e == STORE_OK)
		out.token = buf_slice(&token);
	(void)cli_drop_app_token_answer(call, &out);
}

static void
on_user_set(void *ctx, struct ipc_call *call, struct cli_drop_user_set *m)
{
	struct drop_room *r = ((struct drop_admin *)ctx)->room;
	struct cli_drop_user_set_answer out = { .status = CLI_DROP_RESULT_FAILED };
	enum store_err e;

	(void)pthread_mutex_lock(&r->lock);
	e = set_users(r->apps, m);
	(void)pthread_mutex_unlock(&r->lock);
	changed(e, S("app-user.set"), m->app, m->n_users == 1 ? m->users[0].id : S("several"));
	out.status = result_of(e);
	out.text = text_of(out.status, S("one of these is no id of 1 to 128 printable characters, or no address; none was changed"));
	(void)cli_drop_user_set_answer(call, &out);
}

static void
on_user_delete(void *ctx, struct ipc_call *call, struct cli_drop_user_delete *m)
{
	struct drop_room *r = ((struct drop_admin *)ctx)->room;
	struct cli_drop_user_delete_answer out = { .status = CLI_DROP_RESULT_FAILED };
	enum store_err e;

	(void)pthread_mutex_lock(&r->lock);
	e = app_user_delete(r->apps, m->app, m->id);
	(void)pthread_mutex_unlock(&r->lock);
	changed(e, S("app-user.delete"), m->app, m->id);
	out.status = result_of(e);
	out.text = text_of(out.status, S(""));
	(void)cli_drop_user_delete_answer(call, &out);
}

static void
on_template_set(void *ctx, struct ipc_call *call, struct cli_drop_template_set *m)
{
	struct drop_room *r = ((struct drop_admin *)ctx)->room;
	struct cli_drop_template_set_answer out = { .status = CLI_DROP_RESULT_FAILED };
	enum store_err e;

	(void)pthread_mutex_lock(&r->lock);
	e = set_template(r->apps, m);
	(void)pthread_mutex_unlock(&r->lock);
	changed(e, S("app-template.set"), m->app, m->name);
	out.status = result_of(e);
	out.text = text_of(out.status, S("a name has letters, digits, '-', '_' and '.'; a subject is one line of 500 bytes, a text has 32,000 bytes of UTF-8"));
	(void)cli_drop_template_set_answer(call, &out);
}

static void
on_template_delete(void *ctx, struct ipc_call *call, struct cli_drop_template_delete *m)
{
	struct drop_room *r = ((struct drop_admin *)ctx)->room;
	struct cli_drop_template_delete_answer out = { .status = CLI_DROP_RESULT_FAILED };
	enum store_err e;

	(void)pthread_mutex_lock(&r->lock);
	e = app_template_delete(r->apps, m->app, m->name);
	(void)pthread_mutex_unlock(&r->lock);
	changed(e, S("app-template.delete"), m->app, m->name);
	out.status = result_of(e);
	out.text = text_of(out.status, S(""));
	(void)cli_drop_template_delete_answer(call, &out);
}

static bool
add_app(void *ctx, const struct app *app)
{
	struct page *p = ctx;
	struct cli_drop_app *to = p->row;

	p->more = p->n == APPS;
	if (p->more)
		return false;
	to = &to[p->n++];
	to->uid = app->uid;
	to->per_hour = app->per_hour;
	to->per_recipient = app->per_recipient;
	p->failed = !arena_copy(p->a, app->name, &to->name) || !arena_copy(p->a, app->senders, &to->senders);
	return !p->failed;
}

static void
on_app_list(void *ctx, struct ipc_call *call, struct cli_drop_app_list *m)
{
	struct drop_room *r = ((struct drop_admin *)ctx)->room;
	own(arena_p) a = arena_new("list", LIMIT_ARENA_MESSAGE);
	struct page p = { .a = a, .row = ARENA_ARRAY(a, APPS, struct cli_drop_app) };
	struct cli_drop_app_list_answer out = { .status = CLI_DROP_RESULT_FAILED };
	enum store_err e;

	(void)pthread_mutex_lock(&r->lock);
	e = app_list(r->apps, m->after, add_app, &p);
	(void)pthread_mutex_unlock(&r->lock);
	if (e == STORE_OK && !p.failed)
		out = (struct cli_drop_app_list_answer){ .status = CLI_DROP_RESULT_OK, .apps = p.row,
			.n_apps = p.n, .more = p.more };
	(void)cli_drop_app_list_answer(call, &out);
}

static bool
add_user(void *ctx, struct slice id, struct slice address)
{
	struct page *p = ctx;
	struct cli_drop_user *to = p->row;

	p->more = p->n == USERS;
	if (p->more)
		return false;
	to = &to[p->n++];
	p->failed = !arena_copy(p->a, id, &to->id) || !arena_copy(p->a, address, &to->address);
	return !p->failed;
}

static void
on_user_list(void *ctx, struct ipc_call *call, struct cli_drop_user_list *m)
{
	struct drop_room *r = ((struct drop_admin *)ctx)->room;
	own(arena_p) a = arena_new("list", LIMIT_ARENA_MESSAGE);
	struct page p = { .a = a, .row = ARENA_ARRAY(a, USERS, struct cli_drop_user) };
	struct cli_drop_user_list_answer out = { .status = CLI_DROP_RESULT_FAILED };
	enum store_err e;

	(void)pthread_mutex_lock(&r->lock);
	e = app_user_list(r->apps, m->app, m->after, add_user, &p);
	(void)pthread_mutex_unlock(&r->lock);
	if (e == STORE_OK && !p.failed)
		out = (struct cli_drop_user_list_answer){ .status = CLI_DROP_RESULT_OK, .users = p.row,
			.n_users = p.n, .more = p.more };
	(void)cli_drop_user_list_answer(call, &out);
}

static bool
add_template(void *ctx, const struct app_template *t)
{
	struct page *p = ctx;
	struct cli_drop_template *to = p->row;

	p->more = p->n == TEMPLATES;
	if (p->more)
		return false;
	to = &to[p->n++];
	p->failed = !arena_copy(p->a, t->name, &to->name) || !arena_copy(p->a, t->subject, &to->subject) ||
	    !arena_copy(p->a, t->text, &to->text);
	return !p->failed;
}

static void
on_template_list(void *ctx, struct ipc_call *call, struct cli_drop_template_list *m)
{
	struct drop_room *r = ((struct drop_admin *)ctx)->room;
	own(arena_p) a = arena_new("list", LIMIT_ARENA_MESSAGE);
	struct page p = { .a = a, .row = ARENA_ARRAY(a, TEMPLATES, struct cli_drop_template) };
	struct cli_drop_template_list_answer out = { .status = CLI_DROP_RESULT_FAILED };
	enum store_err e;

	(void)pthread_mutex_lock(&r->lock);
	e = app_template_list(r->apps, m->app, m->after, add_template, &p);
	(void)pthread_mutex_unlock(&r->lock);
	if (e == STORE_OK && !p.failed)
		out = (struct cli_drop_template_list_answer){ .status = CLI_DROP_RESULT_OK, .templates = p.row,
			.n_templates = p.n, .more = p.more };
	(void)cli_drop_template_list_answer(call, &out);
}

static const struct cli_drop_server handlers = { .app_set = on_app_set,
	.app_list = on_app_list,
	.app_delete = on_app_delete,
	.app_token = on_app_token,
	.user_set = on_user_set,
	.user_list = on_user_list,
	.user_delete = on_user_delete,
	.template_set = on_template_set,
	.template_list = on_template_list,
	.template_delete = on_template_delete };

static void
admin_end(struct drop_admin *d)
{
	struct drop_admin **at = &d->room->admins;
	struct arena *a = d->arena;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	loop_unwatch(d->room->loop, &d->watch);
	ipc_channel_free(&d->ch);
	arena_free(&a);
}

static void
on_frames(void *arg, unsigned ready)
{
	struct drop_admin *d = arg;
	enum ipc_status st = cli_drop_server_serve(d->ch, &handlers, d);

	(void)ready;
	if (st != IPC_OK && st != IPC_AGAIN)
		admin_end(d);
}

void
drop_admin_introduce(struct drop_room *r, int fd)
{
	struct arena *a = arena_new("admin", sizeof(struct drop_admin) + 16);
	struct drop_admin *d = ARENA_NEW(a, struct drop_admin);

	PN_ASSERT(d != NULL);
	*d = (struct drop_admin){ .next = r->admins, .room = r, .arena = a,
		.ch = ipc_channel_new(fd, "cli", "") };
	ipc_set_nonblocking(d->ch, true);
	d->watch = loop_watch(r->loop, fd, LOOP_READ, on_frames, d);
	r->admins = d;
}

void
drop_admins_end(struct drop_room *r)
{
	while (r->admins != NULL)
		admin_end(r->admins);
}
