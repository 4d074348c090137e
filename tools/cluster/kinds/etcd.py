"""etcd: three members, which hold who leads PostgreSQL."""
from node import Node


class Etcd(Node):
    kind = "etcd"
    port = 2379

    def command(self):
        members = ",".join(f"{node.name}=http://{node.address}:2380" for node in self.others())
        return ["etcd", "--name", self.name, "--data-dir", self.make_folder("data"),
                "--listen-client-urls", f"http://{self.address}:2379", "--advertise-client-urls", f"http://{self.address}:2379",
                "--listen-peer-urls", f"http://{self.address}:2380",
                "--initial-advertise-peer-urls", f"http://{self.address}:2380",
                "--initial-cluster", members, "--initial-cluster-state", "new", "--initial-cluster-token", "tutti",
                "--heartbeat-interval", "150", "--election-timeout", "1500", "--logger", "zap",
                "--log-level", "warn", "--snapshot-count", "10000", "--auto-compaction-retention", "1"]

    def is_ready(self):
        return self.http_status("/health") == 200
