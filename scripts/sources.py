# SPDX-License-Identifier: MIT
"""What the gates share: the C files of the tree, and C text without comments, strings, directives."""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def files(*folders, ends=(".c", ".h")):
    """Paths relative to the top of every C file that git knows or would take, sorted."""
    said = subprocess.run(["git", "-C", TOP, "ls-files", "-co", "--exclude-standard", "--",
                           *(folders or ("src", "test", "bench"))], capture_output=True, text=True)
    if said.returncode == 0:
        names = said.stdout.splitlines()
    else:  # a tarball
        names = [os.path.relpath(os.path.join(at, n), TOP) for folder in folders or ("src",)
                 for at, _, found in os.walk(os.path.join(TOP, folder)) for n in found]
    return sorted({n for n in names if n.endswith(ends) and os.path.exists(os.path.join(TOP, n))})


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8", errors="replace") as f:
        return f.read()


def bare(text, keep_strings=False):
    """The text with comments, strings and character constants blanked; lines and columns stay."""
    out, i, n = [], 0, len(text)
    while i < n:
        two = text[i:i + 2]
        if two == "/*":
            end = text.find("*/", i + 2)
            end = n if end < 0 else end + 2
        elif two == "//":
            end = text.find("\n", i)
            end = n if end < 0 else end
        elif text[i] in "\"'":
            end = i + 1
            while end < n and text[end] != text[i] and text[end] != "\n":
                end += 2 if text[end] == "\\" else 1
            end = min(end + 1, n)
            if keep_strings:
                out.append(text[i:end])
                i = end
                continue
        else:
            out.append(text[i])
            i += 1
            continue
        out.append("".join(c if c in "\n\t" else " " for c in text[i:end]))
        i = end
    return "".join(out)


def without_directives(text):
    """Blanks preprocessor lines, continuations included."""
    lines, inside = text.split("\n"), False
    for k, line in enumerate(lines):
        directive = inside or line.lstrip().startswith("#")
        inside = directive and line.rstrip().endswith("\\")
        if directive:
            lines[k] = ""
    return "\n".join(lines)


def finish(name, findings, summary):
    """Prints each finding and the summary; the exit status."""
    for line in findings:
        print(line)
    print(f"{name}: {summary}, {len(findings)} finding{'s' if len(findings) != 1 else ''}")
    return 1 if findings else 0
