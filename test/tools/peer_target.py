# SPDX-License-Identifier: MIT
"""Postfix and Dovecot of Debian in the place of Postern, to try the drivers themselves."""
import os
import shutil
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, TOP + "/bench")
from counting import DOMAIN  # noqa: E402
from target import Target  # noqa: E402
from measure import Group  # noqa: E402
from peers import Dovecot, Postfix  # noqa: E402
from server import process_name  # noqa: E402

PASSWORDS = {"alice": "alice-password", "bob": "bob-password"}
SUBMISSION = """127.0.0.1:{port} inet n - n - 100 smtpd
 -o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_type=dovecot
 -o smtpd_sasl_path={{dir}}/auth -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
"""

SUBMISSIONS = SUBMISSION.replace("smtpd_tls_security_level=encrypt", "smtpd_tls_wrappermode=yes")


# as our own queue does in the torture: again after a second or two, instead of after minutes
IMPATIENT = """virtual_alias_maps = inline:{postmaster=alice@example.test}
service_throttle_time = 1s
transport_retry_time = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
"""


def edit(path, old, new):
    with open(path) as f:
        text = f.read()
    assert old in text
    with open(path, "w") as f:
        f.write(text.replace(old, new))


def complete(path):
    try:
        return os.stat(path).st_mode & 0o100 != 0
    except OSError:
        return False


class PeerTarget(Target):
    peer = True

    def __init__(self, elsewhere=None):
        """elsewhere (counting.py): where mail for its domain goes."""
        route = "" if elsewhere is None else f"transport_maps = inline:{{{DOMAIN}=smtp:[{elsewhere.address}]:{elsewhere.port}}}\n"
        self.dir = tempfile.mkdtemp(prefix="postern-cases-")
        os.chmod(self.dir, 0o755)
        self.dovecot = Dovecot(self.dir + "/dovecot", 24143, 24993,
                               {f"{u}@example.test": p for u, p in PASSWORDS.items()})
        with open(self.dir + "/dovecot/dovecot.conf", "a") as f:
            f.write(f"""service auth {{
  unix_listener {self.dir}/auth {{
    mode = 0666
  }}
}}
auth_mechanisms = plain login
""".replace("mail_location", "#"))
        more = (SUBMISSION.format(port=24587) + SUBMISSIONS.format(port=24465)).replace("{dir}", self.dir)
        self.postfix = Postfix(self.dir + "/postfix", 24025, list(PASSWORDS), more=more,
                               extra=IMPATIENT + route)
        edit(self.dir + "/postfix/etc/master.cf", "qmgr unix n - n 300 1", "qmgr unix n - n 1 1")  # looks every second
        shutil.rmtree(self.dir + "/dovecot/mail")
        os.symlink(self.dir + "/postfix/mail", self.dir + "/dovecot/mail")
        self.groups = [Group("cases")]
        self.dovecot.start(self.groups[0])
        self.postfix.start(self.groups[0])
        super().__init__(self)
        self.server = self

    host = "127.0.0.1"
    ports = {"smtp": 24025, "submission": 24587,
             "submissions": 24465, "imap": 24143, "imaps": 24993}

    def password(self, address):
        return PASSWORDS[address.split("@")[0]]

    def certificate(self, path):
        """Dovecot's and Postfix's own, one after the other"""
        with open(path, "w") as f:
            for peer in (self.dovecot, self.postfix):
                with open(peer.cafile) as c:
                    f.write(c.read())
        return path

    def queue_length(self):
        """Without what was being received when its smtpd or cleanup died: nobody was told that it is there, and Postfix
        marks it so (no x), until qmgr throws it away after a day and a half."""
        n = 0
        for sub in ("maildrop", "incoming", "active", "deferred"):
            for folder, _, names in os.walk(f"{self.postfix.dir}/spool/{sub}"):
                n += sum(complete(f"{folder}/{name}") for name in names)
        return n

    def rooms(self):
        """[(process name, pid)] without the two masters, for torture"""
        found = []
        for peer in (self.postfix, self.dovecot):
            found += [(process_name(p), p) for p in peer.pids()[1:]]
        return [(name, p) for name, p in found if name != "gone"]

    def log(self, seconds):
        return []

    def stop(self):
        self.postfix.stop()
        self.dovecot.stop()
        time.sleep(0.2)
        for g in self.groups:
            g.close()
        shutil.rmtree(self.dir, ignore_errors=True)
