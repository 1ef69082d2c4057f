# SPDX-License-Identifier: MIT
"""A milter that does what a test says: Sendmail's milter protocol from the milter's side."""
import socket
import struct
import threading

CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD, SKIP, PROGRESS = b"c", b"a", b"r", b"t", b"d", b"s", b"p"
CLOSE, SILENCE, GARBAGE, PART = "close", "silence", "garbage", "part"  # instead of an answer
ALL = 0x7f
STAGES = "CHMRTLNBE"


def packet(data):
    return struct.pack(">I", len(data)) + data


def reply(text):
    return b"y" + text.encode() + b"\0"


def add(name, value):
    return b"h" + name.encode() + b"\0" + value.encode() + b"\0"


def insert(index, name, value):
    return b"i" + struct.pack(">I", index) + name.encode() + b"\0" + value.encode() + b"\0"


def change(index, name, value):
    return b"m" + struct.pack(">I", index) + name.encode() + b"\0" + value.encode() + b"\0"


def body(data):
    return [b"b" + data[i:i + 65535] for i in range(0, len(data), 65535)] or [b"b"]


class Milter:
    """plan: stage -> its answers (the last is the verdict), or what makes them of what was said; stages that are not in it are continued. After each message
    `seen` has what was said: [(command, data)]."""

    def __init__(self, at):
        """at: a port of 127.0.0.1, or a path."""
        self.at, self.plan, self.seen, self.actions, self.steps = at, {}, [], ALL, 0
        if isinstance(at, str):
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(at)
        else:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", at))
        self.listener.listen(64)
        self.held, self.on = [], True
        threading.Thread(target=self.accept, daemon=True).start()

    def set(self, actions=ALL, steps=0, **plan):
        self.plan, self.actions, self.steps, self.seen = plan, actions, steps, []

    def close(self):
        self.on = False
        self.listener.close()
        for s in self.held:
            s.close()

    def accept(self):
        while self.on:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(s,), daemon=True).start()

    def exactly(self, s, n):
        got = b""
        while len(got) < n:
            more = s.recv(n - len(got))
            if not more:
                raise OSError("gone")
            got += more
        return got

    def answers(self, stage, data):
        plan = self.plan.get(stage, [CONTINUE])
        return plan(data) if callable(plan) else plan

    def talk(self, s):
        silent = {"C": 0x1000, "H": 0x2000, "M": 0x4000, "R": 0x8000, "T": 0x10000, "L": 0x80, "N": 0x40000, "B": 0x80000}
        seen = self.seen
        try:
            while True:
                data = self.exactly(s, struct.unpack(">I", self.exactly(s, 4))[0])
                command, rest = chr(data[0]), data[1:]
                seen.append((command, rest))
                if command == "Q":
                    break
                if command == "O":
                    given = self.plan.get("O", [b"O" + struct.pack(">III", 6, self.actions, self.steps)])
                elif command == "D" or self.steps & silent.get(command, 0):
                    continue
                else:
                    given = self.answers(command, rest)
                for one in given:
                    if one == SILENCE:
                        self.held.append(s)
                        return
                    if one == CLOSE:
                        s.close()
                        return
                    if one == GARBAGE:
                        s.sendall(b"220 this is no milter\r\n")
                    elif one == PART:  # of a packet
                        s.sendall(struct.pack(">I", 100) + b"bhalf")
                        s.close()
                        return
                    else:
                        s.sendall(packet(one))
        except OSError:
            pass
        s.close()

    def said(self, command):
        return [data for c, data in self.seen if c == command]
