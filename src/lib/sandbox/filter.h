/* SPDX-License-Identifier: MIT
 * Turns lists of permitted system calls into a seccomp-BPF program and loads it. Internal. */
#pragma once

#include "lib/sandbox/sandbox.h"

/* Loads the filter for all threads of the process. False: see errno. Needs no_new_privs. */
bool filter_load(const struct sandbox *s);
