# SPDX-License-Identifier: MIT
"""A Postern of one's own for tests that need another configuration: installed where POSTERN_TRY has it, on free ports,
without a name server."""
import os
import shutil
import socket
import tempfile
import time

from server import Server

PASSWORD = "correct horse battery"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, within=20.0):
    """What `what()` gives once it is true."""
    end = time.monotonic() + within
    while True:
        got = what()
        if got:
            return got
        assert time.monotonic() < end, f"not within {within} s: {what}"
        time.sleep(0.05)


class Own(Server):
    """more: lines of postern.conf; {run} and {dir} in it stand for its directories. smtp: words of `listen smtp`."""

    def __init__(self, more="", sender_authentication="off", smtp=""):
        installed = Server()
        self.root = tempfile.mkdtemp(prefix="postern-own-")
        os.chmod(self.root, 0o755)
        super().__init__(self.root)
        self.binary, self.more, self.smtp = installed.binary, more, smtp
        self.ports = {n: free_port() for n in ("smtp", "submission", "submissions", "imap", "imaps")}
        with open(installed.config) as f:
            self.kept = "".join(x for x in f if x.split("=")[0].strip() in ("room_dir", "certificate", "key"))
        self.sender_authentication = sender_authentication
        self.configure(more)

    def configure(self, more):
        listeners = "".join(f"listen {n} {{ addresses = {{127.0.0.1}} port = {p} tarpit = 0 greet_wait = 0"
                            f" {self.smtp if n == 'smtp' else ''} }}\n"
                            for n, p in self.ports.items())
        more = more.replace("{run}", self.root + "/run").replace("{dir}", self.root)
        with open(self.config, "w") as f:
            f.write(f"""{self.kept}hostname = "mail.example.test"
data_dir = "{self.root}/data"
run_dir = "{self.root}/run"
sender_authentication = "{self.sender_authentication}"
{listeners}{more}
""")

    def __enter__(self):
        try:
            self.cli("start", timeout=60)
            self.cli("domain", "add", "example.test")
            for name in ("alice", "bob"):
                self.add_account(f"{name}@example.test", PASSWORD)
            self.cli("account", "limit", "default", "--recipients", "0", "--messages", "0", "--inbound", "0")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.cli("stop", check=False, timeout=60)
        if not os.environ.get("POSTERN_KEEP"):
            shutil.rmtree(self.root, ignore_errors=True)

    def password(self, address):
        return PASSWORD

    def events(self, *kinds):
        """The events of these kinds, each one flat: its fields beside `event`, `queue_id` and the rest."""
        return [{**e, **e["fields"]} for e in self.json("log", "--last", "2000") if e["event"] in kinds]
