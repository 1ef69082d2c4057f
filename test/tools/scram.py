# SPDX-License-Identifier: MIT
"""A SCRAM-SHA-256 client (RFC 5802, 7677), and a TLS connection that can be bound to (RFC 9266): `openssl s_client`
exports what Python's ssl cannot."""
import base64
import hashlib
import hmac
import os
import subprocess
import threading


class Bound:
    """TLS through s_client: lines in, lines out, and .binding."""

    def __init__(self, host, port):
        self.p = subprocess.Popen(["openssl", "s_client", "-connect", f"{host}:{port}", "-ign_eof", "-keymatexport",
                                   "EXPORTER-Channel-Binding", "-keymatexportlen", "32"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.guard = threading.Timer(30, self.p.kill)  # nothing here waits for ever
        self.guard.start()
        while True:
            line = self.line()
            if b"Keying material: " in line:
                self.binding = bytes.fromhex(line.split()[-1].decode())
            if not line or (line.startswith((b"220 ", b"* OK"))):
                self.greeting = line
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.guard.cancel()
        self.p.kill()
        self.p.wait()

    def line(self):
        return self.p.stdout.readline()

    def ask(self, text):
        """Sends a line; the last line of the answer."""
        self.p.stdin.write(text.encode() + b"\r\n")
        self.p.stdin.flush()
        line = self.line()
        while line[3:4] == b"-" or line.startswith(b"* "):
            line = self.line()
        return line.decode().rstrip()


class Client:
    """One exchange. flag: what stands before the first comma; binding: what c= ends in."""

    def __init__(self, user, password, flag="n", binding=b""):
        self.user, self.password, self.binding = user.replace("=", "=3D").replace(",", "=2C"), password, binding
        self.header = flag + ",,"
        self.bare = f"n={self.user},r={base64.b64encode(os.urandom(18)).decode()}"

    def first(self):
        return base64.b64encode((self.header + self.bare).encode()).decode()

    def final(self, challenge, header=None):
        """The answer to the challenge; header: what c= claims, where it is not what was said."""
        server = base64.b64decode(challenge).decode()
        a = dict(x.split("=", 1) for x in server.split(","))
        assert a["r"].startswith(self.bare.split("r=")[1]), server
        c = base64.b64encode((header or self.header).encode() + self.binding).decode()
        without = f"c={c},r={a['r']}"
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(a["s"]), int(a["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        message = f"{self.bare},{server},{without}".encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        self.expected = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        proof = bytes(x ^ y for x, y in zip(key, signature))
        return base64.b64encode(f"{without},p={base64.b64encode(proof).decode()}".encode()).decode()

    def is_server(self, answer):
        """Does the server know the password too?"""
        return base64.b64decode(answer) == b"v=" + base64.b64encode(self.expected)


def smtp_login(ask, mechanism, client, header=None):
    """AUTH over ask(text) -> reply text: the last reply."""
    answer = ask(f"AUTH {mechanism} {client.first()}")
    if not answer.startswith("334 "):
        return answer
    answer = ask(client.final(answer[4:], header))
    if not answer.startswith("334 "):
        return answer
    assert client.is_server(answer[4:]), "the server's signature is wrong"
    return ask("")


def imap_login(ask, mechanism, client, header=None):
    answer = ask(f"a AUTHENTICATE {mechanism} {client.first()}")
    if not answer.startswith("+ "):
        return answer
    answer = ask(client.final(answer[2:], header))
    if not answer.startswith("+ "):
        return answer
    assert client.is_server(answer[2:]), "the server's signature is wrong"
    return ask("")
