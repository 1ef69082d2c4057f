/* SPDX-License-Identifier: MIT
 * One command line through the splitter and the reader of its verb. Results lie within their limits and
 * hold nothing that could break a reply, a header field or a log line. */
#include "lib/base/encode.h"
#include "lib/base/limits.h"
#include "lib/parse/smtp/command.h"
#include "lib/parse/smtp/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
printable(struct slice s, size_t most)
{
	PN_ASSERT(s.n <= most);
	for (size_t i = 0; i < s.n; i++)
		PN_ASSERT(ch_is_print(slice_at(s, i)));
}

/* The same, or UTF-8 where that was asked for. */
static void
safe(struct slice s, size_t most, bool utf8)
{
	PN_ASSERT(s.n <= most && utf8_valid(s));
	for (size_t i = 0; i < s.n; i++)
		PN_ASSERT(ch_is_print(slice_at(s, i)) || (utf8 && slice_at(s, i) >= 0x80));
}

static void
arguments(const struct smtp_command *cmd, struct arena *a)
{
	struct slice s, initial;
	struct smtp_mail m;
	struct smtp_rcpt r;
	enum addr_status why = ADDR_OK;
	enum smtp_syntax st = SMTP_SYNTAX_OK;
	uint64_t size;
	bool last, utf8 = cmd->args.n % 2 == 0;

	if (cmd->verb == SMTP_MAIL) {
		st = smtp_mail_parse(cmd->args, 127, a, &m, &why);
		if (st == SMTP_SYNTAX_OK) {
			safe(m.from.local, LIMIT_SMTP_LOCAL, m.utf8);
			safe(m.from.domain, LIMIT_DOMAIN, m.utf8);
			printable(m.auth, LIMIT_SMTP_ADDRESS);
			printable(m.envid, 100);
			PN_ASSERT(m.priority >= -9 && m.priority <= 9);
			PN_ASSERT(m.hold_for_s == 0 || m.hold_until_s == 0);
		}
	} else if (cmd->verb == SMTP_RCPT) {
		st = smtp_rcpt_parse(cmd->args, 127, utf8, a, &r, &why);
		if (st == SMTP_SYNTAX_OK) {
			PN_ASSERT(!r.to.null);
			safe(r.to.local, LIMIT_SMTP_LOCAL, utf8);
			safe(r.to.domain, LIMIT_DOMAIN, utf8);
			safe(r.orcpt, 500, utf8);
			PN_ASSERT((r.notify & SMTP_NOTIFY_NEVER) == 0 || r.notify == SMTP_NOTIFY_NEVER);
		}
	}
	(void)smtp_bdat_parse(cmd->args, &size, &last);
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
