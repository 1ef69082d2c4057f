# SPDX-License-Identifier: MIT
"""Against a running server: recipients (O-001, U-012, U-013, S-035, lists, details, forwards with SRS) and local programs
(L-003, sendmail, letters and the examples of doc/applications.md)."""
import email
import json
import os
import re
import shutil
import socket
import subprocess
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHOP, STRANGER = 61001, 61002  # uids of nobody on this machine

ours = pytest.mark.skipif(os.environ.get("POSTERN_CASES_PEER") is not None, reason="of Postern alone")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play other users")
pytestmark = ours


def socket_path(target):
    with open(target.server.config) as f:
        return re.search(r'^run_dir = "(.*)"', f.read(), re.M).group(1) + "/drop"


def sendmail(target, *words, text, uid=SHOP, name="sendmail"):
    """Runs sendmail as this user; its exit status and what it said."""
    program = os.path.dirname(target.server.binary) + "/../sbin/sendmail"
    if not os.access(program, os.X_OK):
        program = os.path.dirname(target.server.binary) + "/sendmail"
    done = subprocess.run([name, "-C", target.server.config, *words], executable=program, input=text,
                          capture_output=True, timeout=60, user=uid, group=uid, extra_groups=[])
    return done.returncode, (done.stdout + done.stderr).decode()


def talk(path, data, uid=STRANGER, wait=5.0):
    """One connection to the socket as this user; what was answered."""
    code = ("import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.settimeout(%f)\ns.connect(%r)\n"
            "try:\n s.sendall(sys.stdin.buffer.read())\n s.shutdown(1)\n"
            " while True:\n  d=s.recv(65536)\n  if not d: break\n  sys.stdout.buffer.write(d)\n"
            "except OSError: pass\n" % (wait, path))
    return subprocess.run(["/usr/bin/python3", "-c", code], input=data, capture_output=True, timeout=wait + 20,
                          user=uid, group=uid, extra_groups=[]).stdout


@pytest.fixture(scope="session")
def shop(target):
    target.server.cli("app", "add", "shop", "--uid", str(SHOP), "--from", "shop@example.test", "--per-hour", "500",
                      "--per-recipient", "0")
    yield "shop"
    target.server.cli("app", "delete", "shop", check=False)


# ---- recipients -----------------------------------------------------------------------------------------------

def rcpt(target, address, sender="stranger@far.test"):
    with target.smtp() as s:
        assert s.ask(f"MAIL FROM:<{sender}>").code == 250
        return s.ask(f"RCPT TO:<{address}>")


def test_details_and_delivered_to(target, token):
    with target.smtp() as s:
        assert s.ask("MAIL FROM:<stranger@example.net>").code == 250
        assert s.ask("RCPT TO:<alice+Lists@example.test>").code == 250
        assert s.ask("DATA").code == 354
        assert s.ask(f"From: <stranger@example.net>\r\nSubject: {token}\r\n\r\nx\r\n.").code == 250
    with target.box(target.alice) as box:
        found = box.find(token)
    assert len(found) == 1 and b"\nDelivered-To: alice+lists@example.test\r" in found[0], found


def test_O_001_alias_rings(target):
    cli = target.server.cli
    cli("alias", "add", "ring1@example.test", "alice@example.test")
    cli("alias", "add", "ring2@example.test", "ring1@example.test")
    assert cli("alias", "add", "ring1@example.test", "ring2@example.test", check=False).returncode == 65
    # one that nobody could see when it was made
    cli("alias", "add", "hidden@example.test", "hidden@ring.test")
    cli("domain", "add", "ring.test")
    cli("domain", "alias", "ring.test", "example.test")
    try:
        answer = rcpt(target, "hidden@example.test")
        assert answer.code == 554 and "5.4.6" in repr(answer), answer
    finally:
        cli("domain", "alias", "ring.test", "none")
        cli("domain", "delete", "ring.test")
        for a, t in (("ring2", "ring1@example.test"), ("ring1", "alice@example.test"), ("hidden", "hidden@ring.test")):
            cli("alias", "delete", a + "@example.test", t)


def test_domain_alias_and_catch_all(target):
    cli = target.server.cli
    cli("domain", "add", "other.test")
    try:
        assert rcpt(target, "alice@other.test").code == 550
        cli("domain", "alias", "other.test", "example.test")
        assert rcpt(target, "alice+x@other.test").code == 250
        assert rcpt(target, "nobody@other.test").code == 550
        cli("domain", "alias", "other.test", "none")
        cli("domain", "catch-all", "other.test", "bob@example.test")
        assert rcpt(target, "anybody@other.test").code == 250
        row = [r for r in target.server.json("domain", "list") if r["domain"] == "other.test"][0]
        assert row["catch-all"] == "bob@example.test", row
        cli("domain", "catch-all", "other.test", "none")
        assert rcpt(target, "anybody@other.test").code == 550
    finally:
        cli("domain", "delete", "other.test")


def test_lists(target, token):
    cli = target.server.cli
    cli("list", "add", "crew@example.test", "--owner", "alice@example.test")
    cli("list", "join", "crew@example.test", "bob@example.test")
    try:
        assert rcpt(target, "crew@example.test").code == 550, "a stranger wrote to the list"
        assert rcpt(target, "crew@example.test", sender="").code == 550, "a bounce went to the list"
        with target.submission(login=target.bob) as s:
            assert s.ask("MAIL FROM:<bob@example.test>").code == 250
            assert s.ask("RCPT TO:<crew@example.test>").code == 250
            assert s.ask("DATA").code == 354
            assert s.ask(f"From: <bob@example.test>\r\nSubject: {token}\r\n\r\nx\r\n.").code == 250
        with target.box(target.bob) as box:
            got = email.message_from_bytes(box.find(token)[0])
        assert got["List-Id"] == "<crew.example.test>" and got["Precedence"] == "list"
        assert got["Return-Path"] == "<alice@example.test>", "a bounce would go to the author"
        # U-012: a member does not write as the list
        with target.submission(login=target.bob) as s:
            assert s.ask("MAIL FROM:<crew@example.test>").code == 553
        cli("sender", "grant", "bob@example.test", "crew@example.test")
        with target.submission(login=target.bob) as s:
            assert s.ask("MAIL FROM:<crew@example.test>").code == 250
        cli("sender", "revoke", "bob@example.test", "crew@example.test")
    finally:
        cli("list", "delete", "crew@example.test")


def test_forward_with_srs(target):
    """No open relay by SRS: only what this server wrote is read, and only a bounce."""
    forged = "SRS0=aaaaaaaa=aa=far.test=victim@example.test"
    assert rcpt(target, forged, sender="").code == 550
    assert rcpt(target, forged).code == 550
    assert rcpt(target, "SRS1=aaaaaaaa=far.test==x=y=victim@example.test", sender="").code == 550
    assert rcpt(target, "SRS0=aaaaaaaa=aa=far.test=victim@elsewhere.test", sender="").code == 550


def test_forward_and_its_bounce(target, token):
    """What is forwarded has a sender of ours; the bounce to it is taken, and nothing else; nobody forged hears of it."""
    target.server.cli("alias", "add", "away@example.test", "me@nowhere.invalid")
    try:
        with target.smtp() as s:
            assert s.ask("MAIL FROM:<writer@else.test>").code == 250
            assert s.ask("RCPT TO:<away@example.test>").code == 250
            assert s.ask("DATA").code == 354
            assert s.ask(f"From: <writer@else.test>\r\nSubject: {token}\r\n\r\nx\r\n.").code == 250
        end, found = time.monotonic() + 15, None
        while found is None and time.monotonic() < end:
            time.sleep(0.2)
            lines = [x for x in target.log(20) if "to=<me@nowhere.invalid>" in x]
            found = next(filter(None, (re.search(r"from=<(SRS0=[^>]*else\.test=writer@example\.test)>", x) for x in lines)), None)
        assert found, lines
        back = found.group(1)
        assert rcpt(target, back, sender="").code == 250
        assert rcpt(target, back.lower(), sender="").code == 250
        assert rcpt(target, back).code == 550, "not a bounce"
        assert rcpt(target, back.replace("=writer@", "=victim@"), sender="").code == 550
        assert not [x for x in target.log(20) if "queue.notified" in x and "writer@else.test" in x], "backscatter"
    finally:
        target.server.cli("alias", "delete", "away@example.test", "me@nowhere.invalid")


def test_U_013_recipients_an_hour(target):
    cli = target.server.cli
    target.server.add_account("limited@example.test", "limited password")
    cli("account", "limit", "limited@example.test", "--recipients", "3")
    try:
        with target.submission() as s:
            from target import plain
            assert s.starttls().code == 220
            assert s.ask("AUTH PLAIN " + plain("limited@example.test", "limited password")).code == 235
            assert s.ask("MAIL FROM:<limited@example.test>").code == 250
            for _ in range(3):
                assert s.ask("RCPT TO:<alice@example.test>").code == 250
            answer = s.ask("RCPT TO:<bob@example.test>")
            assert answer.code == 450 and "4.7.1 too many recipients in an hour" in repr(answer), answer
        rows = target.server.json("account", "limits")
        assert {"subject": "limited@example.test", "recipients/hour": 3, "messages/day": None, "inbound/hour": None} in rows
        assert any("rcpt.limited" in line for line in target.log(60))
    finally:
        cli("account", "delete", "limited@example.test")


# ---- local programs ---------------------------------------------------------------------------------------------

@as_root
def test_sendmail(target, shop, token):
    text = f"To: bob@example.test\nBcc: alice@example.test\nSubject: {token}\n\nline\n.\nlast\n".encode()
    assert sendmail(target, "-t", "-i", "-oi", "-F", "The Shop", text=text) == (0, "")
    for who in (target.alice, target.bob):
        with target.box(who) as box:
            got = email.message_from_bytes(box.find(token)[0])
        assert got["From"] == '"The Shop" <shop@example.test>' and got["Bcc"] is None, got.items()
        assert got["Date"] and got["Message-ID"] and f"uid {SHOP}" in got["Received"]
        assert got.get_payload() == "line\r\n.\r\nlast\r\n"
    assert any("drop.accepted: program=shop" in line for line in target.log(30))


@as_root
def test_sendmail_says_why(target, shop):
    text = b"Subject: x\n\nx\n"
    status, said = sendmail(target, "alice@example.test", text=text, uid=STRANGER)
    assert status == 77 and f"uid {STRANGER}" in said and "postern app add" in said, said
    assert sendmail(target, "nobody@example.test", text=text)[0] == 67
    assert sendmail(target, "-f", "alice@example.test", "bob@example.test", text=text)[0] == 77
    assert sendmail(target, "bob@example.test", text=b"From: alice@example.test\n" + text)[0] == 77
    assert sendmail(target, text=text)[0] == 64
    assert sendmail(target, "-t", text=text)[0] == 65
    assert sendmail(target, "-bi", text=b"")[0] == 0 and sendmail(target, text=b"", name="newaliases")[0] == 0
    assert sendmail(target, text=b"", name="mailq", uid=0)[0] == 0
    assert sendmail(target, text=b"", name="mailq")[0] != 0
    assert sendmail(target, "alice@example.test", text=b"From: root (Cron)\n" + text, uid=0)[0] == 0


@as_root
def test_sendmail_when_the_server_is_down(target, tmp_path):
    with open(target.server.config) as f:
        text = re.sub(r'run_dir = ".*"', f'run_dir = "{tmp_path}"', f.read())
    (tmp_path / "postern.conf").write_text(text)
    os.chmod(tmp_path / "postern.conf", 0o644)
    program = os.path.dirname(target.server.binary) + "/../sbin/sendmail"
    done = subprocess.run([program, "-C", str(tmp_path / "postern.conf"), "alice@example.test"], input=b"x\n",
                          capture_output=True, timeout=30)
    assert done.returncode == 75 and b"does not run" in done.stderr, done


@as_root
def test_sendmail_speaks_smtp(target, shop, token):
    script = (f"EHLO x\r\nMAIL FROM:<shop@example.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: {token}\r\n"
              "\r\n..dot\r\n.\r\nMAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n")
    status, said = sendmail(target, "-bs", text=script.encode())
    assert status == 0 and [x[:3] for x in said.split("\r\n")] == [
        "220", "250", "250", "250", "354", "250", "250", "250", "354", "553", "221", ""], said
    with target.box(target.alice) as box:
        assert box.find(token)[0].endswith(b"\r\n.dot\r\n")


@as_root
@pytest.mark.memory(24)
def test_L_003_garbage_from_ordinary_users(target, shop):
    path = socket_path(target)
    assert talk(path, b"EHLO x\r\n").startswith(b"501")
    assert talk(path, b"") == b"" and talk(path, b"\0" * 4096 + b"\n").startswith(b"501")
    for data in (os.urandom(100000), b"mail 1\n" + b"to a@b\n" * 100000, b"mail 1\nsize 99999999999\n\n", b"{" * 70000,
                 b'{"user":' + b"[" * 60000 + b"\n", b"mail 1\nto alice@example.test\nsize 100\n\nhalf", b"\n" * 5000,
                 b"mail 1\nto alice@example.test\nsize 30\n\nSubject: x\n\nbare line feeds\n"):
        for uid in (STRANGER, SHOP):
            talk(path, data, uid=uid, wait=3.0)
    # the server's own rooms have no more to say here than anybody
    base = int(re.search(r"uid_base = (\d+)", open(target.server.config).read() + "\nuid_base = 200000").group(1))
    for uid in range(base + 1, base + 15):
        assert talk(path, b"mail 1\nto alice@example.test\nsize 2\n\n\r\n", uid=uid).startswith(b"550"), uid


@as_root
def test_L_003_ten_thousand_connects(target, shop):
    path, held, refused = socket_path(target), [], 0
    for _ in range(30):  # of one user: his share, and then no more
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
        held.append(s)
    time.sleep(0.3)
    for s in held:
        s.setblocking(False)
        try:
            refused += s.recv(100).startswith(b"421")
        except BlockingIOError:
            pass
    assert 20 <= refused <= 22, refused
    # another user comes through at once
    assert sendmail(target, "alice@example.test", text=b"Subject: x\n\nx\n")[0] == 0
    for s in held:
        s.close()
    for _ in range(10000):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
    end = time.monotonic() + 5
    while sendmail(target, "root", "alice@example.test", text=b"Subject: x\n\nx\n", uid=0)[0] == 75:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert len([x for x in target.log(30) if "conn.refused" in x and "drop" in x]) < 100, "one event for each"


@as_root
def test_letters(target, shop, token):
    path, cli = socket_path(target), target.server.cli
    cli("app-user", "import", "shop", "-", stdin="# id address\n42 alice@example.test\n77,bob@example.test\n")
    cli("app-template", "set", "shop", "sent", "--subject", "Order {{number}}",
        stdin="Dear {{name}},\nyour parcel is on its way.\n")

    def ask(letter, uid=SHOP):
        return [json.loads(x) for x in talk(path, json.dumps(letter).encode() + b"\n", uid=uid).splitlines()]

    assert ask({"user": 42, "template": "sent", "values": {"name": "Ann", "number": token}}) == [{"status": "ok"}]
    with target.box(target.alice) as box:
        got = email.message_from_bytes(box.find(token)[0])
    assert got["Subject"] == "Order " + token and got["From"] == "<shop@example.test>"
    assert "Dear Ann" in got.get_payload(decode=True).decode() and got["Auto-Submitted"] == "auto-generated"
    # no user, and a user: the same answer at the same tick
    times = {}
    for user in (42, 4711):
        began = time.monotonic()
        assert ask({"user": user, "subject": "s", "text": "t"}) == [{"status": "ok"}]
        times[user] = time.monotonic() - began
    assert abs(times[42] - times[4711]) < 0.08, times
    assert ask({"user": 42, "subject": "s", "text": "t"}, uid=STRANGER)[0]["status"] == "refused"
    assert "alice" not in talk(path, b'{"user":42,"subject":"s","text":"t"}\n', uid=SHOP).decode()


def http_address(target):
    """Where letters come over HTTP, if they do."""
    with open(target.server.config) as f:
        found = re.search(r'http = "([0-9.]+:[0-9]+)"', f.read())
    return found and found.group(1)


def outbox(target):
    """The database that the server watches for the program shop; with its table, as the manual has it."""
    with open(target.server.config) as f:
        found = re.search(r'watch shop { sqlite = "(.*?)" }', f.read())
    if not found:
        pytest.skip("this server watches no table")
    path = found.group(1)
    if not os.path.exists(path):
        as_shop("import sqlite3, sys\nsqlite3.connect(sys.argv[1]).executescript(sys.stdin.read())", path,
                text="PRAGMA journal_mode=WAL;" + example("A table", "sql"))
    return path


def as_shop(code, *words, text=""):
    """Runs some Python as the program's user."""
    done = subprocess.run(["/usr/bin/python3", "-c", code, *words], input=text, capture_output=True, text=True, timeout=60,
                          user=SHOP, group=SHOP, extra_groups=[], cwd="/")
    assert done.returncode == 0, done
    return done.stdout


def example(heading, language):
    """The example under this heading of the manual."""
    with open(TOP + "/doc/applications.md") as f:
        section = f.read().split("### " + heading + "\n")[1].split("\n### ")[0]
    code = re.search(rf"```{language}\n(.*?)```", section, re.S).group(1)
    assert len(code.splitlines()) <= 12
    return code


PROGRAMS = [("php", "php"), ("python", "/usr/bin/python3"), ("sh", "sh")]


@as_root
@pytest.mark.parametrize("way,tool", [("Over the socket", "nc"), ("Over HTTP", "curl"), ("A table", "sqlite3")])
@pytest.mark.parametrize("language,program", PROGRAMS)
def test_examples_of_the_manual(target, shop, way, tool, language, program):
    for p in {"php": ["php"], "python": [], "sh": [tool]}[language]:
        if not shutil.which(p):
            pytest.skip(f"{p} is not installed")
    if (language, way) == ("php", "A table") and b"pdo_sqlite" not in subprocess.check_output(["php", "-m"]):
        pytest.skip("PHP has no SQLite")
    code, environment = example(way, language), dict(os.environ)
    if way == "Over HTTP":
        if not http_address(target):
            pytest.skip("this server has no HTTP for local programs")
        code = code.replace("127.0.0.1:8025", http_address(target))
        environment["MAIL_TOKEN"] = target.server.cli("app", "token", "shop").stdout.strip()
    if way == "A table":
        code = code.replace("/var/lib/shop/outbox.db", outbox(target))
    mark = f"M-{language}-{len(way)}-{os.getpid()}"
    assert "A-17" in code
    code = code.replace("/run/postern/drop", socket_path(target)).replace("A-17", mark)
    target.server.cli("app-user", "set", "shop", "42", "alice@example.test")
    target.server.cli("app-template", "set", "shop", "sent", "--subject", "Order {{number}}", stdin="Dear {{name}}\n")
    done = subprocess.run([program], input=code.encode(), capture_output=True, timeout=90, user=SHOP, group=SHOP,
                          extra_groups=[], cwd="/", env=environment)
    assert done.returncode == 0, done
    with target.box(target.alice) as box:
        assert len(box.find(mark)) == 1


def test_H_cases_of_letters_over_http(target, shop):
    """H-001..H-007 and H-009 at the one door for HTTP that there is: an answer, the end, and no second request."""
    if not http_address(target):
        pytest.skip("this server has no HTTP for local programs")
    host, port = http_address(target).split(":")
    token = target.server.cli("app", "token", "shop").stdout.strip()
    good = f"Host: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    post = "POST /letters HTTP/1.1\r\n" + good

    def ask(data, wait=5.0):
        with socket.create_connection((host, int(port)), timeout=wait) as s:
            got = b""
            try:
                s.sendall(data.encode())
                while True:
                    more = s.recv(65536)
                    if not more:
                        break
                    got += more
            except (ConnectionError, BrokenPipeError):
                pass
            return got.decode()

    for data, codes in (
            (post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}}", "400"),
            (post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + post, "400"),
            (post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + post, "501"),
            (post + "Transfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n{}", "400"),
            (post + "\r\n", "411"),
            ("GET /" + "a" * 65536 + " HTTP/1.1\r\n" + good + "\r\n", "414"),
            (post + "A: b\r\n" * 5000 + "\r\n", "431"),
            (post + "A: " + "b" * 8_000_000 + "\r\n\r\n", "431"),
            ("TRACE /letters HTTP/1.1\r\n" + good + "\r\n", "405"),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
            ("GET http://evil/letters HTTP/1.1\r\n" + good + "\r\n", "400"),
            ("GET /../drop.db HTTP/1.1\r\n" + good + "\r\n", "404"),
            (post + "Content-Length: 200000\r\n\r\n" + "[" * 200000, "400")):
        got = ask(data)
        # what is refused in the middle of being sent may be answered by the end alone
        assert got.count("HTTP/1.1 ") <= 1 and (got[9:12] == codes or (got == "" and len(data) > 20000)), (data[:200], got)
        assert token not in got
    # H-004: a head that comes slowly costs half a minute at most, and nobody waits for it
    slow = socket.create_connection((host, int(port)), timeout=50)
    slow.sendall(b"POST /letters HTTP/1.1\r\nX: ")
    began = time.monotonic()
    assert ask(post + "Content-Length: 2\r\nConnection: close\r\n\r\n{}").startswith("HTTP/1.1 422")
    assert time.monotonic() - began < 1
    assert slow.recv(20).startswith(b"HTTP/1.1 408") and 20 < time.monotonic() - began < 40
    slow.close()
