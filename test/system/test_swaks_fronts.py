# SPDX-License-Identifier: MIT
"""swaks as a front end (XCLIENT, PROXY protocol 1 and 2), from an address that may be one and from one that may not, and as a
client that pipelines. Debian's swaks knows no CHUNKING: Exim sends BDAT (test_relay_peers.py)."""
import imaplib
import email
import email.policy
import os
import re
import smtplib

import pytest

from own import Own, wait_for
from server import insecure_context

PROXY, XCLIENT, NOBODY = "127.0.9.1", "127.0.9.2", "127.0.9.3"
CLIENT = "192.0.2.7"


@pytest.fixture(scope="module")
def house(target):
    if target.peer:
        pytest.skip("Postern's own configuration")
    os.environ.setdefault("POSTERN_TRY", target.server.dir)
    with Own(smtp=f"proxy_from = {{{PROXY}}} xclient_from = {{{XCLIENT}}}") as house:
        yield house


def swaks(run, house, token, source, *more, **kind):
    return run("swaks", "--server", house.host, "--port", house.ports["smtp"], "--local-interface", source, "--ehlo",
               "client.sender.test", "--from", "someone@sender.test", "--to", "alice@example.test,bob@example.test",
               "--header", f"Subject: {token}", "--body", "x\n.\n..", *more, **kind)


def proxy(version, client=CLIENT):
    return ["--proxy-version", version, "--proxy-family", "TCP4" if version == 1 else "AF_INET", "--proxy-source", client,
            "--proxy-source-port", 4711, "--proxy-dest", "192.0.2.25", "--proxy-dest-port", 25]


def received(house, token):
    """What the message says about where it came from."""
    def look():
        with imaplib.IMAP4_SSL(house.host, house.ports["imaps"], ssl_context=insecure_context()) as box:
            box.login("alice@example.test", house.password("alice@example.test"))
            box.select("INBOX", readonly=True)
            found = box.search(None, "SUBJECT", token)[1][0].split()
            return box.fetch(found[0], "(BODY.PEEK[])")[1][0][1] if found else None
    m = email.message_from_bytes(wait_for(look), policy=email.policy.default)
    assert m.get_content().replace("\r\n", "\n").rstrip() == "x\n.\n.."
    return m.get_all("Received")[0]


@pytest.mark.parametrize("version", [1, 2])
def test_proxy_from_a_listed_address(house, run, token, version):
    swaks(run, house, token, PROXY, *proxy(version))
    assert f"[{CLIENT}]" in received(house, token)
    assert any(e["ip"] == CLIENT and e["port"] == "4711" for e in house.events("conn.open"))


def test_front_end_without_its_header_is_cut(house, run, token):
    done = swaks(run, house, token, PROXY, expect=None)
    assert done.returncode != 0 and " 250" not in done.stdout, done.stdout


@pytest.mark.parametrize("version", [1, 2])
def test_proxy_from_anybody_else(house, run, token, version):
    """It is a command that nobody knows, or noise that is cut; the address stays the real one."""
    done = swaks(run, house, token, NOBODY, *proxy(version, "192.0.2.8"), expect=None)
    assert done.returncode != 0 and "250 2.0.0" not in done.stdout, done.stdout
    seen = {e["ip"] for e in house.events("conn.open")}
    assert NOBODY in seen and "192.0.2.8" not in seen


def test_xclient_from_a_listed_address(house, run, token):
    said = swaks(run, house, token, XCLIENT, "--xclient-addr", CLIENT, "--xclient-name", "client.name.test",
                 "--xclient-helo", "helo.name.test").stdout
    assert re.search(r"^<-  250-XCLIENT ", said, re.M)
    assert f"[{CLIENT}]" in received(house, token)


def test_xclient_from_anybody_else(house, run, token):
    """Not offered, so that swaks gives up; whoever says it all the same is refused."""
    done = swaks(run, house, token, NOBODY, "--xclient-addr", CLIENT, expect=None)
    assert done.returncode != 0 and "did not advertise XCLIENT" in done.stderr, done.stderr
    with smtplib.SMTP(house.host, house.ports["smtp"], timeout=20, source_address=(NOBODY, 0)) as s:
        s.ehlo("client.sender.test")
        assert s.docmd(f"XCLIENT ADDR={CLIENT}")[0] == 500


@pytest.mark.parametrize("tls", [[], ["--tls"]])
def test_pipelining(house, run, token, tls):
    said = swaks(run, house, token, NOBODY, "--pipeline", *tls).stdout
    sent = [x for x in said.splitlines() if re.match(r" [-~]> (MAIL|RCPT|DATA)|<[-~]  (250|354)", x)]
    assert [x[4:8] for x in sent if ">" in x[:3]] == ["MAIL", "RCPT", "RCPT", "DATA"]
    assert said.index("RCPT TO:<bob") < said.index("250 2.1.0"), "not in one go"
    assert f"[{NOBODY}]" in received(house, token)
