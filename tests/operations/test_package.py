"""The Debian package: installed in a clean Debian that systemd has started, used there, upgraded, removed, purged."""
import hashlib
import os
import pathlib
import re
import shutil
import stat
import subprocess
import time

import postgres
import pytest
import requests

from booted import Booted
from journey import PASSWORD, ROOT, Person, free_port, wait_for
from test_manual import follow_the_manual

UNIT = ROOT / "deploy" / "systemd" / "tutti.service"
BUILT = pathlib.Path(os.environ.get("TUTTI_DEB", ROOT / "build" / "deb"))
CACHE = pathlib.Path(os.environ.get("TUTTI_CACHE", pathlib.Path.home() / ".cache" / "tutti")) / "clean-root"
EXPOSURE_MAX = 2.0


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
ROLES = {"api": "gateway,identity,catalog,ingest,library,search,objectstore", "streaming": "streaming", "transcode": "transcode"}
AROUND = ("systemd", "sudo")  # what a machine has, and the manual uses, beside the package


def the_deb():
    assert len(debs()) == 1, f"one package in {BUILT}, not {debs()}; ./dev deb makes it"
    return debs()[0]


def depends_of(deb):
    text = subprocess.run(["dpkg-deb", "-f", str(deb), "Depends"], check=True, text=True, capture_output=True).stdout
    return sorted(one.split()[0] for one in text.split(","))


def make_base(deb):
    """The smallest Debian there is, with what the package says it depends on, so that what it doesn't say is missing. Made once."""
    packages = [*AROUND, *depends_of(deb)]
    name = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    base, part = CACHE / f"ready-{name}.tar", CACHE / f"ready-{name}.part.tar"
    if not base.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", "--dpkgopt=force-unsafe-io", "--aptopt=APT::Install-Recommends \"false\"",
             "--format=tar", f"--include={','.join(packages)}", "bookworm", str(part)], text=True, capture_output=True, timeout=600)
        if made.returncode != 0:
            pytest.skip(f"no clean root can be made here: {made.stderr.strip().splitlines()[-1]}")
        part.rename(base)
    return base


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean") / "root"
    folder.mkdir()
    subprocess.run(["tar", "-x", "-f", str(make_base(the_deb())), "-C", str(folder), "--exclude=./dev/*"], check=True,
                   timeout=300)
    (folder / "etc/hostname").write_text("clean\n")
    (folder / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1 clean\n")
    yield folder
    shutil.rmtree(folder.parent, ignore_errors=True)


class Clean(Booted):
    """Its service listens on a port of this machine."""

    def __init__(self, path):
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        override = path / "etc/systemd/system/tutti.service.d/listen.conf"
        override.parent.mkdir(parents=True)
        override.write_text(f"[Service]\nEnvironment=TUTTI_SERVER_LISTEN=127.0.0.1:{self.port}\n")
        super().__init__(path)

    def install(self, deb):
        shutil.copy(deb, self.at("/tmp") / deb.name)
        self.run("apt-get", "install", "-y", "-q", "--no-install-recommends", "-o", "Dpkg::Options::=--force-unsafe-io",
                 "-o", "APT::Sandbox::User=root", f"/tmp/{deb.name}")
        assert self.answers(), self.told()

    def as_tutti(self, *arguments, settings=None, **options):
        environment = ["env", *(f"{key}={value}" for key, value in (settings or {}).items())]
        return self.run("runuser", "-u", "tutti", "--", *environment, "tutti", *arguments, "--data", "/var/lib/tutti", **options)

    def answers(self):
        """Whether the service is up, which installing it does not return before (Type=notify)."""
        return self.run("systemctl", "is-active", "tutti", check=False).stdout == "active\n" and \
            requests.get(self.url + "/readyz", timeout=10).status_code == 200

    def main_pid(self):
        return int(self.run("systemctl", "show", "--property=MainPID", "--value", "tutti").stdout)

    def told(self, *units):
        return self.run("journalctl", "--no-pager", "-n", "30", *(f"--unit={unit}" for unit in units or ["tutti"])).stdout


@pytest.fixture(scope="module")
def clean(root):
    booted = Clean(root)
    yield booted
    booted.stop()


def owner(path):
    return path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)


def tutti_uid(clean):
    return int(clean.run("id", "-u", "tutti").stdout)


@needs_root
@needs_deb
class TestInClean:
    """In this order: what is made by one is found by the next."""

    def test_it_is_installed_and_serves(self, clean):
        clean.install(the_deb())
        assert clean.run("systemctl", "is-enabled", "tutti").stdout == "enabled\n"
        assert owner(clean.at("/var/lib/tutti")) == (tutti_uid(clean), 0o700)
        config = clean.at("/etc/tutti/tutti.conf")
        assert owner(config) == (0, 0o640) and config.stat().st_gid == int(clean.run("id", "-g", "tutti").stdout)
        assert clean.run("getent", "passwd", "tutti").stdout.strip().endswith((":/usr/sbin/nologin", ":/bin/false"))
        assert clean.run("dpkg", "-s", "tutti").stdout.count("install ok installed") == 1
        assert clean.run("tutti", "config", "check").stdout == "the configuration is fine\n"
        files = clean.run("dpkg", "-L", "tutti").stdout  # docs may be left out by the root's dpkg; dpkg still lists them
        assert "/usr/share/doc/tutti/examples/prometheus/tutti.rules.yml" in files and "/usr/share/man/man1/tutti.1.gz" in files
        assert "/etc/tutti/tutti.conf" in clean.run("dpkg-query", "-W", "-f", "${Conffiles}", "tutti").stdout

    def test_it_plays_under_the_units_restrictions(self, clean, sounds):
        clean.as_tutti("user", "add", "anna", "--role", "artist", "--password-stdin", input=PASSWORD + "\n")
        artist = Person(clean.url, "anna")
        track = upload(artist, sounds, "One")
        assert wait_for(artist, track["id"], whole=True)["status"] == "ready", clean.told()
        assert plays(artist) == ["One"]
        doctor = clean.as_tutti("doctor", "--listen", f"127.0.0.1:{clean.port}", check=False)
        lines = {line.split()[1]: line for line in doctor.stdout.splitlines() if re.match("ok|warning|failed", line)}
        assert "/usr/bin/tutti-media encoded a test sound in its sandbox" in lines["media"]
        assert lines["server"].startswith("ok") and lines["objects"].startswith("ok"), doctor.stdout

    def test_the_restrictions_are_there(self, clean):
        """What the unit says is in force where the program runs."""
        process = f"/proc/{clean.main_pid()}"
        status = clean.run("cat", f"{process}/status").stdout
        assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status and "CapBnd:\t0000000000000000" in status
        assert f"Uid:\t{tutti_uid(clean)}\t" in status
        mounts = {line.split()[4]: line.split()[5].split(",") for line in clean.run("cat", f"{process}/mountinfo").stdout.splitlines()}
        assert "ro" in mounts["/"] and "rw" in mounts["/var/lib/tutti"] and "/tmp" in mounts and "/dev" in mounts

    def test_a_restriction_that_it_cant_live_with_is_named(self, clean):
        """An administrator's own; when it is gone, the service is there again."""
        override = clean.at("/etc/systemd/system/tutti.service.d/more.conf")
        override.write_text("[Service]\nRestrictSUIDSGID=yes\n")
        clean.run("systemctl", "daemon-reload")
        assert clean.run("systemctl", "restart", "tutti", check=False).returncode != 0
        assert "openat2(2) is refused here" in clean.told() and "RestrictSUIDSGID=" in clean.told()
        override.unlink()
        clean.run("systemctl", "daemon-reload")
        clean.run("systemctl", "restart", "tutti")
        assert clean.answers(), clean.told()

    def test_a_killed_service_comes_back(self, clean):
        killed = clean.main_pid()
        clean.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "tutti")
        deadline = time.monotonic() + 60
        while clean.main_pid() in (0, killed) or clean.run("systemctl", "is-active", "tutti", check=False).stdout != "active\n":
            assert time.monotonic() < deadline, clean.told()
            time.sleep(0.1)
        assert library_plays(clean) == ["One"]

    def test_roles_are_processes_of_the_template(self, clean, sounds):
        """As docs/operations.md names them, on one machine: they share databases, objects and keys alone."""
        with postgres.Server() as databases:
            shared = {f"TUTTI_DATABASE_{name.upper()}": databases.create(name) for name in ("catalog", "users", "activity")}
            shared |= {"TUTTI_BLOB_STORE": "file:/var/lib/tutti/shared", "TUTTI_KEYS_STORE": "/var/lib/tutti/keys"}
            urls = {}
            for instance, roles in ROLES.items():
                urls[instance] = f"http://localhost:{free_port()}"
                own = {"TUTTI_SERVER_ROLES": roles, "TUTTI_SERVER_LISTEN": urls[instance].replace("http://localhost", "127.0.0.1"),
                       "TUTTI_SERVER_URL": urls["api"]}
                clean.at(f"/etc/tutti/{instance}.env").write_text("".join(f"{key}={value}\n" for key, value in {**shared, **own}.items()))
            units = [f"tutti@{instance}" for instance in ROLES]
            try:
                clean.run("systemctl", "start", *units)
                clean.as_tutti("user", "add", "berta", "--role", "artist", "--password-stdin", input=PASSWORD + "\n", settings=shared)
                berta = Person(urls["api"], "berta")
                track = upload(berta, sounds, "Two")
                assert wait_for(berta, track["id"], whole=True)["status"] == "ready", clean.told(*units)
                stream = berta.get(f"{urls['streaming']}/api/v1/tracks/{track['id']}/stream")
                assert stream.status_code == 200 and len(stream.json()["files"]) > 1, stream.text
            finally:
                clean.run("systemctl", "stop", *units)
                for instance in ROLES:
                    clean.at(f"/etc/tutti/{instance}.env").unlink()

    def test_an_upgrade_keeps_library_and_configuration(self, clean, tmp_path):
        before = clean.main_pid()
        config = clean.at("/etc/tutti/tutti.conf")
        config.write_text(config.read_text().replace("[plan]\n", "[plan]\ndefault = free\n"))
        newer = tmp_path / "newer"
        subprocess.run(["dpkg-deb", "-R", str(the_deb()), str(newer)], check=True)
        control = newer / "DEBIAN" / "control"
        control.write_text(re.sub(r"^Version: .*$", "Version: 99.0", control.read_text(), flags=re.M))
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(newer), str(tmp_path / "tutti_99.0.deb")], check=True,
                       capture_output=True)
        clean.install(tmp_path / "tutti_99.0.deb")
        assert clean.main_pid() != before, "it goes on with the program before"
        assert "Version: 99.0" in clean.run("dpkg", "-s", "tutti").stdout
        assert "default = free" in config.read_text() and owner(config) == (0, 0o640)
        assert library_plays(clean) == ["One"]

    def test_removing_keeps_library_and_configuration(self, clean):
        clean.run("apt-get", "remove", "-y", "-q", "tutti")
        assert clean.main_pid() == 0, "it runs without its program"
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
        clean.run("systemctl", "stop", "tutti")
        shutil.rmtree(clean.at("/var/lib/tutti"))
        clean.at("/var/lib/tutti").mkdir()
        quiet = clean.run("apt-get", "purge", "-y", "-q", "tutti")
        assert "was kept" not in quiet.stdout + quiet.stderr and not clean.at("/var/lib/tutti").exists()

    def test_what_the_manual_says_is_done(self, clean, root):
        """From the start, on a machine that has nothing but itself for a network."""
        clean.stop()
        shutil.rmtree(root / "etc/systemd/system/tutti.service.d")
        alone = Booted(root, own_network=True)
        try:
            follow_the_manual(alone, the_deb())
        finally:
            alone.stop()


def upload(artist, sounds, title):
    page = artist.post("/api/v1/artists", json={"name": "Packaged"}).json()
    album = artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "Deb"}).json()
    place = artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac"}).json()
    assert requests.put(place["uploadUrl"], data=sounds("flac", seconds=1.0).read_bytes(), timeout=30).status_code == 200
    return artist.post("/api/v1/tracks", json={"albumId": album["id"], "title": title, "trackUrl": place["trackUrl"]}).json()


def plays(person):
    """Titles of the tracks whose every file is served."""
    titles = []
    for track in person.get("/api/v1/tracks").json()["items"]:
        files = person.get(f"/api/v1/tracks/{track['id']}/stream").json()["files"]
        assert files and all(requests.get(file["url"], timeout=30).status_code == 200 for file in files)
        titles.append(track["title"])
    return titles


def library_plays(clean):
    return plays(Person(clean.url, "anna"))
