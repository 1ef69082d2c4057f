/* SPDX-License-Identifier: MIT
 * One command line through the splitter and the reader of its verb. Results lie within their limits and
 * hold nothing that could break a reply, a header field or a log line. */
#include "lib/base/limits.h"
#include "lib/parse/smtp/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
printable(struct slice s, size_t most)
{
	PN_ASSERT(s.n <= most);
	for (size_t i = 0; i < s.n; i++)
		PN_ASSERT(ch_is_print(slice_at(s, i)));
}

static void
arguments(const struct smtp_command *cmd, struct arena *a)
{
	struct slice s, initial;
	struct smtp_mail m;
	enum addr_status why = ADDR_OK;
	struct addr ad;
	enum smtp_syntax st = SMTP_SYNTAX_OK;

	if (cmd->verb == SMTP_MAIL) {
		st = smtp_mail_parse(cmd->args, true, a, &m, &why);
		if (st == SMTP_SYNTAX_OK) {
			printable(m.from.local, LIMIT_SMTP_LOCAL);
			printable(m.from.domain, LIMIT_DOMAIN);
			printable(m.auth, LIMIT_SMTP_ADDRESS);
		}
	} else if (cmd->verb == SMTP_RCPT) {
		st = smtp_rcpt_parse(cmd->args, a, &ad, &why);
		if (st == SMTP_SYNTAX_OK) {
			PN_ASSERT(!ad.null);
			printable(ad.local, LIMIT_SMTP_LOCAL);
			printable(ad.domain, LIMIT_DOMAIN);
		}
	}
	PN_ASSERT((st == SMTP_SYNTAX_ADDRESS) == (why != ADDR_OK));
	if (smtp_helo_parse(cmd->args, &s))
		printable(s, LIMIT_DOMAIN);
	if (smtp_auth_parse(cmd->args, &s, &initial))
		printable(s, 20);
	(void)smtp_xtext(cmd->args, a, &s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a;
	struct smtp_command cmd;

	if (n > LIMIT_SMTP_LINE)
		return 0;
	a = arena_new("fuzz", LIMIT_ARENA_COMMAND);
	if (smtp_command_parse(slice_of(data, n), &cmd)) {
		printable(cmd.word, 32);
		arguments(&cmd, a);
	}
	arena_free(&a);
	return 0;
}
