#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs ImapTest's scripted tests (their format: scripted_test.md beside them) against the mailbox
room:  imaptest.py IMAP_BARE VECTORS [TEST...].  77 when the vectors are not there."""
import os, re, socket, subprocess, sys, tempfile

class Fail(Exception):
    pass

# ---- parsing: atoms are str, strings are Str, lists are list ----

class Str(str):
    pass

def parse(data):
    """One response or one expected reply (bytes) as a list."""
    at, stack = 0, [[]]
    while at < len(data):
        c = data[at:at + 1]
        if c in b" \t":
            at += 1
        elif c == b"(":
            stack.append([]); at += 1
        elif c == b")":
            done = stack.pop(); at += 1
            if not stack:
                raise Fail("unbalanced ) in %r" % data)
            stack[-1].append(done)
        elif c == b'"':
            end = at + 1
            while data[end:end + 1] != b'"':
                end += 2 if data[end:end + 1] == b"\\" else 1
            raw = re.sub(rb"\\(.)", rb"\1", data[at + 1:end], flags=re.S)
            stack[-1].append(Str(raw.decode("latin1"))); at = end + 1
        elif (m := re.compile(rb"~?\{(\d+)\}\r\n").match(data, at)):
            n = int(m.group(1))
            stack[-1].append(Str(data[m.end():m.end() + n].decode("latin1"))); at = m.end() + n
        else:
            end, depth = at, 0
            while end < len(data):
                b = data[end:end + 1]
                if b == b"[":
                    depth += 1
                elif b == b"]" and depth > 0:
                    depth -= 1
                elif depth == 0 and b in b" ()" and b != b"":
                    if b != b"(" or end > at:
                        break
                end += 1
            stack[-1].append(data[at:end].decode("latin1")); at = end
    if len(stack) != 1:
        raise Fail("unbalanced ( in %r" % data)
    return stack[0]

class Script:
    def __init__(self, path):
        self.path = path
        text = open(path, "rb").read().decode("latin1").split("\n")
        self.head, i = {}, 0
        while i < len(text) and text[i].strip():
            if ":" in text[i] and not text[i].startswith("#"):
                k, v = text[i].split(":", 1)
                self.head[k.strip()] = v.strip()
            i += 1
        self.lines = []
        while i < len(text):
            line = text[i]
            while line.count("{{{") > line.count("}}}") and i + 1 < len(text):
                i += 1
                line += "\n" + text[i]
            i += 1
            if line.strip() and not line.lstrip().startswith("#"):
                self.lines.append(line)

def literal(text):
    """{{{ ... }}} as the bytes of a literal, lines ended by CRLF."""
    def one(m):
        body = m.group(2)
        if not m.group(1):  # ~{{{ is taken as it stands
            body = body.replace("\r\n", "\n").replace("\n", "\r\n")
        return "{%d}\r\n%s" % (len(body), body)
    return re.sub(r"(~?)\{\{\{\n(.*?)\n\}\}\}", one, text, flags=re.S)

# ---- the client ----

class Client:
    def __init__(self, port):
        self.s = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.f = self.s.makefile("rb")
        self.n, self.exists = 0, 0
        greeting = self.f.readline()
        if not greeting.startswith(b"login OK"):
            raise Fail("greeting %r" % greeting)

    def line(self):
        out = b""
        while True:
            part = self.f.readline()
            if not part:
                raise Fail("connection closed after %r" % out)
            m = re.search(rb"\{(\d+)\}\r\n$", part)
            out += part
            if not m:
                return out[:-2]
            out += self.f.read(int(m.group(1)))

    def send(self, command, tag):
        data = ("%s %s\r\n" % (tag, command)).encode("latin1")
        data = re.sub(rb"\{(\d+)\}\r\n", rb"{\1+}\r\n", data)
        self.s.sendall(data)

    def finish(self, tag):
        """Untagged replies (with the sequence number at the command's start) and the tagged one."""
        untagged, order = [], list(range(1, self.exists + 1))
        while True:
            got = self.line()
            if got.startswith(tag.encode() + b" "):
                return untagged, got[len(tag) + 1:].decode("latin1")
            if got.startswith(b"+ "):
                continue
            body, first = got[2:], None
            m = re.match(rb"(\d+) (EXISTS|EXPUNGE|FETCH)", body)
            if m:
                n = int(m.group(1))
                if m.group(2) == b"EXISTS":
                    order += [None] * (n - len(order))
                    self.exists = n
                else:
                    first = order[n - 1] if n <= len(order) else None
                    if m.group(2) == b"EXPUNGE":
                        order.pop(n - 1); self.exists -= 1
            untagged.append((first, body))

    def do(self, command):
        self.n += 1
        tag = "c%d" % self.n
        self.send(command, tag)
        return self.finish(tag)

    def must(self, command):
        untagged, last = self.do(command)
        if not last.upper().startswith("OK"):
            raise Fail("%s: %s" % (command[:60], last))
        return untagged

# ---- matching ----

class Match:
    def __init__(self, env):
        self.env = env

    def expand(self, text):
        """Text with every known variable in it; None when one is unknown."""
        unknown = []
        def one(m):
            if m.group(0) == "$$":
                return "$"
            name = m.group(1) or m.group(2)
            if name not in self.env:
                unknown.append(name)
                return ""
            return self.env[name]
        out = re.sub(r"\$\$|\$\{(\w+)\}|\$([a-z]\w*)", one, text)
        return None if unknown else out

    def word(self, want, got, first=None):
        if want == "$":
            return True
        if isinstance(want, list) or isinstance(got, list):
            return isinstance(want, list) and isinstance(got, list) and self.list(want, got, {})
        if not isinstance(want, Str) and re.fullmatch(r"\$\d+", want):
            return first is not None and int(want[1:]) == first
        text = want if isinstance(want, Str) else self.expand(want)
        if text is None:
            m = re.fullmatch(r"\$\{?(\w+)\}?", want)
            if not m:
                raise Fail("unset variable in %r" % want)
            self.env[m.group(1)] = str(got)
            return True
        m = re.fullmatch(r"\{case:(.*)\}", text)
        return got == m.group(1) if m else text.lower() == str(got).lower()

    def list(self, want, got, how):
        how = dict(how)
        while want and isinstance(want[0], str) and want[0].startswith("$!"):
            k, _, v = want[0][2:].partition("=")
            if k == "unordered": how["chain"] = int(v or 1)
            elif k == "ordered": how.pop("chain", None)
            elif k == "noextra": how["noextra"] = True
            elif k == "extra": how.pop("noextra", None)
            elif k == "ignore": how["ignore"] = v
            elif k == "ban" and v.lower() in [str(g).lower() for g in got]: return False
            want = want[1:]
        if "chain" not in how:
            return len(want) == len(got) and all(self.word(w, g) for w, g in zip(want, got))
        n, left = how["chain"], list(got)
        groups = [left[i:i + n] for i in range(0, len(left), n)]
        for i in range(0, len(want), n):
            chain = want[i:i + n]
            for g in groups:
                if len(g) == len(chain) and self.chain(chain, g):
                    groups.remove(g)
                    break
            else:
                return False
        rest = [g for g in groups if str(g[0]).lower() != how.get("ignore", "").lower()]
        return not (how.get("noextra") and rest)

    def chain(self, want, got):
        if len(want) == 2 and isinstance(want[0], str) and want[0].lower() == "flags" and \
                isinstance(want[1], list) and isinstance(got[1], list):
            return str(got[0]).lower() == "flags" and self.list(want[1], got[1],
                {"chain": 1, "noextra": True, "ignore": "\\recent"}
                if not (want[1] and str(want[1][0]).startswith("$!")) else {})
        return all(self.word(w, g) for w, g in zip(want, got))

    def reply(self, want, got, first):
        kind = [str(w).lower() for w in want[:2]]
        if len(want) > len(got) or not want:
            return False
        if kind[0] in ("ok", "no", "bad", "bye"):
            return self.prefix(" ".join(map(str, want)), " ".join(map(str, got)))
        how = {}
        if len(want) > 1 and kind[1] == "fetch": how = {2: {"chain": 2}}
        elif kind[0] in ("list", "lsub"): how = {1: {"chain": 1}}
        elif kind[0] == "status": how = {2: {"chain": 2}}
        if len(want) != len(got):
            return False
        saved = dict(self.env)
        for i, (w, g) in enumerate(zip(want, got)):
            if i in how and isinstance(w, list) and isinstance(g, list):
                good = self.list(w, g, how[i])
            else:
                good = self.word(w, g, first if i == 0 else None)
            if not good:
                self.env.clear(); self.env.update(saved)
                return False
        return True

    def prefix(self, want, got):
        """"ok [uidnext $n]" against the start of a line."""
        saved, pattern, at = dict(self.env), "", 0
        names = []
        for m in re.finditer(r"\$\$|\$\{(\w+)\}|\$([a-z]\w*)|\$", want):
            pattern += re.escape(want[at:m.start()]); at = m.end()
            name = m.group(1) or m.group(2)
            if m.group(0) == "$$": pattern += r"\$"
            elif name is None: pattern += ".*?"
            elif name in self.env: pattern += re.escape(self.env[name])
            else: pattern += r"([^\] ]+)"; names.append(name)
        pattern += re.escape(want[at:])
        m = re.match(pattern, got, re.I)
        if not m:
            return False
        for name, value in zip(names, m.groups()):
            self.env[name] = value
        return True

# ---- one test ----

class Run:
    def __init__(self, port, script, capabilities):
        self.port, self.script = port, script
        self.env = {"mailbox": "imaptest", "user": "a@example.test", "username": "a",
            "domain": "example.test", "password": "x", "user2": "b@example.test"}
        self.m = Match(self.env)
        mbox = script.path + ".mbox"
        if not os.path.exists(mbox):
            mbox = os.path.join(os.path.dirname(script.path), "default.mbox")
        self.messages, self.next = self.load(mbox), 0

    def load(self, path):
        out = []
        for part in re.split(rb"(?m)^From (?=\S+ +\w{3} \w{3} )", open(path, "rb").read())[1:]:
            first, body = part.split(b"\n", 1)
            d = re.search(rb"(\w{3}) +(\d+) (\d\d:\d\d:\d\d) (\d{4})(?: ([-+]\d{4}))?", first)
            date = None
            if d:
                g = [x.decode() if x else "+0000" for x in d.groups()]
                date = "%2d-%s-%s %s %s" % (int(g[1]), g[0], g[3], g[2], g[4])
            out.append((date, body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")))
        return out

    def append(self, box="imaptest"):
        date, body = self.messages[self.next % len(self.messages)]
        self.next += 1
        when = ' "%s"' % date if date else ""
        return "append %s%s {%d}\r\n%s" % (box, when, len(body), body.decode("latin1"))

    def prepare(self):
        n = int(self.script.head.get("connections", "1"))
        self.c = [Client(self.port) for _ in range(n)]
        one, state = self.c[0], self.script.head.get("state", "selected")
        for _, got in one.must('list "" imaptest*')[::-1]:
            one.do("delete " + got.decode().rsplit(" ", 1)[1])
        if state in ("nonauth", "auth"):
            return
        one.must("create imaptest")
        if state == "created":
            return
        want = self.script.head.get("messages", "all")
        for _ in range(len(self.messages) if want == "all" else int(want)):
            one.must(self.append())
        if state == "selected":
            for c in self.c:
                c.must("select imaptest")

    def command(self, text):
        text = literal(text)
        m = re.fullmatch(r"append(?: (\S+))?", text.strip(), re.I)
        out = self.m.expand(text) if not m else self.append(self.m.expand(m.group(1) or "imaptest"))
        if out is None:
            raise Fail("unset variable in " + text)
        return out

    def check(self, untagged, wants, text):
        for want in wants:
            no = want.startswith("!")
            tree = parse(literal(want[1:].strip()).encode("latin1"))
            hit = any(self.m.reply(tree, parse(got), first) for first, got in untagged)
            if hit == no:
                raise Fail("after %s\n  %s %s\n  in %s" % (text[:100], "unwanted" if no else "missing",
                    want.strip(), b"\n     ".join(g for _, g in untagged).decode("latin1")))

    def go(self):
        self.prepare()
        lines, i = self.script.lines, 0
        while i < len(lines):
            line = lines[i]; i += 1
            c, many = self.c[0], len(self.c) > 1
            m = re.match(r"(\d+) +(.*)", line, re.S) if many else None
            if m:
                c, line = self.c[int(m.group(1)) - 1], m.group(2)
            if re.match(r"tag\d+ ", line):
                group = [line]
                while i < len(lines) and re.match(r"(\d+ +)?tag\d+ (?!ok|no|bad|\"\")", lines[i]):
                    group.append(re.sub(r"^\d+ +(?=tag)", "", lines[i])); i += 1
                i = self.pipeline(c, group, lines, i)
                continue
            m = re.match(r'(ok|no|bad|"") +(.*)', line, re.S | re.I)
            want, text = (m.group(1), m.group(2)) if m else (None, line)
            untagged, last = c.do(self.command(text))
            wants = []
            while i < len(lines) and lines[i][0] in "*!":
                wants.append(lines[i]); i += 1
            if want is None:
                want = re.sub(r"^\d+ +", "", lines[i]) if many else lines[i]
                i += 1
                if not self.m.prefix(want.strip(), last):
                    raise Fail("after %s: wanted %s got %s" % (text, want, last))
            elif want != '""' and not last.lower().startswith(want.lower()):
                raise Fail("after %s: wanted %s got %s" % (text[:80], want, last))
            self.check(untagged, wants, text)

    def pipeline(self, c, group, lines, i):
        tags = []
        for line in group:
            tag, text = line.split(" ", 1)
            c.send(self.command(text), tag); tags.append(tag)
        untagged, last = [], {}
        for tag in tags:
            u, last[tag] = c.finish(tag)
            untagged += u
        wants = []
        while i < len(lines) and lines[i][0] in "*!":
            wants.append(lines[i]); i += 1
        self.check(untagged, wants, group[0])
        while i < len(lines) and (m := re.match(r'(?:\d+ +)?(tag\d+) (ok|no|bad|"")', lines[i], re.I)):
            if m.group(2) != '""' and not last[m.group(1)].lower().startswith(m.group(2)):
                raise Fail("%s: %s" % (m.group(1), last[m.group(1)]))
            i += 1
        return i

def main():
    bare, vectors = sys.argv[1], os.path.join(sys.argv[2], "imap-imaptest", "tests")
    if not os.path.isdir(vectors):
        print("SKIP: no vectors in", vectors)
        return 77
    names = sys.argv[3:] or sorted(n for n in os.listdir(vectors) if not n.endswith(".mbox"))
    passed, failed, skipped = [], [], []
    for name in names:
        script = Script(os.path.join(vectors, name))
        with tempfile.TemporaryDirectory() as d:
            p = subprocess.Popen([bare, d], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            try:
                port = int(p.stdout.readline().split()[1])
                probe = Client(port)
                have = probe.must("capability")[0][1].decode().upper().split()
                probe.s.close()
                lack = [x for x in script.head.get("capabilities", "").upper().split() if x not in have]
                if lack or "user" in " ".join(script.head) and "user 2" in script.head:
                    skipped.append("%s (%s)" % (name, " ".join(lack)))
                    continue
                try:
                    Run(port, script, have).go()
                    passed.append(name)
                except (Fail, OSError, IndexError) as e:
                    failed.append(name)
                    print("FAIL %s: %s" % (name, e))
            finally:
                p.stdin.close()
                if p.wait(20) != 0:
                    failed.append(name + " (end of the room)")
                p.stdout.close()
    print("passed %d: %s" % (len(passed), " ".join(passed)))
    print("SKIP %d, not spoken here: %s" % (len(skipped), "; ".join(skipped)))
    print("failed %d: %s" % (len(failed), " ".join(failed)))
    return 1 if failed or not passed else 0

sys.exit(main())
