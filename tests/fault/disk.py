"""The disk under a data directory: its durable image (disk.c), and the cut of its power.

    disk = Disk(data, image)   disk.settle()      all that is there now is durable
                               disk.environment() preloads the keeper of the image into a process
                               disk.cut(random)   after the SIGKILL: only what was synced is left, and with a random
                                                  generator also some of what was not: whole names, 4 KiB blocks
"""
import ctypes
import os
import pathlib
import shutil

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = os.environ.get("FAULT_LIBRARY", str(ROOT / "build-asan" / "tests" / "fault" / "libtutti-fault.so"))
BLOCK = 4096
NOT_DURABLE = ("-shm",)  # SQLite's shared memory: written through a mapping, made anew by who comes first

_library = None


def library():
    global _library
    if _library is None:
        _library = ctypes.CDLL(LIBRARY, use_errno=True)
    return _library


def key_of(path):
    """(kind, key) as in the image; kind is "d" or "f"."""
    out = ctypes.create_string_buffer(80)
    if library().fault_disk_key(os.fsencode(path), out, ctypes.c_size_t(80)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    kind, key = out.value.decode().split(" ", 1)
    return kind, key


class Disk:
    def __init__(self, data, image):
        self.data, self.image = pathlib.Path(data), pathlib.Path(image)
        self.dropped = 0  # names and blocks that a cut took away, in sum

    def environment(self, broken=None):
        """broken: what names begin with, in the data directory, whose syncs do nothing; "" is all of them."""
        lies = {} if broken is None else {"TUTTI_FAULT_BROKEN": os.path.join(self.data, broken).rstrip("/")}
        return {"LD_PRELOAD": LIBRARY, "TUTTI_FAULT_ROOT": str(self.data), "TUTTI_FAULT_DISK": str(self.image), **lies}

    def settle(self):
        shutil.rmtree(self.image, ignore_errors=True)
        for folder in ("f", "d"):
            (self.image / folder).mkdir(parents=True)
        for folder, _, files in os.walk(self.data):
            for path in [folder, *(os.path.join(folder, name) for name in files)]:
                if library().fault_disk_settle(os.fsencode(self.image), os.fsencode(path)) != 0:
                    raise OSError(ctypes.get_errno(), "can't be taken for durable", path)

    def entries_kept(self, key):
        """{name: (kind, key)} of a folder at its last sync."""
        try:
            lines = (self.image / "d" / key).read_text(errors="surrogateescape").splitlines()
        except FileNotFoundError:
            return {}
        return {name: (kind, key) for kind, key, name in (line.split(" ", 2) for line in lines)}

    def cut(self, random=None):
        """No process may have the directory open. What is left is durable."""
        self.random = random
        self.live = {}  # (kind, key) → a path where it still is
        for folder, _, files in os.walk(self.data):
            for path in [folder, *(os.path.join(folder, name) for name in files)]:
                self.live[key_of(path)] = path
        lost = self.data.with_name(self.data.name + ".lost")
        fresh = self.data.with_name(self.data.name + ".fresh")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self.restore_folder(key_of(self.data)[1], fresh)
        self.data.rename(lost)
        fresh.rename(self.data)
        shutil.rmtree(lost)
        self.settle()

    def restore_folder(self, key, out):
        kept = self.entries_kept(key)
        path = self.live.get(("d", key))
        now = {name: key_of(os.path.join(path, name)) for name in os.listdir(path)} if path else {}
        for name in sorted(kept.keys() | now.keys()):
            if name.endswith(NOT_DURABLE):
                continue
            entry = self.choose(kept.get(name), now.get(name))
            if entry is None:
                continue
            if entry[0] == "d":
                (out / name).mkdir(mode=0o700)
                self.restore_folder(entry[1], out / name)
            else:
                self.restore_file(entry[1], out / name)

    def choose(self, kept, now):
        if kept == now or self.random and self.random.random() < 0.5:
            return now
        self.dropped += 1
        return kept

    def restore_file(self, key, out):
        image = self.image / "f" / key
        kept = image.read_bytes() if image.exists() else b""
        live = self.live.get(("f", key))
        now = pathlib.Path(live).read_bytes() if live else kept
        out.write_bytes(kept if kept == now else self.mix(kept, now))
        out.chmod(0o600)
        times = image if image.exists() else live
        if times:
            status = os.stat(times)
            os.utime(out, ns=(status.st_atime_ns, status.st_mtime_ns))

    def mix(self, kept, now):
        """The bytes of a file that was not synced since it changed."""
        size = len(kept)
        if self.random and self.random.random() < 0.5:
            size = len(now)
        mixed = bytearray()
        for at in range(0, size, BLOCK):
            old = kept[at:at + BLOCK].ljust(BLOCK, b"\0")
            new = now[at:at + BLOCK].ljust(BLOCK, b"\0")
            if old != new and not (self.random and self.random.random() < 0.5):
                self.dropped += 1
                new = old
            mixed += new
        self.dropped += len(now) > size
        return bytes(mixed[:size])
