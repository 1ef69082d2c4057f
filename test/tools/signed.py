# SPDX-License-Identifier: MIT
"""Signed zones on loopback: knot signs and serves the good ones; dnspython signs what an honest server would
not: expired signatures, and hundreds of keys with one key tag (KeyTrap)."""
import os
import subprocess
import time

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rdata
import dns.rdataset
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.rrset
from cryptography.hazmat.primitives.asymmetric import rsa

ZONES = {
    "signed.example.": """
@ MX 10 mail
mail A 192.0.2.1
www CNAME mail
out CNAME away.unsigned.example.
_25._tcp.mail TLSA 3 1 1 aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899
_25._tcp.bad TLSA 3 1 1 aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899
bad A 192.0.2.1
text TXT "signed"
child NS ns.child
ns.child A 127.0.0.1
""",
    # NSEC3 with 2,500 iterations, RFC 9276: proofs of absence are not worth their price
    "deep.example.": "a A 192.0.2.1\n",
    "unsigned.example.": "away A 192.0.2.9\nmail A 192.0.2.9\n@ MX 10 mail\n",
}
HEAD = "$ORIGIN {zone}\n$TTL 300\n@ SOA ns h 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
NSEC3 = {"signed.example.": 0, "deep.example.": 2500}

CONF = """
server:
    listen: 127.0.0.1@{port}
    rundir: {dir}
    pidfile: {dir}/pid
log:
  - target: {dir}/log
    any: info
database:
    storage: {dir}/db
"""
POLICY = """
  - id: p{n}
    algorithm: ecdsap256sha256
    nsec3: on
    nsec3-iterations: {n}
"""
ZONE = """
  - domain: {zone}
    storage: {dir}
    file: {zone}zone
    zonefile-sync: -1
    journal-content: none
"""


class Signed:
    def __init__(self, directory, port):
        self.dir, self.zones, self.files, self.anchors = directory, list(ZONES), {}, []
        os.makedirs(directory + "/db")
        conf = CONF.format(dir=directory, port=port) + "policy:"
        conf += "".join(POLICY.format(n=n) for n in set(NSEC3.values())) + "zone:"
        for zone, text in ZONES.items():
            with open(f"{directory}/{zone}zone", "w") as f:
                f.write(HEAD.format(zone=zone) + text)
            conf += ZONE.format(zone=zone, dir=directory)
            if zone in NSEC3:
                conf += f"    dnssec-signing: on\n    dnssec-policy: p{NSEC3[zone]}\n"
        with open(directory + "/knot.conf", "w") as f:
            f.write(conf)
        self.knot = subprocess.Popen(["knotd", "-c", directory + "/knot.conf"], stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
        for zone in NSEC3:
            self.anchors.append(self._anchor(zone, port))
        self._expired()
        self._keytrap("keytrap.example.", 300, 300, 128)
        self._keytrap("keytrap500.example.", 500, 500, 64)  # so many fit a message where they are short

    def close(self):
        self.knot.terminate()
        self.knot.wait(10)

    def _anchor(self, zone, port):
        """The DS of the zone's key-signing key, once knot serves it"""
        query = dns.message.make_query(zone, "DNSKEY", want_dnssec=True)
        for _ in range(100):
            time.sleep(0.1)
            try:
                for rrset in dns.query.tcp(query, "127.0.0.1", port=port, timeout=1).answer:
                    for key in rrset:
                        if rrset.rdtype == dns.rdatatype.DNSKEY and key.flags & 1:
                            return f"{zone} DS {dns.dnssec.make_ds(zone, key, 'SHA256')}"
            except OSError:
                pass
        raise AssertionError("knot serves no key for " + zone)

    # ---- signed by hand ---------------------------------------------------------------------------

    def _own_zone(self, zone):
        key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        dnskey = dns.dnssec.make_dnskey(key.public_key(), dns.dnssec.RSASHA256, flags=257)
        self.anchors.append(f"{zone} DS {dns.dnssec.make_ds(zone, dnskey, 'SHA256')}")
        return key, dnskey

    @staticmethod
    def _sign(rrset, key, zone, dnskey, begin, end):
        return dns.dnssec.sign(rrset, key, dns.name.from_text(zone), dnskey, inception=begin, expiration=end)

    def _serve(self, zone, sets):
        """sets: (owner, type) -> (rrset, its signatures)"""
        def handler(query, raw, tcp, reply):
            r = dns.message.make_response(query)
            r.flags |= dns.flags.AA
            q = query.question[0]
            found = sets.get((q.name.to_text().lower(), q.rdtype))
            for rrset in found or ():
                r.answer.append(rrset)
            if found is None:
                r.authority.append(dns.rrset.from_text(zone, 5, "IN", "SOA", f"ns.{zone} h.{zone} 1 2 3 4 5"))
            return r
        self.files[zone] = handler

    def _expired(self):
        """A zone whose signatures ended yesterday; its keys are in order"""
        zone, now = "expired.example.", int(time.time())
        key, dnskey = self._own_zone(zone)
        keys = dns.rrset.from_rdata(zone, 60, dnskey)
        a = dns.rrset.from_text("a." + zone, 60, "IN", "A", "192.0.2.1")
        self._serve(zone, {
            (zone, dns.rdatatype.DNSKEY): (keys, dns.rrset.from_rdata(zone, 60, self._sign(
                keys, key, zone, dnskey, now - 3600, now + 86400))),
            ("a." + zone, dns.rdatatype.A): (a, dns.rrset.from_rdata("a." + zone, 60, self._sign(
                a, key, zone, dnskey, now - 864000, now - 86400)))})

    def _keytrap(self, zone, keys, signatures, octets):
        """CVE-2023-50387: many keys with one key tag, and as many signatures that name it"""
        now = int(time.time())
        key, dnskey = self._own_zone(zone)
        tag, all_keys = None, [dnskey]
        while len(all_keys) < keys:
            modulus = bytearray(os.urandom(octets))
            modulus[0] |= 0x80
            modulus[-1] |= 1
            other = dns.rdtypes.ANY.DNSKEY.DNSKEY(1, 48, 256, 3, 8, b"\x03\x01\x00\x01" + bytes(modulus))
            if tag is None:
                tag = dns.dnssec.key_id(other)
            # the tag is a sum of 16-bit words: set right in the middle of the modulus
            for _ in range(4):
                wrong = (tag - dns.dnssec.key_id(other)) & 0xffff
                word = (int.from_bytes(modulus[60:62], "big") + wrong) & 0xffff
                modulus[60:62] = word.to_bytes(2, "big")
                other = dns.rdtypes.ANY.DNSKEY.DNSKEY(1, 48, 256, 3, 8, b"\x03\x01\x00\x01" + bytes(modulus))
            if dns.dnssec.key_id(other) == tag:
                all_keys.append(other)
        keyset = dns.rrset.from_rdata_list(zone, 60, all_keys)
        a = dns.rrset.from_text("a." + zone, 60, "IN", "A", "192.0.2.1")
        good = self._sign(a, key, zone, dnskey, now - 3600, now + 86400)
        bad = [good.replace(key_tag=tag, signature=os.urandom(octets)) for _ in range(signatures)]
        self._serve(zone, {
            (zone, dns.rdatatype.DNSKEY): (keyset, dns.rrset.from_rdata(zone, 60, self._sign(
                keyset, key, zone, dnskey, now - 3600, now + 86400))),
            ("a." + zone, dns.rdatatype.A): (a, dns.rrset.from_rdata_list("a." + zone, 60, bad))})
