# SPDX-License-Identifier: MIT
"""Postern as one side of a benchmark: its own directory, ports and accounts, started by the same
command that an owner uses, and counted from outside."""
import imaplib
import os
import re
import shutil
import ssl
import subprocess

from measure import TOP
from server import Server, certificate_names, insecure_context

PASSWORD = "bench-password-8c1f"


class Postern:
    name = "postern"
    host = "127.0.0.1"

    def __init__(self, directory, port_base, users, flush_us=0):
        self.dir, self.users, self.flush_us = directory, users, flush_us
        shutil.rmtree(directory, ignore_errors=True)
        os.environ["POSTERN_PORT_BASE"] = str(port_base)
        self.server = Server(directory)
        self.port = self.server.ports["smtp"]
        self.port_base = port_base
        self.count_file = directory + ".flushes"
        self.boxes = {}

    def start(self, group):
        log = self.dir + ".quickstart"
        with open(log, "wb") as f: # a file, not a pipe: a daemon may keep it open
            done = subprocess.run([TOP + "/quickstart", "--try", self.dir, "--port-base",
                                   str(self.port_base)], cwd=TOP, stdin=subprocess.DEVNULL,
                                  stdout=f, stderr=f)
        if done.returncode != 0:
            with open(log, encoding="utf-8", errors="replace") as f:
                raise SystemExit("quickstart: " + f.read()[-2000:])
        for u in self.users:
            self.server.add_account(f"{u}@example.test", PASSWORD)
        self.server.stop()
        vfs = f"delay:{self.flush_us}," if self.flush_us else ""
        vfs += f"count:{self.count_file}"
        self.server.start(preexec=group.join, environment={"POSTERN_VFS": vfs})
        group.adopt(self.pids())
        self.cafile = self.server.certificate(self.dir + ".pem")
        self.cert_name = (certificate_names(self.cafile) or ["localhost"])[0]

    def pids(self):
        return self.server.pids()

    def _box(self, user):
        if user not in self.boxes:
            box = imaplib.IMAP4_SSL(self.host, self.server.ports["imaps"],
                                    ssl_context=insecure_context())
            box.login(f"{user}@example.test", PASSWORD)
            self.boxes[user] = box
        return self.boxes[user]

    def mailbox_count(self, user):
        try:
            _, data = self._box(user).status("INBOX", "(MESSAGES)")
        except (imaplib.IMAP4.abort, ssl.SSLError, OSError):
            del self.boxes[user]
            _, data = self._box(user).status("INBOX", "(MESSAGES)")
        return int(re.search(rb"MESSAGES (\d+)", data[0]).group(1))

    def queue_length(self):
        return self.server.queue_length()

    def flushes(self):
        """Counted by the test VFS; None when this build has none."""
        try:
            with open(self.count_file) as f:
                return int(f.read().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def stop(self):
        for box in self.boxes.values():
            try:
                box.shutdown()
            except OSError:
                pass
        self.boxes = {}
        self.server.stop()
