"""The ladder of renditions."""
import statistics
import subprocess

from side import timed


def ladder(bench):
    song, out = bench.folder / "song.wav", bench.folder / "ladder"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(bench.song()), str(song)], check=True)
    out.mkdir(exist_ok=True)
    peer = ["ffmpeg", "-v", "error", "-y", "-i", str(song)]
    for codec, extension in (("aac", "m4a"), ("libmp3lame", "mp3"), ("libopus", "opus")):
        for rate in (96, 160, 320):
            peer += ["-map", "0:a", "-c:a", codec, "-b:a", f"{rate}k", str(out / f"{rate}.{extension}")]
    mine = [str(bench.build / "tests" / "tools" / "media-encode"), str(song), str(out)]
    rows = [(timed(mine), timed(peer)) for _ in range(3)]
    ratio = statistics.median(peer[0] / mine[0] for mine, peer in rows)
    wall, cpu = (statistics.median(row[0][i] for row in rows) for i in (0, 1))
    peer_wall, peer_cpu = (statistics.median(row[1][i] for row in rows) for i in (0, 1))
    bench.say("nine renditions of 214 s, wall (CPU) seconds", f"{wall:.1f} ({cpu:.1f})",
             f"ffmpeg {peer_wall:.1f} ({peer_cpu:.1f})", f"{ratio:.2f}", ">= 1.8", ratio >= 1.8)
