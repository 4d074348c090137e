"""A thousand listeners at once, held for a minute: of a file that the kernel has in memory, and of one that it has not."""
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import urllib.parse
import urllib.request

from side import cpu_seconds

COUNT = 1000
SECONDS = 60
FORGET_S = 0.05


class Forgotten:
    """Meanwhile the kernel is told again and again that it need not keep the objects' pages: what is asked for comes off
    the disk. Nothing happens to those that are being sent."""

    def __init__(self, objects):
        self.files = [os.open(path, os.O_RDONLY) for path in objects.rglob("*") if path.is_file()]
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.forget)

    def forget(self):
        while not self.ended.wait(FORGET_S):
            for file in self.files:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        for file in self.files:
            os.close(file)


def segments(stream):
    """(path of the 320 kbit/s file, [(offset, bytes)…]) out of the HLS playlist of the stream."""
    with urllib.request.urlopen(stream["hls"]) as answer:
        master, base = answer.read().decode(), answer.url
    variant = re.findall(r"^[^#\n]*320[^#\n]*$", master, re.M)[-1]
    playlist = urllib.parse.urljoin(base, variant)
    with urllib.request.urlopen(playlist) as answer:
        text = answer.read().decode()
    file = re.search(r"^[^#\n].*$", text, re.M)[0]
    ranges = [(int(offset), int(length)) for length, offset in re.findall(r"#EXT-X-BYTERANGE:(\d+)@(\d+)", text)]
    return urllib.parse.urlsplit(urllib.parse.urljoin(playlist, file)).path, ranges[:-1]


def read_bytes(pid):
    """What a process had read off the disk (proc(5))."""
    return int(re.search(r"^read_bytes: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text(), re.M)[1])


def hold(bench, server, path, ranges, kind):
    cpu, read = cpu_seconds(server.process.pid), read_bytes(server.process.pid)
    done = subprocess.run([bench.build / "bench" / "listeners", str(server.port), path, str(COUNT), str(SECONDS)],
                          input="".join(f"{offset} {length}\n" for offset, length in ranges), check=True,
                          capture_output=True, text=True, timeout=SECONDS + 60)
    share = (cpu_seconds(server.process.pid) - cpu) / SECONDS
    read = (read_bytes(server.process.pid) - read) / 1e6
    result = json.loads(done.stdout)
    whole = result["segments"] >= COUNT * (SECONDS // 4)
    bench.say(f"late of {result['segments']} segments, {COUNT:,} listeners, {kind}", str(result["late"]),
              f"p99 {result['p99_ms']:.0f} max {result['max_ms']:.0f} ms", "-", "= 0",
              result["late"] == 0 and result["failed"] == 0 and whole)
    bench.say(f"their CPU share, {kind}, % of a core", f"{share * 100:.1f}",
              f"loader {result['cpu_s'] / SECONDS * 100:.1f}", "-", "<= 20", share <= 0.2)
    return read


def listeners(bench):
    server = bench.server()
    stream = server.call("GET", f"/api/v1/tracks/{bench.track}/stream", token=server.sign_in("listener"))
    path, ranges = segments(stream)
    hold(bench, server, path, ranges, "in memory")
    with Forgotten(server.data / "objects"):
        read = hold(bench, server, path, ranges, "off the disk")
    if read < sum(length for _, length in ranges) / 1e6:
        sys.exit(f"bench: the kernel kept the file all the same: {read:.0f} MB were read")
