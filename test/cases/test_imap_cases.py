# SPDX-License-Identifier: MIT
"""Attack cases I-001..I-012, I-020..I-026, I-028 and I-031 against a running server."""
import re
import ssl
import statistics
import time

import pytest
from test_submission_cases import SAMPLES, rank_z


def until_end(i, seconds=10):
    """All that comes until the server closes; fails when it does not."""
    assert i.until_closed(seconds), f"not cut within {seconds} s; said {i.buf[-200:]!r}"
    return i.buf


def works(i):
    assert i.status("NOOP")[0] == "OK"


# -- before login ---------------------------------------------------------------------------


def test_I_001_plaintext_behind_starttls(target):
    with target.imap(tls=False) as i:
        i.send(b"a STARTTLS\r\nb NOOP\r\nc CAPABILITY\r\n")
        answer = i.answer("a")[-1]
        if not answer.startswith(b"a OK"):
            return
        try:
            i.tls()
        except (ssl.SSLError, OSError):
            return
        assert i.quiet(1.5) == b"", "injected commands were answered after the handshake"
        works(i)


def test_I_002_login_in_the_clear(target):
    with target.imap(tls=False) as i:
        capability = b" ".join(i.ask("CAPABILITY"))
        assert b"LOGINDISABLED" in capability and b"AUTH=PLAIN" not in capability
        began = time.monotonic()
        status, text = i.status(f'LOGIN {target.alice} "{target.password(target.alice)}"')
        assert status == "NO", text
        assert time.monotonic() - began < 0.05, "slow enough to have looked the password up"
        assert i.status("AUTHENTICATE PLAIN")[0] in ("NO", "BAD")
        assert i.status("SELECT INBOX")[0] in ("NO", "BAD")


def test_I_003_greeting(target):
    for tls in (False, True):
        with target.imap(tls=tls) as i:
            assert i.greeting.startswith(b"* OK"), i.greeting
            assert not re.search(rb"\d+\.\d+", i.greeting), f"a version in {i.greeting!r}"


@pytest.mark.memory(8)
@pytest.mark.parametrize("size", ["999999999", str(2**64), "-1", "4294967295", "", "1x"],
                         ids=lambda s: f"I-004 {s}")
def test_literal_sizes_before_login(target, size):
    with target.imap() as i:
        status, text = i.status(f"LOGIN {{{size}}}")
        assert status in ("BAD", "NO", "CLOSED"), text


@pytest.mark.memory(8)
def test_I_005_unsynchronised_flood_before_login(target):
    with target.imap() as i:
        i.send(f"a LOGIN {{{64 << 20}+}}\r\n")
        sent = 0
        while sent < 64 << 20 and i.send(b"x" * 65536):
            sent += 65536
            if not i.closed:
                i._more(0)
        said = until_end(i)
        assert sent < 64 << 20, "64 MiB were taken before login"
        assert said == b"" or b"BAD" in said or b"NO" in said or b"BYE" in said


@pytest.mark.memory(8)
def test_I_006_many_literals_before_login(target):
    with target.imap() as i:
        for k in range(1000):
            if not i.send(b"a%d LOGIN " % k + b"{1+}\r\nx " * 100 + b"\r\n"):
                break
            i._more(0)
        said = until_end(i)
        assert b"OK" not in said.replace(b"* OK", b"")


@pytest.mark.memory(8)
def test_I_007_ten_million_parentheses(target):
    with target.imap() as i:
        i.send(b"a SEARCH ")
        for _ in range(160):
            if not i.send(b"(" * 65536):
                break
            i._more(0)
        i.send(b"\r\n")
        said = until_end(i)
        assert said == b"" or b"BAD" in said or b"NO" in said or b"BYE" in said


@pytest.mark.parametrize("octet", [b"\0", b"\r", b"\n", b"\xff"], ids=lambda o: f"I-008 {o[0]:02x}")
def test_octets_in_quoted_strings(target, octet):
    with target.imap() as i:
        i.send(b'a LOGIN "al' + octet + b'ice" "x"\r\n')
        said = i.quiet(1.0)
        lines = said.split(b"\r\n")
        assert any(b" BAD" in x or x.startswith(b"* BYE") for x in lines) or i.closed, said
        assert b"a OK" not in said and b"a NO" not in said, said


def test_I_009_long_tag_and_endless_line(target):
    with target.imap() as i:
        i.send(b"t" * 65536 + b" NOOP\r\n")
        assert i.until_closed(10) or b"BAD" in i.buf
        assert b"OK NOOP" not in i.buf
    with target.imap() as i:
        sent = 0
        while sent < 32 << 20 and i.send(b"x" * 65536):
            sent += 65536
            i._more(0)
        until_end(i)
        assert sent < 32 << 20


def test_I_010_bad_commands(target):
    with target.imap() as i:
        n = 0
        while n < 100:
            status, _ = i.status(f"XYZZY{n}")
            n += 1
            if status == "CLOSED":
                break
            assert status == "BAD"
            if i.closed:
                break
        assert n <= 22, f"{n} bad commands were answered"


@pytest.mark.parametrize("what", ["!!!!", "=", "AA==AA", "A" * 100000, "*", ""],
                         ids=lambda w: f"I-011 {w[:8]}")
def test_authenticate_junk(target, what):
    with target.imap() as i:
        status, _ = i.status("AUTHENTICATE PLAIN")
        assert status == "+"
        i.send(what + "\r\n")
        line = i.answer("t1")[-1]
        assert line == b"" or line.startswith((b"t1 BAD", b"t1 NO", b"* B")), line
    with target.imap() as i:
        assert i.status("AUTHENTICATE XYZZY")[0] in ("NO", "BAD")
    with target.imap(login=target.alice) as i:
        works(i)


def test_I_012_unknown_user_looks_like_a_wrong_password(target):
    users = (target.bob, "nobody-here@example.test")
    texts, seconds = {u: set() for u in users}, {u: [] for u in users}
    for k in range(SAMPLES):
        for u in users:
            with target.imap() as i:
                began = time.monotonic()
                texts[u].add(i.ask(f'LOGIN {u} "wrong-{k}"')[-1])
                seconds[u].append(time.monotonic() - began)
    assert len(texts[users[0]] | texts[users[1]]) == 1, texts
    a, b = (statistics.median(seconds[u]) for u in users)
    near = abs(a - b) < 0.003 and abs(a - b) < 0.05 * max(a, b)
    assert near or rank_z(*(seconds[u] for u in users)) < 3.3, f"medians {a:.5f} and {b:.5f} s"


# -- after login ----------------------------------------------------------------------------


def test_I_020_list_of_wildcards(target):
    with target.imap(login=target.alice) as i:
        for pattern in ("*%" * 1000, "%*" * 1000, "*" * 2000, "*a" * 1000):
            began = time.monotonic()
            status, text = i.status(f'LIST "" "{pattern}"')
            assert status in ("OK", "NO", "BAD"), text
            assert time.monotonic() - began < 1
        works(i)


NAMES = [
    '""', '"."', '".."', '"../x"', '"../../etc/passwd"', '"/etc/passwd"', '"a/../../b"', '"a//b"', '"/a"',
    '"~root"', '"~/x"', '"a\\\\b"', '"&bad"', '"&-&"', '"&AAA-"', '"&2AA-"', '"&AAAAAA-"', '"&Jjo"',
    '"&AGE-"', '"%"', '"*"', '"a%b"', '"x*y"', '"' + "n" * 4000 + '"', '"' + "d/" * 400 + 'x"',
    '"INBOX/../../x"', '"#news"', '"a\x7fb"', '"a\tb"',
]


@pytest.mark.parametrize("n", range(len(NAMES)), ids=lambda n: f"I-021 {n} {NAMES[n][1:13]}")
def test_hostile_mailbox_names(target, n):
    with target.imap(login=target.alice) as i:
        began = time.monotonic()
        for verb in ("CREATE", "SELECT", "STATUS", "DELETE"):
            tail = " (MESSAGES)" if verb == "STATUS" else ""
            if verb == "DELETE":
                i.status("CLOSE")  # a server may end the session whose folder goes
            status, text = i.status(f"{verb} {NAMES[n]}{tail}")
            harmless = NAMES[n] in ('"~root"', '"~/x"', '"#news"', '"a\\\\b"', '"&-&"', '"a//b"',
                                    '"/a"', '"&AGE-"')
            assert status in ("NO", "BAD", "CLOSED") or harmless, f"{verb} {NAMES[n][:60]}: {text}"
            if status == "CLOSED":
                return
        assert time.monotonic() - began < 1
        works(i)


def load_box(target, token, count=3):
    """A folder with a few plain messages; its name."""
    name = f"case{token[3:13]}"
    with target.imap(login=target.alice) as i:
        assert i.status(f"CREATE {name}")[0] == "OK"
        for k in range(count):
            body = f"From: a@sender.test\r\nSubject: m{k} {token}\r\n\r\nbody {k}\r\n".encode()
            assert b" OK" in i.append(name, body)
    return name


SEARCHES = {
    "15000 NOT": "NOT " * 15000 + "ALL", "7000 OR": "OR " * 7000 + "ALL " * 7001,
    "30000 parentheses": "(" * 30000 + "ALL" + ")" * 30000, "60 levels": "(" * 60 + "ALL" + ")" * 60,
    "open only": "(" * 60000, "20000 sets": ",".join(["1:*"] * 15000),
    "wide sets": ",".join(["1:4294967295"] * 4000),
}


@pytest.mark.memory(32)
@pytest.mark.parametrize("what", sorted(SEARCHES), ids=lambda w: f"I-022 {w}")
def test_deep_searches(target, token, what):
    box = load_box(target, token)
    with target.imap(login=target.alice) as i:
        assert i.status(f"SELECT {box}")[0] == "OK"
        began = time.monotonic()
        status, text = i.status(f"SEARCH {SEARCHES[what].strip()}")
        assert time.monotonic() - began < 3
        assert status in ("OK", "NO", "BAD", "CLOSED"), text
        if what == "60 levels":
            assert status == "OK", text
        if status != "CLOSED":
            works(i)


FETCHES = {
    "10000 parts deep": "FETCH 1 BODY[" + ".".join(["1"] * 10000) + "]",
    "partial at 2^64": f"FETCH 1 BODY[]<{2**64}.{2**64}>",
    "partial at 2^32": "FETCH 1 BODY[]<4294967295.4294967295>",
    "partial of nothing": "FETCH 1 BODY[]<0.0>", "negative partial": "FETCH 1 BODY[]<-1.5>",
    "number of 2^64": f"FETCH {2**64} FLAGS", "zero": "FETCH 0 FLAGS",
    "20000 items": "FETCH 1 (" + "FLAGS " * 9000 + "UID)",
    "20000 sets": "FETCH " + ",".join(["1:3"] * 15000) + " FLAGS",
    "part 0": "FETCH 1 BODY[0]", "part 2^32": "FETCH 1 BODY[4294967296]",
}


@pytest.mark.memory(32)
@pytest.mark.parametrize("what", sorted(FETCHES), ids=lambda w: f"I-023 {w}")
def test_hostile_fetches(target, token, what):
    box = load_box(target, token)
    with target.imap(login=target.alice) as i:
        assert i.status(f"SELECT {box}")[0] == "OK"
        began = time.monotonic()
        lines = i.ask(FETCHES[what])
        assert time.monotonic() - began < 3
        assert lines[-1] == b"" or lines[-1].split(b" ")[1] in (b"OK", b"NO", b"BAD")
        if what == "20000 sets":
            fetched = sum(1 for x in lines if b" FETCH " in x)
            assert fetched <= 3, f"{fetched} answers for 3 messages"
        if lines[-1] != b"":
            works(i)


def test_I_024_keywords(target, token):
    box = load_box(target, token, 1)
    with target.imap(login=target.alice) as i:
        assert i.status(f"SELECT {box}")[0] == "OK"
        refused = None
        for k in range(0, 5000, 20):
            words = " ".join(f"keyword{n}" for n in range(k, k + 20))
            status, text = i.status(f"STORE 1 +FLAGS ({words})")
            if status != "OK":
                refused = (k, text)
                break
        assert refused is not None, "5000 keywords were taken"
        assert "[LIMIT]" in refused[1] and 180 <= refused[0] <= 220, refused
        works(i)


def test_I_025_hostile_appends(target, token):
    box = load_box(target, token, 0)
    with target.imap(login=target.alice) as i:
        status, text = i.status(f"APPEND {box} {{9999999999}}")
        assert status == "NO" and "[TOOBIG]" in text, text
        works(i)
        assert b" NO" in i.append(box, b"Subject: nul\r\n\r\na\0b\r\n")
        i.send(f"x APPEND {box} {{100000}}\r\n")
        assert i.answer("x")[-1].startswith(b"+")
        i.send(b"half of it")
    time.sleep(0.5)
    with target.imap(login=target.alice) as i:
        assert b"MESSAGES 0" in b"".join(i.ask(f"STATUS {box} (MESSAGES)"))


def nested_multipart(depth):
    head = b"MIME-Version: 1.0\r\n"
    for k in range(depth):
        head += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (k, k)
    return head + b"Content-Type: text/plain\r\n\r\nend\r\n"


def nested_rfc822(depth):
    return b"Content-Type: message/rfc822\r\n\r\n" * depth + b"Subject: end\r\n\r\nend\r\n"


BOMBS = {
    "multipart 20000 deep": nested_multipart(20000),
    "rfc822 20000 deep": nested_rfc822(20000),
    "100000 parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100000 +
                    b"--b--\r\n",
    "40000 addresses": b"To: " + b",\r\n ".join(b"u%d@x.test" % k for k in range(40000)) + b"\r\n\r\nx\r\n",
    "20000 parameters": b"Content-Type: text/plain" + b"".join(b";\r\n p%d*%d=x" % (k, k) for k in range(20000)) +
                        b"\r\n\r\nx\r\n",
    "comments": b"From: " + b"(" * 50000 + b"a@x.test" + b")" * 50000 + b"\r\nSubject: " +
                b"=?utf-8?q?" + b"=41" * 50000 + b"?=\r\n\r\nx\r\n",
}


@pytest.mark.memory(64)
@pytest.mark.parametrize("what", sorted(BOMBS), ids=lambda w: f"I-026 {w}")
def test_bombs(target, token, what):
    box = load_box(target, token, 0)
    with target.imap(login=target.alice) as i:
        stored = i.append(box, BOMBS[what])
        assert b" OK" in stored or b" NO" in stored, stored
        if b" NO" in stored:
            return
        assert i.status(f"SELECT {box}")[0] == "OK"
        for command in ("FETCH 1 BODYSTRUCTURE", "FETCH 1 (ENVELOPE BODY)", "SEARCH SUBJECT x TEXT end",
                        "FETCH 1 BODY[1.1.1.1]", "UID FETCH 1:* (UID RFC822.SIZE BODY[HEADER.FIELDS (TO)])"):
            began = time.monotonic()
            lines = i.ask(command, timeout=20)
            took = time.monotonic() - began
            assert took < 3, f"{command}: {took:.1f} s"
            assert lines[-1] != b"", f"{command}: cut"
        works(i)


def test_I_028_other_users_names(target, token):
    with target.imap(login=target.bob) as i:
        i.status(f"CREATE secret{token}")
    forms = (f"secret{token}", f"user/bob/secret{token}", f"bob/secret{token}",
             f"Other Users/bob/secret{token}", "user/bob@example.test/INBOX", "../bob@example.test/INBOX",
             "~bob/INBOX")
    with target.imap(login=target.alice) as i:
        for verb in ("SELECT", "EXAMINE", "STATUS", "SUBSCRIBE", "DELETE"):
            for name in forms:
                tail = " (MESSAGES)" if verb == "STATUS" else ""
                real = i.status(f'{verb} "{name}"{tail}')
                none = i.status(f'{verb} "{name.replace("bob", "nix").replace("secret", "absent")}"{tail}')
                assert real[0] == none[0], (real, none)
                if verb != "SUBSCRIBE":  # a subscription may name what does not exist
                    assert real[0] == "NO", real
                words = [x[1].split(" ", 1)[1].replace("nix", "bob").replace("absent", "secret")
                         for x in (real, none)]
                assert words[0] == words[1], words
        assert token.encode() not in b"".join(i.ask('LIST "" "*"'))


@pytest.mark.parametrize("lines", [
    b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: y\r\nAccept: */*\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\na LOGOUT\r\n",
    b"EHLO client\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n",
    b"USER alice\r\nPASS x\r\nSTAT\r\nQUIT\r\n",
], ids=["I-031 GET", "I-031 POST", "I-031 SMTP", "I-031 POP3"])
def test_other_protocols(target, lines):
    with target.imap() as i:
        i.send(lines)
        said = until_end(i, 5)
        assert said.count(b"\r\n") <= 4, said
        assert b" OK" not in said
