# SPDX-License-Identifier: MIT
"""The rest of the Internet on loopback, for mail that leaves: names served by knot (`test.` signed with DNSSEC,
`open.test.` not), mail servers that misbehave as told, and a Postern of one's own that believes in them."""
import http.server
import math
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from server import Server

PASSWORD = "correct horse battery"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(*words, **more):
    return subprocess.run(words, check=True, capture_output=True, text=True, **more).stdout


def certificate(directory, name, *alt, key=None, days=30):
    """A self-signed certificate for name: (certificate file, key file)."""
    cert, made = f"{directory}/{name}.pem", key or f"{directory}/{name}.key"
    new = [] if key else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", made]
    run("openssl", "req", "-x509", *new, *(["-key", key] if key else []), "-days", str(days), "-subj", f"/CN={name}",
        "-addext", "subjectAltName=" + ",".join("DNS:" + n for n in (name, *alt)), "-out", cert)
    return cert, made


def explicit_key(directory):
    """An EC key that spells its curve out (CVE-2022-0778)."""
    run("openssl", "ecparam", "-name", "prime256v1", "-param_enc", "explicit", "-genkey", "-noout", "-out",
        directory + "/explicit.key")
    return directory + "/explicit.key"


def huge_key(directory):
    """An RSA key of 16,384 bits made in a moment: its two factors are products of sixteen primes each, which the
    arithmetic of a private key does not mind."""
    def number(n):
        body = n.to_bytes(n.bit_length() // 8 + 1, "big")
        return b"\x02" + length(len(body)) + body

    def length(n):
        if n < 128:
            return bytes([n])
        body = n.to_bytes((n.bit_length() + 7) // 8, "big")
        return bytes([0x80 | len(body)]) + body

    def half():
        product, order = 1, 1
        for _ in range(16):
            prime = int(run("openssl", "prime", "-generate", "-bits", "512"))
            product *= prime
            order = math.lcm(order, prime - 1)
        return product, order

    e = 65537
    while True:
        (p, op), (q, oq) = half(), half()
        if math.gcd(e, op * oq) == math.gcd(p, q) == 1:
            break
    fields = [0, p * q, e, pow(e, -1, math.lcm(op, oq)), p, q, pow(e, -1, op), pow(e, -1, oq), pow(q, -1, p)]
    body = b"".join(number(n) for n in fields)
    with open(directory + "/huge.der", "wb") as f:
        f.write(b"\x30" + length(len(body)) + body)
    run("openssl", "rsa", "-inform", "DER", "-in", directory + "/huge.der", "-out", directory + "/huge.key")
    return directory + "/huge.key"


def tlsa_311(cert):
    """The data of a TLSA record 3 1 1 for a certificate."""
    spki = subprocess.run(f"openssl x509 -in {cert} -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum",
                          shell=True, check=True, capture_output=True, text=True).stdout
    return spki.split()[0]


class Names:
    """knot on a port of its own. records: lines of a zone file with names that end in a dot. What ends in `.open.test.`
    goes into an unsigned zone; what is below `broken.test.` is bogus, its DS record is for a key that nobody has."""

    def __init__(self, directory, records):
        self.dir, self.port, self.process = directory, free_port(), None
        os.makedirs(directory + "/db", exist_ok=True)
        zones = {"test.": [], "open.test.": [], "broken.test.": ["x.broken.test. MX 10 ns.test."]}
        for line in records:
            owner = line.split()[0]
            zones["open.test." if owner == "open.test." or owner.endswith(".open.test.") else "test."].append(line)
        zones["test."] += ["open.test. NS ns.test.", "ns.test. A 127.0.0.1", "broken.test. NS ns.test.",
                           "broken.test. DS 12345 13 2 " + "ab" * 32]
        for name, lines in zones.items():
            with open(f"{directory}/{name}zone", "w") as f:
                f.write(f"$TTL 60\n{name} SOA ns.test. admin.test. 1 3600 600 86400 60\n{name} NS ns.test.\n")
                f.write("\n".join(lines) + "\n")
        with open(directory + "/knot.conf", "w") as f:
            f.write(f"""server:
  rundir: "{directory}"
  listen: 127.0.0.1@{self.port}
database:
  storage: "{directory}/db"
policy:
  - id: now
    algorithm: ecdsap256sha256
    single-type-signing: on
zone:
  - domain: test.
    file: "{directory}/test.zone"
    zonefile-sync: -1
    journal-content: all
    zonefile-load: difference-no-serial
    dnssec-signing: on
    dnssec-policy: now
  - domain: open.test.
    file: "{directory}/open.test.zone"
  - domain: broken.test.
    file: "{directory}/broken.test.zone"
""")

    def __enter__(self):
        self.process = subprocess.Popen(["knotd", "-c", self.dir + "/knot.conf"], stdout=open(self.dir + "/log", "w"),
                                        stderr=subprocess.STDOUT)
        try:
            self.ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def ready(self):
        end = time.monotonic() + 20
        while True:
            try:
                self.anchor = run("keymgr", "-c", self.dir + "/knot.conf", "test.", "ds").splitlines()[0]
                said = run("knotc", "-s", self.dir + "/knot.sock", "zone-read", "test.", "@", "RRSIG")
                if "RRSIG" in said:
                    return
            except (subprocess.CalledProcessError, IndexError):
                pass
            assert time.monotonic() < end and self.process.poll() is None, open(self.dir + "/log").read()[-2000:]
            time.sleep(0.1)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)


class Sink:
    """A mail server in threads on one address and port. mode is what it does wrong; see converse(). Everything that
    clients said is in `said`, each message in `messages` as (envelope lines, content, "tls" or "plain")."""

    def __init__(self, address, port, mode="", cert=None, extensions=("PIPELINING", "8BITMIME", "SIZE 10000000", "DSN",
                                                                      "SMTPUTF8", "ENHANCEDSTATUSCODES"), ca=None):
        self.mode, self.cert, self.extensions = mode, cert, extensions
        self.said, self.messages, self.connections, self.sni = [], [], 0, []
        self.lock = threading.Lock()
        self.listener = socket.create_server((address, port), backlog=200)
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
            s.settimeout(60)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        try:
            self.converse(Peer(s))
        except (OSError, EOFError, ValueError):
            pass
        finally:
            s.close()

    def tls(self, p):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(*self.cert)
        context.sni_callback = lambda _s, name, _c: self.sni.append(name)
        p.start(context)

    def hello(self, p):
        offer = list(self.extensions)
        if self.cert and not p.tls and self.mode != "hide":
            offer.append("STARTTLS")
        lines = ["sink.test", *offer]
        p.say("".join(f"250{'-' if i + 1 < len(lines) else ' '}{w}\r\n" for i, w in enumerate(lines)))

    def converse(self, p):
        m = self.mode
        if m == "silent":
            return time.sleep(30)
        if m == "drip":
            for c in "220 " + "x" * 4000:
                p.say(c)
                time.sleep(1)
            return None
        if m == "endless-line":
            p.say("220 ")
            while True:
                p.say("x" * 65536)
        if m == "many-lines":
            for _ in range(1000000):
                p.say("220-more and more\r\n")
            return None
        p.say("554 5.3.2 not here\r\n" if m == "554" else "220 sink.test ESMTP\r\n")
        envelope = []
        while True:
            line = p.line()
            self.said.append(line)
            verb = line.upper()
            if verb.startswith(("EHLO", "LHLO")):
                self.hello(p)
            elif verb == "STARTTLS":
                if m == "refuse":
                    p.say("454 4.7.0 not now\r\n")
                elif m == "inject":
                    p.say("220 go\r\n250 fake\r\n")
                    self.tls(p)
                elif m == "garbage":
                    p.say("220 go\r\n")
                    time.sleep(0.05)
                    p.say("250 what\r\n")
                else:
                    p.say("220 go\r\n")
                    self.tls(p)
            elif verb.startswith("AUTH"):
                p.say("235 2.7.0 ok\r\n" if m != "no-login" else "535 5.7.8 no\r\n")
            elif verb.startswith("MAIL"):
                envelope = [line]
                p.say("250 2.1.0 ok\r\n")
            elif verb.startswith("RCPT"):
                if m == "reject" or "<no-" in line:
                    p.say("550-5.1.1 no such user\r\n550 5.1.1 ask \x1b[31m\"them\"\r\n")
                elif "<later-" in line:
                    p.say("450 4.2.1 later\r\n")
                else:
                    envelope.append(line)
                    p.say("250 2.1.5 ok\r\n")
            elif verb == "DATA":
                p.say("354 go\r\n" if len(envelope) > 1 else "503 5.5.1 nobody\r\n")
                if len(envelope) > 1 and not self.content(p, envelope, p.data()):
                    return None
            elif verb.startswith("BDAT"):
                if not self.content(p, envelope, p.exactly(int(line.split()[1]))):
                    return None
            elif verb == "QUIT":
                return p.say("221 bye\r\n")
            else:
                p.say("250 2.0.0 ok\r\n")

    def content(self, p, envelope, data):
        with self.lock:
            self.messages.append((list(envelope), data, "tls" if p.tls else "plain"))
        lmtp = any(x.upper().startswith("LHLO") for x in self.said)
        if self.mode == "eof-after-dot":
            return False
        if self.mode == "half-after-dot":
            p.say("250 2.0.0 tak")
            return False
        if self.mode == "silence-after-dot":
            time.sleep(30)
            return False
        for rcpt in envelope[1:] if lmtp else envelope[:1]:
            p.say("452 4.2.2 full\r\n" if lmtp and "<full-" in rcpt else "250 2.0.0 taken\r\n")
        return True


class Policies:
    """MTA-STS policies over HTTPS: host -> text; and what is posted there: (host, path, Content-Type, body)."""

    def __init__(self, address, cert, texts):
        self.posts = posts = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                text = texts.get(self.headers.get("Host", "").partition(":")[0], "").encode()
                self.send_response(200 if text and self.path == "/.well-known/mta-sts.txt" else 404)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posts.append((self.headers["Host"].partition(":")[0], self.path, self.headers["Content-Type"], body))
                self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*cert)
        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()


class Peer:
    def __init__(self, s):
        self.s, self.buffer, self.tls = s, b"", False

    def start(self, context):
        self.buffer, self.tls = b"", True
        self.s = context.wrap_socket(self.s, server_side=True)

    def say(self, text):
        self.s.sendall(text.encode("latin-1"))

    def more(self):
        got = self.s.recv(65536)
        if not got:
            raise EOFError
        self.buffer += got

    def line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line.decode("utf-8", "backslashreplace")

    def exactly(self, n):
        while len(self.buffer) < n:
            self.more()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def data(self):
        """The raw octets up to the end of data, as they came: dots not removed."""
        if self.buffer.startswith(b".\r\n"):
            self.buffer = self.buffer[3:]
            return b""
        while b"\r\n.\r\n" not in self.buffer:
            self.more()
        data, _, self.buffer = self.buffer.partition(b"\r\n.\r\n")
        return data + b"\r\n"


class House(Server):
    """A Postern of one's own, installed where POSTERN_TRY has it, that asks `names` and sends to port `port`."""

    def __init__(self, names, port, outbound="", more=""):
        installed = Server()
        self.root = tempfile.mkdtemp(prefix="postern-out-")
        os.chmod(self.root, 0o755)
        super().__init__(self.root)
        self.binary, self.port = installed.binary, port
        self.ports = {n: free_port() for n in ("smtp", "submission", "submissions", "imap", "imaps")}
        with open(installed.config) as f:
            kept = [x for x in f if x.split("=")[0].strip() in ("room_dir", "certificate", "key")]
        anchor = " ".join(names.anchor.split())
        with open(self.config, "w") as f:
            f.write("".join(kept) + f"""hostname = "mail.example.test"
data_dir = "{self.root}/data"
run_dir = "{self.root}/run"
sender_authentication = "off"
dns {{ servers = {{"127.0.0.1@{names.port}"}} trust_anchor = {{"{anchor}"}} timeout = 3 }}
queue {{ retry_first = "1h" }}
outbound {{
	port = {port}
	connect_timeout = 3
	reply_timeout = 3
	end_timeout = 3
	conversation_timeout = 8
	{outbound}
}}
{more}
""" + "".join(f"listen {n} {{ addresses = {{127.0.0.1}} port = {p} }}\n" for n, p in self.ports.items()))

    def __enter__(self):
        try:
            self.fill()
        except BaseException:
            self.__exit__()
            raise
        return self

    def fill(self):
        self.cli("start", timeout=60)
        self.cli("domain", "add", "example.test")
        self.add_account("alice@example.test", PASSWORD)
        self.add_account("bob@example.test", PASSWORD)
        self.cli("account", "limit", "default", "--recipients", "0", "--messages", "0", check=False)

    def __exit__(self, *_):
        self.cli("stop", check=False, timeout=60)
        if not os.environ.get("POSTERN_KEEP"):
            shutil.rmtree(self.root, ignore_errors=True)

    def password(self, address):
        return PASSWORD

    def submit(self, *to, text="Subject: x\r\n\r\nhello\r\n", sender="alice@example.test", options=(), rcpt_options=()):
        """Hands a message in as alice. Returns its queue id."""
        import smtplib
        with smtplib.SMTP_SSL("127.0.0.1", self.ports["submissions"], context=_anybody(), timeout=30) as s:
            s.login("alice@example.test", PASSWORD)
            assert s.mail(sender, list(options))[0] == 250
            for one in to:
                code, said = s.rcpt(one, list(rcpt_options))
                assert code == 250, (code, said)
            if not isinstance(text, bytes):
                text = text.encode()
            if b"From:" not in text.partition(b"\r\n\r\n")[0]:
                text = f"From: {sender}\r\n".encode() + text
            code, said = s.data(text)
            assert code == 250, (code, said)
        return said.decode().split()[-1]

    def events(self, *kinds):
        """The events of these kinds, each one flat: its fields beside `event`, `queue_id` and the rest."""
        found = self.json("log", "--last", "2000")
        return [{**e, **e["fields"]} for e in found if e["event"] in kinds]

    def wait_event(self, kind, within=20.0, **fields):
        """The first event of this kind with these fields."""
        end = time.monotonic() + within
        while True:
            for e in self.events(kind):
                if all(str(e.get(k)) == str(v) for k, v in fields.items()):
                    return e
            assert time.monotonic() < end, f"no {kind} with {fields}: {self.events(kind, 'send.talk', 'queue.deferred')[-4:]}"
            time.sleep(0.1)


def _anybody():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def wait_for(what, within=20.0):
    end = time.monotonic() + within
    while not what():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
