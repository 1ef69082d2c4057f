# SPDX-License-Identifier: MIT
"""`postern reload` under a stream of new connections: none is refused, and what was answered with 250 is there."""
import smtplib
import socket
import threading
import time

import pytest


class Sender(threading.Thread):
    """One message per connection, one after the other. What a reload cuts is sent again, as servers do."""

    def __init__(self, target, token, number):
        super().__init__()
        self.target, self.token, self.number = target, token, number
        self.accepted, self.refused, self.cut, self.longest, self.stop = [], 0, 0, 0.0, False

    def run(self):
        n = 0
        while not self.stop:
            n += 1
            mark = f"{self.token}.{self.number}.{n}."
            began = time.monotonic()
            try:
                with smtplib.SMTP(self.target.host, self.target.ports["smtp"], timeout=20) as s:
                    s.sendmail("a@sender.test", [self.target.bob],
                               f"From: <a@sender.test>\r\nSubject: {mark}\r\n"
                               f"Message-ID: <{mark}@sender.test>\r\n\r\n{self.token}\r\n")
                    self.accepted.append(mark)
            except ConnectionRefusedError:
                self.refused += 1
            except (smtplib.SMTPException, OSError):
                self.cut += 1
            self.longest = max(self.longest, time.monotonic() - began)
            time.sleep(0.02)


def test_reload_refuses_and_loses_nothing(target, token):
    if target.peer:
        pytest.skip("a command of Postern's")
    before = target.server.status()["deaths"]
    senders = [Sender(target, token, k) for k in range(4)]
    for s in senders:
        s.start()
    try:
        for _ in range(3):
            time.sleep(0.7)
            target.server.cli("reload")
        time.sleep(1.5)
    finally:
        for s in senders:
            s.stop = True
        for s in senders:
            s.join(60)
    accepted = [m for s in senders for m in s.accepted]
    said = f"{len(accepted)} accepted, {sum(s.cut for s in senders)} cut, longest {max(s.longest for s in senders):.2f} s"
    print(said)
    assert sum(s.refused for s in senders) == 0, said
    assert len(accepted) > 50, said
    with target.box(target.bob) as box:
        found = box.find(token, count=len(accepted), within=30)
    subjects = b"\n".join(found)
    assert [m for m in accepted if m.encode() not in subjects] == [], said
    # a client with TLS connects afterwards as before, and no room has died of it
    with socket.create_connection((target.host, target.ports["imaps"]), timeout=10):
        pass
    assert target.server.status()["deaths"] == before
