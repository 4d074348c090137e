"""Tutti's own processes: the same program, its roles chosen, one configuration for all."""
import subprocess

from network import Refused
from node import Node

API = "gateway,identity,catalog,ingest,library,search"


class Tutti(Node):
    kind = "tutti"
    port = 4040
    needs = ("pg-proxy", "pgbouncer", "redis", "ceph-rgw", "kafka")
    roles = ""

    def prepare(self):
        self.make_folder("data")

    def command(self):
        return [self.cluster.binary, "serve", "--config", self.cluster.configuration, "--data", self.folder / "data",
                "--listen", f"{self.address}:{self.port}", "--roles", self.roles]

    def environment(self):
        return {"TUTTI_LOG_FORMAT": "json"}

    def is_ready(self):
        return self.http_status("/readyz") == 200


class Api(Tutti):
    kind = "tutti-api"
    roles = API


class Streaming(Tutti):
    kind = "tutti-streaming"
    roles = "streaming"


class Transcode(Tutti):
    kind = "tutti-transcode"
    roles = "transcode"


def configure(cluster):
    """The settings of every process, as tutti.conf(5) has them: {(section, key): value}."""
    shared = cluster.folder / "shared"
    shared.mkdir(mode=0o700, exist_ok=True)
    way_in, store, redis = cluster.one("way-in"), cluster.one("rgw"), cluster.one("redis")
    settings = {
        ("server", "url"): cluster.url,
        ("server", "media_url"): cluster.url,  # where the way in passes media on to the edges
        ("server", "trusted_proxies"): way_in.address,
        **databases(cluster),
        ("blob", "store"): store.url(),
        ("blob", "public_url"): f"http://{store.address}:{store.port}",
        ("cache", "store"): f"redis://:{cluster.secrets['redis']}@{redis.address}:{redis.port}",
        ("bus", "store"): "kafka://" + ",".join(f"{node.address}:{node.port}" for node in cluster.of_kind("kafka")),
        ("keys", "store"): str(shared / "keys"),
        ("edge", "urls"): ",".join(f"http://{edge.address}:{edge.port}" for edge in cluster.edges()),
        ("limits", "notice_ms"): "2500",
        ("transcode", "workers"): "1",
    }
    settings.update(cluster.settings)
    return settings


def databases(cluster):
    """Through the pooler; what needs a session of its own, past it; reads from whoever follows."""
    pooler, primary = cluster.one("pgbouncer"), cluster.one("pg-proxy")
    user = f"postgresql://tutti:{cluster.secrets['tutti']}"
    settings = {}
    for name in ("catalog", "users", "activity"):
        settings["database", name] = f"{user}@{pooler.address}:{pooler.port}/{name}?pool=transaction"
        settings["database", f"{name}_direct"] = f"{user}@{primary.address}:{primary.port}/{name}"
        settings["database", f"{name}_replicas"] = " ".join(f"{user}@{node.address}:{node.port}/{name}"
                                                            for node in cluster.of_kind("postgresql"))
    return settings


def write_configuration(cluster):
    sections = {}
    for (section, key), value in configure(cluster).items():
        sections.setdefault(section, []).append(f"{key} = {value}")
    text = "\n".join(f"[{name}]\n" + "\n".join(lines) + "\n" for name, lines in sections.items())
    cluster.configuration.write_text(text)
    cluster.configuration.chmod(0o600)


def command(cluster, *words, text=""):
    """An administrator's command, on the cluster's databases."""
    done = subprocess.run([str(cluster.binary), *words, "--config", str(cluster.configuration),
                           "--data", str(cluster.folder / "nodes" / "api-1" / "data")],
                          input=text, text=True, capture_output=True)
    if done.returncode != 0:
        raise Refused(f"tutti {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
