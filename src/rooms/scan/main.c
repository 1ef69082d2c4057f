/* SPDX-License-Identifier: MIT
 * scan: judges one message at a time for whoever is about to take responsibility for it, and signs
 * what goes out. It opens no file and no socket; it reads a message where the asker sealed it, asks
 * dns for records, keys for signatures and auth for the administrator's rules.
 *
 * From warden: the settings sender_authentication and arc_trusted (names with a comma between); the
 * administrator's rules in the descriptor filter, where there are any; the
 * peers smtp (mx, submission), dns, keys, auth. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sysexits.h>

#include "lib/crypto/digest.h"
#include "rooms/scan/room.h"

static const struct sandbox_call own_calls[] = {
	SANDBOX_CALL(pread64, "a short message: it is read, not mapped"),
	{ 0 },
};

static enum scan_mode
mode_of(struct slice word)
{
	if (slice_eq(word, S("off")))
		return SCAN_OFF;
	if (slice_eq(word, S("mark")))
		return SCAN_MARK;
	if (!slice_eq(word, S("enforce"))) {
		(void)fprintf(stderr, "scan: sender_authentication is \"%.*s\"\n", SFMT(word));
		exit(EX_CONFIG);
	}
	return SCAN_ENFORCE;
}

static void
read_trusted(struct slice list, struct scan_conf *conf)
{
	struct slice name, rest = list;

	while (rest.n > 0 && conf->n_trusted < SCAN_TRUSTED) {
		if (!slice_cut(rest, ',', &name, &rest)) {
			name = rest;
			rest = S("");
		}
		conf->trusted[conf->n_trusted++] = name;
	}
}

/* The rules, which warden has looked at before. */
static const struct filter *
read_rules(struct proc *p)
{
	own(fd_t) fd = proc_descriptor(p, "filter");
	static struct filter_errors errors; /* large */
	struct filter *f = fd < 0 ? NULL : filter_read(fd, &errors);

	if (fd >= 0 && f == NULL) {
		(void)fprintf(stderr, "scan: the rules cannot be read: line %u: %s\n", errors.v[0].at.line, errors.v[0].text);
		exit(EX_CONFIG);
	}
	return f;
}

int
main(void)
{
	static struct scan_room room;
	static const struct proc_peers peers = { .introduce = scan_introduce, .stop = scan_stop };
	struct proc *p = proc_boot("scan");
	struct scan_conf conf = { .hostname = proc_setting(p, "hostname"),
		.mode = mode_of(proc_setting(p, "sender_authentication")) };
	struct proc_walls walls = { .own = own_calls, .threads = true, .max_files = 4096 };
	uint64_t size = proc_number(p, "message_size", 1024, UINT32_MAX) + 2 * LIMIT_STREAM_IN;

	conf.dns_ms = conf.mode == SCAN_MARK ? SCAN_DNS_MARK_MS : SCAN_DNS_MS;
	read_trusted(proc_setting(p, "arc_trusted"), &conf);
	conf.filter = read_rules(p);
	crypto_init();
	scan_room_init(&room, p, loop_new(), &conf, size);
	proc_lock(p, &walls);
	return proc_serve(p, room.loop, &peers, &room);
}
