# SPDX-License-Identifier: MIT
"""Postfix, Exim and OpenSMTPD from Debian (test/tools/mtas.py) as receivers of our mail and as senders to us: STARTTLS,
PIPELINING, DSN, SMTPUTF8, BDAT, sizes and dots.

OpenSMTPD 6.8 of Debian 12 ends every handshake as a server with an internal error ("missing private key"; the same with
`openssl s_client`): its split of the private key does not work with OpenSSL 3, whatever its configuration (OpenSMTPD issues
1171 and 1239, repaired in 7.3 by pull request 1208). So it shows what happens then: a second connection in plain text. It
offers neither CHUNKING nor SMTPUTF8; Postfix and it send no BDAT."""
import email
import hashlib
import imaplib
import os
import re
import smtplib
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from elsewhere import PASSWORD, House, Names, free_port  # noqa: E402
from mtas import PEERS, Mta, say_message  # noqa: E402
from server import insecure_context  # noqa: E402

@pytest.fixture(scope="module")
def world(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("needs root, for mount namespaces and Postfix")
    d = str(tmp_path_factory.mktemp("peers"))
    for one in (d, os.path.dirname(d), os.path.dirname(os.path.dirname(d))):
        os.chmod(one, os.stat(one).st_mode | 0o111)
    port, peers = free_port(), {}
    with Names(d + "/names", [f"{n}.open.test. A {a}" for n, a in PEERS.items()]) as names, \
            House(names, port, "allow = {127.0.2.0/24}") as house:
        house.cli("alias", "add", "käthe@example.test", "alice@example.test")
        try:
            yield house, peers, d, port
        finally:
            for p in peers.values():
                p.stop()


def started(world, name, port, **more):
    """The server of this name; with more it is another one, which is begun once."""
    house, peers, d, _ = world
    key = name + str(sorted(more))
    if key not in peers:
        peers[key] = Mta(name, d, port, out=house.ports["submission" if more else "smtp"], **more)
        peers[key].start()
    return peers[key]


@pytest.fixture(params=list(PEERS))
def peer(request, world):
    port = world[3]
    return started(world, request.param, port)


@pytest.fixture
def house(world):
    return world[0]


def talk_of(house, peer, queue_id, delivered=1):
    """The conversation that delivered (with OpenSMTPD the one before it ended with the handshake)."""
    return house.wait_event("send.talk", queue_id=queue_id, host=f"{peer.name}.open.test", delivered=delivered)


def body_of(data):
    """Without the header, in LF lines, as a Maildir has them."""
    return data.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


def test_takes_mail_over_tls(house, peer):
    text = "Subject: tls-{0}\r\n\r\n.\r\n..two\r\nMAIL FROM:<x@y>\r\n\r\nend\r\n".format(peer.name)
    queue_id = house.submit(f"a@{peer.name}.open.test", text=text)
    talk = talk_of(house, peer, queue_id)
    if peer.name == "opensmtpd":  # see the docstring: encrypted is not to be had, plain text is
        assert "tls" not in talk, talk
        row = house.wait_event("send.tls", queue_id=queue_id)
        assert row["result"] == "validation-failure", row
    else:
        assert talk["tls"].startswith("TLSv1."), talk
    assert body_of(peer.message(f"tls-{peer.name}")) == b".\n..two\nMAIL FROM:<x@y>\n\nend\n"


def test_many_recipients_and_again(house, peer):
    """PIPELINING, and a second message over the same connection"""
    to = [f"r{i}@{peer.name}.open.test" for i in range(40)]
    for n in range(2):
        queue_id = house.submit(*to, text=f"Subject: many-{peer.name}-{n}\r\n\r\nx\r\n")
        talk = talk_of(house, peer, queue_id, 40)
    assert talk["reused"] == "1", talk
    peer.message(f"many-{peer.name}-1")


def test_large_message_arrives_whole(house, peer):
    """BDAT with Exim and Postfix, which offer CHUNKING; DATA with dots elsewhere"""
    lines = "".join(f"{'.' * (i % 4)}{hashlib.sha256(str(i).encode()).hexdigest()}\r\n" for i in range(60000))
    queue_id = house.submit(f"big@{peer.name}.open.test", text=f"Subject: big-{peer.name}\r\n\r\n{lines}")
    talk_of(house, peer, queue_id)
    want, end = lines.replace("\r\n", "\n").encode(), time.monotonic() + 20
    while body_of(peer.message(f"big-{peer.name}")) != want and time.monotonic() < end:
        time.sleep(0.2)  # it may still be writing
    assert body_of(peer.message(f"big-{peer.name}")) == want
    if peer.name == "exim":
        peer.wait_log(r" <= alice@example\.test .* K .*S=[34]\d{6}")
    elif peer.name == "postfix":  # it counts the commands when the connection ends
        peer.wait_log(r"disconnect from .* bdat=[1-9]")
        assert " data=" not in peer.log()


def test_eight_bit_content(house, peer):
    queue_id = house.submit(f"a@{peer.name}.open.test", options=["BODY=8BITMIME"],
                            text=f"Subject: eight-{peer.name}\r\n\r\nGr\u00fc\u00dfe\r\n")
    talk_of(house, peer, queue_id)
    assert body_of(peer.message(f"eight-{peer.name}")) == "Gr\u00fc\u00dfe\n".encode()


# ---- DSN and SMTPUTF8 towards them ------------------------------------------------------------------------------


def inbox(house, token, count=1, within=30.0):
    """The messages of alice's INBOX that hold token."""
    end = time.monotonic() + within
    while True:
        with imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], ssl_context=insecure_context()) as box:
            box.login("alice@example.test", PASSWORD)
            box.select("INBOX", readonly=True)
            found = [box.fetch(n, "(BODY.PEEK[])")[1][0][1] for n in box.search(None, "ALL")[1][0].split()]
        found = [f for f in found if token.encode() in f]
        if len(found) >= count:
            return found
        assert time.monotonic() < end, f"{len(found)} messages with {token}: {house.cli('log', '--last', '20').stdout}"
        time.sleep(0.2)


def reports(raw):
    """The delivery status of a report: [field set]"""
    found = [p for p in email.message_from_bytes(raw).walk() if p.get_content_type() == "message/delivery-status"]
    return found[0].get_payload() if found else []


def test_success_report_comes_back(house, peer):
    """They take the duty to report over (RFC 3461 5.2.2), and their report comes to alice through port 25."""
    token = f"dsn-{peer.name}-{os.getpid()}"
    queue_id = house.submit(f"a@{peer.name}.open.test", text=f"Subject: {token}\r\n\r\nx\r\n",
                            options=["RET=HDRS", f"ENVID={token}"],
                            rcpt_options=["NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;orig@{peer.name}.open.test"])
    talk_of(house, peer, queue_id)
    raw = inbox(house, token)[0]
    assert b"Return-Path: <>" in raw
    if peer.name == "opensmtpd":  # it reports in words alone
        assert b"successfully delivered" in raw, raw
        return
    fields = reports(raw)
    assert fields[1]["Action"] in ("delivered", "relayed"), fields[1]
    assert fields[1]["Original-Recipient"].replace(" ", "").lower() == f"rfc822;orig@{peer.name}.open.test", fields[1]


def test_smtputf8_is_not_to_be_had(world, house):
    """OpenSMTPD does not offer it: the mail comes back (RFC 6531 3.5), and nothing of it goes out."""
    peer = started(world, "opensmtpd", world[3])
    token = f"utf8-opensmtpd-{os.getpid()}"
    to = "k\u00e4the@opensmtpd.open.test"
    text = f"From: alice@example.test\r\nTo: {to}\r\nSubject: {token}\r\n\r\nx\r\n"
    with smtplib.SMTP_SSL("127.0.0.1", house.ports["submissions"], context=insecure_context(), timeout=30) as s:
        s.login("alice@example.test", PASSWORD)
        say_message(s, text.encode(), "alice@example.test", [to], ["SMTPUTF8", "BODY=8BITMIME"])
    raw = inbox(house, token)[0]
    assert b"Return-Path: <>" in raw and b"5.6.7" in raw, raw
    with pytest.raises(AssertionError):
        peer.message(token, within=0.5)


@pytest.mark.parametrize("name", ["postfix", "exim"])
def test_smtputf8(world, house, name):
    """With SMTPUTF8 an address and a header beyond ASCII arrive as they are."""
    peer = started(world, name, world[3])
    token = f"utf8-{name}-{os.getpid()}"
    text = f"From: alice@example.test\r\nTo: k\u00e4the@{name}.open.test\r\nSubject: Gr\u00fc\u00dfe {token}\r\n\r\nx\r\n"
    with smtplib.SMTP_SSL("127.0.0.1", house.ports["submissions"], context=insecure_context(), timeout=30) as s:
        s.login("alice@example.test", PASSWORD)
        queue_id = say_message(s, text.encode(), "alice@example.test", [f"k\u00e4the@{name}.open.test"],
                               ["SMTPUTF8", "BODY=8BITMIME"]).split()[-1]
    talk_of(house, peer, queue_id)
    got = peer.message(token)
    assert f"Subject: Gr\u00fc\u00dfe {token}".encode() in got
    assert f"To: k\u00e4the@{name}.open.test".encode() in got


# ---- they send to us --------------------------------------------------------------------------------------------


def test_they_send_to_port_25(house, peer):
    """STARTTLS, two recipients, dots, 8-bit content; BDAT from Exim"""
    token = f"in-{peer.name}-{os.getpid()}"
    lines = "".join(f"{'.' * (i % 4)}{hashlib.sha256(str(i).encode()).hexdigest()}\n" for i in range(2000)) + "Gr\u00fc\u00dfe\n"
    text = f"From: someone@{peer.name}.open.test\nSubject: {token}\n\n{lines}"
    peer.hand_in(text.replace("\n", "\r\n"), f"someone@{peer.name}.open.test", ["alice@example.test", "bob@example.test"],
                 ["BODY=8BITMIME"])
    got = email.message_from_bytes(inbox(house, token)[0])
    assert got["Return-Path"] == f"<someone@{peer.name}.open.test>"
    assert " with ESMTPS " in " ".join(got.get_all("Received")[0].split()) + " ", got.get_all("Received")[0]
    assert body_of(inbox(house, token)[0]) == lines.encode()
    if peer.name == "exim":
        assert " K " in next(x for x in peer.log().splitlines() if "=> alice@example.test" in x), "not by BDAT"
    elif peer.name == "postfix":  # all of the envelope before the reply to its first command
        said = re.findall(r"postfix/smtp\[\d+\]: ([<>]) 127\.0\.0\.1\S*: (\S+)", peer.log())
        at = next(i for i, x in enumerate(said) if x == (">", "MAIL"))
        heard = next(i for i in range(at, len(said)) if said[i][0] == "<")
        assert said[heard - 1] == (">", "DATA"), said[at:at + 8]


@pytest.mark.parametrize("name", list(PEERS))
def test_they_submit_to_port_587(world, house, name):
    """STARTTLS, authentication, and DSN parameters that we answer with a report of our own"""
    peer = started(world, name, free_port(), password=PASSWORD)
    token = f"sub-{name}-{os.getpid()}"
    peer.hand_in(f"From: alice@example.test\r\nSubject: {token}\r\n\r\nx\r\n", "alice@example.test",
                 ["bob@example.test"], ["RET=HDRS", f"ENVID={token}"], ["NOTIFY=SUCCESS", "ORCPT=rfc822;bobby@example.test"])
    raw = inbox(house, token)[0]
    fields = reports(raw)
    assert fields[1]["Action"] == "delivered" and fields[1]["Final-Recipient"].endswith("bob@example.test"), fields[1]
    assert fields[0]["Original-Envelope-Id"] == token
    assert fields[1]["Original-Recipient"].replace(" ", "") == "rfc822;bobby@example.test"


@pytest.mark.parametrize("name", ["postfix", "exim"])
def test_they_send_smtputf8(world, house, name):
    peer = started(world, name, world[3])
    token = f"utf8in-{name}-{os.getpid()}"
    text = f"From: j\u00fcrgen@{name}.open.test\r\nTo: k\u00e4the@example.test\r\nSubject: Gr\u00fc\u00dfe {token}\r\n\r\nx\r\n"
    peer.hand_in(text, f"j\u00fcrgen@{name}.open.test", ["k\u00e4the@example.test"], ["SMTPUTF8", "BODY=8BITMIME"])
    raw = inbox(house, token)[0]
    assert f"Subject: Gr\u00fc\u00dfe {token}".encode() in raw
    assert f"Return-Path: <j\u00fcrgen@{name}.open.test>".encode() in raw
    assert b"UTF8SMTPS" in raw
