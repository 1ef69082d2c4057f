# SPDX-License-Identifier: MIT
"""The common pass rule of every attack case, checked after each of them:

- a new client is greeted within 5 s on every port,
- no process of the server died (rooms keep their pids, `postern status` counts no new death),
- log lines are single and printable,
- private dirty memory grew by no more than the bound (mark `memory(MiB)`, else 16),
- a bystander that talks to the server all the while waited less than a second for each reply.

The server is the started one of POSTERN_TRY (see test/tools/server.py for the environment), or else
one that is made by `./quickstart --try` in a temporary directory and stopped at the end. With
POSTERN_CASES_PEER=1 private instances of Debian's Postfix and Dovecot stand in for it, which tells
whether a driver does what its case says; the parts of the rule that need Postern are left out then.
"""
import os
import sys
import threading
import time
import uuid

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
sys.dont_write_bytecode = True
from target import a_target  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "memory(mib): bound of the growth of private memory")


class Bystander(threading.Thread):
    """An honest client: connects, says NOOP and QUIT, remembers its longest wait."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.target, self.longest, self.what, self.on = target, 0.0, "", True

    def run(self):
        while self.on:
            began = time.monotonic()
            try:
                with self.target.smtp(source="127.9.9.9", timeout=10, ehlo=False) as s:
                    what = "greeting"
                    if s.greeting.code != 220:
                        self.what, self.longest = f"greeting {s.greeting!r}", 99.0
                    self._note(began, what)
                    began = time.monotonic()
                    s.ask("NOOP")
                    self._note(began, "NOOP")
                    s.ask("QUIT")
            except (OSError, TimeoutError) as e:
                self._note(began - 99, repr(e))
            time.sleep(0.25)

    def _note(self, began, what):
        took = time.monotonic() - began
        if took > self.longest:
            self.longest, self.what = took, what


@pytest.fixture(scope="session")
def target():
    with a_target(23000) as t:
        yield t


@pytest.fixture(scope="session")
def bystander(target):
    b = Bystander(target)
    b.start()
    yield b
    b.on = False


@pytest.fixture
def token():
    return "tok" + uuid.uuid4().hex


def greeted(target, within=5.0):
    end = time.monotonic() + within
    with target.smtp(ehlo=False, timeout=within) as s:
        assert s.greeting.code == 220, f"not greeted on smtp: {s.greeting!r}"
    with target.imap(timeout=within) as i:
        assert i.greeting.startswith(b"* OK"), f"not greeted on imaps: {i.greeting!r}"
    assert time.monotonic() < end, f"greeted only after {within} s"


def printable(lines):
    for line in lines:
        bad = [c for c in line if ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0]
        assert not bad, f"control characters in a log line: {line!r}"


@pytest.fixture(autouse=True)
def common_rule(request, target, bystander):
    mark = request.node.get_closest_marker("memory")
    bound_kib = (mark.args[0] if mark else 16) * 1024
    if target.peer:
        yield
        greeted(target)
        return
    began, deaths = time.monotonic(), target.server.status()["deaths"]
    rooms, before = target.lasting_rooms(), target.private_kib()
    bystander.longest = 0.0
    yield
    waited, what = bystander.longest, bystander.what
    greeted(target)
    after = target.lasting_rooms()
    gone = {name: pid for name, pid in rooms.items() if after.get(name) != pid}
    assert not gone, f"rooms died: {gone}, now {after}"
    assert target.server.status()["deaths"] == deaths, "a room has died"
    printable(target.log(time.monotonic() - began))
    end = time.monotonic() + 5
    while target.private_kib() - before > bound_kib and time.monotonic() < end:
        time.sleep(0.25)
    growth = target.private_kib() - before
    assert growth <= bound_kib, f"private memory grew by {growth} KiB, bound {bound_kib}"
    assert waited < 1.0, f"a bystander waited {waited:.1f} s for {what}"
