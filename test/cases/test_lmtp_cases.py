# SPDX-License-Identifier: MIT
"""S-099 and LMTP (RFC 2033): in, from Postfix and from swaks over TCP and a Unix socket; out, to Dovecot."""
import os
import smtplib
import socket
import ssl
import stat
import subprocess
import sys
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [TOP + "/test/tools", TOP + "/bench"]
os.environ.setdefault("POSTERN_BUILD", TOP + "/build-check")  # what counts the flushes of peers
from boxes import Mailbox  # noqa: E402
from own import PASSWORD, Own, free_port, wait_for  # noqa: E402

if os.environ.get("POSTERN_CASES_PEER"):
    pytest.skip("of Postern alone", allow_module_level=True)
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start Postfix and Dovecot")
RULES = """[header in]
/^Subject: lottery/   REJECT 554 5.7.1 no lottery
/^Subject: later/     REJECT 4.7.1 come again
/^Subject: nobody/    DISCARD
/^Subject: odd/       HOLD odd
/^Subject: to bob/    REDIRECT bob@example.test
/^Subject: plain/     PREPEND X-Rule: yes

[body in]
/^a dirty word/       REPLACE a clean word
/^buy now/            REJECT 5.7.2 we do not buy
"""
MAIL = "From: <a@far.test>\r\nTo: <alice@example.test>\r\nSubject: {}\r\n\r\nhello\r\n.\r\n"


@pytest.fixture(scope="module")
def world():
    lmtp, store = free_port(), free_port()
    more = (f'listen lmtp {{ addresses = {{127.0.0.1}} port = {lmtp} from = {{127.0.0.1}} socket = "{{run}}/lmtp" mode = 0666 }}\n'
            f'outbound {{ allow = {{127.0.0.1}} route store.test {{ to = "lmtp:[127.0.0.1]:{store}" }}\n'
            'route local.test { to = "lmtp:unix:{dir}/store" } }\nfilter = "{dir}/filter.rules"\n')
    own = Own(more, sender_authentication="enforce")
    with open(own.root + "/filter.rules", "w") as rules:
        rules.write(RULES)
    with own as house:
        house.lmtp, house.store = lmtp, store
        yield house


@pytest.fixture(autouse=True)
def common_rule(world):
    """The common rule for a server of one's own."""
    deaths = world.status()["deaths"]
    yield
    assert world.status()["deaths"] == deaths, "a room has died"


class Talk:
    def __init__(self, to, source=None):
        if isinstance(to, str):
            self.s = socket.socket(socket.AF_UNIX)
            self.s.settimeout(20)
            self.s.connect(to)
        else:
            self.s = socket.create_connection(("127.0.0.1", to), timeout=20, source_address=source and (source, 0))
        self.f = self.s.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.f.close()
        self.s.close()

    def reply(self):
        while True:
            line = self.f.readline().decode()
            if not line or line[3:4] != "-":
                return line.strip()

    def ask(self, line):
        self.s.sendall(line.encode() + b"\r\n")
        return self.reply()


def deliver(to, subject, *rcpts):
    """The codes of RCPT and of the content."""
    with Talk(to) as t:
        assert t.reply().startswith("220 ") and t.ask("LHLO mta.test").startswith("250")
        assert t.ask("MAIL FROM:<a@far.test>").startswith("250")
        first = [t.ask(f"RCPT TO:<{r}>")[:3] for r in rcpts]
        assert t.ask("DATA").startswith("354")
        t.s.sendall(MAIL.format(subject).encode())
        return first, [t.reply()[:3] for _ in range(first.count("250"))]


def boxes(house, token):
    return {n: len(Mailbox(house, f"{n}@example.test").find(token)) for n in ("alice", "bob")}


def test_S_099_lhlo_on_25(world, token):
    with Talk(world.ports["smtp"]) as t:
        assert t.reply().startswith("220 ")
        assert t.ask("LHLO client.test").startswith("500 ")
        assert t.ask("EHLO client.test").startswith("250")
    with Talk(world.lmtp) as t:
        assert "LMTP" in t.reply()
        assert t.ask("EHLO client.test").startswith("500 ") and t.ask("HELO client.test").startswith("500 ")


@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_a_reply_for_each_recipient(world, token, way):
    to = world.lmtp if way == "tcp" else world.root + "/run/lmtp"
    first, then = deliver(to, token, "alice@example.test", "nobody@example.test", "bob@example.test", "x@far.test")
    assert first == ["250", "550", "250", "550"] and then == ["250", "250"]
    assert boxes(world, token) == {"alice": 1, "bob": 1}


def talk(house, subject, text, *rcpts):
    """The replies to the content."""
    with Talk(house.lmtp) as t:
        assert t.reply().startswith("220 ") and t.ask("LHLO mta.test").startswith("250")
        assert t.ask("MAIL FROM:<a@far.test>").startswith("250")
        assert all(t.ask(f"RCPT TO:<{r}>").startswith("250") for r in rcpts)
        assert t.ask("DATA").startswith("354")
        t.s.sendall(f"From: <a@far.test>\r\nSubject: {subject}\r\n\r\n{text}\r\n.\r\n".encode())
        return [t.reply() for _ in rcpts] + [t.ask("NOOP")[:3]]


@pytest.mark.parametrize("subject,text,reply", [("lottery", "x", "554 5.7.1 no lottery"), ("later", "x", "450 4.7.1 come again"),
                                                ("x", "buy now", "550 5.7.2 we do not buy")])
def test_rules_refuse_for_each_recipient(world, token, subject, text, reply):
    both = ("alice@example.test", "bob@example.test")
    assert talk(world, f"{subject} {token}", text, *both) == [reply, reply, "250"]
    assert {n: len(Mailbox(world, f"{n}@example.test").find(token, within=0)) for n in ("alice", "bob")} == {"alice": 0, "bob": 0}
    assert world.queue_length() == 0


def test_rules_change_and_send_elsewhere(world, token):
    both = ("alice@example.test", "bob@example.test")
    assert [r[:3] for r in talk(world, f"plain {token}p", "a dirty word", *both)] == ["250"] * 3
    assert boxes(world, token + "p") == {"alice": 1, "bob": 1}
    got = Mailbox(world, "alice@example.test").find(token + "p")[0]
    assert b"\r\nX-Rule: yes\r\n" in got and b"a clean word" in got and b"dirty" not in got
    assert b"Authentication-Results:" not in got  # who sent it was judged where it came from, even with "enforce"
    assert [r[:3] for r in talk(world, f"to bob {token}b", "x", "alice@example.test", "alice+x@example.test")] == ["250"] * 3
    assert len(Mailbox(world, "bob@example.test").find(token + "b")) == 1
    assert [r[:3] for r in talk(world, f"nobody {token}n", "x", *both)] == ["250"] * 3
    assert [r[:3] for r in talk(world, f"odd {token}o", "x", *both)] == ["250"] * 3
    time.sleep(0.3)
    for name, gone in (("alice", "b"), ("alice", "n"), ("bob", "n"), ("alice", "o"), ("bob", "o")):
        assert len(Mailbox(world, f"{name}@example.test").find(token + gone, within=0)) == 0
    held = [q for q in world.json("queue", "list") if "odd" in str(q)]
    assert len(held) == 1, held
    world.cli("queue", "drop", held[0]["id"])


def test_the_socket_has_its_mode(world):
    st = os.stat(world.root + "/run/lmtp")
    assert stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o666


def test_only_listed_peers(world):
    with Talk(world.lmtp, source="127.0.0.9") as t:
        assert t.reply().startswith("554 ") and t.reply() == ""
    assert world.events("lmtp.refused")[-1]["ip"] == "127.0.0.9"


@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_swaks(world, token, way):
    where = ["--server", "127.0.0.1", "--port", str(world.lmtp)] if way == "tcp" else ["--socket", world.root + "/run/lmtp"]
    done = subprocess.run(["swaks", "--protocol", "LMTP", *where, "--from", "a@far.test", "--to",
                           "alice@example.test,bob@example.test", "--header", f"Subject: {token}"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("queued as") == 2
    assert boxes(world, token) == {"alice": 1, "bob": 1}


@root
def test_postfix_delivers_to_us(world, token, tmp_path):
    from measure import Group
    from peers import Postfix
    os.chmod(tmp_path, 0o755)
    for up in tmp_path.parents[:2]:
        os.chmod(up, 0o755)
    port = free_port()
    postfix = Postfix(str(tmp_path / "postfix"), port, ["alice", "bob"], more="lmtp unix - - n - - lmtp\n",
                      extra=f"virtual_transport = lmtp:inet:127.0.0.1:{world.lmtp}\nlmtp_destination_recipient_limit = 10\n")
    group = Group("lmtp")
    try:
        postfix.start(group)
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as s:
            s.sendmail("a@far.test", ["alice@example.test", "bob@example.test"],
                       f"From: a@far.test\r\nSubject: {token}\r\n\r\nhello\r\n")
        wait_for(lambda: postfix.queue_length() == 0)
    finally:
        postfix.stop()
        group.close()
    assert boxes(world, token) == {"alice": 1, "bob": 1}
    assert [e["rcpts"] for e in world.events("smtp.accepted")][-1] == "2"


@root
def test_we_deliver_to_dovecot(world, token, tmp_path):
    """over TCP, and at a Unix socket that is root's alone: warden connects it for send; while nobody is there, it waits"""
    from peers import Dovecot
    os.chmod(tmp_path, 0o755)
    for up in tmp_path.parents[:2]:
        os.chmod(up, 0o755)
    dovecot = Dovecot(str(tmp_path / "dovecot"), free_port(), free_port(),
                      {"carol@store.test": "secret", "carol@local.test": "secret"})
    with open(tmp_path / "dovecot/dovecot.conf", "a") as f:
        f.write("protocols = imap lmtp\nservice lmtp {\n  chroot =\n  inet_listener lmtp {\n    address = 127.0.0.1\n"
                f"    port = {world.store}\n  }}\n  unix_listener {world.root}/store {{\n    mode = 0600\n  }}\n}}\n")
    early = send_to(world, "carol@local.test", token + "-early")
    talk = talk_of(world, early)
    assert talk["text"] == "the local socket cannot be reached" and talk["host"] == f"unix:{world.root}/store", talk
    try:
        dovecot.start()
        world.cli("queue", "retry", early)
        wait_for(lambda: arrived(tmp_path, token + "-early"))
        for domain in ("store.test", "local.test"):
            queue_id = send_to(world, f"carol@{domain}", token + domain)
            talk = talk_of(world, queue_id)
            assert talk["delivered"] == "1" and (domain == "store.test" or "tls" not in talk), talk
            wait_for(lambda d=domain: arrived(tmp_path, token + d))
        # nobody knows this one: what LMTP says about each recipient is what is told
        queue_id = send_to(world, "nobody@local.test", token)
        assert talk_of(world, queue_id)["failed"] == "1"
        wait_for(lambda: world.queue_length() == 0)
    finally:
        dovecot.stop()


def send_to(world, to, token):
    """alice writes; the id in the queue"""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP_SSL("127.0.0.1", world.ports["submissions"], context=context, timeout=30) as s:
        s.login("alice@example.test", PASSWORD)
        s.mail("alice@example.test")
        assert s.rcpt(to)[0] == 250
        return s.data(f"From: alice@example.test\r\nSubject: {token}\r\n\r\nhello\r\n")[1].split()[-1].decode()


def talk_of(world, queue_id):
    return wait_for(lambda: next((e for e in world.events("send.talk") if e["queue_id"] == queue_id), None))


def arrived(directory, token):
    for at, _, files in os.walk(directory / "dovecot"):
        if at.endswith("/new") and any(token in open(f"{at}/{f}", errors="replace").read() for f in files):
            return True
    return False
