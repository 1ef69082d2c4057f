# SPDX-License-Identifier: MIT
"""A name server on loopback for tests: whole zones in a few lines, UDP and TCP, and it counts.

    with Zone({("example.org", "TXT"): ['"v=spf1 -all"'], ...}) as z:  # z.port, z.asked

Values are text as in a zone file; a name is absent when nothing stands at it or beneath it. The
special type FAIL answers SERVFAIL for the name, DROP does not answer at all."""
import collections
import ipaddress
import re
import socket
import socketserver
import struct
import threading

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
NAMES = {v: k for k, v in TYPES.items()}


def name_wire(name):
    out = b""
    for label in filter(None, name.rstrip(".").split(".")):
        raw = label.encode("latin-1")
        out += bytes([len(raw)]) + raw
    return out + b"\0"


def rdata(kind, text):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(text).packed
    if kind in ("NS", "CNAME", "PTR"):
        return name_wire(text)
    if kind == "MX":
        preference, host = text.split()
        return struct.pack(">H", int(preference)) + name_wire(host)
    strings = re.findall(r'"((?:[^"\\]|\\.)*)"', text) or [text]
    out = b""
    for s in strings:
        raw = re.sub(r"\\(.)", r"\1", s).encode("latin-1")
        for at in range(0, max(len(raw), 1), 255):
            part = raw[at:at + 255]
            out += bytes([len(part)]) + part
    return out


class Zone:
    def __init__(self, records, port=0):
        self.records, self.asked = {}, collections.Counter()
        for (name, kind), values in records.items():
            self.add(name, kind, values)
        outer = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                data, sock = self.request
                answer = outer.answer(data, 1232)
                if answer:
                    sock.sendto(answer, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                while len(head := self.rfile.read(2)) == 2:
                    answer = outer.answer(self.rfile.read(struct.unpack(">H", head)[0]), 65535)
                    if answer:
                        self.wfile.write(struct.pack(">H", len(answer)) + answer)

        class UdpServer(socketserver.ThreadingUDPServer):
            daemon_threads, max_packet_size = True, 65535

        class TcpServer(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address = True, True

        self.udp = UdpServer(("127.0.0.1", port), Udp)
        self.port = self.udp.server_address[1]
        self.tcp = TcpServer(("127.0.0.1", self.port), Tcp)

    def add(self, name, kind, values):
        self.records.setdefault(name.lower().rstrip("."), {})[kind] = values

    def __enter__(self):
        for server in (self.udp, self.tcp):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc):
        for server in (self.udp, self.tcp):
            server.shutdown()
            server.server_close()

    def exists(self, name):
        return name in self.records or any(n.endswith("." + name) for n in self.records)

    def answer(self, query, most):
        if len(query) < 17 or query[2] & 0x80:
            return None
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
            at += 1 + query[at]
        kind, _ = struct.unpack(">HH", query[at + 1:at + 5])
        question, name = query[12:at + 5], ".".join(labels).lower()
        self.asked[(name, NAMES.get(kind, str(kind)))] += 1
        here = self.records.get(name, {})
        if "DROP" in here:
            return None
        answers, code = [], 0
        if "FAIL" in here:
            code = 2
        elif "CNAME" in here and kind != TYPES["CNAME"]:
            answers = [(TYPES["CNAME"], rdata("CNAME", v)) for v in here["CNAME"]]
        elif NAMES.get(kind) in here:
            answers = [(kind, rdata(NAMES[kind], v)) for v in here[NAMES[kind]]]
        elif not self.exists(name):
            code = 3
        return self.frame(query, question, name, code, answers, most)

    @staticmethod
    def frame(query, question, name, code, answers, most):
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", t, 1, 300, len(d)) + d for t, d in answers)
        soa = b""
        if not answers and code in (0, 3):
            data = name_wire("ns.test") + name_wire("root.test") + struct.pack(">IIIII", 1, 3600, 600, 86400, 60)
            soa = b"\0" + struct.pack(">HHIH", 6, 1, 60, len(data)) + data
        flags = 0x8580 | code
        if 12 + len(question) + len(body) > most:
            body, answers, flags = b"", [], flags | 0x0200
        return (query[:2] + struct.pack(">HHHHH", flags, 1, len(answers), 1 if soa else 0, 0) + question + body + soa)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
