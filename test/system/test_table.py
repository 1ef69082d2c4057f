# SPDX-License-Identifier: MIT
"""Letters that an application leaves in a table: each row is sent once, whoever is killed in between."""
import email
import json
import os
import re
import subprocess
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHOP = 61001  # nobody on this machine
pytestmark = [
    pytest.mark.skipif(os.environ.get("POSTERN_CASES_PEER") is not None, reason="of Postern alone"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can play other users")]

INSERT = """
import json, sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=10) as db:
    db.execute("DELETE FROM letters")
    for row in json.load(sys.stdin):
        db.execute("INSERT INTO letters(user_id, template, subject, text) VALUES(?, ?, ?, ?)", row)
"""
STATES = """
import json, sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=10) as db:
    print(json.dumps(list(db.execute("SELECT state, answer FROM letters ORDER BY id"))))
"""


def as_shop(code, path, text=""):
    """Runs some Python as the program's user; what it printed."""
    done = subprocess.run(["/usr/bin/python3", "-c", code, path], input=text, capture_output=True, text=True, timeout=60,
                          user=SHOP, group=SHOP, extra_groups=[], cwd="/")
    assert done.returncode == 0, done
    return done.stdout


@pytest.fixture
def outbox(target):
    """The database that the server watches for the program shop, with its table as the manual has it."""
    cli = target.server.cli
    with open(target.server.config) as f:
        found = re.search(r'watch shop { sqlite = "(.*?)" }', f.read())
    if not found:
        pytest.skip("this server watches no table")
    if not os.path.exists(found.group(1)):
        with open(TOP + "/doc/applications.md") as f:
            table = re.search(r"```sql\n(.*?)```", f.read(), re.S).group(1)
        as_shop("import sqlite3, sys\nsqlite3.connect(sys.argv[1]).executescript(sys.stdin.read())", found.group(1),
                "PRAGMA journal_mode=WAL;" + table)
    cli("app", "add", "shop", "--uid", str(SHOP), "--from", "shop@example.test", "--per-hour", "500", "--per-recipient", "0")
    cli("app-user", "set", "shop", "42", "alice@example.test")
    yield found.group(1)
    cli("app", "delete", "shop")


def test_rows_are_sent_once(target, outbox, token):
    """drop and the room that watches are killed again and again. A row that makes no sense is refused; nobody's address,
    nor whether there is one, shows in the table."""
    rows = [(42, None, f"{token} {i}", "t") for i in range(20)] + [(42, "no such", None, None), (4711, None, "s", "t")]
    as_shop(INSERT, outbox, json.dumps(rows))
    for room in ("watch", "drop", "watch", "watch", "drop"):
        time.sleep(0.7)
        for r in target.server.json("status")["rooms"]:
            if r["room"] == room and r["pid"] > 0:
                os.kill(r["pid"], 9)
    end = time.monotonic() + 60
    got = json.loads(as_shop(STATES, outbox))
    while any(s in ("new", "claimed") for s, _ in got):
        assert time.monotonic() < end, got
        time.sleep(0.5)
        got = json.loads(as_shop(STATES, outbox))
    assert [s for s, _ in got] == ["sent"] * 20 + ["refused", "sent"] and "template" in got[20][1], got
    assert "alice" not in json.dumps(got)
    with target.box(target.alice) as box:
        found = [email.message_from_bytes(m)["Subject"] for m in box.find(token)]
    assert sorted(found) == sorted(f"{token} {i}" for i in range(20))
