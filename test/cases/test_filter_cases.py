# SPDX-License-Identifier: MIT
"""Header and body checks over the real port: what each action does to a message, in both directions; errors in
the file of rules; what a pattern that cannot be tried to its end means."""
import email
import os
import smtplib
import subprocess
import sys
import time
import types
import uuid

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from boxes import Mailbox  # noqa: E402
from elsewhere import PASSWORD, House  # noqa: E402

if os.environ.get("POSTERN_CASES_PEER"):
    pytest.skip("a peer has other rules", allow_module_level=True)

ROOT = ". DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
RULES = r"""
# a rule for each action; messages name theirs in X-Do
[header in]
/^Received:.*\[127\.0\.0\.1\]/  WARN handed in on a loopback
/^Subject: (.*)urgent(.*)/      REPLACE Subject: $1calm$2
/^X-Secret:/                    REMOVE
if /^X-Do:/
/ refuse (\w+)/                 REJECT 554 5.7.0 not $1 here
/ later/                        REJECT 4.7.1 come again
/ prepend (\S+)/                PREPEND X-Mark: $1
/ hold/                         HOLD somebody
 should look
/ junk/                         JUNK looks like it
/ redirect/                     REDIRECT bob@example.test
/ nowhere/                      REDIRECT gone@example.test
/ discard/                      DISCARD not wanted
/ accept/                       ACCEPT
/ slow ((a+)+)$/                REJECT
/ points/                       SCORE 4
endif
/^X-Also: points/               SCORE 3
threshold 5                     JUNK many points
threshold 7                     REJECT 5.7.1 too many points

[mime-header in]
/^Content-.*name="?[^"]*\.exe/  REJECT 5.7.1 no programs

[body in]
/^forbidden (\w+)$/             REJECT 5.7.1 $1 is forbidden
/^dirty/                        REPLACE clean

[header out]
/^User-Agent:/                  REMOVE
/^Subject: leak/                REJECT 5.7.1 this stays here
/^To:/                          PREPEND X-Seen: on its way out
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    rules = tmp_path_factory.mktemp("filter") / "filter.rules"
    rules.write_text(RULES)
    names = types.SimpleNamespace(port=9, anchor=ROOT)
    with House(names, 9, more=f'filter = "{rules}"') as house:
        house.rules = rules
        yield house


@pytest.fixture(autouse=True)
def common_rule(house):
    """No room has died, log lines are printable."""
    deaths, began = house.status()["deaths"], time.monotonic()
    yield
    assert house.status()["deaths"] == deaths, "a room has died"
    for line in house.log_lines(time.monotonic() - began):
        assert all(0x20 <= ord(c) < 0x7f for c in line), line


def give(house, *fields, body="hello\r\n", to="alice@example.test"):
    """A stranger's message with these fields; (code, text), and its token."""
    token = "tok" + uuid.uuid4().hex
    with smtplib.SMTP("127.0.0.1", house.ports["smtp"], "client.test", timeout=30) as s:
        s.ehlo()
        s.mail("stranger@sender.test")
        assert s.rcpt(to)[0] == 250
        text = "\r\n".join((f"X-Token: {token}", "From: stranger@sender.test", *fields)) + "\r\n\r\n" + body
        code, said = s.data(text.encode())
    return code, said.decode(), token


def stored(house, token, address="alice@example.test", folder="INBOX", within=10.0):
    with Mailbox(types.SimpleNamespace(host="127.0.0.1", ports=house.ports, password=lambda a: PASSWORD), address,
                 folder) as box:
        found = box.find(token, within=within)
    return email.message_from_bytes(found[0]) if found else None


def test_nothing_matches(house):
    code, _, token = give(house, "Subject: plain", "X-Other: 1")
    assert code == 250
    m = stored(house, token)
    assert m["Subject"] == "plain" and m["X-Other"] == "1"


def test_reject_with_own_text(house):
    code, said, token = give(house, "X-Do: refuse \x07bells", "Subject: x")
    assert code == 250, "what the pattern does not match is not refused"
    code, said, token = give(house, "X-Do:", "\trefuse\tfolded", "X-Do: refuse bells")
    assert (code, said) == (554, "5.7.0 not bells here")
    assert stored(house, token, within=0.5) is None
    hit = house.wait_event("filter.hit", action="REJECT", text="not bells here")
    assert hit["line"] == "X-Do: refuse bells" and hit["rule"].startswith("line ")


def test_reject_for_now(house):
    code, said, _ = give(house, "X-Do: later")
    assert (code, said) == (450, "4.7.1 come again")


def test_the_rule_about_the_loopback_warns(house):
    code, _, token = give(house, "Subject: our own field names 127.0.0.1, too")
    assert code == 250 and "[127.0.0.1]" in stored(house, token)["Received"]
    assert not [e for e in house.events("filter.hit") if e["action"] == "WARN"], "our own field is not theirs"
    code, _, token = give(house, "Received: from x (x [127.0.0.1])", "\tby y; today")
    assert code == 250 and stored(house, token) is not None
    assert house.wait_event("filter.hit", action="WARN", text="handed in on a loopback")


def test_prepend_replace_remove(house):
    code, _, token = give(house, "X-Secret: one", "\ttwo", "X-Do: prepend ok", "Subject: very urgent", " matter", "X-Secret: 3",
                          body="dirty words\r\nand others\r\n")
    assert code == 250
    m = stored(house, token)
    assert m["X-Mark"] == "ok" and m["X-Secret"] is None and m["Subject"] == "very calm matter"
    assert m.keys().index("X-Mark") + 1 == m.keys().index("X-Do")
    assert m.get_payload() == "clean\r\nand others\r\n"


def test_hold_and_release(house):
    code, _, token = give(house, "X-Do: hold")
    assert code == 250
    held = [q for q in house.json("queue", "list") if q["state"] == "held"]
    assert len(held) == 1 and "somebody should look" in held[0]["reason"]
    assert stored(house, token, within=0.5) is None
    house.cli("queue", "release", held[0]["id"])
    assert stored(house, token) is not None


def test_junk(house):
    code, _, token = give(house, "X-Do: junk")
    assert code == 250 and stored(house, token, folder="Junk") is not None


def test_points(house):
    code, _, token = give(house, "X-Do: points", "X-Do: points")
    assert code == 250 and stored(house, token) is not None, "a rule counts once"
    code, said, _ = give(house, "X-Do: points", "X-Also: points")
    assert (code, said) == (550, "5.7.1 too many points")


def test_redirect(house):
    code, _, token = give(house, "X-Do: redirect")
    assert code == 250
    assert stored(house, token, "bob@example.test") is not None
    assert stored(house, token, within=0.5) is None
    assert house.wait_event("filter.redirected", to="bob@example.test")


def test_redirect_to_where_nobody_is(house):
    code, said, token = give(house, "X-Do: nowhere")
    assert code == 451 and said.startswith("4.3.5 "), (code, said)
    assert stored(house, token, within=0.5) is None


def test_discard(house):
    code, _, token = give(house, "X-Do: discard")
    assert code == 250 and stored(house, token, within=1.0) is None
    assert house.wait_event("filter.hit", action="DISCARD", text="not wanted")


def test_accept_ends_it(house):
    code, _, token = give(house, "X-Do: accept", "X-Do: refuse all", body="forbidden fruit\r\n")
    assert code == 250 and stored(house, token) is not None


def test_body_and_attachments(house):
    assert give(house, body="forbidden fruit\r\n")[:2] == (550, "5.7.1 fruit is forbidden")
    mixed = ("MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="b"')
    part = '--b\r\nContent-Type: application/octet-stream;\r\n name="a.{}"\r\n\r\nx\r\n--b--\r\n'
    assert give(house, *mixed, body=part.format("exe"))[:2] == (550, "5.7.1 no programs")
    inside = f'--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{part}--b--\r\n'
    assert give(house, *mixed, body=inside.replace("--b\r\nContent-Type: app", "--c\r\nContent-Type: app").format("exe")
                )[:2] == (550, "5.7.1 no programs")
    assert give(house, *mixed, body=part.format("txt"))[0] == 250
    # base64 is looked at as it comes
    assert give(house, "Content-Transfer-Encoding: base64", body="Zm9yYmlkZGVuIGZydWl0\r\n")[0] == 250


def test_a_pattern_without_end(house):
    began = time.monotonic()
    code, said, token = give(house, "X-Do: slow " + "a" * 900 + "!")
    assert code == 451 and said.startswith("4.7.1 "), (code, said)
    assert time.monotonic() - began < 5
    assert stored(house, token, within=0.5) is None
    assert house.wait_event("filter.failed", action="REJECT")


def test_out(house):
    token = "tok" + uuid.uuid4().hex
    house.submit("bob@example.test", text=f"To: bob@example.test\r\nUser-Agent: x\r\nSubject: urgent\r\nX-Do: refuse me\r\n"
                 f"X-Token: {token}\r\n\r\nhello\r\n")
    m = stored(house, token, "bob@example.test")
    assert m["User-Agent"] is None and m["X-Seen"] == "on its way out" and m["Subject"] == "urgent"
    with pytest.raises(AssertionError, match="this stays here"):
        house.submit("bob@example.test", text="Subject: leak\r\n\r\nhello\r\n")


def test_explain(house):
    code, _, token = give(house, "X-Do: refuse bells")
    hit = [e for e in house.events("filter.hit") if e["action"] == "REJECT"][-1]
    assert code == 554 and "not bells here" in house.cli("explain", hit["queue_id"]).stdout


def test_postern_filter_test(house, tmp_path):
    mail = tmp_path / "mail"
    mail.write_bytes(b"Subject: so urgent\nX-Do: refuse cats\n\nhi\n")
    said = house.cli("filter", "test", str(mail)).stdout
    assert "REJECT not cats here" in said and "reject: 554 5.7.0 not cats here" in said
    assert "- Subject: so urgent" in said and "+ Subject: so calm" in said
    assert house.cli("filter", "test", str(mail), "--message").stdout.splitlines()[0] == "Subject: so calm"
    out = house.json("filter", "test", str(mail), "--direction", "out")
    assert out["verdict"] == "accept" and out["hits"] == []


def run(house, *words):
    return subprocess.run([house.binary, "--config", house.config, *words], capture_output=True, text=True, timeout=60)


def test_errors_have_a_place(house):
    """Last: what a reload does with rules that are wrong, and with rules that are right."""
    good = house.rules.read_text()
    house.rules.write_text("/a/ WARN\n\n/b(/ REJECT\n/c/ FROB\n")
    pids = house.rooms()
    for words in (("filter", "check"), ("config", "check")):
        done = run(house, *words)
        assert done.returncode == 78 and f"{house.rules}:4:5: no such action" in done.stderr
    done = run(house, "reload")
    assert done.returncode != 0 and ":4:5: no such action" in done.stderr + done.stdout
    assert house.rooms() == pids, "nothing was started again"
    assert give(house, "X-Do: refuse bells")[0] == 554, "the old rules hold"
    house.rules.write_text("[header]\n/b(/ REJECT\n")
    done = run(house, "reload")
    assert done.returncode != 0 and ":2:4: in the pattern: missing closing parenthesis" in done.stderr + done.stdout
    house.rules.write_text(good + "\n[header in]\n/^X-New:/ REJECT 5.7.1 new\n")
    assert run(house, "reload").returncode == 0
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            if give(house, "X-New: 1")[:2] == (550, "5.7.1 new"):
                break
        except (OSError, smtplib.SMTPException, AssertionError):
            pass
        time.sleep(0.2)
    assert give(house, "X-New: 1")[:2] == (550, "5.7.1 new")


def test_does_not_start_with_wrong_rules(house):
    good = house.rules.read_text()
    house.cli("stop", timeout=60)
    house.rules.write_text("/a/\n")
    done = run(house, "start")
    assert done.returncode == 78 and f"{house.rules}:1:4: an action is expected here" in done.stderr
    house.rules.unlink()
    done = run(house, "start")
    assert done.returncode == 78 and "cannot be read: No such file" in done.stderr
    house.rules.write_text(good)
    house.cli("start", timeout=60)
    assert give(house, "X-New: 1")[0] == 550
