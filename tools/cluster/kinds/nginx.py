"""nginx: the second kind of edge, by deploy/nginx."""
import shutil

from kinds.varnish import Edge
from shared import DEPLOY, filled


class Nginx(Edge):
    kind = "nginx"
    keys_of = "nginx"

    def prepare(self):
        for name in ("cache", "purged"):
            shutil.chown(self.make_folder(name), "www-data", "www-data")
        self.folder.chmod(0o711)
        keys = self.keys("keys.json")
        self.write("nginx.conf", filled(
            "nginx/edge.conf", LISTEN=f"{self.address}:{self.port}", KEYS=keys, SCRIPTS=DEPLOY / "nginx",
            CACHE=self.folder / "cache", CACHE_SIZE="256m", PURGED=self.folder / "purged", PURGER=self.purgers(), WORKERS=1,
            STATE=self.folder, LOG=self.folder, **self.origin()))

    def command(self):
        return ["nginx", "-c", self.folder / "nginx.conf", "-e", "stderr", "-g", "daemon off;"]
