# SPDX-License-Identifier: MIT
"""Letters that an application leaves in a table of PostgreSQL, over its Unix socket (peer) and over TCP (SCRAM): each row is
sent once, whoever is killed in between, the database server too."""
import email
import glob
import os
import re
import shutil
import subprocess
import tempfile
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVER = "postgres"  # the user of Debian's package
BIN = max(glob.glob("/usr/lib/postgresql/*/bin"), default="")
pytestmark = [
    pytest.mark.skipif(os.environ.get("POSTERN_CASES_PEER") is not None, reason="of Postern alone"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can play other users")]


class Postgres:
    def __init__(self, sockets, port, password):
        self.sockets, self.dir = sockets, tempfile.mkdtemp(prefix="postern-pg-")
        shutil.chown(self.dir, SERVER)
        shutil.chown(sockets, SERVER)
        os.chmod(sockets, 0o755)
        self.run("initdb", "-D", self.dir + "/data", "-A", "peer", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        with open(self.dir + "/data/pg_hba.conf", "w") as f:
            f.write("local all all peer\nhost till desk 127.0.0.1/32 scram-sha-256\n")
        with open(self.dir + "/data/postgresql.conf", "a") as f:
            # a table of tests need not survive the machine; what the server confirms, it must not lose by being killed
            f.write(f"unix_socket_directories = '{sockets}'\nlisten_addresses = '127.0.0.1'\nport = {port}\n"
                    "fsync = off\nshared_buffers = 2MB\nmax_connections = 20\n")
        self.port = port
        self.start()
        with open(TOP + "/doc/applications.md") as f:
            table = re.search(r"```postgresql\n(.*?)```", f.read(), re.S).group(1)
        self.sql(f"CREATE ROLE games LOGIN; CREATE ROLE desk LOGIN PASSWORD '{password}';", "postgres")
        self.sql("CREATE DATABASE till", "postgres")
        self.sql(table + table.replace("letters", "desk") +
                 "GRANT SELECT, UPDATE (state, claim, answer, tried_at) ON letters TO games;"
                 "GRANT SELECT, UPDATE (state, claim, answer, tried_at) ON desk TO desk;")

    def run(self, tool, *args, text=None):
        done = subprocess.run([f"{BIN}/{tool}", *args], input=text, capture_output=True, text=True, timeout=60, cwd="/",
                              user=SERVER, group=SERVER, extra_groups=[])
        assert done.returncode == 0, done
        return done.stdout

    def start(self):
        self.run("pg_ctl", "-D", self.dir + "/data", "-w", "-l", self.dir + "/log", "start")

    def stop(self, how="fast"):
        self.run("pg_ctl", "-D", self.dir + "/data", "-w", "-m", how, "stop")

    def sql(self, text, database="till"):
        return self.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.sockets, "-p", str(self.port),
                        "-d", database, text=text)

    def insert(self, table, rows):
        quoted = [", ".join("NULL" if v is None else "'" + str(v).replace("'", "''") + "'" for v in row) for row in rows]
        self.sql(f"INSERT INTO {table}(user_id, template, data, subject, text) VALUES ({'), ('.join(quoted)})")

    def states(self, table):
        return [tuple(x.split("|")) for x in self.sql(f"SELECT state, answer FROM {table} ORDER BY id").splitlines()]

    def settled(self, table, seconds=90):
        end = time.monotonic() + seconds
        got = self.states(table)
        while any(s in ("new", "claimed") for s, _ in got):
            assert time.monotonic() < end, got
            time.sleep(0.5)
            got = self.states(table)
        return got


@pytest.fixture(scope="module")
def postgres(target):
    with open(target.server.config) as f:
        text = f.read()
    sockets = re.search(r'watch till { postgres = "(.*?)/\.s\.PGSQL\.\d+"', text)
    if not sockets:
        pytest.skip("this server watches no table in PostgreSQL")
    with open(re.search(r'password = "(.*?)"', text).group(1)) as f:
        password = f.read().strip()
    server = Postgres(sockets.group(1), re.search(r'"127\.0\.0\.1:(\d+)" database', text).group(1), password)
    for uid, program in ((61002, "till"), (61003, "desk")):
        target.server.cli("app", "add", program, "--uid", str(uid), "--from", program + "@example.test", "--per-hour", "500",
                          "--per-recipient", "0")
        target.server.cli("app-user", "set", program, "42", "alice@example.test")
    yield server
    for program in ("till", "desk"):
        target.server.cli("app", "delete", program)
    server.stop("immediate")
    shutil.rmtree(server.dir)


def kill(target, room):
    """All rooms of this name."""
    for r in target.server.json("status")["rooms"]:
        if r["room"] == room and r["pid"] > 0:
            os.kill(r["pid"], 9)


def subjects(target, token):
    with target.box(target.alice) as box:
        return [email.message_from_bytes(m)["Subject"] for m in box.find(token)]


@pytest.mark.parametrize("table", ["letters", "desk"])
def test_rows_are_sent_in_order(target, postgres, token, table):
    """A row that makes no sense, or that is far too long, is refused, and costs the others nothing."""
    postgres.insert(table, [(42, None, None, f"{token} {i}", "t'\\ä") for i in range(5)] +
                    [(42, "no such", None, None, None), (42, None, "[1]", "s", "t"), (4711, None, None, "s", "t")])
    postgres.sql(f"INSERT INTO {table}(user_id, subject, text) VALUES ('42', 'big', repeat('x', 50000000))")
    got = postgres.settled(table)
    assert [s for s, _ in got] == ["sent"] * 5 + ["refused", "refused", "sent", "refused"], got
    assert "template" in got[5][1] and "alice" not in str(got)
    assert subjects(target, token) == [f"{token} {i}" for i in range(5)]
    for room in (r for r in target.server.json("status")["rooms"] if r["room"] == "watchpg"):
        with open(f"/proc/{room['pid']}/status") as f:
            assert int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) < 40000


def test_rows_are_sent_once(target, postgres, token):
    """watchpg, drop and PostgreSQL itself are killed again and again."""
    postgres.sql("DELETE FROM letters")
    postgres.insert("letters", [(42, None, None, f"{token} {i}", "t") for i in range(30)])
    for who in ("watchpg", "drop", "postgres", "watchpg", "drop", "watchpg"):
        time.sleep(0.5)
        if who == "postgres":
            postgres.stop("immediate")
            time.sleep(1)
            postgres.start()
        else:
            kill(target, who)
    got = postgres.settled("letters")
    assert [s for s, _ in got] == ["sent"] * 30, got
    assert sorted(subjects(target, token)) == sorted(f"{token} {i}" for i in range(30))


def test_ids_that_are_none(target, postgres, token):
    """Two rows of one id: neither is sent, none is lost, and an event says that the table is wrong."""
    postgres.sql("ALTER TABLE letters DROP CONSTRAINT letters_pkey; DELETE FROM letters;"
                 f"INSERT INTO letters(id, user_id, subject, text) OVERRIDING SYSTEM VALUE VALUES (1, '42', '{token}', 't'),"
                 f" (1, '42', '{token}', 't')")
    time.sleep(2.5)
    assert postgres.states("letters") == [("new", "")] * 2
    told = target.server.json("log", "--last", "20", "--kind", "drop.deferred")
    assert any("division by zero" in str(e) for e in told), told
    postgres.sql("DELETE FROM letters; ALTER TABLE letters ADD PRIMARY KEY (id)")
    assert subjects(target, token) == []
