# SPDX-License-Identifier: MIT
"""Postfix, Exim and OpenSMTPD from Debian as receivers of our mail: STARTTLS, PIPELINING, DSN, SMTPUTF8, BDAT, sizes and
dots. The packages exclude each other, so Exim and OpenSMTPD are taken apart into a directory and run in a mount namespace of
their own, with the users and the spool that they insist on.

OpenSMTPD 6.8 of Debian 12 ends every handshake with an internal error (rsa: "missing private key"; the same with `openssl
s_client`), so it shows what happens then: a second connection in plain text."""
import glob
import hashlib
import os
import shutil
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from elsewhere import House, Names, certificate, free_port  # noqa: E402
from server import answers  # noqa: E402

PEERS = {"postfix": "127.0.2.2", "exim": "127.0.2.3", "opensmtpd": "127.0.2.4"}
DEBS = {"exim": "exim4-daemon-light", "opensmtpd": "opensmtpd"}

NAMESPACE = """set -e
mount --make-rprivate /
cat /etc/passwd > {d}/passwd; cat /etc/group > {d}/group
printf 'opensmtpd:x:64990:64990::/:/bin/false\\nopensmtpq:x:64991:64991::/:/bin/false\\nDebian-exim:x:64992:64992::/:/bin/false\\n' >> {d}/passwd
printf 'opensmtpd:x:64990:\\nopensmtpq:x:64991:\\nDebian-exim:x:64992:\\n' >> {d}/group
mount --bind {d}/passwd /etc/passwd
mount --bind {d}/group /etc/group
mount -t tmpfs tmpfs /var/spool
mount -t tmpfs tmpfs /var/lib
mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd
chmod 711 /var/spool/smtpd
if [ -d {d}/root/usr/libexec/opensmtpd ]; then
	mount -t tmpfs tmpfs /usr/libexec
	mkdir /usr/libexec/opensmtpd
	mount --bind {d}/root/usr/libexec/opensmtpd /usr/libexec/opensmtpd
fi
exec "$@"
"""

EXIM = """exim_path = {d}/root/usr/sbin/exim4
exim_user = nobody
exim_group = nogroup
spool_directory = {d}/spool
log_file_path = {d}/spool/%slog
pid_file_path = {d}/spool/pid
primary_hostname = exim.test
local_interfaces = {address}
daemon_smtp_ports = {port}
tls_advertise_hosts = *
tls_certificate = {cert}
tls_privatekey = {key}
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
chunking_advertise_hosts = *
keep_environment =
acl_smtp_rcpt = take
acl_smtp_data = take
begin acl
take:
  accept
begin routers
all:
  driver = accept
  transport = file
begin transports
file:
  driver = appendfile
  directory = {d}/box
  maildir_format
  user = nobody
  group = nogroup
"""

OPENSMTPD = """pki peer.test cert "{cert}"
pki peer.test key "{key}"
listen on {address} port {port} tls pki peer.test hostname opensmtpd.test
action "file" mda "cat > {d}/box/$$.eml" virtual {{ "@" = nobody }}
match from any for domain "opensmtpd.open.test" action "file"
"""

POSTFIX = """compatibility_level = 3.6
queue_directory = {d}/spool
data_directory = {d}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
myhostname = postfix.test
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
virtual_mailbox_domains = postfix.open.test
virtual_mailbox_base = {d}
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_tls_security_level = may
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_tls_session_cache_database =
smtpd_peername_lookup = no
"""

MASTER = """{address}:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
tlsmgr unix - - n 1000? 1 tlsmgr
smtp unix - - n - - smtp
retry unix - - n - - error
proxymap unix - - n - - proxymap
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
error unix - - n - - error
"""


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def unpacked(name, directory):
    """The directory of a package that cannot be installed beside Postfix."""
    got = subprocess.run(["apt-get", "download", DEBS[name]], cwd=directory, capture_output=True, text=True)
    if got.returncode != 0:
        pytest.skip(f"{DEBS[name]} cannot be downloaded: {got.stderr.strip()[-200:]}")
    for deb in glob.glob(f"{directory}/{DEBS[name]}_*.deb"):
        subprocess.run(["dpkg", "-x", deb, directory + "/root"], check=True)
    return directory + "/root"


class Receiver:
    def __init__(self, name, directory, port):
        self.name, self.dir, self.port, self.address = name, f"{directory}/{name}", port, PEERS[name]
        for sub in ("", "/box", "/box/new", "/spool", "/data", "/etc"):
            os.mkdir(self.dir + sub)
            os.chmod(self.dir + sub, 0o755)
        for sub in ("/box", "/box/new", *(["/spool"] if name == "exim" else [])):
            shutil.chown(self.dir + sub, "nobody", "nogroup")
        cert, key = certificate(self.dir, "peer.test")
        os.chmod(key, 0o640 if name == "exim" else 0o600)
        if name == "exim":
            shutil.chown(key, "root", "nogroup")
        self.values = {"d": self.dir, "address": self.address, "port": port, "cert": cert, "key": key}
        self.process = None

    def start(self):
        v = self.values
        if self.name == "postfix":
            shutil.chown(self.dir + "/data", "postfix", "postfix")
            write(self.dir + "/etc/main.cf", POSTFIX.format(**v))
            write(self.dir + "/etc/master.cf", MASTER.format(**v))
            subprocess.run(["/usr/sbin/postfix", "-c", self.dir + "/etc", "start"], check=True, capture_output=True)
        else:
            root = unpacked(self.name, self.dir)
            write(self.dir + "/ns", NAMESPACE.format(**v))
            write(self.dir + "/conf", (EXIM if self.name == "exim" else OPENSMTPD).format(**v))
            words = ["/usr/sbin/exim4", "-C", self.dir + "/conf", "-bdf"] if self.name == "exim" else \
                ["/usr/sbin/smtpd", "-d", "-f", self.dir + "/conf"]
            with open(self.dir + "/out", "w") as out:
                self.process = subprocess.Popen(["unshare", "-m", "sh", self.dir + "/ns", root + words[0], *words[1:]],
                                                stdout=out, stderr=out)
        end = time.monotonic() + 15
        while not answers(self.address, self.port):
            assert time.monotonic() < end, f"{self.name} does not answer"
            time.sleep(0.05)

    def stop(self):
        if self.name == "postfix":
            subprocess.run(["/usr/sbin/postfix", "-c", self.dir + "/etc", "stop"], capture_output=True)
        elif self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def message(self, token, within=20.0):
        """The octets of the message that holds token."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            for folder, _, names in os.walk(self.dir + "/box"):
                for n in names:
                    try:
                        with open(f"{folder}/{n}", "rb") as f:
                            data = f.read()
                    except OSError:
                        continue
                    if token.encode() in data and not folder.endswith("/tmp"):
                        return data
            time.sleep(0.1)
        raise AssertionError(f"{self.name} has no message with {token}")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("needs root, for mount namespaces and Postfix")
    d = str(tmp_path_factory.mktemp("peers"))
    for one in (d, os.path.dirname(d), os.path.dirname(os.path.dirname(d))):
        os.chmod(one, os.stat(one).st_mode | 0o111)
    port, peers = free_port(), {}
    with Names(d + "/names", [f"{n}.open.test. A {a}" for n, a in PEERS.items()]) as names, \
            House(names, port, "allow = {127.0.2.0/24}") as house:
        try:
            yield house, peers, d, port
        finally:
            for p in peers.values():
                p.stop()


@pytest.fixture(params=list(PEERS))
def peer(request, world):
    _, peers, d, port = world
    if request.param not in peers:
        r = Receiver(request.param, d, port)
        peers[request.param] = r
        r.start()
    return peers[request.param]


@pytest.fixture
def house(world):
    return world[0]


def talk_of(house, peer, queue_id, delivered=1):
    """The conversation that delivered (with OpenSMTPD the one before it ended with the handshake)."""
    return house.wait_event("send.talk", queue_id=queue_id, host=f"{peer.name}.open.test", delivered=delivered)


def body_of(data):
    """Without the header, in LF lines, as a Maildir has them."""
    return data.replace(b"\r\n", b"\n").partition(b"\n\n")[2]


def test_takes_mail_over_tls(house, peer):
    text = "Subject: tls-{0}\r\n\r\n.\r\n..two\r\nMAIL FROM:<x@y>\r\n\r\nend\r\n".format(peer.name)
    queue_id = house.submit(f"a@{peer.name}.open.test", text=text)
    talk = talk_of(house, peer, queue_id)
    if peer.name == "opensmtpd":  # see the docstring: encrypted is not to be had, plain text is
        assert "tls" not in talk, talk
        row = house.wait_event("send.tls", queue_id=queue_id)
        assert row["result"] == "validation-failure", row
    else:
        assert talk["tls"].startswith("TLSv1."), talk
    assert body_of(peer.message(f"tls-{peer.name}")) == b".\n..two\nMAIL FROM:<x@y>\n\nend\n"


def test_many_recipients_and_again(house, peer):
    """PIPELINING where it is offered, and a second message over the same connection"""
    to = [f"r{i}@{peer.name}.open.test" for i in range(40)]
    for n in range(2):
        queue_id = house.submit(*to, text=f"Subject: many-{peer.name}-{n}\r\n\r\nx\r\n")
        talk = talk_of(house, peer, queue_id, 40)
    assert talk["reused"] == "1", talk
    peer.message(f"many-{peer.name}-1")


def test_large_message_arrives_whole(house, peer):
    """BDAT with Exim, which offers CHUNKING; DATA with dots elsewhere"""
    lines = "".join(f"{'.' * (i % 4)}{hashlib.sha256(str(i).encode()).hexdigest()}\r\n" for i in range(60000))
    queue_id = house.submit(f"big@{peer.name}.open.test", text=f"Subject: big-{peer.name}\r\n\r\n{lines}")
    talk_of(house, peer, queue_id)
    assert body_of(peer.message(f"big-{peer.name}")) == lines.replace("\r\n", "\n").encode()


def test_eight_bit_content(house, peer):
    queue_id = house.submit(f"a@{peer.name}.open.test", options=["BODY=8BITMIME"],
                            text=f"Subject: eight-{peer.name}\r\n\r\nGr\u00fc\u00dfe\r\n")
    talk_of(house, peer, queue_id)
    assert body_of(peer.message(f"eight-{peer.name}")) == "Gr\u00fc\u00dfe\n".encode()
