"""What a consumer gives up stands in the dead-letter topic, with why and from where, each time that it is given up; a
person's decision stays with `tutti events`."""
import json
import random
import subprocess
import time

import requests

from journey import run_tutti
from program import PROGRAM
from test_server import WITHIN_S, doctor, lines, on, until


def emit_poison(server, identifier):
    """An event that its consumer can't take."""
    server.change("INSERT INTO bus_outbox (sequence, id, type, entity_key, payload, created_at) SELECT COALESCE(MAX(sequence), 0)"
                  f" + 1, {identifier}, 'track.uploaded', 'track:{identifier}', '{{}}', {int(time.time() * 1000)} FROM bus_outbox")
    server.change("UPDATE db_position SET position = position + 1")  # as every write of ours: its watcher sees it by this


def letters(brokers, topic):
    done = subprocess.run([PROGRAM, "letters", brokers.addresses, topic], capture_output=True, text=True, timeout=WITHIN_S)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def parked(server):
    return run_tutti("events", "parked", data=server.data).stdout.split()[0:1]


def told(server):
    return server.rows("SELECT COUNT(*) FROM bus_waiting WHERE told_at IS NOT NULL")[0][0]


def start(own_server, brokers, *options):
    prefix = f"p{random.getrandbits(40)}"
    url = "&".join([f"kafka://{brokers.addresses}?prefix={prefix}", "retry_ms=5&retry_max_ms=10", "lease_ms=3000", *options])
    return own_server(environment=on(url)), prefix, url


def test_what_is_given_up_is_a_letter(own_server, brokers):
    server, prefix, url = start(own_server, brokers)
    emit_poison(server, 77)
    until(lambda: told(server) == 1)
    letter, = letters(brokers, f"{prefix}.dead")
    sequence, parked_at = server.rows("SELECT sequence, parked_at FROM bus_waiting")[0]
    headers = letter["headers"]
    assert letter["key"] == "track:77" and letter["value"] == "{}"
    assert 0 <= int(headers.pop("partition")) < 6 and int(headers.pop("created")) <= parked_at
    assert headers == {"id": "77", "type": "track.uploaded", "sequence": str(sequence), "consumer": "transcode.jobs",
                       "error": "corrupt", "tries": "10", "parked": str(parked_at), "origin": f"{prefix}.catalog"}
    assert f'tutti_bus_dead_letters_total{{topic="{prefix}.dead"}} 1' in requests.get(server.url + "/metrics", timeout=20).text
    assert doctor(server.data, url)["state"] == "ok"
    run_tutti("events", "retry", "77", data=server.data)  # nothing was mended: it is given up anew
    until(lambda: len(letters(brokers, f"{prefix}.dead")) == 2)
    run_tutti("events", "drop", "77", data=server.data)
    assert parked(server) == [] and len(letters(brokers, f"{prefix}.dead")) == 2
    assert server.stop() == 0


def test_letters_wait_for_the_brokers(own_server, brokers):
    """Given up by a server that knew no Kafka: told by the next one, that does; others' events don't wait for it."""
    server = own_server(environment=on("local:?retry_ms=5&retry_max_ms=10"))
    emit_poison(server, 78)
    until(lambda: parked(server) == ["78"])
    assert told(server) == 0 and server.stop() == 0
    prefix = f"p{random.getrandbits(40)}"
    server.environment = on(f"kafka://{brokers.addresses}?prefix={prefix}&lease_ms=3000")
    server.start()
    until(lambda: told(server) == 1)
    letter, = letters(brokers, f"{prefix}.dead")
    assert letter["headers"]["id"] == "78"
    assert server.stop() == 0


def test_a_topic_that_can_not_be_had_holds_back_no_event(own_server, brokers):
    """The dead-letter topic is there with one copy where three are asked for: readiness says so, events flow."""
    server, prefix, url = start(own_server, brokers)
    subprocess.run([PROGRAM, "make", brokers.addresses, f"{prefix}.dead"], check=True, timeout=WITHIN_S)
    emit_poison(server, 79)
    words = f"the topic {prefix}.dead keeps 1 copies, bus.store asks for 3"
    until(lambda: words in requests.get(server.url + "/readyz", timeout=20).json().get("reason", ""))
    assert words in doctor(server.data, url)["detail"]
    emit_poison(server, 80)
    until(lambda: len(lines(server, "bus.parked")) == 2)
    assert told(server) == 0 and letters(brokers, f"{prefix}.dead") == []
    assert server.stop() == 0
