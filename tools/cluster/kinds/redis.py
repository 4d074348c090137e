"""Redis: cache, shared limits, revocations, short locks. Nothing in it must survive."""
from node import Node


class Redis(Node):
    kind = "redis"
    port = 6379

    def prepare(self):
        self.write("redis.conf", f"""bind {self.address}
port {self.port}
dir {self.folder}
requirepass {self.cluster.secrets["redis"]}
save ""
appendonly no
maxmemory 64mb
maxmemory-policy volatile-lru
tcp-keepalive 5
""")

    def command(self):
        return ["redis-server", self.folder / "redis.conf"]
