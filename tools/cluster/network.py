"""The cluster's network: a namespace for each node, all plugged into one bridge.

    host ── veth ──┐
                   hub (a namespace with the bridge, so that no firewall of the host's meddles)
    node ── veth ──┤
    node ── veth ──┘

A node's cable is its end in the hub: taken down, packets are lost in both directions and neither side is told, as with
a pulled cable. When the namespaces go, all of it goes."""
import json
import os
import pathlib
import subprocess

NETNS = pathlib.Path("/run/netns")


class Refused(Exception):
    """What cannot be done here, in words for the person at the terminal."""


def run(*command, check=True, text=None):
    done = subprocess.run([str(word) for word in command], input=text, text=True, capture_output=True)
    if check and done.returncode != 0:
        raise Refused(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def may_make_namespaces():
    """Raises Refused where this machine or this user does not allow what the cluster needs."""
    if os.geteuid() != 0:
        raise Refused("namespaces and their links need root: run it as root, or let sudo be there")
    probe = f"tutti-probe-{os.getpid()}"
    try:
        run("ip", "netns", "add", probe)
        run("ip", "-n", probe, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", probe, "link", "add", "one", "type", "veth", "peer", "name", "two")
    except Refused as refused:
        raise Refused(f"this machine allows no network namespaces with bridge and veth: {refused}") from None
    finally:
        run("ip", "netns", "del", probe, check=False)


class Network:
    """Addresses are 10.75.SUBNET.x: the host is 1, nodes get theirs from whoever calls add()."""

    def __init__(self, name, subnet):
        self.name, self.subnet = name, subnet
        self.hub = self.namespace("hub")

    def namespace(self, node):
        return f"tutti-{self.name}-{node}"

    def address(self, number):
        return f"10.75.{self.subnet}.{number}"

    def make(self):
        run("ip", "netns", "add", self.hub)
        host = f"tutti{self.subnet}"
        run("ip", "link", "add", host, "type", "veth", "peer", "name", "host", "netns", self.hub)
        run("ip", "-n", self.hub, "-batch", "-", text="""
            link add br0 type bridge
            link set lo up
            link set br0 up
            link set host master br0
            link set host up""")
        run("ip", "address", "add", f"{self.address(1)}/24", "dev", host)
        run("ip", "link", "set", host, "up")

    def add(self, node, number):
        inside = self.namespace(node)
        run("ip", "netns", "add", inside)
        run("ip", "-n", self.hub, "-batch", "-", text=f"""
            link add {node} type veth peer name eth0 netns {inside}
            link set {node} master br0
            link set {node} up""")
        run("ip", "-n", inside, "-batch", "-", text=f"""
            link set lo up
            address add {self.address(number)}/24 dev eth0
            link set eth0 up
            route add default via {self.address(1)}""")

    def cut(self, node):
        run("ip", "-n", self.hub, "link", "set", node, "down")

    def mend(self, node):
        run("ip", "-n", self.hub, "link", "set", node, "up")

    def cut_nodes(self):
        """Names of those whose cable is out."""
        links = json.loads(run("ip", "-n", self.hub, "-j", "link", check=False) or "[]")
        return {link["ifname"] for link in links if "UP" not in link["flags"]}

    def inhabitants(self):
        """{node: [pid …]}: who lives in which namespace, by /proc, so that no pid is ever mistaken for another's."""
        prefix = self.namespace("")
        homes = {}
        for path in NETNS.glob(prefix + "*"):
            homes[path.stat().st_ino] = path.name[len(prefix):]
        found = {node: [] for node in homes.values()}
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    node = homes.get((entry / "ns" / "net").stat().st_ino)
                except OSError:
                    continue
                if node is not None:
                    found[node].append(int(entry.name))
        return found

    def remove(self):
        for path in NETNS.glob(self.namespace("") + "*"):
            run("ip", "netns", "del", path.name, check=False)
        run("ip", "link", "del", f"tutti{self.subnet}", check=False)


def free_subnet():
    """A third byte that no link of this machine has yet."""
    taken = run("ip", "-4", "-o", "address")
    for subnet in range(256):
        if f" 10.75.{subnet}." not in taken:
            return subnet
    raise Refused("all networks 10.75.0.0/24 to 10.75.255.0/24 are taken")
