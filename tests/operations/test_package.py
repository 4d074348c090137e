"""The Debian package: installed in a clean root, used there as the unit would, upgraded, removed, purged."""
import hashlib
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import time

import pytest
import requests

from journey import PASSWORD, ROOT, Person, free_port, wait_for
from test_manual import follow_the_manual

HERE = pathlib.Path(__file__).resolve().parent
UNIT = ROOT / "deploy" / "systemd" / "tutti.service"
BUILT = pathlib.Path(os.environ.get("TUTTI_DEB", ROOT / "build" / "deb"))
CACHE = pathlib.Path(os.environ.get("TUTTI_CACHE", pathlib.Path.home() / ".cache" / "tutti")) / "clean-root"
EXPOSURE_MAX = 2.0
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


def debs():
    return [path for path in BUILT.glob("tutti_*.deb")]


def test_the_unit_is_hardened():
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", str(UNIT)], text=True,
                          capture_output=True, timeout=60, check=True)
    exposure = float(re.search(r"Overall exposure level for tutti.service: ([\d.]+)", done.stdout).group(1))
    print(f"exposure {exposure}")
    assert exposure <= EXPOSURE_MAX
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", str(UNIT)], text=True, capture_output=True, timeout=60)
    complaints = [line for line in verified.stderr.splitlines() if "tutti.service" in line and "not executable" not in line]
    assert complaints == []


@pytest.mark.parametrize("name", ["tutti.service", "tutti@.service"])
def test_no_number_of_ends_is_the_last(name):
    """A database that comes a minute after us, as after a power cut, finds us trying: systemd gives up after five starts in ten seconds."""
    lines = (UNIT.parent / name).read_text().splitlines()
    head = lines[lines.index("[Unit]"):lines.index("[Service]")]
    assert "StartLimitIntervalSec=0" in head and {"Restart=on-failure", "RestartSec=1"} <= set(lines)


@pytest.mark.parametrize("page", ["docs/man/tutti.1", "docs/man/tutti-media.1", "build/tutti.conf.5"])
def test_man_pages_are_read_without_a_warning(page):
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(ROOT / page)], text=True,
                          capture_output=True, timeout=60, env={**os.environ, "MANWIDTH": "80"})
    assert done.returncode == 0 and done.stderr == "" and len(done.stdout) > 500


def test_every_command_and_option_has_its_lines_in_the_man_page(tutti):
    page = (ROOT / "docs/man/tutti.1").read_text().replace("\\-", "-").replace("\\fI", "").replace("\\fR", "")
    page = re.sub(r'[".]', "", page)
    told = tutti("--help").stdout
    for words in re.findall(r"^  ([a-z][a-z0-9-]*(?: [a-z0-9-]+)*)(?:  | [A-Z])", told, re.M):
        assert words in page, words
    for option in re.findall(r"^  (--[a-z-]+)", told, re.M):
        assert option in page, option


# ---- in a clean root

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="making a clean root takes root")
needs_deb = pytest.mark.skipif("TUTTI_DEB" not in os.environ and not debs(), reason="there is no package; ./dev deb makes it")


DEVICES = ("null", "zero", "random", "urandom")  # for apt and maintainer scripts


class Clean:
    """A Debian root of its own. Programs in it see its files and processes alone, the network, and our devices: none that
    is made there could be used where temporary files are mounted without."""

    def __init__(self, path):
        self.path = path

    def command(self, *arguments):
        devices = "".join(f'mount --bind /dev/{name} "$1/dev/{name}" && ' for name in DEVICES)
        return ["unshare", "--mount", "--pid", "--fork", f"--mount-proc={self.path}/proc", "sh", "-c",
                f'{devices} exec chroot "$@"', "sh", str(self.path), *arguments]

    def run(self, *arguments, check=True, **options):
        done = subprocess.run(self.command(*arguments), text=True, capture_output=True, timeout=300, env=ENVIRONMENT,
                              **options)
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout[-1500:]}\n{done.stderr[-1500:]}"
        return done

    def as_tutti(self, *arguments, **options):
        return self.run("runuser", "-u", "tutti", "--", "tutti", *arguments, "--data", "/var/lib/tutti", **options)

    def install(self, deb):
        shutil.copy(deb, self.path / "tmp" / deb.name)
        return self.run("apt-get", "install", "-y", "-q", "--no-install-recommends", "-o", "Dpkg::Options::=--force-unsafe-io",
                        "-o", "APT::Sandbox::User=root", f"/tmp/{deb.name}")

    def at(self, path):
        return self.path / path.lstrip("/")


def the_deb():
    assert len(debs()) == 1, f"one package in {BUILT}, not {debs()}; ./dev deb makes it"
    return debs()[0]


def depends_of(deb):
    text = subprocess.run(["dpkg-deb", "-f", str(deb), "Depends"], check=True, text=True, capture_output=True).stdout
    return sorted(one.split()[0] for one in text.split(","))


def make_base(deb):
    """The smallest Debian there is, with what the package says it depends on, so that what it doesn't say is missing. Made once."""
    depends = depends_of(deb)
    name = hashlib.sha256(" ".join(depends).encode()).hexdigest()[:12]
    base, part = CACHE / f"ready-{name}.tar", CACHE / f"ready-{name}.part.tar"
    if not base.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", "--dpkgopt=force-unsafe-io", "--aptopt=APT::Install-Recommends \"false\"",
             "--format=tar", f"--include={','.join(depends)}", "bookworm", str(part)], text=True, capture_output=True, timeout=600)
        if made.returncode != 0:
            pytest.skip(f"no clean root can be made here: {made.stderr.strip().splitlines()[-1]}")
        part.rename(base)
    return base


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean") / "root"
    folder.mkdir()
    subprocess.run(["tar", "-x", "-f", str(make_base(the_deb())), "-C", str(folder), "--exclude=./dev/*"], check=True,
                   timeout=300)
    for name in DEVICES:
        (folder / "dev" / name).touch()
    shutil.copy("/etc/resolv.conf", folder / "etc" / "resolv.conf")
    root = Clean(folder)
    root.install(the_deb())
    yield root
    shutil.rmtree(folder, ignore_errors=True)


class Service:
    """The installed program, started as the unit would."""

    def __init__(self, clean):
        self.clean, self.port = clean, free_port()
        self.url = f"http://localhost:{self.port}"
        self.log = open(clean.path.parent / "service.log", "ab")
        self.process = subprocess.Popen(self.confine("/usr/bin/tutti", "serve", "--listen", f"127.0.0.1:{self.port}"),
                                        stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 60
        while True:
            assert self.process.poll() is None and time.monotonic() < deadline, self.log_text()
            try:
                if requests.get(self.url + "/readyz", timeout=2).status_code == 200:
                    return
            except requests.ConnectionError:
                time.sleep(0.1)

    def confine(self, *arguments):
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "/usr/bin/python3", str(HERE / "confined.py"),
                str(self.clean.path), str(self.clean.at("/lib/systemd/system/tutti.service")), *arguments]

    def log_text(self):
        return (self.clean.path.parent / "service.log").read_text()[-3000:]

    def stop(self):
        """Its death ends unshare; the other way round, --kill-child is forgotten as soon as the user changes."""
        pid = self.process.pid
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        self.process.wait(20)
        self.log.close()


@pytest.fixture
def service(clean):
    running = Service(clean)
    yield running
    running.stop()


def owner(path):
    return path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)


def tutti_uid(clean):
    return int(clean.run("id", "-u", "tutti").stdout)


@needs_root
@needs_deb
class TestInClean:
    """In this order: what is made by one is found by the next."""

    def test_it_is_installed(self, clean):
        assert owner(clean.at("/var/lib/tutti")) == (tutti_uid(clean), 0o700)
        config = clean.at("/etc/tutti/tutti.conf")
        assert owner(config) == (0, 0o640) and config.stat().st_gid == int(clean.run("id", "-g", "tutti").stdout)
        assert clean.run("getent", "passwd", "tutti").stdout.strip().endswith((":/usr/sbin/nologin", ":/bin/false"))
        assert clean.run("dpkg", "-s", "tutti").stdout.count("install ok installed") == 1
        assert clean.run("tutti", "config", "check").stdout == "the configuration is fine\n"
        files = clean.run("dpkg", "-L", "tutti").stdout  # docs may be left out by the root's dpkg; dpkg still lists them
        assert "/usr/share/doc/tutti/examples/prometheus/tutti.rules.yml" in files and "/usr/share/man/man1/tutti.1.gz" in files
        assert "/etc/tutti/tutti.conf" in clean.run("dpkg-query", "-W", "-f", "${Conffiles}", "tutti").stdout

    def test_it_serves_and_plays_under_the_units_restrictions(self, clean, service, sounds):
        clean.as_tutti("user", "add", "anna", "--role", "artist", "--password-stdin", input=PASSWORD + "\n")
        artist = Person(service.url, "anna")
        page = artist.post("/api/v1/artists", json={"name": "Packaged"}).json()
        album = artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "Deb"}).json()
        place = artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac"}).json()
        assert requests.put(place["uploadUrl"], data=sounds("flac", seconds=1.0).read_bytes(), timeout=30).status_code == 200
        track = artist.post("/api/v1/tracks", json={"albumId": album["id"], "title": "One",
                                                    "trackUrl": place["trackUrl"]}).json()
        assert wait_for(artist, track["id"], whole=True)["status"] == "ready", service.log_text()
        assert plays(artist) == ["One"]
        doctor = subprocess.run(service.confine("/usr/bin/tutti", "doctor", "--listen", f"127.0.0.1:{service.port}"),
                                text=True, capture_output=True, timeout=60)
        lines = {line.split()[1]: line for line in doctor.stdout.splitlines() if re.match("ok|warning|failed", line)}
        assert "/usr/bin/tutti-media encoded a test sound in its sandbox" in lines["media"]
        assert lines["server"].startswith("ok") and lines["objects"].startswith("ok"), doctor.stdout

    def test_the_restrictions_are_there(self, clean, service):
        """What confined.py forbids is forbidden, so that the test before proves something."""
        def confined(*words):
            return subprocess.run(service.confine(*words), text=True, capture_output=True, timeout=30)

        ours = clean.at("/usr/share/tutti-of-tutti")
        ours.mkdir(exist_ok=True)
        os.chown(ours, tutti_uid(clean), -1)
        assert "Read-only file system" in confined("/usr/bin/touch", "/usr/share/tutti-of-tutti/x").stderr
        assert "Operation not permitted" in confined("/usr/bin/unshare", "-U", "true").stderr
        assert "Operation not permitted" in confined("/bin/chown", "tutti", "/var/lib/tutti").stderr
        status = confined("/bin/cat", "/proc/self/status").stdout
        assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status and "CapBnd:\t0000000000000000" in status
        inside = subprocess.run(service.confine("/bin/sh", "-c", "touch /var/lib/tutti/x && rm /var/lib/tutti/x && id -u"),
                                text=True, capture_output=True, timeout=30)
        assert inside.stdout.strip() == str(tutti_uid(clean)), inside.stderr

    def test_an_upgrade_keeps_library_and_configuration(self, clean, tmp_path):
        config = clean.at("/etc/tutti/tutti.conf")
        config.write_text(config.read_text().replace("[plan]\n", "[plan]\ndefault = free\n"))
        newer = tmp_path / "newer"
        subprocess.run(["dpkg-deb", "-R", str(the_deb()), str(newer)], check=True)
        control = newer / "DEBIAN" / "control"
        control.write_text(re.sub(r"^Version: .*$", "Version: 99.0", control.read_text(), flags=re.M))
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(newer), str(tmp_path / "tutti_99.0.deb")], check=True,
                       capture_output=True)
        clean.install(tmp_path / "tutti_99.0.deb")
        assert "Version: 99.0" in clean.run("dpkg", "-s", "tutti").stdout
        assert "default = free" in config.read_text() and owner(config) == (0, 0o640)
        assert library_plays(clean) == ["One"]

    def test_removing_keeps_library_and_configuration(self, clean):
        clean.run("apt-get", "remove", "-y", "-q", "tutti")
        assert not clean.at("/usr/bin/tutti").exists()
        assert clean.at("/var/lib/tutti/catalog.db").exists() and clean.at("/etc/tutti/tutti.conf").exists()
        clean.install(the_deb())
        assert library_plays(clean) == ["One"]

    def test_purging_keeps_the_library_and_says_so(self, clean):
        purged = clean.run("apt-get", "purge", "-y", "-q", "tutti")
        assert "the library in /var/lib/tutti was kept" in purged.stdout + purged.stderr
        assert not clean.at("/etc/tutti").exists() and clean.at("/var/lib/tutti/catalog.db").exists()
        assert not clean.at("/lib/systemd/system/tutti.service").exists()
        clean.install(the_deb())
        assert library_plays(clean) == ["One"]
        shutil.rmtree(clean.at("/var/lib/tutti"))
        clean.at("/var/lib/tutti").mkdir()
        quiet = clean.run("apt-get", "purge", "-y", "-q", "tutti")
        assert "was kept" not in quiet.stdout + quiet.stderr and not clean.at("/var/lib/tutti").exists()


    def test_what_the_manual_says_is_done(self, clean):
        follow_the_manual(clean, the_deb())


def plays(person):
    """Titles of the tracks whose every file is served."""
    titles = []
    for track in person.get("/api/v1/tracks").json()["items"]:
        files = person.get(f"/api/v1/tracks/{track['id']}/stream").json()["files"]
        assert files and all(requests.get(file["url"], timeout=30).status_code == 200 for file in files)
        titles.append(track["title"])
    return titles


def library_plays(clean):
    service = Service(clean)
    try:
        return plays(Person(service.url, "anna"))
    finally:
        service.stop()
