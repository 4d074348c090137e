"""The process itself: it is in its sandbox before it reads a byte, its limits hold, its protocol bears any packet."""
import json
import os
import pathlib
import random
import resource
import signal
import socket
import subprocess

import pytest

import absurd
import media


@pytest.fixture
def process():
    with media.Media() as made:
        yield made


def proc(process, name):
    return pathlib.Path(f"/proc/{process.process.pid}/{name}").read_text()


def status(text):
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


# What a process in the sandbox can do no more: tests/unit/media/test_sandbox.c. Here: this process is in it.

def test_the_process_is_in_the_sandbox(process, good):
    assert process.first(good[0]["16.wav"])[0]["ok"]
    now, ours = status(proc(process, "status")), status(pathlib.Path("/proc/self/status").read_text())
    assert now["Seccomp"] == "2" and int(now["Seccomp_filters"]) == int(ours["Seccomp_filters"]) + 1, "a filter of its own"
    assert now["NoNewPrivs"] == "1"
    assert int(now["Threads"]) == 1 + 2 + min(len(os.sched_getaffinity(0)), 16), "those it made before, and no others"
    limits = {line[:26].strip(): line[26:].split()[:2] for line in proc(process, "limits").splitlines()[1:]}
    assert media.SANITIZED or limits["Max address space"] == [str(1536 << 20)] * 2
    assert limits["Max core file size"] == ["0", "0"]
    assert int(limits["Max file size"][1]) <= 16 << 30
    assert int(limits["Max open files"][1]) <= 64


def test_a_limit_for_the_first_job_holds(process, good):
    """The parent says how large files may become before it sends the job, and so before the sandbox."""
    process.start()
    hard = resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (4096, hard))
    try:
        assert not process.first(good[0]["16.wav"])[0]["ok"], "a rendition of more than 4 KiB"
    except media.Died as ended:
        assert ended.status == -signal.SIGXFSZ
        return
    assert resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE)[0] == 4096


def test_it_works_for_nobody_else():
    for descriptor in (None, "file", "stream"):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        given = {None: (), "file": (os.open("/dev/null", os.O_RDWR),), "stream": (theirs.fileno(),)}[descriptor]
        run = subprocess.run([media.BINARY], preexec_fn=lambda: given and os.dup2(given[0], 3), pass_fds=(3,) if given else (),
                             capture_output=True, timeout=20)
        assert run.returncode == 2 and b"started by it" in run.stderr


def test_it_leaves_when_the_server_is_gone(process, good):
    assert process.first(good[0]["16.wav"])[0]["ok"]
    assert process.end() == 0


def test_too_much_computing_ends_it(process, good):
    """Fifty frames of a tag that unpack to 20 MB each; the server gives hours, here it is a second."""
    process.cpu_s = 1
    bomb = absurd.id3(absurd.squeezed(b"TXXX", 20_000_000) * 50) + good[0]["a.mp3"]
    with pytest.raises(media.Died) as ended:
        process.first(bomb)
    assert ended.value.status == -signal.SIGXCPU
    assert process.first(good[0]["16.wav"])[0]["ok"], "another process goes on"


@pytest.mark.skipif(media.SANITIZED, reason="its shadow takes terabytes")
def test_too_much_memory_is_a_failure_with_words(process, good):
    """A limit below the sandbox's own, so that a picture that is taken otherwise is too large."""
    picture = absurd.png(absurd.ihdr(8000, 4000, 16, 6), (b"IDAT", absurd.blown(257_000_000)), (b"IEND", b""))
    assert process.cover(picture, [64])[0]["ok"]
    resource.prlimit(process.process.pid, resource.RLIMIT_AS, (320 << 20, 320 << 20))
    answer, _ = process.cover(picture, [64])
    assert (answer["code"], answer["final"]) == ("out-of-limits", False)
    assert "memory" in answer["reason"]


# The protocol. The server would send none of these: a process that was taken over might be sent anything by another one.

GOOD = {"job": "first", "bytes": 70000, "outputs": [{"format": "aac", "bitrate": 160}]}
ENDLESS = b'{"job":"first","bytes":9223372036854775807,"outputs":[{"format":"aac","bitrate":160}]}'  # it ends by itself
PACKETS = [b"{", b"[]", b"null", b"5", b'"first"', b"\xff\xfe", b"{}", b'{"job":5}', b'{"job":"none"}', b'{"job":"first"}', b"[" * 5000,
           b'{"job":"first","bytes":-1,"outputs":[{"format":"aac","bitrate":160}]}',
           b'{"job":"first","bytes":1e300,"outputs":[{"format":"aac","bitrate":160}]}',
           ENDLESS,
           b'{"job":"first","bytes":100,"outputs":5}', b'{"job":"first","bytes":100,"outputs":[5]}',
           b'{"job":"first","bytes":100,"outputs":[{"format":"aac"}]}',
           b'{"job":"first","bytes":100,"outputs":[{"format":"gsm","bitrate":13}]}',
           b'{"job":"ladder","bytes":70000,"outputs":[{"format":"aac","bitrate":-5}]}',
           b'{"job":"ladder","bytes":70000,"outputs":[{"format":"mp3","bitrate":2147483648}]}',
           b'{"job":"ladder","bytes":70000,"outputs":[{"format":"opus","bitrate":0}]}',
           b'{"job":"ladder","bytes":100,"outputs":[]}', b'{"job":"cover","bytes":100,"sizes":[]}',
           b'{"job":"cover","bytes":100,"sizes":[0]}', b'{"job":"cover","bytes":100,"sizes":[-1]}',
           b'{"job":"cover","bytes":100,"sizes":["x"]}', b'{"job":"cover","bytes":100,"sizes":{}}',
           b'{"job":"first","bytes":70000,"outputs":[{"format":"aac","bitrate":160}],"keys":["x"]}',
           b'{"job":"first","bytes":70000,"outputs":[{"format":"aac","bitrate":160}],"keys":["%s"]}' % (b"A" * 43 + b"="),
           b'{"job":"art"}', b'{"job":"art","bytes":"many"}']


def answer_to(process, packet, descriptors):
    process.send(packet, descriptors)
    while True:
        answer = process.receive()
        if "ok" in answer:
            return answer


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9])
def test_packets_that_make_no_sense_are_answered(process, good, count):
    descriptors = [media.memory_file(good[0]["16.wav"])] + [os.memfd_create("out") for _ in range(count)]
    try:
        for packet in PACKETS:
            answer = answer_to(process, packet, descriptors[:count])
            assert answer["ok"] == (packet == ENDLESS and count == 2), (packet, answer)
            assert answer["ok"] or answer["reason"]
        assert process.first(good[0]["16.wav"])[0]["ok"]
    finally:
        for fd in descriptors:
            os.close(fd)


def test_requests_of_random_bytes_are_answered(process, good):
    draw = random.Random(4)
    text = json.dumps(GOOD).encode()
    source, out = media.memory_file(good[0]["16.wav"]), os.memfd_create("out")
    try:
        for _ in range(500):
            packet = bytearray(text)
            for _ in range(draw.randrange(1, 5)):
                packet[draw.randrange(len(packet))] = draw.choice(b'{}[]",:0123456789-eE.\\\x00\xff ')
            answer = answer_to(process, bytes(packet), [source, out])
            assert answer["ok"] or answer["code"] in media.CODES
        assert process.first(good[0]["16.wav"])[0]["ok"]
    finally:
        os.close(source)
        os.close(out)


def test_descriptors_are_taken_as_they_are(process, good):
    """Outputs that cannot be written, a source that cannot be read, pipes: a failure, and no descriptor is left behind."""
    readable, written = os.pipe()
    full, null, folder = os.open("/dev/full", os.O_RDWR), os.open("/dev/null", os.O_RDONLY), os.open("/", os.O_RDONLY)
    source = media.memory_file(good[0]["16.wav"])
    try:
        for pair in [(source, full), (source, null), (source, readable), (source, written), (source, folder), (folder, source),
                     (written, source), (readable, source), (full, source)] * 10:
            assert not answer_to(process, json.dumps(GOOD).encode(), pair)["ok"]
        assert not answer_to(process, json.dumps(GOOD).encode(), [source] * 20)["ok"]
        assert process.first(good[0]["16.wav"])[0]["ok"]
    finally:
        for fd in (readable, written, full, null, folder, source):
            os.close(fd)


def test_a_source_that_is_shorter_than_told_is_cut_off(process, good):
    body = good[0]["16.wav"]
    for told in (len(body) + 1, 2 ** 40, 2 ** 62):
        assert process.first(body, bytes=told)[0]["ok"], "the header says where the sound ends"
    for kept in (0, 1, 43, 44, 45, 1000):
        answer = process.first(body, bytes=kept)[0]
        assert not answer["ok"] and answer["final"]
