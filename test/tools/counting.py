# SPDX-License-Identifier: MIT
"""A mail server elsewhere that counts: it takes everything but what is for no-...@, and notes each token (a line
`X-Token: T...` of the message) before it says 250, so that no answer of it can be lost. With a name server for
elsewhere.test beside it, and the lines of configuration that lead there.

    with Elsewhere() as e:  # e.configuration, e.copies(token), e.refused
"""
import os
import re
import smtplib
import socket
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
from server import Server, insecure_context  # noqa: E402
from zone import Zone  # noqa: E402

DOMAIN = "elsewhere.test"
TOKEN = re.compile(rb"^X-Token: (T[0-9a-f]{32})\r?$", re.M)


def instance(root, directory, base, configuration):
    """A server out of an installed root, at the port base, with more of a configuration; directory is new."""
    os.makedirs(directory)
    os.chmod(directory, 0o755)
    os.symlink(root, directory + "/.root")
    tool = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instance")
    subprocess.run([tool, directory, str(base)], check=True, timeout=120, stdout=subprocess.DEVNULL,
                   stdin=subprocess.DEVNULL, env={**os.environ, "EXTRA_CONFIGURATION": configuration})
    server = Server(directory)
    server.ports = {name: port - int(os.environ.get("POSTERN_PORT_BASE", "0")) + base for name, port in server.ports.items()}
    return server


def submit(server, pairs, sender="alice@example.test"):
    """Over one connection, one message for each (token, recipient)."""
    with smtplib.SMTP_SSL(server.host, server.ports["submissions"], context=insecure_context(), timeout=60,
                          local_hostname="client.sender.test") as s:
        s.login(sender, server.password(sender))
        for token, to in pairs:
            assert s.sendmail(sender, [to], f"From: {sender}\r\nX-Token: {token}\r\n\r\n{'x' * 70}\r\n") == {}


class Elsewhere:
    def __init__(self, address="127.0.5.1", names=(DOMAIN,), retry="1s", once=False):
        self.lock, self.once = threading.Lock(), once  # one message a connection, so that each needs a new one
        self.arrivals = {}  # token -> [ns of the monotonic clock]
        self.refused = self.connections = 0
        self.listener = socket.create_server((address, 0), backlog=512)
        self.listener.settimeout(None)  # whatever the default is
        self.address, self.port = address, self.listener.getsockname()[1]
        self.zone = Zone({(name, kind): value for name in names
                          for kind, value in (("MX", ["10 mx." + DOMAIN]),)})
        self.zone.add("mx." + DOMAIN, "A", [address])
        self.configuration = (
            f"dns {{ servers = {{127.0.0.1@{self.zone.port}}} trust_anchor = {{}} timeout = 2 }}\n"
            f'queue {{ retry_first = "{retry}" retry_most = "{retry}" }}\n'
            f"outbound {{ port = {self.port} allow = {{127.0.5.0/24}} connect_timeout = 2 reply_timeout = 5 "
            "end_timeout = 5 conversation_timeout = 10 }")

    def __enter__(self):
        self.zone.__enter__()
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.zone.__exit__()

    def lead(self, server):
        """Starts a server again, with the configuration that leads here."""
        server.stop()
        with open(server.config, "a") as f:
            f.write(self.configuration + "\n")
        server.start()

    def copies(self, token):
        with self.lock:
            return list(self.arrivals.get(token, ()))

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                if self.listener.fileno() < 0:
                    return  # the end
                time.sleep(0.05)  # no descriptor left for a moment: a sink that stopped would look like lost mail
                continue
            self.connections += 1
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.settimeout(120)
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            with s, s.makefile("rb") as lines:
                self.converse(s, lines)
        except OSError:
            pass

    def converse(self, s, lines):
        """Replies are gathered while the client has sent more, as PIPELINING asks for."""
        rcpts = 0
        s.sendall(b"220 elsewhere.test ESMTP\r\n")
        while line := lines.readline(2000):
            verb = line[:4].upper()
            if verb == b"EHLO":
                s.sendall(b"250-elsewhere.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n")
            elif verb == b"MAIL":
                rcpts = 0
                s.sendall(b"250 2.1.0 ok\r\n")
            elif verb == b"RCPT" and b"<no-" in line:
                self.refused += 1
                s.sendall(b"550 5.1.1 no such user\r\n")
            elif verb == b"RCPT":
                rcpts += 1
                s.sendall(b"250 2.1.5 ok\r\n")
            elif verb == b"DATA" and rcpts == 0:
                s.sendall(b"503 5.5.1 nobody\r\n")
            elif verb == b"DATA":
                s.sendall(b"354 go\r\n")
                if not self.content(lines):
                    return
                s.sendall(b"250 2.0.0 taken\r\n")
                if self.once:
                    return
            elif verb == b"QUIT":
                s.sendall(b"221 2.0.0 bye\r\n")
                return
            else:
                s.sendall(b"250 2.0.0 ok\r\n")

    def content(self, lines):
        text = []
        while (line := lines.readline()) != b".\r\n":
            if not line.endswith(b"\r\n"):
                return False
            text.append(line)
        found = TOKEN.search(b"".join(text))
        with self.lock:
            self.arrivals.setdefault(found[1].decode() if found else "", []).append(time.monotonic_ns())
        return True
