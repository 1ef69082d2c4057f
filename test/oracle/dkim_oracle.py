#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""DKIM and ARC beside other implementations: dkimpy, Mail::DKIM, OpenDKIM.

Needs these Debian packages, and installs nothing itself:
    python3-dkim python3-nacl python3-authres libmail-dkim-perl opendkim

    dkim_oracle.py BUILD [COUNT [SEED]]     BUILD: the build folder

Messages are generated, signed by each of the four, mutated, and judged by each of the four. A
difference is allowed only with one of the reasons in explain(); any other is listed and makes the
run fail. Exit status 77: a package is missing.
"""
import base64
import collections
import os
import random
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NOW = int(time.time())  # OpenDKIM signs and judges with the clock
DOMAIN = "example.org"


def need():
    missing = []
    try:
        import dkim  # noqa: F401
        import authres  # noqa: F401
        import nacl.signing  # noqa: F401
    except ImportError:
        missing.append("python3-dkim python3-nacl python3-authres")
    if subprocess.run(["perl", "-MMail::DKIM::ARC::Signer", "-e", "1"], capture_output=True).returncode:
        missing.append("libmail-dkim-perl")
    if not any(os.access(p, os.X_OK) for p in ("/usr/sbin/opendkim", "/usr/bin/opendkim")):
        missing.append("opendkim")
    if missing:
        print("SKIP: install", " ".join(missing))
        sys.exit(77)


need()
import dkim  # noqa: E402

from milter import Milter  # noqa: E402


class Keys:
    """One RSA-2048 key, one Ed25519 key, and key records that deviate."""

    def __init__(self, where):
        self.rsa = os.path.join(where, "rsa.pem")
        self.ed = os.path.join(where, "ed.pem")
        self.weak = os.path.join(where, "weak.pem")
        for path, args in ((self.rsa, ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
                           (self.weak, ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]),
                           (self.ed, ["-algorithm", "ED25519"])):
            subprocess.run(["openssl", "genpkey", *args, "-out", path], check=True, capture_output=True)
        # Mail::DKIM reads the traditional form
        self.rsa1 = os.path.join(where, "rsa1.pem")
        subprocess.run(["openssl", "rsa", "-in", self.rsa, "-traditional", "-out", self.rsa1], check=True,
                       capture_output=True)
        self.rsa_p = self.public(self.rsa)
        self.ed_p = base64.b64encode(base64.b64decode(self.public(self.ed))[-32:]).decode()
        der = subprocess.run(["openssl", "pkey", "-in", self.ed, "-outform", "DER"], check=True,
                             capture_output=True).stdout
        self.ed_seed = base64.b64encode(der[-32:])
        p = self.rsa_p
        self.zone = {
            "rsa": "v=DKIM1; k=rsa; p=" + p,
            "ed": "v=DKIM1; k=ed25519; p=" + self.ed_p,
            "bare": "p=" + p,
            "test": "v=DKIM1; t=y; p=" + p,
            "strict": "v=DKIM1; t=s; p=" + p,
            "sha1": "v=DKIM1; h=sha1; p=" + p,
            "sha256": "v=DKIM1; h=sha256; p=" + p,
            "both": "v=DKIM1; h=sha1:sha256; p=" + p,
            "email": "v=DKIM1; s=email; p=" + p,
            "chat": "v=DKIM1; s=chat; p=" + p,
            "star": "v=DKIM1; s=*; p=" + p,
            "revoked": "v=DKIM1; k=rsa; p=",
            "nokey": "v=DKIM1; k=rsa",
            "version": "v=DKIM2; p=" + p,
            "late": "k=rsa; v=DKIM1; p=" + p,
            "type": "v=DKIM1; k=dsa; p=" + p,
            "mixed": "v=DKIM1; k=ed25519; p=" + p,
            "notes": "v=DKIM1; n=a note; x=unknown; p=" + p + ";",
            "spaces": " v = DKIM1 ; k = rsa ; p = " + p[:60] + " " + p[60:] + " ; ",
            "cut": "v=DKIM1; p=" + p[:-20],
            "garbage": "v=DKIM1; p=" + "A" * 40,
            "twice": "v=DKIM1; p=" + p + "; p=" + p,
            "empty": "v=DKIM1;; p=" + p,
            "txt": "not a key at all",
            "other": "v=DKIM1; p=" + self.public(self.weak),
        }
        self.path = os.path.join(where, "zone")
        with open(self.path, "w") as f:
            for name, text in self.zone.items():
                f.write("%s._domainkey.%s %s\n" % (name, DOMAIN, text))
                f.write("%s._domainkey.relay.example %s\n" % (name, text))

    @staticmethod
    def public(path):
        der = subprocess.run(["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], check=True,
                             capture_output=True).stdout
        return base64.b64encode(der).decode()

    def txt(self, name, timeout=5):
        label, _, rest = name.decode().rstrip(".").partition("._domainkey.")
        return self.zone.get(label, "").encode() if rest in (DOMAIN, "relay.example") else b""


WORDS = "mail server letter  two\tthree x . , ; : = ( ) < > @ \" -- _ 0 1 é".split(" ")


def text(rng, n):
    return " ".join(rng.choice(WORDS) for _ in range(n)).encode()


def message(rng):
    """A message with CRLF line ends, of many shapes."""
    h = [b"From: " + rng.choice([b"a@example.org", b"A <a@example.org>", b"  \"A, b\" <a@example.org>\t"]),
         b"To:" + rng.choice([b" b@example.net", b"b@example.net,\r\n c@example.net", b"\r\n b@example.net"]),
         b"Subject: " + text(rng, rng.randrange(0, 12)),
         b"Date: Tue, 14 Nov 2023 22:13:20 +0000",
         b"Message-ID: <%d@example.org>" % rng.getrandbits(40)]
    if rng.random() < 0.4:
        h.append(b"MIME-Version: 1.0")
        h.append(b"Content-Type: text/plain;\r\n\tcharset=utf-8")
    if rng.random() < 0.3:
        h.append(b"Cc: " + b",\r\n\t".join(b"x%d@example.net" % i for i in range(rng.randrange(1, 9))))
    if rng.random() < 0.3:
        h.append(b"Subject: second")
    if rng.random() < 0.3:
        h.append(b"X-Empty:")
    if rng.random() < 0.2:
        h.append(b"List-Id: <l.example.org>")
    if rng.random() < 0.2:
        h.append(b"References: " + b"\r\n ".join(b"<%d@x>" % i for i in range(rng.randrange(1, 20))))
    rng.shuffle(h)
    for i in range(rng.randrange(0, 3)):
        h.insert(0, b"Received: from x%d by y;\r\n\tTue, 14 Nov 2023 22:13:2%d +0000" % (i, i))
    lines = []
    for _ in range(rng.choice([0, 1, 1, 2, 5, 40])):
        line = text(rng, rng.choice([0, 0, 1, 3, 10, 60]))
        lines.append(line + rng.choice([b"", b"", b"", b" ", b"\t", b" \t "]))
    lines += [b""] * rng.choice([0, 0, 0, 1, 3])
    return b"\r\n".join(h) + b"\r\n\r\n" + b"".join(x + b"\r\n" for x in lines)


def split(mail):
    head, gap, body = mail.partition(b"\r\n\r\n")
    return re.split(rb"\r\n(?![ \t])", head), body


def join(fields, body):
    return b"\r\n".join(fields) + b"\r\n\r\n" + body


def is_sig(f):
    return f.lower().startswith(b"dkim-signature")


def on_sig(change):
    """Applies change to the text of the first signature."""
    def run(rng, mail):
        fields, body = split(mail)
        for i, f in enumerate(fields):
            if is_sig(f):
                fields[i] = change(rng, f)
                break
        return join(fields, body)
    return run


def on_other(change):
    def run(rng, mail):
        fields, body = split(mail)
        others = [i for i, f in enumerate(fields) if not is_sig(f)]
        i = rng.choice(others)
        fields[i] = change(rng, fields[i])
        return join(fields, body)
    return run


def flip(rng, s):
    """Changes one letter or digit."""
    at = [i for i, c in enumerate(s) if chr(c).isalnum() and c < 128]
    if not at:
        return s + b"x"
    i = rng.choice(at)
    c = b"abcdefghijklmnopqrstuvwxyz0123456789"[rng.randrange(36)]
    return s[:i] + bytes([c]) + s[i + 1:]


def tag(name, value):
    def change(rng, f):
        new, n = re.subn(rb"(^|[;\s:])" + name + rb"=[^;]*", rb"\1" + name + b"=" + value, f, count=1)
        return new if n else f + b"; " + name + b"=" + value
    return on_sig(change)


def drop(name):
    return on_sig(lambda rng, f: re.sub(rb"(?:^|(?<=[;\s:]))" + name + rb"=[^;]*;?", b"", f, count=1))


def body(change):
    def run(rng, mail):
        fields, b = split(mail)
        return join(fields, change(rng, b))
    return run


def add_top(line):
    return lambda rng, mail: line + b"\r\n" + mail


def shuffle(rng, mail):
    fields, b = split(mail)
    i, j = rng.randrange(len(fields)), rng.randrange(len(fields))
    fields[i], fields[j] = fields[j], fields[i]
    return join(fields, b)


MUTATIONS = {
    "none": lambda rng, m: m,
    "signature letter": on_sig(flip),
    "field letter": on_other(flip),
    "body letter": body(lambda rng, b: flip(rng, b) if b else b"x\r\n"),
    "field white space": on_other(lambda rng, f: f.replace(b" ", rng.choice([b"  ", b"\t", b"\r\n "]), 1)),
    "field name case": on_other(lambda rng, f: f.swapcase().partition(b":")[0] + b":" + f.partition(b":")[2]),
    "field end space": on_other(lambda rng, f: f + b"  "),
    "space before colon": on_other(lambda rng, f: f.replace(b":", b" :", 1)),
    "body end space": body(lambda rng, b: b.replace(b"\r\n", b" \r\n", 1)),
    "body inner space": body(lambda rng, b: b.replace(b" ", b"  ", 1)),
    "body more lines": body(lambda rng, b: b + b"\r\n\r\n"),
    "body appended": body(lambda rng, b: b + b"added\r\n"),
    "body white lines": body(lambda rng, b: b + b" \r\n\t\r\n"),
    "body gone": body(lambda rng, b: b""),
    "swap fields": shuffle,
    "second From": add_top(b"From: evil@example.com"),
    "second Subject": add_top(b"Subject: evil"),
    "more Received": add_top(b"Received: from z by x"),
    "unrelated field": add_top(b"X-Spam: no"),
    "v=2": tag(b"v", b"2"),
    "no v": drop(b"v"),
    "no h": drop(b"h"),
    "no bh": drop(b"bh"),
    "no s": drop(b"s"),
    "no d": drop(b"d"),
    "no a": drop(b"a"),
    "no c": drop(b"c"),
    "no b": drop(b"b"),
    "a unknown": tag(b"a", b"rsa-sha512"),
    "c unknown": tag(b"c", b"nofws"),
    "q http": tag(b"q", b"http/get"),
    "i foreign": tag(b"i", b"x@example.net"),
    "i suffix": tag(b"i", b"x@badexample.org"),
    "l zero": tag(b"l", b"0"),
    "l word": tag(b"l", b"many"),
    "l huge": tag(b"l", b"99999999"),
    "d bracket": tag(b"d", b"example.org(.evil"),
    "d quote": tag(b"d", b"example'a.org"),
    "s none": tag(b"s", b"nothere"),
    "bh empty": tag(b"bh", b""),
    "b empty": tag(b"b", b""),
    "b dirty": tag(b"b", b"@@@@"),
    "double tag": on_sig(lambda rng, f: f + b"; d=example.org"),
    "unknown tag": on_sig(lambda rng, f: f + b"; zz=1"),
    "trailing semicolon": on_sig(lambda rng, f: f + b";"),
    "empty tag": on_sig(lambda rng, f: f.replace(b";", b";;", 1)),
    "signature twice": lambda rng, m: join([f for f in split(m)[0][:1]] + split(m)[0], split(m)[1]),
    "signature refolded": on_sig(lambda rng, f: f.replace(b"; ", b";\r\n\t", 1)),
    "b refolded": on_sig(lambda rng, f: re.sub(rb"b=([A-Za-z0-9+/]{20})", rb"b= \1\r\n ", f)),
}


class Oracle:
    def __init__(self, tool, where, keys):
        self.tool, self.where, self.keys = tool, where, keys

    def list(self, lines):
        path = os.path.join(self.where, "list")
        with open(path, "w") as f:
            f.writelines(x + "\n" for x in lines)
        return path

    def run(self, *args):
        r = subprocess.run(args, capture_output=True)
        if r.returncode:
            sys.exit("%s: %s" % (" ".join(args[:3]), r.stderr.decode()[:2000]))
        return r.stdout.decode("utf-8", "replace")

    # signing: pairs of (in, out) paths

    def sign_ours(self, pairs, rsa="rsa", ed="ed"):
        self.run(self.tool, "sign", self.keys.rsa, self.keys.ed, str(NOW),
                 self.list("%s %s %s %s %s" % (i, o, DOMAIN, rsa, ed) for i, o in pairs))

    def sign_dkimpy(self, pairs, rng):
        with open(self.keys.rsa, "rb") as f:
            pem = f.read()
        for i, o in pairs:
            with open(i, "rb") as f:
                mail = f.read()
            canon = (rng.choice([b"simple", b"relaxed"]), rng.choice([b"simple", b"relaxed"]))
            alg = rng.choice([b"rsa-sha256", b"rsa-sha256", b"ed25519-sha256", b"rsa-sha1"])
            key, sel = (self.keys.ed_seed, b"ed") if alg[:2] == b"ed" else (pem, b"rsa")
            line = dkim.DKIM(mail, signature_algorithm=alg).sign(
                sel, DOMAIN.encode(), key, canonicalize=canon, length=rng.random() < 0.1)
            with open(o, "wb") as f:
                f.write(line + mail)

    def sign_maildkim(self, pairs, rng):
        self.run("perl", os.path.join(HERE, "maildkim.pl"), "sign", self.keys.rsa1, self.list(
            "%s %s %s rsa %s %s" % (i, o, DOMAIN, rng.choice(["rsa-sha256", "rsa-sha256", "rsa-sha1"]),
                                    rng.choice(["simple", "relaxed", "relaxed/simple", "simple/relaxed"]))
            for i, o in pairs))

    def sign_opendkim(self, pairs, rng):
        todo = collections.defaultdict(list)
        for p in pairs:
            # RSA only: the Ed25519 signatures of OpenDKIM 2.11 verify with nobody, itself included
            todo[(rng.choice(["simple", "relaxed"]) + "/" + rng.choice(["simple", "relaxed"]),
                  "rsa")].append(p)
        for (canon, sel), some in todo.items():
            self.opendkim = Milter(
                self.where, "sign", "Mode s\nSyslog no\nDomain %s\nSelector %s\nKeyFile %s\n"
                "Canonicalization %s\nRequireSafeKeys no\nOversignHeaders From\nInternalHosts "
                "192.0.2.1\n" % (DOMAIN, sel, self.keys.rsa, canon))
            try:
                for i, o in some:
                    got = self.milter(i)
                    if len(got) != 1:
                        sys.exit("opendkim: no signature for " + i)
                    with open(i, "rb") as f, open(o, "wb") as g:
                        g.write(b"DKIM-Signature:" + got[0][1].replace(b"\n", b"\r\n") + b"\r\n" + f.read())
            finally:
                self.opendkim.close()

    def milter(self, path):
        with open(path, "rb") as f:
            fields, body = split(f.read())
        pairs = [f.replace(b"\r\n", b"\n").partition(b":")[::2] for f in fields]
        return self.opendkim.message(pairs, body)

    # verdicts: file -> set of selectors that pass

    def judge_ours(self, files):
        got = {f: [] for f in files}
        for line in self.run(self.tool, "verify", self.keys.path, str(NOW), self.list(files)).splitlines():
            f, result, crypto, why, d, s, a = line.split("\t")
            got[f].append((result, crypto, why, d, s, a))
        return got

    def judge_dkimpy(self, files):
        got = {}
        for f in files:
            with open(f, "rb") as h:
                mail = h.read()
            passed = set()
            try:
                d = dkim.DKIM(mail)
                n = len([1 for name, _ in d.headers if name.lower() == b"dkim-signature"])
            except Exception:
                n = 0
            for i in range(n):
                d = dkim.DKIM(mail)
                try:
                    if d.verify(idx=i, dnsfunc=self.keys.txt):
                        passed.add(d.selector.decode())
                except Exception:
                    pass
            got[f] = passed
        return got

    def judge_maildkim(self, files):
        got = {f: set() for f in files}
        for line in self.run("perl", os.path.join(HERE, "maildkim.pl"), "verify", self.keys.path,
                             self.list(files)).splitlines():
            f, result, d, s, a = line.split("\t")
            if result == "pass":
                got[f].add(s)
        return got

    def judge_opendkim(self, files):
        self.opendkim = Milter(self.where, "verify",
                               "Mode v\nSyslog no\nTestPublicKeys %s\n" % self.keys.path)
        try:
            return {f: {m.decode() for name, value in self.milter(f) if name == b"Authentication-Results"
                        for m in re.findall(rb"dkim=pass[^;]*header\.s=([^\s;]+)", value)}
                    for f in files}
        finally:
            self.opendkim.close()


# Why our verdict is stricter by design, whatever the others say.
STRICTER = {
    "rsa-sha1 is historic": "RFC 8301 3.1: rsa-sha1 must not count",
    "l= leaves a part of the body unsigned": "l= never extends trust to an appended body",
    "body shorter than l=": "RFC 6376 3.5: l= must not exceed the body",
    "a From field is not signed": "an unsigned From field above a signed one",
    "From is not signed": "RFC 6376 5.4: From must be signed",
    "syntax error in the tag list": "RFC 6376 3.2: strict tag list",
    "a tag occurs twice": "RFC 6376 3.2: duplicate tags make the list invalid",
    "v= missing": "RFC 6376 3.5: v= is required",
    "unknown version": "RFC 6376 3.5: v= must be 1",
    "syntax error in the key record": "RFC 6376 3.6.1: strict tag list",
    "key record of another version": "RFC 6376 3.6.1: v= must be DKIM1 and first",
    "key is not for mail": "RFC 6376 3.6.1: s= must list email or *",
    "key does not allow this hash": "RFC 6376 3.6.1: h=",
    "key requires i= to equal d=": "RFC 6376 3.6.1: t=s",
    "key type does not fit the algorithm": "RFC 6376 6.1.2: k= must fit a=",
    "i= is not within d=": "RFC 6376 3.5: i= within d=",
    "no known query method": "RFC 6376 3.5: q= without dns/txt",
    "d= is no domain": "a name that is no domain",
    "b= is no base64": "RFC 6376 2.10: strict base64",
    "l= is no number": "RFC 6376 3.5: l= is digits",
    "syntax error in h=": "RFC 6376 3.5: h= names fields",
}


def explain(who, ours, theirs, selector, mail):
    """The reason why one signature counts for us and not for them, or the other way; or None."""
    mine = [v for v in ours if v[4] == selector]
    if selector in theirs:
        if any(v[2] in STRICTER for v in mine):
            return "stricter: " + next(STRICTER[v[2]] for v in mine if v[2] in STRICTER)
        unreadable = [v for v in ours if v[4] == "" and v[2] in STRICTER]
        if unreadable:
            return "stricter: " + STRICTER[unreadable[0][2]]
        return None
    return laxer(who, ours, selector, mail)


MALFORMED = ("missing", "d= is no domain", "s= is no selector", "b= is no base64", "bh= is no base64",
             "syntax error", "unknown", "a tag occurs twice", "l= is no number", "t= is no time",
             "x= is no time", "From is not signed", "no known query method", "i= is not within d=")


def laxer(who, ours, selector, mail):
    """Reasons why another implementation does not pass what we do."""
    if who == "OpenDKIM" and any(v[0] == "permerror" and v[4] != selector and
                                 any(x in v[2] for x in MALFORMED) for v in ours):
        return "OpenDKIM counts no signature beside a malformed one"
    if who == "dkimpy" and any(re.match(rb"[!-9;-~]+[ \t]+:", f) for f in split(mail)[0]):
        return "dkimpy reads no field with a space before its colon (RFC 5322 4.5)"
    if who == "Mail::DKIM" and selector == "ed":
        return "Debian's Mail::DKIM knows no ed25519-sha256"
    if who == "OpenDKIM" and any(re.match(rb"[!-9;-~]+[ \t]+:", f) for f in split(mail)[0]):
        return "OpenDKIM misses From or Date with a space before its colon (RFC 5322 4.5)"
    return None


def compare(o, files, notes, what):
    ours = o.judge_ours(files)
    counts, open_ = collections.Counter(), []
    for who, judge in (("dkimpy", o.judge_dkimpy), ("Mail::DKIM", o.judge_maildkim),
                       ("OpenDKIM", o.judge_opendkim)):
        theirs = judge(files)
        for f in files:
            mine = {v[4] for v in ours[f] if v[0] == "pass"}
            counts[who, "judged"] += 1
            if mine == theirs[f]:
                counts[who, "pass" if mine else "no pass"] += 1
            for s in sorted(mine ^ theirs[f]):
                with open(f, "rb") as h:
                    why = explain(who, ours[f], theirs[f], s, h.read())
                counts[who, why or "UNEXPLAINED"] += 1
                if why is None:
                    open_.append((who, f, notes[f], s, sorted(mine), sorted(theirs[f]), ours[f]))
    print("== " + what)
    for (who, k), n in sorted(counts.items()):
        print("  %-10s %5d  %s" % (who, n, k))
    return open_


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build-check"
    tool = os.path.abspath(os.path.join(build, "test", "oracle", "dkim_tool"))
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    keep = os.environ.get("ORACLE_KEEP")
    with tempfile.TemporaryDirectory() as tmp:
        where = keep or tmp
        os.makedirs(where, exist_ok=True)
        bad = run(tool, where, count, rng)
    for b in bad[:40]:
        print("UNEXPLAINED %s %s (%s) selector %s: ours pass %s, theirs %s; %s" % b)
    if bad:
        print("%d unexplained differences" % len(bad))
        sys.exit(1)
    print("no unexplained difference")


def run(tool, where, count, rng):
    keys = Keys(where)
    o = Oracle(tool, where, keys)
    names, notes = [], {}

    def put(mail, note):
        f = os.path.join(where, "m%05d.eml" % len(names))
        with open(f, "wb") as h:
            h.write(mail)
        names.append(f)
        notes[f] = note
        return f

    # plain signatures of each, then their mutations
    signed = {}
    per = count // 8
    for who, sign in (("ours", lambda p: o.sign_ours(p)), ("dkimpy", lambda p: o.sign_dkimpy(p, rng)),
                      ("maildkim", lambda p: o.sign_maildkim(p, rng)),
                      ("opendkim", lambda p: o.sign_opendkim(p, rng))):
        pairs = []
        for i in range(per):
            src = os.path.join(where, "src_%s_%d" % (who, i))
            with open(src, "wb") as f:
                f.write(message(rng))
            pairs.append((src, src + ".signed"))
        sign(pairs)
        signed[who] = [b for _, b in pairs]
    bad = []
    for who, files in signed.items():
        for f in files:
            notes[f] = who + ", as signed"
        bad += compare(o, files, notes, "signed by %s, as signed" % who)
        bad += must_pass(o, files, who)
    changed = []
    for who, files in signed.items():
        for f in files:
            name = rng.choice(list(MUTATIONS))
            with open(f, "rb") as h:
                changed.append(put(MUTATIONS[name](rng, h.read()), who + ": " + name))
    bad += compare(o, changed, notes, "mutated")
    bad += compare(o, key_variants(o, where, keys, rng, notes), notes, "deviating key records")
    bad += chains(o, where, count // 5, rng)
    return bad


# ARC

RESULTS = b"Authentication-Results: relay.example; spf=pass smtp.mailfrom=a@example.org;\r\n\tdkim=none\r\n"


def seal_ours(o, rng, src, dst):
    o.run(o.tool, "seal", o.keys.rsa, o.keys.ed, str(NOW), o.keys.path,
          o.list(["%s %s relay.example rsa rsa" % (src, dst)]))


def with_results(src):
    """The message with our own results on top, older ones removed: what those two seal from."""
    with open(src, "rb") as f:
        mail = f.read()
    fields, b = split(mail)
    mail = join([f for f in fields if not f.lower().startswith(b"authentication-results")], b)
    return RESULTS.replace(b"spf=", b"arc=%s; spf=" % arc_status(mail)) + mail


def seal_dkimpy(o, rng, src, dst):
    with open(o.keys.rsa, "rb") as f:
        pem = f.read()
    mail = with_results(src)
    lines = dkim.ARC(mail).sign(b"rsa", b"relay.example", pem, b"relay.example")
    with open(dst, "wb") as f:
        f.write(b"".join(lines) + mail)


def seal_maildkim(o, rng, src, dst):
    with open(src + ".ar", "wb") as f:
        f.write(with_results(src))
    o.run("perl", os.path.join(HERE, "maildkim.pl"), "seal", o.keys.rsa1, o.keys.path,
          o.list(["%s %s relay.example rsa" % (src + ".ar", dst)]))


def arc_status(mail):
    return b"pass" if re.search(rb"(?mi)^arc-seal:", mail) else b"none"


ARC_MUTATIONS = {
    "none": lambda rng, m: m,
    "body letter": MUTATIONS["body letter"],
    "unrelated field": MUTATIONS["unrelated field"],
    "more Received": MUTATIONS["more Received"],
    "swap fields": shuffle,
    "ARC letter": lambda rng, m: on_arc(rng, m, lambda f: flip(rng, f)),
    "ARC gone": lambda rng, m: on_arc(rng, m, lambda f: None),
    "ARC twice": lambda rng, m: on_arc(rng, m, lambda f: f + b"\r\n" + f),
    "instance": lambda rng, m: on_arc(rng, m, lambda f: re.sub(rb"\bi=\d+", b"i=%d" % rng.randrange(6), f)),
    "cv": lambda rng, m: on_arc(rng, m, lambda f: re.sub(
        rb"cv=\w+", rng.choice([b"cv=none", b"cv=pass", b"cv=fail", b"cv="]), f)),
    "ARC refolded": lambda rng, m: on_arc(rng, m, lambda f: f.replace(b"; ", b";\r\n\t ", 1)),
    "field letter": MUTATIONS["field letter"],
}


def on_arc(rng, mail, change):
    fields, b = split(mail)
    which = [i for i, f in enumerate(fields) if f.lower().startswith(b"arc-")]
    i = rng.choice(which)
    fields[i] = change(fields[i])
    return join([f for f in fields if f is not None], b)


def arc_ours(o, files):
    got = {}
    for line in o.run(o.tool, "arc", o.keys.path, str(NOW), o.list(files)).splitlines():
        f, cv, why, _ = line.split("\t")
        got[f] = (cv, why)
    return got


def arc_dkimpy(o, files):
    got = {}
    for f in files:
        with open(f, "rb") as h:
            mail = h.read()
        try:
            got[f] = dkim.ARC(mail).verify(dnsfunc=o.keys.txt)[0].decode().lower()
        except Exception:
            got[f] = "fail"
    return got


def arc_maildkim(o, files):
    lines = o.run("perl", os.path.join(HERE, "maildkim.pl"), "arc", o.keys.path, o.list(files)).splitlines()
    return {f: {"pass": "pass", "none": "none"}.get(r, "fail") for f, r in (x.split("\t") for x in lines)}


def chains(o, where, count, rng):
    """Chains of one to four sealers, each kind on top of each other, then mutated."""
    sealers = {"ours": seal_ours, "dkimpy": seal_dkimpy, "Mail::DKIM": seal_maildkim}
    files, notes = [], {}
    for i in range(count):
        at = os.path.join(where, "arc_%d_0" % i)
        with open(at, "wb") as f:
            f.write(message(rng))
        by = [rng.choice(sorted(sealers)) for _ in range(rng.randrange(1, 5))]
        for k, name in enumerate(by):
            nxt = os.path.join(where, "arc_%d_%d" % (i, k + 1))
            sealers[name](o, rng, at, nxt)
            at = nxt
        notes[at] = "+".join(by)
        files.append(at)
        name = rng.choice(sorted(ARC_MUTATIONS))
        with open(at, "rb") as f, open(at + ".mut", "wb") as g:
            g.write(ARC_MUTATIONS[name](rng, f.read()))
        notes[at + ".mut"] = "+".join(by) + ": " + name
        files.append(at + ".mut")
    ours, counts, bad = arc_ours(o, files), collections.Counter(), []
    for who, judge in (("dkimpy", arc_dkimpy), ("Mail::DKIM", arc_maildkim)):
        theirs = judge(o, files)
        for f in files:
            same = ours[f][0] == theirs[f]
            why = None if same else explain_arc(who, ours[f], theirs[f], f)
            counts[who, ours[f][0] if same else why or "UNEXPLAINED"] += 1
            if not same and why is None:
                bad.append((who, f, notes[f], "arc", ours[f][0], theirs[f], ours[f][1]))
    for f in files:
        if not f.endswith(".mut") and ours[f][0] != "pass":
            bad.append(("ours", f, notes[f], "arc", ours[f][0], "-", ours[f][1]))
    print("== ARC chains")
    for (who, k), n in sorted(counts.items()):
        print("  %-10s %5d  %s" % (who, n, k))
    return bad


def explain_arc(who, ours, theirs, path):
    """The reason why a chain is judged differently; or None."""
    with open(path, "rb") as f:
        fields, _ = split(f.read())
    found = [re.search(rb"\bi\s*=\s*(\d+)", f) for f in fields if f.lower().startswith(b"arc-")]
    names = [f.lower().partition(b":")[0] for f in fields if f.lower().startswith(b"arc-")]
    arc = [(n, int(m.group(1))) for n, m in zip(names, found) if m]
    usual = [(n, i) for i in range(len(arc) // 3, 0, -1)
             for n in (b"arc-seal", b"arc-message-signature", b"arc-authentication-results")]
    if who == "dkimpy" and theirs == "fail" and arc != usual:
        return "dkimpy seals in the order of the header, not in that of RFC 8617 5.1.1"
    return None


def must_pass(o, files, who):
    """Nothing of what a signer signed may fail with us, RFC 8301 and l= aside."""
    bad = []
    for f, verdicts in o.judge_ours(files).items():
        for v in verdicts:
            if v[1] != "good":
                bad.append((who, f, "as signed", v[4], [], [], v))
        if not verdicts:
            bad.append((who, f, "as signed", "-", [], [], "no signature"))
    return bad


def key_variants(o, where, keys, rng, notes):
    files = []
    for sel in keys.zone:
        if sel == "ed":
            continue
        src = os.path.join(where, "key_" + sel)
        with open(src, "wb") as f:
            f.write(message(rng))
        o.sign_ours([(src, src + ".signed")], rsa=sel, ed="-")
        notes[src + ".signed"] = "key record " + sel
        files.append(src + ".signed")
    return files


if __name__ == "__main__":
    main()
