"""What the database layer does on SQLite and on PostgreSQL, on the same disk: bench/db_bench.c on both, in turns."""
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "engines"))
import postgres  # noqa: E402

SECONDS = "3"


def rows_of(*arguments, program):
    """{(what, threads): (per second, per CPU-second, p50 ms, p99 ms)}"""
    text = subprocess.run([program, *arguments], check=True, capture_output=True, text=True, timeout=300).stdout
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 8 and cells[1].isdigit():
            found[cells[0], int(cells[1])] = tuple(float(cell) for cell in cells[2:6])
    return found


def db(bench):
    program = str(bench.build / "bench" / "bench_db")
    if postgres.binaries() is None:
        print("db: skipped, postgresql-15 is not installed")
        return
    with tempfile.TemporaryDirectory(prefix="tutti-bench-db-", dir=bench.build) as folder:
        files = rows_of(folder, SECONDS, program=program)
    with postgres.Server(quick=False) as server:
        pid = (server.folder / "data" / "postmaster.pid").read_text().split()[0]
        servers = rows_of(server.create("bench"), SECONDS, pid, program=program)
    for (what, threads), ours in servers.items():
        peer = files[what, threads]
        bench.say(f"{what}, {threads} at once: PostgreSQL, per CPU-second (p50, p99 ms)",
                  f"{ours[1]:,.0f} ({ours[2]:.2f}, {ours[3]:.2f})",
                  f"SQLite {peer[1]:,.0f} ({peer[2]:.2f}, {peer[3]:.2f})", f"{ours[1] / peer[1]:.2f}", "", True)
