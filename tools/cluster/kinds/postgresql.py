"""PostgreSQL under Patroni: a primary, a synchronous standby, and a replica that is never either. The node's program is
Patroni; PostgreSQL is its child."""
import json
import urllib.error
import urllib.request

from node import Node

DATABASES = ("catalog", "users", "activity")
PARAMETERS = {
    "max_connections": 100, "shared_buffers": "32MB", "wal_level": "logical", "max_wal_senders": 10,
    "max_replication_slots": 10, "max_slot_wal_keep_size": "256MB", "max_wal_size": "256MB", "min_wal_size": "80MB",
    "max_worker_processes": 4, "max_parallel_workers": 2, "jit": "off", "hot_standby_feedback": "on",
    "password_encryption": "scram-sha-256", "dynamic_shared_memory_type": "mmap", "autovacuum_max_workers": 1,
    "tcp_keepalives_idle": 5, "tcp_keepalives_interval": 2, "tcp_keepalives_count": 3, "tcp_user_timeout": 8000,
}


class Postgresql(Node):
    kind = "postgresql"
    port = 5432
    needs = ("etcd",)
    user = "postgres"

    def prepare(self):
        secrets = self.cluster.secrets
        never_leads = self is self.others()[-1]
        self.make_folder("sockets")
        self.write("patroni.yml", json.dumps({
            "scope": "tutti",
            "name": self.name,
            "log": {"level": "INFO"},
            "restapi": {"listen": f"{self.address}:8008", "connect_address": f"{self.address}:8008"},
            "etcd3": {"hosts": [f"{node.address}:2379" for node in self.cluster.of_kind("etcd")]},
            "bootstrap": {
                "dcs": {
                    "ttl": 7, "loop_wait": 1, "retry_timeout": 3, "maximum_lag_on_failover": 1 << 20,
                    "synchronous_mode": True, "primary_start_timeout": 0, "master_start_timeout": 0,
                    "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": PARAMETERS},
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"{self.address}:5432",
                "connect_address": f"{self.address}:5432",
                "data_dir": str(self.folder / "data"),
                "bin_dir": "/usr/lib/postgresql/15/bin",
                "pgpass": str(self.folder / "pgpass"),
                "authentication": {
                    "superuser": {"username": "postgres", "password": secrets["postgres"]},
                    "replication": {"username": "replicator", "password": secrets["replicator"]},
                    "rewind": {"username": "rewinder", "password": secrets["replicator"]},
                },
                "parameters": {"unix_socket_directories": str(self.folder / "sockets")},
                "pg_hba": ["local all all trust", "host replication replicator samenet scram-sha-256",
                           "host all all samenet scram-sha-256"],
                "basebackup": [{"checkpoint": "fast"}],
            },
            "tags": {"nofailover": never_leads, "nosync": never_leads},
        }))

    def command(self):
        return ["/usr/bin/patroni", self.folder / "patroni.yml"]

    def is_ready(self):
        """Running and, where it is a replica, streaming."""
        return self.http_status("/health", 8008) == 200 and self.role() in ("master", "primary", "replica")

    def role(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}:8008/patroni", timeout=2) as answer:
                return json.load(answer).get("role")
        except urllib.error.HTTPError as error:
            return json.load(error).get("role")
        except (OSError, ValueError):
            return None

    def founded(self):
        if self.role() in ("master", "primary"):
            found(self.address, self.cluster.secrets)


def found(address, secrets):
    """The platform's role and its databases, on the primary."""
    import psycopg2  # Debian's, which Patroni uses too

    connection = psycopg2.connect(host=address, user="postgres", password=secrets["postgres"], dbname="postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE tutti LOGIN PASSWORD %s", (secrets["tutti"],))
        for name in DATABASES:
            cursor.execute(f"CREATE DATABASE {name} OWNER tutti")
    connection.close()
