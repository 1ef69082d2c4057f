# SPDX-License-Identifier: MIT
"""R-007: the resolver is dead, half of its packets are lost, every peer says one octet a second. Mail waits in the queue
with its reason, nothing bounces, memory stays bounded; when the world comes back, everything goes out."""
import os
import random
import socket
import sys
import threading
import time
import uuid

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from counting import DOMAIN, Elsewhere, instance, submit  # noqa: E402
from server import pss_kib  # noqa: E402

ROOMS, MOST_KIB, SOME = ("queue", "send", "dns"), 60 * 1024, 300


class Drip:
    """A peer that says one octet of a greeting without end each second."""

    def __init__(self, address, port):
        self.listener = socket.create_server((address, port), backlog=500)
        self.listener.settimeout(None)
        self.open, self.over = [], False
        threading.Thread(target=self.accept, daemon=True).start()
        threading.Thread(target=self.drip, daemon=True).start()

    def accept(self):
        while True:
            try:
                self.open.append(self.listener.accept()[0])
            except OSError:
                return

    def drip(self):
        while not self.over:
            for s in list(self.open):
                try:
                    s.send(b"2")
                except OSError:
                    self.open.remove(s)
            time.sleep(1)

    def close(self):
        self.over = True
        self.listener.close()


@pytest.fixture(scope="module")
def world(target, tmp_path_factory):
    root = os.path.join(os.path.dirname(target.server.config), ".root")
    if not os.path.isdir(root):
        pytest.skip("needs the installed server of POSTERN_TRY")
    d = str(tmp_path_factory.mktemp("dead"))
    for one in (d, os.path.dirname(d), os.path.dirname(os.path.dirname(d))):
        os.chmod(one, 0o755)  # rooms have uids of their own
    with Elsewhere(names=(DOMAIN, "slow.test", "lossy.test")) as e:
        server = instance(os.path.realpath(root), d + "/server", int(os.environ.get("POSTERN_PORT_BASE", 23000)) + 400,
                          e.configuration.replace("timeout = 2", "timeout = 1", 1))
        try:
            yield server, e
        finally:
            server.stop()


def messages(domain, count):
    return [("T" + uuid.uuid4().hex, f"u{i}@{domain}") for i in range(count)]


def waits(server, seconds, count):
    """For so long all of it stays in the queue, without a bounce, in bounded memory."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert server.queue_length() == count
        for name, pid in server.rooms():
            assert name not in ROOMS or pss_kib([pid])[0] < MOST_KIB, name
        time.sleep(0.5)
    said = server.cli("log", "--last", "5000").stdout
    assert "queue.failed" not in said and "queue.notified" not in said


def arrives(e, sent, within=30):
    end = time.monotonic() + within
    while missing := [t for t, _ in sent if not e.copies(t)]:
        assert time.monotonic() < end, f"{len(missing)} of {len(sent)} are missing"
        time.sleep(0.1)


def empty(server, within=20):
    end = time.monotonic() + within
    while server.queue_length() > 0:
        assert time.monotonic() < end, server.cli("queue", "list").stdout[-500:]
        time.sleep(0.1)


def test_R_007_resolver_dead(world):
    server, e = world
    e.zone.add(DOMAIN, "DROP", [])
    sent = messages(DOMAIN, SOME)
    submit(server, sent)
    waits(server, 4, SOME)
    del e.zone.records[DOMAIN]["DROP"]
    arrives(e, sent)
    empty(server)


def test_R_007_half_of_the_packets_are_lost(world):
    server, e = world
    whole, dice = e.zone.answer, random.Random(7)
    e.zone.answer = lambda *words: whole(*words) if dice.random() < 0.5 else None
    try:
        sent = messages("lossy.test", SOME)
        submit(server, sent)
        arrives(e, sent)
    finally:
        e.zone.answer = whole
    empty(server)


def test_R_007_peers_of_one_octet_a_second(world):
    server, e = world
    e.zone.add("slow.test", "MX", ["10 mx.slow.test"])
    e.zone.add("mx.slow.test", "A", ["127.0.5.9"])
    drip = Drip("127.0.5.9", e.port)
    sent = messages("slow.test", SOME)
    submit(server, sent)
    waits(server, 8, SOME)
    drip.close()
    server.cli("queue", "drop", "--domain", "slow.test", "--yes")
    empty(server)
