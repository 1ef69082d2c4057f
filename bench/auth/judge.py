#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Judging a message (SPF, DKIM, DMARC, ARC) in CPU time, beside OpenDKIM's verification alone.

    bench/auth/judge.py BUILD [TENTHS]

The usual chain of milters is opendkim, opendmarc and an SPF policy daemon. OpenDKIM's own CPU time for
verification is a lower bound of what that chain takes; the goal is at most a third of the chain. Both
sides read their DNS from tables. Ours is the library in one process, without a room around it.
"""
import os
import subprocess
import sys

import dkim


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build"
    tenths = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    out = subprocess.run([os.path.join(build, "bench", "auth", "judge_bench"), str(tenths)],
                         capture_output=True, check=True, text=True).stdout
    got = {k: float(v) for k, v in (line.split("\t") for line in out.splitlines())}
    for k, v in got.items():
        print("  %-24s %8.1f us  %8.0f/s" % (k, v, 1e6 / v))
    try:
        verify, _ = dkim.opendkim(build, max(1, tenths / 5))
    except FileNotFoundError:
        print("OpenDKIM is not installed: not compared")
        return
    print("OpenDKIM as a milter, verification alone: %.0f us of its own CPU time" % verify)
    print("SPF, DKIM, DMARC, ARC, ours / OpenDKIM alone: %.2f (goal: at most 0.33 of the whole chain)"
          % (got["SPF, DKIM, DMARC, ARC"] / verify))


if __name__ == "__main__":
    main()
