"""The programs of an edge and of the way in, run as docs/operations.md says, with the files of deploy/. For the tests
and for ./dev bench edge."""
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

import requests

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
sys.path.insert(0, str(DEPLOY))
import render  # noqa: E402

PATIENCE_S = 60


def fill(template, **values):
    """A template of deploy/ with values in place, a text or a list each."""
    lists = {name: list(value) if isinstance(value, (list, tuple)) else [str(value)] for name, value in values.items()}
    return render.render((DEPLOY / template).read_text(), lists)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(happens, what):
    deadline = time.monotonic() + PATIENCE_S
    while not (result := happens()):
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)
    return result


def program(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    assert path, f"{name} is not here; ./dev test edge installs it"
    return path


def sign(key, track, version, ceiling="lossless", life_s=3600):
    """A token as src/service/streaming/edge_token.h has it."""
    text = f"{int(time.time()) + life_s}~{track}.{version}.{ceiling}"
    return f"{text}~{hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()}"


def keys_of(path):
    return [line.split()[1] for line in pathlib.Path(path).read_text().splitlines()]


class Program:
    """A program in the background; what it says goes into folder/NAME.log."""

    def __init__(self, folder, name, *command):
        self.folder, self.name, self.command = folder, name, command
        self.process = None

    def run(self):
        with open(self.folder / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.folder)
        return self

    def said(self):
        return (self.folder / f"{self.name}.log").read_text(errors="replace")

    def end(self, number=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)


class Edge:
    """Either kind. values go into the template."""

    def __init__(self, folder, origins, keys, **values):
        self.folder, self.origins, self.keys = folder, origins, keys
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.values = values
        folder.chmod(0o755)

    def start(self):
        self.take_keys()
        self.write()
        self.program.run()
        until(self.answers, f"{self.program.command[0]} answers: {self.program.said()}")
        return self

    def answers(self):
        assert self.program.process.poll() is None, self.program.said()
        try:
            return requests.get(self.url + "/healthz", timeout=2).status_code == 200
        except requests.ConnectionError:
            return False

    def stop(self):
        self.program.end()

    def at(self, url):
        """A media address of any host, at this edge."""
        parts = urllib.parse.urlsplit(url)
        return self.url + parts.path

    def get(self, path, **options):
        return requests.get(path if path.startswith("http") else self.url + path, timeout=20, **options)


class Varnish(Edge):
    UNITS = "object"

    def take_keys(self):
        subprocess.run([DEPLOY / "edge-keys.sh", "varnish", self.keys, self.folder / "keys.vcl"], check=True)

    def write(self):
        (self.folder / "edge.vcl").write_text(
            fill("varnish/edge.vcl", ORIGIN=self.origins, KEYS=self.folder / "keys.vcl", **self.values))
        self.program = Program(
            self.folder, "varnishd", program("varnishd"), "-F", "-j", "none", "-n", str(self.folder / "work"),
            "-a", f"127.0.0.1:{self.port}", "-f", str(self.folder / "edge.vcl"), "-s", "malloc,256m",
            "-p", "vsl_mask=-ReqURL,-BereqURL,-ReqHeader,-BereqHeader,-HttpGarbage", "-p", "http_gzip_support=off")

    def admin(self, *words):
        done = subprocess.run([program("varnishadm"), "-t", "60", "-n", str(self.folder / "work"), *words], capture_output=True,
                              text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def reload(self):
        name = f"anew{time.monotonic_ns()}"
        self.admin("vcl.load", name, str(self.folder / "edge.vcl"))
        self.admin("vcl.use", name)

    def logged(self):
        """All that its memory of log records and its standard error hold."""
        done = subprocess.run([program("varnishlog"), "-n", str(self.folder / "work"), "-d", "-g", "raw"],
                              capture_output=True, text=True, errors="replace", timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout + self.program.said()

    def counter(self, name):
        text = subprocess.run([program("varnishstat"), "-n", str(self.folder / "work"), "-1", "-j"], check=True,
                              capture_output=True, text=True, timeout=30).stdout
        return json.loads(text)["counters"][name]["value"]

    def stored(self):
        return ""


class Nginx(Edge):
    UNITS = "slice"

    def take_keys(self):
        subprocess.run([DEPLOY / "edge-keys.sh", "nginx", self.keys, self.folder / "keys.json"], check=True)

    def write(self):
        for name in ("cache", "purged", "log"):
            (self.folder / name).mkdir(exist_ok=True)
        values = {name: value for name, value in self.values.items() if name != "ORIGIN_PROBE"}  # nginx has no probes
        user = "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
        (self.folder / "edge.conf").write_text(fill(
            "nginx/edge.conf", LISTEN=f"127.0.0.1:{self.port}", ORIGIN=self.origins, KEYS=self.folder / "keys.json",
            SCRIPTS=DEPLOY / "nginx", CACHE=self.folder / "cache", PURGED=self.folder / "purged", USER=user, WORKERS=2,
            STATE=self.folder, LOG=self.folder / "log", CACHE_SIZE="1g", **values))
        self.program = Program(self.folder, "nginx", program("nginx"), "-c", str(self.folder / "edge.conf"),
                               "-g", "daemon off;")

    def reload(self):
        self.program.process.send_signal(signal.SIGHUP)

    def logged(self):
        return "".join(path.read_text(errors="replace") for path in (self.folder / "log").iterdir()) + self.program.said()

    def stored(self):
        return b"".join(path.read_bytes() for path in (self.folder / "cache").rglob("*") if path.is_file()).decode("latin-1")


KINDS = {"varnish": Varnish, "nginx": Nginx}


class HAProxy:
    """The way in: l7.cfg, with certificates of certificates.sh; l4 puts l4.cfg before it."""

    def __init__(self, folder, l4=False, **values):
        self.folder = folder
        self.port, self.plain = free_port(), free_port()
        inner = free_port() if l4 else self.port
        subprocess.run([DEPLOY / "haproxy" / "certificates.sh", folder / "tls", "localhost", "127.0.0.1"], check=True)
        self.authority = folder / "tls" / "authority.pem"
        self.url = f"https://localhost:{self.port}"
        text = fill("haproxy/l7.cfg", HTTPS=f"127.0.0.1:{inner}", HTTP=f"127.0.0.1:{self.plain}",
                    HTTPS_OPTIONS="accept-proxy" if l4 else "", CERTIFICATE=folder / "tls" / "tutti.pem", STATE=folder,
                    CONNECTIONS=2000, **values)
        self.programs = [self.prepared("l7", text)]
        if l4:
            self.programs.append(self.prepared("l4", fill(
                "haproxy/l4.cfg", HTTPS=f"127.0.0.1:{self.port}", L7=f"127.0.0.1:{inner}", STATE=folder, CONNECTIONS=2000)))

    def prepared(self, name, text):
        (self.folder / f"{name}.cfg").write_text(text)
        return Program(self.folder, name, program("haproxy"), "-db", "-f", str(self.folder / f"{name}.cfg"))

    def start(self):
        for one in self.programs:
            one.run()
        until(self.answers, "the way in answers")
        return self

    def answers(self):
        assert all(one.process.poll() is None for one in self.programs), [one.said() for one in self.programs]
        try:
            return requests.get(self.url + "/healthz", verify=self.authority, timeout=2).status_code == 200
        except requests.ConnectionError:
            return False

    def control(self, line):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.folder / "haproxy.sock"))
            connection.sendall(line.encode() + b"\n")
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return answer.decode()

    def states(self):
        """{"api/api1": "UP", …}; without those that stand there unchecked, for when nobody is ready."""
        rows = [line.split(",") for line in self.control("show stat").splitlines() if line and not line.startswith("#")]
        return {f"{row[0]}/{row[1]}": row[17] for row in rows
                if row[1] not in ("FRONTEND", "BACKEND") and row[17] != "no check"}

    def stop(self):
        for one in reversed(self.programs):
            one.end(signal.SIGINT)
