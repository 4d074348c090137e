"""A round on the cluster: the clients of tests/fault at work, harm done to one process after the other, and their checks."""
import time
import uuid

import check
import clients
import requests
from rounds import Round

BUFFER_S = 20  # of sound that a player has ahead: a song goes on if its next part is there before that is over


class ClusterWorld:
    """What a round asks of its world (tests/fault/world.py), on the cluster."""
    clock = None
    environment = {}

    def __init__(self, place):
        self.place = place
        self.url = place.status()["url"]
        self.harms = 0

    def start(self):
        return self

    def rows(self, query, database="catalog"):
        return self.place.rows(query, database)

    def add_user(self, username, role):
        """Or finds it there, where the cluster outlives a run."""
        self.place.tutti("user", "add", username, "--role", role, "--email", f"{username}@example.org", "--password-stdin",
                         stdin=clients.PASSWORD + "\n", good="is taken")

    def __exit__(self, *_):
        pass


class Player(clients.Listener):
    """Plays one file from its start to its end, over and over, as a player does that reads ahead: a part after the other.
    A part that does not come before the sound ahead of it is over is a stall."""
    pause = 0.02

    def begin(self):
        super().begin()
        self.at = 0

    def step(self):
        if self.url is None:
            stream = self.call("GET", f"/api/v1/tracks/{self.round.known.track}/stream").json()
            self.url = next(one["url"] for one in stream["files"] if one["format"] == "aac" and one["bitrate"] == 160)
        began = time.monotonic()
        last = min(self.at + 8191, len(self.round.known.body) - 1)
        part = self.part(self.at, last)
        if time.monotonic() - began > BUFFER_S:
            self.round.stalls += 1
        if part != self.round.known.body[self.at:last + 1]:
            self.journal.complain(f"{self.name}: wrong bytes {self.at}-{last}")
        self.at = 0 if last + 1 == len(self.round.known.body) else last + 1
        self.round.plays += 1
        time.sleep(0.2)

    def part(self, first, last):
        """Tries again, soon, as players do."""
        while not self.round.ending.is_set():
            self.journal.tell("ask", who=self.name, call="GET part")
            try:
                answer = self.http.get(self.url, headers={"Range": f"bytes={first}-{last}"}, timeout=4)
                if answer.status_code == 206:
                    return answer.content
                self.journal.tell("later", who=self.name, call="GET part", status=answer.status_code)
            except requests.RequestException as error:
                self.journal.tell("none", who=self.name, call="GET part", why=type(error).__name__)
            time.sleep(0.2)
        return self.round.known.body[first:last + 1]


class Listener(clients.Listener):
    pause = 0.3


class Editor(clients.Editor):
    pause = 0.6


class Uploader(clients.Uploader):
    """Slowly, for as long as the round lasts."""
    pause = 2.0


class Reader(clients.Client):
    """Reads, ten times a second: whether reads go on."""
    pause = 0.2

    def begin(self):
        super().begin()
        self.paths = [f"/api/v1/tracks/{self.round.known.track}", *(f"/api/v1/artists/{id}" for id in self.round.known.artists.values())]

    def step(self):
        self.call("GET", self.random.choice(self.paths))
        self.round.reads += 1


class Visitor(clients.Visitor):
    """A person has a hundred sessions at most, the youngest: this one ends its oldest long before."""
    pause = 2.0
    kept = 40

    def step(self):
        super().step()
        mine = [thing for thing in self.journal.of("session") if thing.removed is False]
        if len(mine) > self.kept:
            self.leave(mine[0])


class ClusterRound(Round):
    patience_s = 120  # a failover on a busy machine
    people = ((Editor, "maker"), (Editor, "second"), (Uploader, "maker"), (Uploader, "second"), (Listener, "listener"),
              (Visitor, "visitor"), (Player, "listener"), (Reader, "listener"))

    def __init__(self, place, known, specification, media, scenario, number, seed):
        """The seed chooses the harm; words and keys of clients are this round's alone, for the cluster outlives it."""
        self.place = place
        self.stalls = self.reads = 0
        super().__init__(known, specification, media, scenario, number, f"{seed}/{uuid.uuid4().hex}", uploads_each=1000)
        self.lingering = True  # a process that is cut off may still be at work on what its client gave up

    def make_world(self):
        self.folder.mkdir(parents=True)
        return ClusterWorld(self.place)

    def tokens_run_out(self):
        return True  # after a quarter of an hour

    def journal_size(self):
        return (self.folder / "journal.jsonl").stat().st_size

    def uploads(self):
        return len([thing for thing in self.journal.of("track") if thing.id])

    def wait_for_work(self):
        """Until a write, a read and a part of a song have succeeded from now on."""
        now = self.journal.writes, self.plays, self.reads
        deadline = time.monotonic() + 90
        while not all(later > earlier for earlier, later in zip(now, (self.journal.writes, self.plays, self.reads))):
            assert time.monotonic() < deadline, "writes, reads or plays do not succeed again"
            time.sleep(0.05)

    def check(self):
        check.settle(self)
        check.api(self)
        check.queries(self)
        check_objects(self)


def check_objects(round_):
    """Every object that a row names is in the store, with its size."""
    there = round_.place.objects()
    for (_, key), size in check.named_keys(round_.world)[0].items():
        if key not in there:
            round_.findings.lost.append(f"object {key} is not there")
        elif size is not None and there[key] != int(size):
            round_.findings.lost.append(f"object {key} has {there[key]} bytes, not {size}")
