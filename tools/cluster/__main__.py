"""./dev cluster: the platform as many processes over real engines, on this machine.

    up [--set SECTION.KEY=VALUE …]   starts everything; ends with "ready URL"
    status [--json]                  who runs, where, in how much memory
    kill NAME | stop NAME            SIGKILL to all of that node | SIGTERM, and waits
    start NAME                       brings it back, and waits until it answers
    cut NAME | mend NAME             pulls its network cable | plugs it in again
    down                             ends everything and removes it

TUTTI_CLUSTER names the cluster ("dev"), so that several can stand side by side; its folder is /tmp/tutti-cluster-NAME,
or in TUTTI_CLUSTER_FOLDER."""
import argparse
import json
import os
import pathlib
import re
import sys

from cluster import Cluster, folder_of
from network import Refused, free_subnet

ROOT = pathlib.Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(prog="./dev cluster", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up")
    up.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", type=setting)
    up.add_argument("--binary", default=os.environ.get("TUTTI_BINARY", ROOT / "build" / "tutti"), type=pathlib.Path)
    commands.add_parser("status").add_argument("--json", action="store_true")
    for word in ("kill", "stop", "start", "cut", "mend"):
        commands.add_parser(word).add_argument("name")
    commands.add_parser("down")
    return parser.parse_args()


def setting(word):
    match = re.fullmatch(r"([a-z0-9]+)\.([a-z0-9_]+)=(.*)", word)
    if not match:
        raise argparse.ArgumentTypeError(f"{word}: SECTION.KEY=VALUE is meant")
    return match.groups()


def up(name, options):
    if folder_of(name).exists():
        raise Refused(f"it is up already, or what is left of it stands in {folder_of(name)}; ./dev cluster down removes it")
    if not os.access(options.binary, os.X_OK):
        raise Refused(f"{options.binary} is not there; ./dev build makes it")
    cluster = Cluster(name, options.binary.resolve(), free_subnet(), settings=options.set)
    cluster.up(lambda line: print(line, flush=True))
    print(f"ready {cluster.url}", flush=True)


def show(status):
    print(f"{'name':<14}{'kind':<17}{'pid':>8}  {'address':<21}{'MB':>6}  state")
    for row in status["processes"]:
        state = "cut" if row["cut"] else "up" if row["up"] else "down" if row["pid"] is None else "does not answer"
        address = f"{row['address']}:{row['port']}"
        print(f"{row['name']:<14}{row['kind']:<17}{row['pid'] or '':>8}  {address:<21}{row['rssKb'] / 1024:>6.0f}  {state}")
    total = sum(row["rssKb"] for row in status["processes"])
    print(f"{status['url']}  {total / 1024:.0f} MB in all")


def main():
    options = arguments()
    name = os.environ.get("TUTTI_CLUSTER", "dev")
    if not re.fullmatch(r"[a-z0-9]{1,24}", name):
        raise Refused(f"TUTTI_CLUSTER is \"{name}\"; small letters and digits are meant, 24 at most")
    if options.command == "up":
        return up(name, options)
    if os.geteuid() != 0:
        raise Refused("the cluster's processes are in namespaces: root or sudo is needed")
    cluster = Cluster.existing(name)
    if options.command == "status":
        status = cluster.status()
        return print(json.dumps(status)) if options.json else show(status)
    if options.command == "down":
        return cluster.down()
    return getattr(cluster, options.command)(options.name)


try:
    main()
except Refused as refused:
    sys.exit(f"cluster: {refused}")
