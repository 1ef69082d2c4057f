# SPDX-License-Identifier: MIT
"""Thunderbird on a screen that nobody sees (Xvfb), driven through Marionette, the remote control that it brings
along: frames of "LENGTH:JSON" over a local port."""
import json
import os
import shutil
import socket
import subprocess
import time

START_S = 60

QUIET = {  # no first-run pages, no questions, nothing asked of servers elsewhere
    "app.donation.eoy.version.viewed": 999, "app.update.enabled": False,
    "browser.safebrowsing.enabled": False, "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "extensions.autoDisableScopes": 15, "mail.inappnotifications.enabled": False,
    "mail.provider.suppress_dialog_on_startup": True, "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False, "mail.spotlight.firstRunDone": True,
    "mailnews.start_page.enabled": False, "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False, "toolkit.telemetry.enabled": False,
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Thunderbird:
    """A context manager; js() runs in its main window."""

    def __init__(self, home, prefs):
        for program in ("thunderbird", "Xvfb"):
            assert shutil.which(program), f"{program} is not installed"
        self.home, self.port = str(home), free_port()
        self.log = self.home + "/imap.log"
        os.makedirs(self.home + "/profile")
        with open(self.home + "/profile/user.js", "w") as f:
            for k, v in {**QUIET, "marionette.port": self.port, **prefs}.items():
                f.write(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n")
        self.programs, self.socket, self.rest, self.number = [], None, b"", 0

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        says, told = os.pipe()
        self.programs.append(subprocess.Popen(
            ["Xvfb", "-displayfd", str(told), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
            pass_fds=[told], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        os.close(told)
        with os.fdopen(says) as f:
            display = ":" + f.readline().strip()
        env = {"PATH": os.environ["PATH"], "HOME": self.home, "DISPLAY": display, "LC_ALL": "C.UTF-8",
               "NO_AT_BRIDGE": "1", "MOZ_LOG": "IMAP:3", "MOZ_LOG_FILE": self.home + "/imap.log"}
        with open(self.home + "/thunderbird.log", "wb") as f:
            self.programs.append(subprocess.Popen(
                ["thunderbird", "--profile", self.home + "/profile", "--no-remote", "--marionette",
                 "--remote-allow-system-access"], env=env, stdout=f, stderr=f))
        end = time.monotonic() + START_S
        while self.socket is None:
            try:
                self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=START_S)
            except OSError:
                assert time.monotonic() < end and self.programs[-1].poll() is None, self.said()
                time.sleep(0.1)
        self.receive()
        self.ask("WebDriver:NewSession", capabilities={})
        self.ask("Marionette:SetContext", value="chrome")
        self.ask("WebDriver:SetTimeouts", script=START_S * 1000)

    def said(self):
        with open(self.home + "/thunderbird.log", errors="replace") as f:
            return f.read()[-3000:]

    def receive(self):
        while b":" not in self.rest:
            self.more()
        size, _, self.rest = self.rest.partition(b":")
        while len(self.rest) < int(size):
            self.more()
        frame, self.rest = self.rest[:int(size)], self.rest[int(size):]
        return json.loads(frame)

    def more(self):
        got = self.socket.recv(65536)
        assert got, "Thunderbird has ended\n" + self.said()
        self.rest += got

    def ask(self, command, **parameters):
        self.number += 1
        frame = json.dumps([0, self.number, command, parameters]).encode()
        self.socket.sendall(str(len(frame)).encode() + b":" + frame)
        _, _, error, result = self.receive()
        assert error is None, f"{command}: {error}"
        return result["value"] if result and "value" in result else result

    def js(self, code, *a):
        """Runs the body of an async function of (a); what it returns. An exception fails the test."""
        return self.ask("WebDriver:ExecuteAsyncScript", args=list(a), script="""
            const done = arguments[arguments.length - 1];
            (async a => {""" + code + """})([...arguments].slice(0, -1))
                .then(done, e => done("failed: " + e + "\\n" + (e && e.stack)));""")

    def screenshot(self, path):
        import base64
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.ask("WebDriver:TakeScreenshot", full=True)))

    def imap_log(self):
        found = ""
        for name in os.listdir(self.home):
            if name.startswith("imap.log"):
                with open(f"{self.home}/{name}", errors="replace") as f:
                    found += f.read()
        return found

    def __exit__(self, *unused):
        if self.socket is not None:
            self.socket.close()
        for p in reversed(self.programs):
            p.terminate()
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
