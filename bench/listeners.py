"""A thousand listeners at once, held for a minute."""
import json
import re
import subprocess
import urllib.parse
import urllib.request

from side import cpu_seconds

COUNT = 1000
SECONDS = 60


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


def listeners(bench):
    server = bench.server()
    stream = server.call("GET", f"/api/v1/tracks/{bench.track}/stream", token=server.sign_in("listener"))
    path, ranges = segments(stream)
    before = cpu_seconds(server.process.pid)
    done = subprocess.run([bench.build / "bench" / "listeners", str(server.port), path, str(COUNT), str(SECONDS)],
                          input="".join(f"{offset} {length}\n" for offset, length in ranges), check=True,
                          capture_output=True, text=True, timeout=SECONDS + 60)
    share = (cpu_seconds(server.process.pid) - before) / SECONDS
    result = json.loads(done.stdout)
    whole = result["segments"] >= COUNT * (SECONDS // 4)
    bench.say(f"late segments of {result['segments']}, 1,000 at 320 kbit/s", str(result["late"]),
              f"p99 {result['p99_ms']:.0f} max {result['max_ms']:.0f} ms", "-", "= 0",
              result["late"] == 0 and result["failed"] == 0 and whole)
    bench.say("their CPU share, % of a core", f"{share * 100:.1f}", f"loader {result['cpu_s'] / SECONDS * 100:.1f}", "-",
              "<= 20", share <= 0.2)
