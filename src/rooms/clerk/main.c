/* SPDX-License-Identifier: MIT
 * clerk: scheduled work, and the reports that mail systems send each other.
 *
 * From warden: the directory of reports.db; who our reports come from, and which are sent; the peers
 * log, dns, auth, scan, queue, keys, deliveries (of queue), reader when it is wanted, and "cli". */
#include <stdio.h>
#include <sysexits.h>

#include "lib/store/testvfs.h"
#include "rooms/clerk/clerk.h"

int
main(void)
{
	static const struct proc_walls walls = { .files = true, .max_files = 1024,
		.max_file_size = UINT64_C(1) << 36 };
	static const struct proc_peers peers = { .introduce = clerk_introduce, .stop = clerk_stop };
	static struct clerk clerk;
	struct reports *reports;
	struct loop *loop;
	enum store_err e;
	bool bad;

	clerk.proc = proc_boot("clerk");
	clerk.hostname = clerk.org = proc_setting(clerk.proc, "hostname");
	clerk.from = proc_setting(clerk.proc, "reports_from");
	clerk.send_dmarc = proc_number(clerk.proc, "reports_dmarc", 0, 1) != 0;
	clerk.send_tls = proc_number(clerk.proc, "reports_tls", 0, 1) != 0;
	loop = loop_new();
	if (!testvfs_env(S("clerk"), &bad) && bad)
		return EX_USAGE;
	proc_lock(clerk.proc, &walls);
	e = reports_open("reports.db", &reports);
	if (e != STORE_OK) {
		(void)fprintf(stderr, "clerk: cannot open reports.db: %s\n", store_err_name(e));
		return EX_IOERR;
	}
	clerk_init(&clerk, loop, reports);
	return proc_serve(clerk.proc, clerk.loop, &peers, &clerk);
}
