/* SPDX-License-Identifier: MIT
 * A stand-in for HMAC-SHA-256 in tests and fuzzing: FNV-1a, keyed by *ctx. */
#pragma once

#include "lib/make/srs/srs.h"

static void
test_mac(void *ctx, struct slice data, uint8_t out[static 32])
{
	uint64_t h = 0xcbf29ce484222325u ^ *(const uint64_t *)ctx;

	for (size_t i = 0; i < data.n; i++)
		h = (h ^ slice_at(data, i)) * 0x100000001b3u;
	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9u;
	for (size_t i = 0; i < 32; i++)
		out[i] = (uint8_t)(h >> (56 - 8 * (i % 8)));
}
