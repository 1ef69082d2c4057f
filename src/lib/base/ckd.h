/* SPDX-License-Identifier: MIT
 * Checked integers with the C23 names, for compilers that do not ship <stdckdint.h> yet.
 * Each returns true on overflow; *r is then unspecified and must not be used. */
#pragma once

#if defined(__has_include)
#if __has_include(<stdckdint.h>)
#include <stdckdint.h>
#endif
#endif

#ifndef ckd_add
#define ckd_add(r, a, b) __builtin_add_overflow((a), (b), (r))
#define ckd_sub(r, a, b) __builtin_sub_overflow((a), (b), (r))
#define ckd_mul(r, a, b) __builtin_mul_overflow((a), (b), (r))
#endif
