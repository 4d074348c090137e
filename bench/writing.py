"""What is written: uploads, log-ins, rows."""
import http.client
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import urllib.parse

from side import PASSWORD, Nginx, cpu_seconds, in_turns, wrk

PUT_BYTES = 8 << 20
PUTS = 16
PUT_THREADS = 4

LOG_IN = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"username": "listener", "password": "%s"}'
"""


def put_all(urls, body):
    """PUTs body to each, by PUT_THREADS connections at a time."""
    def work(mine):
        place = urllib.parse.urlsplit(mine[0])
        connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=60)
        for url in mine:
            parts = urllib.parse.urlsplit(url)
            connection.request("PUT", f"{parts.path}?{parts.query}", body, {"Host": parts.netloc})
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 300:
                failed.append(answer.status)

    failed = []
    threads = [threading.Thread(target=work, args=(urls[i::PUT_THREADS],)) for i in range(PUT_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed


def put(bench):
    """nginx neither makes an ETag of the content (MD5) nor waits for the disk; both are ours to do."""
    server = bench.server()
    token = server.sign_in("artist")
    body = os.urandom(PUT_BYTES)
    query = urllib.parse.urlencode({"filename": "a.flac", "size": PUT_BYTES})
    (bench.folder / "dav").mkdir(exist_ok=True)
    (bench.folder / "dav").chmod(0o777)  # as root nginx's workers are somebody else
    nginx = Nginx(bench.folder, f"location / {{ root {bench.folder}/dav; dav_methods PUT; client_max_body_size 0; }}")

    def ours():
        urls = [server.call("GET", f"/api/v1/tracks/upload-url?{query}", token=token)["uploadUrl"]
                for _ in range(PUTS)]
        before = cpu_seconds(server.process.pid)
        put_all(urls, body)
        return cpu_seconds(server.process.pid) - before,

    def theirs():
        before = cpu_seconds(nginx.process.pid)
        put_all([f"{nginx.url}/{i}" for i in range(PUTS)], body)
        return cpu_seconds(nginx.process.pid) - before,

    mine, peer, ratio = in_turns(ours, theirs, lambda cpu: PUTS / cpu)
    nginx.stop()
    bench.say("uploads of 8 MB by PUT, per CPU-second", f"{mine:.0f}", f"nginx {peer:.0f}", f"{ratio:.2f}", ">= 0.3",
              ratio >= 0.3)


def bare_hashes(bench):
    """Argon2id as log-ins use it, per CPU-second."""
    text = subprocess.run([bench.build / "bench" / "bench_identity"], check=True, capture_output=True, text=True).stdout
    return float(re.search(r"Argon2id alone.* (\d+) /CPU-s", text)[1])


def logins(bench):
    """The server gives memory back at once (M_TRIM_THRESHOLD in serve.c), which costs a log-in some 2.5 ms that the bare
    hash does not pay: bench_identity shows it with and without MALLOC_TRIM_THRESHOLD_=262144."""
    server = bench.server()
    script = bench.folder / "log_in.lua"
    script.write_text(LOG_IN % PASSWORD)
    mine, peer, ratio = in_turns(
        lambda: wrk(server.url + "/api/v1/auth/login", server.process.pid, 8, script=script),
        lambda: (bare_hashes(bench), 0, 1), lambda requests, length, cpu: requests / cpu)
    bench.say("log-ins over HTTP, per CPU-second", f"{mine:.1f}", f"bare hash {peer:.1f}", f"{ratio:.2f}", ">= 0.8",
              ratio >= 0.8)


def bare_syncs(folder, again, seconds=2):
    """What the disk can do: pages of 4 KB synced one by one, a second; appended, or again over what is there."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        page, pages = b"\1" * 4096, 1024 if again else 1 << 40
        if again:
            file.write(page * pages)
            file.flush()
            os.fsync(file.fileno())
        count, began = 0, time.monotonic()
        while time.monotonic() < began + seconds:
            os.pwrite(file.fileno(), page, count % pages * len(page))
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.monotonic() - began)


def writers(bench):
    """One writer waits for its sync each time; many share one. The bars are against syncs of a file that grows; SQLite's log
    has its length once it has begun anew, and a sync without a new length is cheaper: so one writer may beat the former."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=bench.folder))
    before = bare_syncs(folder, again=False)
    text = subprocess.run([bench.build / "bench" / "bench_db", folder / "db", "3"], check=True, capture_output=True,
                          text=True).stdout
    syncs, cheaper = (before + bare_syncs(folder, again=False)) / 2, bare_syncs(folder, again=True)
    for count, bar in ((1, 0.3), (8, 2), (64, 8)):
        row = re.search(rf"^\| writes \| {count} \|(.*)\|$", text, re.M)[1]
        rate, _, _, p99, _, failed = (float(cell) for cell in row.split("|"))
        ratio = rate / syncs
        bench.say(f"writes a second, {count} writer{'s' if count > 1 else ''}", f"{rate:,.0f} p99 {p99:.1f} ms",
                  f"bare fsync {syncs:,.0f} ({cheaper:,.0f} again)", f"{ratio:.2f}", f">= {bar}", ratio >= bar and failed == 0)
