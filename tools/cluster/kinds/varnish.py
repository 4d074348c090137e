"""Varnish: the first kind of edge, by deploy/varnish."""
from network import run
from node import Node
from shared import DEPLOY, filled


class Edge(Node):
    """What both kinds have in common: where media comes from, and the keys of its tokens."""
    port = 6081
    needs = ("tutti-streaming", "ceph-rgw")
    keys_of = ""  # the kind's name for deploy/edge-keys.sh

    def origin(self):
        store = self.cluster.one("ceph-rgw")
        return {"ORIGIN": f"{store.address}:{store.port}", "ORIGIN_KIND": "s3", "ORIGIN_PATH": "/tutti"}

    def purgers(self):
        return [node.address for node in self.cluster.tutti("streaming")]

    def keys(self, name):
        path = self.folder / name
        run("sh", DEPLOY / "edge-keys.sh", self.keys_of, self.cluster.folder / "shared" / "keys" / "edge-keys", path)
        return path

    def is_ready(self):
        return self.http_status("/healthz") == 200


class Varnish(Edge):
    kind = "varnish"
    keys_of = "varnish"

    def prepare(self):
        self.write("edge.vcl", filled("varnish/edge.vcl", ORIGIN_PROBE="/", PURGER=self.purgers(), KEYS=self.keys("keys.vcl"),
                                      **self.origin()), 0o644)

    def command(self):
        return ["varnishd", "-F", "-j", "none", "-a", f"{self.address}:{self.port}", "-f", self.folder / "edge.vcl",
                "-n", self.make_folder("work"), "-s", "malloc,64m", "-p", "http_gzip_support=off",
                "-p", "vsl_mask=-ReqURL,-BereqURL,-ReqHeader,-BereqHeader,-HttpGarbage", "-p", "thread_pool_min=20",
                "-p", "vsl_space=8m"]
