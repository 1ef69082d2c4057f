# SPDX-License-Identifier: MIT
"""T-006 (SECURITY.md 2.5): policy files of MTA-STS as hostile web servers serve them, and what a domain then
demands. Each case has a domain of its own; `postern tls policy` asks dns and fetch as send does."""
import http.server
import ssl
import subprocess
import threading
import time

import pytest

from conftest import HTTPS
from liar import answer, negative

GOOD = "version: STSv1\r\nmode: enforce\r\nmx: mx.{d}\r\nmax_age: 86400\r\n"


class Web(http.server.BaseHTTPRequestHandler):
    """serves[domain] is a function that gets this handler"""
    serves, asked = {}, []

    def do_GET(self):
        domain = self.headers["Host"].split(":")[0].removeprefix("mta-sts.")
        Web.asked.append((domain, self.path))
        try:
            Web.serves[domain](self)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass

    def give(self, body, kind="text/plain", code=200, **fields):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(code)
        if kind:
            self.send_header("Content-Type", kind)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web(world):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", HTTPS), Web)
    server.daemon_threads = True
    contexts = {}

    def context(names, **how):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(*world.certificate(*names, **how))
        return c
    plain = context(["mta-sts.default.sts.example", "*.sts.example", "*.ok.sts.example"])
    contexts["mta-sts.othername.sts.example"] = context(["mta-sts.elsewhere.example"])
    contexts["mta-sts.expired.sts.example"] = context(["mta-sts.expired.sts.example"], days=-1)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stem = world.dir + "/selfsigned"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=x", "-addext", "subjectAltName=DNS:mta-sts.selfsigned.sts.example", "-keyout",
                    stem + ".key", "-out", stem + ".pem"], check=True, stderr=subprocess.DEVNULL)
    own.load_cert_chain(stem + ".pem", stem + ".key")
    contexts["mta-sts.selfsigned.sts.example"] = own
    made = {}

    def by_name(sock, name, _):
        if name in contexts:
            sock.context = contexts[name]
        elif name is not None:
            if name not in made:
                made[name] = context([name])
            sock.context = made[name]
    plain.sni_callback = by_name
    server.socket = plain.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    yield Web
    server.shutdown()
    server.server_close()


def publish(world, web, domain, serve, address="127.0.0.1", family="A"):
    """The zone of a domain with MTA-STS, and what its web server does"""
    d = domain + ".sts.example."

    def handler(q, raw, tcp, reply):
        name, kind = q.question[0].name.to_text().lower(), q.question[0].rdtype
        if name == "_mta-sts." + d and kind == 16:
            return answer(q, (name, 60, "TXT", '"v=STSv1; id=20261125;"'))
        if name == "mta-sts." + d and kind == {"A": 1, "AAAA": 28}[family] and address:
            return answer(q, (name, 60, family, address))
        if name == d and kind == 15:
            return answer(q, (name, 60, "MX", "10 mx." + d), (name, 60, "MX", "20 other." + d))
        if name.startswith(("mx.", "other.")) and kind == 1:
            return answer(q, (name, 60, "A", "192.0.2.7"))
        return negative(q, d)
    world.liar.on(d, handler)
    web.serves[d[:-1]] = serve
    return d[:-1]


def levels(said):
    return {line.split()[0]: line.split()[3] for line in said.splitlines()[2:]}


def test_T_006_good_policy(world, web):
    d = publish(world, web, "good", lambda h: h.give(GOOD.format(d="good.sts.example")))
    said = world.policy(d)
    assert said.startswith("MTA-STS: enforce"), said
    assert levels(said) == {"mx." + d: "name", "other." + d: "refused"}
    assert (d, "/.well-known/mta-sts.txt") in web.asked


def drip(h):
    h.send_response(200)
    h.send_header("Content-Type", "text/plain")
    h.end_headers()
    for _ in range(100):
        h.wfile.write(b"x" * 10)
        h.wfile.flush()
        time.sleep(1)


def endless(h):
    h.send_response(200)
    h.send_header("Content-Type", "text/plain")
    h.end_headers()
    for _ in range(640):
        h.wfile.write(b"x" * 16384)


BAD = {
    "10 MiB": (lambda h: h.give(b"x" * 10485760), "sts-policy-fetch-error"),
    "10 MiB without a length": (endless, "sts-policy-fetch-error"),
    "a redirect to itself": (lambda h: h.give("", code=302, Location="https://" + h.headers["Host"] + h.path),
                             "sts-policy-fetch-error"),
    "a redirect to loopback": (lambda h: h.give("", code=301, Location="http://127.0.0.1:1/"),
                               "sts-policy-fetch-error"),
    "404": (lambda h: h.give(GOOD.format(d="x"), code=404), "sts-policy-fetch-error"),
    "text/html": (lambda h: h.give("<html>", kind="text/html"), "sts-policy-fetch-error"),
    "a good policy as text/html": (lambda h: h.give(GOOD.format(d="x"), kind="text/html"), "sts-policy-fetch-error"),
    "no type": (lambda h: h.give(GOOD.format(d="x"), kind=None), "sts-policy-fetch-error"),
    "max_age 2^63": (lambda h: h.give(GOOD.format(d="x").replace("86400", str(2 ** 63))), "sts-policy-invalid"),
    "100,000 mx": (lambda h: h.give("version: STSv1\nmode: enforce\nmax_age: 1\n" + "mx: a.b\n" * 100000),
                   "sts-policy-fetch-error"),
    "8,000 mx": (lambda h: h.give("version: STSv1\nmode: enforce\nmax_age: 1\n" + "mx: a.b\n" * 8000),
                 "sts-policy-invalid"),
    "nothing": (lambda h: h.give(""), "sts-policy-invalid"),
    "no answer at all": (lambda h: h.connection.close(), "sts-policy-fetch-error"),
    "half an answer": (lambda h: (h.send_response(200), h.send_header("Content-Type", "text/plain"),
                                  h.send_header("Content-Length", "500"), h.end_headers(), h.wfile.write(b"version:"),
                                  h.wfile.flush(), h.connection.close()), "sts-policy-fetch-error"),
    "a NUL in it": (lambda h: h.give(GOOD.format(d="x") + "\0"), "sts-policy-invalid"),
}


@pytest.mark.parametrize("what", BAD)
def test_T_006_bad_policy(world, web, what):
    serve, result = BAD[what]
    d = publish(world, web, "bad%d" % list(BAD).index(what), serve)
    begin = time.monotonic()
    said = world.policy(d)
    assert said.startswith("MTA-STS: no policy, " + result), said
    assert set(levels(said).values()) == {"may"}
    assert time.monotonic() - begin < 5
    assert len([a for a in web.asked if a[0] == d]) == 1, "it was asked once, and nothing was followed"


@pytest.mark.parametrize("what", ["othername", "expired", "selfsigned"])
def test_T_006_certificate(world, web, what):
    d = publish(world, web, what, lambda h: h.give(GOOD.format(d=what + ".sts.example")))
    said = world.policy(d)
    assert said.startswith("MTA-STS: no policy, sts-webpki-invalid"), said
    assert not [a for a in web.asked if a[0] == d], "nothing was asked of a server that is somebody else"


@pytest.mark.parametrize("address,family", [
    ("10.0.0.1", "A"), ("169.254.169.254", "A"), ("0.0.0.0", "A"), ("192.168.1.1", "A"), ("::1", "AAAA"),
    ("::ffff:10.0.0.1", "AAAA"), ("fd00::1", "AAAA"), ("fe80::1", "AAAA"), ("64:ff9b::a00:1", "AAAA")])
def test_T_006_special_addresses(world, web, address, family):
    """Whoever writes the zone must not choose our own network (W-015 has the same rule)"""
    n = "".join(c for c in address if c.isalnum())
    d = publish(world, web, "special" + n, lambda h: h.give(GOOD.format(d="x")), address, family)
    begin = time.monotonic()
    said = world.policy(d)
    assert "not of the public Internet" in said and "no policy" in said, said
    assert time.monotonic() - begin < 2


def test_T_006_no_web_server(world, web):
    d = publish(world, web, "noaddress", None, None)
    assert "no policy, sts-policy-fetch-error" in world.policy(d)
    d = publish(world, web, "refuses", None, "127.0.0.2")
    assert "no policy, sts-policy-fetch-error" in world.policy(d)


def test_T_006_id_in_two_records(world, web):
    d = publish(world, web, "two", lambda h: h.give(GOOD.format(d="x")))

    def handler(q, raw, tcp, reply):
        if q.question[0].rdtype != 16:
            return negative(q, d + ".")
        return answer(q, ("_mta-sts." + d, 60, "TXT", '"v=STSv1; id=a;"', '"v=STSv1; id=b;"'))
    world.liar.on("_mta-sts." + d + ".", handler)
    assert world.policy(d).startswith("MTA-STS: no policy\n")
    assert not [a for a in web.asked if a[0] == d]


def test_T_006_slow(world, web):
    """An octet a second: over after 60 s (6 in this configuration), and others are served meanwhile"""
    d = publish(world, web, "slow", drip)
    other = publish(world, web, "meanwhile", lambda h: h.give(GOOD.format(d="meanwhile.sts.example")))
    took = []

    def ask():
        begin = time.monotonic()
        took.append((world.policy(d), time.monotonic() - begin))
    t = threading.Thread(target=ask)
    t.start()
    time.sleep(0.5)
    begin = time.monotonic()
    assert world.policy(other).startswith("MTA-STS: enforce")
    assert time.monotonic() - begin < 3
    t.join()
    assert took[0][0].startswith("MTA-STS: no policy, sts-policy-fetch-error"), took
    assert 5 < took[0][1] < 8


def test_dane_and_sts_of_one_domain(world):
    """The signed zone of knot: DANE, and nothing asked of a web server"""
    said = world.policy("signed.example")
    assert levels(said) == {"mail.signed.example": "dane"}, said
    said = world.policy("unsigned.example")
    assert levels(said) == {"mail.unsigned.example": "may"}, said
