# SPDX-License-Identifier: MIT
"""DMARC reports all the way round: mail of various outcomes comes in, the report that we owe for it arrives as
a mail and says the same to the row; a report about a domain of ours comes back in and is told. Hostile reports
(A-025) leave the server as it was."""
import email
import gzip
import imaplib
import io
import json
import os
import re
import shutil
import smtplib
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
import zipfile

import pytest

TOP = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, TOP + "/test/tools")
from server import Server, insecure_context  # noqa: E402
from zone import Zone  # noqa: E402

BASE_OFFSET = 13  # no two of the ports meet
HERE = '"v=spf1 ip4:127.0.0.1 -all"'


def records():
    return {
        ("example.test", "TXT"): [HERE],
        ("_dmarc.example.test", "TXT"): ['"v=DMARC1; p=none; rua=mailto:dmarc-reports@example.test"'],
        ("sender.example", "TXT"): [HERE], ("sender.example", "A"): ["127.0.0.1"],
        ("_dmarc.sender.example", "TXT"): ['"v=DMARC1; p=none; sp=reject; aspf=s; rua=mailto:alice@example.test"'],
        ("sender.example._report._dmarc.example.test", "TXT"): ['"v=DMARC1"'],
        ("other.example", "TXT"): [HERE], ("other.example", "A"): ["127.0.0.1"],
        ("_dmarc.silent.example", "TXT"): ['"v=DMARC1; p=none"'], ("silent.example", "TXT"): [HERE],
        ("strict.example", "TXT"): ['"v=spf1 -all"'], ("strict.example", "A"): ["127.0.0.1"],
        ("_dmarc.strict.example", "TXT"): ['"v=DMARC1; p=reject; rua=mailto:alice@example.test"'],
        ("strict.example._report._dmarc.example.test", "TXT"): ['"v=DMARC1"'],
    }


@pytest.fixture(scope="module")
def server(target):
    if target.peer:
        pytest.skip("needs a Postern")
    base = int(os.environ.get("POSTERN_PORT_BASE", "0")) + BASE_OFFSET
    directory = tempfile.mkdtemp(prefix="postern-report-")
    os.chmod(directory, 0o755)
    os.symlink(os.path.join(target.server.dir, ".root"), directory + "/.root")
    with Zone(records()) as zone:
        env = {**os.environ, "SENDER_AUTHENTICATION": "enforce", "EXTRA_CONFIGURATION":
               f'dns {{ servers = {{"127.0.0.1@{zone.port}"}} trust_anchor = {{}} timeout = 2 }}'}
        subprocess.run([TOP + "/test/tools/instance", directory, str(base)], check=True, env=env)
        os.environ["POSTERN_PORT_BASE"], was = str(base), os.environ.get("POSTERN_PORT_BASE")
        s = Server(directory)
        if was is None:
            del os.environ["POSTERN_PORT_BASE"]
        else:
            os.environ["POSTERN_PORT_BASE"] = was
        try:
            yield s
            status = s.status()
            assert status["deaths"] == 0 and status["alarms"] == 0, s.cli("log", "--last", "50").stdout
        finally:
            subprocess.run([directory + "/.root/usr/bin/postern", "--config", directory + "/postern.conf", "stop"])
            shutil.rmtree(directory, ignore_errors=True)


def send(server, sender, author, helo="sender.example", rcpt="bob@example.test", content=None):
    """The last reply's code."""
    message = content or (f"From: {author}\r\nTo: bob@example.test\r\nSubject: x\r\nDate: {email.utils.formatdate()}\r\n"
                          f"Message-ID: <{time.monotonic_ns()}@x.example>\r\n\r\nhello\r\n").encode()
    with smtplib.SMTP(server.host, server.ports["smtp"], timeout=30, local_hostname=helo) as s:
        s.ehlo(helo)
        try:
            s.sendmail(sender, [rcpt], message)
        except smtplib.SMTPResponseException as e:
            return e.smtp_code
    return 250


def wait(check, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.1)
    return check()


def mails(server, account):
    """Every message of the INBOX, parsed."""
    with imaplib.IMAP4_SSL(server.host, server.ports["imaps"], ssl_context=insecure_context()) as i:
        i.login(account, server.password(account))
        i.select("INBOX")
        found = i.search(None, "ALL")[1][0].split()
        return [email.message_from_bytes(i.fetch(n.decode(), "(BODY.PEEK[])")[1][0][1]) for n in found]


def reports_of(server):
    """{domain: (mail, XML)} of the reports that alice got."""
    out = {}
    for m in mails(server, "alice@example.test"):
        found = re.match(r"Report Domain: (\S+) Submitter: mail\.example\.test Report-ID: <\S+>$", m["Subject"] or "")
        if found:
            part = [p for p in m.walk() if p.get_content_type() == "application/gzip"][0]
            out[found.group(1)] = (m, re.sub(rb'xmlns="[^"]*"', b"", gzip.decompress(part.get_payload(decode=True))))
    return out


def test_reports_that_we_owe_say_what_happened(server):
    for _ in range(3):
        assert send(server, "a@sender.example", "a@sender.example") == 250
    assert send(server, "a@other.example", "a@sender.example", "other.example") == 250  # p=none: let in, and told
    assert send(server, "a@other.example", "a@strict.example", "other.example") == 550  # p=reject: told as well
    assert send(server, "a@silent.example", "a@silent.example", "silent.example") == 250  # asks for no report
    assert server.cli("clerk", "run", "dmarc", "--day", "today").stdout == "3 domains get a report\n"
    reports = wait(lambda: (r := reports_of(server)) and len(r) == 2 and r)
    assert set(reports) == {"sender.example", "strict.example"}, server.cli("clerk", "owed").stdout
    mail, xml = reports["sender.example"]
    assert mail["From"] == "noreply-dmarc@example.test" and mail["To"] == "alice@example.test"
    assert "d=example.test" in mail["DKIM-Signature"] and mail["Auto-Submitted"] == "auto-generated"
    part = [p for p in mail.walk() if p.get_filename()][0]
    assert re.fullmatch(r"mail\.example\.test!sender\.example!\d+!\d+!\S+\.xml\.gz", part.get_filename())
    root = ET.fromstring(xml)
    assert root.findtext("report_metadata/org_name") == "mail.example.test"
    published = {e.tag: e.text for e in root.find("policy_published")}
    assert published.items() >= {"domain": "sender.example", "p": "none", "sp": "reject", "aspf": "s", "adkim": "r"}.items()
    rows = {r.findtext("auth_results/spf/domain"): r for r in root.iter("record")}
    assert set(rows) == {"sender.example", "other.example"}
    good, bad = rows["sender.example"], rows["other.example"]
    for row, count, spf in ((good, "3", "pass"), (bad, "1", "fail")):
        assert row.findtext("row/source_ip") == "127.0.0.1" and row.findtext("row/count") == count
        assert row.findtext("row/policy_evaluated/spf") == spf and row.findtext("row/policy_evaluated/dkim") == "fail"
        assert row.findtext("row/policy_evaluated/disposition") == "none"
        assert row.findtext("identifiers/header_from") == "sender.example"
        assert row.findtext("identifiers/envelope_to") == "example.test"
        assert row.findtext("auth_results/spf/result") == "pass" and row.findtext("auth_results/spf/scope") == "mfrom"
    root = ET.fromstring(reports["strict.example"][1])
    assert [r.findtext("row/policy_evaluated/disposition") for r in root.iter("record")] == ["reject"]
    # the XML's order of elements is that of RFC 9990's schema
    assert [e.tag for e in root] == ["version", "report_metadata", "policy_published", "record"]
    # sent once: running again finds nothing
    assert server.cli("clerk", "run", "dmarc", "--day", "today", check=False).returncode != 0
    owed = {o["domain"]: o for o in server.json("clerk", "owed")}
    assert owed["sender.example"]["state"] == "sent" and owed["silent.example"]["state"] == "none"
    assert "no reports by mail" in owed["silent.example"]["why"]


def test_a_report_about_us_comes_back_and_is_told(server):
    for _ in range(2):
        assert send(server, "alice@example.test", "alice@example.test", "example.test") == 250
    server.cli("clerk", "run", "dmarc", "--day", "today")
    rows = wait(lambda: server.json("dmarc", "report", "--domain", "example.test", "--since", "2d"))
    assert len(rows) == 1 and rows[0]["sender"] == "127.0.0.1" and rows[0]["messages"] == 2, rows
    assert rows[0]["passed"] == "100.0 %" and rows[0]["verdict"] == "passes"
    listed = server.json("dmarc", "list", "--domain", "example.test")
    assert len(listed) == 1 and listed[0]["from"] == "mail.example.test" and not listed[0]["verified"]
    # nobody vouched for it: the ramp does not weigh it, and says what it would need
    ramp = server.json("dmarc", "ramp", "example.test")
    assert ramp["answer"] == "wait" and ramp["policy"] == "none" and ramp["messages"] == 0
    text = server.cli("dmarc", "ramp", "example.test").stdout
    assert "Not yet: p=quarantine wants 14 days" in text


def report(domain, ident, rows, head=""):
    return (head + f"<feedback><report_metadata><org_name>{ident}</org_name><report_id>{ident}</report_id><date_range>"
            f"<begin>{int(time.time()) - 86400}</begin><end>{int(time.time())}</end></date_range></report_metadata>"
            f"<policy_published><domain>{domain}</domain><p>none</p></policy_published>{rows}</feedback>").encode()


ROW = ("<record><row><source_ip>{ip}</source_ip><count>{n}</count><policy_evaluated><disposition>none</disposition>"
       "<dkim>{dkim}</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>ramp.test</header_from>"
       "</identifiers><auth_results><spf><domain>news.example</domain><result>pass</result></spf></auth_results></record>")


def bring(server, data, check=True):
    with tempfile.NamedTemporaryFile() as f:
        f.write(data)
        f.flush()
        return server.cli("dmarc", "import", f.name, check=check)


def test_a_025_hostile_reports(server):
    server.cli("domain", "add", "hostile.test")
    entities = '<!DOCTYPE feedback [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    row = ROW.format(ip="192.0.2.1", n=1, dkim="pass")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("r.xml", b"<feedback>" + b" " * 200_000_000)
    for data in (report("hostile.test", "&b;", row, entities), bomb.getvalue(), gzip.compress(report("hostile.test", "m", row * 1_000_000)),
                 report("hostile.test", "x", row, '<!DOCTYPE feedback SYSTEM "file:///etc/passwd">'),
                 report("victim.example", "v", row)):
        assert bring(server, data, check=False).returncode != 0
    assert server.json("dmarc", "list", "--domain", "hostile.test") == []
    evil = "x'); DROP TABLE report;-- &lt;script&gt;\x1b[2J"
    bring(server, report("hostile.test", evil.replace("\x1b", "&#x9b;"), row))
    assert len(server.json("dmarc", "list", "--domain", "hostile.test")) == 1
    assert "\x9b" not in server.cli("dmarc", "list", "--domain", "hostile.test").stdout
    # a forged sender: whoever it is, it is not believed
    assert send(server, "noreply@forged.example", "x", rcpt="dmarc-reports@hostile.test", helo="forged.example",
                content=b"From: noreply@other.example\r\nContent-Type: text/xml\r\n\r\n" + report("hostile.test", "forged", row)) == 250
    assert wait(lambda: [r for r in server.json("dmarc", "list", "--domain", "hostile.test") if not r["verified"]])


def test_ramp_both_ways(server):
    server.cli("domain", "add", "ramp.test")
    day = 86400
    for d in range(20):
        for org in ("one.example", "two.example"):
            begin = int(time.time()) - (d + 1) * day
            xml = report("ramp.test", f"{org}-{d}", ROW.format(ip="192.0.2.1", n=10, dkim="pass")).decode()
            xml = re.sub(r"<org_name>.*?</org_name>", f"<org_name>{org}</org_name>", xml)
            xml = re.sub(r"<begin>\d+</begin><end>\d+</end>", f"<begin>{begin}</begin><end>{begin + day - 1}</end>", xml)
            bring(server, xml.encode())
    ramp = server.json("dmarc", "ramp", "ramp.test")
    assert ramp["answer"] == "start" and ramp["days"] == 20 and ramp["messages"] == 400, ramp  # there is no record yet
    assert ramp["record"] == "v=DMARC1; p=none; rua=mailto:dmarc-reports@ramp.test"
    bad = report("ramp.test", "z", ROW.format(ip="198.51.100.9", n=50, dkim="fail"))
    bring(server, bad)
    sender = [r for r in server.json("dmarc", "report", "--domain", "ramp.test", "--since", "60d") if r["sender"] == "198.51.100.9"]
    assert sender[0]["verdict"].startswith("authenticated as somebody else"), sender
