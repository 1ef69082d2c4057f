# SPDX-License-Identifier: MIT
"""Attack cases S-085..S-091 against a running server, over real sockets: BDAT, and who may say whose
the connection is. The numbers are those of the attack cases."""
import pytest

HEAD = b"MAIL FROM:<a@far.example>\r\n", b"RCPT TO:<bob@example.test>\r\n"


def begun(s):
    for line in HEAD:
        assert s.ask(line.decode().rstrip()).code == 250


@pytest.mark.parametrize("size", ["-1", "18446744073709551616", "+5", "", "0x10"], ids=lambda v: f"S-085 {v}")
def test_sizes(target, size):
    with target.smtp() as s:
        begun(s)
        assert s.ask("BDAT " + size).code in (501, 552, 503)


def test_S_086_before_mail(target):
    with target.smtp() as s:
        assert s.ask("BDAT 6 LAST\r\nNOOP").code == 503
        assert s.ask("NOOP").code == 250


def test_S_088_mixed_with_data(target):
    with target.smtp() as s:
        begun(s)
        assert s.ask("BDAT 5\r\na:b").code == 250
        assert s.ask("DATA").code == 503
        assert s.ask("BDAT 5 LAST\r\nc:d").code == 503


@pytest.mark.parametrize("line", ["XCLIENT ADDR=127.0.0.1", "XFORWARD ADDR=127.0.0.1", "PROXY TCP4 127.0.0.1 127.0.0.1 1 2",
                                  "ETRN '; DROP", "TURN", "SOML FROM:<a@b.example>", "DEBUG", "WIZ"],
                         ids=lambda v: "S-090, S-091 " + v.split()[0])
def test_not_for_strangers(target, line):
    with target.smtp() as s:
        assert s.ask(line).code in (500, 502, 550)
