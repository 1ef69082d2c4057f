# SPDX-License-Identifier: MIT
"""Looking into mailboxes from outside, over IMAP."""
import imaplib
import time

from server import insecure_context


class Mailbox:
    """The INBOX (or another folder) of one account, read by a client library."""

    def __init__(self, server, address, folder="INBOX"):
        self.imap = imaplib.IMAP4_SSL(server.host, server.ports["imaps"],
                                      ssl_context=insecure_context(), timeout=60)
        self.imap.login(address, server.password(address))
        self.folder = folder

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.imap.logout()
        except (imaplib.IMAP4.error, OSError):
            pass

    def _select(self):
        typ, data = self.imap.select(f'"{self.folder}"', readonly=True)
        if typ != "OK":
            raise OSError(f"SELECT {self.folder}: {data!r}")
        return int(data[0])

    def count(self):
        return self._select()

    def last(self, n):
        """The last n messages, whole, oldest first."""
        total = self._select()
        if total == 0 or n == 0:
            return []
        _, data = self.imap.fetch(f"{max(1, total - n + 1)}:{total}", "(BODY.PEEK[])")
        return [part[1] for part in data if isinstance(part, tuple)]

    def find(self, token, within=10.0, count=1):
        """All messages that hold the token, waiting until there are `count` or the time is up."""
        mark = token.encode() if isinstance(token, str) else token
        end = time.monotonic() + within
        while True:
            self._select()
            _, data = self.imap.search(None, "TEXT", f'"{mark.decode()}"')
            numbers = data[0].split() if data and data[0] else []
            if len(numbers) >= count or time.monotonic() > end:
                break
            time.sleep(0.1)
        found = []
        for k in numbers:
            _, part = self.imap.fetch(k, "(BODY.PEEK[])")
            found += [p[1] for p in part if isinstance(p, tuple)]
        return found
