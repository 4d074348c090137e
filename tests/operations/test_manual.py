"""docs/operations.md: what it tells people to do, done. The blocks marked sh run one after the other in a clean Debian; the
proxies' configurations are run by nginx and Caddy."""
import re
import shutil
import subprocess
import time

import pytest
import requests

from journey import PASSWORD, ROOT, People, Person, free_port, wait_for

MANUAL = (ROOT / "docs" / "operations.md").read_text()


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", MANUAL, re.M | re.S)


def section(kind):
    found = blocks(kind)
    assert len(found) == 1, f"one block of {kind}"
    return found[0]


def follow_the_manual(clean, deb):
    """Runs every block marked sh, in a Debian that is up (booted.py), without the package."""
    shutil.copy(deb, clean.at("/root") / "tutti_0.1.0_amd64.deb")
    script = "set -eu -o pipefail\ncd /root\n" + "\n".join(f"echo '=== block {n}'\n{block}" for n, block in enumerate(blocks("sh")))
    clean.at("/root/manual.sh").write_text(script)
    done = clean.run("bash", "/root/manual.sh", check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
    said = done.stdout.split("=== block ")[1:]
    assert len(said) == len(blocks("sh")) >= 8
    assert "added anna" in said[1] and "the configuration is fine" in said[2]
    doctors = [text for text in said if re.search(r"^\d+ ok, ", text, re.M)]
    assert len(doctors) == 4
    for text in doctors:
        assert ", 0 failed" in text and "it answers" in text
    assert "what was there before is in /var/lib/tutti/before-restore-" in "".join(said)
    assert clean.at("/srv/tutti/catalog.db").exists()


def test_every_check_of_doctor_is_explained(tutti, tmp_path):
    told = set(re.findall(r"^(?:ok|warning|failed) +(\w+)", tutti("doctor", "--deep", data=tmp_path, check=False).stdout, re.M))
    table = MANUAL[MANUAL.index("| line |"):]
    explained = {name for row in re.findall(r"^\| ([a-z0-9, ]+) \|", table, re.M) for name in row.split(", ")} - {"line"}
    assert told == explained


def test_the_settings_of_the_manual_are_settings(tutti, tmp_path):
    assert blocks("ini")
    for text in blocks("ini"):
        config = tmp_path / "tutti.conf"
        config.write_text(text)
        assert tutti("config", "check", "--config", str(config)).returncode == 0, text
    for name, key in re.findall(r"`([a-z]+)\.([a-z_]+)(?: =[^`]*)?`", MANUAL):
        of_files = key in ("conf", "js", "pem", "py", "service", "sh", "vcl")
        if not of_files and name not in ("tutti", "journald", "server", "monitoring", "environment"):
            assert f"\n{key} =" in tutti("config", "show", "--section", name).stdout, f"{name}.{key}"


# ---- behind a proxy

def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(folder / "key.pem"),
                    "-out", str(folder / "cert.pem")], check=True, capture_output=True, timeout=60)


def nginx(programs, folder, port, to):
    site = section("nginx").replace("127.0.0.1:4040", f"127.0.0.1:{to}").replace("listen 443", f"listen 127.0.0.1:{port}")
    site = site.replace("music.example.org", "localhost")
    site = re.sub(r"(ssl_certificate +)\S+;", rf"\1{folder}/cert.pem;", site)
    site = re.sub(r"(ssl_certificate_key +)\S+;", rf"\1{folder}/key.pem;", site)
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
                                       f"events {{}}\nhttp {{ access_log off;\n{paths}{site}}}\n")
    programs.start("nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"))


def caddy(programs, folder, port, to):
    site = section("caddy").replace("127.0.0.1:4040", f"127.0.0.1:{to}").replace("music.example.org", f"https://localhost:{port}")
    site = site.replace("{\n", f"{{\n    tls {folder}/cert.pem {folder}/key.pem\n", 1)
    (folder / "Caddyfile").write_text("{\n    admin off\n    auto_https disable_redirects\n    storage file_system "
                                      f"{folder}/caddy\n}}\n{site}")
    programs.start("caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile"))


class FromElsewhere(requests.adapters.HTTPAdapter):
    """A client at 127.0.0.2."""

    def init_poolmanager(self, *arguments, **options):
        super().init_poolmanager(*arguments, **options, source_address=("127.0.0.2", 0))


@pytest.mark.parametrize("proxy", [nginx, caddy])
def test_behind_a_proxy_with_tls(proxy, programs, own_server, sounds, tmp_path, monkeypatch):
    certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    port = free_port()
    url = f"https://localhost:{port}"
    server = own_server(environment={"TUTTI_SERVER_URL": url, "TUTTI_SERVER_TRUSTED_PROXIES": "127.0.0.1, ::1"})
    proxy(programs, tmp_path, port, server.port)
    deadline = time.monotonic() + 30
    while True:
        try:
            assert requests.get(url + "/readyz", timeout=5).status_code == 200
            break
        except requests.ConnectionError:
            assert time.monotonic() < deadline, "the proxy does not answer"
            time.sleep(0.1)
    People(server).new("admin")
    server.add_user("anna", "artist")
    artist = Person(url, "anna")
    page = artist.post("/api/v1/artists", json={"name": "Proxied"}).json()
    album = artist.post("/api/v1/albums", json={"artistId": page["id"], "title": "TLS"}).json()
    content = sounds("flac", seconds=1.0).read_bytes()
    place = artist.get("/api/v1/tracks/upload-url", params={"filename": "a.flac", "size": len(content)}).json()
    assert place["uploadUrl"].startswith(url), "signed for the name that clients see"
    assert requests.put(place["uploadUrl"], data=content, timeout=30).status_code == 200
    track = artist.post("/api/v1/tracks", json={"albumId": album["id"], "title": "One", "trackUrl": place["trackUrl"]}).json()
    wait_for(artist, track["id"])
    stream = artist.get(f"/api/v1/tracks/{track['id']}/stream").json()
    assert stream["trackUrl"].startswith(url)
    part = requests.get(stream["trackUrl"], headers={"Range": "bytes=100-199"}, timeout=10)
    assert part.status_code == 206 and len(part.content) == 100
    with requests.Session() as elsewhere:
        elsewhere.mount("https://", FromElsewhere())
        answer = elsewhere.post(url + "/api/v1/auth/login", json={"username": "anna", "password": PASSWORD}, timeout=10,
                                headers={"Forwarded": "for=198.51.100.7", "X-Forwarded-For": "198.51.100.8"})
        assert answer.status_code == 200
        assert elsewhere.get(url + "/metrics", timeout=10).status_code == 404
    addresses = [one["address"] for one in artist.get("/api/v1/me/sessions").json()["items"]]
    mine = [one for one in addresses if one in ("127.0.0.1", "::1")]  # as localhost is here
    assert len(mine) == 1 and sorted([*mine, "127.0.0.2"]) == sorted(addresses), "the clients' addresses, by way of the proxy"
