"""The process itself: how soon it is there, what it keeps, and how it stands a flood (flood.py)."""
import statistics
import subprocess
import time
import urllib.request

import flood
from side import resident_mb


def idle(bench):
    """With the demo's music in its library, as the bars are set."""
    bench.server().stop()
    server, bench.tutti = bench.tutti, None
    server.add_user("admin", "admin")  # whom the music belongs to
    subprocess.run([server.binary, "import", str(bench.music), "--data", str(server.data)], check=True,
                   stdout=subprocess.DEVNULL)
    starts, resident = [], []
    for _ in range(10):
        starts.append(server.start())
        time.sleep(0.5)
        resident.append(resident_mb(server.process.pid))
        server.stop()
    ready, memory = statistics.median(starts), max(resident)
    bench.say("exec to ready, ms", f"{ready:.0f}", "-", "-", "<= 50", ready <= 50)
    bench.say("idle memory after start, most, MB", f"{memory:.1f}", "-", "-", "<= 20", memory <= 20)
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
