"""What listeners ask for: audio, an album as JSON, and the time to the first sound."""
import json as json_
import subprocess
import urllib.request

from side import PASSWORD, Nginx, in_turns, wrk


def media(bench):
    server = bench.server()
    stream = server.call("GET", f"/api/v1/tracks/{bench.track}/stream", token=server.sign_in("listener"))
    url = next(f["url"] for f in stream["files"] if f["format"] == "aac" and f["bitrate"] == 320)
    (bench.folder / "www").mkdir(exist_ok=True)
    with urllib.request.urlopen(url) as answer:
        (bench.folder / "www" / "a.mp4").write_bytes(answer.read())
    nginx = Nginx(bench.folder, f"location / {{ root {bench.folder}/www; }}")
    ours, peer, ratio = in_turns(lambda: wrk(url, server.process.pid, 16),
                                 lambda: wrk(nginx.url + "/a.mp4", nginx.process.pid, 16),
                                 lambda requests, length, cpu: length / cpu / 1e9)
    nginx.stop()
    bench.say("audio, GB per CPU-second", f"{ours:.2f}", f"nginx {peer:.2f}", f"{ratio:.2f}", ">= 1", ratio >= 1)


def json(bench):
    server = bench.server()
    token = server.sign_in("listener")
    path = f"/api/v1/albums/{bench.album}"
    body = json_.dumps(server.call("GET", path, token=token), separators=(",", ":"))
    nginx = Nginx(bench.folder, f"location / {{ return 200 '{body}'; }}")
    ours, peer, ratio = in_turns(lambda: wrk(server.url + path, server.process.pid, 32, token),
                                 lambda: wrk(nginx.url + "/", nginx.process.pid, 32, token),
                                 lambda requests, length, cpu: requests / cpu)
    nginx.stop()
    bench.say("JSON with a token, requests per CPU-second", f"{ours:,.0f}", f"nginx {peer:,.0f}", f"{ratio:.2f}",
             ">= 0.8", ratio >= 0.8)


def audio(bench):
    server = bench.server()
    text = subprocess.run(["node", "bench/first_audio.mjs", server.url, "listener", PASSWORD, bench.track, "50"],
                          check=True, capture_output=True, text=True, timeout=600).stdout
    times = sorted(json_.loads(text.splitlines()[-1])["ms"])
    p50, p99 = times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]
    bench.say(f"first audio in Chromium, ms, {len(times)} plays", f"p50 {p50:.0f} p99 {p99:.0f}", "-", "-",
             "100/200", p50 <= 100 and p99 <= 200)
