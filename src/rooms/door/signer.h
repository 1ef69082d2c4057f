/* SPDX-License-Identifier: MIT
 * Signatures from the room keys. Door waits for one at a time: an ECDSA signature takes some ten
 * microseconds, and a handshake has nothing else to do meanwhile. */
#pragma once

#include "lib/ipc/ipc.h"
#include "lib/tls/tls.h"

/* A key room that does not answer within this is not waited for; that handshake fails. */
#define LIMIT_SIGN_MS 500u

struct signer {
	struct ipc_client *client;
	struct arena *arena; /* of one answer */
	uint64_t failed;     /* signatures that could not be had */
};

/* One certificate's key. */
struct signer_key {
	struct signer *signer;
	struct slice name; /* as in door_keys.msg; lives as long as the process */
};

void signer_init(struct signer *s);
/* The channel to keys (taken over), first or again. For struct house. */
void signer_connect(void *signer, int fd);
/* A tls_sign_fn whose ctx is a struct signer_key. */
int signer_sign(void *key, enum tls_alg alg, struct slice digest, struct buf *sig);
