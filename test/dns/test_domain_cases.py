# SPDX-License-Identifier: MIT
"""`postern domain check`: what a domain needs against what several resolvers see."""
import json
import time

import dns.rdatatype
import pytest

from conftest import LIAR
from liar import Liar, answer, negative

DOMAIN = "check.example"
OTHER = LIAR + 20


class Zone:
    """Serves the records that the server wants, and what a test changes in them"""

    def __init__(self, records):
        self.sets, self.dead = {}, False
        for r in records:
            key = (r["name"].lower() + ".", r["type"])
            self.sets.setdefault(key, []).append(r["data"])

    def __call__(self, q, raw, tcp, reply):
        if self.dead:
            return None
        name = q.question[0].name.to_text().lower()
        kind = dns.rdatatype.to_text(q.question[0].rdtype)
        if (name, kind) in self.sets:
            return answer(q, (name, 1, kind, *self.sets[(name, kind)]))
        return negative(q, DOMAIN + ".")


@pytest.fixture
def zone(world):
    out = world.run("--json", "domain", "dns", DOMAIN, "--ip", "192.0.2.55")
    assert out.returncode == 0, out.stderr
    z = Zone(json.loads(out.stdout))
    for name in (DOMAIN, "mail.example.test", "55.2.0.192.in-addr.arpa"):
        world.liar.on(name + ".", z)
    yield z


@pytest.fixture
def other(world, zone):
    """A second resolver with a view of its own"""
    liar, z = Liar(OTHER), Zone([])
    z.sets = {k: list(v) for k, v in zone.sets.items()}
    for name in (DOMAIN, "mail.example.test", "55.2.0.192.in-addr.arpa"):
        liar.on(name + ".", z)
    yield z
    liar.close()


def check(world, *more):
    out = world.run("--json", "domain", "check", DOMAIN, "--ip", "192.0.2.55", "--resolver", f"127.0.0.1@{LIAR}", *more)
    assert out.returncode in (0, 65), out.stderr
    rows = json.loads(out.stdout)
    return out.returncode, {(r["name"], r["type"]): r for r in rows if r["advice"]}, rows


def test_all_there(world, zone):
    status, wrong, rows = check(world)
    assert status == 0 and not wrong, wrong
    assert len(rows) > 8 and all(len(r["resolvers"]) == 2 for r in rows)
    assert {r["type"] for r in rows} >= {"MX", "TXT", "A"}
    said = world.run("domain", "check", DOMAIN, "--ip", "192.0.2.55", "--resolver", f"127.0.0.1@{LIAR}")
    assert said.stdout.endswith("0 to look after\n") and said.returncode == 0


def test_missing_and_changed(world, zone):
    time.sleep(2.2)  # what the server's own resolver remembers of the test before has a TTL of a second
    del zone.sets[(DOMAIN + ".", "MX")]
    zone.sets[("_dmarc." + DOMAIN + ".", "TXT")] = ['"v=DMARC1; p=reject"']
    status, wrong, _ = check(world)
    assert status == 65
    assert wrong[(DOMAIN, "MX")]["advice"] == "publish it"
    assert {r["state"] for r in wrong[(DOMAIN, "MX")]["resolvers"]} == {"missing"}
    row = wrong[("_dmarc." + DOMAIN, "TXT")]
    assert row["advice"] == "change it" and "p=reject" in row["resolvers"][0]["seen"] and row["why"]
    said = world.run("domain", "check", DOMAIN, "--ip", "192.0.2.55", "--resolver", f"127.0.0.1@{LIAR}").stdout
    assert "WRONG" in said and "wanted: " in said and "2 to look after" in said, said
    time.sleep(2.2)


def test_resolvers_disagree(world, zone, other):
    other.sets[("mail.example.test.", "A")] = ["192.0.2.99"]
    status, wrong, _ = check(world, "--resolver", f"127.0.0.1@{OTHER}")
    row = wrong[("mail.example.test", "A")]
    assert status == 65 and row["advice"].startswith("resolvers disagree")
    assert [r["state"] for r in row["resolvers"]] == ["ok", "ok", "different"]
    assert row["resolvers"][2]["seen"] == "192.0.2.99"


def test_a_silent_resolver_is_asked_once(world, zone, other):
    other.dead = True
    begin = time.monotonic()
    status, wrong, rows = check(world, "--resolver", f"127.0.0.1@{OTHER}")
    assert time.monotonic() - begin < 8
    assert status == 0 and not wrong, "the others could say"
    assert {r["resolvers"][2]["state"] for r in rows} == {"unknown"}


def test_nobody_knows(world, zone):
    out = world.run("domain", "check", "not a domain")
    assert out.returncode == 65
    out = world.run("domain", "check", DOMAIN, "--resolver", "resolver.example")
    assert out.returncode == 65 and "ADDRESS" in out.stderr
