"""A server over Kafka: events flow, also with TLS and a password; without Kafka it goes on and says so; what is wrong with an
address, a topic or a password is said in one line that names the address and no secret."""
import json
import os
import random
import subprocess
import time

import requests

from journey import BINARY, free_port, run_tutti

WITHIN_S = 120  # a bound
PAYLOAD = '{"trackId": "77", "version": %d, "bucket": "media", "key": "m/77/1/original.flac"}'


def address(hosts, *options, user=""):
    options = [f"prefix=p{random.getrandbits(40)}", *options]
    return f"kafka://{user}{hosts}?" + "&".join(options)


def on(url):
    return {"TUTTI_BUS_STORE": url}


def until(true):
    deadline = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def readiness(server):
    answer = requests.get(server.url + "/readyz", timeout=20)
    assert answer.status_code == 200
    return answer.json()


def emit(server, identifier):
    """An event that makes a media job."""
    server.change("INSERT INTO bus_outbox (sequence, id, type, entity_key, payload, created_at) SELECT COALESCE(MAX(sequence), 0)"
                  f" + 1, {identifier}, 'track.uploaded', 'track:77', '{PAYLOAD % identifier}', {int(time.time() * 1000)}"
                  " FROM bus_outbox")


def jobs(server):
    return server.rows("SELECT COUNT(*) FROM transcode_job WHERE subject_id = 77")[0][0]


def lines(server, event):
    found = (json.loads(line) for line in server.log_text().splitlines() if line.startswith("{"))
    return [line for line in found if line["event"] == event]


def doctor(data, url):
    done = subprocess.run([BINARY, "doctor", "--json", "--data", str(data), "--listen", f"127.0.0.1:{free_port()}"], text=True,
                          capture_output=True, timeout=60, env={**os.environ, **on(url)})
    return {one["name"]: one for one in json.loads(done.stdout)["checks"]}["bus"]


def test_without_brokers_all_goes_on(own_server, brokers):
    server = own_server(environment=on(address(brokers.addresses, "lease_ms=3000")))
    emit(server, 1)
    until(lambda: jobs(server) == 1)
    until(lambda: readiness(server)["status"] == "ready")
    before = len(lines(server, "bus.kafka.trouble"))
    for n in range(brokers.brokers):
        brokers.kill(n)
    until(lambda: readiness(server)["status"] == "degraded")
    found = readiness(server)
    assert found["engines"]["bus"] == "degraded" and found["engines"]["catalog"] == "ok"
    assert found["reason"].startswith(f"Kafka at {brokers.addresses}: no broker answers")
    server.add_user("somebody", "listener")  # writes go on
    emit(server, 2)
    time.sleep(3)
    assert jobs(server) == 1
    assert len(lines(server, "bus.kafka.trouble")) == before + 1
    text = requests.get(server.url + "/metrics", timeout=20).text
    assert 'tutti_engine_up{engine="bus"} 0' in text
    waiting = [line for line in text.splitlines() if line.startswith("tutti_bus_lag")]
    assert [line for line in waiting if "kafka." in line and not line.endswith(" 0")], waiting
    brokers.start()
    until(lambda: jobs(server) == 2)
    until(lambda: readiness(server)["status"] == "ready")
    assert lines(server, "bus.kafka.well")
    told = lines(server, "bus.kafka.line")
    assert all(line["level"] == "info" for line in told)
    assert server.stop() == 0


def test_tls_and_a_password(own_server, brokers, certificate):
    url = address(brokers.secure_addresses, "tls=yes", f"ca={certificate}/cert.pem", "sasl=plain", user="tutti:sesame@")
    server = own_server(environment=on(url))
    emit(server, 1)
    until(lambda: jobs(server) == 1)
    assert "sesame" not in server.log_text()


def test_a_wrong_password_is_said_without_it(own_server, brokers, certificate, data):
    url = address(brokers.secure_addresses, "tls=yes", f"ca={certificate}/cert.pem", "sasl=plain", user="tutti:open%3Dno@")
    server = own_server(environment=on(url))  # the start is not stopped
    until(lambda: readiness(server)["status"] == "degraded")
    words = f"Kafka at {brokers.secure_addresses}: it refuses our name and password"
    until(lambda: readiness(server)["reason"].startswith(words))
    found = doctor(data, url)
    assert found["state"] == "failed" and found["detail"].startswith(words)
    for text in (server.log_text(), json.dumps(found), json.dumps(readiness(server))):
        assert "open%3Dno" not in text and "open=no" not in text


def test_who_is_no_broker_of_ours(brokers, certificate, data, tmp_path):
    """A certificate that another one signed, and brokers that speak TLS to who does not."""
    import kafka
    kafka.make_certificate(tmp_path)
    hosts = brokers.secure_addresses
    found = doctor(data, address(hosts, "tls=yes", f"ca={tmp_path}/cert.pem", "sasl=plain", user="tutti:sesame@"))
    assert found["state"] == "failed" and found["detail"].startswith(f"Kafka at {hosts}: TLS can't be agreed upon"), found
    named = hosts.replace("127.0.0.1", "localhost")  # the certificate is 127.0.0.1's
    found = doctor(data, address(named, "tls=yes", f"ca={certificate}/cert.pem", "sasl=plain", user="tutti:sesame@"))
    assert found["state"] == "failed" and "sesame" not in found["detail"], found
    assert found["detail"].startswith(f"Kafka at {named}: TLS can't be agreed upon") and "\n" not in found["detail"], found
    assert "certificates that bear their names" in found["detail"], found
    found = doctor(data, address(hosts, "tls=yes", f"ca={tmp_path}/none.pem"))
    assert found["state"] == "failed" and "ssl.ca.location" in found["detail"], found


def test_doctor_looks_and_changes_nothing(brokers, data):
    for _ in range(2):  # the topics could be made, and are not
        assert doctor(data, f"kafka://{brokers.addresses}?prefix=looked") == {
            "name": "bus", "state": "ok", "detail": "events can flow; those that are given up go to the topic looked.dead"}


def test_nobody_is_there(own_server, data):
    hosts = f"127.0.0.1:{free_port()}"
    server = own_server(environment=on(address(hosts)))
    until(lambda: readiness(server)["status"] == "degraded")
    words = f"Kafka at {hosts}: no broker answers"
    assert readiness(server)["reason"].startswith(words)
    assert doctor(data, address(hosts))["detail"].startswith(words)
    assert server.stop() == 0


def test_too_few_copies(own_server, brokers, data):
    prefix = f"prefix=few{random.getrandbits(40)}"
    few, asked = (f"kafka://{brokers.addresses}?{prefix}&replicas={n}" for n in (1, 3))
    server = own_server(environment=on(few))
    emit(server, 1)
    until(lambda: jobs(server) == 1)
    assert server.stop() == 0
    server.environment = on(asked)
    server.start()
    until(lambda: readiness(server)["status"] == "degraded")
    reason = readiness(server)["reason"]
    assert reason.startswith(f"Kafka at {brokers.addresses}: the topic few") and "keeps 1 copies" in reason
    assert "keeps 1 copies, bus.store asks for 3" in doctor(data, asked)["detail"]
    emit(server, 2)
    time.sleep(2)
    assert jobs(server) == 1  # nothing is trusted to one copy
    four = doctor(data, address(brokers.addresses, "replicas=4"))
    assert four["state"] == "failed" and "can't have 4 copies" in four["detail"]


def test_an_address_that_does_not_parse(data):
    for url in ("kafka://tutti:sesame@one:x", "kafka://tutti:sesame@one?colour=red", "kafka://tutti:sesame@one?sasl=plain"):
        done = run_tutti("serve", "--listen", "127.0.0.1:1", data=data, check=False, environment=on(url))
        assert done.returncode != 0 and len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert "bus.store" in done.stderr and "sesame" not in done.stderr
