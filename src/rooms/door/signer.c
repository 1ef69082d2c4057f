/* SPDX-License-Identifier: MIT */
#include "rooms/door/signer.h"

#include "ipc/door_keys.h"
#include "lib/clock/clock.h"

_Static_assert((int)DOOR_KEYS_ALGORITHM_ECDSA == (int)TLS_ECDSA, "one numbering");
_Static_assert((int)DOOR_KEYS_ALGORITHM_RSA_SHA256 == (int)TLS_RSA_SHA256, "one numbering");
_Static_assert((int)DOOR_KEYS_ALGORITHM_RSA_SHA384 == (int)TLS_RSA_SHA384, "one numbering");
_Static_assert((int)DOOR_KEYS_ALGORITHM_RSA_SHA512 == (int)TLS_RSA_SHA512, "one numbering");
_Static_assert((int)DOOR_KEYS_ALGORITHM_RSA_PSS == (int)TLS_RSA_PSS, "one numbering");

void
signer_init(struct signer *s)
{
	*s = (struct signer){ .client = ipc_client_new("keys"),
		.arena = arena_new("signature", LIMIT_ARENA_COMMAND) };
}

void
signer_connect(void *signer, int fd)
{
	ipc_client_connect(((struct signer *)signer)->client, fd);
}

int
signer_sign(void *key, enum tls_alg alg, struct slice digest, struct buf *sig)
{
	struct signer_key *k = key;
	struct signer *s = k->signer;
	struct arena_mark mark = arena_mark(s->arena);
	struct door_keys_sign in = { .key = k->name, .algorithm = (enum door_keys_algorithm)alg,
		.digest = digest };
	struct door_keys_sign_answer out = { .status = DOOR_KEYS_STATUS_FAILED };
	bool ok = ipc_client_connected(s->client) &&
	    door_keys_sign(s->client, &in, clock_mono_ms() + LIMIT_SIGN_MS, s->arena, &out) == IPC_OK &&
	    out.status == DOOR_KEYS_STATUS_OK && out.signature.n > 0 && buf_add(sig, out.signature);

	arena_rewind(s->arena, mark);
	s->failed += !ok;
	return ok ? 0 : -1;
}
