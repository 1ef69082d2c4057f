# SPDX-License-Identifier: MIT
"""ClientHello messages of TLS 1.3 by hand (RFC 8446 4.1.2), for what no TLS library would send."""
import os
import struct

ALERT, HANDSHAKE = 21, 22
UNRECOGNIZED_NAME = 112


def _extension(kind, body):
    return struct.pack(">HH", kind, len(body)) + body


def x25519_share():
    return struct.pack(">HH", 0x1D, 32) + os.urandom(32)


def hello(name=b"example.test", shares=None, groups=()):
    """A ClientHello: the server name as it stands, key shares as octets (default one of X25519), more
    groups before X25519."""
    shares = x25519_share() if shares is None else shares
    one = struct.pack(">BH", 0, len(name)) + name
    body = _extension(0, struct.pack(">H", len(one)) + one)
    body += _extension(43, b"\x02\x03\x04")
    body += _extension(13, struct.pack(">HH", 2, 0x0403))
    listed = list(groups) + [0x1D]
    body += _extension(10, struct.pack(">H", 2 * len(listed)) + b"".join(struct.pack(">H", g) for g in listed))
    body += _extension(51, struct.pack(">H", len(shares)) + shares)
    m = b"\x03\x03" + os.urandom(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0" + struct.pack(">H", len(body)) + body
    return b"\x01" + struct.pack(">I", len(m))[1:] + m


def records(message, octets=16384):
    """The message in handshake records of so many octets each."""
    return b"".join(struct.pack(">BHH", HANDSHAKE, 0x0301, len(message[i:i + octets])) + message[i:i + octets]
                    for i in range(0, len(message), octets))
