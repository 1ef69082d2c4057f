/* SPDX-License-Identifier: MIT
 * Stress: queue has more than it likes, or door has hardly a connection left. Then strangers hold what
 * they hold for a shorter time, and errors are borne less; submission and LMTP are
 * served as ever. Nothing is refused for good: who is cut comes again. */
#include "rooms/smtp/session.h"

static const struct smtp_bounds usual = { .idle_ms = SMTP_IDLE_MS,
	.data_grace_ms = SMTP_DATA_GRACE_MS,
	.errors = LIMIT_SMTP_ERRORS,
	.junk = LIMIT_SMTP_JUNK,
	.transactions = LIMIT_SMTP_TRANSACTIONS,
	.rcpts = LIMIT_SMTP_RCPTS };

static const struct smtp_bounds hurried = { .idle_ms = SMTP_STRESS_IDLE_MS,
	.data_grace_ms = SMTP_STRESS_IDLE_MS,
	.errors = 4,
	.junk = 10,
	.transactions = 10,
	.rcpts = 100 };

const struct smtp_bounds *
smtp_bounds(const struct smtp_session *s)
{
	bool stranger = !s->conf->submission && !s->conf->lmtp && s->account_id == 0;

	return stranger && s->back->stressed(s->back->ctx) ? &hurried : &usual;
}
