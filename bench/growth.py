"""What an answer costs as the library grows: 1 K, 100 K and 1 M tracks, the same requests, random ids, each answer
from the database: the cache is given the least it takes. Of 1 K tracks even that holds a good part (a hundred
albums), so the bar is on 1 M against 100 K."""
import http.client
import random
import re
import shutil
import statistics

from seed import PER_ALBUM, seed
from side import Tutti, wrk

SIZES = (1_000, 100_000, 1_000_000)
PATHS = 20_000
ROUNDS = 3
PAGE = 50

# Each request another path of the file, in its order.
SCRIPT = """
local paths = {}
for line in io.lines("%s") do paths[#paths + 1] = line end
local at = 0
request = function()
  at = at %% #paths + 1
  return wrk.format("GET", paths[at])
end
"""


def walk(server, token):
    """Every cursor of the list by title from its first page to its last."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    cursors, more = [], ""
    while True:
        connection.request("GET", f"/api/v1/tracks?limit=500&sort=title{more}",
                           headers={"Authorization": f"Bearer {token}"})
        cursor = re.search(rb'"next":"([^"]+)"}$', connection.getresponse().read())
        if cursor is None:
            return cursors
        cursors.append(cursor[1].decode())
        more = f"&cursor={cursors[-1]}"


def cost_us(bench, server, token, paths):
    """CPU µs of the server for a request, the median of a few rounds."""
    (bench.folder / "paths").write_text("\n".join(paths) + "\n")
    script = bench.folder / "paths.lua"
    script.write_text(SCRIPT % (bench.folder / "paths"))
    rounds = [wrk(server.url, server.process.pid, 16, token, script) for _ in range(ROUNDS)]
    return statistics.median(cpu / requests * 1e6 for requests, _, cpu in rounds)


def measure(bench, server, size, track, album):
    token = server.sign_in("listener")
    chance = random.Random(size)
    tracks = [track - chance.randrange(1, size) for _ in range(PATHS)]
    albums = [album - 1 - chance.randrange(size // PER_ALBUM) for _ in range(PATHS)]
    cursors = walk(server, token)
    assert (len(cursors) + 1) * 500 >= size
    list_path = f"/api/v1/tracks?limit={PAGE}&sort=title"
    deep = cursors[len(cursors) * 9 // 10:]
    return {
        "a track": cost_us(bench, server, token, [f"/api/v1/tracks/{i}" for i in tracks]),
        "an album": cost_us(bench, server, token, [f"/api/v1/albums/{i}" for i in albums]),
        "a play's addresses": cost_us(bench, server, token, [f"/api/v1/tracks/{i}/stream" for i in tracks]),
        "first page by title": cost_us(bench, server, token, [list_path]),
        "last pages by title": cost_us(bench, server, token, [f"{list_path}&cursor={c}" for c in deep]),
    }


def growth(bench):
    """On a copy of the server's data, grown between the measurements."""
    bench.server().stop()
    data = bench.folder / "grown"
    shutil.copytree(bench.tutti.data, data)
    bench.tutti.start()
    track, album = int(bench.track), int(bench.album)
    costs = {}
    for size in SIZES:
        seed(data / "catalog.db", track, size)
        server = Tutti(bench.build, data)
        server.environment["TUTTI_CACHE_BYTES"] = "65536"
        server.start()
        try:
            costs[size] = measure(bench, server, size, track, album)
        finally:
            server.stop()
    shutil.rmtree(data)
    first, middle, last = (costs[size] for size in SIZES)
    for name, cost in last.items():
        ratio = cost / middle[name]
        bench.say(f"CPU µs for {name}, 1 M tracks", f"{cost:.0f}", f"100 K {middle[name]:.0f} 1 K {first[name]:.0f}",
                  f"{ratio:.2f}", "<= 1.5", ratio <= 1.5)
    ratio = last["last pages by title"] / last["first page by title"]
    bench.say("last pages against the first, 1 M tracks", f"{last['last pages by title']:.0f}",
              f"first {last['first page by title']:.0f}", f"{ratio:.2f}", "<= 1.5", ratio <= 1.5)
