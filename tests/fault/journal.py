"""What was asked for and what was acknowledged, told before and after each call, outside of the process under test and
of its data. The checks (check.py) compare the platform with it.

A `Thing` is one object as its one client knows it: the value it must have, or any of those that were asked for since
and never acknowledged."""
import json
import threading
import time


class Thing:
    """An object with one value that one client writes, a write at a time."""

    def __init__(self, kind, name, value, **fields):
        self.kind, self.name = kind, name
        self.id = None         # known once its making was acknowledged
        self.value = value     # the last one acknowledged
        self.maybe = set()     # asked for after that, and given up without an answer
        self.edits = 0         # acknowledged
        self.edits_maybe = 0   # given up without an answer
        self.removed = False   # True: acknowledged, None: asked for and given up
        self.fields = fields


class Journal:
    def __init__(self, path):
        self.file = open(path, "a", buffering=1)
        self.lock = threading.Lock()
        self.things = []
        self.writes = 0      # acknowledged
        self.unanswered = 0  # calls that ended without an answer
        self.wrong = []      # answers that must not be, as words

    def tell(self, what, **fields):
        with self.lock:
            self.file.write(json.dumps({"at": round(time.monotonic(), 4), "what": what, **fields}) + "\n")

    def add(self, thing):
        with self.lock:
            self.things.append(thing)
        return thing

    def acknowledged(self):
        with self.lock:
            self.writes += 1

    def complain(self, words):
        self.tell("wrong", words=words)
        with self.lock:
            self.wrong.append(words)

    def of(self, kind):
        return [thing for thing in self.things if thing.kind == kind]
