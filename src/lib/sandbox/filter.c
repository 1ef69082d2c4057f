/* SPDX-License-Identifier: MIT
 * The program, from top to bottom:
 *
 *   architecture is ours?           no: kill the process
 *   number == call of row 1?        no: go to row 2
 *       argument as demanded?       no: trap
 *       allow (or errno)
 *   ...
 *   trap                            SIGSYS: the alarm, then the end
 *
 * x32 numbers carry bit 30 and so match no row. The kernel caches rows without conditions. */
#include "lib/sandbox/filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/panic.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#error "no seccomp architecture for this machine"
#endif

#define MOST_OPS 1024

struct program {
	struct sock_filter ops[MOST_OPS];
	unsigned short n;
};

static void
op(struct program *p, unsigned short code, unsigned k, unsigned char yes, unsigned char no)
{
	PN_ASSERT(p->n < MOST_OPS);
	p->ops[p->n++] = (struct sock_filter){ .code = code, .jt = yes, .jf = no, .k = k };
}

static void
load(struct program *p, size_t offset)
{
	op(p, BPF_LD | BPF_W | BPF_ABS, (unsigned)offset, 0, 0);
}

static void
answer(struct program *p, unsigned action)
{
	op(p, BPF_RET | BPF_K, action, 0, 0);
}

/* Both 32-bit halves of the argument have to pass; each failing test traps in place. */
static void
check_half(struct program *p, enum sandbox_check check, size_t offset, unsigned value)
{
	load(p, offset);
	if (check != SANDBOX_EQUAL)
		op(p, BPF_ALU | BPF_AND | BPF_K, value, 0, 0);
	op(p, BPF_JMP | BPF_JEQ | BPF_K, check == SANDBOX_CLEAR ? 0 : value, 1, 0);
	answer(p, SECCOMP_RET_TRAP);
}

static void
row(struct program *p, const struct sandbox_call *c)
{
	size_t arg = offsetof(struct seccomp_data, args) + c->arg * sizeof(uint64_t);
	unsigned short from;

	op(p, BPF_JMP | BPF_JEQ | BPF_K, (unsigned)c->nr, 0, 0);
	from = p->n;
	if (c->check == SANDBOX_FAIL) {
		answer(p, SECCOMP_RET_ERRNO | ((unsigned)c->value & SECCOMP_RET_DATA));
	} else {
		if (c->check == SANDBOX_SELF) {
			check_half(p, SANDBOX_EQUAL, arg, (unsigned)getpid());
		} else if (c->check != SANDBOX_ANY) {
			check_half(p, c->check, arg, (unsigned)c->value);
			check_half(p, c->check, arg + 4, (unsigned)(c->value >> 32));
		}
		answer(p, SECCOMP_RET_ALLOW);
	}
	PN_ASSERT(p->n - from < 256);
	p->ops[from - 1].jf = (unsigned char)(p->n - from);
}

bool
filter_load(const struct sandbox *s)
{
	static struct program p;
	struct sock_fprog prog;

	p.n = 0;
	load(&p, offsetof(struct seccomp_data, arch));
	op(&p, BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0);
	answer(&p, SECCOMP_RET_KILL_PROCESS);
	for (size_t g = 0; g <= 4; g++) {
		const struct sandbox_call *c = g < 4 ? s->groups[g] : s->own;

		for (size_t i = 0; c != NULL && c[i].name != NULL; i++) {
			/* the accumulator holds an argument after a checked row */
			load(&p, offsetof(struct seccomp_data, nr));
			row(&p, &c[i]);
		}
	}
	answer(&p, SECCOMP_RET_TRAP);
	prog = (struct sock_fprog){ .len = p.n, .filter = p.ops };
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog) == 0;
}
