#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Judging and signing through the real rooms, beside the usual chain of milters, in CPU time and in one run.

    bench/auth/chain.py BUILD [MESSAGES]    (900 at most: a session ends after 1,000)

As root; in a network and a mount namespace of its own, where a small name server answers on port 53.

Ours: a server of BUILD that enforces; the same 4 KiB message (SPF, DKIM, DMARC and an ARC chain, all of
which hold) is sent MESSAGES times, and the CPU time of the rooms scan and dns is read: what other rooms do
is what any mail server does. Then an account submits as many, and the CPU time of scan and keys is read:
two signatures each, RSA-2048 and Ed25519.

Theirs: Debian's policyd-spf (one process that is kept, fed through its standard input as Postfix does),
opendkim (verification; its keys from a table) and opendmarc, each message through all three, and the CPU
time of the three. None of them looks at ARC. All of that favours them.
"""
import os
import re
import shutil
import smtplib
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TOP, "test", "oracle"), os.path.join(TOP, "test", "tools"), HERE]
from dkim import cpu_of, mail, openssl_speed, pairs  # noqa: E402
from milter import Milter  # noqa: E402
from zone import Zone  # noqa: E402

BASE = 11100
AUTHSERV = "mx.example.net"


def alone(argv):
    """Runs the rest in namespaces of its own."""
    if os.environ.get("CHAIN_ALONE"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        with open("/tmp/chain-resolv.conf", "w") as f:
            f.write("nameserver 127.0.0.1\n")
        subprocess.run(["mount", "--bind", "/tmp/chain-resolv.conf", "/etc/resolv.conf"], check=True)
        return
    os.execvpe("unshare", ["unshare", "-n", "-m", sys.executable, *argv], {**os.environ, "CHAIN_ALONE": "1"})


def a_key(path, *args):
    subprocess.run(["openssl", "genpkey", "-algorithm", *args, "-out", path], check=True, capture_output=True)
    pem = subprocess.run(["openssl", "pkey", "-in", path, "-pubout"], check=True, capture_output=True).stdout.decode()
    return "".join(pem.splitlines()[1:-1])


def signed_message(build, where):
    """(message with DKIM-Signature and ARC set, p= of the key)."""
    rsa, ed = os.path.join(where, "rsa.pem"), os.path.join(where, "ed.pem")
    p = a_key(rsa, "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
    a_key(ed, "ED25519")
    for name, data in (("plain", mail()), ("list", f"{where}/plain {where}/signed example.org rsa -\n".encode())):
        with open(os.path.join(where, name), "wb") as f:
            f.write(data)
    subprocess.run([os.path.join(build, "test", "oracle", "dkim_tool"), "sign", rsa, ed, str(int(time.time())),
                    os.path.join(where, "list")], check=True)
    with open(os.path.join(where, "signed"), "rb") as f:
        message = f.read()
    mine, path = sys.modules.pop("dkim"), sys.path[:]  # python3-dkim has the name of our own file
    sys.path[:] = [x for x in path if x != HERE]
    import dkim as dkimpy
    sys.path[:], sys.modules["dkim"] = path, mine
    with open(rsa, "rb") as f:
        key = f.read()
    chain = dkimpy.arc_sign(b"Authentication-Results: relay.example; dmarc=pass; arc=none\r\n" + message, b"rsa",
                            b"relay.example", key, b"relay.example")
    return b"".join(chain) + message, p


def records(p):
    spf = '"v=spf1 mx include:_spf.example.org -all"'
    return {("example.org", "TXT"): [spf], ("example.org", "MX"): ["10 mail.example.org"],
            ("mail.example.org", "A"): ["203.0.113.1"],
            ("_spf.example.org", "TXT"): ['"v=spf1 ip4:198.51.100.0/24 ip4:192.0.2.0/24 ip4:127.0.0.1 ~all"'],
            ("_dmarc.example.org", "TXT"): ['"v=DMARC1; p=reject; rua=mailto:d@example.org"'],
            ("rsa._domainkey.example.org", "TXT"): [f'"v=DKIM1; k=rsa; p={p}"'],
            ("rsa._domainkey.relay.example", "TXT"): [f'"v=DKIM1; k=rsa; p={p}"'],
            ("1.2.0.192.in-addr.arpa", "PTR"): ["mail.example.org"]}


# ---- ours -----------------------------------------------------------------------------------------------

class Ours:
    def __init__(self, build, where):
        self.dir = os.path.join(where, "server")
        os.makedirs(self.dir)
        os.chmod(where, 0o755)
        subprocess.run(["meson", "install", "-C", build, "--no-rebuild"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "DESTDIR": self.dir + "/.root"})
        subprocess.run([TOP + "/test/tools/instance", self.dir, str(BASE)], check=True,
                       env={**os.environ, "SENDER_AUTHENTICATION": "enforce", "EXTRA_CONFIGURATION":
                            'dns { servers = {"127.0.0.1@53"} trust_anchor = {} }'})

    def cli(self, *words):
        return subprocess.run([self.dir + "/.root/usr/bin/postern", "--config", self.dir + "/postern.conf", *words],
                              check=True, capture_output=True, text=True).stdout

    def pids(self, *rooms):
        return [int(m[1]) for m in re.finditer(r"^(?:" + "|".join(rooms) + r")\s+\S+\s+(\d+)", self.cli("status"), re.M)]

    def send(self, port, login, sender, message, n):
        with smtplib.SMTP("127.0.0.1", port, local_hostname="mail.example.org", timeout=60) as s:
            if login:
                s.starttls()
                s.login(*login)
            for _ in range(n):
                s.sendmail(sender, ["alice@example.test"], message)

    def drive(self, port, login, sender, message, n, rooms, sessions=1):
        """CPU microseconds of the rooms for one message, sent in so many sessions side by side."""
        pids = self.pids(*rooms)
        self.send(port, login, sender, message, 50)  # what is loaded and cached once is not counted
        start = sum(map(cpu_of, pids))
        many = [threading.Thread(target=self.send, args=(port, login, sender, message, n // sessions))
                for _ in range(sessions)]
        for t in many:
            t.start()
        for t in many:
            t.join()
        used = sum(map(cpu_of, pids))
        assert len(pids) == len(rooms) and self.pids(*rooms) == pids
        return (used - start) * 1e6 / (n // sessions * sessions)

    def judge(self, message, n):
        used = self.drive(BASE + 2525, None, "a@example.org", message, n, ("scan", "dns"))
        last = self.cli("log", "--kind", "scan.verdict", "--last", "1")
        assert all(x in last for x in ("spf=pass", "dkim=pass", "dmarc=pass", "arc=pass")), last
        return used

    def sign(self, n, sessions):
        with open(self.dir + "/passwords") as f:
            login = f.readline().split()
        message = mail().replace(b"a@example.org", b"alice@example.test")
        used = self.drive(BASE + 2587, login, "alice@example.test", message, n, ("scan", "keys"), sessions)
        assert "signatures=2" in self.cli("log", "--kind", "scan.signed", "--last", "1")
        return used

    def stop(self):
        self.cli("stop")


# ---- theirs ---------------------------------------------------------------------------------------------

class Policyd:
    def __init__(self, where):
        path = os.path.join(where, "policyd.conf")
        with open(path, "w") as f:
            f.write("debugLevel = 0\nHELO_reject = False\nMail_From_reject = False\nHeader_Type = AR\n"
                    f"Authserv_Id = {AUTHSERV}\nskip_addresses = 127.0.0.0/8\n")
        self.process = subprocess.Popen(["policyd-spf", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, i):
        self.process.stdin.write((f"request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
                                  f"helo_name=mail.example.org\nqueue_id={i}\nsender=a@example.org\n"
                                  f"recipient=b@example.net\nclient_address=192.0.2.1\nclient_name=mail.example.org\n"
                                  f"instance=i{i}\n\n").encode())
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        self.process.stdout.readline()
        return answer

    def close(self):
        self.process.kill()
        self.process.wait()


def chain(where, message, p, n):
    """[CPU microseconds of each of the three for one message]."""
    zone = os.path.join(where, "zone")
    with open(zone, "w") as f:
        f.write(f"rsa._domainkey.example.org v=DKIM1; k=rsa; p={p}\n")
    spf = Policyd(where)
    verify = Milter(where, "verify", f"Mode v\nSyslog no\nTestPublicKeys {zone}\nAuthservID {AUTHSERV}\n")
    dmarc = Milter(where, "dmarc", f"Syslog false\nAuthservID {AUTHSERV}\nTrustedAuthservIDs {AUTHSERV}\n"
                   "SPFIgnoreResults false\nRejectFailures false\n", program="opendmarc")
    pids = [spf.process.pid, verify.process.pid, dmarc.process.pid]
    fields, body = pairs(message)
    try:
        for i in range(n + 20):
            if i == 20:
                start = [cpu_of(x) for x in pids]
            said = spf.ask(i)
            dkim_said = verify.message(fields, body)
            field = re.search(rb"Authentication-Results:(.*)", said)[1].rstrip()
            last = dmarc.message(dkim_said + [(b"Authentication-Results", field)] + fields, body)
        text = b" ".join(v for _, v in dkim_said + last)
        assert b"dkim=pass" in text and b"dmarc=pass" in text and b"spf=pass" in field.replace(b" ", b""), (text, field)
        return [(cpu_of(x) - s) * 1e6 / n for x, s in zip(pids, start)]
    finally:
        spf.close()
        verify.close()
        dmarc.close()


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 900
    alone([os.path.abspath(__file__), build, str(n)])
    where = tempfile.mkdtemp(prefix="postern-chain-")
    message, p = signed_message(build, where)
    with Zone(records(p), port=53):
        ours = Ours(build, where)
        try:
            judged, signed = ours.judge(message, n), {sessions: ours.sign(n, sessions) for sessions in (1, 8)}
        finally:
            ours.stop()
        print(f"rooms scan and dns: {judged:.0f} us to judge SPF, DKIM, DMARC and ARC")
        speed = openssl_speed()[0]
        for sessions, us in signed.items():
            print(f"rooms scan and keys, {sessions} sessions: {us:.0f} us for two signatures, {1e6 / us:.0f} messages/s; "
                  f"openssl speed rsa2048: {speed:.0f} signatures/s; {1e6 / us / speed:.2f} of it (goal: at least 0.8)")
        try:
            each = chain(where, message, p, n)
        except FileNotFoundError as e:
            print(f"{e.filename} is not installed: not compared")
            return
        print("policyd-spf %.0f us, opendkim %.0f us, opendmarc %.0f us: %.0f us" % (*each, sum(each)))
        print(f"judging, ours / theirs: {judged / sum(each):.2f} (goal: at most 0.33)")
    shutil.rmtree(where)


if __name__ == "__main__":
    main()
