# SPDX-License-Identifier: MIT
"""curl, mbsync, fetchmail, getmail and Python's imaplib as readers."""
import imaplib
import json
import os
import re
import smtplib
import time

import pytest
from server import insecure_context


@pytest.fixture
def mails(target, token, arrived):
    """Three messages for bob; their token"""
    with smtplib.SMTP(target.host, target.ports["smtp"], timeout=30) as s:
        for k in range(3):
            s.sendmail("someone@sender.test", [target.bob],
                       f"From: <someone@sender.test>\r\nTo: <{target.bob}>\r\nSubject: {token} {k}\r\n"
                       f"Message-ID: <{k}.{token}@sender.test>\r\n\r\nbody {k} of {token}\r\n")
    arrived(target.bob, token, count=3)
    return token


def whole(folder):
    """Every file beneath a folder, as one string"""
    found = []
    for at, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(at, name), "rb") as f:
                found.append(f.read().decode("utf-8", "replace"))
    return found


@pytest.mark.parametrize("scheme,port", [("imap", "imap"), ("imaps", "imaps")])
def test_curl(target, run, mails, cafile, hostname, scheme, port):
    base = ("curl", "-sS", "--ssl-reqd", "--max-time", 30, "--cacert", cafile, "--resolve",
            f"{hostname}:{target.ports[port]}:{target.host}", "-u",
            f"{target.bob}:{target.password(target.bob)}")
    url = f"{scheme}://{hostname}:{target.ports[port]}/INBOX"
    found = run(*base, url, "-X", f"SEARCH SUBJECT {mails}").stdout
    numbers = re.findall(r"\d+", found)
    assert len(numbers) == 3, found
    for k, n in enumerate(numbers):
        said = run(*base, f"{url};MAILINDEX={n}").stdout
        assert f"Subject: {mails} {k}" in said and f"body {k} of {mails}" in said
    assert f"body 1 of {mails}" in run(*base, f"{url};MAILINDEX={numbers[1]};SECTION=TEXT").stdout
    assert "INBOX" in run(*base, f"{scheme}://{hostname}:{target.ports[port]}/").stdout


def test_curl_append(target, run, token, arrived, cafile, hostname, home):
    (home / "mail.txt").write_bytes(f"Subject: appended {token}\r\n\r\nby curl\r\n".encode())
    run("curl", "-sS", "--ssl-reqd", "--max-time", 30, "--cacert", cafile, "--resolve",
        f"{hostname}:{target.ports['imaps']}:{target.host}", "-u",
        f"{target.bob}:{target.password(target.bob)}", "-T", home / "mail.txt",
        f"imaps://{hostname}:{target.ports['imaps']}/INBOX")
    assert arrived(target.bob, token)["Subject"] == f"appended {token}"


def test_mbsync(target, run, mails, home, cafile):
    config = home / "mbsyncrc"
    (home / "mail").mkdir()
    config.write_text(f"""IMAPAccount bob
Host localhost
Port {target.ports['imaps']}
User {target.bob}
Pass "{target.password(target.bob)}"
SSLType IMAPS
CertificateFile {cafile}
AuthMechs SCRAM-SHA-256

IMAPStore far
Account bob

MaildirStore near
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
""")
    run("mbsync", "-c", config, "-a")
    here = [t for t in whole(home / "mail") if mails in t]
    assert len(here) == 3
    assert sorted(re.search(r"Subject: \w+ (\d)", t).group(1) for t in here) == ["0", "1", "2"]
    # a flag set here must arrive there, a folder made here too
    cur, new = home / "mail/INBOX/cur", home / "mail/INBOX/new"
    for name in os.listdir(new):
        text = (new / name).read_text(errors="replace")
        if f"Subject: {mails} 1" in text:
            (new / name).rename(cur / (name.split(":")[0] + ":2,FS"))
    run("mbsync", "-c", config, "-a")
    with target.box(target.bob) as box:
        box.count()
        _, data = box.imap.search(None, "FLAGGED", "SUBJECT", f'"{mails} 1"')
        assert len(data[0].split()) == 1


@pytest.mark.parametrize("how", ["imaps", "starttls"])
def test_fetchmail(target, run, mails, home, how):
    out = home / "fetched"
    rc = home / "fetchmailrc"
    tls = "ssl" if how == "imaps" else 'sslproto "TLS1.2+"'
    rc.write_text(f"""poll {target.host} service {target.ports['imaps' if how == 'imaps' else 'imap']} protocol IMAP
  user "{target.bob}" password "{target.password(target.bob)}" {tls} no sslcertck
  keep fetchall no rewrite mda "cat >> {out}"
""")
    rc.chmod(0o600)
    run("fetchmail", "-f", rc, "--pidfile", home / "pid", "-N", "--nosyslog", timeout=120)
    text = out.read_text(errors="replace")
    for k in range(3):
        assert f"body {k} of {mails}" in text


def test_getmail(target, run, mails, home):
    rc = home / "getmailrc"
    for sub in ("new", "cur", "tmp"):
        (home / "maildir" / sub).mkdir(parents=True)
    rc.write_text(f"""[retriever]
type = SimpleIMAPSSLRetriever
server = {target.host}
port = {target.ports['imaps']}
username = {target.bob}
password = {target.password(target.bob)}
mailboxes = ("INBOX",)

[destination]
type = Maildir
path = {home}/maildir/
user = {'nobody' if os.getuid() == 0 else ''}

[options]
read_all = true
delete = false
delivered_to = false
received = false
""".replace("user = \n", ""))
    if os.getuid() == 0:
        import pwd
        nobody = pwd.getpwnam("nobody")
        for at, dirs, names in os.walk(home / "maildir"):
            os.chown(at, nobody.pw_uid, nobody.pw_gid)
        for up in [home, *home.parents]:
            if str(up).startswith(("/tmp/", "/var/tmp/")):
                up.chmod(0o755)
    run("getmail", "--getmaildir", home, "--rcfile", rc, timeout=120)
    here = [t for t in whole(home / "maildir/new") if mails in t]
    assert len(here) == 3 and any(f"body 2 of {mails}" in t for t in here)


@pytest.fixture
def imap(target):
    box = imaplib.IMAP4(target.host, target.ports["imap"], timeout=30)
    box.starttls(ssl_context=insecure_context())
    box.login(target.bob, target.password(target.bob))
    yield box
    try:
        box.logout()
    except (imaplib.IMAP4.error, OSError):
        pass


def test_imaplib_folders(imap, token):
    name = "Ordner " + token
    assert imap.create(f'"{name}"')[0] == "OK"
    assert name.encode() in b"".join(imap.list()[1])
    assert imap.subscribe(f'"{name}"')[0] == "OK"
    assert name.encode() in b"".join(imap.lsub()[1])
    assert imap.rename(f'"{name}"', f'"{name} x"')[0] == "OK"
    mark = re.search(rb'\) "(.)"', imap.list('""', '""')[1][0]).group(1).decode()
    deep = f"{name}2{mark}deep"
    assert imap.create(f'"{deep}{mark}deeper"')[0] == "OK"
    assert deep.encode() in b"".join(imap.list()[1])
    for each in (f"{deep}{mark}deeper", f"{name} x"):
        assert imap.delete(f'"{each}"')[0] == "OK"


def test_imaplib_a_message_s_life(imap, token):
    body = f"Subject: life {token}\r\nFrom: A <a@sender.test>\r\n\r\nline one\r\nline two\r\n".encode()
    box = f"Life{token[3:9]}"
    assert imap.create(box)[0] == "OK"
    typ, said = imap.append(box, r"(\Flagged)", imaplib.Time2Internaldate(time.time()), body)
    assert typ == "OK"
    assert imap.select(box)[1] == [b"1"]
    _, data = imap.fetch("1", "(FLAGS UID RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
    first = b" ".join(x if isinstance(x, bytes) else x[0] for x in data)
    assert b"\\Flagged" in first and f"life {token}".encode() in first
    assert f"RFC822.SIZE {len(body)}".encode() in first
    assert [x[1] for x in data if isinstance(x, tuple)][-1] == body
    _, data = imap.fetch("1", "(BODY.PEEK[TEXT]<5.3> BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    texts = [x[1] for x in data if isinstance(x, tuple)]
    assert texts[0] == b"one" and texts[1] == f"Subject: life {token}\r\n\r\n".encode()
    assert imap.store("1", "+FLAGS", r"(\Seen keyword1)")[0] == "OK"
    _, data = imap.search(None, "SEEN", "KEYWORD", "keyword1", "BODY", '"line two"')
    assert data[0] == b"1"
    assert imap.search(None, "UNSEEN")[1][0] in (b"", None)
    assert imap.copy("1", "INBOX")[0] == "OK"
    assert imap.store("1", "+FLAGS.SILENT", r"(\Deleted)")[0] == "OK"
    assert imap.expunge()[1] == [b"1"]
    assert imap.select(box)[1] == [b"0"]
    assert imap.select("INBOX")[0] == "OK"
    assert len(imap.search(None, "SUBJECT", f'"life {token}"')[1][0].split()) == 1


@pytest.mark.parametrize("rests", (0, 12))  # 12 s: the stream to the mailbox room is closed by then
def test_imaplib_idle_tells_of_new_mail(target, imap, token, rests):
    imap.select("INBOX")
    tag = imap._new_tag()
    imap.send(tag + b" IDLE\r\n")
    while not imap.readline().startswith(b"+"):
        pass
    time.sleep(rests)
    with smtplib.SMTP(target.host, target.ports["smtp"], timeout=30) as s:
        s.sendmail("someone@sender.test", [target.bob], f"Subject: news {token}\r\n\r\nx\r\n")
        answered = time.monotonic()
    imap.sock.settimeout(10)
    while b" EXISTS" not in (line := imap.readline()):
        assert line, "closed"
    took = time.monotonic() - answered
    print(f"IDLE heard after {took * 1000:.1f} ms")
    assert took < 2
    imap.send(b"DONE\r\n")
    while not (line := imap.readline()).startswith(tag):
        assert line, "closed"
    assert b"OK" in line


def test_mailbox_that_cannot_be_had(target):
    """The password is right, the mailbox does not open: the login is answered, and try again means it."""
    if target.peer:
        pytest.skip("Postern's own files")
    address, password = f"broken{time.time_ns()}@example.test", "a-password-of-its-own-1"
    target.server.add_account(address, password)
    listed = json.loads(target.server.cli("account", "list", "--json").stdout)
    number = next(a["id"] for a in listed if a["address"] == address)
    folder = f"{target.server.dir}/data/mail/{number}"
    os.makedirs(folder)
    with open(folder + "/mail.db", "wb") as f:
        f.write(b"no database" * 1000)
    with target.imap() as i:
        answer = i.ask(f'LOGIN "{address}" "{password}"')
        assert b"NO [UNAVAILABLE]" in answer[-1], answer
        assert i.line().startswith(b"* BYE") and i.until_closed(5)
    os.rename(folder, folder + ".broken")
    for _ in range(50):  # warden may let it rest a moment after it died
        with target.imap() as i:
            status, said = i.status(f'LOGIN "{address}" "{password}"')
            if status == "OK":
                return
            assert "[UNAVAILABLE]" in said
        time.sleep(0.2)
    pytest.fail("the mailbox did not come back")
