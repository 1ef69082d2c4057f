# SPDX-License-Identifier: MIT
"""A started Postern seen from outside: where its ports are, who may log in, which processes it
consists of, what its command line says.

The server lives under a directory as `./quickstart --try DIR` makes it. Environment:

  POSTERN_TRY        the directory (default: ./try)
  POSTERN_BIN        the `postern` command (default: the newest of the build folders)
  POSTERN_HOST       where it listens (default: 127.0.0.1)
  POSTERN_PORT_BASE  added to every port (default: 0)
  POSTERN_PORTS      `smtp=2525,imap=2143,...` instead, port by port
"""
import contextlib
import glob
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PORTS = {"smtp": 2525, "submission": 2587, "submissions": 2465, "imap": 2143, "imaps": 2993}
DOMAIN = "example.test"


def find_binary():
    """The `postern` command: from the environment, else the newest one built here."""
    if os.environ.get("POSTERN_BIN"):
        return os.environ["POSTERN_BIN"]
    found = [p for p in glob.glob(TOP + "/build*/src/cli/postern") + glob.glob(TOP + "/build*/postern")
             if os.access(p, os.X_OK)]
    return max(found, key=os.path.getmtime) if found else "postern"


def children():
    """parent pid -> [pid] for every process of the machine."""
    tree = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as f:
                after = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        if after[0] != "Z":
            tree.setdefault(int(after[1]), []).append(int(name))
    return tree


def descendants(pid):
    """pid and all that came from it, alive now."""
    tree, found, todo = children(), [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += tree.get(one, [])
    return found


def process_name(pid):
    """The room of a process: the file name of its executable, with its first argument if any."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            words = [w.decode("latin-1") for w in f.read().split(b"\0") if w]
        with open(f"/proc/{pid}/comm") as f:
            comm = f.read().strip()
    except OSError:
        return "gone"
    return os.path.basename(words[0]).split()[0] if words else comm


def answers(host, port, deadline=1.0):
    """True when a server accepts there."""
    try:
        socket.create_connection((host, port), timeout=deadline).close()
        return True
    except OSError:
        return False


def insecure_context():
    """For fetching a self-signed certificate, and for attacks that do not care who answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def quickstart(directory, port_base):
    """`./quickstart --try directory`: builds, installs beneath it and starts. Returns the Server."""
    log = directory.rstrip("/") + ".quickstart.log"
    with open(log, "wb") as f:  # a file, not a pipe: a daemon may keep it open
        done = subprocess.run([TOP + "/quickstart", "--try", directory, "--port-base", str(port_base)],
                              cwd=TOP, stdin=subprocess.DEVNULL, stdout=f, stderr=f)
    if done.returncode != 0:
        Server(directory).stop()
        with open(log, encoding="utf-8", errors="replace") as f:
            raise SystemExit(f"quickstart: exit {done.returncode}\n" + f.read()[-3000:])
    os.environ["POSTERN_PORT_BASE"] = str(port_base)
    return Server(directory)


@contextlib.contextmanager
def a_server(port_base):
    """The server of POSTERN_TRY; without that, one of our own, stopped and removed at the end."""
    if os.environ.get("POSTERN_TRY"):
        yield Server()
        return
    directory = tempfile.mkdtemp(prefix="postern-test-")
    os.chmod(directory, 0o755)
    server = None
    try:
        server = quickstart(directory + "/try", port_base)
        yield server
    finally:
        if server is not None:
            server.stop()
        if not os.environ.get("POSTERN_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


class Server:
    """One started server. Every method that talks raises OSError when nobody answers."""

    def __init__(self, directory=None):
        self.dir = os.path.abspath(directory or os.environ.get("POSTERN_TRY", "try"))
        self.config = self.dir + "/postern.conf"
        self.host = os.environ.get("POSTERN_HOST", "127.0.0.1")
        base = int(os.environ.get("POSTERN_PORT_BASE", "0"))
        self.ports = {name: port + base for name, port in PORTS.items()}
        for pair in filter(None, os.environ.get("POSTERN_PORTS", "").split(",")):
            name, _, port = pair.partition("=")
            self.ports[name] = int(port)
        own = self.dir + "/.root/usr/bin/postern"
        self.binary = own if os.access(own, os.X_OK) else find_binary()

    # -- accounts ----------------------------------------------------------------------------

    def passwords(self):
        """address -> password, from DIR/passwords."""
        found = {}
        with open(self.dir + "/passwords") as f:
            for line in f:
                words = line.split()
                if len(words) >= 2:
                    found[words[0]] = words[1]
        return found

    def password(self, address):
        return self.passwords()[address]

    def add_account(self, address, password):
        """Makes an account with a known password. One that exists keeps its own password."""
        done = self.cli("account", "add", address, "--password-stdin", stdin=password + "\n",
                        check=False)
        if done.returncode != 0 and "exist" not in (done.stderr + done.stdout):
            raise OSError(f"account add {address}: {done.stderr.strip() or done.stdout.strip()}")

    # -- the command line --------------------------------------------------------------------

    def cli(self, *words, stdin="", check=True, timeout=30):
        """Runs `postern --config FILE words...`, returns the CompletedProcess."""
        done = subprocess.run([self.binary, "--config", self.config, *words], input=stdin,
                              capture_output=True, text=True, timeout=timeout)
        if check and done.returncode != 0:
            raise OSError(f"postern {' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
        return done

    def json(self, *words):
        """The parsed --json answer; one object, one list, or a list made of JSON lines."""
        text = self.cli(*words, "--json").stdout
        try:
            return json.loads(text)
        except ValueError:
            return [json.loads(line) for line in text.splitlines() if line.strip()]

    def status(self):
        """What `postern status --json` says: rooms, deaths, alarms, listeners."""
        return self.json("status")

    def rooms(self):
        """[(room or room/instance, pid)] of the rooms that run and are ready."""
        found = []
        for row in self.status()["rooms"]:
            if row.get("pid") and row.get("state", "ready") == "ready":
                label = row.get("instance") or ""
                found.append((f"{row['room']}/{label}" if label else row["room"], int(row["pid"])))
        return found

    def queue_length(self):
        return len(self.json("queue", "list"))

    def log_lines(self, seconds):
        """The lines for people of the last so many seconds."""
        return self.cli("log", "--since", f"{int(seconds) + 1}s", "--last", "100000").stdout.splitlines()

    # -- processes ---------------------------------------------------------------------------

    def warden(self):
        with open(self.dir + "/run/warden.pid") as f:
            return int(f.read().split()[0])

    def pids(self):
        return descendants(self.warden())

    def start(self, preexec=None, environment=None, timeout=20.0):
        """Starts the server of an existing directory; returns the seconds until all ports answer."""
        began = time.monotonic()
        log = open(self.dir + "/start.log", "ab")
        self.starter = subprocess.Popen([self.binary, "--config", self.config, "start"],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        preexec_fn=preexec, start_new_session=True,
                                        env={**os.environ, **(environment or {})})
        log.close()
        self.wait_ports(timeout)
        return time.monotonic() - began

    def wait_ports(self, timeout=20.0):
        end = time.monotonic() + timeout
        missing = sorted(self.ports.values())
        while missing:
            missing = [p for p in missing if not answers(self.host, p)]
            if missing and time.monotonic() > end:
                raise OSError(f"no answer on ports {missing} after {timeout} s")
            if missing:
                time.sleep(0.005)

    def stop(self, timeout=20.0):
        try:
            pids = self.pids()
        except (OSError, IndexError, ValueError):
            return
        self.cli("stop", check=False)
        end = time.monotonic() + timeout
        while any(os.path.exists(f"/proc/{p}") for p in pids) and time.monotonic() < end:
            if getattr(self, "starter", None) is not None:
                self.starter.poll()
            time.sleep(0.02)

    def pss_kib(self):
        """(sum, {process: KiB}) of the proportional set size of all processes."""
        return pss_kib(self.pids())

    # -- certificates ------------------------------------------------------------------------

    def certificate(self, path):
        """Writes the certificate that the server shows on submissions to path, for --cafile."""
        with socket.create_connection((self.host, self.ports["submissions"]), timeout=10) as plain:
            with insecure_context().wrap_socket(plain) as tls:
                pem = ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))
        with open(path, "w") as f:
            f.write(pem)
        return path


def pss_kib(pids):
    total, each = 0, {}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                kib = next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
        total += kib
        each[f"{process_name(pid)}[{pid}]"] = kib
    return total, each


def certificate_names(path):
    """The names a PEM certificate is for."""
    text = subprocess.run(["openssl", "x509", "-in", path, "-noout", "-subject", "-ext",
                           "subjectAltName"], capture_output=True, text=True).stdout
    names = [w.strip().split("DNS:")[1] for w in text.replace("\n", ",").split(",") if "DNS:" in w]
    if not names and "CN" in text:
        names = [text.split("CN")[1].split("=")[1].split(",")[0].split("\n")[0].strip()]
    return names
