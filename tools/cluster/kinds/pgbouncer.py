"""PgBouncer in transaction mode, before whoever is the primary."""
from node import Node
from kinds.postgresql import DATABASES


class Pgbouncer(Node):
    kind = "pgbouncer"
    port = 6432
    needs = ("haproxy-db",)
    user = "postgres"

    def prepare(self):
        primary = self.cluster.one("haproxy-db")
        self.write("users.txt", f'"tutti" "{self.cluster.secrets["tutti"]}"\n')
        databases = "\n".join(f"{name} = host={primary.address} port={primary.port} dbname={name}" for name in DATABASES)
        self.write("pgbouncer.ini", f"""[databases]
{databases}
[pgbouncer]
listen_addr = {self.address}
listen_port = {self.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {self.folder / "users.txt"}
pool_mode = transaction
max_client_conn = 500
default_pool_size = 10
server_login_retry = 1
server_connect_timeout = 3
query_wait_timeout = 10
tcp_keepalive = 1
tcp_keepidle = 5
tcp_keepintvl = 2
tcp_keepcnt = 3
tcp_user_timeout = 8000
ignore_startup_parameters = extra_float_digits,options
log_connections = 0
log_disconnections = 0
""")

    def command(self):
        return ["pgbouncer", self.folder / "pgbouncer.ini"]
