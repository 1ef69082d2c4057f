/* SPDX-License-Identifier: MIT
 * What door and keys cost, measured on the real rooms behind their walls; this program plays
 * warden, lobby, ledger (which forgets) and the clients.
 *
 *	door_load ROOMS [CONNECTIONS [MEBIBYTES]]
 *	door_load ROOMS serve
 *
 * The second form prints the port of imaps and serves until its standard input ends: for testssl.
 * ROOMS is the folder with door/door and keys/keys (build/src/rooms). Prints memory (PSS) per idle
 * TLS connection, CPU time per handshake, and CPU time and rate of proxied octets each way. Kernel
 * memory is not in PSS: slabs of the whole machine are printed beside it, honest only on a quiet
 * machine. */
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/door_lobby.h"
#include "ipc/warden_room.h"
#include "lib/base/cursor.h"
#include "lib/base/own.h"
#include "lib/clock/clock.h"
#include "lib/tls/testing.h"

#define GREETING "* OK example.test ready\r\n"

struct started {
	pid_t pid;
	struct ipc_channel *ch;
};

static uint16_t port;
static int lobby_fd, ledger_fd;
static int parked[65536]; /* streams of idle conversations */
static size_t n_parked;
static size_t flood; /* octets that the lobby sends on each new conversation after the greeting */

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

/* ---- warden ------------------------------------------------------------------------------------ */

static struct started
start(const char *path)
{
	struct started r;
	int sv[2];

	need(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) == 0, "socketpair");
	r.pid = fork();
	need(r.pid >= 0, "fork");
	if (r.pid == 0) {
		need(dup2(sv[1], 3) == 3, "dup2");
		(void)close_range(4, ~0U, 0);
		(void)execl(path, path, (char *)NULL);
		need(false, path);
	}
	(void)close(sv[1]);
	r.ch = ipc_channel_new(sv[0], "room", "");
	return r;
}

static void
tell(struct started *r, struct slice key, struct slice value)
{
	struct warden_room_setting m = { .key = key, .value = value };

	need(warden_room_setting_send(r->ch, &m) == IPC_OK, "setting");
}

static void
hand(struct started *r, struct slice name, int fd)
{
	struct warden_room_descriptor m = { .name = name, .fd = fd };

	need(fd >= 0 && warden_room_descriptor_send(r->ch, &m) == IPC_OK, "descriptor");
	(void)close(fd);
}

static void
introduce(struct started *r, struct slice peer, int fd)
{
	struct warden_room_introduce m = { .peer = peer, .instance = S(""), .fd = fd };

	need(warden_room_introduce_send(r->ch, &m) == IPC_OK, "introduce");
	(void)close(fd);
}

static int
memory_file(struct slice text)
{
	int fd = memfd_create("pem", MFD_CLOEXEC);

	need(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n && lseek(fd, 0, SEEK_SET) == 0,
	    "memfd");
	return fd;
}

static void
common(struct started *r)
{
	char dir[] = "/tmp/postern-door-XXXXXX";

	tell(r, S("instance"), S(""));
	tell(r, S("uid"), geteuid() == 0 ? S("64999") : S("0"));
	need(mkdtemp(dir) != NULL, "mkdtemp");
	hand(r, S("dir"), open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	(void)rmdir(dir);
}

static void
on_ready(void *ctx, struct warden_room_ready *m)
{
	*(bool *)ctx = true;
}

static void
on_alarm(void *ctx, struct warden_room_alarm *m)
{
	(void)fprintf(stderr, "alarm: %.*s\n", SFMT(m->what));
	exit(1);
}

static void
go(struct started *r)
{
	static const struct warden_room_client side = { .ready = on_ready, .alarm = on_alarm };
	bool ready = false;

	need(warden_room_go_send(r->ch, &(struct warden_room_go){ 0 }) == IPC_OK, "go");
	while (!ready)
		need(warden_room_client_serve(r->ch, &side, &ready) == IPC_OK, "ready");
}

static int
listener(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t n = sizeof sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	need(bind(fd, (struct sockaddr *)&sin, sizeof sin) == 0 && listen(fd, 1024) == 0, "listen");
	need(getsockname(fd, (struct sockaddr *)&sin, &n) == 0, "getsockname");
	port = ntohs(sin.sin_port);
	return fd;
}

/* per_address: 0 for no limit. */
static void
start_rooms(const char *rooms, unsigned connections, struct slice per_address,
    struct started *keys, struct started *door)
{
	own(buf_t) cert = { .max = TLS_CHAIN_BYTES }, key = { .max = PRIVKEY_PEM_MAX };
	own(buf_t) path = { .max = 4096 }, number = { .max = 32 };
	int sign[2], lobby[2], events[2];

	testing_cert(TESTING_EC, &cert, &key);
	buf_fmt(&path, "%s/keys/keys", rooms);
	need(buf_byte(&path, 0), "path");
	*keys = start((const char *)path.p);
	buf_reset(&path);
	buf_fmt(&path, "%s/door/door", rooms);
	need(buf_byte(&path, 0), "path");
	*door = start((const char *)path.p);
	common(keys);
	common(door);
	need(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sign) == 0, "socketpair");
	need(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lobby) == 0, "socketpair");
	need(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, events) == 0, "socketpair");
	hand(keys, S("key"), memory_file(buf_slice(&key)));
	introduce(keys, S("door"), sign[0]);
	introduce(door, S("keys"), sign[1]);
	introduce(door, S("lobby"), lobby[0]);
	introduce(door, S("ledger"), events[0]);
	lobby_fd = lobby[1];
	ledger_fd = events[1];
	buf_fmt(&number, "%u", connections + 100);
	tell(door, S("connections"), buf_slice(&number));
	tell(door, S("connections_per_address"), per_address);
	hand(door, S("imaps"), listener());
	hand(door, S("certificate"), memory_file(buf_slice(&cert)));
	go(keys);
	go(door);
}

/* ---- ledger and lobby ------------------------------------------------------------------------------------- */

/* Without it the rooms would keep their events, and the memory between them. */
static void *
ledger(void *arg)
{
	static char event[65536];

	while (recv(ledger_fd, event, sizeof event, 0) > 0)
		;
	return NULL;
}

static void
on_converse(void *ctx, struct door_lobby_converse *m)
{
	int fd = fd_take(&m->fd), flags = fcntl(fd, F_GETFL);
	static uint8_t block[65536];
	size_t left = flood;

	(void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	if (send(fd, GREETING, sizeof GREETING - 1, MSG_NOSIGNAL) <= 0) {
		(void)close(fd); /* a client that has already gone */
		return;
	}
	while (left > 0) {
		ssize_t n = send(fd, block, left < sizeof block ? left : sizeof block, MSG_NOSIGNAL);

		need(n > 0, "flood");
		left -= (size_t)n;
	}
	while (flood > 0 && recv(fd, block, sizeof block, 0) > 0)
		;
	if (flood > 0 || n_parked == sizeof parked / sizeof *parked)
		(void)close(fd);
	else
		parked[n_parked++] = fd;
}

static void
on_gone(void *ctx, struct door_lobby_gone *m)
{
}

static void *
lobby(void *arg)
{
	static const struct door_lobby_server side = { .converse = on_converse, .gone = on_gone };
	struct ipc_channel *ch = ipc_channel_new(lobby_fd, "door", "");

	while (door_lobby_server_serve(ch, &side, NULL) == IPC_OK)
		;
	return NULL;
}

/* ---- what it costs ----------------------------------------------------------------------------- */

static uint64_t
field(const char *file, const char *name)
{
	char line[256];
	FILE *f = fopen(file, "r");
	uint64_t v = 0;

	need(f != NULL, file);
	while (fgets(line, sizeof line, f) != NULL) {
		struct slice head, tail;

		if (slice_cut(slice_z(line), ':', &head, &tail) && slice_eq(head, slice_z(name))) {
			struct cursor c = cur_of(slice_trim(tail));

			(void)cur_u64(&c, UINT64_MAX, &v);
			break;
		}
	}
	(void)fclose(f);
	return v;
}

static uint64_t
pss_kib(pid_t pid)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
	return field(path, "Pss");
}

static double
cpu_ms(pid_t pid)
{
	char path[64], text[512];
	uint64_t ns = 0;
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
	f = fopen(path, "r");
	need(f != NULL && fgets(text, sizeof text, f) != NULL, path);
	(void)fclose(f);
	struct cursor c = cur_of(slice_z(text));

	(void)cur_u64(&c, UINT64_MAX, &ns);
	return (double)ns / 1e6;
}

static SSL *
connect_one(SSL_CTX *ctx)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char greeting[sizeof GREETING];
	SSL *ssl = SSL_new(ctx);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	need(connect(fd, (struct sockaddr *)&sin, sizeof sin) == 0, "connect");
	SSL_set_fd(ssl, fd);
	need(SSL_connect(ssl) == 1, "SSL_connect");
	need(SSL_read(ssl, greeting, sizeof GREETING - 1) == (int)sizeof GREETING - 1, "greeting");
	return ssl;
}

static void
idle(SSL_CTX *ctx, unsigned n, const struct started *keys, const struct started *door)
{
	SSL **all = calloc(n + 1, sizeof *all);
	uint64_t pss, slab, t;
	double door_cpu, keys_cpu;

	for (unsigned i = 0; i < 20; i++) { /* warm up what is made once */
		SSL *s = connect_one(ctx);

		(void)close(SSL_get_fd(s));
		SSL_free(s);
	}
	pss = pss_kib(door->pid);
	slab = field("/proc/meminfo", "Slab");
	door_cpu = cpu_ms(door->pid);
	keys_cpu = cpu_ms(keys->pid);
	t = clock_mono_ms();
	(void)printf("PSS before: door %llu KiB, keys %llu KiB\n", (unsigned long long)pss,
	    (unsigned long long)pss_kib(keys->pid));
	for (unsigned i = 0; i < n; i++)
		all[i] = connect_one(ctx);
	t = clock_mono_ms() - t;
	(void)printf("%u handshakes in %llu ms; per handshake CPU: door %.3f ms, keys %.3f ms\n", n,
	    (unsigned long long)t, (cpu_ms(door->pid) - door_cpu) / n, (cpu_ms(keys->pid) - keys_cpu) / n);
	(void)sleep(1);
	(void)printf("PSS with %u idle TLS connections: door %llu KiB; per connection %.2f KiB\n", n,
	    (unsigned long long)pss_kib(door->pid), (double)(pss_kib(door->pid) - pss) / n);
	(void)printf("slabs of the machine, both ends of each connection: %.2f KiB per connection\n",
	    (double)(field("/proc/meminfo", "Slab") - slab) / n);
	for (unsigned i = 0; i < n; i++) {
		(void)close(SSL_get_fd(all[i]));
		SSL_free(all[i]);
	}
	free(all);
	for (size_t i = 0; i < n_parked; i++) /* lobby waits for the next conversation: no race */
		(void)close(parked[i]);
	n_parked = 0;
	(void)sleep(6);
	(void)printf("PSS after all have gone: door %llu KiB\n", (unsigned long long)pss_kib(door->pid));
}

static void
proxied(SSL_CTX *ctx, size_t octets, const struct started *door)
{
	static char block[16384];
	SSL *ssl;
	size_t got = 0, put = 0;
	uint64_t t;
	double cpu;

	flood = octets;
	t = clock_mono_ms();
	cpu = cpu_ms(door->pid);
	ssl = connect_one(ctx);
	while (got < octets) {
		int n = SSL_read(ssl, block, sizeof block);

		need(n > 0, "SSL_read");
		got += (size_t)n;
	}
	t = clock_mono_ms() - t;
	cpu = cpu_ms(door->pid) - cpu;
	(void)printf("to the client: %zu MiB in %llu ms, door %.0f ms CPU (%.2f ms per MiB)\n",
	    octets >> 20, (unsigned long long)t, cpu, cpu / (double)(octets >> 20));
	t = clock_mono_ms();
	cpu = cpu_ms(door->pid);
	while (put < octets) {
		int n = SSL_write(ssl, block, sizeof block);

		need(n > 0, "SSL_write");
		put += (size_t)n;
	}
	(void)SSL_shutdown(ssl);
	need(SSL_read(ssl, block, 1) <= 0, "end");
	t = clock_mono_ms() - t;
	cpu = cpu_ms(door->pid) - cpu;
	(void)printf("from the client: %zu MiB in %llu ms, door %.0f ms CPU (%.2f ms per MiB)\n",
	    octets >> 20, (unsigned long long)t, cpu, cpu / (double)(octets >> 20));
	(void)close(SSL_get_fd(ssl));
	SSL_free(ssl);
}

int
main(int argc, char **argv)
{
	struct rlimit files = { 65536, 65536 };
	struct started keys, door;
	pthread_t thread;
	SSL_CTX *ctx;
	uint32_t n = 2000, mebibytes = 256;
	bool serve;

	serve = argc == 3 && slice_eq(slice_z(argv[2]), S("serve"));
	if (argc < 2 || (argc > 2 && !serve && !slice_u32(slice_z(argv[2]), &n)) ||
	    (argc > 3 && !slice_u32(slice_z(argv[3]), &mebibytes)) || n == 0 || mebibytes == 0) {
		(void)fprintf(stderr, "usage: door_load ROOMS [CONNECTIONS [MEBIBYTES]]\n");
		return 64;
	}
	(void)setrlimit(RLIMIT_NOFILE, &files);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	need(tls_init(), "tls_init");
	start_rooms(argv[1], n, serve ? S("50") : S("0"), &keys, &door);
	ctx = testing_client(TLS1_3_VERSION, TLS1_3_VERSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	need(pthread_create(&thread, NULL, ledger, NULL) == 0, "thread");
	need(pthread_create(&thread, NULL, lobby, NULL) == 0, "thread");
	if (serve) {
		(void)printf("%u\n", port);
		(void)fflush(stdout);
		while (getchar() != EOF)
			;
	} else {
		idle(ctx, n, &keys, &door);
		proxied(ctx, (size_t)mebibytes << 20, &door);
	}
	ipc_channel_free(&door.ch);
	ipc_channel_free(&keys.ch);
	(void)waitpid(door.pid, NULL, 0);
	(void)waitpid(keys.pid, NULL, 0);
	SSL_CTX_free(ctx);
	return 0;
}
