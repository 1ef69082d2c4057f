# SPDX-License-Identifier: MIT
"""Attack cases S-087, S-089 and S-092..S-099 over real sockets: what is sent inside of chunks, other protocols, and clients
that hold what they have; and partners that are down, on a server of its own."""
import os
import signal
import socket
import time

import pytest
from elsewhere import House, Names, free_port
from wire import Smtp, next_source

HEAD = "From: <a@far.test>\r\nSubject: {}\r\n\r\n"


def chunked(s, *chunks):
    """Chunks one after the other, the last with LAST: all in one segment."""
    last = len(chunks) - 1
    s.send(b"".join(b"BDAT %d%s\r\n" % (len(c), b" LAST" if i == last else b"") + c for i, c in enumerate(chunks)))


def test_S_087_commands_inside_a_chunk(target, token):
    inside = b"\r\n.\r\nMAIL FROM:<evil@far.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: evil\r\n\r\n.\r\n"
    with target.box(target.alice) as box, target.smtp() as s:
        before = box.count()
        s.envelope(target.alice)
        body = HEAD.format(token).encode() + inside
        chunked(s, body[:60], body[60:])
        assert [r.code for r in s.all_replies(1.5)] == [250, 250]
        assert s.ask("RCPT TO:<bob@example.test>").code == 503  # nothing of it was run
        stored = box.find(token)
        assert len(stored) == 1 and stored[0].endswith(inside) and box.count() == before + 1


def cpu_of(target, room):
    pid = dict(target.server.rooms())[room]
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("size", [0, 1], ids=lambda n: f"S-089 {n} octets")
def test_thousands_of_chunks(target, size):
    before = cpu_of(target, "smtp/mx")
    with target.smtp() as s:
        s.envelope(target.alice)
        s.send((b"BDAT %d\r\n" % size + b"x" * size) * 20000)
        codes = [r.code for r in s.all_replies(2.0)]
    assert codes.count(250) <= 1000, "a message may have a thousand chunks"
    assert any(c >= 421 for c in codes) and s.closed, codes[-3:]
    assert cpu_of(target, "smtp/mx") - before < 5


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST / HTTP/1.1", "CONNECT mail.example.test:25 HTTP/1.1",
                                  "PUT /x HTTP/1.0", "OPTIONS * HTTP/1.1", "HEAD / HTTP/1.1"], ids=lambda v: "S-092 " + v.split()[0])
def test_other_protocols(target, token, line):
    with target.smtp(ehlo=False) as s:
        s.send(f"{line}\r\nHost: x\r\n\r\nEHLO x\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n" +
               HEAD.format(token) + ".\r\n")
        replies = s.all_replies(1.5)
        assert s.closed and len(replies) == 1 and replies[0].first == 5, replies


@pytest.mark.parametrize("name", ["", "x" * 11000, "$(id)", "<script>alert(1)</script>", "a\x1b[2Jb", "a;b", "\u00fc.test"],
                         ids=lambda v: "S-093 " + ascii(v)[1:12])
def test_hello(target, name):
    with target.smtp(ehlo=False) as s:
        answer = s.ask("EHLO " + name if name else "EHLO")
        assert answer.code in (500, 501), answer
        assert not name or name[:200] not in answer
        assert all(0x20 <= b <= 0x7e or b in b"\r\n" for b in answer.raw)


def test_S_096_many_idle_connections(target):
    """400 idle connections of one address, and another is greeted at once."""
    source, held = next_source(), []
    try:
        for _ in range(400):
            held.append(socket.create_connection((target.host, target.ports["smtp"]), timeout=5, source_address=(source, 0)))
        for c in held:
            assert c.recv(100).startswith(b"220 ")
        began = time.monotonic()
        with target.smtp(ehlo=False) as s:
            assert s.greeting.code == 220
        assert time.monotonic() - began < 1
    finally:
        for c in held:
            c.close()


def test_S_099_lmtp(target):
    with target.smtp(ehlo=False) as s:
        assert s.ask("LHLO client.test").code == 500
        assert s.ask("MAIL FROM:<a@far.test>").code == 503  # it was no greeting


# ---- a server of its own: what is done to it is no common rule's business ----

@pytest.fixture(scope="module")
def house(target, tmp_path_factory):
    if target.peer:
        pytest.skip("only for Postern")
    with Names(str(tmp_path_factory.mktemp("names")), ["dead.test. MX 10 mx.dead.test.", "mx.dead.test. A 127.0.0.9"]) as names:
        with House(names, free_port(), 'allow = {"127.0.0.0/8"}', "connections = 60\nconnections_per_address = 1000\n") as h:
            config = open(h.config).read().replace('queue { retry_first', 'queue { high_water = 100 retry_first')
            for name in ("smtp", "submissions"):  # errors are counted here, not waited for
                config = config.replace("port = %d }" % h.ports[name], "port = %d greet_wait = 0 tarpit = 0 }" % h.ports[name])
            with open(h.config, "w") as f:
                f.write(config)
            h.stop()
            h.start()
            yield h


def smtp(house, **more):
    return Smtp(house.host, house.ports["smtp"], **more)


class Down:
    """A room that is down: killed, while warden sleeps and cannot start another one."""

    def __init__(self, house, room):
        self.house, self.room = house, room

    def __enter__(self):
        end = time.monotonic() + 10
        while self.room not in dict(self.house.rooms()):
            assert time.monotonic() < end, f"{self.room} is not there"
            time.sleep(0.1)
        self.pid = dict(self.house.rooms())[self.room]
        os.kill(self.house.warden(), signal.SIGSTOP)
        os.kill(self.pid, signal.SIGKILL)

    def __exit__(self, *_):
        os.kill(self.house.warden(), signal.SIGCONT)
        end = time.monotonic() + 10
        while dict(self.house.rooms()).get(self.room, self.pid) == self.pid:
            assert time.monotonic() < end, f"{self.room} was not started again"
            time.sleep(0.1)


def test_S_097_auth_is_down(house, token):
    """The user table, that is: nobody is known, and nobody is unknown."""
    with smtp(house) as s:
        assert s.ask("MAIL FROM:<a@far.test>").code == 250
        with Down(house, "auth"):
            for name in ("alice@example.test", "nobody@example.test", "x@far.test"):
                assert s.ask(f"RCPT TO:<{name}>").code == 451, name
            with Smtp(house.host, house.ports["submissions"], tls=True) as sub:
                assert sub.ask("AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABjb3JyZWN0").code == 454
        end = time.monotonic() + 10
        while s.ask("RCPT TO:<alice@example.test>").code != 250:
            assert time.monotonic() < end
            time.sleep(0.2)


def test_S_097_queue_is_down(house, token):
    with smtp(house) as s:
        with Down(house, "queue"):
            assert [r.code for r in s.envelope("alice@example.test")] == [250, 250]
            assert s.ask("DATA").code == 354
            s.send(HEAD.format(token) + "x\r\n.\r\n")
            assert s.reply(90).code == 451
        end = time.monotonic() + 10
        while s.message("alice@example.test", HEAD.format(token).encode() + b"x").code != 250:
            assert time.monotonic() < end
            time.sleep(0.2)


def test_S_098_flood_of_reports(house):
    """A thousand mails from the null sender to somebody who wrote nothing: a tenth of the limit, then 450."""
    house.cli("account", "limit", "bob@example.test", "--inbound", "200")
    codes = []
    with smtp(house) as s:
        for i in range(1000):
            if i % 300 == 0 and i > 0:
                s.ask("QUIT")
                s = smtp(house)
            s.ask("MAIL FROM:<>")
            answer = s.ask("RCPT TO:<bob@example.test>")
            codes.append(answer.code)
            if i % 40 == 0 and i > 0:  # RSET without mail between is junk
                s.ask("QUIT")
                s = smtp(house)
            else:
                s.ask("RSET")
    assert codes[:20] == [250] * 20 and set(codes[20:]) == {450}, (codes[:25], set(codes))
    with smtp(house) as s:  # and mail of others still comes
        assert [r.code for r in s.envelope("bob@example.test")] == [250, 250]
    assert house.events("rcpt.limited")


def patience(house):
    """Errors that a stranger is allowed."""
    with smtp(house) as s:
        n = 0
        while s.ask("X").code == 500:
            n += 1
    return n


def test_stress_by_connections_S_094(house):
    """Nine tenths of the connections are held: then silence and slow content are cut after 10 s, and all is well again."""
    assert patience(house) == 19
    silent, slow = [smtp(house, ehlo=False) for _ in range(55)], smtp(house)
    began = time.monotonic()
    slow.envelope("alice@example.test")
    assert slow.ask("DATA").code == 354
    assert patience(house) == 3
    with Smtp(house.host, house.ports["submissions"], tls=True) as sub:  # accounts keep theirs
        assert [sub.ask("X").code for _ in range(10)] == [500] * 10
        while time.monotonic() - began < 8.5:
            assert slow.send(b"x") and not slow.until_closed(0.5), (time.monotonic() - began, slow.buf)
        for s in silent:
            assert s.reply(5).code == 421
        assert slow.until_closed(4), "S-095"
        assert sub.ask("NOOP").code == 250
    assert time.monotonic() - began < 16
    for s in (*silent, slow):
        s.close()
    end = time.monotonic() + 5
    while patience(house) != 19:
        assert time.monotonic() < end
        time.sleep(0.3)
    assert len([e for e in house.events("smtp.stress") if e.get("why") == "connections"]) == 1


def test_stress_by_queue(house):
    """More open deliveries than high_water: the next answer of queue says so."""
    house.submit(*[f"u{i}@dead.test" for i in range(101)])
    end = time.monotonic() + 15
    while patience(house) != 3:
        assert time.monotonic() < end
        with smtp(house) as s:
            assert s.message("alice@example.test", HEAD.format("x").encode()).code == 250
        time.sleep(0.3)
    with smtp(house) as s:
        assert "LIMITS MAILMAX=10 RCPTMAX=100" in s.offers
    with Smtp(house.host, house.ports["submissions"], tls=True) as sub:
        assert "LIMITS MAILMAX=1000 RCPTMAX=1000" in sub.offers
    for m in house.json("queue", "list"):
        house.cli("queue", "drop", m.get("queue_id") or m["id"], check=False)
    end = time.monotonic() + 15
    while patience(house) != 19:
        assert time.monotonic() < end
        with smtp(house) as s:
            assert s.message("alice@example.test", HEAD.format("x").encode()).code == 250
        time.sleep(0.5)
    assert [e.get("why") for e in house.events("smtp.stress") if e["now"] == "yes"].count("queue") == 1
