#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""SPF beside pyspf (Debian package python3-spf; it installs nothing itself).

    spf_oracle.py BUILD [COUNT [SEED]]

Small worlds are generated: a few domains with records made of valid and broken terms, addresses, MX,
PTR, aliases, time-outs. Both implementations judge the same clients in the same world. A difference is
allowed only with a reason of explain(); any other is listed and makes the run fail. A part of the worlds is
then served by knot on loopback: both ask it over the wire, and what we find has to be the same as before. Exit 77:
pyspf, dnspython or knot is missing.
"""
import collections
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

try:
    import dns.resolver
    import spf
except ImportError:
    print("SKIP: needs the packages python3-spf and python3-dnspython")
    sys.exit(77)
if not shutil.which("knotd"):
    print("SKIP: needs the package knot")
    sys.exit(77)

BUILD = sys.argv[1] if len(sys.argv) > 1 else "build-check"
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 7208
TOOL = os.path.join(BUILD, "test/oracle/spf_tool")
SERVED = COUNT // 8  # worlds that knot serves too
NAMES = ["d%d.example" % i for i in range(6)] + ["m.d0.example", "mail.d1.example", "no.such.test"]
IPS = ["192.0.2.1", "192.0.2.2", "198.51.100.7", "2001:db8::1", "2001:db8::2"]
world = {}


def lookup(name, qtype, strict=True, timeout=None):
    """pyspf's way to the DNS: yields ((name, type), value)."""
    failed = False
    for entry in world.get(name.lower(), []):
        if entry == "TIMEOUT":
            failed = True
            continue
        kind, value = entry
        if kind != qtype and kind != "CNAME":
            continue
        failed = False
        if kind == "AAAA":
            value = socket.inet_pton(socket.AF_INET6, value)
        elif kind == "TXT":
            value = (value.encode("latin-1"),)
        yield (name, kind), value
        if kind == qtype:
            failed = None
    if failed and not any(e != "TIMEOUT" and e[0] in (qtype, "CNAME") for e in world[name.lower()]):
        raise spf.TempError("DNS timeout")


class Knot:
    """The world as the root zone of a name server on loopback."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="spf-oracle-")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        os.mkdir(self.dir + "/db")
        with open(self.dir + "/conf", "w") as f:
            f.write("server:\n    listen: 127.0.0.1@%d\n    rundir: %s\nlog:\n  - target: %s/log\n    any: error\ndatabase:\n"
                    "    storage: %s/db\nzone:\n  - domain: .\n    storage: %s\n    file: zone\n    zonefile-sync: -1\n"
                    "    journal-content: none\n" % (self.port, *[self.dir] * 4))
        self.serial = 0
        self.write()
        self.server = subprocess.Popen(["knotd", "-c", self.dir + "/conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.resolver = dns.resolver.Resolver(configure=False)
        self.resolver.nameservers, self.resolver.port, self.resolver.cache = ["127.0.0.1"], self.port, None
        dns.resolver.default_resolver = self.resolver

    def write(self):
        self.serial += 1
        with open(self.dir + "/zone", "w") as f:
            f.write("$ORIGIN .\n$TTL 60\n@ SOA ns h %d 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n" % self.serial)
            for line in filter(None, zone_text().splitlines()):
                name, kind, *rest = line.split(" ", 2)
                if kind != "EXISTS":
                    f.write("%s. %s %s%s\n" % (name, kind, rest[0], "." if kind in ("MX", "CNAME", "PTR") else ""))

    def serve(self):
        """Serves the world; returns when it does."""
        self.write()
        subprocess.run(["knotc", "-c", self.dir + "/conf", "-s", self.dir + "/knot.sock", "-b", "zone-reload", "."],
                       capture_output=True, timeout=20)
        for _ in range(200):
            try:
                if self.resolver.resolve(".", "SOA", lifetime=1)[0].serial == self.serial:
                    return
            except dns.exception.DNSException:
                pass
            time.sleep(0.02)
        raise AssertionError("knot does not serve the zone: " + open(self.dir + "/log").read()[-500:])

    def close(self):
        self.server.terminate()
        self.server.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)


spf.DNSLookup = lookup


def macro(r):
    return "%%{%s%s%s%s}" % (r.choice("slodiphvSLODIH"), r.choice(["", "", "1", "2", "3"]),
                             r.choice(["", "r"]), r.choice(["", "", "-", "+", ".-"]))


def domain_spec(r):
    return r.choice([r.choice(NAMES)] * 30 + ["%{d}", macro(r) + "." + r.choice(NAMES), "%{d2}", "x..example",
                                              r.choice(NAMES) + "."] * 3 + ["example", "a.b.c-"])


def cidr(r):
    return r.choice([""] * 20 + ["/24", "/32", "//64", "/24//128", "/0"] * 3 + ["/33"])


def term(r):
    q = r.choice(["", "", "", "-", "~", "?", "+"])
    kind = r.randrange(16)
    if kind < 2:
        return q + "a" + r.choice(["", ":" + domain_spec(r)]) + cidr(r)
    if kind < 4:
        return q + "mx" + r.choice(["", ":" + domain_spec(r)]) + cidr(r)
    if kind < 7:
        return r.choice(["", "", "-", "?"]) + "include:" + domain_spec(r)
    if kind == 7:
        return q + "ptr" + r.choice(["", ":" + domain_spec(r)])
    if kind < 10:
        return q + "exists:" + domain_spec(r)
    if kind < 12:
        return q + "ip4:" + r.choice(["192.0.2.%d" % r.randrange(4), "198.51.100.0/24", "10.0.0.1/8"] * 6 + ["192.0.2"])
    if kind == 12:
        return q + "ip6:" + r.choice(["2001:db8::1", "2001:db8::/32"] * 6 + ["::1/129", "1::2::3"])
    if kind == 13:
        return r.choice(["foo=%{d}", "foo=bar", "x=%%%_", "redirect=" + domain_spec(r)] * 4 + ["foo=%q"])
    if kind == 14:
        return "exp=" + r.choice(["why.d0.example", domain_spec(r)])
    return q + "all"


def record(r):
    terms = [term(r) for _ in range(r.choice([1, 2, 2, 3, 3, 4, 6, 12]))]
    if r.random() < 0.6:
        terms.append(r.choice(["-all", "~all", "?all", "redirect=" + r.choice(NAMES)]))
    return r.choice(["v=spf1 "] * 8 + ["V=SPF1  ", "v=spf1\t", "v=spf10 "]) + " ".join(terms)


def make_world(r):
    world.clear()
    for name in NAMES[:-1]:
        e = world[name] = []
        if r.random() < 0.08:
            alias = r.choice(NAMES[:-1])
            if alias > name:  # no loops
                e.append(("CNAME", alias))
                continue
        for _ in range(r.choice([0, 1, 1, 1, 1, 1, 1, 2]) if name.startswith("d") else r.choice([0, 0, 1])):
            e.append(("TXT", record(r)))
        if r.random() < 0.2:
            e.append(("TXT", "something else"))
        for ip in IPS:
            if r.random() < 0.25:
                e.append(("AAAA" if ":" in ip else "A", ip))
        for _ in range(r.choice([0, 0, 1, 2, 3])):
            e.append(("MX", (r.randrange(20), r.choice(NAMES))))
        if r.random() < 0.08:
            e.append("TIMEOUT")
    world["why.d0.example"] = [("TXT", r.choice(["%{i} is not %{o}", "plain text", "%{c} %{r} %{x", "%{S}"]))]
    for ip in IPS:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)
        nibbles = packed.hex() if ":" in ip else None
        rev = ".".join(reversed(nibbles)) + ".ip6.arpa" if nibbles else ".".join(reversed(ip.split("."))) + ".in-addr.arpa"
        if r.random() < 0.7:
            world[rev] = [("PTR", r.choice(NAMES)) for _ in range(r.randrange(1, 3))]


def zone_text():
    lines = []
    for name, entries in world.items():
        lines.append(name + " EXISTS")
        for e in entries:
            if e == "TIMEOUT":
                lines.append(name + " TIMEOUT")
            elif e[0] == "TXT":
                raw = e[1].encode("latin-1")
                parts = ['"%s"' % "".join("\\%03d" % c if c < 32 or c > 126 or c in b'"\\' else chr(c)
                                          for c in raw[i:i + 200]) for i in range(0, len(raw), 200)]
                lines.append(name + " TXT " + " ".join(parts))
            elif e[0] == "MX":
                lines.append("%s MX %d %s" % (name, e[1][0], e[1][1]))
            else:
                lines.append("%s %s %s" % (name, e[0], e[1]))
    return "\n".join(lines) + "\n"


def theirs(ip, helo, local, domain):
    q = spf.query(ip, local + "@" + domain if domain else "", helo, receiver="mx.example", strict=True)
    q.set_default_explanation("")
    try:
        result, _, why = q.check()
    except Exception as x:  # pyspf falls over now and then
        return "crash", repr(x), ""
    return result, why, str(getattr(q, "perm_error", "") or "") + " " + why


def explain(ours, their, text, texts):
    """Why the two may differ, or None."""
    result, lookups, voids, queries, why = ours
    has = lambda word: any(word in t for t in texts)
    if their[0] == "crash":
        return "pyspf raised an exception"
    if "trivial recursion" in their[2]:
        return "pyspf refuses a record that includes itself before it evaluates it"
    if "MUST appear at most once" in their[2] and not any(w in their[2] for w in ("redirect=", "exp=")):
        return "RFC 7208 6: unknown modifiers are ignored, however often they come"
    if result == "fail" == their[0] and not text:
        if any(ord(c) < 32 for c in their[1]) or "%{" in their[1]:
            return "no text for a reply: not printable, or its macros are broken (RFC 7208 6.2)"
    if why == "too many DNS queries":
        return "our bound on all queries (decision 0020)"
    if (has("ptr") or has("%{p") or has("%{P")) and ("oid lookup" in their[2] or their[0] == "temperror"):
        return "RFC 7208 5.5: trouble with the client's PTR is no error of the domain"
    if has("mx") and their[0] in ("temperror", "permerror") and "oid lookup" in their[2] + "oid lookup" * (their[0] == "temperror"):
        return "pyspf asks for all MX hosts before it compares the first"
    if why == "too many void lookups" and (has("..") or has("%{")):
        return "a name that cannot exist is a void lookup for us, none for pyspf"
    return None


def ours(where, queries):
    """A line for each query; where: a zone file, or ADDRESS@PORT."""
    h = lambda s: s.encode().hex() or "-"
    out = subprocess.run([TOOL, where], capture_output=True, text=True, timeout=60,
                         input="".join("%s %s %s %s\n" % (q[0], h(q[1]), h(q[2]), h(q[3])) for q in queries))
    if out.returncode != 0:
        print(out.stderr, zone_text())
        sys.exit(1)
    return out.stdout.splitlines()


def from_file(queries):
    with tempfile.NamedTemporaryFile("w") as f:
        f.write(zone_text())
        f.flush()
        return ours(f.name, queries)


def but_queries(line):
    """An alias and what it leads to come in one answer over the wire."""
    words = line.split(" ", 5)
    return words[:3] + words[4:]


def in_answers(entry):
    """Name servers sort records: which mail host is asked first may decide about the third void lookup."""
    kind, value = entry
    name = value[1] if kind == "MX" else value if kind in ("PTR", "CNAME") else ""
    return (kind, value[0] if kind == "MX" else 0, [(len(label), label) for label in name.split(".")])


def served():
    """Worlds without time-outs over the wire: ours as in memory, and theirs. The number of differences."""
    r = random.Random(SEED + 1)
    checks, odd, bad, reasons = 0, 0, [], collections.Counter()
    world.clear()
    knot = Knot()
    try:
        for n in range(SERVED):
            make_world(r)
            for entries in world.values():
                entries[:] = sorted((e for e in entries if e != "TIMEOUT"), key=in_answers)
            queries = [(r.choice(IPS), r.choice(NAMES), "user", r.choice(NAMES[:6])) for _ in range(3)]
            knot.serve()
            spf.DNSLookup = lookup
            for q, memory, wire in zip(queries, from_file(queries), ours("127.0.0.1@%d" % knot.port, queries)):
                checks += 1
                if but_queries(memory) != but_queries(wire):
                    bad.append((n, q, "in memory: " + memory, "over the wire: " + wire))
                spf.DNSLookup = spf.DNSLookup_dnspython
                result, lookups, voids, asked, expl, why = (wire.split(" ", 5) + [""])[:6]
                their = theirs(*q)
                spf.DNSLookup = lookup
                text = "" if expl == "-" else bytes.fromhex(expl).decode("latin-1")
                if result == their[0]:
                    continue
                reason = explain((result, lookups, voids, asked, why), their, text,
                                 [e[1] for es in world.values() for e in es if e[0] == "TXT"])
                reasons[reason or "UNEXPLAINED"] += 1
                if not reason:
                    bad.append((n, q, result + " " + why, their))
    finally:
        knot.close()
    print("%d checks in %d worlds that knot serves" % (checks, SERVED))
    for reason, k in reasons.most_common():
        print("%d: %s" % (k, reason))
    print("%d unexplained" % len(bad))
    for b in bad[:10]:
        print(*b)
    return len(bad)


def main():
    r = random.Random(SEED)
    same, reasons, bad, results = 0, collections.Counter(), [], collections.Counter()
    for n in range(COUNT):
        make_world(r)
        queries = [(r.choice(IPS), r.choice(NAMES), r.choice(["user", "a-b+c", "x.y"]), r.choice(NAMES[:6]))
                   for _ in range(3)]
        for q, line in zip(queries, from_file(queries)):
            result, lookups, voids, asked, expl, why = (line.split(" ", 5) + [""])[:6]
            their = theirs(*q)
            results[result] += 1
            text = "" if expl == "-" else bytes.fromhex(expl).decode("latin-1")
            if result == their[0] and (result != "fail" or text == (their[1] or "")):
                same += 1
                continue
            reason = explain((result, lookups, voids, asked, why), their, text,
                             [e[1] for es in world.values() for e in es if e != "TIMEOUT" and e[0] == "TXT"])
            if reason:
                reasons[reason] += 1
            else:
                bad.append((n, q, result, why, text, their, zone_text()))
    print("%d checks in %d worlds: %s" % (sum(results.values()), COUNT, dict(results)))
    print("%d the same" % same)
    for reason, k in reasons.most_common():
        print("%d: %s" % (k, reason))
    print("%d unexplained" % len(bad))
    for b in bad[:20]:
        print(b[0], b[1], b[2:5], b[5])
    for b in bad[:1]:
        print("world %d %s\n ours: %s (%s) %r\n theirs: %s\n%s" % b)
    return 1 if bad or served() else 0


sys.exit(main())
