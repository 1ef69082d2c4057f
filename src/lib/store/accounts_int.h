/* SPDX-License-Identifier: MIT
 * Shared by the files of accounts.db. */
#pragma once

#include "lib/base/limits.h"
#include "lib/base/own.h"
#include "lib/store/accounts.h"
#include "lib/store/db.h"

#define ACCOUNTS_ADDRESS (LIMIT_SMTP_LOCAL + 1 + LIMIT_DOMAIN)

struct accounts {
	struct db db;
	uint64_t revision;
};

enum { Q_REVISION, Q_REVISE, Q_DOMAIN, Q_FIRST_DOMAIN, Q_DOMAIN_ADD, Q_DOMAIN_DROP, Q_DOMAIN_USED,
	Q_DOMAINS, Q_NEXT_ID, Q_ADD, Q_FIND, Q_BY_ID, Q_HASH, Q_STATE, Q_DELETE, Q_LIST, Q_LOGIN,
	Q_ALIAS, Q_ALIAS_ADD, Q_ALIAS_DROP, Q_ALIAS_DROP_ONE, Q_ALIAS_FORGET, Q_ALIAS_COUNT,
	Q_ALIASES, Q_HISTORY, Q_ROUTE, Q_DOMAIN_ALIAS, Q_DOMAIN_SEPARATOR, Q_DOMAIN_SEPARATOR_NULL,
	Q_DOMAIN_CATCH_ALL, Q_DOMAIN_ALIASED, Q_LIST_FIND, Q_LIST_ADD, Q_LIST_DROP, Q_LISTS, Q_SENDER,
	Q_SENDER_ADD, Q_SENDER_DROP, Q_SENDER_FORGET, Q_SENDERS, Q_LIMITS, Q_LIMITS_SET,
	Q_LIMITS_DROP, Q_LIMITS_ALL, Q_SETTING, Q_SETTING_PUT, Q_RATES, Q_RATES_DROP, Q_RATE_ADD,
	Q_POLICY, Q_POLICY_SET, Q_POLICY_DROP, Q_POLICIES,
	Q_MAX };

/* Host name labels of letters, digits and hyphens (RFC 1123 2.1), lower-cased into buf. */
bool accounts_domain_name(struct slice name, uint8_t *buf, struct slice *out);
/* local@domain in lower case, in buf of ACCOUNTS_ADDRESS bytes; *domain is its part of it. */
bool accounts_address(struct slice in, uint8_t *buf, struct slice *out, struct slice *domain);
/* STORE_OK when the domain (in lower case) is ours. */
enum store_err accounts_domain(struct accounts *a, struct slice domain);
/* An account by its address in lower case; ar may be NULL where no text is wanted. */
enum store_err accounts_by_address(struct accounts *a, struct slice address, struct arena *ar,
    struct account *out);
/* A list by its address in lower case; ar and out may be NULL. */
enum store_err accounts_list_find(struct accounts *a, struct slice address, struct arena *ar,
    struct list *out);
/* Inside a transaction: the history. */
enum store_err accounts_revise(struct accounts *a, struct account_change by, struct slice what,
    struct slice subject, struct slice detail);
/* Ends a change: with e, or with the commit. */
enum store_err accounts_finish(struct accounts *a, enum store_err e);
/* May mail for address be led to target (both in lower case)? STORE_NONE: target is ours and unknown.
 * STORE_REFUSED: it would come back to address. STORE_LIMIT: too far or too many. */
enum store_err accounts_may_lead(struct accounts *a, struct slice address, struct slice target);
