# SPDX-License-Identifier: MIT
"""Real clients against a started server. Each test sends or reads with a program that people use and
asserts on the content that arrived. The server is that of POSTERN_TRY, else one of our own; with
POSTERN_CASES_PEER=1 Debian's Postfix and Dovecot stand in for it."""
import os
import shutil
import subprocess
import sys
import uuid

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
sys.dont_write_bytecode = True
from target import a_target  # noqa: E402

CLIENT_LIMIT_S = 60


@pytest.fixture(scope="session")
def target():
    with a_target(26000) as t:
        yield t


@pytest.fixture(scope="session")
def cafile(target, tmp_path_factory):
    """The server's certificate, trusted as an owner would trust it before certificates come."""
    return target.server.certificate(str(tmp_path_factory.mktemp("tls") / "cert.pem"))


@pytest.fixture(scope="session")
def hostname(cafile):
    from server import certificate_names
    return certificate_names(cafile)[0]


@pytest.fixture
def token():
    return "tok" + uuid.uuid4().hex


@pytest.fixture
def home(tmp_path):
    """A home for programs that keep files there"""
    (tmp_path / "home").mkdir(mode=0o700)
    return tmp_path / "home"


@pytest.fixture
def run(home):
    """Runs a client; its output is in the failure. Fails when the client is absent: a system test
    that cannot run has not passed."""
    def runner(*words, stdin=None, expect=(0,), timeout=CLIENT_LIMIT_S):
        assert shutil.which(words[0]), f"{words[0]} is not installed"
        done = subprocess.run([str(w) for w in words], input=stdin, capture_output=True, text=True,
                              errors="replace", timeout=timeout,
                              env={**os.environ, "HOME": str(home), "LC_ALL": "C.UTF-8"})
        assert expect is None or done.returncode in expect, \
            f"{words[0]}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done
    return runner


@pytest.fixture
def arrived(target):
    """The one message in a mailbox that holds a token, parsed"""
    import email
    import email.policy

    def look(address, token, count=1):
        with target.box(address) as box:
            found = box.find(token, count=count)
        assert len(found) == count, f"{len(found)} messages with {token} for {address}"
        return email.message_from_bytes(found[-1], policy=email.policy.default)
    return look
