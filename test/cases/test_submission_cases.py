# SPDX-License-Identifier: MIT
"""Attack cases U-001..U-009 and U-012 against a running server: submission and authentication.

POSTERN_CASES_FULL=1 takes 200 samples for the timing cases, else 30."""
import base64
import os
import statistics
import time

import pytest
from target import plain

SAMPLES = 200 if os.environ.get("POSTERN_CASES_FULL") else 30
MECHANISMS = {"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER"}


def b64(raw):
    return base64.b64encode(raw).decode()


def secured(target):
    s = target.submission()
    assert s.starttls().code == 220
    return s


def still_works(target):
    with target.submission(login=target.alice) as s:
        assert s.ask("NOOP").code == 250


def test_U_001_before_tls(target):
    with target.submission() as s:
        assert not any(x.startswith("AUTH") for x in s.offers), s.offers
        began = time.monotonic()
        answer = s.ask("AUTH PLAIN " + plain(target.alice, target.password(target.alice)))
        assert answer.code in (530, 538), answer
        assert time.monotonic() - began < 0.05, "slow enough to have looked the password up"
        assert s.ask("AUTH LOGIN").code in (530, 538)
        assert s.ask("MAIL FROM:<alice@example.test>").code == 530


def test_U_002_without_authentication(target):
    with secured(target) as s:
        assert s.ask("MAIL FROM:<alice@example.test>").first == 5
        assert s.ask("RCPT TO:<bob@example.test>").first == 5
        assert s.ask("DATA").first == 5


def test_U_003_mechanisms(target):
    with secured(target) as s:
        line = next(x for x in s.offers if x.startswith("AUTH"))
        assert set(line.split()[1:]) <= MECHANISMS and "PLAIN" in line, line
        for name in ("NTLM", "CRAM-MD5", "DIGEST-MD5", "RPA", "ANONYMOUS", "EXTERNAL", "GSSAPI"):
            assert s.ask("AUTH " + name).code == 504


@pytest.mark.parametrize("what,line", [
    ("junk", "AUTH PLAIN !!!!"), ("bad padding", "AUTH PLAIN AGF="), ("one octet", "AUTH PLAIN A"),
    ("inner padding", "AUTH PLAIN AA==AAAA"), ("empty response", "AUTH PLAIN ="),
    ("no mechanism", "AUTH"), ("unknown", "AUTH XYZZY"), ("long name", "AUTH " + "A" * 500),
    ("no NUL", "AUTH PLAIN " + b64(b"alice")), ("one NUL", "AUTH PLAIN " + b64(b"\0alice")),
], ids=lambda x: "U-004 " + x if " " not in x or x.islower() else "")
def test_junk_responses(target, what, line):
    with secured(target) as s:
        answer = s.ask(line)
        assert answer.code in (500, 501, 504, 535), f"{what}: {answer}"
        assert s.ask("NOOP").code == 250
    still_works(target)


def test_U_004_cancelled(target):
    with secured(target) as s:
        assert s.ask("AUTH PLAIN").code == 334
        assert s.ask("*").code == 501
        assert s.ask("AUTH LOGIN").code == 334
        assert s.ask(b64(target.alice.encode())).code == 334
        assert s.ask("*").code == 501
        assert s.ask("AUTH LOGIN").code == 334
        assert s.ask("!!!").code in (501, 535)
    still_works(target)


def test_U_004_a_mebibyte(target):
    with secured(target) as s:
        s.send("AUTH PLAIN ")
        for _ in range(16):
            if not s.send("A" * 65536):
                break
        s.send("\r\n")
        answer = s.reply()
        assert answer.code in (0, 500, 501, 535), answer
        assert answer.code == 0 or s.until_closed(5) or s.ask("NOOP").code in (0, 250)
    still_works(target)


USERS = [
    b"alice@example.test\0extra", b"alice@example.test\nfailed login for root", b"%u", b"*", b"al*ce@example.test",
    b"' OR '1'='1", b"alice@example.test' --", b"*)(uid=*))(|(uid=*", b"\xff\xfe", b"\xc3\x28",
    b"alice@example.test\r\nX: y", b"\x1b[31m", b"../alice", b"a" * 5000, b"", b"@", b"@example.test",
]


@pytest.mark.parametrize("n", range(len(USERS)), ids=lambda n: f"U-005 {ascii(USERS[n])[2:22]}")
def test_hostile_users(target, n):
    began = time.monotonic()
    with secured(target) as s:
        answer = s.ask("AUTH PLAIN " + b64(b"\0" + USERS[n] + b"\0password"))
        assert answer.code in (501, 535), answer
    lines = target.log(time.monotonic() - began)
    assert all(x[:4].isdigit() and x[10:11] == "T" for x in lines), "a line of the log is not ours"


def test_U_005_foreign_authorization_identity(target):
    with secured(target) as s:
        answer = s.ask("AUTH PLAIN " + plain(target.alice, target.password(target.alice),
                                             authzid=target.bob))
        assert answer.code == 535, answer


def timed_logins(target, users, samples):
    """Per user: the answers' texts and the seconds they took, taken in turns."""
    texts, seconds = {u: set() for u in users}, {u: [] for u in users}
    for k in range(samples):
        for u in users:
            with secured(target) as s:
                began = time.monotonic()
                answer = s.ask("AUTH PLAIN " + plain(u, f"wrong-{k}"))
                seconds[u].append(time.monotonic() - began)
                texts[u].add(answer.raw)
    return texts, seconds


def rank_z(a, b):
    """z of the Mann-Whitney rank sum test, without the correction for ties"""
    ranked = sorted([(x, 0) for x in a] + [(x, 1) for x in b])
    rank_sum = sum(i + 1 for i, (_, which) in enumerate(ranked) if which == 0)
    n, m = len(a), len(b)
    mean, sd = n * (n + m + 1) / 2, (n * m * (n + m + 1) / 12) ** 0.5
    return abs(rank_sum - mean) / sd


def test_U_006_U_007_unknown_user_looks_like_a_wrong_password(target):
    users = (target.bob, "nobody-here@example.test")
    texts, seconds = timed_logins(target, users, SAMPLES)
    assert len(texts[users[0]] | texts[users[1]]) == 1, texts
    a, b = (statistics.median(seconds[u]) for u in users)
    near = abs(a - b) < 0.003 and abs(a - b) < 0.05 * max(a, b)
    assert near or rank_z(*(seconds[u] for u in users)) < 3.3, f"medians {a:.5f} and {b:.5f} s"


@pytest.mark.parametrize("length", [1025, 8000, 1 << 20], ids=lambda n: f"U-008 {n}")
def test_long_password(target, length):
    with secured(target) as s:
        reference = []
        for k in range(3):
            with secured(target) as other:
                began = time.monotonic()
                other.ask("AUTH PLAIN " + plain(target.bob, f"wrong-{k}"))
                reference.append(time.monotonic() - began)
        began = time.monotonic()
        s.send("AUTH PLAIN " + b64(b"\0" + target.alice.encode() + b"\0" + b"p" * length) + "\r\n")
        answer = s.reply()
        took = time.monotonic() - began
        assert answer.code in (0, 500, 501, 535), answer
        if length < 10000 and not target.peer:
            assert took < max(0.5 * min(reference), 0.01), f"{took:.4f} s: hashed? ({reference})"
    still_works(target)


def test_U_009_authenticate_twice(target):
    with target.submission(login=target.alice) as s:
        again = "AUTH PLAIN " + plain(target.alice, target.password(target.alice))
        assert s.ask(again).code == 503
        assert s.ask("MAIL FROM:<alice@example.test>").code == 250
        assert s.ask(again).code == 503
    with secured(target) as s:
        s.ask("MAIL FROM:<alice@example.test>")
        assert s.ask("AUTH PLAIN " + plain(target.alice, "wrong")).code in (503, 535)


def test_U_009_mail_as_another(target):
    with target.submission(login=target.alice) as s:
        answer = s.ask("MAIL FROM:<bob@example.test>")
        if answer.code == 250:
            answer = s.ask("RCPT TO:<bob@example.test>")
        assert answer.startswith("553 5.7.1"), answer


FORMS_OF_ANOTHER = {
    "another's": "From: bob@example.test", "a stranger's": "From: ceo@bank.example",
    "two fields": "From: alice@example.test\r\nFrom: bob@example.test",
    "two in one": "From: alice@example.test, bob@example.test", "blank before": " From: bob@example.test\r\nFrom: alice@example.test",
    "blank behind": "From : bob@example.test\r\nFrom: alice@example.test", "group": "From: alice@example.test: bob@example.test;",
    "route": "From: <@alice@example.test,@x.example:bob@example.test>", "none": "X-From: alice@example.test",
    "another behind the address": "From: <alice@example.test>bob@example.test",
}


@pytest.mark.parametrize("form", FORMS_OF_ANOTHER, ids=lambda x: x.replace(" ", "_"))
def test_U_012_header_from_as_another(target, token, form):
    if target.peer:
        pytest.skip("Postfix does not look")
    with target.submission(login=target.alice) as s:
        for line in ("MAIL FROM:<alice@example.test>", "RCPT TO:<bob@example.test>"):
            assert s.ask(line).code == 250
        assert s.ask("DATA").code == 354
        s.send(f"{FORMS_OF_ANOTHER[form]}\r\nSubject: {token}\r\n\r\nHello.\r\n.\r\n")
        answer = s.reply()
        assert answer.code == 550, answer
        # the right one goes
        for line in ("MAIL FROM:<alice@example.test>", "RCPT TO:<bob@example.test>"):
            assert s.ask(line).code == 250
        assert s.ask("DATA").code == 354
        s.send(f'From: "bob@example.test" <alice@example.test>\r\nSubject: {token}\r\n\r\nHello.\r\n.\r\n')
        assert s.reply().code == 250
