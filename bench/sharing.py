"""What it costs a process to share limits and cache with others: the same answers with the same limits, over a Redis and
alone."""
import pathlib
import sys

from side import Tutti, in_turns, wrk

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "engines"))
import redis as engine  # noqa: E402


def another(bench, **settings):
    """A second process on the data of the bench's server, with a limit that is counted and never met."""
    server = Tutti(bench.build, bench.tutti.data)
    server.environment.update(TUTTI_LIMITS_READS_PER_MINUTE="100000000", TUTTI_LIMITS_TIGHTEN_DELAY_MS="0", **settings)
    server.start()
    return server


def shared(bench):
    bench.server()
    path = f"/api/v1/albums/{bench.album}"
    with engine.Server() as redis:
        alone, over = another(bench), another(bench, TUTTI_CACHE_STORE=redis.url())
        token, token_over = alone.sign_in("listener"), over.sign_in("listener")
        ours, peer, ratio = in_turns(lambda: wrk(over.url + path, over.process.pid, 32, token_over),
                                     lambda: wrk(alone.url + path, alone.process.pid, 32, token),
                                     lambda requests, length, cpu: requests / cpu)
        over.stop()
        alone.stop()
    bench.say("JSON with shared limits, per CPU-second", f"{ours:,.0f}", f"alone {peer:,.0f}", f"{ratio:.2f}", ">= 0.9",
              ratio >= 0.9)
