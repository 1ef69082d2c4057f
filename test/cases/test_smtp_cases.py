# SPDX-License-Identifier: MIT
"""Attack cases S-001..S-046 and S-050..S-082 against a running server, over real sockets. The number
in a test's id is the case's; what a case expects stands in its assertions."""
import re
import ssl
import time

import pytest


SEQUENCES = {
    1: b"\n.\n", 2: b"\r\n.\n", 3: b"\n.\r\n", 4: b"\r.\r", 5: b"\r\n.\r", 6: b"\r.\r\n",
    7: b"\n.\r", 8: b"\r\r\n.\r\r\n", 9: b"\r\n\0.\r\n", 10: b"\r\n.\0\r\n", 11: b"\r\n.\r\r\n",
    12: b"\r\n. \r\n", 13: b"\r\n.\v\r\n", 14: b"\x85.\x85",
}


def head(token, subject="case"):
    return (f"From: <someone@sender.test>\r\nTo: <alice@example.test>\r\nSubject: {subject} {token}\r\n"
            "\r\n").encode()


def printable_replies(raw):
    bad = bytes(b for b in raw if b not in b"\r\n" and not 0x20 <= b <= 0x7e)
    assert not bad, f"octets {bad!r} in replies {raw[:300]!r}"


@pytest.mark.parametrize("n", sorted(SEQUENCES), ids=lambda n: f"S-{n:03d}")
def test_smuggling(target, token, n):
    seq = SEQUENCES[n]
    with target.box(target.alice) as box:
        before = box.count()
        with target.smtp() as s:
            assert [r.code for r in s.envelope(target.alice)] == [250, 250]
            assert s.ask("DATA").code == 354
            s.send(head(token) + b"first" + seq + b"MAIL FROM:<evil@sender.test>\r\n"
                   b"RCPT TO:<alice@example.test>\r\nDATA\r\n" + head(token, "smuggled") +
                   b"second\r\n.\r\n")
            replies = s.all_replies(1.0)
        assert len(replies) == 1, f"more than one reply to one message: {replies}"
        assert replies[0].code != 354
        bare = re.search(rb"\r(?!\n)|(?<!\r)\n", seq) is not None
        if bare:
            assert replies[0].startswith("550 5.5.2"), replies
        if b"\0" in seq:
            assert replies[0].first == 5, replies
        time.sleep(0.3)
        stored = box.count() - before
        assert stored == (1 if replies[0].code == 250 else 0)


def test_S_015_end_of_data_in_five_segments(target, token):
    with target.smtp() as s:
        s.envelope(target.alice)
        assert s.ask("DATA").code == 354
        s.send(head(token) + b"body")
        for octet in (b"\r", b"\n", b".", b"\r", b"\n"):
            time.sleep(0.15)
            s.send(octet)
        assert s.reply().code == 250
        assert s.ask("NOOP").code == 250
    with target.box(target.alice) as box:
        assert len(box.find(token)) == 1


def test_S_016_line_feeds_between_commands(target):
    with target.smtp(ehlo=False) as s:
        s.send(b"EHLO a\nMAIL FROM:<x@sender.test>\nRCPT TO:<alice@example.test>\r\n")
        replies = s.all_replies()
        assert [r.code for r in replies].count(250) < 2
        assert any(r.startswith("500 5.5.2") for r in replies), replies


@pytest.mark.parametrize("how", ["close", "reset"])
def test_S_017_gone_before_the_dot(target, token, how):
    with target.box(target.alice) as box:
        s = target.smtp()
        s.envelope(target.alice)
        assert s.ask("DATA").code == 354
        s.send(head(token) + b"half a message\r\n")
        s.reset() if how == "reset" else s.close()
        time.sleep(1)
        assert box.find(token, within=0) == []
        assert target.server.queue_length() == 0


def test_S_018_dots(target, token):
    with target.smtp() as s:
        assert s.message(target.alice, head(token) + b"..\r\n...\r\n.x\r\nend").code == 250
    with target.box(target.alice) as box:
        stored = box.find(token)
        assert len(stored) == 1
        assert stored[0].partition(b"\r\n\r\n")[2] == b".\r\n..\r\nx\r\nend\r\n"


def test_S_020_early_talker(target, token):
    early = (b"EHLO a\r\nMAIL FROM:<x@sender.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n" +
             head(token) + b"x\r\n.\r\n")
    with target.smtp(greet=False, early=early) as s:
        replies = s.all_replies(2.0)
        assert 354 not in [r.code for r in replies], replies
        assert s.closed or any(r.startswith("554 5.5.1") for r in replies), replies
    with target.box(target.alice) as box:
        assert box.find(token, within=0.5) == []


def test_S_021_plaintext_behind_starttls(target):
    with target.smtp() as s:
        s.send(b"STARTTLS\r\nEHLO injected\r\nNOOP\r\n")
        if s.reply().code != 220:
            assert s.until_closed(5)
            return
        try:
            s.tls()
        except (ssl.SSLError, OSError):
            return  # cut: nothing was run
        assert s.quiet(1.5) == b"", "injected commands were answered after the handshake"
        assert s.ehlo().code == 250


def test_S_022_starttls_misuse(target):
    with target.smtp() as s:
        assert s.ask("STARTTLS now").code == 501
        assert s.ask("MAIL FROM:<x@sender.test>").code == 250
        assert s.starttls().code in (220, 503)
    with target.smtp() as s:
        s.ask("MAIL FROM:<x@sender.test>")
        if s.ask("STARTTLS").code == 220:
            s.tls()
            assert s.ask("RCPT TO:<alice@example.test>").code == 503
    with target.smtp() as s:
        assert s.starttls().code == 220
        assert "STARTTLS" not in s.offers
        assert s.ask("STARTTLS").code in (503, 554)


def test_S_023_text_instead_of_a_handshake(target):
    with target.smtp() as s:
        assert s.ask("STARTTLS").code == 220
        s.send(b"EHLO a\r\nMAIL FROM:<x@sender.test>\r\n" * 10)
        assert s.until_closed(10)
        assert b"250" not in s.buf
    with target.smtp(greet=False) as s:
        s.reply()
        s.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) + b"\r\n" * 4)
        assert s.until_closed(10)
        assert b"250" not in s.buf


def test_S_024_no_ehlo_one_segment(target, token):
    with target.smtp(ehlo=False) as s:
        s.send(b"MAIL FROM:<x@sender.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n" +
               head(token) + b"x\r\n.\r\n")
        replies = s.all_replies()
        assert 354 not in [r.code for r in replies]
        assert replies[0].code == 503


def test_S_025_out_of_order(target):
    with target.smtp(ehlo=False) as s:
        assert s.ask("MAIL FROM:<x@sender.test>").code == 503
        assert s.ehlo().code == 250
        assert s.ask("RCPT TO:<alice@example.test>").code == 503
        assert s.ask("DATA").code in (503, 554)
        assert s.ask("MAIL FROM:<x@sender.test>").code == 250
        assert s.ask("MAIL FROM:<y@sender.test>").code == 503
        assert s.ask("DATA").code in (503, 554)
        assert s.ask("RSET").code == 250
        assert s.ask("RCPT TO:<alice@example.test>").code == 503


def test_S_026_after_a_rejected_message(target, token):
    with target.smtp() as s:
        assert s.message(target.alice, head(token) + b"bare\nfeed").first == 5
        assert s.ask("RCPT TO:<alice@example.test>").code == 503
        assert s.ask("DATA").code == 503


@pytest.mark.parametrize("length", [513, 2047, 2049, 4096, 65000, 100000])
def test_S_030_long_lines(target, length):
    with target.smtp() as s:
        answer = s.ask(b"NOOP " + b"x" * (length - 7))
        if length > 2048:
            assert answer.startswith("500 5.5.2") or (length > 65536 and answer.code == 0), answer
        else:
            assert answer.code in (250, 500, 501)


def test_S_031_endless_line(target):
    with target.smtp() as s:
        sent = 0
        while sent < 32 << 20 and s.send(b"x" * 65536):
            sent += 65536
            if s._more(0) or s.closed:
                pass
        assert s.until_closed(10), f"still open after {sent} octets"
        assert sent < 32 << 20, "32 MiB without a line end were taken"


def test_S_032_noop_flood(target):
    with target.smtp() as s:
        answers = []
        for _ in range(2000):
            answers.append(s.ask("NOOP"))
            if answers[-1].first != 2:
                break
        assert len(answers) <= 200 and answers[-1].code == 421, (len(answers), answers[-1])


def test_S_033_unknown_commands(target):
    with target.smtp() as s:
        n = 0
        while n < 100:
            answer = s.ask(f"XYZZY{n}")
            n += 1
            if answer.code in (0, 421):
                break
            assert answer.code in (500, 502)
        assert n <= 21 and s.until_closed(5)


def test_S_034_many_recipients(target):
    with target.smtp() as s:
        s.ask("MAIL FROM:<x@sender.test>")
        at, first = None, 0
        for base in range(0, 1500, 100):
            s.send(b"RCPT TO:<alice@example.test>\r\n" * 100)
            for k in range(100):
                answer = s.reply()
                if answer.code != 250:
                    at, first = base + k + 1, answer
                    break
            if at:
                break
        assert at is not None and at <= 1001, f"{at} recipients"
        assert first.startswith("452 4.5.3"), first


def test_S_035_unknown_recipients(target):
    with target.smtp() as s:
        s.ask("MAIL FROM:<x@sender.test>")
        n = 0
        while n < 200:
            answer = s.ask(f"RCPT TO:<nobody{n}@example.test>")
            n += 1
            if answer.code in (0, 421):
                break
            assert answer.startswith("550 5.1.1"), answer
        assert n <= 25 and s.until_closed(5), n


def test_S_036_no_oracle(target):
    with target.smtp() as s:
        for verb in ("VRFY", "EXPN"):
            known, unknown = s.ask(f"{verb} alice"), s.ask(f"{verb} nobody")
            assert known.code in (252, 502) and known.code == unknown.code
            assert known.replace("alice", "nobody") == unknown


@pytest.mark.parametrize("size", ["999999999999", str(2**64), str(2**128), "-1", "0x10",
                                  "10 SIZE=10", ""], ids=lambda s: f"S-037 {s[:22]}")
def test_size_parameter(target, size):
    with target.smtp() as s:
        answer = s.ask(f"MAIL FROM:<x@sender.test> SIZE={size}")
        assert answer.code in (552, 501), answer
        assert s.ask("NOOP").code == 250


@pytest.mark.memory(64)
def test_S_039_over_the_size(target, token):
    with target.smtp() as s:
        limit = next(int(x.split()[1]) for x in s.offers if x.startswith("SIZE"))
        assert 0 < limit <= 1 << 30
        s.envelope(target.alice)
        assert s.ask("DATA").code == 354
        s.send(head(token))
        block = (b"0123456789" * 7 + b"\r\n") * 1000
        for _ in range((limit + (1 << 20)) // len(block) + 1):
            if not s.send(block):
                break
        s.send(b".\r\n")
        assert s.reply(30).startswith("552 5.3.4")
        assert s.ask("NOOP").code == 250


BIG = {
    "S-040 12 MiB of headers": b"".join(b"X-%d: %s\r\n" % (i, b"v" * 70) for i in range(160000)),
    "S-041 one 4 MiB folded field": b"X-Folded: a\r\n" + (b" " + b"f" * 70 + b"\r\n") * 57000,
}


@pytest.mark.memory(64)
@pytest.mark.parametrize("what", sorted(BIG))
def test_big_headers(target, token, what):
    with target.smtp() as s:
        s.envelope(target.alice)
        assert s.ask("DATA").code == 354
        s.send(BIG[what] + head(token) + b"body")
        began = time.monotonic()
        s.send(b"\r\n.\r\n")
        answer = s.reply(30)
        assert answer.code in (250, 552, 554) and time.monotonic() - began < 2, answer
        assert s.ask("NOOP").code == 250


@pytest.mark.memory(64)
def test_S_042_line_of_4_mib(target, token):
    with target.smtp() as s:
        s.envelope(target.alice)
        assert s.ask("DATA").code == 354
        s.send(head(token) + b"L" * (4 << 20))
        began = time.monotonic()
        s.send(b"\r\n.\r\n")
        answer = s.reply(30)
        assert time.monotonic() - began < 2
    if answer.code == 250:
        with target.box(target.alice) as box:
            assert b"\r\n" + b"L" * (4 << 20) + b"\r\n" in box.find(token)[0], "the line was broken"
    else:
        assert answer.first == 5, answer


@pytest.mark.parametrize("what,body", [
    ("S-043 NUL in the header", b"X-Nul: a\0b\r\n\r\nbody"),
    ("S-043 NUL in the body", b"\r\nbo\0dy"),
    ("S-044 bare CR hides Bcc", b"X-A: 1\rBcc: victim@example.test\r\n\r\nbody"),
], ids=lambda x: x if isinstance(x, str) else "")
def test_ambiguous_octets(target, token, what, body):
    with target.smtp() as s:
        answer = s.message(target.alice, head(token)[:-2] + body)
        wanted = ("550 5.6.0",) if "NUL" in what else ("550 5.6.0", "550 5.5.2")
        assert answer.startswith(wanted), answer
        assert s.ask("NOOP").code == 250


@pytest.mark.parametrize("verb", [
    b"NOOP\x1b[31m", b"EHLO \x1b]0;x\x07", b"XX\x07YY", b"HELP \xff\xfe", b"MAIL FROM:<\xe9@sender.test>",
    b"MAIL FROM:<a@\xc3\xa9.test>", b"RCPT TO:<\x9b31m@example.test>", b"\xff\xff\xff", b"VRFY \x1b[2J",
], ids=lambda v: "S-045 " + ascii(v)[2:-1])
def test_control_octets_in_commands(target, verb):
    with target.smtp() as s:
        answer = s.ask(verb)
        printable_replies(answer.raw)
        # NOOP, VRFY and HELP may take any text; an address or an unknown verb may not
        if not verb.startswith((b"NOOP", b"HELP", b"VRFY")):
            assert answer.first == 5, answer


@pytest.mark.parametrize("tail", [b"", b" SMTPUTF8"], ids=["S-046 plain", "S-046 SMTPUTF8"])
@pytest.mark.parametrize("address", [b"\xc3\x28@sender.test", b"\xf0\x28\x8c\xbc@sender.test",
                                     b"\xed\xa0\x80@sender.test", b"\xc0\xaf@sender.test"])
def test_bad_utf8(target, address, tail):
    with target.smtp() as s:
        answer = s.ask(b"MAIL FROM:<" + address + b">" + tail)
        assert answer.first == 5, answer
        answer.raw.decode("utf-8")
        printable_replies(answer.raw)


RELAY = [
    b"victim@relay.test", b"victim%relay.test@example.test", b"victim%relay.test",
    b"@example.test:victim@relay.test", b"@example.test,@relay.test:victim@relay.test",
    b"relay.test!victim", b"relay.test!victim@example.test", b'"victim@relay.test"',
    b'"victim@relay.test"@example.test', b'"victim%relay.test"@example.test', b'"victim%relay.test"',
    b"victim@relay.test@example.test", b"victim@example.test@relay.test", b"victim@[127.0.0.1]",
    b"victim@[192.0.2.1]", b"victim@[IPv6:::1]", b"victim@relay.test.", b"victim@2130706433",
    b"victim@127.0.0.1", b"victim(comment)@relay.test", b"victim@relay.test(@example.test)",
    b"victim\\@relay.test", b"victim\\@relay.test@example.test", b"victim@relay.test\0@example.test",
    b"victim..x@relay.test", b"victim@relay..test", b"victim@[0x7f.0.0.1]", b"victim@0x7f000001",
]


@pytest.mark.parametrize("sender", [b"x@foreign.test", b"", b"alice@example.test"],
                         ids=["foreign", "empty", "local"])
@pytest.mark.parametrize("n", range(len(RELAY)), ids=lambda n: f"S-{50 + n:03d}")
def test_relay(target, n, sender):
    with target.smtp() as s:
        mail = s.ask(b"MAIL FROM:<" + sender + b">")
        if mail.first == 5:
            return
        answer = s.ask(b"RCPT TO:<" + RELAY[n] + b">")
        assert answer.first == 5, f"{RELAY[n]!r}: {answer}"
        printable_replies(answer.raw)


def test_S_078_postmaster(target):
    with target.smtp() as s:
        s.ask("MAIL FROM:<x@sender.test>")
        assert s.ask("RCPT TO:<Postmaster>").code == 250


LOCALS = [
    b";sleep 66;", b"`sleep 66`", b"$(sleep 66)", b"${run{/bin/sleep 66}}", b"|id", b"|/bin/sh",
    b"/etc/passwd", b":include:/etc/passwd", b"../../etc/passwd", b"../alice", b"./alice", b"alice/",
    b"-oQ/tmp -X/tmp/x", b"-bi", b"%n%n%n%n", b"%s%s%s", b"%u", b'""', b'"\\"', b'"', b"<alice>",
    b"a" * 65, b"a" * 256, b"a" * 1000, b"a" * 3000, b'"a\r\nRCPT TO:<alice"', b'"a\rb"', b'"a\nb"',
    b"alice\0", b"\0", b"' OR 1=1 --", b"*", b"alice,bob", b"~root",
]


@pytest.mark.parametrize("n", range(len(LOCALS)), ids=lambda n: f"S-080 {ascii(LOCALS[n])[2:24]}")
def test_hostile_local_part(target, n):
    with target.smtp() as s:
        s.ask("MAIL FROM:<x@sender.test>")
        began = time.monotonic()
        s.send(b"RCPT TO:<" + LOCALS[n] + b"@example.test>\r\n")
        answer = s.reply()
        assert time.monotonic() - began < 1
        assert answer.first in (0, 5), f"{LOCALS[n]!r}: {answer}"
        printable_replies(answer.raw)


PARAMETERS = [
    b"MAIL FROM:<x@sender.test> AUTH=+0A", b"MAIL FROM:<x@sender.test> AUTH=+0D+0Ax",
    b"MAIL FROM:<x@sender.test> ENVID=+00", b"MAIL FROM:<x@sender.test> ENVID=+0D+0A",
    b"MAIL FROM:<x@sender.test> ENVID=" + b"x" * 200, b"MAIL FROM:<x@sender.test> BODY=7BIT BODY=8BITMIME",
    b"MAIL FROM:<x@sender.test> SIZE=1 SIZE=2", b"MAIL FROM:<x@sender.test> FROBNICATE=1",
    b"MAIL FROM:<x@sender.test> BODY=", b"MAIL FROM:<x@sender.test> =x",
    b"RCPT TO:<alice@example.test> NOTIFY=NEVER,SUCCESS",
    b"RCPT TO:<alice@example.test> ORCPT=rfc822;+00@x", b"RCPT TO:<alice@example.test> WHAT=ever",
]


@pytest.mark.parametrize("n", range(len(PARAMETERS)), ids=lambda n: f"S-081 {n}")
def test_hostile_parameters(target, n):
    with target.smtp() as s:
        if PARAMETERS[n].startswith(b"RCPT"):
            s.ask("MAIL FROM:<x@sender.test>")
        answer = s.ask(PARAMETERS[n])
        assert answer.code in (501, 555), f"{PARAMETERS[n][:60]!r}: {answer}"
        assert s.ask("NOOP").code == 250


@pytest.mark.parametrize("verb", [b"MAIL FROM:<x@sender.test>\0", b"MA\0IL FROM:<x@sender.test>",
                                  b"EHLO a\0b", b"NOOP\rNOOP", b"MAIL FROM:<x@sender.test>\rRCPT TO:<alice@example.test>",
                                  b"\0NOOP"], ids=lambda v: "S-082 " + ascii(v)[2:20])
def test_nul_and_cr_inside_commands(target, verb):
    with target.smtp() as s:
        s.send(verb + b"\r\n")
        replies = s.all_replies(0.7)
        assert len(replies) == 1 and replies[0].code in (500, 501), replies
