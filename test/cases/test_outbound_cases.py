# SPDX-License-Identifier: MIT
"""T-001, T-002, T-005, O-003..O-006 and D-003: mail that leaves, towards servers and names that are hostile."""
import email
import gzip
import json
import os
import re
import smtplib
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from boxes import Mailbox  # noqa: E402
from elsewhere import PASSWORD, House, Names, Policies, Sink, certificate, explicit_key, free_port, huge_key, tlsa_311, wait_for  # noqa: E402

dkim = pytest.importorskip("dkim")

if os.environ.get("POSTERN_CASES_PEER"):
    pytest.skip("a peer has no such tests", allow_module_level=True)

# one loopback address for each server; its domain is NAME.open.test (unsigned) or NAME.test (signed)
SERVERS = {
    "good": "127.0.1.1", "hide": "127.0.1.2", "refuse": "127.0.1.3", "inject": "127.0.1.4", "garbage": "127.0.1.5",
    "reject": "127.0.1.6", "eof-after-dot": "127.0.1.7", "half-after-dot": "127.0.1.8", "silence-after-dot": "127.0.1.9",
    "endless-line": "127.0.1.10", "many-lines": "127.0.1.11", "drip": "127.0.1.12", "554": "127.0.1.13",
    "second": "127.0.1.14", "lmtp": "127.0.1.17", "explicit": "127.0.1.15", "rsa16384": "127.0.1.16",
}

# domain, its MX, its policy. mx.sts is `second`, with a certificate that outbound.roots believes; mx.bare hides STARTTLS
ENFORCE = "version: STSv1\r\nmode: enforce\r\nmx: mx.{}.open.test\r\nmax_age: 86400\r\n"
STS = [
    ("sts-holds", "sts", ENFORCE.format("sts")),
    ("sts-bare", "bare", ENFORCE.format("bare")),
    ("sts-other", "sts", ENFORCE.format("elsewhere")),
    ("sts-testing", "bare", ENFORCE.format("bare").replace("enforce", "testing")),
    ("sts-none", "bare", ENFORCE.format("bare").replace("enforce", "none")),
    ("sts-broken", "bare", "version: STSv9\r\n"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    d = str(tmp_path_factory.mktemp("elsewhere"))
    port = free_port()
    cert = certificate(d, "mx.good.test")
    wrong = certificate(d, "mx.wrong.test")
    records = ["null.open.test. MX 0 .", "private.open.test. A 10.1.2.3", "metadata.open.test. A 169.254.169.254",
               "loop6.open.test. AAAA ::1", "two.open.test. MX 10 554.open.test.", "two.open.test. MX 20 good.open.test.",
               "xn--bcher-kva.open.test. MX 10 good.open.test.", "us.open.test. MX 10 mail.example.test.", "mixed.open.test. MX 10 private.open.test.",
               "mixed.open.test. MX 20 good.open.test."]
    for name, address in SERVERS.items():
        records += [f"{name}.open.test. A {address}", f"{name}.test. MX 10 mx.{name}.test.", f"mx.{name}.test. A {address}",
                    f"_{port}._tcp.mx.{name}.test. TLSA 3 1 1 {tlsa_311(cert[0])}"]
    # a name whose records are for another key
    records += ["wrong.test. MX 10 mx.wrong.test.", f"mx.wrong.test. A {SERVERS['good']}",
                f"_{port}._tcp.mx.wrong.test. TLSA 3 1 1 {tlsa_311(wrong[0])}"]
    records += [r for name, mx, _ in STS for r in (
        f"{name}.open.test. MX 10 mx.{mx}.open.test.", f'_mta-sts.{name}.open.test. TXT "v=STSv1; id=1;"',
        f"mta-sts.{name}.open.test. A 127.0.1.40")]
    records += ['_smtp._tls.sts-testing.open.test. TXT "v=TLSRPTv1; rua=https://mta-sts.sts-testing.open.test/reports"']
    records += [f"mx.sts.open.test. A {SERVERS['second']}", f"mx.bare.open.test. A {SERVERS['hide']}"]
    web = certificate(d, "mta-sts", *(f"mta-sts.{name}.open.test" for name, _, _ in STS))
    named = certificate(d, "mx.sts.open.test")
    site = Policies("127.0.1.40", web, {f"mta-sts.{name}.open.test": policy for name, _, policy in STS})
    sinks = {}
    with Names(d + "/names", records) as names:
        for name, address in SERVERS.items():
            key = explicit_key(d) if name == "explicit" else huge_key(d) if name == "rsa16384" else None
            sinks[name] = Sink(address, port, mode=name,
                               cert=certificate(d, f"mx.{name}.test", key=key) if key else cert)
        sinks["second"].cert = named
        sinks["second"].extensions += ("AUTH PLAIN LOGIN",)
        with open(d + "/credentials", "w") as f:
            f.write("us\nsecret\n")
        ways = (f'relay up {{ host = mx.sts.open.test port = {port} credentials = "{d}/credentials" per_hour = 2 '
                'senders = {relayed@example.test} }\n'
                f'relay wrong {{ host = mx.bare.open.test port = {port} credentials = "{d}/credentials" '
                'senders = {wrong@example.test} }\n'
                f'route lmtp.open.test {{ to = "lmtp:[127.0.1.17]:{port}" }}')
        with House(names, port, f'allow = {{127.0.1.0/24}} roots = "{named[0]}"\n{ways}',
                   f'fetch {{ roots = "{web[0]}" allow = {{127.0.1.0/24}} port = {site.port} timeout = 5 }}') as house:
            for other in ("relayed", "wrong"):
                house.cli("alias", "add", f"{other}@example.test", "alice@example.test")
            house.site = site
            yield house, sinks, d
        for s in sinks.values():
            s.close()


@pytest.fixture(autouse=True)
def common_rule(world):
    """The common rule for a server of one's own: no room has died, log lines are printable."""
    house = world[0]
    deaths, began = house.status()["deaths"], time.monotonic()
    yield
    assert house.status()["deaths"] == deaths, "a room has died"
    for line in house.log_lines(time.monotonic() - began):
        assert all(0x20 <= ord(c) < 0x7f or ord(c) >= 0xa0 for c in line), line


@pytest.fixture
def house(world):
    return world[0]


@pytest.fixture
def sinks(world):
    return world[1]


def outcome(house, queue_id, within=20.0):
    """queue.delivered, queue.deferred or queue.failed of a message with one recipient."""
    end = time.monotonic() + within
    while True:
        for e in house.events("queue.delivered", "queue.deferred", "queue.failed"):
            if e.get("queue_id") == queue_id:
                return e
        assert time.monotonic() < end, f"nothing came of {queue_id}: {house.events('send.talk')[-3:]}"
        time.sleep(0.1)


def send(house, to, **more):
    queue_id = house.submit(to, **more)
    return outcome(house, queue_id), queue_id


def test_delivers(house, sinks):
    got, _ = send(house, "someone@good.open.test", text="Subject: first\r\n\r\n.\r\n..\r\nend\r\n")
    assert got["event"] == "queue.delivered"
    envelope, content, how = sinks["good"].messages[-1]
    assert how == "tls" and envelope[1].startswith("RCPT TO:<someone@good.open.test>")
    assert b"\r\n..\r\n...\r\nend\r\n" in content and content.startswith(b"DKIM-Signature:")


@pytest.mark.parametrize("name,how", [("hide", "plain"), ("refuse", "plain"), ("good", "tls"), ("garbage", "plain")])
def test_T_001_without_a_policy(house, sinks, name, how):
    """opportunistic: delivered, encrypted when it can be had, and told in words of RFC 8460"""
    before = len(sinks[name].messages)
    if name == "garbage":  # after the broken handshake the second connection is in plain text
        sinks[name].extensions = ("PIPELINING",)
    got, _ = send(house, f"a@{name}.open.test")
    assert got["event"] == "queue.delivered", got
    assert sinks[name].messages[before][2] == how
    row = house.wait_event("send.tls", policy_domain=f"{name}.open.test")
    assert row["policy_type"] == "no-policy-found"
    assert row["result"] == {"hide": "starttls-not-supported", "refuse": "starttls-not-supported", "good": "ok",
                             "garbage": "validation-failure"}[name]


@pytest.mark.parametrize("name", ["hide", "refuse", "wrong"])
def test_T_001_with_dane(house, sinks, name):
    """DANE: nothing leaves without the right key"""
    sink = sinks["good" if name == "wrong" else name]
    before = len(sink.messages)
    got, _ = send(house, f"a@{name}.test")
    assert got["event"] == "queue.deferred", got
    assert len(sink.messages) == before
    row = house.wait_event("send.tls", policy_domain=f"{name}.test")
    assert row["policy_type"] == "tlsa"
    assert row["result"] == ("validation-failure" if name == "wrong" else "starttls-not-supported")


def test_T_001_dane_holds(house, sinks):
    got, _ = send(house, "a@good.test")
    assert got["event"] == "queue.delivered", got
    row = house.wait_event("send.tls", policy_domain="good.test")
    assert row["policy_type"] == "tlsa" and row["result"] == "ok" and row["policy_string"].startswith("3 1 1 ")


@pytest.mark.parametrize("name,event,kind,result", [
    ("sts-holds", "queue.delivered", "sts", "ok"),
    ("sts-bare", "queue.deferred", "sts", "starttls-not-supported"),
    ("sts-other", "queue.deferred", "sts", "validation-failure"),
    ("sts-testing", "queue.delivered", "sts", "starttls-not-supported"),
    ("sts-none", "queue.delivered", "", ""),
    ("sts-broken", "queue.delivered", "sts", "sts-policy-invalid"),
])
def test_T_001_with_mta_sts(house, sinks, name, event, kind, result):
    """enforce: deferred and told; testing: told and delivered; none and a policy that is none: as without"""
    sink = sinks["second" if name in ("sts-holds", "sts-other") else "hide"]
    before = len(sink.messages)
    got, _ = send(house, f"a@{name}.open.test")
    assert got["event"] == event, got
    assert len(sink.messages) - before == (event == "queue.delivered")
    if name != "sts-none":  # it may go over a connection that is there: no new session, no row
        row = house.wait_event("send.tls", policy_domain=f"{name}.open.test", policy_type=kind)
        assert row["result"] == result


def test_reports_of_tls_are_posted(house):
    """RFC 8460 5.3, behind the sessions above: where the domain wants it, and with the policy that was in force"""
    house.cli("clerk", "run", "tls", "--day", "today")
    wait_for(lambda: house.site.posts)
    (host, path, kind, body), = house.site.posts
    assert (host, path, kind) == ("mta-sts.sts-testing.open.test", "/reports", "application/tlsrpt+gzip")
    report = json.loads(gzip.decompress(body))
    policy = next(p for p in report["policies"] if p["policy"].get("policy-string"))
    assert policy["policy"] == {"policy-type": "sts", "policy-domain": "sts-testing.open.test", "mx-host": ["mx.bare.open.test"],
                                "policy-string": ["version: STSv1", "mode: testing", "mx: mx.bare.open.test", "max_age: 86400"]}
    assert policy["summary"]["total-failure-session-count"] >= 1
    assert policy["failure-details"][0]["result-type"] == "starttls-not-supported"
    sent = house.wait_event("report.sent", domain="sts-testing.open.test")
    assert sent["to"] == "https://mta-sts.sts-testing.open.test/reports"


def test_T_002_injection(house, sinks):
    """text behind the reply to STARTTLS: dropped, the connection closed, nothing sent in plain text instead"""
    got, _ = send(house, "a@inject.open.test")
    assert got["event"] == "queue.deferred"
    house.wait_event("send.injection", host="inject.open.test")
    assert not sinks["inject"].messages
    assert not any(x.startswith("MAIL") for x in sinks["inject"].said)


@pytest.mark.parametrize("name", ["explicit", "rsa16384"])
def test_T_005_hostile_keys(house, sinks, name):
    """a key that could cost time is refused before anything is computed with it"""
    pid = dict(house.rooms())["send"]

    def cpu_ms():
        with open(f"/proc/{pid}/schedstat") as f:
            return int(f.read().split()[0]) / 1e6

    before = cpu_ms()
    got, _ = send(house, f"a@{name}.open.test")
    assert got["event"] == "queue.delivered" and sinks[name].messages[-1][2] == "plain", got
    row = house.wait_event("send.tls", policy_domain=f"{name}.open.test")
    assert row["result"] == "validation-failure"
    assert cpu_ms() - before < 50


@pytest.mark.parametrize("name", ["eof-after-dot", "half-after-dot", "silence-after-dot"])
def test_O_003_after_the_dot(house, sinks, name):
    """no reply to the content: deferred, never delivered, and not given to anybody twice in one attempt"""
    got, _ = send(house, f"a@{name}.open.test")
    assert got["event"] == "queue.deferred", got
    assert len(sinks[name].messages) == 1


@pytest.mark.parametrize("name", ["endless-line", "many-lines", "drip", "554"])
def test_O_003_hostile_replies(house, sinks, name):
    began = time.monotonic()
    got, _ = send(house, f"a@{name}.open.test")
    assert got["event"] == "queue.deferred", got
    assert time.monotonic() - began < 15


def test_O_003_next_host(house, sinks):
    """554 at the door is no verdict about a recipient: the next MX is asked"""
    got, _ = send(house, "a@two.open.test")
    assert got["event"] == "queue.delivered", got


def test_O_004_remote_text(house, sinks):
    got, _ = send(house, "a@reject.open.test")
    assert got["event"] == "queue.failed", got
    assert "\x1b" not in str(got) and "no such user" in str(got)
    talk = house.wait_event("send.talk", host="reject.open.test")
    assert talk["text"] == 'no such user ask \\x5cx1b[31m"them"'  # the log escapes the backslash once more
    for line in house.log_lines(60):
        assert "\x1b" not in line


def test_O_005_lines(house, sinks):
    """whatever a message holds, only CRLF ends lines and no line is a dot alone before the end"""
    text = "Subject: dots\r\n\r\n.\r\n. \r\n..\r\nMAIL FROM:<x@y.test>\r\n.a\r\n"
    got, _ = send(house, "b@good.open.test", text=text)
    assert got["event"] == "queue.delivered"
    content = sinks["good"].messages[-1][1]
    assert b"\r\n.\r\n" not in content and content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")
    assert content.endswith(b"\r\n\r\n..\r\n.. \r\n...\r\nMAIL FROM:<x@y.test>\r\n..a\r\n")


@pytest.mark.parametrize("to", ["private.open.test", "metadata.open.test", "loop6.open.test", "null.open.test", "us.open.test",
                                "nowhere.open.test", "[127.0.0.1]", "[10.0.0.1]", "[IPv6:::1]", "[169.254.169.254]"])
def test_O_006_addresses(house, to):
    """refused for good: not tried, not waiting in the queue"""
    got, _ = send(house, f"a@{to}")
    assert got["event"] == "queue.failed", got


def test_O_006_next_host(house, sinks):
    got, _ = send(house, "a@mixed.open.test")
    assert got["event"] == "queue.delivered", got


def test_D_003_no_answer(house):
    """a domain whose answers are bogus: deferred, never bounced"""
    got, _ = send(house, "a@x.broken.test")
    assert got["event"] == "queue.deferred", got


def test_a_bounce_comes_home(house):
    house.submit("no-body@good.open.test", text="Subject: to nobody\r\n\r\nx\r\n")
    wait_for(lambda: house.events("mailbox.delivered"), 30)


def txt_of(house):
    """A resolver for dkimpy that knows what `postern dkim show` prints."""
    shown = house.cli("dkim", "show", "example.test").stdout
    records = dict(re.findall(r"^(\S+_domainkey\.example\.test)\. \d+ IN TXT (.*)$", shown, re.M))
    assert records, shown

    def txt(name, timeout=5):
        value = records.get(name.decode().rstrip("."))
        return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', value)).encode() if value else None
    return txt


def test_a_bounce_that_leaves_is_signed(house, sinks):
    """by the domain that our host name lies in, and dkimpy verifies it with the records that we print"""
    dkim = pytest.importorskip("dkim")
    house.cli("queue", "hold-rule", "add", "--sender", "writer@good.open.test", "--reason", "never")
    had = len(sinks["good"].messages)
    with smtplib.SMTP("127.0.0.1", house.ports["smtp"], timeout=30) as s:
        s.sendmail("writer@good.open.test", ["alice@example.test"], "From: writer@good.open.test\r\nSubject: hello\r\n\r\nx\r\n")
    house.cli("queue", "fail", "--sender", "writer@good.open.test", "--yes")
    wait_for(lambda: len(sinks["good"].messages) > had, 30)
    envelope, data, _ = sinks["good"].messages[-1]
    assert envelope[0].upper().startswith("MAIL FROM:<>") and "<writer@good.open.test>" in envelope[1]
    whole = re.sub(rb"^\.", b"", data, flags=re.M)
    assert b"\r\nFrom: Mail Delivery System <MAILER-DAEMON@mail.example.test>\r\n" in whole and b"d=example.test" in whole
    assert dkim.verify(whole, dnsfunc=txt_of(house))
    for bad in (b"alice@", b"Subject: "):
        assert not dkim.verify(whole.replace(bad, bad + b"x"), dnsfunc=txt_of(house))


def test_a_list_reports_to_its_owner(house, sinks):
    """RFC 5321 section 3.9.2: the owner hears of a member who cannot be reached, the author does not"""
    house.cli("list", "add", "crew@example.test", "--owner", "bob@example.test", "--write", "anyone")
    house.cli("list", "join", "crew@example.test", "no-crew@good.open.test")
    house.cli("list", "join", "crew@example.test", "member@good.open.test")
    had = len(sinks["good"].messages)

    def inbox(who, what):
        with Mailbox(house, f"{who}@example.test") as box:
            return [m for m in box.last(20) if what in m]
    house.submit("crew@example.test", text="Subject: to the crew\r\n\r\nx\r\n")
    wait_for(lambda: inbox("bob", b"no-crew@good.open.test"), 30)
    got = inbox("bob", b"no-crew@good.open.test")[-1]
    assert b"Auto-Submitted: auto-replied" in got and b"\r\nTo: <bob@example.test>\r\n" in got, got
    assert not inbox("alice", b"no-crew@good.open.test")
    envelope = sinks["good"].messages[had][0]
    assert envelope[0].upper().startswith("MAIL FROM:<BOB@EXAMPLE.TEST>") and "<member@good.open.test>" in envelope[1]
    # without an owner the postmaster hears
    house.cli("alias", "add", "postmaster@example.test", "alice@example.test", check=False)
    house.cli("list", "add", "crew@example.test", "--write", "anyone")
    house.submit("crew@example.test", text="Subject: once more\r\n\r\nx\r\n")
    wait_for(lambda: inbox("alice", b"no-crew@good.open.test"), 30)
    assert len(inbox("bob", b"no-crew@good.open.test")) == 1
    assert house.json("queue", "list", "--recipient", "no-crew@good.open.test") == []
    house.cli("list", "delete", "crew@example.test")


def test_smarthost(house, sinks):
    """logged in over verified TLS, and with a cap of its own: what is over it waits, also after a restart"""
    if time.time() % 3600 > 3540:  # the cap is for an hour of the clock
        time.sleep(3601 - time.time() % 3600)
    for n in range(2):
        got, _ = send(house, f"a{n}@good.open.test", sender="relayed@example.test")
        assert got["event"] == "queue.delivered", got
        envelope, _, how = sinks["second"].messages[-1]
        assert how == "tls" and envelope[0].startswith("MAIL FROM:<relayed@example.test>")
    assert "AUTH PLAIN AHVzAHNlY3JldA==" in sinks["second"].said
    got, _ = send(house, "a3@good.open.test", sender="relayed@example.test")
    assert got["event"] == "queue.deferred", got
    house.wait_event("send.capped", relay="up")
    house.cli("stop", timeout=60)
    house.cli("start", timeout=60)
    got, _ = send(house, "a4@good.open.test", sender="relayed@example.test")
    assert got["event"] == "queue.deferred" and "used up" in got["reason"], got


def test_smarthost_that_cannot_prove_itself(house, sinks):
    """no STARTTLS where it has to be: the password stays here"""
    before = len(sinks["hide"].said)
    got, _ = send(house, "a@good.open.test", sender="wrong@example.test")
    assert got["event"] == "queue.deferred", got
    assert not any(x.startswith(("AUTH", "MAIL")) for x in sinks["hide"].said[before:])


def test_lmtp_route(house, sinks):
    """one reply for each recipient after the dot (RFC 2033)"""
    house.submit("ok@lmtp.open.test", "full-up@lmtp.open.test", "no-body@lmtp.open.test")
    talk = house.wait_event("send.talk", destination="lmtp.open.test")
    assert (talk["delivered"], talk["deferred"], talk["failed"]) == ("1", "1", "1"), talk
    assert sinks["lmtp"].said[0].startswith("LHLO ")


def test_u_labels_are_a_labels(house, sinks):
    """in the envelope, whatever way the mail came in: submission, sendmail, an alias to elsewhere"""
    def said(to):
        wait_for(lambda: f"RCPT TO:<{to}@xn--bcher-kva.open.test>" in sinks["good"].said, 20)
    house.submit("submission@bücher.open.test", options=["SMTPUTF8"])
    said("submission")
    house.cli("alias", "add", "forward@example.test", "alias@BÜCHER.open.test")
    house.submit("forward@example.test")
    said("alias")
    if os.geteuid() != 0:
        return
    house.cli("app", "add", "shop", "--uid", "61001", "--from", "shop@example.test")
    done = subprocess.run(["sendmail", "-C", house.config, "program@bücher.open.test"], input=b"Subject: x\n\nx\n",
                          executable=os.path.dirname(house.binary) + "/../sbin/sendmail", capture_output=True,
                          timeout=60, user=61001, group=61001, extra_groups=[])
    assert done.returncode == 0, done
    said("program")
    assert not any("SMTPUTF8" in line for line in sinks["good"].said if line.startswith("MAIL")), sinks["good"].said


# ---- lines over 998 octets (decision 0081) ----------------------------------------------------------------------

LONG_BODY = "a" * 700 + " " + "ü" * 600 + "\r\n" + "b" * 3000 + "\r\nend\r\n"


def arrived(sinks, token):
    """The content that came, dots removed."""
    found = []
    wait_for(lambda: found.extend(m[1] for m in sinks["good"].messages if token in m[1]) or found)
    return found[0].replace(b"\r\n..", b"\r\n.")


def longest(content):
    return max(len(line) for line in content.split(b"\r\n"))


def test_long_lines_of_ours_are_broken_and_then_signed(house, sinks):
    records = {line.split()[0].rstrip("."): "".join(line.split('"')[1::2])
               for line in house.cli("dkim", "show", "example.test").stdout.splitlines() if " IN TXT " in line}
    to = ", ".join(f'"Somebody Who Has A Name {i}" <s{i}@good.open.test>' for i in range(100))
    house.submit("a@good.open.test", text=f"Subject: token-broken\r\nTo: {to}\r\nX-Long: {'x' * 2500}\r\nMessage-ID: <1@example.test>\r\n"
                 f"Date: Thu, 26 Nov 2026 00:00:00 +0000\r\n\r\n{LONG_BODY}", options=["BODY=8BITMIME"])
    got = arrived(sinks, b"token-broken")
    assert longest(got) == 998
    header, _, body = got.partition(b"\r\n\r\n")
    assert body.startswith(b"a" * 700 + b"\r\n " + "ü".encode() * 498 + b"\r\n " + "ü".encode() * 102 + b"\r\n" + b"b" * 998 + b"\r\n b"), body
    assert email.message_from_bytes(got)["To"].replace("\r\n", "") == to
    assert body.replace(b"\r\n ", b"").replace(b"\r\n", b"") == LONG_BODY.replace(" ", "").replace("\r\n", "").encode()
    assert got.count(b"DKIM-Signature:") == 2
    for n in range(2):
        assert dkim.DKIM(got).verify(idx=n, dnsfunc=lambda name, timeout=5: records[name.decode().rstrip(".")].encode())
    house.wait_event("smtp.lines_broken")


def test_long_lines_of_local_programs_are_broken(house, sinks):
    if os.geteuid() != 0:
        pytest.skip("only root can play other users")
    house.cli("app", "add", "shop", "--uid", "61001", "--from", "shop@example.test", check=False)
    done = subprocess.run(["sendmail", "-C", house.config, "a@good.open.test"],
                          input=f"Subject: token-program\n\n{LONG_BODY}".replace("\r", "").encode(),
                          executable=os.path.dirname(house.binary) + "/../sbin/sendmail", capture_output=True,
                          timeout=60, user=61001, group=61001, extra_groups=[])
    assert done.returncode == 0, done
    assert longest(arrived(sinks, b"token-program")) == 998
    house.wait_event("drop.lines_broken")


def test_long_lines_of_others_stay(house, sinks):
    """what is forwarded was signed by somebody else"""
    house.cli("alias", "add", "away@example.test", "away@good.open.test")
    with smtplib.SMTP("127.0.0.1", house.ports["smtp"], timeout=30) as s:
        s.sendmail("stranger@open.test", ["away@example.test"],
                   b"From: <stranger@open.test>\r\nSubject: token-others\r\n\r\n" + LONG_BODY.encode(), ["BODY=8BITMIME"])
    got = arrived(sinks, b"token-others")
    assert got.endswith(b"\r\n\r\n" + LONG_BODY.encode()), longest(got)


# ---- a smarthost that speaks SCRAM: another server of ours -------------------------------------------------------

def test_logs_in_with_scram(world, tmp_path):
    """SCRAM-SHA-256-PLUS where it is offered, else PLAIN; with a wrong password mail waits, and it is not said as PLAIN"""
    d, port = str(tmp_path), free_port()
    cert, key = certificate(d, "hub.open.test")
    for name, password in (("good", PASSWORD), ("bad", "guessed wrongly")):
        with open(f"{d}/{name}", "w") as f:
            f.write(f"alice@example.test\n{password}\n")
    with Names(d + "/names", ["hub.open.test. A 127.0.1.30"]) as names, House(names, port) as hub:
        hub.cli("stop")
        with open(hub.config) as f:
            lines = [x for x in f.read().splitlines() if not x.startswith(("certificate", "key"))]
        lines = [x.replace("127.0.0.1", "127.0.1.30") if x.startswith("listen subm") else x for x in lines]
        with open(hub.config, "w") as f:
            f.write("\n".join(lines) + f'\ncertificate = "{cert}"\nkey = "{key}"\n')
        hub.cli("start", timeout=60)
        ways = "".join(f'relay {name} {{ host = hub.open.test port = {hub.ports[on]} tls = {tls} credentials = "{d}/{which}" '
                       f'senders = {{{sender}@example.test}} }}\n' for name, on, tls, which, sender in (
                           ("first", "submission", "starttls", "good", "alice"), ("wrong", "submissions", "tls", "bad", "bob")))
        with House(names, port, f'allow = {{127.0.1.0/24}} idle = 0 roots = "{cert}"\n{ways}') as house:
            house.cli("sender", "grant", "alice@example.test", "bob@example.test")
            queue_id = house.submit("x@far.open.test")
            house.wait_event("queue.delivered", queue_id=queue_id)
            assert [e["mechanism"] for e in hub.events("login.ok") if "mechanism" in e] == ["SCRAM-SHA-256-PLUS"]
            queue_id = house.submit("x@far.open.test", sender="bob@example.test")
            assert house.wait_event("queue.deferred", queue_id=queue_id)["code"] == "535"
            assert len([e for e in hub.events("login.failed") if e.get("protocol") == "smtp"]) == 1
            hub.cli("stop")
            with open(hub.config, "a") as f:
                f.write("scram = false\n")
            hub.cli("start", timeout=60)
            queue_id = house.submit("y@far.open.test")
            house.wait_event("queue.delivered", queue_id=queue_id)
            assert [e["mechanism"] for e in hub.events("login.ok") if "mechanism" in e][-1] == "PLAIN"
