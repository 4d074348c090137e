"""The process itself: how soon it is there, what it keeps, and how it stands a flood (flood.py)."""
import statistics
import time
import urllib.request

import flood
from side import resident_mb


def idle(bench):
    bench.server().stop()
    server, bench.tutti = bench.tutti, None
    starts = []
    for _ in range(10):
        starts.append(server.start())
        time.sleep(0.5)
        memory = resident_mb(server.process.pid)
        server.stop()
    ready = statistics.median(starts)
    bench.say("exec to ready, ms", f"{ready:.0f}", "-", "-", "<= 50", ready <= 50)
    bench.say("idle memory after start, MB", f"{memory:.1f}", "-", "-", "<= 20", memory <= 20)
    server.start()
    for _ in range(20):
        token = server.sign_in("listener")
        stream = server.call("GET", f"/api/v1/tracks/{bench.track}/stream", token=token)
        with urllib.request.urlopen(stream["trackUrl"]) as answer:
            answer.read()
    time.sleep(60)
    used = resident_mb(server.process.pid)
    server.stop()
    bench.say("a minute after log-ins and plays, MB", f"{used:.1f}", "-", "-", "<= 30", used <= 30)


def connections(bench):
    bench.rows += flood.connections(bench.build)


def flooded(bench):
    bench.rows += flood.flood(bench.build)
