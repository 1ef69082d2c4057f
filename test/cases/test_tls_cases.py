# SPDX-License-Identifier: MIT
"""T-003 and T-004: clients that make TLS expensive, and names that are no names."""
import os
import socket
import ssl
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from hello import ALERT, HANDSHAKE, UNRECOGNIZED_NAME, hello, records, x25519_share  # noqa: E402
from server import insecure_context  # noqa: E402
from wire import next_source  # noqa: E402


def said(target, octets, source=None):
    """The first answer of imaps to these octets, b"" where there is none."""
    with socket.create_connection((target.host, target.ports["imaps"]), timeout=5,
                                  source_address=(source or next_source(), 0)) as s:
        try:
            s.sendall(octets)
            return s.recv(65536)
        except OSError:
            return b""


def door_cpu_ms(target):
    pid = target.lasting_rooms()["door"]
    with open(f"/proc/{pid}/schedstat") as f:
        return int(f.read().split()[0]) / 1e6


def test_T_003_renegotiation(target):
    """`R` makes s_client ask for renegotiation"""
    port = target.ports["imaps"]
    out = subprocess.run(["openssl", "s_client", "-connect", f"{target.host}:{port}", "-tls1_2"],
                         input=b"R\n" * 100, capture_output=True, timeout=30)
    assert b"RENEGOTIATING" in out.stdout + out.stderr
    assert b"no renegotiation" in out.stdout + out.stderr or out.returncode != 0


LARGE = {
    "16 KiB in records of one octet": lambda: records(hello(shares=x25519_share() * 450), 1),
    "10,000 key shares": lambda: records(hello(shares=b"\x02\x00\0\x01x" * 10000 + x25519_share(),
                                               groups=range(0x200, 0x1200))),
    "1,700 shares of one group": lambda: records(hello(shares=x25519_share() * 1700)),
}


@pytest.mark.parametrize("what", LARGE)
def test_T_003_large_hello(target, what):
    if target.peer:
        pytest.skip("the processes of the peer are not ours to measure")
    before, octets = door_cpu_ms(target), LARGE[what]()
    for _ in range(20):
        assert said(target, octets)[:1] in (bytes([ALERT]), bytes([HANDSHAKE]))
    spent = (door_cpu_ms(target) - before) / 20
    assert spent < 20, f"{spent:.1f} ms each"


def connections_per_address(target):
    with open(os.path.join(target.server.dir, "postern.conf")) as f:
        return next(int(line.split("=")[1].split()[0]) for line in f if line.startswith("connections_per_address"))


def test_T_003_handshake_flood(target):
    """A thousand from one address in a hurry. What is over its budget (half of connections_per_address a
    second, ten times that in reserve: about 250 by default, more in a --try server) is cut before it costs
    a signature; the common rule watches the bystander."""
    one, done, began = records(hello()), 0, time.monotonic()
    for _ in range(1000):
        done += said(target, one, source="127.3.200.1") != b""
    took = time.monotonic() - began
    assert done >= 20
    if target.peer:
        return
    n = connections_per_address(target)
    budget = 5 * n + (n + 1) // 2 * took + 20
    assert done <= budget, f"{done} handshakes answered in {took:.1f} s, budget {budget:.0f}"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_T_003_no_resumption(target, version):
    context = insecure_context()
    context.minimum_version = context.maximum_version = version
    session = None
    for port in ("imaps", "imaps", "submissions"):
        if port not in target.ports:
            continue
        with socket.create_connection((target.host, target.ports[port]), timeout=5) as s:
            with context.wrap_socket(s, server_hostname="example.test", session=session) as t:
                t.recv(100)
                assert target.peer or not t.session_reused
                session = t.session


@pytest.mark.parametrize("name", [b"a" * 255, b"../x", b"/etc/passwd", b"a b", b"", b"\xff\xfe"],
                         ids=["255 octets", "dot dot", "path", "space", "empty", "no ASCII"])
def test_T_004_strange_names(target, name):
    assert said(target, records(hello(name)))[:1] == bytes([HANDSHAKE])


@pytest.mark.parametrize("name", [b"a\0b", b"ab\0", b"\0", b"a" * 256],
                         ids=["NUL", "NUL at the end", "NUL alone", "256 octets"])
def test_T_004_impossible_names(target, name):
    """RFC 6066 3: a NUL or more than 255 octets is no host name"""
    answer = said(target, records(hello(name)))
    assert target.peer or (answer[:1] == bytes([ALERT]) and answer[6] == UNRECOGNIZED_NAME), answer[:8]


@pytest.mark.memory(8)
def test_T_004_many_names(target):
    for i in range(1000):
        assert said(target, records(hello(b"%d.example.test" % i)))[:1] == bytes([HANDSHAKE])
    time.sleep(2.5)  # sockets that linger
