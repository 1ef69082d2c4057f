# SPDX-License-Identifier: MIT
"""A name server that lies as a test wants it to: UDP and TCP on loopback, one handler for each zone or name.

handler(query, raw, tcp, reply) gets the parsed question, its octets, whether it came over TCP, and a function
that sends octets back (it may be called any number of times). What it returns is sent: octets, a
dns.message.Message, or None for silence. relay() hands a zone on to an honest server."""
import socket
import socketserver
import struct
import threading
import time

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset


def answer(query, *rrsets, rcode=dns.rcode.NOERROR):
    """An authoritative answer: rrsets are (owner, ttl, type, text, ...)"""
    r = dns.message.make_response(query)
    r.flags |= dns.flags.AA
    r.set_rcode(rcode)
    for owner, ttl, kind, *data in rrsets:
        r.answer.append(dns.rrset.from_text(owner, ttl, "IN", kind, *data))
    return r


def negative(query, zone, rcode=dns.rcode.NOERROR):
    r = answer(query, rcode=rcode)
    r.authority.append(dns.rrset.from_text(zone, 1, "IN", "SOA", f"ns.{zone} h.{zone} 1 2 3 4 1"))
    return r


def octets(message):
    return message if isinstance(message, bytes) else message.to_wire(max_size=65535)


def relay(port):
    """Hands the question on as it is, and the answer back."""
    def handler(query, raw, tcp, reply):
        kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as s:
            s.settimeout(3)
            s.connect(("127.0.0.1", port))
            s.sendall(struct.pack(">H", len(raw)) + raw if tcp else raw)
            if not tcp:
                return s.recv(65535)
            f = s.makefile("rb")
            return f.read(struct.unpack(">H", f.read(2))[0])
    return handler


class Liar:
    def __init__(self, port):
        self.port, self.handlers, self.seen = port, {}, []
        self.udp = socketserver.ThreadingUDPServer(("127.0.0.1", port), self._udp(), False)
        self.tcp = socketserver.ThreadingTCPServer(("127.0.0.1", port), self._tcp(), False)
        for server in (self.udp, self.tcp):
            server.allow_reuse_address, server.daemon_threads = True, True
            server.server_bind()
        self.tcp.server_activate()
        for server in (self.udp, self.tcp):
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()

    def close(self):
        for server in (self.udp, self.tcp):
            server.shutdown()
            server.server_close()

    def on(self, name, handler):
        """For this name and everything below it"""
        self.handlers[dns.name.from_text(name)] = handler

    def _handle(self, raw, tcp, peer, reply):
        query = dns.message.from_wire(raw)
        name = query.question[0].name
        self.seen.append((peer, query.id, query.question[0].name.to_text(), tcp, time.monotonic()))
        while name not in self.handlers and name != dns.name.root:
            name = name.parent()
        handler = self.handlers.get(name)
        if handler is None:
            return octets(answer(query, rcode=dns.rcode.REFUSED))
        made = handler(query, raw, tcp, reply)
        return None if made is None else octets(made)

    def _udp(liar):
        class H(socketserver.BaseRequestHandler):
            def handle(self):
                raw, sock = self.request

                def reply(b):
                    sock.sendto(octets(b), self.client_address)
                made = liar._handle(raw, False, self.client_address, reply)
                if made is not None:
                    if len(made) > 1232:
                        short = dns.message.make_response(dns.message.from_wire(raw))
                        short.flags |= dns.flags.TC
                        made = short.to_wire()
                    reply(made)
        return H

    def _tcp(liar):
        class H(socketserver.StreamRequestHandler):
            def handle(self):
                while True:
                    head = self.rfile.read(2)
                    if len(head) < 2:
                        return
                    raw = self.rfile.read(struct.unpack(">H", head)[0])

                    def reply(b):
                        self.wfile.write(b)
                        self.wfile.flush()
                    made = liar._handle(raw, True, self.client_address, reply)
                    if made is None:
                        time.sleep(8)
                        return
                    reply(struct.pack(">H", len(made)) + made)
        return H
