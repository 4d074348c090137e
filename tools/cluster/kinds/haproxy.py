"""HAProxy, twice: the way in, and whoever is the PostgreSQL primary."""
from network import run
from node import Node
from shared import DEPLOY, filled


class Haproxy(Node):
    kind = "haproxy"

    def command(self):
        return ["haproxy", "-W", "-db", "-f", self.folder / "haproxy.cfg"]


GLOBAL = """global
    maxconn 2000
    stats socket {folder}/admin.sock mode 600 level admin
defaults
    timeout connect 2s
    timeout check 2s
"""


class DatabaseProxy(Haproxy):
    """Port 5432: the primary, as Patroni says; 5433: its standbys and replicas."""
    kind = "haproxy-db"
    port = 5432
    needs = ("postgresql",)

    def prepare(self):
        servers = "\n".join(f"    server {node.name} {node.address}:5432 check port 8008"
                            for node in self.cluster.of_kind("postgresql"))
        self.write("haproxy.cfg", GLOBAL.format(folder=self.folder) + f"""    mode tcp
    timeout client 1h
    timeout server 1h
    option clitcpka
    option srvtcpka
    default-server inter 500ms fastinter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
listen primary
    bind {self.address}:5432
    option httpchk OPTIONS /primary
    http-check expect status 200
{servers}
listen replicas
    bind {self.address}:5433
    balance leastconn
    option httpchk OPTIONS /replica
    http-check expect status 200
{servers}
""")


class WayIn(Haproxy):
    """By path: streaming to its processes, media to the edges, everything else to the API's. By TLS for whom TlsWayIn
    passes on, and by plain HTTP for tests and tools, with the same rules."""
    port = 4040
    tls_port = 4443
    needs = ("tutti-api", "tutti-streaming", "varnish", "nginx")

    def prepare(self):
        certificates = self.make_folder("certificates")
        front = self.cluster.one("way-in-tls").address
        run("sh", DEPLOY / "haproxy" / "certificates.sh", certificates, front, self.address)
        store = self.cluster.one("ceph-rgw")
        text = filled("haproxy/l7.cfg", HTTPS=f"{self.address}:{self.tls_port}", HTTPS_OPTIONS="accept-proxy",
                      HTTP=f"{self.address}:4080", CERTIFICATE=certificates / "tutti.pem", API=places(self.cluster.tutti("api")),
                      STREAMING=places(self.cluster.tutti("streaming")), EDGE=places(self.cluster.edges()),
                      OBJECTS=places([store]), OBJECTS_PATH="/tutti/", OBJECTS_PROBE="/", STATE=self.folder, CONNECTIONS=4000)
        self.write("haproxy.cfg", text + self.plain(text))

    def plain(self, text):
        """The rules of the frontend with TLS once more, without it."""
        begin = text.index("frontend https")
        lines = text[begin:text.index("\nbackend", begin)].splitlines()
        bind = next(i for i, line in enumerate(lines) if line.strip().startswith("bind "))
        lines[0], lines[bind] = "frontend plain", f"    bind {self.address}:{self.port}"
        return "\n" + "\n".join(lines).replace("X-Forwarded-Proto https", "X-Forwarded-Proto http") + "\n"

    def is_ready(self):
        return self.http_status("/readyz") == 200


class TlsWayIn(Haproxy):
    """In front: passes TLS on as it comes."""
    port = 443
    needs = ("way-in",)

    def prepare(self):
        behind = self.cluster.one("way-in")
        self.write("haproxy.cfg", filled("haproxy/l4.cfg", HTTPS=f"{self.address}:{self.port}",
                                         L7=f"{behind.address}:{behind.tls_port}", STATE=self.folder, CONNECTIONS=1000))


def places(nodes):
    return [f"{node.address}:{node.port}" for node in nodes]
