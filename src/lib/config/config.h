/* SPDX-License-Identifier: MIT
 * The configuration file: what the machine is (name, listeners, paths, limits). What people change
 * daily is not here but in accounts.db. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

#define CONFIG_LISTENERS 32
#define CONFIG_TRUSTED 64

struct config_listener {
	char name[32];	  /* smtp, submission, submissions, lmtp, imap, imaps */
	char address[104]; /* literal IPv4 or IPv6 address, or the path of a Unix socket */
	uint16_t port;	  /* 0: a Unix socket */
	uint16_t mode;	  /* of a Unix socket */
};

/* What is done with mail whose sender's domain disowns it. */
enum config_sender { CONFIG_SENDER_OFF, CONFIG_SENDER_MARK, CONFIG_SENDER_ENFORCE };

#define CONFIG_DNS_SERVERS 8
#define CONFIG_DNS_ANCHORS 8
#define CONFIG_FETCH_ALLOW 16

/* How names are resolved. */
struct config_dns {
	char servers[CONFIG_DNS_SERVERS * 64]; /* "ADDRESS@PORT ADDRESS@PORT ..."; "": from the root itself */
	char anchor_files[CONFIG_DNS_ANCHORS][256];
	size_t n_anchor_files;
	char anchors[2048]; /* trust anchors as text, one a line */
	uint32_t timeout;   /* seconds for one question */
};

/* queue { ... }: times in seconds */
struct config_queue {
	uint64_t retry_first, retry_most, lifetime, bounce_lifetime, warn_after;
	uint64_t high_water;  /* open deliveries; over it strangers get less */
	uint64_t concurrency; /* conversations at once with one destination */
	bool encrypt;	      /* content at rest */
};

#define CONFIG_SOCKET 104 /* octets of the path of a Unix socket that is connected to, with its end */
#define CONFIG_RELAYS 8
#define CONFIG_ROUTES 16

/* How mail leaves: as the room send is told it (rooms/send/settings.c). */
struct config_outbound {
	char helo[256]; /* "": the host name */
	uint16_t port;
	char ip[8]; /* both, ipv4, ipv6 */
	bool chunking;
	char roots[256];	       /* file with the CA certificates of the system */
	char sources[2048], allow[2048]; /* words */
	uint32_t connect_timeout, reply_timeout, end_timeout, conversation_timeout, idle; /* seconds */
	char relays[CONFIG_RELAYS][3072];
	char credentials[CONFIG_RELAYS][256]; /* files; "": none */
	size_t n_relays;
	char routes[CONFIG_ROUTES][1024];
	char route_paths[CONFIG_ROUTES][CONFIG_SOCKET]; /* of LMTP at a Unix socket; "": TCP */
	size_t n_routes;
};

/* reports { ... }: what we tell other domains about mail in their name and about TLS */
struct config_reports {
	bool dmarc, tls;
	char from[321]; /* address; "": noreply-dmarc@ a domain of ours */
};

/* What conversations of one listener's name offer and suffer; only smtp, submission and submissions have
 * these, proxy_from all. */
struct config_service {
	char name[32];
	bool dsn, enhanced_codes, chunking, smtputf8;
	char proxy_from[1024], xclient_from[1024]; /* networks, as ip_nets_parse() reads them */
	uint32_t greet_wait_ms, tarpit_ms;
	char from[1024]; /* lmtp: networks that may speak to it */
};
#define CONFIG_SERVICES 8

#define CONFIG_WATCHES 8

/* A table that a program writes letters into. */
struct config_watch {
	char program[32];
	char file[256]; /* SQLite, or the Unix socket of PostgreSQL; "": TCP */
	char table[64];
	char database[64]; /* PostgreSQL; "": SQLite */
	char address[64];  /* a loopback address; "": see file */
	uint16_t port;
	char user[64], role[64]; /* whom the room runs as, and whom it logs in as */
	char password[256];	 /* a file; "": none */
};

/* milter NAME { ... } */
struct config_milter {
	char name[32];
	char address[64]; /* literal IP address; "": a Unix socket */
	uint16_t port;
	char path[CONFIG_SOCKET]; /* of a Unix socket; "": TCP */
	uint32_t timeout; /* seconds for each answer */
	bool accept;	  /* what happens when it fails: the message goes on without it; else 4xx */
	bool incoming, outgoing;
};
#define CONFIG_MILTERS 8

/* drop { ... }: local programs */
struct config_drop {
	char http[108];	    /* where letters come over HTTP: a loopback address, or the path of a socket; "": nowhere */
	uint16_t http_port; /* 0 with a path */
	struct config_watch watches[CONFIG_WATCHES];
	size_t n_watches;
};

struct config {
	char hostname[256];
	char data_dir[256], run_dir[256], room_dir[256];
	char certificate[256], key[256];
	char filter[256]; /* file of the administrator's rules; "": none */
	char postmaster[256]; /* whom local mail of root comes from; "": root sends none */
	uint32_t uid_base;     /* rooms have uid_base + 1 .., users uid_base + 1000 + account */
	uint32_t user_range;   /* how many accounts there are uids for */
	uint64_t message_size; /* bytes */
	uint32_t connections, connections_per_address, sessions_per_user;
	struct config_queue queue;
	uint64_t events_keep; /* seconds */
	uint32_t login_failures; /* of one address in ten minutes, before it has to wait; 0: no limit */
	bool scram, scram_require_binding; /* offered at all; only with channel binding */
	enum config_sender sender_authentication;
	char arc_trusted[4096]; /* domains whose ARC seals are believed, a comma between */
	struct config_listener listeners[CONFIG_LISTENERS];
	size_t n_listeners;
	struct config_service services[CONFIG_SERVICES];
	size_t n_services;
	struct config_milter milters[CONFIG_MILTERS];
	size_t n_milters;
	struct config_dns dns;
	struct config_outbound outbound;
	struct config_reports reports;
	struct config_drop drop;
	char fetch_roots[256], fetch_allow[1024]; /* networks with a space between */
	uint16_t fetch_port;
	uint32_t fetch_timeout; /* seconds for one exchange */
};

/* Reads and checks the file. False with one line per error in *errors ("FILE:LINE: what"); *out is
 * untouched then. errors is initialised by the caller. */
[[nodiscard]] bool config_read(const char *path, struct config *out, struct buf *errors);
/* Is this a host name that can stand in a greeting and a Message-ID (letters, digits, hyphens, at
 * least one dot, RFC 1123 2.1)? */
bool config_hostname_ok(struct slice name);
/* "off", "mark", "enforce": as in the file. A literal. */
const char *config_sender_word(enum config_sender s);
