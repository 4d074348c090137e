"""What listeners ask for: audio, an album as JSON, and the time to the first sound."""
import json as json_
import subprocess
import urllib.request

from side import PASSWORD, Nginx, Tutti, free_port, in_turns, wrk


def media_url(bench, server, track):
    """Of a track's AAC 320, whose bytes go into www/a.mp4, for the peer."""
    stream = server.call("GET", f"/api/v1/tracks/{track}/stream", token=server.sign_in("listener"))
    url = next(f["url"] for f in stream["files"] if f["format"] == "aac" and f["bitrate"] == 320)
    (bench.folder / "www").mkdir(exist_ok=True)
    with urllib.request.urlopen(url) as answer:
        (bench.folder / "www" / "a.mp4").write_bytes(answer.read())
    return url


def media(bench):
    server = bench.server()
    url = media_url(bench, server, bench.track)
    nginx = Nginx(bench.folder, f"location / {{ root {bench.folder}/www; }}")
    ours, peer, ratio = in_turns(lambda: wrk(url, server.process.pid, 16),
                                 lambda: wrk(nginx.url + "/a.mp4", nginx.process.pid, 16),
                                 lambda requests, length, cpu: length / cpu / 1e9)
    nginx.stop()
    bench.say("audio, GB per CPU-second", f"{ours:.2f}", f"nginx {peer:.2f}", f"{ratio:.2f}", ">= 1", ratio >= 1)


def sealed(bench):
    """Encryption at rest: every byte goes through ChaCha20-Poly1305 on its way out, as in TLS."""
    server = Tutti(bench.build, bench.folder / "sealed")
    server.environment["TUTTI_BLOB_ENCRYPT"] = "yes"
    server.add_user("artist", "artist")
    server.add_user("listener", "listener")
    server.start()
    url = media_url(bench, server, server.upload(server.sign_in("artist"), bench.song())[1])
    key, certificate, port = bench.folder / "key.pem", bench.folder / "certificate.pem", free_port()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)], check=True,
                   stderr=subprocess.DEVNULL)
    nginx = Nginx(bench.folder, f"listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {key}; "
                  f"ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256; "
                  f"location / {{ root {bench.folder}/www; }}")
    ours, peer, ratio = in_turns(lambda: wrk(url, server.process.pid, 16),
                                 lambda: wrk(f"https://127.0.0.1:{port}/a.mp4", nginx.process.pid, 16),
                                 lambda requests, length, cpu: length / cpu / 1e9)
    nginx.stop()
    server.stop()
    bench.say("encrypted at rest, GB per CPU-second", f"{ours:.2f}", f"nginx TLS {peer:.2f}", f"{ratio:.2f}", ">= 0.5",
              ratio >= 0.5)


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
    for name, key in (("", "ms"), (" no pointer before", "coldMs")):
        times = sorted(json_.loads(text.splitlines()[-1])[key])
        p50, p99 = times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]
        bench.say(f"first audio in Chromium{name}, ms, {len(times)}", f"p50 {p50:.0f} p99 {p99:.0f}", "-", "-",
                  "100/200", p50 <= 100 and p99 <= 200)
