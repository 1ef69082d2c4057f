# SPDX-License-Identifier: MIT
"""A server of its own whose dns room asks a liar on loopback (test/tools/liar.py), with signed zones behind knot.

POSTERN_BIN is an installed postern (its root is taken), POSTERN_DNS_PORT_BASE shifts the ports."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
sys.dont_write_bytecode = True
from liar import Liar, relay  # noqa: E402
from signed import Signed  # noqa: E402

BASE = int(os.environ.get("POSTERN_DNS_PORT_BASE", "9000"))
LIAR, KNOT, HTTPS = BASE + 10053, BASE + 10054, BASE + 10055


class World:
    """One server, its liar, and what is asked of it."""

    def __init__(self, root):
        self.dir = tempfile.mkdtemp(prefix="postern-dns.", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.liar = Liar(LIAR)
        self.signed = Signed(self.dir + "/knot", KNOT)
        for zone in self.signed.zones:
            self.liar.on(zone, relay(KNOT))
        self.liar.on("expired.example.", self.signed.files["expired.example."])
        os.symlink(root, self.dir + "/.root")
        self.roots = self.dir + "/roots.pem"
        self.make_authority()
        anchors = ", ".join(f'"{a}"' for a in self.signed.anchors)
        extra = (f"dns {{ servers = {{127.0.0.1@{LIAR}}} trust_anchor = {{{anchors}}} timeout = 4 }}\n"
                 f"fetch {{ roots = \"{self.roots}\" allow = {{127.0.0.0/8}} port = {HTTPS} timeout = 6 }}\n")
        tool = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools", "instance")
        subprocess.run([tool, self.dir, str(BASE)], check=True, env={**os.environ, "POSTERN_EXTRA": extra},
                       stdout=subprocess.DEVNULL, timeout=60)
        self.postern = [self.dir + "/.root/usr/bin/postern", "--config", self.dir + "/postern.conf"]

    def make_authority(self):
        """A CA for the web servers of the tests"""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=test authority", "-keyout", self.dir + "/ca.key", "-out", self.roots],
                       check=True, stderr=subprocess.DEVNULL)

    def certificate(self, *names, days=2):
        """A chain file and a key file for a web server"""
        stem = f"{self.dir}/{names[0]}"
        subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                        "/CN=" + names[0], "-keyout", stem + ".key", "-out", stem + ".csr"],
                       check=True, stderr=subprocess.DEVNULL)
        with open(stem + ".ext", "w") as f:
            f.write("subjectAltName=" + ",".join("DNS:" + n for n in names) + "\n")
        subprocess.run(["openssl", "x509", "-req", "-in", stem + ".csr", "-CA", self.roots, "-CAkey",
                        self.dir + "/ca.key", "-CAcreateserial", "-days", str(days), "-extfile", stem + ".ext", "-out",
                        stem + ".pem"], check=True, stderr=subprocess.DEVNULL)
        return stem + ".pem", stem + ".key"

    def run(self, *args, timeout=90):
        return subprocess.run([*self.postern, *args], capture_output=True, timeout=timeout, text=True)

    def query(self, name, kind="A"):
        out = self.run("--json", "dns", "query", name, kind)
        assert out.returncode in (0, 75), out.stderr
        return json.loads(out.stdout)

    def policy(self, domain):
        out = self.run("tls", "policy", domain)
        assert out.returncode == 0, out.stderr
        return out.stdout

    def rooms(self):
        return {r["room"]: r for r in json.loads(self.run("--json", "status").stdout)["rooms"]}

    def cpu_ms(self, room="dns"):
        with open(f"/proc/{self.rooms()[room]['pid']}/schedstat") as f:
            return int(f.read().split()[0]) / 1e6

    def close(self):
        self.run("stop")
        self.signed.close()
        self.liar.close()
        shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture(scope="session")
def world():
    program = os.environ.get("POSTERN_BIN")
    if not program:
        pytest.skip("POSTERN_BIN does not name an installed postern")
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(program))))
    w = World(root)
    yield w
    w.close()


@pytest.fixture(autouse=True)
def common_rule(world):
    """No room dies, none touches its walls, dns still answers, its memory is bounded."""
    before = world.rooms()
    yield
    after = world.rooms()
    for room in ("dns", "fetch"):
        assert after[room]["pid"] == before[room]["pid"], f"{room} died"
    begin = time.monotonic()
    assert world.query("localhost")["records"] == ["127.0.0.1"]
    assert time.monotonic() - begin < 2
    with open(f"/proc/{after['dns']['pid']}/smaps_rollup") as f:
        dirty = next(int(line.split()[1]) for line in f if line.startswith("Private_Dirty:"))
    assert dirty < 24 * 1024, f"dns holds {dirty} KiB"
