/* SPDX-License-Identifier: MIT
 * smtp: SMTP conversations. Instance mx talks to strangers, submission to accounts. Holds sockets and
 * messages under way; opens no file, resolves no name, and knows no password but the one being tried.
 *
 * From warden: the peers "door" (any number), "auth", "queue" and "scan". */
#include <sys/syscall.h>

#include "rooms/smtp/room.h"

static const struct sandbox_call own_calls[] = {
	SANDBOX_CALL(memfd_create, "a message on its way to queue"),
	{ 0 },
};

int
main(void)
{
	static struct smtp_room room;
	static const struct proc_peers peers = { .introduce = smtp_introduce, .stop = smtp_stop };
	struct proc *p = proc_boot("smtp");
	struct smtp_config conf = { .hostname = proc_setting(p, "hostname"),
		.submission = slice_eq(slice_z(proc_instance(p)), S("submission")),
		.starttls = true,
		.relay = true, /* the room send */
		.scan = proc_number(p, "scan", 0, 1) != 0,
		.max_size = proc_number(p, "message_size", 1024, UINT32_MAX),
		.at = { [SMTP_AT_SMTP] = { .enhanced_codes = true, .chunking = true, .smtputf8 = true },
		    [SMTP_AT_SUBMISSION] = { true, true, true, true },
		    [SMTP_AT_SUBMISSIONS] = { true, true, true, true } } };
	struct proc_walls walls = { .own = own_calls, .threads = true, .max_files = 65536,
		.max_file_size = conf.max_size + 2 * LIMIT_STREAM_IN + LIMIT_IPC };
	struct loop *loop = loop_new();

	smtp_room_init(&room, p, loop, &conf);
	proc_lock(p, &walls);
	return proc_serve(p, loop, &peers, &room);
}
