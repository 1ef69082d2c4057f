/* SPDX-License-Identifier: MIT
 * sendmail, mailq, newaliases: mail of local programs, given to drop over its socket. It runs with the
 * rights of whoever calls it and no others; who that is the kernel tells drop. Exit status is a
 * sysexits value; 75 (come back later) when the server is not there. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/base/own.h"
#include "lib/config/config.h"

#define CONFIG_DEFAULT "/etc/postern/postern.conf"
#define RCPTS 100

enum mode { MODE_MAIL, MODE_SMTP, MODE_QUEUE, MODE_ALIASES };

struct call {
	enum mode mode;
	bool from_header, dots; /* -t; a line of "." ends the message */
	bool doubled;		/* SMTP: other lines that begin with a dot have one too many */
	const char *config, *from, *name;
	const char *to[RCPTS];
	size_t n_to;
	char run_dir[256];
	uint64_t max_size;
};

static int
fail(int status, const char *what, const char *detail)
{
	(void)fprintf(stderr, "sendmail: %s%s%s\n", what, detail[0] == '\0' ? "" : ": ", detail);
	return status;
}

/* ---- the message: LF and CRLF both end a line, what goes to the server has CRLF ----------------- */

static bool
read_message(struct call *c, FILE *in, struct buf *b)
{
	bool cr = false, at_start = true;
	int k;

	while ((k = getc_unlocked(in)) != EOF && !b->bad) {
		if (c->dots && at_start && k == '.') {
			int next = getc_unlocked(in);

			if (next == '\r')
				next = getc_unlocked(in);
			if (next == '\n' || next == EOF)
				break;
			if (!c->doubled)
				(void)buf_byte(b, '.');
			k = next;
		}
		if (cr && k != '\n') /* a CR alone is a line end too: old Macs, PHP */
			(void)buf_add(b, S("\n"));
		if (k == '\n' && !cr)
			(void)buf_byte(b, '\r');
		(void)buf_byte(b, (uint8_t)k);
		cr = k == '\r';
		at_start = k == '\n';
	}
	if (cr)
		(void)buf_byte(b, '\n');
	else if (b->n > 0 && b->p[b->n - 1] != '\n')
		(void)buf_add(b, S("\r\n"));
	return !ferror(in) && !b->bad;
}

/* ---- the server -------------------------------------------------------------------------------- */

static int
connect_drop(const struct call *c)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int n = snprintf(to.sun_path, sizeof to.sun_path, "%s/drop", c->run_dir);

	if (fd >= 0 && n > 0 && (size_t)n < sizeof to.sun_path && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static bool
send_all(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		s = slice_from(s, (size_t)n);
	}
	return true;
}

/* One line of the server into text; false without one. */
static bool
hear(int fd, char *text, size_t size)
{
	size_t n = 0;
	ssize_t got;

	while (n + 1 < size && (got = recv(fd, &text[n], size - 1 - n, 0)) > 0) {
		n += (size_t)got;
		text[n] = '\0';
		if (strchr(text, '\n') != NULL)
			return text[strcspn(text, "\r\n")] = '\0', true;
	}
	return false;
}

/* "line address", without the angle brackets that some programs put around it. */
static void
put_address(struct buf *b, const char *word, const char *address)
{
	struct slice a = slice_z(address);

	if (a.n > 2 && slice_at(a, 0) == '<' && slice_at(a, a.n - 1) == '>')
		a = slice_sub(a, 1, a.n - 2);
	(void)buf_fmt(b, "%s %.*s\n", word, a.n == 0 ? 2 : (int)a.n, a.n == 0 ? "<>" : (const char *)a.p);
}

/* Hands one message over; the server's reply in text: "250 2.0.0 queued as ...". */
static void
hand_over(const struct call *c, const struct buf *message, char *text, size_t size)
{
	own(buf_t) head = { .max = 200000 };
	own(fd_t) fd = connect_drop(c);
	int why = errno;

	if (fd < 0) {
		(void)snprintf(text, size, "451 4.3.0 the mail server does not run, or not here (%s/drop: %s); nothing was sent",
		    c->run_dir, strerror(why));
		return;
	}
	(void)buf_add(&head, S("mail 1\n"));
	/* a name of this machine without a domain says no more than the uid does */
	if (c->from != NULL && (c->from[0] == '\0' || strchr(c->from, '@') != NULL))
		put_address(&head, "from", c->from);
	if (c->name != NULL)
		(void)buf_fmt(&head, "name %s\n", c->name);
	for (size_t i = 0; i < c->n_to; i++)
		put_address(&head, "to", c->to[i]);
	if (c->from_header)
		(void)buf_add(&head, S("recipients header\n"));
	(void)buf_fmt(&head, "size %zu\n\n", message->n);
	/* a server that refuses stops reading: its reply is there all the same */
	(void)(send_all(fd, buf_slice(&head)) && send_all(fd, buf_slice(message)));
	if (!hear(fd, text, size))
		(void)snprintf(text, size, "451 4.3.0 the mail server gave no answer; nothing is known to be sent");
}

/* ---- the ways to be called --------------------------------------------------------------------- */

static int
send_mail(struct call *c)
{
	own(buf_t) b = { .max = (size_t)c->max_size };
	char text[512];

	if (c->n_to == 0 && !c->from_header)
		return fail(EX_USAGE, "recipients are missing; name them, or say -t", "");
	if (!read_message(c, stdin, &b))
		return fail(EX_DATAERR, "the message is too big or cannot be read", "");
	hand_over(c, &b, text, sizeof text);
	if (strncmp(text, "250", 3) == 0)
		return EX_OK;
	return fail(text[0] == '4' ? EX_TEMPFAIL : strncmp(text, "550 5.1.1", 9) == 0 ? EX_NOUSER :
	    strncmp(text, "55", 2) == 0 && strstr(text, " 5.7.1 ") != NULL ? EX_NOPERM : EX_DATAERR, text, "");
}

/* The address in "MAIL FROM:<...>" and "RCPT TO:<...>", into to. */
static bool
in_brackets(const char *line, char *to, size_t size)
{
	const char *open = strchr(line, '<'), *end = open == NULL ? NULL : strchr(open, '>');

	return end != NULL && snprintf(to, size, "%.*s", (int)(end - open - 1), open + 1) < (int)size;
}

/* -bs: just so much SMTP as programs that talk it to a pipe need. */
static int
speak_smtp(struct call *c)
{
	static char to[RCPTS][400];
	char line[2048], from[400] = "", text[512];
	bool mail = false;

	(void)printf("220 localhost ESMTP\r\n");
	(void)fflush(stdout);
	while (fgets(line, sizeof line, stdin) != NULL) {
		const char *say = "500 5.5.2 not understood";

		if (strncasecmp(line, "HELO", 4) == 0 || strncasecmp(line, "EHLO", 4) == 0) {
			say = "250 localhost";
		} else if (strncasecmp(line, "MAIL FROM:", 10) == 0 && in_brackets(line, from, sizeof from)) {
			mail = true;
			c->n_to = 0;
			say = "250 2.1.0 ok";
		} else if (strncasecmp(line, "RCPT TO:", 8) == 0) {
			say = !mail ? "503 5.5.1 MAIL first" : c->n_to == RCPTS ? "452 4.5.3 too many recipients" :
			    !in_brackets(line, to[c->n_to], sizeof to[0]) ? "501 5.1.3 not an address" : "250 2.1.5 ok";
			if (strncmp(say, "250", 3) == 0) {
				c->to[c->n_to] = to[c->n_to];
				c->n_to++;
			}
		} else if (strncasecmp(line, "DATA", 4) == 0 && mail && c->n_to > 0) {
			own(buf_t) b = { .max = (size_t)c->max_size };
			bool whole;

			(void)printf("354 end with CRLF.CRLF\r\n");
			(void)fflush(stdout);
			c->dots = c->doubled = true;
			c->from = from;
			whole = read_message(c, stdin, &b);
			if (whole)
				hand_over(c, &b, text, sizeof text);
			say = whole ? text : "552 5.3.4 too big";
			mail = false;
			c->n_to = 0;
		} else if (strncasecmp(line, "RSET", 4) == 0 || strncasecmp(line, "NOOP", 4) == 0) {
			mail = mail && strncasecmp(line, "NOOP", 4) == 0;
			say = "250 2.0.0 ok";
		} else if (strncasecmp(line, "QUIT", 4) == 0) {
			(void)printf("221 2.0.0 bye\r\n");
			return EX_OK;
		} else if (strncasecmp(line, "DATA", 4) == 0) {
			say = "503 5.5.1 MAIL and RCPT first";
		}
		(void)printf("%s\r\n", say);
		(void)fflush(stdout);
	}
	return EX_OK;
}

/* The queue is the administrator's: postern says whether this user may see it. */
static int
show_queue(const struct call *c)
{
	char path[600], self[512];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self);
	size_t slash = n < 0 ? SLICE_NONE : slice_rfind_byte(slice_of(self, (size_t)n), '/');

	(void)snprintf(path, sizeof path, "%s", POSTERN_PATH);
	if (access(path, X_OK) != 0 && slash != SLICE_NONE) /* an installation beneath another root */
		(void)snprintf(path, sizeof path, "%.*s/../bin/postern", (int)slash, self);
	(void)execl(path, "postern", "--config", c->config, "queue", "list", (char *)NULL);
	return fail(EX_UNAVAILABLE, path, strerror(errno));
}

/* An option with a value, "-fVALUE" or "-f VALUE". */
static const char *
value_of(int argc, char **argv, int *i)
{
	if (argv[*i][2] != '\0')
		return &argv[*i][2];
	return *i + 1 < argc ? argv[++*i] : "";
}

static int
option(struct call *c, int argc, char **argv, int *i)
{
	const char *o = argv[*i];

	switch (o[1]) {
	case 't':
		c->from_header = true;
		return EX_OK;
	case 'i':
		c->dots = false;
		return EX_OK;
	case 'f':
	case 'r':
		c->from = value_of(argc, argv, i);
		if (strcmp(c->from, "<>") == 0)
			c->from = "";
		return EX_OK;
	case 'F':
		c->name = value_of(argc, argv, i);
		return EX_OK;
	case 'C':
		c->config = value_of(argc, argv, i);
		return EX_OK;
	case 'b':
		c->mode = o[2] == 's' ? MODE_SMTP : o[2] == 'p' ? MODE_QUEUE : o[2] == 'i' ? MODE_ALIASES : MODE_MAIL;
		return o[2] != '\0' && strchr("mspi", o[2]) != NULL ? EX_OK :
		    fail(EX_USAGE, "this way of being called is not known", o);
	case 'o': /* -oi as -i; the others (-oem, -odb ...) say what happens here anyway */
		if (strcmp(o, "-oi") == 0)
			c->dots = false;
		return EX_OK;
	case 'I':
		c->mode = MODE_ALIASES;
		return EX_OK;
	case 'B': case 'N': case 'R': case 'V': case 'h': case 'O': case 'p': case 'X': case 'L': /* with a value */
		(void)value_of(argc, argv, i);
		return EX_OK;
	case 'v': case 'm': case 'n': case 'U': case 'G': case 'q':
		return EX_OK;
	default:
		return fail(EX_USAGE, "no such option", o);
	}
}

static int
read_arguments(struct call *c, int argc, char **argv)
{
	const char *name = argc > 0 ? argv[0] : "sendmail", *slash = strrchr(name, '/');
	bool options = true;
	int st = EX_OK;

	name = slash == NULL ? name : slash + 1;
	c->mode = strcmp(name, "mailq") == 0 ? MODE_QUEUE : strcmp(name, "newaliases") == 0 ? MODE_ALIASES : MODE_MAIL;
	for (int i = 1; i < argc && st == EX_OK; i++) {
		if (options && strcmp(argv[i], "--") == 0)
			options = false;
		else if (options && argv[i][0] == '-' && argv[i][1] != '\0')
			st = option(c, argc, argv, &i);
		else if (c->n_to == RCPTS)
			st = fail(EX_USAGE, "more than 100 recipients", "");
		else
			c->to[c->n_to++] = argv[i];
	}
	return st;
}

static int
read_config(struct call *c)
{
	static struct config conf;
	own(buf_t) errors = { .max = 4096 };

	(void)snprintf(c->run_dir, sizeof c->run_dir, "/run/postern");
	c->max_size = 52428800;
	if (access(c->config, R_OK) != 0) /* not everybody may read it: the usual place then */
		return strcmp(c->config, CONFIG_DEFAULT) == 0 ? EX_OK : fail(EX_CONFIG, c->config, strerror(errno));
	if (!config_read(c->config, &conf, &errors))
		return fail(EX_CONFIG, "the configuration has errors", c->config);
	(void)snprintf(c->run_dir, sizeof c->run_dir, "%s", conf.run_dir);
	c->max_size = conf.message_size;
	return EX_OK;
}

int
main(int argc, char **argv)
{
	static struct call c = { .config = CONFIG_DEFAULT, .dots = true };
	int st = read_arguments(&c, argc, argv);

	if (st == EX_OK)
		st = read_config(&c);
	if (st != EX_OK)
		return st;
	switch (c.mode) {
	case MODE_SMTP:
		return speak_smtp(&c);
	case MODE_QUEUE:
		return show_queue(&c);
	case MODE_ALIASES:
		(void)printf("aliases need no rebuilding: postern alias list\n");
		return EX_OK;
	case MODE_MAIL:
		break;
	}
	return send_mail(&c);
}
