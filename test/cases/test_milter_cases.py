# SPDX-License-Identifier: MIT
"""Milters (lesson (d) of SECURITY.md: a filter that fails never means "accept"): a scripted one for every answer, change and
failure, and opendkim and rspamd as they come."""
import os
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, TOP + "/test/tools")
from boxes import Mailbox  # noqa: E402
from milter import (ACCEPT, CLOSE, CONTINUE, DISCARD, GARBAGE, PART, PROGRESS, REJECT, SILENCE, SKIP, STAGES, TEMPFAIL,  # noqa: E402
                    Milter, add, body, change, insert, reply)
from own import PASSWORD, Own, free_port, wait_for  # noqa: E402

if os.environ.get("POSTERN_CASES_PEER"):
    pytest.skip("of Postern alone", allow_module_level=True)
TEXT = "From: a@far.test\r\nTo: alice@example.test\r\nSubject: {}\r\nX-One: 1\r\nX-Two: 2\r\n\r\nhello\r\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    port = free_port()
    milter = Milter(port)
    more = f'milter scripted {{ socket = "inet:127.0.0.1:{port}" timeout = 1 }}\n'
    with Own(more) as house:
        house.milter = milter
        yield house
    milter.close()


@pytest.fixture(scope="module")
def lenient(tmp_path_factory):
    """First one that may fail, at a Unix socket, then one that may not, for what comes in only."""
    d = str(tmp_path_factory.mktemp("milter"))
    port = free_port()
    first, second = Milter(d + "/first"), Milter(port)
    more = (f'milter first {{ socket = "unix:{d}/first" timeout = 1 on_failure = accept }}\n'
            f'milter second {{ socket = "inet:127.0.0.1:{port}" timeout = 1 outgoing = false }}\n')
    with Own(more) as house:
        house.first, house.second = first, second
        yield house
    first.close()
    second.close()


@pytest.fixture(autouse=True)
def common_rule(request):
    houses = [request.getfixturevalue(n) for n in ("world", "lenient") if n in request.fixturenames]
    deaths = [h.status()["deaths"] for h in houses]
    yield
    assert [h.status()["deaths"] for h in houses] == deaths, "a room has died"


def send(house, token, to=("alice@example.test",), text=TEXT, sender="a@far.test"):
    """The reply to the content, or the last refusal, where all are refused: (code, words)."""
    with smtplib.SMTP("127.0.0.1", house.ports["smtp"], timeout=60) as s:
        s.ehlo("client.test")
        assert s.mail(sender)[0] == 250
        replies = [s.rcpt(one) for one in to]
        if all(code != 250 for code, _ in replies):
            return replies[-1][0], replies[-1][1].decode()
        assert all(code == 250 for code, _ in replies), replies
        code, words = s.data(text.format(token))
        return code, words.decode()


def found(house, token, who="alice"):
    box = Mailbox(house, f"{who}@example.test")
    return len(box.find(token, within=0))


def source(house, token, who="alice"):
    """The message as it was stored."""
    import imaplib
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with imaplib.IMAP4_SSL("127.0.0.1", house.ports["imaps"], ssl_context=context) as i:
        i.login(f"{who}@example.test", PASSWORD)
        i.select()

        def look():
            i.noop()
            hits = i.search(None, "TEXT", token)[1][0].split()
            return hits and i.fetch(hits[-1], "(BODY.PEEK[])")[1][0][1].decode()
        return wait_for(look)


# ---- answers --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("answer,code", [(REJECT, 550), (TEMPFAIL, 451), (reply("554 5.7.9 go away"), 554),
                                         (reply("452 4.2.9 come again"), 452)], ids=["reject", "tempfail", "5xx", "4xx"])
def test_refusals(world, token, stage, answer, code):
    world.milter.set(**{stage: [answer]})
    got = send(world, token)
    assert got[0] == code, got
    if code == 554:
        assert got[1] == "5.7.9 go away"
    assert found(world, token) == 0


@pytest.mark.parametrize("answer,code,words", [(REJECT, 550, "5.7.1 refused"), (TEMPFAIL, 451, "4.7.1 try later"),
                                               (reply("553 5.7.9 not bob"), 553, "5.7.9 not bob"),
                                               (reply("452 4.2.9 come again"), 452, "4.2.9 come again")],
                         ids=["reject", "tempfail", "5xx", "4xx"])
def test_one_recipient_is_refused(world, token, answer, code, words):
    """That one alone, at its RCPT and with the milter's words; the others get the message."""
    world.milter.set(R=lambda data: [answer] if b"bob@" in data else [CONTINUE])
    with smtplib.SMTP("127.0.0.1", world.ports["smtp"], timeout=60) as s:
        s.ehlo("client.test")
        assert s.mail("a@far.test")[0] == 250
        assert s.rcpt("alice@example.test")[0] == 250
        assert s.rcpt("bob@example.test") == (code, words.encode())
        assert s.data(TEXT.format(token))[0] == 250
    wait_for(lambda: found(world, token) == 1)
    assert found(world, token, "bob") == 0
    refusal = world.events("smtp.rejected" if code >= 500 else "smtp.deferred")[-1]
    assert "bob@example.test" in str(refusal), refusal


@pytest.mark.parametrize("how", [CLOSE, GARBAGE, SILENCE])
def test_a_milter_that_dies_at_a_recipient(world, token, how):
    """No word about it is 4xx for that one, and no acceptance."""
    world.milter.set(R=lambda data: [how] if b"bob@" in data else [CONTINUE])
    with smtplib.SMTP("127.0.0.1", world.ports["smtp"], timeout=60) as s:
        s.ehlo("client.test")
        assert s.mail("a@far.test")[0] == 250
        assert s.rcpt("alice@example.test")[0] == 250
        code, words = s.rcpt("bob@example.test")
        assert (code, words[:5]) == (451, b"4.7.1")
        assert s.data(TEXT.format(token))[0] == 250
    wait_for(lambda: found(world, token) == 1)
    assert found(world, token, "bob") == 0


def test_a_milter_that_changed_its_mind(world, token):
    """Who was accepted and is refused after the data refuses the message: never dropped silently."""
    asked = []

    def once(data):
        asked.append(data)
        return [REJECT if len(asked) > 2 and b"bob@" in data else CONTINUE]
    world.milter.set(R=once)
    assert send(world, token, to=("alice@example.test", "bob@example.test"))[0] == 550
    assert found(world, token) == 0 and found(world, token, "bob") == 0


@pytest.mark.parametrize("stage", STAGES)
def test_accept_and_discard(world, token, stage):
    world.milter.set(**{stage: [ACCEPT]})
    assert send(world, token)[0] == 250
    wait_for(lambda: found(world, token) == 1)
    world.milter.set(**{stage: [DISCARD]})
    assert send(world, token + "d")[0] == 250
    time.sleep(0.2)
    assert found(world, token + "d") == 0


def test_what_it_hears(world, token):
    world.milter.set(actions=0x1, steps=0)
    assert send(world, token, to=("alice@example.test", "bob@example.test"))[0] == 250
    m = world.milter
    assert m.said("C") == [b"[127.0.0.1]\x004\x00\x00127.0.0.1\x00"] * 3
    assert m.said("H") == [b"client.test\0"] * 3 and m.said("M") == [b"<a@far.test>\0"] * 3
    assert m.said("R") == [b"<alice@example.test>\0", b"<bob@example.test>\0"] * 2
    names = [d.split(b"\0")[0] for d in m.said("L")]
    assert names == [b"From", b"To", b"Subject", b"X-One", b"X-Two"]
    assert m.said("B") == [b"hello\r\n"]
    order = "".join(c for c, _ in m.seen if c != "D")
    assert order == "OCHMRQ" * 2 + "OCHMRRTLLLLLNBEQ"  # each recipient before it is accepted, then the message
    verdict = world.events("milter.verdict")[-1]
    assert verdict["milter"] == "scripted" and verdict["verdict"] == "accept"
    assert any(verdict["queue_id"] == e["queue_id"] for e in world.events("smtp.accepted"))


def test_it_hears_only_what_it_wants(world, token):
    world.milter.set(steps=0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x200)
    assert send(world, token)[0] == 250
    assert "".join(c for c, _ in world.milter.seen if c != "D") == "OQOEQ"
    world.milter.set(steps=0xff080, E=[add("X-Silent", "yes"), CONTINUE])
    assert send(world, token + "s")[0] == 250
    assert "X-Silent: yes\r\n" in source(world, token + "s")


def test_skip_and_progress(world, token):
    world.milter.set(steps=0x400, B=[SKIP], E=[PROGRESS, PROGRESS, CONTINUE])
    assert send(world, token, text=TEXT + "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 3000)[0] == 250
    assert len(world.milter.said("B")) == 1


# ---- changes --------------------------------------------------------------------------------------------------

def test_headers(world, token):
    world.milter.set(E=[add("X-Last", "one\n two"), insert(1, "X-First", "1"), change(1, "x-one", "changed"),
                        change(1, "X-Two", ""), change(1, "X-New", "new"), CONTINUE])
    assert send(world, token)[0] == 250
    head, _, text = source(world, token).partition("\r\n\r\n")
    fields = [x for x in head.replace("\r\n\t", " ").replace("\r\n ", " ").split("\r\n")]
    at = next(i for i, x in enumerate(fields) if x.startswith("Received: "))
    assert fields[at + 1:] == ["X-First: 1", "From: a@far.test", "To: alice@example.test", f"Subject: {token}",
                               "x-one: changed", "X-Last: one two", "X-New: new"]
    assert text == "hello\r\n"


@pytest.mark.parametrize("size", [0, 10, 200000, 3000000])
def test_a_new_body(world, token, size):
    new = (b"z" * 68 + b"\r\n") * (size // 70) + b"the end\r\n"
    world.milter.set(E=[*body(new), CONTINUE])
    assert send(world, token)[0] == 250
    assert source(world, token).partition("\r\n\r\n")[2].encode() == new


def test_recipients(world, token):
    world.milter.set(E=[b"+<bob@example.test>\0", b"-<alice@example.test>\0", CONTINUE])
    assert send(world, token)[0] == 250
    wait_for(lambda: found(world, token, "bob") == 1)
    assert found(world, token) == 0
    world.milter.set(E=[b"-<alice@example.test>\0", CONTINUE])
    assert send(world, token + "n")[0] == 250  # nobody is left: as discarded
    assert found(world, token + "n") == 0 and world.queue_length() == 0


@pytest.mark.parametrize("address", ["x@elsewhere.test", "nobody@example.test", "no address"])
def test_no_relay_through_a_milter(world, token, address):
    world.milter.set(E=[b"+<" + address.encode() + b">\0", CONTINUE])
    code, words = send(world, token)
    assert (code, words[:5]) == (451, "4.7.1")
    assert found(world, token) == 0 and world.queue_length() == 0
    assert world.events("milter.refused")[-1]["value"] == address


def test_another_sender(world, token):
    world.milter.set(E=[b"e<other@far.test>\0", CONTINUE])
    assert send(world, token)[0] == 250
    assert "Return-Path: <other@far.test>" in source(world, token)


def test_quarantine(world, token):
    world.milter.set(E=[b"qlooks odd\0", CONTINUE])
    assert send(world, token)[0] == 250
    assert found(world, token) == 0
    held = [q for q in world.json("queue", "list")]
    assert len(held) == 1 and "looks odd" in str(held[0])
    world.cli("queue", "release", held[0].get("id") or held[0].get("queue_id"))
    wait_for(lambda: found(world, token) == 1)


# ---- failures -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("stage", "O" + STAGES)
@pytest.mark.parametrize("how", [CLOSE, GARBAGE, SILENCE])
def test_failures(world, token, stage, how):
    world.milter.set(**{stage: [how]})
    code, words = send(world, token)
    assert (code, words[:5]) == (451, "4.7.1")
    assert found(world, token) == 0 and world.queue_length() == 0
    event = world.events("milter.failed")[-1]
    assert event["milter"] == "scripted" and event["then"] == "tempfail" and event["why"], event


@pytest.mark.parametrize("rest", [[CLOSE], [SILENCE], [GARBAGE], [PART], [b"c\0"], [b"hX: y\0z\0", CONTINUE],
                                  [add("X", "a\nBcc: b"), CONTINUE], [b"2a@b.test\0x\0", CONTINUE], [SKIP]],
                         ids=lambda r: str(r[0])[:12])
def test_half_a_change_is_none(world, token, rest):
    """milter loss -> wrong body committed: never here"""
    world.milter.set(E=[add("X-Half", "1"), b"bhalf of a body\r\n", *rest])
    code, words = send(world, token)
    assert (code, words[:5]) == (451, "4.7.1")
    assert found(world, token) == 0 and world.queue_length() == 0


@pytest.mark.parametrize("new", [b"bare\nline feed\r\n", b"bare\rreturn\r\n", b"nul\0\r\n"], ids=["LF", "CR", "NUL"])
def test_a_body_that_is_none(world, token, new):
    world.milter.set(E=[*body(new), CONTINUE])
    assert send(world, token)[0] == 451
    assert found(world, token) == 0
    assert world.events("milter.refused")[-1]["what"] == "message"


def test_more_than_was_asked_for(world, token):
    world.milter.set(actions=0x1, E=[b"bnew\r\n", CONTINUE])
    assert send(world, token)[0] == 451
    world.milter.set(O=[b"O\0\0\0\6\0\0\1\xff\0\0\0\0"])
    assert send(world, token)[0] == 451
    assert found(world, token) == 0


def test_one_that_may_fail_and_one_that_may_not(lenient, token):
    lenient.first.set(E=[add("X-First", "1"), CLOSE])
    lenient.second.set(E=[add("X-Second", "2"), CONTINUE])
    assert send(lenient, token)[0] == 250
    got = source(lenient, token)
    assert "X-Second: 2" in got and "X-First" not in got
    assert lenient.events("milter.failed")[-1]["then"] == "accept"
    lenient.first.set(E=[add("X-First", "1"), b"bnew\r\n", CONTINUE])
    lenient.second.set(E=[change(1, "X-First", "2"), CONTINUE])
    assert send(lenient, token + "b")[0] == 250
    got = source(lenient, token + "b")
    assert "X-First: 2\r\n" in got and got.endswith("\r\n\r\nnew\r\n")
    assert lenient.second.said("B") == [b"new\r\n"]  # it sees what the first made of it
    lenient.first.set()
    lenient.second.set(E=[CLOSE])
    assert send(lenient, token + "c")[0] == 451
    assert found(lenient, token + "c") == 0


def test_what_goes_out(lenient, token):
    """Only the first sees it; changes come before the signature."""
    lenient.cli("dkim", "rotate", "example.test", check=False)
    lenient.first.set(E=[add("X-Out", "1"), CONTINUE])
    lenient.second.set(C=[REJECT])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP_SSL("127.0.0.1", lenient.ports["submissions"], context=context, timeout=30) as s:
        s.login("alice@example.test", PASSWORD)
        s.sendmail("alice@example.test", ["bob@example.test"],
                   f"From: alice@example.test\r\nSubject: {token}\r\n\r\nhello\r\n")
    got = source(lenient, token, "bob")
    assert "X-Out: 1" in got and "DKIM-Signature" in got and lenient.second.seen == []
    assert not any(b"DKIM" in d for d in lenient.first.said("L"))
    assert any(b"alice@example.test" in d for c, d in lenient.first.seen if c == "D")


def test_many_at_once(world, token):
    world.milter.set(E=[add("X-Many", "1"), CONTINUE])
    codes = []

    def some(k):
        codes.extend(send(world, f"{token}x{k}x{i}")[0] for i in range(10))
    threads = [threading.Thread(target=some, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert codes == [250] * 80


# ---- real ones ------------------------------------------------------------------------------------------------

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


def started(words, ready, log):
    """A program in the foreground, once ready() is true."""
    with open(log, "wb") as f:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=f, stderr=f)

    def look():
        assert process.poll() is None, open(log, errors="replace").read()[-2000:]
        return ready()
    try:
        wait_for(look, 30)
    except BaseException:
        process.kill()
        raise
    return process


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    d = str(tmp_path_factory.mktemp("real"))
    for up in (d, os.path.dirname(d), os.path.dirname(os.path.dirname(d))):
        os.chmod(up, 0o755)
    port, *workers = (free_port() for _ in range(3))
    with open(d + "/opendkim.conf", "w") as f:
        f.write(f"Socket local:{d}/opendkim.sock\nMode v\nBackground no\nAuthservID verifier.test\nAlwaysAddARHeader yes\n"
                "On-Default accept\nSyslog no\n")
    for sub in ("local.d", "override.d", "db"):
        os.mkdir(f"{d}/{sub}")
    os.chmod(d + "/db", 0o777)
    with open(d + "/tld", "w") as f:  # its own list takes half a minute to compile
        f.write("com\nnet\norg\ntest\n")
    with open(d + "/rspamd.conf", "w") as f:
        f.write(f"""options {{
  pidfile = "{d}/rspamd.pid"; temp_dir = "{d}"; filters = ""; dns {{ nameserver = ["127.0.0.1:{workers[0]}"]; timeout = 0.1; retransmits = 1 }}
  control_socket = "{d}/rspamd.control mode=0600"; tempdir = "{d}"; gtube_patterns = "reject"; hs_cache_dir = "{d}/db"
  url_tld = "{d}/tld"
}}
logging {{ type = "console"; level = "info" }}
metric {{ actions {{ reject = 15; add_header = 6 }} }}
worker "rspamd_proxy" {{
  bind_socket = "127.0.0.1:{port}"; milter = yes; timeout = 20s; count = 1
  upstream "local" {{ self_scan = yes; default = yes }}
}}
milter_headers {{ use = ["x-spamd-result"]; extended_spam_headers = true; skip_local = false; local_headers = ["x-spamd-result"] }}
modules {{ path = "/usr/share/rspamd/plugins/milter_headers.lua" }}
lua = "/usr/share/rspamd/rules/rspamd.lua"
""")
    rspamd = started(["/usr/bin/rspamd", "-f", "-i", "-c", d + "/rspamd.conf", "--insecure"], lambda: listens(port), d + "/rspamd.out")
    try:
        opendkim = started(["/usr/sbin/opendkim", "-f", "-x", d + "/opendkim.conf"],
                           lambda: os.path.exists(d + "/opendkim.sock"), d + "/opendkim.out")
        try:
            more = (f'milter opendkim {{ socket = "unix:{d}/opendkim.sock" outgoing = false }}\n'
                    f'milter rspamd {{ socket = "inet:127.0.0.1:{port}" outgoing = false }}\n')
            with Own(more) as house:
                house.d = d
                yield house
        finally:
            opendkim.terminate()
            opendkim.wait(20)
    finally:
        rspamd.terminate()
        rspamd.wait(20)


def test_opendkim_and_rspamd_let_ham_through(real, token):
    code, words = send(real, token)
    assert code == 250, words
    got = source(real, token)
    assert "Authentication-Results: verifier.test" in got and "dkim=none" in got
    assert "X-Spamd-Result: " in got, got
    assert [e["milter"] for e in real.events("milter.verdict")][-2:] == ["opendkim", "rspamd"]


def test_rspamd_rejects_gtube(real, token):
    code, words = send(real, token, text=TEXT + GTUBE + "\r\n")
    assert code in (550, 554), words
    assert found(real, token) == 0
