"""Accounts, from the first admin to erasure, over HTTP against the real server."""
import base64
import email
import email.policy
import itertools
import json
import re
import stat
import threading
import time
import uuid

import pytest
import requests
from aiosmtpd.controller import Controller

from conftest import CLUSTER, PASSWORD, PATIENCE_S, Person, free_port, run_tutti


def name(prefix="person"):
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def register(person, username=None, password=PASSWORD, **fields):
    username = username or name()
    body = {"username": username, "email": f"{username}@example.org", "password": password, **fields}
    return person.post("/api/v1/auth/register", json=body)


def login(person, username, password=PASSWORD, **fields):
    return person.post("/api/v1/auth/login", json={"username": username, "password": password, **fields})


def refresh(person, token):
    return person.post("/api/v1/auth/refresh", json={"refreshToken": token})


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def fields_of(answer):
    return {error["field"] for error in answer.json().get("errors", [])}


@pytest.fixture
def newcomer(people):
    """A person who has just registered, with tokens."""
    people.admin  # registration is open only once there is one
    person = people.nobody()
    answer = register(person)
    assert answer.status_code == 201, answer.text
    person.take(answer.json())
    person.username = person.user["username"]
    return person


# --- the first admin ---

def setup_code(data):
    """The file is written while the server begins to answer."""
    deadline = time.monotonic() + PATIENCE_S
    while not (data / "setup-code").exists():
        assert time.monotonic() < deadline, "no set-up code"
        time.sleep(0.01)
    return (data / "setup-code").read_text()


def test_setup(own_server):
    server = own_server()
    nobody = Person(server.url)
    early = register(nobody)
    assert early.status_code == 403 and "setup-code" in early.json()["detail"]
    code = setup_code(server.data).strip()
    file = server.data / "setup-code"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert code not in server.log_text()
    assert len(code.replace("-", "")) * 4 == 128

    body = {"code": code, "username": "boss", "password": PASSWORD}
    wrong = nobody.post("/api/v1/setup", json={**body, "code": "0" * 32})
    assert wrong.status_code == 403
    weak = nobody.post("/api/v1/setup", json={**body, "password": "short"})
    assert weak.status_code == 422 and fields_of(weak) == {"password"}
    answer = nobody.post("/api/v1/setup", json={**body, "code": code.replace("-", "").upper()})
    assert answer.status_code == 201, answer.text
    assert answer.json()["user"]["roles"] == ["listener", "admin"]
    assert not file.exists()

    again = nobody.post("/api/v1/setup", json=body)
    assert again.status_code == 409
    assert register(nobody).status_code == 201


def test_setup_code_outlives_a_restart(own_server, tmp_path):
    server = own_server(data=tmp_path)
    code = setup_code(tmp_path)
    assert server.stop() == 0
    server.start()
    assert setup_code(tmp_path) == code
    answer = Person(server.url).post("/api/v1/setup", json={"code": code, "username": "boss", "password": PASSWORD})
    assert answer.status_code == 201


def test_admin_of_the_command_line_opens_registration(own_server):
    server = own_server()
    server.add_user("boss", "admin")
    nobody = Person(server.url)
    assert register(nobody).status_code == 201
    assert nobody.post("/api/v1/setup", json={"code": "0" * 32, "username": "x2", "password": PASSWORD}).status_code == 409
    assert not (server.data / "setup-code").exists()


# --- signing up and in ---

def test_register_and_me(newcomer):
    assert newcomer.user["roles"] == ["listener"]
    assert newcomer.user["plan"] == "premium"
    me = newcomer.get("/api/v1/me")
    assert me.status_code == 200 and me.json() == newcomer.user
    assert "private" in me.headers["Cache-Control"]
    unchanged = newcomer.get("/api/v1/me", headers={"If-None-Match": me.headers["ETag"]})
    assert unchanged.status_code == 304


@pytest.mark.parametrize("change, field", [
    ({"username": "a"}, "username"), ({"username": "a b"}, "username"), ({"username": "a@b.org"}, "username"),
    ({"username": "x" * 41}, "username"), ({"username": 7}, "username"), ({"username": None}, "username"),
    ({"email": "nobody"}, "email"), ({"email": "a@b.org\r\nBcc: c@d.org"}, "email"),
    ({"password": "1234567"}, "password"), ({"password": "x" * 257}, "password"), ({"password": ["x"]}, "password"),
])
def test_bad_fields(people, change, field):
    people.admin
    body = {"username": name(), "email": "someone@example.org", "password": PASSWORD, **change}
    answer = people.nobody().post("/api/v1/auth/register", json=body)
    assert answer.status_code == 422, answer.text
    assert fields_of(answer) == {field}


def test_password_must_not_be_the_name(people):
    people.admin
    username = name()
    answer = register(people.nobody(), username, password=username.upper())
    assert answer.status_code == 422 and fields_of(answer) == {"password"}


def test_all_bad_fields_at_once(people):
    people.admin
    answer = people.nobody().post("/api/v1/auth/register", json={"username": "!", "email": "!", "password": "!"})
    assert fields_of(answer) == {"username", "email", "password"}


def test_names_are_unique_in_all_their_forms(people):
    people.admin
    nobody = people.nobody()
    username = "Zoë-" + uuid.uuid4().hex[:8]
    assert register(nobody, username, email=f"{username[4:]}@example.org").status_code == 201
    for other in (username.upper(), username.replace("ë", "e\u0308")):
        taken = register(nobody, other, email=f"{name()}@example.org")
        assert taken.status_code == 409 and fields_of(taken) == {"username"}
    taken = register(nobody, name(), email=f"{username[4:].upper()}@EXAMPLE.org")
    assert taken.status_code == 409 and fields_of(taken) == {"email"}
    assert login(nobody, username.replace("ë", "E\u0308")).status_code == 200
    assert login(nobody, f"{username[4:]}@Example.org").status_code == 200


def test_wrong_password_and_unknown_person_look_alike(people, newcomer):
    nobody = people.nobody()
    wrong = login(nobody, newcomer.username, "not the password")
    unknown = login(nobody, name(), "not the password")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json()["detail"] == unknown.json()["detail"]


def test_unknown_person_takes_as_long(people, newcomer):
    """The median of a few; a look-up without a hash would be ten times faster."""
    def seconds(username):
        times = []
        for _ in range(3):
            begin = time.monotonic()
            assert login(people.nobody(), username, "not the password").status_code == 401
            times.append(time.monotonic() - begin)
        return sorted(times)[1]

    known, unknown = seconds(newcomer.username), seconds(name())
    assert unknown > known / 3


def test_delays_grow_but_nobody_is_locked_out(people, newcomer):
    nobody = people.nobody()
    statuses = [login(nobody, newcomer.username, "not the password").status_code for _ in range(4)]
    assert statuses == [401] * 4
    delayed = login(nobody, newcomer.username, PASSWORD)
    assert delayed.status_code == 429
    assert 1 <= int(delayed.headers["Retry-After"]) <= 2
    time.sleep(int(delayed.headers["Retry-After"]))
    assert login(nobody, newcomer.username, PASSWORD).status_code == 200
    assert login(nobody, newcomer.username, PASSWORD).status_code == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"username":"a","username":"b","password":"c"}', b'{"username":"\xff"}',
                                  b"[" * 100, b"", b"null", b'{"username": 1e999}'])
def test_malformed_bodies(people, body):
    answer = people.nobody().post("/api/v1/auth/login", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text


def test_body_must_be_json(people):
    answer = people.nobody().post("/api/v1/auth/login", data={"username": "a", "password": "b"})
    assert answer.status_code == 415


# --- tokens ---

def test_token_is_verified_by_the_published_key(server, newcomer):
    """An independent implementation agrees: PyNaCl's or cryptography's Ed25519 over RFC 7515."""
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    token = newcomer.headers["Authorization"].split()[1]
    header, payload, signature = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split("."))
    head = json.loads(header)
    assert head["alg"] == "EdDSA" and head["typ"] == "at+jwt"
    keys = newcomer.get("/.well-known/jwks.json").json()["keys"]
    key = next(key for key in keys if key["kid"] == head["kid"])
    public = ed25519.Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))
    public.verify(signature, token.rsplit(".", 1)[0].encode())
    body = json.loads(payload)
    assert body["exp"] - body["iat"] == 900
    assert body["sub"] == newcomer.user["id"]
    assert body["iss"] == body["aud"] == server.url


def test_bad_tokens(people, newcomer):
    good = newcomer.headers["Authorization"].split()[1]
    head, payload, signature = good.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    forged = base64.urlsafe_b64encode(json.dumps({**claims(good), "roles": ["admin"]}).encode()).rstrip(b"=").decode()
    for token in ("", "x", f"{none}.{payload}.", f"{none}.{payload}.{signature}", f"{head}.{forged}.{signature}",
                  f"{head}.{payload}", f"{good}.x", good[:-1]):
        answer = people.nobody().get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code in (401, 429), token
    assert newcomer.get("/api/v1/me").status_code == 200


def test_keys_rotate(own_server):
    server = own_server()
    server.add_user("boss", "admin")
    boss = Person(server.url, "boss", "admin")
    run_tutti("keys", "rotate", data=server.data)
    assert boss.get("/api/v1/me").status_code == 200
    time.sleep(1.1)  # the keys are looked at once a second
    fresh = Person(server.url, "boss", "admin")
    kids = [json.loads(base64.urlsafe_b64decode(p.headers["Authorization"].split()[1].split(".")[0] + "=="))["kid"]
            for p in (boss, fresh)]
    assert kids[0] != kids[1]
    assert {key["kid"] for key in fresh.get("/.well-known/jwks.json").json()["keys"]} == set(kids)
    assert boss.get("/api/v1/me").status_code == fresh.get("/api/v1/me").status_code == 200


# --- refreshing ---

def test_refresh_rotates(newcomer):
    answer = refresh(newcomer, newcomer.refresh_token)
    assert answer.status_code == 200
    assert answer.json()["refreshToken"] != newcomer.refresh_token
    assert answer.headers["Cache-Control"].startswith("no-store")
    newcomer.take(answer.json())
    assert newcomer.get("/api/v1/me").status_code == 200


def test_two_tabs_get_siblings(newcomer):
    first = refresh(newcomer, newcomer.refresh_token).json()
    second = refresh(newcomer, newcomer.refresh_token).json()
    assert first["refreshToken"] != second["refreshToken"]
    for tokens in (first, second):
        answer = refresh(newcomer, tokens["refreshToken"])
        assert answer.status_code == 200, answer.text
    assert claims(first["accessToken"])["sid"] == claims(second["accessToken"])["sid"]


def test_tokens_made_up_are_refused(people):
    nobody = people.nobody()
    for token in ("x", "A" * 86, "", "A" * 5000):
        assert refresh(nobody, token).status_code == 401
    assert nobody.post("/api/v1/auth/refresh", json={}).status_code == 422
    assert nobody.post("/api/v1/auth/refresh", json={"refreshToken": 5}).status_code == 422


def wait_for_31_s(server, person):
    """Of what was replaced; a table that can be reached past the server has waited at once."""
    if CLUSTER:
        time.sleep(31)
    else:
        server.change(f"UPDATE refresh_tokens SET replaced_at = replaced_at - 31000 WHERE user_id = {person.user['id']}", database="users")


def test_late_reuse_ends_the_family(server, newcomer):
    stolen = newcomer.refresh_token
    own = refresh(newcomer, stolen).json()
    newcomer.take(own)
    wait_for_31_s(server, newcomer)
    assert newcomer.get("/api/v1/me").status_code == 200
    reuse = refresh(newcomer, stolen)
    assert reuse.status_code == 401 and "used before" in reuse.json()["detail"]
    assert refresh(newcomer, own["refreshToken"]).status_code == 401
    assert newcomer.get("/api/v1/me").status_code == 401


# --- logging out, sessions ---

def test_logout(people, newcomer):
    answer = newcomer.post("/api/v1/auth/logout", json={"refreshToken": newcomer.refresh_token})
    assert answer.status_code == 204
    assert refresh(people.nobody(), newcomer.refresh_token).status_code == 401
    assert newcomer.get("/api/v1/me").status_code == 401
    again = people.nobody().post("/api/v1/auth/logout", json={"refreshToken": newcomer.refresh_token})
    assert again.status_code == 204


def test_logout_by_bearer(newcomer):
    assert newcomer.post("/api/v1/auth/logout", json={}).status_code == 204
    assert newcomer.get("/api/v1/me").status_code == 401


def test_a_stale_access_token_is_not_in_the_way(newcomer):
    newcomer.headers["Authorization"] = "Bearer " + newcomer.headers["Authorization"].split()[1][:-2]
    assert newcomer.get("/api/v1/me").status_code == 401
    assert refresh(newcomer, newcomer.refresh_token).status_code == 200
    assert login(newcomer, newcomer.username).status_code == 200
    assert newcomer.post("/api/v1/auth/logout", json={}).status_code == 204


def test_sessions(server, people, newcomer):
    other = people.nobody()
    other.headers["User-Agent"] = "Tablet/1.0 (ü)".encode()
    other.take(login(other, newcomer.username).json())
    listed = newcomer.get("/api/v1/me/sessions").json()["items"]
    assert [session["current"] for session in listed] == [False, True]
    assert listed[0]["userAgent"].startswith("Tablet/1.0")
    assert listed[0]["address"] in server.clients
    assert newcomer.delete(f"/api/v1/me/sessions/{listed[0]['id']}").status_code == 204
    assert other.get("/api/v1/me").status_code == 401
    assert newcomer.get("/api/v1/me").status_code == 200
    assert newcomer.delete(f"/api/v1/me/sessions/{listed[0]['id']}").status_code == 404


def test_sessions_of_others_are_not_there(people, newcomer):
    session = claims(people.listener.headers["Authorization"].split()[1])["sid"]
    assert newcomer.delete(f"/api/v1/me/sessions/{session}").status_code == 404
    assert people.listener.get("/api/v1/me").status_code == 200


# --- cookies ---

def test_cookie_mode(server, people, newcomer):
    browser = people.nobody()
    origin = {"Origin": server.url}
    answer = login(browser, newcomer.username, cookie=True)
    assert answer.status_code == 403, "no Origin, no cookie"
    body = {"username": newcomer.username, "password": PASSWORD, "cookie": True}
    foreign = browser.post("/api/v1/auth/login", json=body, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    answer = browser.post("/api/v1/auth/login", json=body, headers=origin)
    assert answer.status_code == 200 and "refreshToken" not in answer.json()
    cookie = answer.headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=Strict", "Path=/api/v1/auth"):
        assert part in cookie
    assert "Secure" not in cookie  # plain http here

    assert browser.post("/api/v1/auth/refresh", json={}).status_code == 403
    assert browser.post("/api/v1/auth/refresh", json={}, headers={"Origin": "https://evil.example"}).status_code == 403
    form = browser.post("/api/v1/auth/refresh", data="{}", headers={**origin, "Content-Type": "text/plain"})
    assert form.status_code == 415
    old = browser.cookies.get("tutti_refresh")
    answer = browser.post("/api/v1/auth/refresh", json={}, headers=origin)
    assert answer.status_code == 200 and "refreshToken" not in answer.json()
    assert browser.cookies.get("tutti_refresh") != old
    answer = browser.post("/api/v1/auth/logout", json={}, headers=origin)
    assert answer.status_code == 204 and "Max-Age=0" in answer.headers["Set-Cookie"]
    assert browser.post("/api/v1/auth/refresh", json={"cookie": True}, headers=origin).status_code == 401


def test_cookie_is_secure_under_https(own_server):
    server = own_server(environment={"TUTTI_SERVER_URL": "https://music.example/tutti"})
    server.add_user("boss", "admin")
    answer = requests.post(server.url + "/api/v1/auth/login", headers={"Origin": "https://music.example"}, timeout=30,
                           json={"username": "boss", "password": PASSWORD, "cookie": True})
    assert answer.status_code == 200, answer.text
    assert "Secure" in answer.headers["Set-Cookie"] and "Path=/tutti/api/v1/auth" in answer.headers["Set-Cookie"]


# --- profile and password ---

def test_profile(people, newcomer):
    renamed = name("renamed")
    answer = newcomer.patch("/api/v1/me", json={"username": renamed, "displayName": " Ann  of Green ", "email": None})
    assert answer.status_code == 200, answer.text
    assert answer.json()["username"] == renamed
    assert answer.json()["displayName"] == "Ann  of Green" and answer.json()["email"] is None
    assert login(people.nobody(), newcomer.username).status_code == 401
    assert login(people.nobody(), renamed).status_code == 200
    assert register(people.nobody(), newcomer.username).status_code == 201, "the old name is free again"
    assert newcomer.patch("/api/v1/me", json={"displayName": None}).json()["displayName"] is None


def test_profile_conflicts(people, newcomer):
    taken = newcomer.patch("/api/v1/me", json={"username": people.listener.username.upper()})
    assert taken.status_code == 409 and fields_of(taken) == {"username"}
    etag = newcomer.get("/api/v1/me").headers["ETag"]
    assert newcomer.patch("/api/v1/me", json={"displayName": "A"}, headers={"If-Match": etag}).status_code == 200
    assert newcomer.patch("/api/v1/me", json={"displayName": "B"}, headers={"If-Match": etag}).status_code == 412
    assert newcomer.patch("/api/v1/me", json={"displayName": "x\u0007"}).status_code == 422
    assert newcomer.patch("/api/v1/me", json={"displayName": "x" * 81}).status_code == 422
    assert newcomer.get("/api/v1/me").json()["displayName"] == "A"


def test_writes_sent_again(people, newcomer):
    etag = newcomer.get("/api/v1/me").headers["ETag"]
    once = {"Idempotency-Key": uuid.uuid4().hex, "If-Match": etag}
    first = newcomer.patch("/api/v1/me", json={"displayName": "Once"}, headers=once)
    again = newcomer.patch("/api/v1/me", json={"displayName": "Once"}, headers=once)
    assert first.status_code == again.status_code == 200 and first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true" and again.headers["ETag"] == first.headers["ETag"]
    other = newcomer.patch("/api/v1/me", json={"displayName": "Twice"}, headers=once)
    assert other.status_code == 422
    newcomer.patch("/api/v1/me", json={"displayName": "Third"})
    late = newcomer.patch("/api/v1/me", json={"displayName": "Fourth"},
                          headers={"Idempotency-Key": uuid.uuid4().hex, "If-Match": etag})
    assert late.status_code == 412

    tablet = people.nobody()
    tablet.take(login(tablet, newcomer.username).json())
    session = claims(tablet.headers["Authorization"].split()[1])["sid"]
    once = {"Idempotency-Key": uuid.uuid4().hex}
    for _ in range(2):
        assert newcomer.delete(f"/api/v1/me/sessions/{session}", headers=once).status_code == 204
    user = f"/api/v1/admin/users/{newcomer.user['id']}"
    revisions = {people.admin.patch(user, json={"plan": "free"}, headers=once).headers["ETag"] for _ in range(2)}
    assert len(revisions) == 1


def test_change_password(people, newcomer):
    other = people.nobody()
    other.take(login(other, newcomer.username).json())
    body = {"currentPassword": "not it at all", "newPassword": "another good one"}
    wrong = newcomer.post("/api/v1/me/password", json=body)
    assert wrong.status_code == 422 and fields_of(wrong) == {"currentPassword"}
    weak = newcomer.post("/api/v1/me/password", json={"currentPassword": PASSWORD, "newPassword": "short"})
    assert weak.status_code == 422 and fields_of(weak) == {"newPassword"}
    assert newcomer.post("/api/v1/me/password", json={**body, "currentPassword": PASSWORD}).status_code == 204
    assert newcomer.get("/api/v1/me").status_code == 200, "this session goes on"
    assert other.get("/api/v1/me").status_code == 401, "the others end"
    assert refresh(people.nobody(), other.refresh_token).status_code == 401
    assert login(people.nobody(), newcomer.username).status_code == 401
    assert login(people.nobody(), newcomer.username, "another good one").status_code == 200


# --- forgotten passwords ---

class Mailbox:
    def __init__(self):
        self.mails = []
        self.came = threading.Event()

    async def handle_DATA(self, server, session, envelope):
        self.mails.append((envelope, email.message_from_bytes(envelope.content, policy=email.policy.default)))
        self.came.set()
        return "250 OK"

    def wait(self, timeout=PATIENCE_S):
        assert self.came.wait(timeout), "no mail came"
        self.came.clear()
        return self.mails[-1]


@pytest.fixture
def mailbox():
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    box.url = f"smtp://127.0.0.1:{controller.port}"
    yield box
    controller.stop()


@pytest.fixture
def mailing(own_server, mailbox):
    server = own_server(environment={"TUTTI_MAIL_URL": mailbox.url, "TUTTI_MAIL_FROM": "Tutti Müsic <music@example.org>"})
    server.add_user("boss", "admin")
    return server


def test_reset_by_mail(mailing, mailbox):
    person = Person(mailing.url)
    person.take(register(person, "forgetful").json())
    asked = person.post("/api/v1/auth/forgot", json={"email": "Forgetful@Example.org"})
    assert asked.status_code == 202 and asked.json() == {"mail": True}
    envelope, mail = mailbox.wait()
    assert envelope.rcpt_tos == ["forgetful@example.org"]
    assert mail["To"] == "forgetful@example.org" and mail["Subject"] == "Set a new password"
    assert mail["From"].addresses[0].display_name == "Tutti Müsic"
    token = re.search(re.escape(mailing.url) + r"/#/reset/(\S+)", mail.get_content()).group(1)
    assert token not in mailing.log_text()

    def reset(token, password="a brand new one"):
        return Person(mailing.url).post("/api/v1/auth/reset", json={"token": token, "password": password})

    weak = reset(token, "short")
    assert weak.status_code == 422 and fields_of(weak) == {"password"}
    assert fields_of(reset("A" * 86)) == {"token"}
    assert fields_of(reset(person.refresh_token)) == {"token"}
    assert reset(token).status_code == 204
    assert fields_of(reset(token)) == {"token"}, "once"
    assert person.get("/api/v1/me").status_code == 401, "sessions end"
    assert login(Person(mailing.url), "forgetful").status_code == 401
    assert login(Person(mailing.url), "forgetful", "a brand new one").status_code == 200


def test_a_mail_server_that_is_down_is_left_alone(own_server):
    """Who forgot a password hears so at once, all else goes on, and the first mails afterwards are tries."""
    box, port = Mailbox(), free_port()
    server = own_server(environment={"TUTTI_MAIL_URL": f"smtp://127.0.0.1:{port}"})
    server.add_user("boss", "admin")
    for number in range(30):
        server.add_user(f"person{number}", "listener")
    nobody, numbers = Person(server.url), itertools.cycle(range(30))

    def forgot():
        return nobody.post("/api/v1/auth/forgot", json={"email": f"person{next(numbers)}@example.org"})

    def ready():
        answer = requests.get(server.url + "/readyz", timeout=10)
        assert answer.status_code == 200, "the process can do its work"
        return answer.json()

    assert ready()["status"] == "ready" and ready()["breakers"] == {"mail": "closed"}
    deadline = time.monotonic() + PATIENCE_S
    while ready()["breakers"]["mail"] == "closed":
        assert forgot().status_code == 202 and time.monotonic() < deadline
        time.sleep(0.1)
    assert ready()["status"] == "degraded"
    while (refused := forgot()).status_code == 202:  # its wait was over: it was the try, and went wrong
        assert time.monotonic() < deadline
        time.sleep(0.3)
    assert refused.status_code == 503 and int(refused.headers["Retry-After"]) > 0
    assert login(nobody, "person1").status_code == 200
    assert re.search(r'^tutti_breaker_state\{engine="mail"\} [12]$', requests.get(server.url + "/metrics").text, re.M)
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    deadline = time.monotonic() + PATIENCE_S
    try:
        while ready()["breakers"]["mail"] != "closed":
            assert time.monotonic() < deadline, ready()
            time.sleep(0.3)
            forgot()
        assert box.mails and ready()["status"] == "ready"
        assert "engine.breaker" in server.log_text()
    finally:
        controller.stop()


def test_forgot_says_nothing(mailing, mailbox):
    nobody = Person(mailing.url)
    for address in ("boss@example.org", "unknown@example.org", "boss@example.org", "rubbish", "x" * 3000):
        answer = nobody.post("/api/v1/auth/forgot", json={"email": address})
        assert answer.status_code == 202 and answer.json() == {"mail": True}
    mailbox.wait()
    time.sleep(0.5)
    assert len(mailbox.mails) == 1, "one mail a minute to an address, none to the unknown"
    assert nobody.post("/api/v1/auth/forgot", json={}).status_code == 422


def test_without_mail_an_admin_sets_the_password(people, newcomer):
    asked = people.nobody().post("/api/v1/auth/forgot", json={"email": newcomer.user["email"]})
    assert asked.status_code == 202 and asked.json() == {"mail": False}
    answer = people.admin.patch(f"/api/v1/admin/users/{newcomer.user['id']}", json={"password": "set by the admin"})
    assert answer.status_code == 200, answer.text
    assert newcomer.get("/api/v1/me").status_code == 401
    assert login(people.nobody(), newcomer.username, "set by the admin").status_code == 200


def test_change_of_address_is_told_to_the_old_one(mailing, mailbox):
    person = Person(mailing.url)
    person.take(register(person, "mover").json())
    assert person.patch("/api/v1/me", json={"email": "new@example.org"}).status_code == 200
    envelope, mail = mailbox.wait()
    assert envelope.rcpt_tos == ["mover@example.org"] and "was changed" in mail["Subject"]


# --- erasing and exporting ---

def test_export(newcomer):
    answer = newcomer.post("/api/v1/me/export")
    assert answer.status_code == 200 and "attachment" in answer.headers["Content-Disposition"]
    assert answer.json()["user"] == newcomer.user
    assert len(answer.json()["sessions"]) == 1
    assert "argon2" not in answer.text


def test_erase(server, people, newcomer):
    assert newcomer.delete("/api/v1/me").status_code == 204
    assert newcomer.get("/api/v1/me").status_code == 401
    assert refresh(people.nobody(), newcomer.refresh_token).status_code == 401
    assert login(people.nobody(), newcomer.username).status_code == 401
    assert people.admin.get(f"/api/v1/admin/users/{newcomer.user['id']}").status_code == 404
    listed = json.loads(run_tutti("user", "list", "--json", data=server.data, check=False).stdout or "[]")
    assert newcomer.username not in json.dumps(listed)
    assert register(people.nobody(), newcomer.username).status_code == 201, "the name is free again"


def test_the_only_admin_stays(own_server):
    server = own_server()
    server.add_user("boss", "admin")
    boss = Person(server.url, "boss", "admin")
    me = f"/api/v1/admin/users/{boss.user['id']}"
    assert boss.delete("/api/v1/me").status_code == 409
    assert boss.patch(me, json={"roles": ["listener"]}).status_code == 409
    assert boss.patch(me, json={"disabled": True}).status_code == 409
    server.add_user("second", "admin")
    assert boss.patch(me, json={"roles": ["listener"]}).status_code == 200


# --- what admins do ---

def test_roles_count_at_once(people, newcomer):
    user = f"/api/v1/admin/users/{newcomer.user['id']}"
    answer = people.admin.patch(user, json={"roles": ["artist"]})
    assert answer.status_code == 200 and answer.json()["roles"] == ["listener", "artist"]
    stale = newcomer.get("/api/v1/me")
    assert stale.status_code == 401 and "refresh" in stale.json()["detail"]
    newcomer.take(refresh(newcomer, newcomer.refresh_token).json())
    assert claims(newcomer.headers["Authorization"].split()[1])["roles"] == ["listener", "artist"]
    assert people.admin.patch(user, json={"plan": "free"}).json()["plan"] == "free"
    for body, field in (({"roles": ["king"]}, "roles"), ({"roles": []}, "roles"), ({"plan": "gold"}, "plan"),
                        ({"disabled": "yes"}, "disabled")):
        bad = people.admin.patch(user, json=body)
        assert bad.status_code == 422 and fields_of(bad) == {field}


def test_disabling(people, newcomer):
    user = f"/api/v1/admin/users/{newcomer.user['id']}"
    assert people.admin.patch(user, json={"disabled": True}).json()["disabledAt"] is not None
    assert newcomer.get("/api/v1/me").status_code == 401
    assert refresh(newcomer, newcomer.refresh_token).status_code == 401
    assert login(people.nobody(), newcomer.username, "not the password").status_code == 401
    refused = login(people.nobody(), newcomer.username)
    assert refused.status_code == 403 and "disabled" in refused.json()["detail"]
    assert people.admin.patch(user, json={"disabled": False}).json()["disabledAt"] is None
    assert login(people.nobody(), newcomer.username).status_code == 200


def test_user_list_pages(people):
    for _ in range(3):
        assert register(people.nobody()).status_code == 201
    seen, cursor = [], None
    for _ in range(1000):
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = people.admin.get("/api/v1/admin/users", params=query).json()
        seen += [int(item["id"]) for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(seen) >= 4 and seen == sorted(set(seen), reverse=True)
    assert people.admin.get("/api/v1/admin/users", params={"cursor": "rubbish"}).status_code == 400
    assert people.admin.get("/api/v1/admin/users", params={"limit": 501}).status_code == 400
    assert people.admin.get("/api/v1/admin/users/999").status_code == 404


def test_no_secret_in_the_log(server, people, newcomer):
    login(people.nobody(), newcomer.username, "a wrong but telling password")
    refresh(newcomer, newcomer.refresh_token)
    text = server.log_text()
    for secret in (PASSWORD, "a wrong but telling password", newcomer.refresh_token,
                   newcomer.headers["Authorization"].split()[1], "argon2"):
        assert secret not in text


def test_command_line(server, people):
    people.admin
    username = name("cli")
    run_tutti("user", "add", username, "--role", "artist", "--password-stdin", stdin=PASSWORD + "\n", data=server.data)
    person = Person(server.url, username, "artist")
    assert person.user["roles"] == ["listener", "artist"] and person.user["email"] is None
    run_tutti("user", "set-password", username, "--password-stdin", stdin="from the command line\n", data=server.data)
    assert login(people.nobody(), username, "from the command line").status_code == 200
    again = run_tutti("user", "add", username.upper(), "--role", "artist", "--password-stdin", stdin=PASSWORD + "\n",
                      data=server.data, check=False)
    assert again.returncode != 0 and "taken" in again.stderr
    assert username in run_tutti("user", "list", data=server.data).stdout


# --- floods ---

def test_people_who_log_in_at_the_same_moment_wait_for_each_other(server, newcomer):
    """Two are hashed at a time; the others wait, and nobody is turned away: who would wait for too long, where that takes
    long, is told when to come again."""
    username = newcomer.user["username"]
    answers, deadline = [], time.monotonic() + PATIENCE_S

    def log_in():
        while True:
            answer = requests.post(server.url + "/api/v1/auth/login", json={"username": username, "password": PASSWORD}, timeout=60)
            if answer.status_code != 503 or time.monotonic() > deadline:
                break
            time.sleep(int(answer.headers["Retry-After"]))
        answers.append(answer.status_code)

    threads = [threading.Thread(target=log_in) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 12


def test_what_may_hash_counts_as_a_log_in(own_server):
    """A change of one's profile may bring the present password, which costs what a log-in costs."""
    server = own_server(environment={"TUTTI_LIMITS_LOGINS_PER_MINUTE": "60", "TUTTI_LIMITS_WRITES_PER_MINUTE": "600"})
    server.add_user("somebody", "listener")
    person = Person(server.url, "somebody")
    profile = person.patch("/api/v1/me", json={"displayName": "Somebody"})
    password = person.post("/api/v1/me/password", json={"currentPassword": PASSWORD, "newPassword": "another good one"})
    assert (profile.status_code, password.status_code) == (200, 204)
    assert profile.headers["RateLimit-Limit"] == password.headers["RateLimit-Limit"]


def test_a_flood_of_logins_leaves_the_rest_alone(own_server):
    server = own_server()
    server.add_user("boss", "admin")
    boss = Person(server.url, "boss", "admin")
    statuses, stop = [], threading.Event()

    def hammer(number):
        session = requests.Session()
        while not stop.is_set():
            answer = session.post(server.url + "/api/v1/auth/login", timeout=30,
                                  json={"username": f"nobody-{number}-{uuid.uuid4().hex}", "password": PASSWORD},
                                  headers={"X-Forwarded-For": "192.0.2.1"})
            statuses.append(answer.status_code)

    threads = [threading.Thread(target=hammer, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    times = []
    for _ in range(30):
        begin = time.monotonic()
        assert boss.get("/api/v1/me").status_code == 200
        times.append(time.monotonic() - begin)
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {401, 429, 503}
    assert sorted(times)[len(times) // 2] < 0.25, times
