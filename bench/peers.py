# SPDX-License-Identifier: MIT
"""The peers as private instances under a directory: Debian's Postfix and Dovecot with their own
configuration, queue and ports, started without the init system and stopped by their pid files."""
import os
import shutil
import subprocess
import time

from measure import FlushFile, find_tool
from server import answers, descendants

MAIN_CF = """compatibility_level = 3.7
queue_directory = {dir}/spool
data_directory = {dir}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = localhost
mydomain = localdomain
mydestination =
mynetworks = 10.255.255.255/32
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.test
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = texthash:{dir}/etc/users
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
message_size_limit = 52428800
mailbox_size_limit = 0
virtual_mailbox_limit = 0
in_flow_delay = 0
default_process_limit = {processes}
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
default_destination_concurrency_limit = 100
initial_destination_concurrency = 20
smtpd_tls_security_level = may
smtpd_tls_cert_file = {dir}/cert.pem
smtpd_tls_key_file = {dir}/key.pem
smtpd_tls_session_cache_database =
smtpd_tls_loglevel = 0
smtp_tls_security_level = none
import_environment = MAIL_CONFIG TZ LANG=C LD_PRELOAD={shim} SLOWSYNC_FILE={dir}/flushes SLOWSYNC_US={flush_us}
{extra}
"""

MASTER_CF = """127.0.0.1:{port} inet n - n - {processes} smtpd
{more}pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""

DOVECOT_CONF = """base_dir = {dir}/run
log_path = {dir}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
disable_plaintext_auth = yes
default_internal_user = dovecot
default_login_user = dovenull
default_process_limit = 3000
default_client_limit = 10000
mail_location = maildir:{dir}/mail/%n
first_valid_uid = 1
mail_max_userip_connections = 100
passdb {{
  driver = passwd-file
  args = scheme=plain {dir}/passwd
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={dir}/home/%n
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  service_count = 0
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


def self_signed(directory):
    """A P-256 certificate for localhost in directory: cert.pem and key.pem."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-keyout",
                    directory + "/key.pem", "-out", directory + "/cert.pem", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                   check=True, capture_output=True)


class Postfix:
    """Postfix with virtual Maildir delivery on one loopback port; its inflow brake is off."""

    name = "postfix"
    host = "127.0.0.1"

    def __init__(self, directory, port, users, flush_us=0, processes=250, extra="", more=""):
        self.dir, self.port, self.users, self.flush_us = directory, port, users, flush_us
        shutil.rmtree(directory, ignore_errors=True)
        for sub in ("", "/etc", "/spool", "/data", "/mail"):
            os.mkdir(directory + sub)
            os.chmod(directory + sub, 0o755)
        shutil.chown(directory + "/data", "postfix", "postfix")
        shutil.chown(directory + "/mail", 65534, 65534)
        self_signed(directory)
        self.cafile, self.cert_name = directory + "/cert.pem", "localhost"
        self.flush_file = FlushFile(directory + "/flushes")
        with open(directory + "/etc/users", "w") as f:
            for u in users:
                f.write(f"{u}@example.test {u}/\n")
        with open(directory + "/etc/main.cf", "w") as f:
            f.write(MAIN_CF.format(dir=directory, processes=processes, flush_us=flush_us,
                                   shim=find_tool("slowsync.so"), extra=extra))
        with open(directory + "/etc/master.cf", "w") as f:
            f.write(MASTER_CF.format(port=port, processes=processes,
                                     more=more.format(dir=directory)))

    def start(self, group):
        done = subprocess.run(["/usr/sbin/postfix", "-c", self.dir + "/etc", "start"],
                              capture_output=True, text=True, preexec_fn=group.join)
        end = time.monotonic() + 10
        while not answers(self.host, self.port):
            if time.monotonic() > end:
                raise OSError("postfix does not answer: " + done.stderr)
            time.sleep(0.02)

    def pids(self):
        try:
            with open(self.dir + "/spool/pid/master.pid") as f:
                return descendants(int(f.read()))
        except (OSError, ValueError):
            return []

    def mailbox_count(self, user):
        try:
            return len(os.listdir(f"{self.dir}/mail/{user}/new"))
        except OSError:
            return 0

    def queue_length(self):
        n = 0
        for sub in ("maildrop", "incoming", "active", "deferred"):
            for _, _, files in os.walk(f"{self.dir}/spool/{sub}"):
                n += len(files)
        return n

    def flushes(self):
        return self.flush_file.flushes()

    def stop(self):
        pids = self.pids()
        subprocess.run(["/usr/sbin/postfix", "-c", self.dir + "/etc", "stop"], capture_output=True)
        end = time.monotonic() + 10
        while any(os.path.exists(f"/proc/{p}") for p in pids) and time.monotonic() < end:
            time.sleep(0.02)


class Dovecot:
    """Dovecot's IMAP over Maildir; users is {name: password}."""

    name = "dovecot"
    host = "127.0.0.1"

    def __init__(self, directory, imap, imaps, users):
        self.dir, self.ports, self.users = directory, {"imap": imap, "imaps": imaps}, users
        shutil.rmtree(directory, ignore_errors=True)
        for sub in ("", "/run", "/mail", "/home"):
            os.mkdir(directory + sub)
            os.chmod(directory + sub, 0o755)
        for sub in ("/mail", "/home"):
            shutil.chown(directory + sub, 65534, 65534)
        self_signed(directory)
        self.cafile, self.cert_name = directory + "/cert.pem", "localhost"
        with open(directory + "/passwd", "w") as f:
            for user, password in users.items():
                f.write(f"{user}:{password}\n")
        with open(directory + "/dovecot.conf", "w") as f:
            f.write(DOVECOT_CONF.format(dir=directory, imap=imap, imaps=imaps))

    def start(self, group=None):
        subprocess.run(["/usr/sbin/dovecot", "-c", self.dir + "/dovecot.conf"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       preexec_fn=group.join if group else None)
        end = time.monotonic() + 10
        while not answers(self.host, self.ports["imaps"]):
            if time.monotonic() > end:
                raise OSError("dovecot does not answer")
            time.sleep(0.02)

    def pids(self):
        try:
            with open(self.dir + "/run/master.pid") as f:
                return descendants(int(f.read()))
        except (OSError, ValueError):
            return []

    def stop(self):
        pids = self.pids()
        subprocess.run(["/usr/bin/doveadm", "-c", self.dir + "/dovecot.conf", "stop"],
                       capture_output=True)
        end = time.monotonic() + 10
        while any(os.path.exists(f"/proc/{p}") for p in pids) and time.monotonic() < end:
            time.sleep(0.02)
