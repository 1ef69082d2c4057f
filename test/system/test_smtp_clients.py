# SPDX-License-Identifier: MIT
"""swaks, curl and Python's smtplib as senders: port 25 plain and with STARTTLS, 587, 465, PLAIN, LOGIN."""
import smtplib
import ssl
from email.message import EmailMessage

import pytest


def swaks(run, target, port, token, *more, to=None, sender="someone@sender.test"):
    return run("swaks", "--server", target.host, "--port", target.ports[port], "--ehlo",
               "client.sender.test", "--from", sender, "--to", to or target.alice, "--header",
               f"Subject: swaks {token}", "--body", f"Grüße, {token}\n.\n..two dots", *more)


def test_swaks_plain(target, run, token, arrived):
    said = swaks(run, target, "smtp", token).stdout
    assert "250" in said
    m = arrived(target.alice, token)
    assert m["Subject"] == f"swaks {token}"
    assert m["Return-Path"] == "<someone@sender.test>"
    assert m["Delivered-To"] == target.alice
    assert "client.sender.test" in m.get_all("Received")[0]
    assert m.get_payload(decode=True).decode().replace("\r\n", "\n").rstrip() == \
        f"Grüße, {token}\n.\n..two dots"


def test_swaks_starttls(target, run, token, arrived, cafile, hostname):
    said = swaks(run, target, "smtp", token, "--tls", "--tls-verify", "--tls-ca-path", cafile,
                 "--tls-sni", hostname).stdout
    assert "TLSv1.3" in said or "TLSv1.2" in said
    m = arrived(target.alice, token)
    assert "ESMTPS" in m.get_all("Received")[0]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("port,tls", [("submission", "--tls"), ("submissions", "--tls-on-connect")])
def test_swaks_authenticated(target, run, token, arrived, port, tls, mechanism):
    said = swaks(run, target, port, token, tls, "--auth", mechanism, "--auth-user", target.alice,
                 "--auth-password", target.password(target.alice), sender=target.alice,
                 to=target.bob).stdout
    assert "235" in said
    m = arrived(target.bob, token)
    assert m["Return-Path"] == f"<{target.alice}>"
    if not target.peer:
        assert "ESMTPSA" in m.get_all("Received")[0]


def test_swaks_wrong_password(target, run, token):
    done = swaks_expecting_failure(run, target, token)
    assert "535" in done.stdout


def swaks_expecting_failure(run, target, token):
    return run("swaks", "--server", target.host, "--port", target.ports["submission"], "--tls", "--auth",
               "PLAIN", "--auth-user", target.alice, "--auth-password", "wrong-" + token, "--from",
               target.alice, "--to", target.bob, expect=(28,))


def test_swaks_unknown_recipient(target, run, token):
    done = run("swaks", "--server", target.host, "--port", target.ports["smtp"], "--from",
               "x@sender.test", "--to", f"{token}@example.test", expect=(24,))
    assert "550 5.1.1" in done.stdout


def curl(run, target, hostname, cafile, scheme, port, *more, **kind):
    return run("curl", "-sSv", "--max-time", 30, "--cacert", cafile, "--resolve",
               f"{hostname}:{target.ports[port]}:{target.host}",
               f"{scheme}://{hostname}:{target.ports[port]}" + kind.pop("path", ""), *more, **kind)


def text(token, subject="curl"):
    return f"From: <someone@sender.test>\nTo: <bob@example.test>\nSubject: {subject} {token}\n\nby curl\n.\nend\n"


def test_curl_starttls(target, run, token, arrived, cafile, hostname):
    curl(run, target, hostname, cafile, "smtp", "smtp", "--ssl-reqd", "--crlf", "--mail-from",
         "someone@sender.test", "--mail-rcpt", target.bob, "-T", "-", path="/client.sender.test",
         stdin=text(token))
    m = arrived(target.bob, token)
    assert m.get_payload() == "by curl\r\n.\r\nend\r\n" or m.get_payload() == "by curl\n.\nend\n"


@pytest.mark.parametrize("scheme,port", [("smtp", "submission"), ("smtps", "submissions")])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_curl_authenticated(target, run, token, arrived, cafile, hostname, scheme, port, mechanism):
    curl(run, target, hostname, cafile, scheme, port, "--ssl-reqd", "--crlf", "--login-options",
         f"AUTH={mechanism}", "-u", f"{target.alice}:{target.password(target.alice)}", "--mail-from",
         target.alice, "--mail-rcpt", target.bob, "-T", "-",
         stdin=text(token).replace("someone@sender.test", target.alice))
    assert arrived(target.bob, token)["From"].addresses[0].addr_spec == target.alice


def test_smtplib(target, token, arrived, cafile):
    context = ssl.create_default_context(cafile=cafile)
    context.check_hostname = False
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = target.alice, target.bob, f"smtplib {token} Straße"
    m.set_content("Text mit Umlauten: äöü\n" * 50)
    m.add_attachment(bytes(range(256)) * 400, maintype="application", subtype="octet-stream",
                     filename="alle bytes.bin")
    with smtplib.SMTP(target.host, target.ports["submission"], timeout=30) as s:
        s.starttls(context=context)
        s.login(target.alice, target.password(target.alice))
        assert s.send_message(m) == {}
    got = arrived(target.bob, token)
    assert got["Subject"] == f"smtplib {token} Straße"
    parts = list(got.iter_attachments())
    assert parts[0].get_content() == bytes(range(256)) * 400
    assert parts[0].get_filename() == "alle bytes.bin"


def test_smtplib_many_in_one_session(target, token, arrived):
    with smtplib.SMTP_SSL(target.host, target.ports["submissions"], timeout=30,
                          context=insecure()) as s:
        s.login(target.alice, target.password(target.alice))
        for k in range(30):
            s.sendmail(target.alice, [target.alice, target.bob],
                       f"From: <{target.alice}>\r\nSubject: {token} {k}\r\n\r\nnumber {k}\r\n")
    for who in (target.alice, target.bob):
        arrived(who, token, count=30)


def insecure():
    from server import insecure_context
    return insecure_context()


def test_size_is_refused_in_the_session(target, token):
    with smtplib.SMTP(target.host, target.ports["smtp"], timeout=30) as s:
        s.ehlo()
        limit = int(s.esmtp_features["size"])
        code, words = s.mail("x@sender.test", [f"SIZE={limit + 1}"])
        assert code == 552, words
