"""The clients: threads that upload, edit, play and log in for as long as the round lasts, and tell the journal what they
asked for and what was acknowledged. A call without an answer is sent again with the same Idempotency-Key until it has
one, or is given up: then its effect may be there or not."""
import random
import threading
import time
import urllib.parse
import uuid

import requests

from journal import Thing
from world import PASSWORD

LATER = (429, 503, 507)  # refusals that say: not now
GIVE_UP = 0.12           # how often a call that got no answer is not sent again


class GivenUp(Exception):
    """No answer, and none is waited for any longer."""


class Expired(Exception):
    """A signed URL that the clock has run past."""


class Refused(Exception):
    """An answer that these calls must not get; it is in the journal."""


def is_framed(headers):
    """Whether the header says where the body ends."""
    return headers.get("Content-Length", "").isdigit() or headers.get("Transfer-Encoding") == "chunked"


def is_of_the_way_in(answer):
    """Whether a proxy says that it got no answer, or that its half of a request was cut off: nothing is known then, as with
    a connection that was cut."""
    ours = answer.headers.get("Content-Type", "").startswith("application/problem+json")
    return answer.status_code == 408 or answer.status_code in (502, 503, 504) and not ours


class Client(threading.Thread):
    """One person's program. Subclasses implement step()."""

    def __init__(self, round_, number, username):
        super().__init__(name=f"{type(self).__name__}-{number}", daemon=True)
        self.round, self.journal, self.username = round_, round_.journal, username
        self.random = random.Random(f"{round_.seed}/{self.name}")
        self.http = requests.Session()
        self.tokens = None
        self.at_work = threading.Event()

    def run(self):
        try:
            self.begin()
            self.at_work.set()
            while not self.round.ending.is_set():
                try:
                    self.step()
                except (GivenUp, Refused):
                    pass
                time.sleep(self.random.uniform(0.005, self.pause))
        except (GivenUp, Refused):
            pass
        except Exception as error:  # a fault of the test's own must not look like silence
            self.journal.complain(f"{self.name}: {type(error).__name__}: {error}")

    pause = 0.08

    def begin(self):
        self.log_in()

    # -- calls

    def send(self, method, path, **options):
        url = path if path.startswith("http") else self.round.world.url + path
        answer = self.http.request(method, url, timeout=15, **options)
        if answer.status_code not in (204, 304) and not is_framed(answer.headers):
            raise requests.ConnectionError("cut within the header, which Python takes for its end")
        if is_of_the_way_in(answer):
            raise requests.ConnectionError(f"{answer.status_code} from what stands in front: there may be an effect or not")
        if "/api/" in url:
            self.round.specification.check(method, urllib.parse.urlsplit(url).path, answer)
        return answer

    def call(self, method, path, good=(200, 201, 204), may_give_up=False, once=False, **options):
        """The answer, with a status out of good. Sends again what got none."""
        what = f"{method} {path.split('?')[0]}"
        headers = self.headers_of(path, options.pop("headers", {}), once)
        self.journal.tell("ask", who=self.name, call=what, key=headers.get("Idempotency-Key"))
        deadline = time.monotonic() + self.round.patience_s
        while True:
            answer = self.answer_of(what, method, path, headers, options)
            late = time.monotonic() > deadline
            if answer is None:
                self.wait_or_give_up(what, late or may_give_up and self.random.random() < GIVE_UP)
            elif self.round.tokens_run_out() and self.ran_out(answer, path, headers):
                continue
            elif answer.status_code in LATER and not late:
                self.journal.tell("later", who=self.name, call=what, status=answer.status_code)
                time.sleep(self.random.uniform(0.05, 0.2))
            else:
                return self.judged(what, answer, good)

    def headers_of(self, path, headers, once):
        headers = dict(headers)
        if once:
            headers["Idempotency-Key"] = uuid.UUID(int=self.random.getrandbits(128)).hex
        if self.tokens and "/api/" in path:
            headers.setdefault("Authorization", f"Bearer {self.tokens['accessToken']}")
        return headers

    def answer_of(self, what, method, path, headers, options):
        """None where none came."""
        try:
            return self.send(method, path, headers=headers, **options)
        except requests.RequestException as error:
            self.journal.unanswered += 1
            self.journal.tell("none", who=self.name, call=what, why=type(error).__name__)
            return None
        except AssertionError as error:
            self.journal.complain(f"{self.name}: {what}: {error}")
            raise Refused(what) from None

    def wait_or_give_up(self, what, gives_up):
        if gives_up:
            self.journal.tell("given up", who=self.name, call=what)
            raise GivenUp(what)
        time.sleep(self.random.uniform(0.02, 0.1))

    def ran_out(self, answer, path, headers):
        """Where the clock jumps, or time goes by, tokens and signed URLs run out, or are from the future."""
        if answer.status_code == 403 and "/s3/" in path:
            raise Expired(path)
        if answer.status_code == 401 and headers.get("Authorization"):
            headers["Authorization"] = f"Bearer {self.log_in()['accessToken']}"
            return True
        return False

    def judged(self, what, answer, good):
        self.journal.tell("answer", who=self.name, call=what, status=answer.status_code)
        if answer.status_code not in good:
            self.journal.complain(f"{self.name}: {what}: {answer.status_code} {answer.text[:300]}")
            raise Refused(what)
        return answer

    def log_in(self):
        body = {"username": self.username, "password": PASSWORD}
        self.tokens = None
        self.tokens = self.call("POST", "/api/v1/auth/login", json=body).json()
        return self.tokens

    # -- writes of things

    def make(self, kind, path, body, name, **fields):
        """A new thing by POST. Given up, it may be there or not: its id stays None."""
        thing = self.journal.add(Thing(kind, name, name, **fields))
        answer = self.call("POST", path, json=body, once=True, may_give_up=True, good=(201,)).json()
        thing.id = answer["id"]
        self.journal.acknowledged()
        return thing

    def edit(self, thing, path, field, value):
        shown = field != "trackUrl"  # is it what a thing's value is
        moves = 1 if shown else 2    # the revision: a file and the fields with it are two changes, in one transaction
        try:
            answer = self.call("PATCH", path, json={field: value}, once=True, may_give_up=True, good=(200,))
        except GivenUp:
            thing.maybe |= {value} if shown else set()
            thing.edits_maybe += moves
            raise
        if shown:
            # What was given up died with the server; behind a cut connection it may still be at work.
            thing.value, thing.maybe = value, thing.maybe if self.round.lingering else set()
        thing.edits += moves
        self.journal.acknowledged()
        return answer

    def remove(self, thing, path):
        thing.removed = None
        self.call("DELETE", path, may_give_up=True, good=(200, 204, 404))
        thing.removed = True
        self.journal.acknowledged()

    def word(self, prefix):
        return f"{prefix} {self.random.getrandbits(48):012x}"


class Editor(Client):
    """Albums made, renamed and deleted; one's own name changed."""

    def begin(self):
        super().begin()
        me = self.call("GET", "/api/v1/me")
        self.me = self.journal.add(Thing("person", self.username, me.json().get("displayName")))
        self.me.fields["revision"] = int(me.headers["ETag"].strip('"'))
        self.albums = []

    def step(self):
        dice = self.random.random()
        if dice < 0.3 or not self.albums:
            name = self.word("Album")
            body = {"artistId": self.round.known.artists[self.username], "title": name, "genres": ["Fault"],
                    "status": "published"}
            self.albums.append(self.make("album", "/api/v1/albums", body, name))
        elif dice < 0.75:
            thing = self.random.choice(self.albums)
            self.edit(thing, f"/api/v1/albums/{thing.id}", "title", self.word("Album"))
        elif dice < 0.85 and len(self.albums) > 3:
            thing = self.albums.pop(self.random.randrange(len(self.albums)))
            self.remove(thing, f"/api/v1/albums/{thing.id}")
        else:
            self.edit(self.me, "/api/v1/me", "displayName", self.word("Name"))


class Uploader(Client):
    """Tracks out of small files; some in parts, some that are no sound at all."""

    def begin(self):
        super().begin()
        name = self.word("Uploads")
        body = {"artistId": self.round.known.artists[self.username], "title": name, "status": "published"}
        self.album = self.call("POST", "/api/v1/albums", json=body, once=True).json()["id"]
        self.made, self.tracks = 0, []

    def place(self, body):
        if self.random.random() < 0.7:
            place = self.call("GET", f"/api/v1/tracks/upload-url?filename=a.wav&size={len(body)}").json()
            self.call("PUT", place["uploadUrl"], data=body)
            return place["trackUrl"]
        upload = self.call("POST", "/api/v1/uploads", json={"filename": "a.wav", "size": len(body)}, once=True,
                           good=(201,)).json()
        self.call("PUT", upload["parts"][0]["url"], data=body)
        self.call("POST", f"/api/v1/uploads/{upload['id']}/complete")
        return upload["trackUrl"]

    def upload(self, body):
        """The trackUrl. Where the clock jumps, an URL may be over before it is used: then another one is asked for."""
        while True:
            try:
                return self.place(body)
            except Expired:
                continue

    def step(self):
        dice = self.random.random()
        ready = [thing for thing in self.tracks if thing.fields["ends"] == "ready"]
        if dice < 0.1:
            self.call("PUT", f"/api/v1/albums/{self.album}/cover", data=self.round.picture,
                      headers={"Content-Type": "image/png"}, may_give_up=True, good=(200, 202))
        elif dice < 0.3 and ready:
            thing = self.random.choice(ready)
            self.edit(thing, f"/api/v1/tracks/{thing.id}", "trackUrl", self.upload(self.round.sound))
        elif dice < 0.35 and len(ready) > 1:
            thing = self.random.choice(ready)
            self.tracks.remove(thing)
            self.remove(thing, f"/api/v1/tracks/{thing.id}")
        elif self.made < self.round.uploads_each:
            self.new_track()

    def new_track(self):
        bad = self.random.random() < 0.15
        body = b"no sound at all\n" * 500 if bad else self.round.sound
        self.made += 1
        url = self.upload(body)
        name = self.word("Track")
        thing = self.make("track", "/api/v1/tracks", {"albumId": self.album, "title": name, "trackUrl": url}, name,
                          album=self.album, ends="failed" if bad else "ready")
        self.tracks.append(thing)
        if self.random.random() < 0.3:
            self.edit(thing, f"/api/v1/tracks/{thing.id}", "title", self.word("Track"))


class Listener(Client):
    """Plays the track that was there before: each byte it gets must be right."""

    pause = 0.05

    def begin(self):
        super().begin()
        self.url = None

    def step(self):
        if self.url is None or self.random.random() < 0.3:
            stream = self.call("GET", f"/api/v1/tracks/{self.round.known.track}/stream").json()
            file = next(one for one in stream["files"] if one["format"] == "aac" and one["bitrate"] == 160)
            self.url = file["url"]
        first = self.random.randrange(len(self.round.known.body))
        last = min(first + self.random.randrange(1, 60_000), len(self.round.known.body) - 1)
        answer = self.call("GET", self.url, headers={"Range": f"bytes={first}-{last}"}, good=(206, 403))
        if answer.status_code == 403:  # the clock went past the hour of the address
            self.url = None
        elif answer.content != self.round.known.body[first:last + 1]:
            self.journal.complain(f"{self.name}: wrong bytes {first}-{last}")
        self.round.plays += 1


class Teller(Client):
    """Tells plays: some alone, some together with those that were told before, until they are answered. What was given up
    is in the history or not."""

    pause = 0.15

    def begin(self):
        super().begin()
        self.told = []

    def step(self):
        events = self.random.sample(self.told, min(len(self.told), 2)) if self.random.random() < 0.3 else []
        things = []
        for _ in range(self.random.randrange(1, 4)):
            id = uuid.UUID(int=self.random.getrandbits(128)).hex
            things.append(self.journal.add(Thing("play", id, id)))
            events.append({"id": id, "trackId": self.round.known.track, "startedAt": int(time.time() * 1000),
                           "playedMs": self.random.choice((0, 30_000, 200_000))})
        self.call("POST", "/api/v1/plays", json={"events": events}, may_give_up=True, good=(202,))
        for thing in things:
            thing.id = thing.name
        self.told += events[-len(things):]
        self.journal.acknowledged()


class Visitor(Client):
    """Logs in, refreshes, logs out."""

    pause = 0.5

    def begin(self):
        pass

    def step(self):
        self.log_in()
        session = self.journal.add(Thing("session", self.username, self.tokens["refreshToken"]))
        self.journal.acknowledged()
        for _ in range(self.random.randrange(3)):
            self.refresh(session)
        if self.random.random() < 0.3:
            self.leave(session)

    def leave(self, session):
        session.removed = None
        self.call("POST", "/api/v1/auth/logout", json={"refreshToken": session.value})
        session.removed = True
        self.journal.acknowledged()

    def refresh(self, session):
        # Sent again, the token just replaced still yields a sibling for 30 s; all of them are good.
        if self.round.world.clock:
            session.removed = None  # 30 s that may be hours
        tokens = self.call("POST", "/api/v1/auth/refresh", json={"refreshToken": session.value},
                           headers={"Authorization": ""}).json()
        self.tokens = tokens
        session.value = tokens["refreshToken"]
        self.journal.acknowledged()
