# SPDX-License-Identifier: MIT
"""Attack cases U-016, U-017 and U-022 against a running server. (U-014 and U-015 need a clock and a room of
their own: src/rooms/auth/test_auth.c.)"""
import ssl
import time
import uuid
import warnings

import pytest
from target import plain


def test_U_016_login_behind_starttls(target):
    """What was sent in plain text behind STARTTLS is not run inside TLS, not even a right password"""
    with target.submission() as s:
        secret = plain(target.alice, target.password(target.alice))
        s.send(f"STARTTLS\r\nEHLO x.test\r\nAUTH PLAIN {secret}\r\n".encode())
        if s.reply().code != 220:
            assert s.until_closed(5)
            return
        try:
            s.tls()
        except (ssl.SSLError, OSError):
            return  # cut: nothing was run
        assert s.quiet(1.5) == b"", "injected commands were answered after the handshake"
        assert s.ehlo().code == 250
        assert s.ask("MAIL FROM:<alice@example.test>").code == 530, "logged in by what was injected"


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1", "TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("port", ["submissions", "imaps"])
def test_U_017_versions(target, port, version):
    import socket
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    old = version in ("TLSv1", "TLSv1_1")
    with socket.create_connection((target.host, target.ports[port]), timeout=10) as plain_socket:
        try:
            with context.wrap_socket(plain_socket) as tls:
                assert not old, f"{port} speaks {tls.version()}"
                assert tls.recv(100), "no greeting"
        except ssl.SSLError as e:
            assert old, f"{port} refuses {version}: {e}"


def test_U_022_cached_login_is_nobody_elses(target):
    if target.peer:
        pytest.skip("peer")
    with target.submission(login=target.alice):
        pass  # auth remembers it
    with target.submission() as s:
        assert s.starttls().code == 220
        mixed = plain(target.bob, target.password(target.alice))
        assert s.ask("AUTH PLAIN " + mixed).code == 535
        foreign = plain(target.alice, target.password(target.alice), authzid=target.bob)
        assert s.ask("AUTH PLAIN " + foreign).code in (501, 535)


@pytest.mark.parametrize("how", ["disabled", "given another password"])
def test_U_022_session_of_a_changed_account(target, how):
    if target.peer:
        pytest.skip("peer")
    server, who, password = target.server, f"u022-{uuid.uuid4().hex[:8]}@example.test", "correct horse battery"
    server.add_account(who, password)
    with target.submission() as s, target.imap() as box:
        assert s.starttls().code == 220
        assert s.ask("AUTH PLAIN " + plain(who, password)).code == 235
        assert box.status(f'LOGIN {who} "{password}"')[0] == "OK"
        assert box.status("SELECT INBOX")[0] == "OK"
        if how == "disabled":
            server.cli("account", "disable", who)
        else:
            server.cli("account", "passwd", who, "--password-stdin", stdin="another horse battery\n")
        began = time.monotonic()
        assert box.until_closed(60), "the session lives on"
        assert time.monotonic() - began < 60
        # a submission under way may end, but sends nothing more as the account
        code = s.ask(f"MAIL FROM:<{who}>").code
        assert code != 250 or how != "disabled", "a disabled account goes on sending"
    with target.submission() as s:
        assert s.starttls().code == 220
        assert s.ask("AUTH PLAIN " + plain(who, password)).code == 535
