# SPDX-License-Identifier: MIT
"""D-001, D-002, D-003 (SECURITY.md 2.5) against the whole way: liar, libunbound, room, channel."""
import struct
import threading
import time

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from liar import answer, negative, octets, relay

GOOD, EVIL = "192.0.2.1", "203.0.113.66"


def one(owner, address=GOOD):
    return lambda q, raw, tcp, reply: answer(q, (owner, 60, "A", address))


def raw_answer(q, kind, *rdatas, count=None):
    """An answer by hand: rdatas as octets, whatever they are"""
    name = q.question[0].name.to_wire()
    m = struct.pack(">HHHHHH", q.id, 0x8580, 1, len(rdatas) if count is None else count, 0, 0) + name
    m += struct.pack(">HH", q.question[0].rdtype, 1)
    for r in rdatas:
        m += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(r)) + r
    return m


# ---- D-001 ------------------------------------------------------------------------------------------

def test_D_001_off_path_ids(world):
    """200 answers with wrong ids come first, from the right address and port"""
    def handler(q, raw, tcp, reply):
        fake = bytearray(octets(answer(q, ("a.offid.example.", 60, "A", EVIL))))
        for n in range(1, 201):
            fake[0:2] = struct.pack(">H", (q.id + n) & 0xffff)
            reply(bytes(fake))
            time.sleep(0.0005)
        return answer(q, ("a.offid.example.", 60, "A", GOOD))
    world.liar.on("a.offid.example.", handler)
    assert world.query("a.offid.example")["records"] == [GOOD]


@pytest.mark.parametrize("what", ["question", "type", "case"])
def test_D_001_wrong_question(world, what):
    """The id is right, what it answers is not"""
    name = f"a.{what}.wrongq.example."

    def handler(q, raw, tcp, reply):
        asked = q.question[0].name
        other = {"question": dns.name.from_text("victim.example."), "type": asked,
                 "case": dns.name.from_text(asked.to_text().swapcase())}[what]
        fake = dns.message.make_response(q)
        fake.question = [dns.rrset.from_text(other, 0, "IN", "AAAA" if what == "type" else "A")]
        fake.answer = [dns.rrset.from_text(other, 60, "IN", "A", EVIL)]
        first = not [s for s in world.liar.seen[:-1] if s[2].lower() == name]
        if first:
            reply(fake)
            time.sleep(0.05)
        return answer(q, (name, 60, "A", GOOD))
    world.liar.on(name, handler)
    got = world.query(name)
    assert EVIL not in got["records"]
    assert got["records"] in ([GOOD], []) and (got["records"] or got["status"] in ("servfail", "timeout")), got


def test_D_001_random_ports_ids_and_case(world):
    world.liar.on("random.example.", lambda q, *_: answer(q, (q.question[0].name.to_text(), 60, "A", GOOD)))
    begin = len(world.liar.seen)
    for n in range(64):
        assert world.query(f"abcdefghijkl{n}.random.example")["status"] == "ok"
    seen = [s for s in world.liar.seen[begin:] if "random.example" in s[2].lower()]
    assert len({s[0][1] for s in seen}) > 56, "source ports repeat"
    assert len({s[1] for s in seen}) > 60, "ids repeat"
    assert sum(1 for s in seen if s[2] != s[2].lower()) > 56, "no 0x20"
    spread = sorted(s[0][1] for s in seen)
    assert spread[-1] - spread[0] > 16384, "source ports from a small range"


def test_D_001_out_of_bailiwick(world):
    """Records of others beside the answer are not remembered"""
    def handler(q, raw, tcp, reply):
        r = answer(q, ("a.extra.example.", 60, "A", GOOD), ("victim2.example.", 60, "A", EVIL))
        r.authority.append(dns.rrset.from_text("victim2.example.", 60, "IN", "NS", "ns.evil.example."))
        r.additional.append(dns.rrset.from_text("ns.evil.example.", 60, "IN", "A", EVIL))
        r.additional.append(dns.rrset.from_text("victim2.example.", 60, "IN", "A", EVIL))
        return r
    world.liar.on("a.extra.example.", handler)
    world.liar.on("victim2.example.", one("victim2.example."))
    assert world.query("a.extra.example")["records"] == [GOOD]
    assert world.query("victim2.example")["records"] == [GOOD]


def test_D_001_cname_to_itself(world):
    world.liar.on("self.example.", lambda q, *_: answer(q, ("self.example.", 60, "CNAME", "self.example.")))
    got = world.query("self.example")
    assert got["status"] in ("servfail", "nodata") and got["records"] == []


def test_D_001_chain_of_17(world):
    def handler(q, raw, tcp, reply):
        label = q.question[0].name.labels[0].decode().lower()
        n = int(label[1:])
        if n == 17:
            return answer(q, ("c17.chain.example.", 60, "A", EVIL))
        return answer(q, (f"c{n}.chain.example.", 60, "CNAME", f"c{n + 1}.chain.example."))
    world.liar.on("chain.example.", handler)
    got = world.query("c0.chain.example")
    assert got["status"] == "servfail" and got["records"] == []
    assert world.query("c14.chain.example")["records"] == [EVIL], "three links are no attack"


def test_D_001_txt_of_64_kib(world):
    text = (b"\xff" + b"x" * 255) * 255
    world.liar.on("big.example.", lambda q, *_: raw_answer(q, 16, text[:65280]))
    got = world.query("big.example", "TXT")
    assert got["status"] == "servfail" and got["records"] == []
    world.liar.on("half.example.", lambda q, *_: raw_answer(q, 16, text[:32768]))
    assert world.query("half.example", "TXT")["status"] == "ok", "32 KiB fit a frame"


@pytest.mark.parametrize("what,kind,number,rdata", [
    ("MX of 1 octet", "MX", 15, b"\0"), ("MX without a name", "MX", 15, b"\0\x0a"),
    ("TLSA of 0 octets", "TLSA", 52, b""), ("compression loop", "MX", 15, b"\0\x0a\xc0\x2d"),
    ("A of 3 octets", "A", 1, b"\1\2\3"), ("A of 5 octets", "A", 1, b"\1\2\3\4\5"),
    ("TXT that overruns", "TXT", 16, b"\x09short"), ("SRV of 5 octets", "SRV", 33, b"\0\1\0\2\0"),
    ("label of 64 octets", "MX", 15, b"\0\x0a\x40" + b"a" * 64 + b"\0")])
def test_D_001_malformed(world, what, kind, number, rdata):
    name = what.lower().replace(" ", "-") + ".malformed.example."
    world.liar.on(name, lambda q, *_: raw_answer(q, number, rdata))
    got = world.query(name, kind)
    assert got["status"] != "nxdomain" and got["status"] != "nodata", "nothing is known, so nothing is absent"
    assert all("malformed" in r for r in got["records"]), got


@pytest.mark.parametrize("size", [3, 19])
def test_D_001_short_tlsa(world, size):
    """A record that can be taken apart and that nobody can use: lib/verify leaves it out"""
    name = f"_25._tcp.tlsa{size}.malformed.example."
    world.liar.on(name, lambda q, *_: raw_answer(q, 52, b"\3\1\1" + b"\xaa" * (size - 3)))
    assert len(world.query(name, "TLSA")["records"]) == 1


def test_D_001_65535_records(world):
    """The header promises them; then as many as fit"""
    world.liar.on("promise.example.", lambda q, *_: raw_answer(q, 1, b"\1\2\3\4", count=65535))
    assert world.query("promise.example")["records"] in ([], ["1.2.3.4"])
    world.liar.on("many.example.", lambda q, *_: raw_answer(
        q, 1, *[struct.pack(">I", n) for n in range(4000)]))
    got = world.query("many.example")
    assert got["status"] in ("ok", "servfail") and len(got["records"]) in (0, 4000)


def test_D_001_tcp_drip(world):
    """TC, then an octet a second over TCP: the question ends with its deadline"""
    def handler(q, raw, tcp, reply):
        if not tcp:
            r = dns.message.make_response(q)
            r.flags |= dns.flags.TC
            return r
        wire = octets(answer(q, ("drip.example.", 60, "A", GOOD)))
        for b in struct.pack(">H", len(wire)) + wire[:12]:
            try:
                reply(bytes([b]))
            except OSError:
                return None
            time.sleep(1)
        return None
    world.liar.on("drip.example.", handler)
    begin = time.monotonic()
    got = world.query("drip.example")
    assert got["status"] in ("timeout", "servfail") and time.monotonic() - begin < 6


# ---- D-002 ------------------------------------------------------------------------------------------

def test_D_002_secure(world):
    for name, kind in (("signed.example", "MX"), ("www.signed.example", "A"), ("_25._tcp.mail.signed.example", "TLSA")):
        got = world.query(name, kind)
        assert got["status"] == "ok" and got["secure"], (name, got)
    got = world.query("nothing.signed.example", "A")
    assert got["status"] == "nxdomain" and got["secure"]
    got = world.query("mail.signed.example", "AAAA")
    assert got["status"] == "nodata" and got["secure"]


def test_D_002_insecure_target(world):
    """Secure means the whole chain of aliases"""
    got = world.query("out.signed.example", "A")
    assert got["status"] == "ok" and not got["secure"] and got["records"] == ["192.0.2.9"]


def test_D_002_unsigned_delegation(world):
    world.liar.on("a.child.signed.example.", one("a.child.signed.example."))
    got = world.query("a.child.signed.example")
    assert got["status"] == "ok" and not got["secure"], got


def tamper(world, name, change):
    honest = relay(world.signed_port)

    def handler(q, raw, tcp, reply):
        m = dns.message.from_wire(honest(q, raw, tcp, reply))
        change(m)
        return m
    world.liar.on(name, handler)


def test_D_002_bogus(world):
    """The record is changed, the signature stays; and the signature is taken away"""
    from conftest import KNOT
    world.signed_port = KNOT

    def other(m):
        for rrset in m.answer:
            if rrset.rdtype == dns.rdatatype.TXT:
                m.answer[m.answer.index(rrset)] = dns.rrset.from_text(rrset.name, rrset.ttl, "IN", "TXT", '"forged"')
    tamper(world, "text.signed.example.", other)
    got = world.query("text.signed.example", "TXT")
    assert got["status"] == "bogus" and got["records"] == [] and got["why"], got

    def bare(m):
        m.answer = [r for r in m.answer if r.rdtype != dns.rdatatype.RRSIG]
    tamper(world, "_25._tcp.bad.signed.example.", bare)
    got = world.query("_25._tcp.bad.signed.example", "TLSA")
    assert got["status"] == "bogus" and got["records"] == []

    def nothing(m):
        m.answer, m.authority = [], []
        m.set_rcode(dns.rcode.NXDOMAIN)
    tamper(world, "mail2.signed.example.", nothing)
    assert world.query("mail2.signed.example")["status"] == "bogus", "absence has to be proved, too"


def test_D_002_expired(world):
    got = world.query("a.expired.example")
    assert got["status"] == "bogus" and got["records"] == [] and "expired" in got["why"].lower(), got


def test_D_002_nsec3_iterations(world):
    """2,500 iterations: insecure, and cheap"""
    assert world.query("a.deep.example")["secure"]
    begin = world.cpu_ms()
    got = world.query("nothing.deep.example")
    spent = world.cpu_ms() - begin
    assert got["status"] == "nxdomain" and not got["secure"], got
    assert spent < 50, f"{spent} ms CPU"


@pytest.mark.parametrize("zone", ["keytrap.example", "keytrap500.example"])
def test_D_002_keytrap(world, zone):
    """300 keys of 1,024 bits with one key tag, 300 signatures, and 500 by 500 of 512 bits: bounded, and never secure"""
    world.liar.on(zone + ".", world.signed.files[zone + "."])
    assert world.query("localhost")["status"] == "ok"
    begin = world.cpu_ms()
    got = world.query("a." + zone)
    spent = world.cpu_ms() - begin
    assert got["status"] in ("bogus", "servfail", "timeout") and got["records"] == [], got
    assert spent < 50, f"{spent} ms CPU"


# ---- D-003 ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("what", ["servfail", "lame", "silence", "notimp"])
def test_D_003_failures_are_no_absence(world, what):
    name = f"{what}.fails.example."
    code = {"servfail": dns.rcode.SERVFAIL, "lame": dns.rcode.REFUSED, "notimp": dns.rcode.NOTIMP}

    def handler(q, raw, tcp, reply):
        if what == "silence":
            return None
        return answer(q, rcode=code[what])
    world.liar.on(name, handler)
    begin = time.monotonic()
    got = world.query(name, "MX")
    assert got["status"] in ("servfail", "timeout"), got
    assert time.monotonic() - begin < 6


def test_D_003_flapping(world):
    """NXDOMAIN once and an answer the next time: an answer is not cached as absence for longer than it says"""
    state = {"there": False}

    def handler(q, raw, tcp, reply):
        if state["there"]:
            return answer(q, ("flap.example.", 60, "A", GOOD))
        r = negative(q, "flap.example.", dns.rcode.NXDOMAIN)
        r.authority = [dns.rrset.from_text("flap.example.", 1, "IN", "SOA", "ns.flap.example. h.flap.example. 1 2 3 4 1")]
        return r
    world.liar.on("flap.example.", handler)
    assert world.query("flap.example")["status"] == "nxdomain"
    state["there"] = True
    time.sleep(2.1)
    assert world.query("flap.example")["records"] == [GOOD]


def test_a_slow_zone_does_not_hold_up_the_others(world):
    world.liar.on("stuck.example.", lambda *_: None)
    waiting = [threading.Thread(target=world.query, args=(f"n{n}.stuck.example",)) for n in range(20)]
    for t in waiting:
        t.start()
    time.sleep(0.3)
    world.liar.on("quick.example.", one("quick.example."))
    begin = time.monotonic()
    assert world.query("quick.example")["records"] == [GOOD]
    assert time.monotonic() - begin < 1
    for t in waiting:
        t.join()
