"""A folder of music brought in: 10,000 tagged files of 2 s (seeded, so that every run has the same), then the demo music.
Files per CPU-second of all processes together, the same folder again unchanged, and the peak of their resident memory."""
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import threading

FILES, PER_ALBUM = 10_000, 10
FILES_BAR, AGAIN_BAR_S, MEMORY_BAR_MB = 1700, 0.1, 60
# Quoted of an earlier measurement on 10,000 files of 2 s, not of this run.
PEERS = "gonic 558, Navidrome 417"


def text_frame(name, text):
    body = b"\3" + text.encode()
    size = len(body)
    return name + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + b"\0\0" + body


def tag(frames):
    body = b"".join(text_frame(*frame) for frame in frames)
    size = len(body)
    return b"ID3\4\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + body


def make_library(folder, count=FILES):
    """Artists of one to four albums of ten songs; each file has a sound of its own."""
    sound = folder / "sound.mp3"
    folder.mkdir(parents=True)
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=440:r=44100:d=2", "-map_metadata", "-1",
                    "-write_id3v2", "0", str(sound)], check=True)
    base, chance, made, artist = sound.read_bytes(), random.Random(1), 0, 0
    while made < count:
        artist += 1
        for album in range(chance.randint(1, 4)):
            place = folder / "music" / f"Artist {artist}" / f"Album {album}"
            place.mkdir(parents=True)
            genre, year = chance.choice(["Rock", "Jazz", "Pop", "Folk"]), str(1960 + chance.randrange(60))
            for number in range(1, PER_ALBUM + 1):
                body = bytearray(base)
                body[-200:-100] = made.to_bytes(4, "big") * 25
                frames = [(b"TIT2", f"Song {number} of {made}"), (b"TPE1", f"Artist {artist}"),
                          (b"TALB", f"Album {album}"), (b"TRCK", f"{number}/{PER_ALBUM}"), (b"TDRC", year),
                          (b"TCON", genre)]
                (place / f"{number:02d}.mp3").write_bytes(tag(frames) + body)
                made += 1
                if made == count:
                    return folder / "music"
    return folder / "music"


def resident_mb(pid):
    """Of a process and its children."""
    total = 0
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in [str(pid), *children]:
            for line in pathlib.Path(f"/proc/{one}/status").read_text().splitlines():
                total += int(line.split()[1]) if line.startswith("VmRSS") else 0
    except (FileNotFoundError, ProcessLookupError):
        pass
    return total / 1024


def run_import(tutti, data, folder):
    """(CPU seconds of all processes, the peak of their memory in MB)"""
    process = subprocess.Popen([tutti, "import", str(folder), "--data", str(data)], stdout=subprocess.DEVNULL)
    peak, ended = [0.0], threading.Event()

    def watch():
        while not ended.wait(0.02):
            peak[0] = max(peak[0], resident_mb(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    ended.set()
    watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit("the import failed")
    return usage.ru_utime + usage.ru_stime, peak[0]


def measure(tutti, folder, music):
    """[(name, CPU s, peak MB, files)] of the first time, the second time, and of the music."""
    data = folder / "data"
    library = make_library(folder / "library")
    subprocess.run([tutti, "user", "add", "owner", "--role", "admin", "--password-stdin", "--data", str(data)],
                   input="a long password\n", text=True, check=True, stdout=subprocess.DEVNULL)
    rows = [("new", *run_import(tutti, data, library), FILES)]
    again = min(run_import(tutti, data, library) for _ in range(3))
    rows.append(("again", *again, FILES))
    sounds = sum(1 for path in music.rglob("*") if path.suffix in {".ogg", ".mp3", ".flac"}) if music else 0
    if sounds:
        rows.append(("music", *run_import(tutti, data, music), sounds))
    return rows


def importing(bench):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tutti-bench-import-"))
    try:
        rows = measure(str(bench.build / "tutti"), folder, bench.music)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for name, cpu, peak, files in rows:
        if name == "again":
            bench.say(f"{files} files unchanged, CPU s", f"{cpu:.3f}", "-", "-", f"<= {AGAIN_BAR_S}", cpu <= AGAIN_BAR_S)
            continue
        rate = files / cpu
        bar = FILES_BAR if name == "new" else 0
        bench.say(f"import of {files} files ({name}), files per CPU-s", f"{rate:.0f}", PEERS if bar else "-", "-",
                  f">= {bar}" if bar else "-", rate >= bar)
        bench.say(f"its peak memory ({name}), MB", f"{peak:.0f}", "-", "-", f"<= {MEMORY_BAR_MB}", peak <= MEMORY_BAR_MB)
