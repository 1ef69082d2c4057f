# SPDX-License-Identifier: MIT
"""`postern domain check`: what a domain needs against what several resolvers see."""
import json
import os
import re
import subprocess
import time

import dns.rdatatype
import pytest

from conftest import LIAR
from liar import Liar, answer, negative
from test_fetch_cases import web  # noqa: F401

DOMAIN = "check.example"
OTHER = LIAR + 20


class Zone:
    """Serves the records that the server wants, and what a test changes in them"""

    def __init__(self, records):
        self.sets, self.dead = {}, False
        for r in records:
            if r["unserved"]:  # a careful owner publishes them later
                continue
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
    time.sleep(2.2)  # what the server's own resolver remembers of the test before has a TTL of a second
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


def line_of(said, name):
    return [line for line in said.splitlines() if name in line]


def test_what_is_not_published_is_no_fault(world, zone):
    said = world.run("domain", "check", DOMAIN, "--ip", "192.0.2.55", "--resolver", f"127.0.0.1@{LIAR}").stdout
    for name in ("_mta-sts." + DOMAIN, "autoconfig." + DOMAIN):
        assert line_of(said, name)[0].startswith("- ") and "no fault" in line_of(said, name)[0], said
    assert "https://" not in said


def test_mta_sts_and_autoconfig(world, zone, web):  # noqa: F811
    """The zone file says what to serve; what is served is fetched and held against our own name"""
    text = world.run("domain", "dns", DOMAIN, "--ip", "192.0.2.55").stdout
    policy = world.run("domain", "dns", DOMAIN, "--file", "mta-sts").stdout
    assert "mx: mail.example.test\n" in policy and "mode: testing" in policy
    assert all(";   " + line in text for line in policy.split("\n") if line)
    assert all(line.startswith(";") for line in line_of(text, "sts")), text
    record = re.search(r'; (_mta-sts\.\S+) IN TXT ("v=STSv1; id=[0-9a-f]+")', text)
    stricter = world.run("domain", "dns", DOMAIN, "--sts", "enforce").stdout
    assert "mode: enforce" in stricter and record[2] not in stricter, "a new policy has a new id"
    xml = world.run("domain", "dns", DOMAIN, "--file", "autoconfig").stdout
    assert "<hostname>mail.example.test</hostname>" in xml and "%EMAILADDRESS%" in xml
    zone.sets[(record[1], "TXT")] = [record[2]]
    zone.sets[(f"mta-sts.{DOMAIN}.", "A")] = zone.sets[(f"autoconfig.{DOMAIN}.", "A")] = ["127.0.0.1"]
    time.sleep(2.2)
    url = (f"https://mta-sts.{DOMAIN}/.well-known/mta-sts.txt", "HTTPS")
    for serve, advice in (
            (lambda h: h.give(policy.replace("\n", "\r\n")), None),
            (lambda h: h.give(policy.replace("mail.", "other.")), "the policy does not name this server"),
            (lambda h: h.give(policy, kind="text/html"), "the policy cannot be fetched: others find none"),
            (lambda h: h.give("hello"), "what is served there is no policy"),
            (lambda h: h.give("", code=404), "the policy cannot be fetched: others find none")):
        web.serves[DOMAIN] = serve
        status, wrong, rows = check(world)
        row = [r for r in rows if (r["name"], r["type"]) == url]
        assert [r["advice"] for r in row] == [advice], (rows, advice)
        assert status == (0 if advice is None else 65) and set(wrong) <= {url}
    assert {r["hint"] for r in rows if r["name"].startswith(("autoconfig.", "mta-sts."))} == {None}


def test_caa_of_the_certificate_in_use(world, zone):
    """The records name the CA that made it; where the world's forbid it, the next one would not come"""
    stem = world.dir + "/le"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/C=US/O=Let's Encrypt/CN=R99", "-keyout", stem + ".ca.key", "-out", stem + ".ca"], check=True,
                   stderr=subprocess.DEVNULL)
    subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    "/CN=mail.example.test", "-keyout", stem + ".key", "-out", stem + ".csr"], check=True,
                   stderr=subprocess.DEVNULL)
    subprocess.run(["openssl", "x509", "-req", "-in", stem + ".csr", "-CA", stem + ".ca", "-CAkey", stem + ".ca.key",
                    "-CAcreateserial", "-days", "2", "-out", stem + ".pem"], check=True, stderr=subprocess.DEVNULL)
    assert "\n; mail.example.test. IN CAA 0 issue" in world.run("domain", "dns", DOMAIN).stdout, "self-signed: an example"
    with open(world.dir + "/postern.conf") as f, open(world.dir + "/le.conf", "w") as out:
        out.write(re.sub(r'^(\s*certificate\s*=\s*)"[^"]*"', rf'\1"{stem}.pem"', f.read(), flags=re.M))
    world.liar.on("test.", zone)  # CAs, and we, look up to the top
    was, world.postern = world.postern, [*world.postern[:-1], world.dir + "/le.conf"]
    try:
        text = world.run("domain", "dns", DOMAIN).stdout
        assert '\nmail.example.test. IN CAA 0 issue "letsencrypt.org"\n' in text, text
        for published, advice in ((None, "publish it"), ('0 issue "letsencrypt.org"', None),
                                  ('0 issue "other.example"', "the CA of the certificate in use may not issue the next one")):
            if published:
                zone.sets[("mail.example.test.", "CAA")] = [published]
            time.sleep(2.2)
            _, _, rows = check(world)
            row = next(r for r in rows if r["type"] == "CAA" and " issue " in r["wanted"])
            assert row["advice"] == advice, row
    finally:
        world.postern = was
        os.unlink(world.dir + "/le.conf")


def test_nobody_knows(world, zone):
    out = world.run("domain", "check", "not a domain")
    assert out.returncode == 65
    out = world.run("domain", "check", DOMAIN, "--resolver", "resolver.example")
    assert out.returncode == 65 and "ADDRESS" in out.stderr
