/* SPDX-License-Identifier: MIT
 * The way to the server: the control socket, and through it to one room. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "ipc/cli_warden.h"
#include "lib/clock/clock.h"

void
cli_config(struct cli *c)
{
	own(buf_t) errors = { .max = 65536 };

	if (!config_read(c->config_path, &c->config, &errors)) {
		(void)fprintf(stderr, "%.*s", SFMT(buf_slice(&errors)));
		exit(EX_CONFIG);
	}
}

uint64_t
cli_deadline(void)
{
	return clock_mono_ms() + ANSWER_MS;
}

void
cli_no_answer(enum ipc_status st)
{
	exit(cli_fail(EX_TEMPFAIL, "no answer from the server",
	    st == IPC_TOO_BIG ? "an argument is too long" : "it is busy, or that room is just starting again"));
}

int
cli_control(struct cli *c)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	own(fd_t) fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	int n = snprintf(to.sun_path, sizeof to.sun_path, "%s/control", c->config.run_dir);

	if (fd < 0 || n < 0 || (size_t)n >= sizeof to.sun_path || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
		return -1;
	return fd_take(&fd);
}

static enum cli_warden_result attached;

static void
on_attached(void *ctx, uint32_t id, struct cli_warden_attach_answer *m)
{
	(void)ctx;
	(void)id;
	attached = m->status;
}

static int
attach(int fd, const char *room)
{
	static const struct cli_warden_answers h = { .attach = on_attached };
	struct cli_warden_attach ask = { .room = slice_z(room) };
	struct ipc_channel *ch = ipc_channel_new(fd, "warden", "");

	attached = CLI_WARDEN_RESULT_FAILED;
	if (cli_warden_attach_ask(ch, 1, &ask) != IPC_OK || cli_warden_answers_serve(ch, &h, NULL) != IPC_OK ||
	    attached != CLI_WARDEN_RESULT_OK)
		exit(cli_fail(EX_TEMPFAIL, "this room cannot be reached now", room));
	return ipc_channel_give(&ch);
}

struct ipc_client *
cli_connect(struct cli *c, const char *room)
{
	struct ipc_client *client = ipc_client_new("server");
	int fd;

	cli_config(c);
	fd = cli_control(c);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		exit(cli_fail(EX_NOPERM, "the control socket is for root and the server's own user", c->config.run_dir));
	if (fd < 0)
		exit(cli_fail(EX_UNAVAILABLE, "the server does not run with this configuration", c->config_path));
	ipc_client_connect(client, room == NULL ? fd : attach(fd, room));
	return client;
}
