# SPDX-License-Identifier: MIT
"""neomutt in tmux, as a person uses it: alice writes, bob reads, answers and deletes."""
import subprocess
import time

import pytest

RC = """set from="{address}"
set realname="{name}"
set use_envelope_from=yes
set folder="imaps://{user}@{host}:{imaps}/"
set imap_user="{address}"
set imap_pass="{password}"
set spoolfile="+INBOX"
set record=""
set smtp_url="smtp://{user}@{host}:{submission}/"
set smtp_pass="{password}"
set smtp_authenticators="plain"
set ssl_starttls=yes
set ssl_force_tls=yes
set certificate_file="{cafile}"
set ssl_verify_host=no
set editor="{editor}"
set sort=date-received
set mail_check=1
set timeout=1
set sleep_time=0
set quit=yes
set delete=yes
set include=yes
set abort_nosubject=no
set abort_unmodified=no
set mark_old=no
set confirmappend=no
set header_cache=""
set fast_reply=yes
set edit_headers=no
set pager_index_lines=0
set wait_key=no
unset collapse_unread
"""


class Screen:
    """neomutt in a tmux of its own"""

    def __init__(self, home, rc, name):
        self.socket = str(home / f"tmux-{name}")
        self.tmux("new-session", "-d", "-x", "110", "-y", "40", "env", f"HOME={home}", "TERM=screen",
                  "LC_ALL=C.UTF-8", "neomutt", "-n", "-F", str(rc))

    def tmux(self, *words):
        return subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *words],
                              capture_output=True, text=True, check=True, timeout=20).stdout

    def keys(self, *keys):
        for k in keys:
            self.tmux("send-keys", k)
            time.sleep(0.15)

    def type(self, text):
        self.tmux("send-keys", "-l", text)
        time.sleep(0.15)

    def text(self):
        try:
            return self.tmux("capture-pane", "-p")
        except subprocess.CalledProcessError:
            return "(the program has ended)"

    def until(self, *wanted, within=20):
        """Waits until the screen shows one of the texts"""
        end = time.monotonic() + within
        while time.monotonic() < end:
            now = self.text()
            if any(w in now for w in wanted):
                return now
            time.sleep(0.1)
        pytest.fail(f"none of {wanted} within {within} s on the screen:\n{self.text()}")

    def end(self):
        try:
            self.tmux("kill-server")
        except subprocess.CalledProcessError:
            pass


@pytest.fixture
def neomutt(target, home, cafile):
    screens = []

    def start(name, address):
        editor = home / f"editor-{name}"
        editor.write_text(f'#!/bin/sh\ncat "{home}/body-{name}" "$1" > "$1.new" && mv "$1.new" "$1"\n')
        editor.chmod(0o755)
        rc = home / f"muttrc-{name}"
        rc.write_text(RC.format(address=address, name=name.title(), user=address.replace("@", "%40"),
                                host="localhost", imaps=target.ports["imaps"], cafile=cafile,
                                submission=target.ports["submission"], editor=editor,
                                password=target.password(address)))
        screens.append(Screen(home, rc, name))
        return screens[-1]
    yield start
    for s in screens:
        s.end()


def test_send_read_reply_delete(target, home, neomutt, token, arrived):
    (home / "body-alice").write_text(f"Dear Bob, how are you? {token}\n")
    (home / "body-bob").write_text(f"I am well, thank you. answer-{token}\n")
    alice = neomutt("alice", target.alice)
    alice.until("NeoMutt: ")
    alice.keys("m")
    alice.until("To:")
    alice.type(target.bob)
    alice.keys("Enter")
    alice.until("Subject:")
    alice.type(f"neomutt {token}")
    alice.keys("Enter")
    alice.until("-- Attachments")
    alice.keys("y")
    alice.until("Mail sent", "sent.")
    got = arrived(target.bob, token)
    assert got["Subject"] == f"neomutt {token}"
    assert got.get_payload().startswith(f"Dear Bob, how are you? {token}")

    bob = neomutt("bob", target.bob)
    bob.until("NeoMutt: ")
    bob.keys("l")
    bob.until("Limit")
    bob.keys("C-u")
    bob.type(f"~s {token}")
    bob.keys("Enter")
    bob.until("Alice")
    bob.keys("Enter")
    bob.until(f"how are you? {token}")
    bob.keys("r")
    bob.until("-- Attachments", "To:")
    bob.keys("y")
    bob.until("Mail sent", "sent.")
    answer = arrived(target.alice, f"answer-{token}")
    assert answer["Subject"] == f"Re: neomutt {token}"
    assert answer["In-Reply-To"] == got["Message-ID"]
    assert f"> Dear Bob, how are you? {token}" in answer.get_payload()

    with target.box(target.bob) as box:
        assert len(box.find(token)) == 1
    bob.keys("i")
    bob.until("Alice")
    bob.keys("d")
    bob.keys("$")
    end = time.monotonic() + 20
    with target.box(target.bob) as box:
        while box.find(token, within=0) and time.monotonic() < end:
            time.sleep(0.2)
        assert box.find(token, within=0) == [], bob.text()
    bob.keys("q")
    alice.keys("$", "q")
