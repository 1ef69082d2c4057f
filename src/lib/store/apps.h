/* SPDX-License-Identifier: MIT
 * drop.db: the programs of this machine that send mail, the people that each may write to by an id of its
 * own, and its templates. Every change is durable when the call returns. One thread. */
#pragma once

#include "lib/base/buf.h"
#include "lib/store/store.h"

struct apps;

#define APPS_NAME ((size_t)64)		/* of a program or template: letters, digits, '-', '_', '.' */
#define APPS_USER_ID ((size_t)128)	/* bytes: printable */
#define APPS_SENDERS ((size_t)1000)	/* bytes */
#define APPS_SUBJECT ((size_t)500)
#define APPS_TEXT ((size_t)32000)
#define APPS_TOKEN ((size_t)67)		/* bytes of a token: "pd_" and 64 hexadecimal digits */
#define APPS_ANYBODY UINT32_MAX		/* uid of a program that stands for everybody without one */

struct app {
	struct slice name;
	uint32_t uid;
	struct slice senders;	/* addresses or "@domain", one blank between; the first is an address */
	uint32_t per_hour;	/* recipients; 0: no limit */
	uint32_t per_recipient;	/* messages to one recipient, an hour; 0: no limit */
};

struct app_template {
	struct slice name, subject, text;
};

enum store_err apps_open(const char *path, struct apps **out);
void apps_close(struct apps **a);

/* Adds or changes. STORE_EXISTS: another program has the uid. STORE_REFUSED: a bad name, or senders that
 * do not begin with an address. */
enum store_err app_set(struct apps *a, const struct app *app);
enum store_err app_delete(struct apps *a, struct slice name);
/* The program of this uid, else the one of APPS_ANYBODY (not for uid 0); strings in ar. */
enum store_err app_of(struct apps *a, uint32_t uid, struct arena *ar, struct app *out);
enum store_err app_list(struct apps *a, struct slice after, bool (*fn)(void *ctx, const struct app *app),
    void *ctx);

/* The token with which a program is known over HTTP, where no uid can be asked for; random is 32 fresh octets. Only its
 * hash is kept. A program has one: an older one is void from then on. Empty random: none any more. */
enum store_err app_token_set(struct apps *a, struct slice name, struct slice random, struct buf *token);
enum store_err app_of_token(struct apps *a, struct slice token, struct arena *ar, struct app *out);
/* The program of this name, as app_of(). */
enum store_err app_named(struct apps *a, struct slice name, struct arena *ar, struct app *out);

/* What counts against limits, kept over a restart: app_rates_begin(), one app_rates_add() for each, app_rates_commit()
 * replace all of it. */
enum store_err app_rates_load(struct apps *a, void (*fn)(void *ctx, uint64_t key, uint64_t until), void *ctx);
void app_rates_begin(struct apps *a);
void app_rates_add(struct apps *a, uint64_t key, uint64_t until);
enum store_err app_rates_commit(struct apps *a);

/* STORE_NONE: no such program. STORE_REFUSED: no id or no address. One transaction for all of them. */
enum store_err app_user_begin(struct apps *a, struct slice app);
enum store_err app_user_set(struct apps *a, struct slice app, struct slice id, struct slice address);
enum store_err app_user_commit(struct apps *a);
enum store_err app_user_delete(struct apps *a, struct slice app, struct slice id);
enum store_err app_user_address(struct apps *a, struct slice app, struct slice id, struct arena *ar,
    struct slice *address);
enum store_err app_user_list(struct apps *a, struct slice app, struct slice after,
    bool (*fn)(void *ctx, struct slice id, struct slice address), void *ctx);

enum store_err app_template_set(struct apps *a, struct slice app, const struct app_template *t);
enum store_err app_template_delete(struct apps *a, struct slice app, struct slice name);
enum store_err app_template_get(struct apps *a, struct slice app, struct slice name, struct arena *ar,
    struct app_template *out);
enum store_err app_template_list(struct apps *a, struct slice app, struct slice after,
    bool (*fn)(void *ctx, const struct app_template *t), void *ctx);
