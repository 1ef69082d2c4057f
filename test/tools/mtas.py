# SPDX-License-Identifier: MIT
"""Postfix, Exim and OpenSMTPD from Debian on loopback, as receivers of our mail and as senders to us. The packages
exclude each other, so Exim and OpenSMTPD are taken apart into a directory and run in a mount namespace of their own, with
the users and the spool that they insist on."""
import glob
import os
import re
import shutil
import smtplib
import subprocess
import time

import pytest

from elsewhere import certificate
from server import answers

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
mount -t tmpfs tmpfs /run
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
out:
  driver = manualroute
  domains = example.test
  route_list = * 127.0.0.1::{out_port} byname
  self = send
  transport = out
  no_more
all:
  driver = accept
  transport = file
begin transports
out:
  driver = smtp
  hosts_require_tls = *
  tls_verify_certificates =
  tls_try_verify_hosts =
  hosts_try_chunking = *
  hosts_try_auth = *
file:
  driver = appendfile
  directory = {d}/box
  maildir_format
  user = nobody
  group = nogroup
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^alice@example.test^{password}
"""

OPENSMTPD = """pki peer.test cert "{cert}"
pki peer.test key "{key}"
listen on {address} port {port} tls pki peer.test hostname opensmtpd.test
action "file" mda "cat > {d}/box/$$.eml" virtual {{ "@" = nobody }}
table secrets {{ us = "alice@example.test:{password}" }}
action "out" relay host {out_url}
match from any for domain "opensmtpd.open.test" action "file"
match from any for domain "example.test" action "out"
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
mynetworks = 127.0.0.0/8
smtputf8_enable = yes
relayhost = [127.0.0.1]:{out_port}
smtp_tls_security_level = encrypt
smtp_tls_session_cache_database =
smtp_sasl_auth_enable = {auth}
smtp_sasl_password_maps = static:{{alice@example.test:{password}}}
smtp_sasl_security_options = noanonymous
smtpd_peername_lookup = no
maillog_file = {d}/out
maillog_file_prefixes = {d}
debug_peer_list = 127.0.0.1
debug_peer_level = 1
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
postlog unix-dgram n - n - 1 postlogd
"""


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def say_message(s, text, sender, to, options=(), rcpt_options=()):
    """One transaction; addresses beyond ASCII are said as they are. Returns the reply to the content."""
    s.ehlo()
    s.command_encoding = "utf-8"
    for line in (f"MAIL FROM:<{sender}> {' '.join(options)}", *(f"RCPT TO:<{one}> {' '.join(rcpt_options)}" for one in to)):
        code, said = s.docmd(line.strip())
        assert code in (250, 251), (line, code, said)
    code, said = s.data(text)
    assert code == 250, (code, said)
    return said.decode()


def unpacked(name, directory):
    """The directory of a package that cannot be installed beside Postfix."""
    got = subprocess.run(["apt-get", "download", DEBS[name]], cwd=directory, capture_output=True, text=True)
    if got.returncode != 0:
        pytest.skip(f"{DEBS[name]} cannot be downloaded: {got.stderr.strip()[-200:]}")
    for deb in glob.glob(f"{directory}/{DEBS[name]}_*.deb"):
        subprocess.run(["dpkg", "-x", deb, directory + "/root"], check=True)
    return directory + "/root"


class Mta:
    """One of them, with a directory of its own. out: the port on 127.0.0.1 that mail for example.test goes to; with a
    password over authentication as alice."""

    def __init__(self, name, directory, port, out=1, password=None, address=None):
        self.name, self.dir, self.port = name, f"{directory}/{name}{'-login' if password else ''}", port
        self.address = address or PEERS[name]
        for sub in ("", "/box", "/box/new", "/spool", "/data", "/etc"):
            os.mkdir(self.dir + sub)
            os.chmod(self.dir + sub, 0o755)
        for sub in ("/box", "/box/new", *(["/spool"] if name == "exim" else [])):
            shutil.chown(self.dir + sub, "nobody", "nogroup")
        cert, key = certificate(self.dir, "peer.test")
        os.chmod(key, 0o640 if name == "exim" else 0o600)
        if name == "exim":
            shutil.chown(key, "root", "nogroup")
        self.values = {"d": self.dir, "address": self.address, "port": port, "cert": cert, "key": key, "out_port": out,
                       "password": password or "", "auth": "yes" if password else "no",
                       "out_url": f"smtp+tls://us@127.0.0.1:{out} auth <secrets> tls no-verify" if password else
                       f"smtp+tls://127.0.0.1:{out} tls no-verify"}
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

    def hand_in(self, text, sender, to, options=(), rcpt_options=()):
        """Gives it a message to send on."""
        with smtplib.SMTP(self.address, self.port, timeout=20, local_hostname="client.open.test") as s:
            say_message(s, text.encode(), sender, to, options, rcpt_options)

    def log(self):
        """What it has said, where it says it into a file."""
        found = ""
        for path in (self.dir + "/spool/mainlog", self.dir + "/out"):
            if os.path.exists(path):
                with open(path, errors="replace") as f:
                    found += f.read()
        return found

    def wait_log(self, pattern, within=20.0):
        end = time.monotonic() + within
        while not (found := re.search(pattern, self.log())):
            assert time.monotonic() < end, f"{self.name} has not said {pattern}: {self.log()[-3000:]}"
            time.sleep(0.1)
        return found

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
