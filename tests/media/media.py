"""tutti-media as the server drives it: a process at the other end of a socketpair, jobs as JSON with descriptors.

Its limits are the real ones; computing time and the number of descriptors are held lower than the server holds them,
so that a file that takes minutes, or a descriptor that is not closed, shows.
"""
import json
import os
import pathlib
import resource
import select
import signal
import socket
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("TUTTI_MEDIA", str(ROOT / "build" / "tutti-media"))
SANITIZED = b"__asan_init" in pathlib.Path(BINARY).read_bytes()
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=0"}
PACKET = 192 * 1024
DESCRIPTORS_MAX = 32  # a job has 12 at most, with those that stay
CPU_S_MAX = 20
SILENCE_S_MAX = 60
CODES = {"not-audio", "no-samples", "truncated", "damaged", "too-long", "bad-rate", "bad-channels", "not-image",
         "too-many-pixels", "out-of-limits", "internal", "too-large", "unreadable"}  # media/failure.h
SIZES = [64, 128, 300, 600, 1200]


class Died(Exception):
    """The process ended in the middle of a job: by which signal, or status."""

    def __init__(self, status):
        super().__init__(signal.Signals(-status).name if status < 0 else f"status {status}")
        self.status = status


class Media:
    """One process. Not for two threads at a time."""

    def __init__(self, cpu_s=CPU_S_MAX):
        self.cpu_s = cpu_s
        self.process = self.socket = None

    def start(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

        def prepare():
            os.dup2(theirs.fileno(), 3)
            resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS_MAX, DESCRIPTORS_MAX))

        self.process = subprocess.Popen([BINARY], preexec_fn=prepare, pass_fds=(3,),
                                        env=SANITIZERS if SANITIZED else {}, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        theirs.close()
        self.socket = ours

    def end(self):
        """The status with which it leaves when the socket closes."""
        if self.process is None:
            return 0
        self.socket.close()
        try:
            status = self.process.wait(20)
        finally:
            self.process.kill()
            self.process = None
        return status

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.end()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.kill()

    def memory_max(self):
        """Bytes of address space it ever had; 0 of a sanitized process, which has terabytes."""
        if SANITIZED:
            return 0
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmPeak"):
                return int(line.split()[1]) * 1024
        return 0

    def limit_cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        used = (int(fields[11]) + int(fields[12])) // os.sysconf("SC_CLK_TCK")
        resource.prlimit(self.process.pid, resource.RLIMIT_CPU, (used + self.cpu_s, resource.RLIM_INFINITY))

    def died(self):
        self.socket.close()
        try:
            status = self.process.wait(20)
        finally:
            self.process.kill()
            self.process = None
        raise Died(status)

    def receive(self):
        if not select.select([self.socket], [], [], SILENCE_S_MAX)[0]:
            self.process.kill()
            self.died()
        try:
            packet = self.socket.recv(PACKET)
        except ConnectionResetError:
            packet = b""
        return json.loads(packet) if packet else self.died()

    def send(self, packet, descriptors):
        """A packet as it is, whatever it says."""
        if self.process is None:
            self.start()
        self.limit_cpu()
        socket.send_fds(self.socket, [packet], descriptors)

    def job(self, request, source, outputs):
        """(answer, bytes of each output). `source` is bytes or a descriptor. Raises Died."""
        made = [] if isinstance(source, int) else [memory_file(source)]
        files = [os.memfd_create("output") for _ in range(outputs)]
        source = made[0] if made else source
        try:
            request = {**request, "bytes": request.get("bytes", os.fstat(source).st_size)}
            self.send(json.dumps(request).encode(), [source, *files])
            told = {}
            while True:
                answer = self.receive()
                if "ok" in answer:
                    break
                if "done" in answer:
                    told[answer["done"]] = answer["rendition"]
            bodies = [os.pread(fd, os.fstat(fd).st_size, 0) for fd in files]
        finally:
            for fd in made + files:
                os.close(fd)
        check_answer(answer, told, bodies)
        return answer, told, bodies

    # The jobs of media/job.h.

    def first(self, source, **more):
        outputs = [{"format": "aac", "bitrate": 160}]
        return self.job({"job": "first", "outputs": outputs, **more}, source, 1)

    def ladder(self, source, *rungs):
        outputs = [{"format": format, "bitrate": bitrate} for format, bitrate in rungs]
        return self.job({"job": "ladder", "outputs": outputs}, source, len(outputs))

    def art(self, source):
        answer, _, (picture,) = self.job({"job": "art"}, source, 1)
        return answer, picture

    def cover(self, source, sizes=SIZES):
        answer, _, pictures = self.job({"job": "cover", "sizes": sizes}, source, 2 * len(sizes))
        return answer, pictures


def memory_file(content):
    fd = os.memfd_create("source")
    assert os.write(fd, content) == len(content)
    return fd


def check_answer(answer, told, bodies):
    """What is promised of any answer, whatever the file was."""
    if not answer["ok"]:
        assert answer["code"] in CODES and answer["reason"] and isinstance(answer["final"], bool), answer
        assert answer["code"] != "internal", answer
        return
    for index, rendition in told.items():
        assert rendition["bytes"] == len(bodies[index]) > 0, rendition
        assert rendition["samples"] > 0 and rendition["channels"] in range(1, 9), rendition
        assert sum(duration for _, duration in rendition["fragments"]) in (0, rendition["samples"]), rendition
    probe = answer.get("probe")
    if probe:
        assert probe["samples"] > 0 and 8000 <= probe["rate"] <= 192000 and 1 <= probe["channels"] <= 8, probe
