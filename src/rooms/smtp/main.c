/* SPDX-License-Identifier: MIT
 * smtp: SMTP conversations. Instance mx talks to strangers, submission to accounts, lmtp to other mail servers. Holds sockets and
 * messages under way; opens no file, resolves no name, and knows no password but the one being tried.
 *
 * From warden: the peers "door" (any number), "auth", "queue", "scan" and, where there are milters, "milter". */
#include <stdio.h>
#include <sys/syscall.h>

#include "rooms/smtp/room.h"

static const struct sandbox_call own_calls[] = {
	SANDBOX_CALL(memfd_create, "a message on its way to queue"),
	{ 0 },
};

static uint64_t
number_at(const struct proc *p, const char *what, const char *listener, uint64_t most)
{
	char key[64];

	(void)snprintf(key, sizeof key, "%s.%s", what, listener);
	return proc_number(p, key, 0, most);
}

static struct smtp_switches
switches(const struct proc *p, const char *listener)
{
	struct smtp_switches s = { .dsn = number_at(p, "dsn", listener, 1) != 0,
		.enhanced_codes = number_at(p, "enhanced_codes", listener, 1) != 0,
		.chunking = number_at(p, "chunking", listener, 1) != 0,
		.smtputf8 = number_at(p, "smtputf8", listener, 1) != 0,
		.greet_wait_ms = (uint32_t)number_at(p, "greet_wait", listener, 10000),
		.tarpit_ms = (uint32_t)number_at(p, "tarpit", listener, 10000) };
	char key[64];

	(void)snprintf(key, sizeof key, "xclient_from.%s", listener);
	PN_ASSERT(ip_nets_parse(proc_setting(p, key), &s.xclient_from));
	return s;
}

int
main(void)
{
	static struct smtp_room room;
	static const struct proc_peers peers = { .introduce = smtp_introduce, .stop = smtp_stop };
	static struct smtp_config conf;
	static struct ip_nets from;
	struct proc *p = proc_boot("smtp");
	struct proc_walls walls = { .own = own_calls, .threads = true, .max_files = 65536 };
	struct loop *loop = loop_new();

	conf.hostname = proc_setting(p, "hostname");
	conf.submission = slice_eq(slice_z(proc_instance(p)), S("submission"));
	conf.lmtp = slice_eq(slice_z(proc_instance(p)), S("lmtp"));
	conf.scram = (struct scram_offer){ .off = proc_number(p, "scram", 0, 1) == 0,
		.must_bind = proc_number(p, "scram_require_binding", 0, 1) != 0 };
	conf.relay = true; /* the room send */
	conf.scan = proc_number(p, "scan", 0, 1) != 0;
	conf.redirects = proc_setting(p, "redirects");
	conf.milter = proc_number(p, "milter", 0, 1) != 0;
	conf.max_size = proc_number(p, "message_size", 1024, UINT32_MAX);
	walls.max_file_size = conf.max_size + 2 * LIMIT_STREAM_IN + LIMIT_IPC;
	conf.starttls = !conf.lmtp;
	if (conf.lmtp) {
		conf.at[SMTP_AT_SMTP] = switches(p, "lmtp");
		PN_ASSERT(ip_nets_parse(proc_setting(p, "from.lmtp"), &from));
		conf.lmtp_from = &from;
	} else if (conf.submission) {
		conf.at[SMTP_AT_SUBMISSION] = switches(p, "submission");
		conf.at[SMTP_AT_SUBMISSIONS] = switches(p, "submissions");
	} else {
		conf.at[SMTP_AT_SMTP] = switches(p, "smtp");
	}
	smtp_room_init(&room, p, loop, &conf);
	proc_lock(p, &walls);
	return proc_serve(p, loop, &peers, &room);
}
