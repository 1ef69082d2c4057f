# SPDX-License-Identifier: MIT
"""Postern as one side of a benchmark: its own directory, ports and accounts, started by the same
command that an owner uses, and counted from outside."""
import imaplib
import os
import re
import shutil
import ssl
import struct

import measure  # noqa: F401  (finds test/tools)
from server import certificate_names, insecure_context, quickstart

PASSWORD = "bench-password-8c1f"


class Postern:
    name = "postern"
    host = "127.0.0.1"

    def __init__(self, directory, port_base, users, flush_us=0):
        self.dir, self.users, self.flush_us = directory, users, flush_us
        shutil.rmtree(directory, ignore_errors=True)
        self.port_base = port_base
        self.count_file = directory + ".flushes"
        self.boxes, self.server = {}, None

    def start(self, group):
        self.server = quickstart(self.dir, self.port_base)
        self.port = self.server.ports["smtp"]
        self.server.cli("account", "limit", "default", "--inbound", "0", "--recipients", "0", "--messages", "0")
        for u in self.users:
            self.server.add_account(f"{u}@example.test", PASSWORD)
        self.server.stop()
        self.nothing_filtered()
        with open(self.count_file, "wb") as f:
            f.write(b"\0" * 56)
        os.chmod(self.count_file, 0o666)  # each room counts in it under a uid of its own
        vfs = f"delay:{self.flush_us}," if self.flush_us else ""
        vfs += f"count:{self.count_file}"
        self.server.start(preexec=group.join, environment={"POSTERN_VFS": vfs})
        group.adopt(self.pids())
        self.cafile = self.server.certificate(self.dir + ".pem")
        self.cert_name = (certificate_names(self.cafile) or ["localhost"])[0]

    def nothing_filtered(self):
        """As on the other side: nobody is judged, nobody waits for a greeting."""
        with open(self.server.config) as f:
            text = f.read()
        text = re.sub(r"sender_authentication = \w+", "sender_authentication = off", text)
        text = re.sub(r"(listen smtp \{)", r"\1 greet_wait = 0 tarpit = 0", text)
        with open(self.server.config, "w") as f:
            f.write(text)

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
        """Syncs counted by the test VFS of all rooms; None when this build has none. The file
        holds the counts of open, read, write, sync, truncate, delete, and the bytes written."""
        with open(self.count_file, "rb") as f:
            raw = f.read(56)
        counts = struct.unpack("=7Q", raw) if len(raw) == 56 else (0,) * 7
        return counts[3] if any(counts) else None

    def stop(self):
        for box in self.boxes.values():
            try:
                box.shutdown()
            except OSError:
                pass
        self.boxes = {}
        if self.server is not None:
            self.server.stop()
