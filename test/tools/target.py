# SPDX-License-Identifier: MIT
"""The server under test as the cases and the system tests see it: Postern, or its peers."""
import base64
import contextlib
import os

from boxes import Mailbox
from server import a_server
from wire import Imap, Smtp


@contextlib.contextmanager
def a_target(port_base):
    """The server of POSTERN_TRY, else one of our own; with POSTERN_CASES_PEER=1 the peers."""
    if os.environ.get("POSTERN_CASES_PEER"):
        from peer_target import PeerTarget
        t = PeerTarget()
        try:
            yield t
        finally:
            t.stop()
        return
    with a_server(int(os.environ.get("POSTERN_PORT_BASE", port_base))) as server:
        yield Target(server)


class Target:
    """What the cases need of a server."""

    peer = False

    def __init__(self, server):
        self.server = server
        self.host, self.ports = server.host, server.ports
        self.alice, self.bob = "alice@example.test", "bob@example.test"

    def smtp(self, **more):
        return Smtp(self.host, self.ports["smtp"], **more)

    def submission(self, login=None, **more):
        s = Smtp(self.host, self.ports["submission"], **more)
        if login:
            assert s.starttls().code == 220
            answer = s.ask("AUTH PLAIN " + plain(login, self.password(login)))
            assert answer.code == 235, answer
        return s

    def imap(self, login=None, tls=True, **more):
        who = (login, self.password(login)) if login else None
        return Imap(self.host, self.ports["imaps" if tls else "imap"], tls=tls, login=who, **more)

    def password(self, address):
        return self.server.password(address)

    def box(self, address):
        return Mailbox(self.server, address)

    def private_kib(self):
        total = 0
        for pid in self.server.pids():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as f:
                    total += sum(int(x.split()[1]) for x in f if x.startswith("Private_Dirty:"))
            except OSError:
                pass
        return total

    def lasting_rooms(self):
        """name -> pid of the rooms that must outlive a case (mailbox rooms come and go)"""
        return {name: pid for name, pid in self.server.rooms() if not name.startswith("mailbox")}

    def log(self, seconds):
        return self.server.log_lines(seconds)


def plain(user, password, authzid=""):
    """The response of AUTH PLAIN (RFC 4616)"""
    return base64.b64encode(f"{authzid}\0{user}\0{password}".encode()).decode()
