"""A round: a world made from the template, clients at work, something done to it, and the checks."""
import pathlib
import random
import shutil
import threading
import time

import check
import clients
from journal import Journal
from world import World, roomy_folder

WORK_S = 2.5       # how long the clients work while the harm is done
WORK_S_MAX = 30.0  # on a slow machine, where nothing much happens in that
WRITES_MIN, PLAYS_MIN = 20, 2


class Known:
    """What the template holds: an artist page of each artist (by username), and a track that plays."""

    def __init__(self, data, artists, track, body):
        self.data, self.artists, self.track, self.body = data, artists, track, body


class Round:
    patience_s = 40  # how long a client tries again where it is told to come later
    people = ((clients.Editor, "maker"), (clients.Editor, "second"), (clients.Uploader, "maker"),
              (clients.Uploader, "second"), (clients.Listener, "listener"), (clients.Visitor, "visitor"),
              (clients.Teller, "listener"))

    def make_world(self, **options):
        return World(self.folder, template=self.known.data, **options)

    def tokens_run_out(self):
        return bool(self.world.clock)

    def check(self):
        check.all_of_it(self)

    def __init__(self, known, specification, media, scenario, number, seed, uploads_each=3, **world_options):
        self.known, self.specification = known, specification
        self.sound, self.picture = media
        self.scenario, self.number = scenario, number
        self.seed = f"{seed}/{scenario}/{number}"
        self.random = random.Random(self.seed)
        self.uploads_each = uploads_each
        self.plays = 0
        self.lingering = False  # whether a call that got no answer may still take effect later
        self.findings = check.Findings()
        self.ending = threading.Event()
        self.folder = roomy_folder() / f"tutti-fault-{scenario.replace(', ', '-').replace(' ', '-')}-{number}-{random.SystemRandom().getrandbits(32):08x}"
        self.world = self.make_world(**world_options)
        self.journal = Journal(self.folder / "journal.jsonl")
        self.clients = [kind(self, number, name) for number, (kind, name) in enumerate(self.people)]

    def pause(self, least, most):
        time.sleep(self.random.uniform(least, most))

    def begin(self):
        """Starts it all; then everybody is at work."""
        self.world.start()
        for client in self.clients:
            client.start()
        deadline = time.monotonic() + WORK_S_MAX
        for client in self.clients:
            client.at_work.wait(max(0, deadline - time.monotonic()))

    def until(self, enough=lambda: True):
        """Yields until the time of the harm is over, and something happened in it."""
        began = time.monotonic()
        while time.monotonic() < began + WORK_S_MAX:
            busy = self.journal.writes >= WRITES_MIN and self.plays >= PLAYS_MIN
            if time.monotonic() > began + WORK_S and busy and enough():
                return
            yield

    def end(self):
        """No new calls; those that wait for an answer get it."""
        self.ending.set()
        for client in self.clients:
            client.join(60)
            if client.is_alive():
                self.findings.other.append(f"{client.name} hangs")

    def finish(self):
        """The checks; what they found."""
        self.end()
        self.check()
        self.findings.other.extend(self.journal.wrong)

    def row(self):
        """For the table at the end; what was lost on purpose does not count."""
        if "TUTTI_FAULT_BROKEN" in self.world.environment or not self.journal.writes:
            return None
        return {"scenario": self.scenario, "rounds": 1, "harms": self.world.harms, "writes": self.journal.writes,
                "plays": self.plays, "unanswered": self.journal.unanswered, "lost": len(self.findings.lost),
                "doubled": len(self.findings.doubled), "orphans": len(self.findings.orphans),
                "other": len(self.findings.other)}

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        self.ending.set()
        self.world.__exit__()
        if failure:
            kept = pathlib.Path("/tmp") / self.folder.name
            shutil.copytree(self.folder, kept, dirs_exist_ok=True)
            print(f"what is left of this round is in {kept}")
        shutil.rmtree(self.folder, ignore_errors=True)
