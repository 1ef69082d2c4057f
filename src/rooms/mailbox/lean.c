/* SPDX-License-Identifier: MIT
 * Stands in for what SQLite and zstd bring along and this room never uses. The linker then leaves the real
 * parts in their archives: a megabyte of program that every user's process would map, and that a session
 * which was taken over cannot reach now. What is called after all is a bug, and ends the room.
 *
 * Archives whose parts hang together otherwise (another version) do not link with this file; meson.build
 * tries, and builds the room without it then. */
#include <stddef.h>

#include <zstd.h>

#include "lib/base/panic.h"

struct sqlite3;

/* ---- SQLite's optional modules: called for each database that is opened; 0 is "done" ---- */

#define NO_MODULE(name)            \
	int name(struct sqlite3 *db); \
	int name(struct sqlite3 *db) { return 0; }

NO_MODULE(sqlite3Fts3Init)
NO_MODULE(sqlite3Fts5Init)
NO_MODULE(sqlite3RtreeInit)
NO_MODULE(sqlite3DbstatRegister)
NO_MODULE(sqlite3StmtVtabInit)

/* ---- its mathematical functions: no statement of lib/store names one ---- */

#define NO_MATH(name) \
	double name(double a); \
	double name(double a) { pn_panic(__FILE__, __LINE__, "mathematics in SQL"); }
#define NO_MATH2(name) \
	double name(double a, double b); \
	double name(double a, double b) { pn_panic(__FILE__, __LINE__, "mathematics in SQL"); }

NO_MATH(acos) NO_MATH(acosh) NO_MATH(asin) NO_MATH(asinh) NO_MATH(atan) NO_MATH(atanh) NO_MATH(cos)
NO_MATH(cosh) NO_MATH(exp) NO_MATH(log) NO_MATH(sin) NO_MATH(sinh) NO_MATH(sqrt) NO_MATH(tan) NO_MATH(tanh)
NO_MATH(trunc)
NO_MATH2(atan2) NO_MATH2(fmod) NO_MATH2(pow)

/* ---- zstd's slower compressors: lib/store packs at level 1, which is ZSTD_fast for every size ---- */

#define NO_PACK(name) \
	size_t name(void); \
	size_t name(void) { pn_panic(__FILE__, __LINE__, "zstd above level 1"); }

NO_PACK(ZSTD_compressBlock_btlazy2) NO_PACK(ZSTD_compressBlock_btlazy2_dictMatchState)
NO_PACK(ZSTD_compressBlock_btlazy2_extDict) NO_PACK(ZSTD_compressBlock_greedy)
NO_PACK(ZSTD_compressBlock_greedy_dedicatedDictSearch)
NO_PACK(ZSTD_compressBlock_greedy_dedicatedDictSearch_row) NO_PACK(ZSTD_compressBlock_greedy_dictMatchState)
NO_PACK(ZSTD_compressBlock_greedy_dictMatchState_row) NO_PACK(ZSTD_compressBlock_greedy_extDict)
NO_PACK(ZSTD_compressBlock_greedy_extDict_row) NO_PACK(ZSTD_compressBlock_greedy_row)
NO_PACK(ZSTD_compressBlock_lazy) NO_PACK(ZSTD_compressBlock_lazy2)
NO_PACK(ZSTD_compressBlock_lazy2_dedicatedDictSearch)
NO_PACK(ZSTD_compressBlock_lazy2_dedicatedDictSearch_row) NO_PACK(ZSTD_compressBlock_lazy2_dictMatchState)
NO_PACK(ZSTD_compressBlock_lazy2_dictMatchState_row) NO_PACK(ZSTD_compressBlock_lazy2_extDict)
NO_PACK(ZSTD_compressBlock_lazy2_extDict_row) NO_PACK(ZSTD_compressBlock_lazy2_row)
NO_PACK(ZSTD_compressBlock_lazy_dedicatedDictSearch)
NO_PACK(ZSTD_compressBlock_lazy_dedicatedDictSearch_row) NO_PACK(ZSTD_compressBlock_lazy_dictMatchState)
NO_PACK(ZSTD_compressBlock_lazy_dictMatchState_row) NO_PACK(ZSTD_compressBlock_lazy_extDict)
NO_PACK(ZSTD_compressBlock_lazy_extDict_row) NO_PACK(ZSTD_compressBlock_lazy_row)
NO_PACK(ZSTD_compressBlock_btopt) NO_PACK(ZSTD_compressBlock_btopt_dictMatchState)
NO_PACK(ZSTD_compressBlock_btopt_extDict) NO_PACK(ZSTD_compressBlock_btultra)
NO_PACK(ZSTD_compressBlock_btultra2) NO_PACK(ZSTD_compressBlock_btultra_dictMatchState)
NO_PACK(ZSTD_compressBlock_btultra_extDict) NO_PACK(ZSTD_dedicatedDictSearch_lazy_loadDictionary)
NO_PACK(ZSTD_insertAndFindFirstIndex) NO_PACK(ZSTD_row_update) NO_PACK(ZSTD_updateTree)
NO_PACK(ZSTD_compressBlock_doubleFast) NO_PACK(ZSTD_compressBlock_doubleFast_dictMatchState)
NO_PACK(ZSTD_compressBlock_doubleFast_extDict) NO_PACK(ZSTD_fillDoubleHashTable)

/* ---- zstd's readers of its formats before 0.8: nothing that lib/store wrote, so such bytes are damage and no frame ---- */

#define NO_READER(name) \
	void *name(void); \
	void *name(void) { return NULL; }
#define NOT_READ(name) \
	size_t name(void); \
	size_t name(void) { return (size_t)-1; } /* ZSTD_isError() */
#define NO_SIZE(name) \
	void name(const void *frame, size_t n, size_t *size, unsigned long long *most); \
	void name(const void *frame, size_t n, size_t *size, unsigned long long *most) \
	{ \
		*size = (size_t)-1; \
		*most = ZSTD_CONTENTSIZE_ERROR; \
	}
#define NO_FORMAT(v) \
	NO_READER(ZSTD##v##_createDCtx) NOT_READ(ZSTD##v##_freeDCtx) NOT_READ(ZSTD##v##_getFrameParams) \
	NOT_READ(ZSTD##v##_decompress_usingDict) NO_SIZE(ZSTD##v##_findFrameSizeInfoLegacy) \
	NO_READER(ZBUFF##v##_createDCtx) NOT_READ(ZBUFF##v##_freeDCtx) NOT_READ(ZBUFF##v##_decompressContinue) \
	NOT_READ(ZBUFF##v##_decompressInitDictionary)

NO_FORMAT(v05) NO_FORMAT(v06) NO_FORMAT(v07)
