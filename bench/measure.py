# SPDX-License-Identifier: MIT
"""What the benchmarks share: a control group around a server, its CPU time, medians."""
import os
import struct
import sys
import time

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TOP + "/test/tools")
TICK = os.sysconf("SC_CLK_TCK")


def median(values):
    v = sorted(values)
    n = len(v)
    return 0.0 if n == 0 else v[n // 2] if n % 2 else (v[n // 2 - 1] + v[n // 2]) / 2


def spread(values, digits=2):
    """median [min..max] as text"""
    v = [x for x in values if x is not None]
    if not v:
        return "-"
    return f"{median(v):.{digits}f} [{min(v):.{digits}f}..{max(v):.{digits}f}]"


class Group:
    """A control group (v1 cpuacct and memory, or v2) for the processes of one server. Where none
    can be made, CPU time is summed from /proc and kernel memory is unknown."""

    def __init__(self, name):
        self.paths = {}
        name = f"postern-bench-{os.getpid()}-{name}"
        for kind, root in (("cpu1", "/sys/fs/cgroup/cpuacct"), ("mem1", "/sys/fs/cgroup/memory"),
                           ("v2", "/sys/fs/cgroup")):
            marker = {"cpu1": "cpuacct.usage", "mem1": "memory.usage_in_bytes",
                      "v2": "cgroup.controllers"}[kind]
            if not os.path.exists(f"{root}/{marker}"):
                continue
            try:
                os.mkdir(f"{root}/{name}")
                self.paths[kind] = f"{root}/{name}"
            except OSError:
                pass

    def join(self):
        """For preexec_fn: the calling process enters the group."""
        self.adopt([os.getpid()])

    def adopt(self, pids):
        for path in self.paths.values():
            for pid in pids:
                try:
                    with open(path + "/cgroup.procs", "w") as f:
                        f.write(str(pid))
                except OSError:
                    pass

    def _read(self, kind, name):
        with open(f"{self.paths[kind]}/{name}") as f:
            return f.read()

    def cpu_s(self, pids):
        """CPU seconds used so far by all that ever ran in the group, children included."""
        if "cpu1" in self.paths:
            return int(self._read("cpu1", "cpuacct.usage")) / 1e9
        if "v2" in self.paths:
            for line in self._read("v2", "cpu.stat").splitlines():
                if line.startswith("usage_usec"):
                    return int(line.split()[1]) / 1e6
        return cpu_from_proc(pids)

    def how(self):
        return "cgroup" if "cpu1" in self.paths or "v2" in self.paths else "/proc"

    def kernel_kib(self):
        """Kernel memory charged to the group (slab, stacks, page tables, sockets), or None."""
        if "mem1" in self.paths:
            total = 0
            for name in ("memory.kmem.usage_in_bytes", "memory.kmem.tcp.usage_in_bytes"):
                try:
                    total += int(self._read("mem1", name))
                except OSError:
                    pass
            return total // 1024
        if "v2" in self.paths and os.path.exists(self.paths["v2"] + "/memory.stat"):
            rows = dict(line.split() for line in self._read("v2", "memory.stat").splitlines())
            keys = ("kernel", "sock") if "kernel" in rows else \
                ("kernel_stack", "pagetables", "percpu", "sock", "slab")
            return sum(int(rows.get(k, 0)) for k in keys) // 1024
        return None

    def close(self):
        for path in self.paths.values():
            for _ in range(50):
                try:
                    os.rmdir(path)
                    break
                except OSError:
                    time.sleep(0.05)


def cpu_from_proc(pids):
    """utime + stime + those of waited-for children. A process that died between two readings is
    only seen through its parent."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as f:
                after = f.read().rpartition(")")[2].split()
            total += sum(int(x) for x in after[11:15])
        except OSError:
            pass
    return total / TICK


class FlushFile:
    """The counter file of slowsync.so."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as f:
            f.write(b"\0" * 16)
        os.chmod(path, 0o666)

    def flushes(self):
        with open(self.path, "rb") as f:
            return struct.unpack("=QQ", f.read(16))[0]


def find_tool(name):
    """A tool of bench/ as the build made it."""
    for build in (os.environ.get("POSTERN_BUILD", ""), TOP + "/build-check", TOP + "/build"):
        path = f"{build}/bench/{name}"
        if build and os.path.exists(path):
            return path
    raise SystemExit(f"{name} is not built: ./check, or ninja -C build-check bench/{name}")


def pss_kib(pid):
    """Proportional set size of a process in KiB; None: it is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return None
