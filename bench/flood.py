"""./dev bench flood and ./dev bench connections: floods at full size (tests/flood/floods.py) and what a connection
costs in memory, with the limits that the program has by default."""
import os
import statistics
import sys
import time
import urllib.parse

CONNECTIONS, REQUEST_MEMORY_MB, SECONDS = 10000, 256, 20
LISTENER_MS, REFUSED_MS = 50, 10


def scene(build, environment=None):
    os.environ["TUTTI_BINARY"] = str(build / "tutti")
    sys.path.insert(0, "tests/flood")
    import floods  # after TUTTI_BINARY is set, which it reads
    return floods, floods.Scene(build / "tests" / "flood" / "flood", environment)


def refused_ms(measured):
    """The refusals' p99, of the load where it is highest."""
    return max((load["refused"]["p99"] for load in measured["floods"]), default=0)


def row(flood, measured, bound, floods):
    heard, late_ms = measured["heard"], refused_ms(measured)
    name, (count, cut, *_) = flood.__name__ if flood else "none", floods.refusals(measured)
    listener_ms = max(heard["kept"]["p99"], heard["fresh"]["p99"])
    well = heard["failed"] == 0 and set(heard["codes"]) == {"200"} and heard["audio"]["flows"]
    well = well and floods.well_told(flood, measured)
    met = well and listener_ms < LISTENER_MS and late_ms < REFUSED_MS and measured["memory_mb"] <= bound
    print(f"{name:<16} {listener_ms:>9.1f} {heard['audio']['least_s']:>7.1f} {count:>9,} {late_ms:>9.1f} {cut:>6,} "
          f"{measured['memory_mb']:>7.0f} {bound:>6.0f}  {'met' if met else 'NOT MET'}", flush=True)
    return {"name": f"flood: {name}", "listener_ms": listener_ms, "audio_least_s": heard["audio"]["least_s"],
            "refused": count, "refused_ms": late_ms, "cut": cut, "memory_mb": measured["memory_mb"], "bound_mb": bound,
            "met": met, "measured": measured}


def flood(build):
    """The table flood x p99 of listeners x refusals x memory."""
    floods, place = scene(build)
    bound = floods.memory_bound_mb(CONNECTIONS, REQUEST_MEMORY_MB)
    print(f"{CONNECTIONS:,} connections, {SECONDS} s each; bars: listeners' p99 {LISTENER_MS} ms, no gap in the audio, "
          f"refused within {REFUSED_MS} ms with Retry-After and RateLimit-*, at most one in a hundred without a word, "
          f"memory {bound:.0f} MB")
    print(f"{'flood':<16} {'p99 ms':>9} {'audio s':>7} {'refused':>9} {'p99 ms':>9} {'cut':>6} {'MB':>7} {'bound':>6}")
    try:
        rows = [row(None, place.measure(SECONDS), bound, floods)]
        for one in floods.FLOODS:
            rows.append(row(one, place.measure(SECONDS, one(place, CONNECTIONS)), bound, floods))
            time.sleep(2)
        after = floods.resident_mb(place.server.process.pid)
        print(f"memory after them: {after:.0f} MB", flush=True)
        return rows + [{"name": "memory after floods, MB", "ours": round(after, 1)}]
    finally:
        place.done()


def connections(build):
    """KB of the server's memory that a connection takes, by what it does."""
    unlimited = {f"TUTTI_LIMITS_{name}": "0" for name in
                 ("READS_PER_MINUTE", "UPLOADS_PER_MINUTE", "PLAYS_PER_MINUTE", "LOGINS_PER_MINUTE")}
    rows = []
    for name in ("idle", "request begun", "stream", "upload"):
        floods, place = scene(build, {**unlimited, "TUTTI_LIMITS_HEADER_TIMEOUT_MS": "60000"})
        try:
            count = 400 if name == "upload" else 4000
            loads = {
                "idle": lambda: {"requests": [floods.request("GET", "/healthz")], "connections": count,
                                 "addresses": 64, "interval_ms": 60000},
                "request begun": lambda: floods.slow(floods.request("GET", "/healthz", X_Slow="s" * 500), size=count,
                                                     at_once=60),
                "stream": lambda: {"requests": [floods.request("GET", urllib.parse.urlsplit(place.audio["url"]).path)],
                                   "mode": "read", "connections": count, "addresses": 64, "interval_ms": 100,
                                   "read_bytes": 4000},
                "upload": lambda: floods.slow(floods.places(place, 5, 1 << 20), "x" * 600_000, count, 600_000),
            }
            load = loads[name]()
            time.sleep(1)
            before = floods.resident_mb(place.server.process.pid)
            others = place.connections()
            running = place.load(seconds=30, **load)
            deadline = time.monotonic() + 20
            while place.connections() < others + count and time.monotonic() < deadline:
                time.sleep(0.2)
            time.sleep(2)
            there = place.connections() - others
            samples = [floods.resident_mb(place.server.process.pid) for _ in range(10) if not time.sleep(0.2)]
            running.terminate()
            running.communicate()
        finally:
            place.done()
        each_kb = (statistics.median(samples) - before) * 1024 / there
        bar = 600 if name == "upload" else floods.CONNECTION_KB
        print(f"memory of a connection, {name:<14} {each_kb:>7.1f} KB of {there:,}  bar <= {bar} "
              f"{'met' if each_kb <= bar else 'NOT MET'}", flush=True)
        rows.append({"name": f"memory of a connection, {name}", "ours": round(each_kb, 1), "bar": bar,
                     "met": each_kb <= bar})
    return rows
