# SPDX-License-Identifier: MIT
"""The mail server's side of the milter protocol (version 6), enough to drive OpenDKIM."""
import os
import socket
import struct
import subprocess
import time

HDR_LEADSPC = 0x00100000  # header values keep the white space behind the colon
ACTIONS = 0x1FF


class Milter:
    """An OpenDKIM (or OpenDMARC) of our own on a socket in where; conf: text of its configuration."""

    def __init__(self, where, name, conf, program="opendkim"):
        self.path = os.path.join(where, name + ".sock")
        path = os.path.join(where, name + ".conf")
        if os.path.exists(self.path):
            os.unlink(self.path)
        with open(path, "w") as f:
            f.write(conf)
        self.process = subprocess.Popen([program, "-f", "-x" if program == "opendkim" else "-c", path, "-p", "local:" + self.path],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(self.path)
                return
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError(self.process.stderr.read().decode()) from None
                time.sleep(0.02)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def message(self, fields, body, host=b"x.example.net", ip=b"192.0.2.1"):
        """One message; fields: (name, value as behind the colon, folded with LF). Returns the header
        fields that it inserts, as (name, value)."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.path)
            conversation = Conversation(s)
            return conversation.run(fields, body, host, ip)


class Conversation:
    def __init__(self, s):
        self.s = s
        self.quiet = 0
        self.enough = False

    def send(self, command, data=b""):
        self.s.sendall(struct.pack(">I", len(data) + 1) + command + data)

    def receive(self):
        size = struct.unpack(">I", self.exactly(4))[0]
        data = self.exactly(size)
        return data[:1], data[1:]

    def exactly(self, n):
        got = b""
        while len(got) < n:
            more = self.s.recv(n - len(got))
            if not more:
                raise RuntimeError("milter closed the connection")
            got += more
        return got

    def step(self, command, data=b"", no_reply=0):
        """Sends one step; true when the filter wants to go on ("s": but with no more of the body)."""
        self.send(command, data)
        if self.quiet & no_reply:
            return True
        answer, _ = self.receive()
        self.enough = answer == b"s"
        return answer in (b"c", b"s")

    def run(self, fields, body, host, ip):
        self.send(b"O", struct.pack(">III", 6, ACTIONS, 0x1FFFFF))
        _, data = self.receive()
        _, _, protocol = struct.unpack(">III", data[:12])
        self.quiet = protocol
        keep_space = bool(protocol & HDR_LEADSPC)
        self.send(b"D", b"Cj\0mx.example.net\0{daemon_name}\0MTA\0")
        steps = [(b"C", host + b"\0" + b"4" + struct.pack(">H", 12345) + ip + b"\0", 0x01, 0x1000),
                 (b"H", host + b"\0", 0x02, 0x2000),
                 (b"M", b"<a@example.org>\0", 0x04, 0x4000),
                 (b"R", b"<b@example.net>\0", 0x08, 0x8000),
                 (b"T", b"", 0x200, 0x10000)]
        for command, data, skip, no_reply in steps:
            if not protocol & skip and not self.step(command, data, no_reply):
                return []
            if command == b"H":
                self.send(b"D", b"Mi\0queueid\0")
        for name, value in fields:
            if not keep_space and value[:1] == b" ":
                value = value[1:]
            if not self.step(b"L", name + b"\0" + value + b"\0", 0x80):
                return []
        if not protocol & 0x40 and not self.step(b"N", b"", 0x40000):
            return []
        for at in range(0, len(body), 65535):
            if not self.step(b"B", body[at:at + 65535], 0x80000):
                return []
            if self.enough:
                break
        self.send(b"E")
        inserted = []
        while True:
            answer, data = self.receive()
            if answer in b"cartdy":
                self.send(b"Q")
                return inserted
            if answer == b"i":
                name, value = data[4:].split(b"\0")[:2]
                inserted.append((name, value if keep_space else b" " + value))
