# SPDX-License-Identifier: MIT
"""Thunderbird as a person uses it: alice reads a message in the window, writes one to bob, and sees the next one
come in without asking. build-logs/thunderbird.png shows the window."""
import base64
import os
import re
import smtplib
import ssl

from marionette import Thunderbird

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

COMMON = """
    const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
    const account = MailServices.accounts.accounts[0], server = account.incomingServer;
    const inbox = server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox);
    const until = async (what, test) => {
        for (let i = 0; i < 300; i++) {
            const found = test();
            if (found) return found;
            await new Promise(r => setTimeout(r, 100));
        }
        throw new Error("in vain: " + what);
    };
    const message = text => [...inbox.messages].find(h => h.subject.includes(text));
    const tabs = document.getElementById("tabmail");
"""

# what the owner clicks when asked about the certificate and the password
TRUST = """
    const [host, ports, certificate, user, password] = a;
    const cert = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB)
        .constructX509FromBase64(certificate);
    const exceptions = Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService);
    for (const port of ports) exceptions.rememberValidityOverride(host, port, {}, cert, false);
    for (const origin of ["imap://" + host, "smtp://" + host]) {
        const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
        login.init(origin, null, origin, user, password, "", "");
        await Services.logins.addLoginAsync(login);
    }
    return "trusted";
"""

READ = """
    const pane = tabs.currentAbout3Pane;
    pane.displayFolder(inbox);
    const header = await until("the message in INBOX", () => message(a[0]));
    pane.threadTree.selectedIndex = pane.gDBView.findIndexOfMsgHdr(header, true);
    const shown = () => tabs.currentAboutMessage?.getMessagePaneBrowser()?.contentDocument?.body?.textContent;
    return await until("its text in the window", () => shown()?.includes(a[0]) && shown());
"""

SEND = """
    const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
    [fields.to, fields.subject, fields.body] = a;
    const p = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
    [p.composeFields, p.identity] = [fields, account.defaultIdentity];
    [p.type, p.format] = [Ci.nsIMsgCompType.New, Ci.nsIMsgCompFormat.PlainText];
    MailServices.compose.OpenComposeWindowWithParams(null, p);
    const window = await until("a window to write in", () => {
        const w = Services.wm.getMostRecentWindow("msgcompose");
        return w?.gMsgCompose?.editor && !w.document.getElementById("button-send").disabled && w;
    });
    await until("the text", () => window.gMsgCompose.editor.outputToString("text/plain", 0).includes(a[2]));
    window.goDoCommand("cmd_sendNow");
    await until("the window to close", () => window.closed);
    return "sent";
"""


def preferences(target, hostname, address):
    """An account as the assistant would write it"""
    return {
        "mail.accountmanager.accounts": "account1", "mail.accountmanager.defaultaccount": "account1",
        "mail.account.account1.server": "server1", "mail.account.account1.identities": "id1",
        "mail.server.server1.type": "imap", "mail.server.server1.hostname": hostname,
        "mail.server.server1.port": target.ports["imaps"], "mail.server.server1.userName": address,
        "mail.server.server1.name": address, "mail.server.server1.socketType": 3,
        "mail.server.server1.authMethod": 3, "mail.server.server1.login_at_startup": False,
        "mail.server.server1.check_new_mail": False,
        "mail.identity.id1.fullName": "Alice", "mail.identity.id1.useremail": address,
        "mail.identity.id1.valid": True, "mail.identity.id1.smtpServer": "smtp1",
        "mail.identity.id1.compose_html": False,
        "mail.smtpservers": "smtp1", "mail.smtp.defaultserver": "smtp1",
        "mail.smtpserver.smtp1.hostname": hostname,
        "mail.smtpserver.smtp1.port": target.ports["submission"],
        "mail.smtpserver.smtp1.username": address, "mail.smtpserver.smtp1.try_ssl": 2,
        "mail.smtpserver.smtp1.authMethod": 3,
        "network.dns.localDomains": hostname,  # the name leads to this machine
    }


def deliver(target, subject, text):
    with smtplib.SMTP(target.host, target.ports["smtp"], timeout=30) as s:
        s.sendmail("someone@sender.test", [target.alice],
                   f"From: Some One <someone@sender.test>\r\nTo: <{target.alice}>\r\nSubject: {subject}\r\n"
                   f"Message-ID: <{subject.replace(' ', '.')}@sender.test>\r\n\r\n{text}\r\n")


def test_read_write_and_be_told(target, home, token, arrived, cafile, hostname):
    with open(cafile) as f:
        certificate = base64.b64encode(ssl.PEM_cert_to_DER_cert(f.read())).decode()
    deliver(target, f"first {token}", f"the first body of {token}")
    with Thunderbird(home, preferences(target, hostname, target.alice)) as t:
        assert t.js(COMMON + TRUST, hostname, [target.ports["imaps"], target.ports["submission"]],
                    certificate, target.alice, target.password(target.alice)) == "trusted"
        assert f"the first body of {token}" in t.js(COMMON + READ, token)
        if os.path.isdir(TOP + "/build-logs"):
            t.screenshot(TOP + "/build-logs/thunderbird.png")
        assert t.js(COMMON + SEND, target.bob, f"from thunderbird {token}",
                    f"written in a window {token}") == "sent"
        m = arrived(target.bob, token)
        assert m["User-Agent"].startswith("Mozilla Thunderbird") and target.alice in m["From"]
        assert f"written in a window {token}" in m.get_content()
        # nothing asks for it: IDLE tells
        deliver(target, f"second {token}", f"the second body of {token}")
        assert t.js(COMMON + "return (await until('news', () => message(a[0]))).subject;",
                    f"second {token}") == f"second {token}"
        # its own words: who it says it is, and how it got the mail
        said = t.imap_log()
        for word in (r'ID \("name" "Thunderbird"', "UID fetch .*BODY", "IDLE"):
            assert re.search(r"SendData: \d+ " + word, said), word
        # the folders that Postern made are the ones that it uses
        assert t.js(COMMON + """
            const f = Ci.nsMsgFolderFlags;
            return [f.SentMail, f.Drafts, f.Trash, f.Junk, f.Archive]
                .map(flag => server.rootFolder.getFolderWithFlags(flag)?.URI.split("/").pop()).join(" ");
            """) == "Sent Drafts Trash Junk Archive"
    if not target.peer:
        log = "\n".join(target.log(60))
        for word in ("service=imap", "service=submission"):
            assert any("login.ok" in x and target.alice in x and word in x for x in log.split("\n")), word
        assert any("mailbox.appended" in x and "folder=Sent" in x for x in log.split("\n"))
