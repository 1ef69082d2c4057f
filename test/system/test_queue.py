# SPDX-License-Identifier: MIT
"""The queue from outside: an instance of its own, whose mail for sink.example goes to a server that
this file plays and whose mail for dead.example goes to a port where nobody listens. Hold rules, what
the administrator sees and changes, retries, and the bounce that the sender finds in the mailbox."""
import email
import os
import shutil
import smtplib
import socketserver
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from server import insecure_context  # noqa: E402

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class Sink(socketserver.StreamRequestHandler):
    """A server that has no user bad@ and whose user full@ is over quota."""

    messages = []

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        self.say("220 sink.example")
        while True:
            line = self.rfile.readline().decode("latin-1").strip().upper()
            if not line:
                return
            if line.startswith("EHLO"):
                self.say("250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
            elif line.startswith("RCPT") and "<BAD@" in line:
                self.say("550 5.1.1 no such user")
            elif line.startswith("RCPT") and "<FULL@" in line:
                self.say("452 4.2.2 over quota")
            elif line == "DATA":
                self.say("354 go on")
                text = b""
                while (got := self.rfile.readline()) not in (b".\r\n", b""):
                    text += got
                self.messages.append(text)
                self.say("250 2.0.0 ok")
            elif line == "QUIT":
                self.say("221 2.0.0 bye")
                return
            else:
                self.say("250 2.0.0 ok")


class Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@pytest.fixture(scope="module")
def sink():
    with Tcp(("127.0.0.1", 0), Sink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


class Place:
    """The instance: its command line and its ports."""

    def __init__(self, directory, base):
        self.dir, self.base = directory, base
        self.words = [f"{directory}/.root/usr/bin/postern", "--config", f"{directory}/postern.conf"]
        with open(f"{directory}/passwords") as f:
            self.passwords = dict(line.split() for line in f if len(line.split()) == 2)

    def cli(self, *words, check=True):
        done = subprocess.run([*self.words, *words], capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, (words, done.stderr)
        return done

    def list(self, *words):
        import json
        return json.loads(self.cli("--json", "queue", "list", *words).stdout)

    def until(self, condition, what):
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end, (what, self.cli("queue", "list").stdout, self.cli("log").stdout[-3000:])
            time.sleep(0.1)

    def submit(self, *rcpts):
        """What was refused."""
        with smtplib.SMTP_SSL("127.0.0.1", 2465 + self.base, context=insecure_context()) as s:
            s.login("alice@example.test", self.passwords["alice@example.test"])
            try:
                return s.sendmail("alice@example.test", rcpts, "From: <alice@example.test>\r\nSubject: out\r\n\r\nhi\r\n")
            except smtplib.SMTPRecipientsRefused as e:
                return e.recipients

    def inbox(self):
        import imaplib
        box = imaplib.IMAP4_SSL("127.0.0.1", 2993 + self.base, ssl_context=insecure_context())
        box.login("alice@example.test", self.passwords["alice@example.test"])
        box.select()
        numbers = box.search(None, "ALL")[1][0].split()
        found = [email.message_from_bytes(box.fetch(n, "(RFC822)")[1][0][1]) for n in numbers]
        box.logout()
        return found


@pytest.fixture(scope="module")
def place(target, sink, tmp_path_factory):
    root = os.path.join(os.path.dirname(target.server.config), ".root")
    if not os.path.isdir(root):
        pytest.skip("needs the installed server of POSTERN_TRY")
    directory = str(tmp_path_factory.mktemp("queue"))
    os.chmod(directory, 0o755)
    for parent in (os.path.dirname(directory), os.path.dirname(os.path.dirname(directory))):
        os.chmod(parent, 0o755)  # rooms have uids of their own
    shutil.copytree(root, directory + "/.root", symlinks=True)
    base = int(os.environ.get("POSTERN_PORT_BASE", 23000)) + 300
    ways = (f'outbound {{ allow = {{"127.0.0.0/8"}} route sink.example {{ to = "smtp:[127.0.0.1]:{sink}" }} '
            'route dead.example { to = "smtp:[127.0.0.1]:1" } }')
    subprocess.run([os.path.join(TOP, "test/tools/instance"), directory, str(base)], check=True, timeout=120,
                   env={**os.environ, "EXTRA_CONFIGURATION": ways})
    p = Place(directory, base)
    yield p
    p.cli("stop", check=False)


def test_hold_rule(place):
    """New mail that matches waits, is seen with its reason, and goes when it is released."""
    rule = place.cli("queue", "hold-rule", "add", "--recipient", "alice@example.test", "--reason", "legal").stdout.split()[-1]
    assert place.submit("alice@example.test") == {}
    rows = place.list("--state", "held")
    assert len(rows) == 1 and rows[0]["reason"] == "legal" and rows[0]["to"] == "alice@example.test", rows
    assert place.list("--state", "held", "--sender", "@nobody.example") == []
    assert len(place.list("--account", "alice@example.test")) == 1
    assert "1 recipients match" in place.cli("queue", "drop", "--reason", "legal").stdout
    place.cli("queue", "hold-rule", "delete", rule)
    place.cli("queue", "release", rows[0]["id"])
    place.until(lambda: len(place.inbox()) == 1, "released mail")
    assert place.list() == []


def test_out_and_back(place):
    """One goes out, one comes back as a bounce with its reason in words, one waits, one destination is dead."""
    refused = place.submit("good@sink.example", "bad@sink.example", "full@sink.example", "x@dead.example")
    if any(b"no way out" in text for _, text in refused.values()):
        pytest.skip("submission does not yet take recipients elsewhere")
    assert refused == {}
    place.until(lambda: len(Sink.messages) == 1, "the sink's mail")
    place.until(lambda: len(place.inbox()) == 2, "the bounce")
    bounce = place.inbox()[-1]
    assert bounce["Auto-Submitted"] == "auto-replied" and bounce["Return-Path"] == "<>"
    status = [p for p in bounce.walk() if p.get_content_type() == "message/delivery-status"][0].get_payload()
    assert status[0]["Reporting-MTA"] == "dns; mail.example.test"
    assert status[1]["Final-Recipient"] == "rfc822; bad@sink.example" and status[1]["Action"] == "failed"
    assert status[1]["Status"] == "5.1.1" and status[1]["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert "There is no such user there." in bounce.get_payload(0).get_payload()
    rows = place.list("--state", "deferred")
    assert len(rows) == 1 and rows[0]["recipients"] == 2
    shown = place.cli("queue", "show", rows[0]["id"]).stdout
    assert "The mailbox is full." in shown and "The other server does not answer." in shown
    assert "The mailbox is full." in place.cli("explain", rows[0]["id"]).stdout
    place.cli("queue", "fail", "--domain", "sink.example", "--yes")
    place.until(lambda: len(place.inbox()) == 3, "the second bounce")
    place.cli("queue", "drop", rows[0]["id"])
    assert place.list() == []
    assert "queue.notified" in place.cli("explain", rows[0]["id"]).stdout
