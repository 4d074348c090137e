"""Edges: what a CPU-second of each kind carries, what is left for the origin, and how long the first byte takes."""
import http.client
import pathlib
import re
import statistics
import sys
import time
import urllib.parse
import urllib.request

from playback import media_url
from side import Nginx, cpu_seconds, in_turns, wrk

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "edge"))
from crowd import crowd  # noqa: E402
from edges import KINDS  # noqa: E402

LISTENERS = 500
HOT = 300
COLD = 15


def first_byte_ms(connection, url):
    began = time.perf_counter()
    connection.request("GET", urllib.parse.urlsplit(url).path)
    answer = connection.getresponse()
    answer.read(1)
    took = (time.perf_counter() - began) * 1000
    answer.read()
    return took


def purge(edge, url):
    track = urllib.parse.urlsplit(url).path.split("/")[3]
    request = urllib.request.Request(f"{edge.url}/m/{track}/", method="PURGE")
    urllib.request.urlopen(request).close()


def first_bytes(bench, edge, name, url):
    connection = http.client.HTTPConnection("127.0.0.1", edge.port)
    hot = sorted(first_byte_ms(connection, url) for _ in range(HOT))
    cold = []
    for _ in range(COLD):
        purge(edge, url)
        cold.append(first_byte_ms(connection, url))
    connection.close()
    bench.say(f"{name}: first byte, held, ms", f"p50 {hot[HOT // 2]:.2f}", f"p99 {hot[HOT * 99 // 100]:.2f}", "-", "-", True)
    bench.say(f"{name}: first byte, from the origin, ms", f"p50 {statistics.median(cold):.2f}", f"max {max(cold):.2f}", "-",
              "-", True)


def sent_bytes(server):
    with urllib.request.urlopen(server.url + "/metrics") as answer:
        return int(re.search(r"^tutti_http_sent_bytes_total (\d+)$", answer.read().decode(), re.M)[1])


def origins_share(bench, edge, name, url, server):
    """A cold burst: what share of the bytes the origin sends, and its CPU seconds of both programs'."""
    purge(edge, url)
    before = cpu_seconds(server.process.pid), cpu_seconds(edge.program.process.pid)
    sent = sent_bytes(server)
    came = crowd(url, LISTENERS)
    (_, length, _), = came
    used = [cpu_seconds(pid) - then for pid, then in zip((server.process.pid, edge.program.process.pid), before)]
    share = (sent_bytes(server) - sent) / (length * LISTENERS)
    bench.say(f"{name}: {LISTENERS} listeners of a cold file", f"{length * LISTENERS / 1e9:.2f} GB",
              f"CPU s {used[0]:.2f} of {sum(used):.2f}", f"{share:.4f}", "<= 0.01", share <= 0.01)


def measure(bench, server, peer, name, one, media, manifest):
    pid = one.program.process.pid
    for what, url, file, figure, unit in (
            ("audio", media, "a.mp4", lambda requests, length, cpu: length / cpu / 1e9, "GB per CPU-second"),
            ("manifests", manifest, "a.m3u8", lambda requests, length, cpu: requests / cpu, "per CPU-second")):
        ours, theirs, ratio = in_turns(lambda: wrk(one.at(url), pid, 16),
                                       lambda: wrk(f"{peer.url}/{file}", peer.process.pid, 16), figure)
        bench.say(f"{name}: {what}, {unit}", f"{ours:,.2f}", f"nginx alone {theirs:,.2f}", f"{ratio:.2f}", "-", True)
    first_bytes(bench, one, name, one.at(media))
    origins_share(bench, one, name, one.at(media), server)


def edge(bench):
    server = bench.server()
    media = media_url(bench, server, bench.track)
    stream = server.call("GET", f"/api/v1/tracks/{bench.track}/stream", token=server.sign_in("listener"))
    with urllib.request.urlopen(stream["hls"]) as answer:
        (bench.folder / "www" / "a.m3u8").write_bytes(answer.read())
    peer = Nginx(bench.folder, f"location / {{ root {bench.folder}/www; }}")
    for name, kind in sorted(KINDS.items()):
        folder = bench.folder / name
        folder.mkdir()
        one = kind(folder, [f"127.0.0.1:{server.port}"], server.data / "keys" / "edge-keys").start()
        try:
            measure(bench, server, peer, name, one, media, stream["hls"])
        finally:
            one.stop()
    peer.stop()
