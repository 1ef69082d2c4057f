# SPDX-License-Identifier: MIT
"""Raw conversations for tests that must send what no client library would send."""
import itertools
import select
import socket
import struct
import time

from server import insecure_context

_addresses = itertools.count(1)
CLOSED = b""


def next_source():
    """A client address of its own for each conversation: 127.3.x.y"""
    n = next(_addresses)
    return f"127.3.{n // 250 % 250}.{n % 250 + 1}"


class Wire:
    """One connection. Reads whole lines; an end of the connection reads as CLOSED (b"")."""

    def __init__(self, host, port, tls=False, timeout=10.0, source=None, early=b""):
        self.s = socket.create_connection((host, port), timeout=timeout,
                                          source_address=(source or next_source(), 0))
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf, self.closed = b"", False
        if early:
            self.s.sendall(early)
        if tls:
            self.tls()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def tls(self):
        """The handshake. Bytes that came before it are dropped, as a careful client does."""
        self.buf = b""
        self.s = insecure_context().wrap_socket(self.s)

    def send(self, data):
        """False when the server has closed."""
        try:
            self.s.sendall(data if isinstance(data, bytes) else data.encode())
            return True
        except OSError:
            self.closed = True
            return False

    def _more(self, timeout):
        """Reads once; False at the time limit or at the end."""
        pending = getattr(self.s, "pending", lambda: 0)()
        if not pending and not select.select([self.s], [], [], max(0.0, timeout))[0]:
            return False
        try:
            got = self.s.recv(65536)
        except OSError:
            got = b""
        if not got:
            self.closed = True
            return False
        self.buf += got
        return True

    def line(self, timeout=10.0):
        """A line with its end. CLOSED at the end of the connection; TimeoutError when none came."""
        end = time.monotonic() + timeout
        while b"\n" not in self.buf:
            if self.closed:
                return CLOSED
            if time.monotonic() > end:
                raise TimeoutError(f"no line within {timeout} s, so far {self.buf[:200]!r}")
            self._more(end - time.monotonic())
        line, mark, self.buf = self.buf.partition(b"\n")
        return line + mark

    def quiet(self, seconds):
        """All that comes until nothing has come for so long, or the end."""
        while not self.closed and self._more(seconds):
            pass
        got, self.buf = self.buf, b""
        return got

    def until_closed(self, seconds):
        """True when the server closes within so many seconds; what came stays readable."""
        end = time.monotonic() + seconds
        while not self.closed and time.monotonic() < end:
            self._more(end - time.monotonic())
        return self.closed

    def reset(self):
        """Ends the connection with RST instead of FIN."""
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.s.close()

    def close(self):
        self.s.close()


class Reply(str):
    """The text of one SMTP reply, all its lines; .code, .first (its first digit) and .raw."""

    def __new__(cls, raw):
        self = str.__new__(cls, raw.decode("latin-1").replace("\r\n", "\n").strip())
        self.raw = raw
        self.code = int(raw[:3]) if raw[:3].isdigit() else 0
        self.first = self.code // 100
        return self


class Smtp(Wire):
    """SMTP over Wire. A reply of a closed connection has code 0."""

    def __init__(self, host, port, tls=False, greet=True, ehlo=True, **more):
        super().__init__(host, port, tls=tls, **more)
        self.greeting = self.reply() if greet else None
        self.offers = []
        if greet and ehlo:
            self.ehlo()

    def reply(self, timeout=10.0):
        raw = b""
        while True:
            line = self.line(timeout)
            raw += line
            if line == CLOSED or line[3:4] != b"-":
                return Reply(raw)

    def ask(self, command, timeout=10.0):
        data = command if isinstance(command, bytes) else command.encode()
        if not self.send(data + b"\r\n"):
            self.until_closed(0.5)
        return self.reply(timeout)

    def ehlo(self):
        answer = self.ask("EHLO client.sender.test")
        self.offers = [x[4:] for x in answer.split("\n")][1:]
        return answer

    def starttls(self):
        answer = self.ask("STARTTLS")
        if answer.code == 220:
            self.tls()
            self.ehlo()
        return answer

    def envelope(self, rcpt, sender="someone@sender.test"):
        return self.ask(f"MAIL FROM:<{sender}>"), self.ask(f"RCPT TO:<{rcpt}>")

    def message(self, rcpt, body, timeout=30.0):
        """A whole message, body already dot-stuffed and without its end. The reply to its dot, or
        the first reply that was not success."""
        for answer in self.envelope(rcpt):
            if answer.first != 2:
                return answer
        answer = self.ask("DATA")
        if answer.code != 354:
            return answer
        self.send(body + b"\r\n.\r\n")
        return self.reply(timeout)

    def all_replies(self, silence=1.0):
        """Every reply that comes until silence or the end."""
        found, raw = [], b""
        for line in self.quiet(silence).split(b"\n"):
            if line:
                raw += line + b"\n"
                if line[3:4] != b"-":
                    found.append(Reply(raw))
                    raw = b""
        return found


class Imap(Wire):
    """IMAP over Wire, one command at a time."""

    def __init__(self, host, port, tls=True, login=None, **more):
        super().__init__(host, port, tls=tls, **more)
        self.greeting = self.line()
        self.count = 0
        if login:
            answer = self.ask(f'LOGIN "{login[0]}" "{login[1]}"')[-1]
            if b" OK" not in answer[:8]:
                raise OSError(f"LOGIN: {answer!r}")

    def tag(self):
        self.count += 1
        return f"t{self.count}"

    def answer(self, tag, timeout=10.0):
        """Lines up to the tagged one, literals inside their line; [-1] is b"" when the server
        has closed instead. A continuation request ends the list too."""
        found, mark = [], tag.encode() + b" "
        end = time.monotonic() + timeout
        while True:
            line = self.line(end - time.monotonic())
            while line.rstrip(b"\r\n").endswith(b"}") and line.startswith(b"* "):
                n = int(line.rstrip(b"\r\n").rpartition(b"{")[2][:-1])
                line += self.exactly(n, end - time.monotonic()) + self.line(end - time.monotonic())
            found.append(line)
            if line == CLOSED or line.startswith(mark) or line.startswith(b"+"):
                return found

    def exactly(self, n, timeout):
        end = time.monotonic() + timeout
        while len(self.buf) < n and not self.closed:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(self.buf)} of {n} octets of a literal")
            self._more(end - time.monotonic())
        got, self.buf = self.buf[:n], self.buf[n:]
        return got

    def ask(self, command, timeout=10.0):
        tag = self.tag()
        data = command if isinstance(command, bytes) else command.encode()
        self.send(tag.encode() + b" " + data + b"\r\n")
        return self.answer(tag, timeout)

    def status(self, command, timeout=10.0):
        """OK, NO, BAD, `+` or CLOSED, and the tagged line as text."""
        line = self.ask(command, timeout)[-1]
        words = line.decode("latin-1").split(" ", 2)
        if line == CLOSED:
            return "CLOSED", ""
        return ("+" if line.startswith(b"+") else words[1]), line.decode("latin-1").strip()

    def append(self, box, body, timeout=30.0):
        """APPEND with a synchronising literal; the tagged line, or the refusal before it."""
        tag = self.tag()
        self.send(f"{tag} APPEND {box} {{{len(body)}}}\r\n")
        line = self.answer(tag, timeout)[-1]
        if not line.startswith(b"+"):
            return line
        self.send(body + b"\r\n")
        return self.answer(tag, timeout)[-1]
