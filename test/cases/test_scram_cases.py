# SPDX-License-Identifier: MIT
"""SCRAM against a running server, with a client that binds to its TLS session: U-018, U-006 and U-007 for SCRAM, and names
and passwords beyond ASCII. POSTERN_CASES_FULL=1 takes 200 samples for the timing case; otherwise it is left out."""
import os
import statistics
import time
import unicodedata

import pytest
from scram import Bound, Client, imap_login, smtp_login
from target import plain

PASSWORD = "Gr\u00fc\u00dfe an J\u00f6rg"
PLUS = "SCRAM-SHA-256-PLUS"


def bound_smtp(target):
    s = Bound(target.host, target.ports["submissions"])
    assert s.greeting.startswith(b"220 "), s.greeting
    assert s.ask("EHLO client.sender.test").startswith("250")
    return s


def bound_imap(target):
    i = Bound(target.host, target.ports["imaps"])
    assert i.greeting.startswith(b"* OK"), i.greeting
    return i


def alice(target, **more):
    return Client(target.alice, target.password(target.alice), **more)


def test_bound_for_real(target):
    with bound_smtp(target) as s:
        answer = smtp_login(s.ask, PLUS, alice(target, flag="p=tls-exporter", binding=s.binding))
        assert answer.startswith("235 "), answer
        assert s.ask("MAIL FROM:<alice@example.test>").startswith("250 ")
    with bound_imap(target) as i:
        answer = imap_login(i.ask, PLUS, alice(target, flag="p=tls-exporter", binding=i.binding))
        assert answer.startswith("a OK"), answer
        assert i.ask("b SELECT INBOX").startswith("b OK")


@pytest.mark.parametrize("protocol", ["smtp", "imap"])
@pytest.mark.parametrize("what,mechanism,flag,header,taken", [
    ("a forged binding", PLUS, "p=tls-exporter", None, False),
    ("n where PLUS was chosen", PLUS, "n", None, False),
    ("y where PLUS was offered", "SCRAM-SHA-256", "y", None, False),
    ("y that was n on the way", "SCRAM-SHA-256", "y", "n,,", False),
    ("n that was y on the way", "SCRAM-SHA-256", "n", "y,,", False),
    ("p without PLUS", "SCRAM-SHA-256", "p=tls-exporter", None, False),
    ("another type of binding", PLUS, "p=tls-unique", None, False),
    ("a client that cannot bind", "SCRAM-SHA-256", "n", None, True),  # decision 0063
], ids=lambda v: f"U-018 {v}" if isinstance(v, str) and " " in v else None)
def test_binding(target, protocol, what, mechanism, flag, header, taken):
    binding = b"\x55" * 32 if flag.startswith("p") else b""
    with (bound_smtp if protocol == "smtp" else bound_imap)(target) as c:
        login = smtp_login if protocol == "smtp" else imap_login
        answer = login(c.ask, mechanism, alice(target, flag=flag, binding=binding), header)
        assert answer.startswith(("235 ", "a OK")) == taken, (what, answer)
        if not taken:
            assert answer.startswith(("535 ", "a NO [AUTHENTICATIONFAILED]")), answer


def test_U_006_same_words_for_nobody(target):
    said = {}
    for name in (target.alice, "nobody@example.test", "nobody@far.test"):
        with target.submission() as s:
            s.starttls()
            c = Client(name, "wrong password")
            first = s.ask("AUTH SCRAM-SHA-256 " + c.first())
            said[name] = len(first), s.ask(c.final(first[4:])).raw
    assert len(set(said.values())) == 1, said


def test_replayed_proof(target):
    with target.submission() as s:
        s.starttls()
        c = alice(target)
        final = c.final(s.ask("AUTH SCRAM-SHA-256 " + c.first())[4:])
        assert s.ask(final).code == 334 and s.ask("").code == 235
    with target.submission() as s:
        s.starttls()
        assert s.ask("AUTH SCRAM-SHA-256 " + c.first()).code == 334
        assert s.ask(final).code == 535


if os.environ.get("POSTERN_CASES_FULL"):  # wall time: not on a machine that does other things
    def test_U_007_same_time_for_nobody(target):
        took = {target.alice: [], "nobody@example.test": []}
        for _ in range(200):
            for name, times in took.items():
                with target.submission() as s:
                    s.starttls()
                    c = Client(name, "wrong password")
                    began = time.perf_counter()
                    first = s.ask("AUTH SCRAM-SHA-256 " + c.first())
                    asked = time.perf_counter() - began
                    final = c.final(first[4:])
                    began = time.perf_counter()
                    assert s.ask(final).code == 535
                    times.append(asked + time.perf_counter() - began)
        known, unknown = took.values()
        ranks = sorted((t, i) for i, ts in enumerate((known, unknown)) for t in ts)
        n = len(known)
        u = sum(r + 1 for r, (_, i) in enumerate(ranks) if i == 0) - n * (n + 1) / 2
        z = (u - n * n / 2) / (n * n * (2 * n + 1) / 12) ** 0.5
        medians = [statistics.median(t) * 1000 for t in (known, unknown)]
        print(f"medians {medians[0]:.3f} and {medians[1]:.3f} ms, z {z:.2f}")
        assert abs(z) < 3.3 or abs(medians[0] - medians[1]) < min(3, 0.05 * max(medians)), (medians, z)


@pytest.fixture(scope="module")
def joerg(target):
    """An account whose name and password are beyond ASCII, typed in the decomposed form."""
    target.server.add_account(unicodedata.normalize("NFD", "j\u00f6rg@example.test"), unicodedata.normalize("NFD", PASSWORD))
    return "j\u00f6rg@example.test"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_login_beyond_ascii(target, joerg, form):
    """One account, however its name and password are typed: PLAIN, LOGIN and IMAP."""
    name, password = (unicodedata.normalize(form, x) for x in (joerg, PASSWORD))
    with target.submission() as s:
        s.starttls()
        assert s.ask("AUTH PLAIN " + plain(name, password)).code == 235
    with target.imap() as i:
        answer = i.ask("AUTHENTICATE PLAIN " + plain(name, password))
        assert b" OK" in answer[-1][:8], answer
        assert b" OK" in i.ask("SELECT INBOX")[-1][:8]
    with target.submission() as s:
        s.starttls()
        assert s.ask("AUTH PLAIN " + plain(name, password + "x")).code == 535


def test_scram_beyond_ascii(target, joerg):
    with bound_smtp(target) as s:
        assert smtp_login(s.ask, PLUS, Client(joerg, PASSWORD, "p=tls-exporter", s.binding)).startswith("235 ")
    with bound_imap(target) as i:
        assert imap_login(i.ask, PLUS, Client(joerg, PASSWORD, "p=tls-exporter", i.binding)).startswith("a OK")


def test_mail_beyond_ascii(target, joerg, token):
    """To the account from outside, and from the account to another: in the envelope, the header and the mailbox."""
    with target.smtp() as s:
        assert "SMTPUTF8" in s.offers
        assert s.ask(f"MAIL FROM:<{joerg}>").startswith("550 5.6.7")
        assert s.ask("MAIL FROM:<a@far.test>").code == 250
        assert s.ask(f"RCPT TO:<{joerg}>").startswith("553 5.6.7")
        s.ask("RSET")
        assert s.ask("MAIL FROM:<\u00fc@far.test> SMTPUTF8").code == 250
        assert s.ask(f"RCPT TO:<{unicodedata.normalize('NFD', joerg)}>").code == 250
        assert s.ask("RCPT TO:<n\u00f6body@example.test>").startswith("550 5.1.1")
        assert s.ask("DATA").code == 354
        s.send(f"From: <\u00fc@far.test>\r\nTo: <{joerg}>\r\nSubject: \u00fc {token}\r\n\r\nhello\r\n.\r\n")
        assert s.reply().code == 250
    with target.imap() as i:
        assert b" OK" in i.ask("AUTHENTICATE PLAIN " + plain(joerg, PASSWORD))[-1][:8]
        end = time.monotonic() + 10
        while True:
            i.ask("SELECT INBOX")
            found = b"".join(i.ask(f"SEARCH HEADER Subject {token}"))
            if b"* SEARCH 1" in found or time.monotonic() > end:
                break
            time.sleep(0.1)
        assert b"* SEARCH 1" in found, found
        text = b"".join(i.ask("FETCH 1:* BODY[]"))
        assert f"Subject: \u00fc {token}".encode() in text and b"UTF8SMTP" in text, text
    with target.submission() as s:
        s.starttls()
        assert s.ask("AUTH PLAIN " + plain(joerg, PASSWORD)).code == 235
        assert s.ask("MAIL FROM:<alice@example.test> SMTPUTF8").startswith("553 5.7.1")
        assert s.ask(f"MAIL FROM:<{joerg}> SMTPUTF8").code == 250
        assert s.ask(f"RCPT TO:<{target.alice}>").code == 250
        assert s.ask("DATA").code == 354
        s.send(f"From: <{joerg}>\r\nTo: <{target.alice}>\r\nSubject: back {token}\r\n\r\nhello\r\n.\r\n")
        assert s.reply().code == 250
    with target.box(target.alice) as box:
        assert f"From: <{joerg}>".encode() in box.find(token)[0]
