#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""DKIM in CPU time, beside `openssl speed` and OpenDKIM in the same run.

Ours is the library alone in one process; OpenDKIM is the whole daemon, with one connection a message.

    bench/auth/dkim.py BUILD [TENTHS]

BUILD: the build folder; TENTHS: tenths of a second for each measurement. OpenDKIM (Debian package
opendkim) is driven as a milter over a UNIX socket and its own CPU time is read; without it that part
is left out. Goals: signing at least 0.8 times `openssl speed rsa2048`, verification at most a third
of OpenDKIM's CPU time.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "test", "oracle"))
from milter import Milter  # noqa: E402

DOMAIN = "example.org"


def openssl_speed():
    """RSA-2048 signatures and verifications a second on one core."""
    out = subprocess.run(["openssl", "speed", "-seconds", "2", "rsa2048"], capture_output=True,
                         check=True).stdout.decode()
    sign, verify = re.search(r"rsa 2048 bits\s+\S+\s+\S+\s+(\S+)\s+(\S+)", out).groups()
    return float(sign), float(verify)


def ours(build, tenths):
    out = subprocess.run([os.path.join(build, "bench", "auth", "dkim_bench"), str(tenths)],
                         capture_output=True, check=True).stdout.decode()
    return {k: float(v) for k, v in (x.split("\t") for x in out.splitlines())}


def cpu_of(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def mail():
    head = (b"Received: from a.example (a.example [192.0.2.1])\r\n\tby mx.example.net with ESMTPS id 4Sxyz;"
            b"\r\n\tTue, 14 Nov 2023 22:13:20 +0000\r\nFrom: A <a@example.org>\r\nTo: B <b@example.net>\r\n"
            b"Subject: A subject of the usual length, more or less\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000"
            b"\r\nMessage-ID: <1234567890@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
            b"charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\nUser-Agent: none\r\nX-One: 1\r\n"
            b"X-Two: 2\r\n\r\n")
    line = b"A line of text as people write it,  with a word or two and a full stop.\r\n"
    return head + line * ((4096 - len(head)) // len(line) + 1)


def pairs(data):
    head, _, body = data.partition(b"\r\n\r\n")
    return [f.replace(b"\r\n", b"\n").partition(b":")[::2] for f in re.split(rb"\r\n(?![ \t])", head)], body


def drive(milter, data, seconds):
    """CPU microseconds of the filter for one message."""
    fields, body = pairs(data)
    milter.message(fields, body)
    start, stop, n = cpu_of(milter.process.pid), time.monotonic() + seconds, 0
    while time.monotonic() < stop:
        got = milter.message(fields, body)
        n += 1
        if not got:
            sys.exit("opendkim did nothing")
    return (cpu_of(milter.process.pid) - start) * 1e6 / n


def opendkim(build, seconds):
    with tempfile.TemporaryDirectory() as where:
        key, ed, zone = (os.path.join(where, x) for x in ("rsa.pem", "ed.pem", "zone"))
        for path, args in ((key, ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]), (ed, ["ED25519"])):
            subprocess.run(["openssl", "genpkey", "-algorithm", *args, "-out", path], check=True,
                           capture_output=True)
        pub = subprocess.run(["openssl", "pkey", "-in", key, "-pubout"], check=True,
                             capture_output=True).stdout.decode()
        with open(zone, "w") as f:
            f.write("rsa._domainkey.%s v=DKIM1; k=rsa; p=%s\n" % (DOMAIN, "".join(pub.splitlines()[1:-1])))
        for name, data in (("plain", mail()), ("list", ("%s/plain %s/signed %s rsa -\n" % (where, where, DOMAIN))
                                               .encode())):
            with open(os.path.join(where, name), "wb") as f:
                f.write(data)
        subprocess.run([os.path.join(build, "test", "oracle", "dkim_tool"), "sign", key, ed,
                        str(int(time.time())), os.path.join(where, "list")], check=True)
        with open(os.path.join(where, "signed"), "rb") as f:
            signed = f.read()
        verify = Milter(where, "verify", "Mode v\nSyslog no\nTestPublicKeys %s\n" % zone)
        sign = Milter(where, "sign", "Mode s\nSyslog no\nDomain %s\nSelector rsa\nKeyFile %s\nRequireSafeKeys no\n"
                      "Canonicalization relaxed/relaxed\nOversignHeaders From\nInternalHosts 192.0.2.1\n"
                      % (DOMAIN, key))
        try:
            return drive(verify, signed, seconds), drive(sign, mail(), seconds)
        finally:
            verify.close()
            sign.close()


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build"
    tenths = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    speed = openssl_speed()
    got = ours(build, tenths)
    print("openssl speed rsa2048: %.0f sign/s, %.0f verify/s" % speed)
    for k, v in got.items():
        print("  %-26s %10.1f us  %8.0f/s" % (k, v, 1e6 / v))
    ratio = 1e6 / got["sign rsa2048 4 KiB"] / speed[0]
    print("signing / openssl speed: %.2f (goal: at least 0.8)" % ratio)
    try:
        theirs = opendkim(build, max(1, tenths / 5))
    except FileNotFoundError:
        print("OpenDKIM is not installed: not compared")
        return
    print("OpenDKIM as a milter: verify %.0f us, sign %.0f us of its own CPU time" % theirs)
    print("verification, ours / OpenDKIM: %.2f (goal: at most 0.33)" % (got["verify rsa2048 4 KiB"] / theirs[0]))
    print("signing, ours / OpenDKIM: %.2f" % (got["sign rsa2048 4 KiB"] / theirs[1]))


if __name__ == "__main__":
    main()
