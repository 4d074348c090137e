"""From an uploaded file to renditions: every format that is taken, every file that is not, and kills in the
middle. The media process is the real one."""
import os
import pathlib
import re
import signal
import struct
import subprocess
import time

import pytest
import requests

from conftest import CLUSTER, Person, soon, until, wait_for

LADDER = {("aac", 96), ("aac", 160), ("aac", 320), ("mp3", 96), ("mp3", 160), ("mp3", 320), ("opus", 96),
          ("opus", 160), ("opus", 320), ("original", 0)}
RATES = {"aac": None, "mp3": None, "opus": 48000}


def ffmpeg(*arguments):
    return subprocess.run(["ffmpeg", "-hide_banner", "-nostats", *map(str, arguments)], check=True,
                          capture_output=True, timeout=120)


def loudness_by_ffmpeg(path, channels):
    mono = "true" if channels == 1 else "false"  # mono is played from two speakers
    report = ffmpeg("-i", path, "-af", f"ebur128=dualmono={mono}:metadata=1,ametadata=print:key=lavfi.r128.I:file=-",
                    "-f", "null", "-").stdout.decode()
    return float(report.strip().splitlines()[-1].split("=")[1])


def decoded(path, rate):
    """Samples of one channel that ffmpeg gets out of a file."""
    raw = ffmpeg("-i", path, "-f", "f32le", "-ac", "1", "-ar", rate, "-").stdout
    return len(raw) // 4


def kind(rendition):
    return rendition["format"], rendition.get("bitrate") or 0


# name, what ffmpeg is told, rate, channels, samples of one channel, lossless
FORMATS = [
    ("16.wav", ["-c:a", "pcm_s16le"], 44100, 2, True),
    ("24.wav", ["-c:a", "pcm_s24le"], 48000, 2, True),
    ("32.wav", ["-c:a", "pcm_s32le"], 44100, 2, True),
    ("float.wav", ["-c:a", "pcm_f32le"], 44100, 2, True),
    ("a.flac", [], 44100, 2, True),
    ("alac.m4a", ["-c:a", "alac"], 44100, 2, True),
    ("a.aiff", [], 44100, 2, True),
    ("a.wv", [], 44100, 2, True),
    ("a.mp3", ["-b:a", "192k"], 44100, 2, False),
    ("a.m4a", ["-c:a", "aac", "-b:a", "192k"], 44100, 2, False),
    ("a.ogg", ["-c:a", "libvorbis"], 44100, 2, False),
    ("a.opus", ["-c:a", "libopus"], 48000, 2, False),
    ("low.wav", [], 8000, 1, True),
    ("high.flac", ["-sample_fmt", "s32"], 192000, 2, True),
    ("surround.flac", [], 48000, 6, True),
    ("seven.wav", [], 44100, 8, True),
]


@pytest.mark.parametrize("name, options, rate, channels, lossless", FORMATS, ids=[row[0] for row in FORMATS])
def test_every_format_becomes_ready(people, upload, sounds, tmp_path, name, options, rate, channels, lossless):
    seconds = 4.321
    source = sounds("wav", seconds=seconds, rate=rate, channels=channels)
    path = tmp_path / name
    ffmpeg("-i", source, *options, path)
    track = upload(path=path, title=name)
    assert track["status"] == "ready", track
    assert abs(track["durationMs"] - round(seconds * 1000)) <= 1
    assert abs(track["loudness"]["trackLufs"] - loudness_by_ffmpeg(path, channels)) <= 0.1
    whole = wait_for(people.artist, track["id"], whole=True)
    made = {kind(rendition) for rendition in whole["renditions"]}
    assert made == LADDER | ({("flac", 0)} if lossless else set())


def test_lengths_are_exact_to_the_sample(people, upload, sounds, tmp_path):
    source = sounds("flac", seconds=5.4321)  # no multiple of a frame
    samples = round(5.4321 * 44100)
    track = upload(path=source)
    wait_for(people.artist, track["id"], whole=True)
    files = people.artist.get(f"/api/v1/tracks/{track['id']}/stream").json()["files"]
    assert len(files) >= 10
    for file in files:
        body = requests.get(file["url"], timeout=30)
        assert body.status_code == 200 and len(body.content) == file["bytes"], file
        path = tmp_path / file["url"].rsplit("/", 1)[1]
        path.write_bytes(body.content)
        rate = 48000 if file["format"] == "opus" else 44100
        expected = -(-samples * 160 // 147) if file["format"] == "opus" else samples
        got = decoded(path, rate)
        if file["format"] == "aac":  # this decoder keeps the end padding; the file says where to cut
            assert file["samples"] == samples and 0 <= got - samples < 1024, (file, got)
        else:
            assert abs(got - expected) <= (1 if file["format"] == "opus" else 0), (file, got)


def samples_of(path):
    """In steps of 32 bits, the channels in turn."""
    return [value[0] for value in struct.iter_unpack("<i", ffmpeg("-i", path, "-f", "s32le", "-").stdout)]


@pytest.mark.parametrize("name, options, channels", [("float.wav", ["-c:a", "pcm_f32le"], 2),
                                                     ("seven.wav", ["-c:a", "pcm_s24le"], 8)])
def test_lossless_masters_of_every_kind_play_as_flac(people, upload, tmp_path, name, options, channels):
    path = tmp_path / name
    planes = "|".join(f"{0.05 + 0.02 * i}*sin(2*PI*{220 * (i + 1)}*t)" for i in range(channels))
    ffmpeg("-f", "lavfi", "-i", f"aevalsrc='{planes}':s=48000:d=9.5", *options, path)
    track = upload(path=path, title=name)
    wait_for(people.artist, track["id"], whole=True)
    play = people.artist.get(f"/api/v1/tracks/{track['id']}/stream", params={"maxBitrate": "lossless"}).json()
    flac, = [file for file in play["files"] if file["format"] == "flac"]
    body = requests.get(flac["url"], timeout=30).content
    assert len(body) == flac["bytes"]
    (tmp_path / "file.mp4").write_bytes(body)
    assert "fLaC" in requests.get(play["hls"], timeout=10).text and "fLaC" in requests.get(play["dash"], timeout=10).text
    listed = requests.get(play["hls"].rsplit("/", 1)[0] + "/flac.m3u8", timeout=10)
    assert listed.status_code == 200 and "#EXT-X-ENDLIST" in listed.text
    expected, found = samples_of(path), samples_of(tmp_path / "file.mp4")
    assert len(found) == len(expected) and samples_of(listed.url) == found
    half = 128 if "float" in name else 0  # half a step of 24 bits
    assert all(abs(one - other) <= half for one, other in zip(found, expected))


def wav(rate, channels, data=b""):
    block = 2 * channels
    return (b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " +
            struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * block, block, 16) +
            b"data" + struct.pack("<I", len(data)) + data)


def bad_file(name, folder, sounds):
    path = folder / name
    if name == "text.mp3":
        path.write_text("The quick brown fox jumps over the lazy dog.\n" * 3000)
    elif name == "truncated.flac":
        whole = sounds("flac", seconds=20.0).read_bytes()
        path.write_bytes(whole[:len(whole) // 2])
    elif name == "truncated.ogg":
        ffmpeg("-i", sounds("flac", seconds=20.0), "-c:a", "libvorbis", folder / "whole.ogg")
        whole = (folder / "whole.ogg").read_bytes()
        path.write_bytes(whole[:len(whole) // 2])
    elif name == "zero.wav":
        path.write_bytes(wav(44100, 2))
    elif name == "hertz.wav":
        path.write_bytes(wav(1, 2, bytes(4000)))
    elif name == "channels.wav":
        path.write_bytes(wav(44100, 65, bytes(130 * 1000)))
    elif name == "12h.flac":
        ffmpeg("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", 12 * 3600, path)
    elif name == "picture.wav":
        ffmpeg("-f", "lavfi", "-i", "testsrc", "-frames:v", 1, "-f", "image2", "-c:v", "png", path)
    return path


@pytest.mark.parametrize("name, code, words", [
    ("text.mp3", "not-audio", "not a sound file"),
    ("picture.wav", "not-audio", "not a sound file"),
    ("truncated.flac", "truncated", "although its header says 20 s"),
    ("truncated.ogg", "truncated", "cut off after about"),
    ("zero.wav", "no-samples", "0 samples"),
    ("hertz.wav", "bad-rate", "1 Hz"),
    ("channels.wav", "bad-channels", "65 channels"),
    ("12h.flac", "too-long", "longer than 6 hours"),
])
def test_bad_files_end_as_failed_with_words(upload, sounds, tmp_path, name, code, words):
    track = upload(path=bad_file(name, tmp_path, sounds), title=name)
    assert track["status"] == "failed", track
    assert track["failure"]["code"] == code
    assert words in track["failure"]["reason"]
    assert not [rendition for rendition in track["renditions"] if rendition["format"] == "aac"]


def media_processes(server):
    """The children of the server by the name tutti-media."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)
        except (OSError, NotADirectoryError):
            continue
        if entry.name.isdigit() and fields[0].endswith("(tutti-media") and int(fields[1].split()[1]) == server.process.pid:
            found.append(int(entry.name))
    return found


def test_the_artist_sees_it_go_on(people, upload, sounds):
    track = upload(path=sounds("flac", seconds=30.0), wait=False)
    states, counts = [track["status"]], set()

    def whole():
        now = people.artist.get(f"/api/v1/tracks/{track['id']}").json()
        states.extend([now["status"]] if now["status"] != states[-1] else [])
        counts.add((now["progress"]["done"], now["progress"]["of"]))
        return now["status"] == "failed" or now["status"] == "ready" and now["progress"]["done"] == now["progress"]["of"]
    until(whole, "its renditions are never whole")
    # Processes of the cluster hear of others' writes each in its time, and we ask now one and now another.
    seen = list(dict.fromkeys(states)) if CLUSTER else states
    assert seen[-2:] == ["processing", "ready"], states
    assert set(seen[:-2]) <= {"created", "uploaded"}, states
    assert [count for count in counts if 0 < count[0] < count[1]], f"renditions are counted as they are made: {counts}"


def test_metrics_count_the_work(people, server, upload, sounds):
    wait_for(people.artist, upload(path=sounds("flac", seconds=30.0))["id"], whole=True)
    metrics = requests.get(server.url + "/metrics", timeout=10).text
    assert re.search(r'tutti_transcode_runs_total\{kind="ladder",result="done"\} [1-9]', metrics)
    assert re.search(r'tutti_transcode_job_duration_seconds_count\{kind="first"\} [1-9]', metrics)
    sound = re.search(r"tutti_transcode_sound_seconds_sum (\S+)", metrics)
    assert float(sound[1]) >= 30


def test_killed_media_processes_cost_nothing_but_time(people, server, upload, sounds):
    track = upload(path=sounds("flac", seconds=45.0), wait=False)
    for _ in range(3):
        until(lambda: media_processes(server))
        time.sleep(0.2)
        for pid in media_processes(server):
            os.kill(pid, signal.SIGKILL)
    whole = wait_for(people.artist, track["id"], whole=True)
    assert whole["status"] == "ready"
    made = sorted(kind(rendition) for rendition in whole["renditions"])
    assert made == sorted(LADDER | {("flac", 0)})  # each once
    until(lambda: not media_processes(server))  # gone when idle


def test_a_killed_server_goes_on_where_it_was(own_server, sounds):
    server = own_server()
    server.add_user("maker", "artist")
    maker = Person(server.url, "maker", "artist")
    page = maker.post("/api/v1/artists", json={"name": "Band"}).json()
    album = maker.post("/api/v1/albums", json={"artistId": page["id"], "title": "Album"}).json()
    path = sounds("flac", seconds=40.0)
    place = maker.get("/api/v1/tracks/upload-url", params={"filename": "a.flac"}).json()
    assert requests.put(place["uploadUrl"], data=path.read_bytes(), timeout=30).status_code == 200
    track = maker.post("/api/v1/tracks", json={"albumId": album["id"], "title": "T", "trackUrl": place["trackUrl"]}).json()
    for pause in (0.3, 0.8, 1.5):
        time.sleep(pause)
        server.kill()
        server.start()
    whole = wait_for(maker, track["id"], whole=True)
    assert whole["status"] == "ready"
    assert sorted(kind(rendition) for rendition in whole["renditions"]) == sorted(LADDER | {("flac", 0)})
    assert server.stop() == 0


def test_workers_of_their_own_process(own_server, sounds):
    front = own_server(roles="gateway,identity,catalog,ingest,streaming,library,objectstore")
    front.add_user("maker", "artist")
    maker = Person(front.url, "maker", "artist")
    page = maker.post("/api/v1/artists", json={"name": "Band"}).json()
    album = maker.post("/api/v1/albums", json={"artistId": page["id"], "title": "Album"}).json()
    path = sounds("flac", seconds=10.0)
    place = maker.get("/api/v1/tracks/upload-url", params={"filename": "a.flac"}).json()
    assert requests.put(place["uploadUrl"], data=path.read_bytes(), timeout=30).status_code == 200
    track = maker.post("/api/v1/tracks", json={"albumId": album["id"], "title": "T", "trackUrl": place["trackUrl"]}).json()
    time.sleep(1)
    assert maker.get(f"/api/v1/tracks/{track['id']}").json()["status"] in ("created", "uploaded")
    own_server(data=front.data, roles="transcode")
    own_server(data=front.data, roles="transcode")
    whole = wait_for(maker, track["id"], whole=True)
    assert whole["status"] == "ready"
    assert sorted(kind(rendition) for rendition in whole["renditions"]) == sorted(LADDER | {("flac", 0)})


def test_the_picture_in_a_file_becomes_the_cover(people, upload, album, sounds, tmp_path):
    picture, path = tmp_path / "cover.png", tmp_path / "a.flac"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=700x700", "-frames:v", 1, picture)
    ffmpeg("-i", sounds("flac"), "-i", picture, "-map", "0:a", "-map", "1:v", "-c:v", "mjpeg",
           "-disposition:v", "attached_pic", path)
    made = album()
    upload(path=path, album_id=made["id"])

    def cover():
        return people.artist.get(f"/api/v1/albums/{made['id']}").json()["coverArtId"]

    until(cover)

    def image():
        return requests.get(f"{people.server.url}/api/v1/art/{cover()}", params={"size": 300},
                            headers={"Accept": "image/jpeg"}, timeout=10)

    assert soon(lambda: image().status_code == 200)
    assert image().headers["Content-Type"] == "image/jpeg" and image().content[:2] == b"\xff\xd8"
    first = cover()
    upload(path=path, album_id=made["id"], title="Second")  # the album has one: it stays
    time.sleep(0.5)
    assert cover() == first
