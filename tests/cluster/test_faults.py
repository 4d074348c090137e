"""One of each kind of process is killed, and cut off, in turn, while uploads, edits, plays, reads and log-ins run; afterwards
all that was acknowledged must be there, once, and what played must have played on."""
import random
import time

from cluster_round import ClusterRound
from table import seen
from test_commands import MEMORY_MB_MAX

HARMS = {"kill": "start", "cut": "mend"}
ONLY = {"ceph-osd": "osd-1", "postgresql": "pg-3", "haproxy": "way-in"}  # of these kinds this one
TITLES = {"postgresql": "pg replica", "primary": "pg primary", "sync_standby": "pg standby", "ceph-osd": "ceph-osd (bluestore)",
          "edge": "edge at work"}
LEADERS = ("primary", "sync_standby")  # by Patroni's word, whoever it is then
AWAY_S = 1.5
# Those that others give up only after a while are away for longer than that.
AWAY_OF_S = {"kafka": 4.5, "ceph-osd": 6.0, "etcd": 2.5, "sync_standby": 9.0}
QUIET_S = 6.0
RECOVERY_S_MAX = 90  # a bound, for machines that are busy


def targets(place, dice):
    """(kind, name): one of each kind; without a name, by what its nodes are then."""
    kinds = {}
    for name, row in place.processes().items():
        kinds.setdefault(row["kind"], []).append(name)
    return [(kind, ONLY.get(kind) or dice.choice(names)) for kind, names in kinds.items()] + \
        [(role, None) for role in (*LEADERS, "edge")]


def until(true, words):
    deadline = time.monotonic() + RECOVERY_S_MAX
    while not true():
        assert time.monotonic() < deadline, words
        time.sleep(0.1)


def of_role(place, role):
    """The node that has it now; None while there is none."""
    names = [member["name"] for member in place.patroni()
             if member["role"] in (role, "leader" if role == "primary" else role) and member["state"] in ("running", "streaming")]
    return names[0] if names else None


def is_whole(place):
    """Whether PostgreSQL could lose its primary now."""
    members = place.patroni()
    return len(members) == 3 and all(member["state"] in ("running", "streaming") for member in members) and \
        all(of_role(place, role) for role in LEADERS)


def stay_away(place, kind, name):
    """A primary until another node is that; the others for a while."""
    if kind == "primary":
        until(lambda: of_role(place, "primary") not in (None, name), "nobody takes over from the primary")
    else:
        time.sleep(AWAY_OF_S.get(kind, AWAY_S))


def harm(round_, how, kind, name):
    """Does it, undoes it, and waits until all is up and writes succeed again; what the journal has of that time."""
    place, offset, stalls = round_.place, round_.journal_size(), round_.stalls
    until(lambda: is_whole(place), "PostgreSQL is not whole")
    name = name or (place.edge_at_work() if kind == "edge" else of_role(place, kind))
    since = time.monotonic()
    round_.journal.tell("harm", how=how, kind=kind, name=name)
    place.command(how, name)
    round_.world.harms += 1
    stay_away(place, kind, name)
    place.command(HARMS[how], name)
    place.wait_up(name)
    round_.wait_for_work()
    ended = time.monotonic()
    return {**seen(round_.folder / "journal.jsonl", offset, since, ended), "stalls": round_.stalls - stalls}


def quiet(round_):
    """As long without any harm: what the rest is to be compared with."""
    offset, since, stalls = round_.journal_size(), time.monotonic(), round_.stalls
    time.sleep(QUIET_S)
    return {**seen(round_.folder / "journal.jsonl", offset, since, time.monotonic()), "stalls": round_.stalls - stalls}


def test_killed_and_cut(place, known, specification, media, save_table, table, request, number):
    """Each round is a test of its own: what one finds does not end the others."""
    seed = request.config.getoption("--seed")
    number += request.config.getoption("--first")
    dice = random.Random(f"{seed}/{number}")
    plan = [(how, *target) for target in targets(place, dice) for how in HARMS]
    dice.shuffle(plan)
    with ClusterRound(place, known, specification, media, "cluster", number, seed) as round_:
        try:
            play_through(round_, plan, table, request.config.getoption("--minutes"))
        finally:
            save_table()


def play_through(round_, plan, table, minutes):
    round_.begin()
    ends = time.monotonic() + 60 * minutes
    table.add("(no harm)", **quiet(round_))
    dumb = []
    for how, kind, name in plan:
        if time.monotonic() > ends:
            break
        found = harm(round_, how, kind, name)
        table.add(f"{how} {TITLES.get(kind, kind)}", **found)
        if kind == "primary" and not found["reads_then"]:
            dumb.append(f"{how} primary: nobody could read in the {found['write_gap']:.1f} s without a write")
    round_.finish()
    table.add_round(rounds=1, writes=round_.journal.writes, uploads=round_.uploads(), plays=round_.plays, stalls=round_.stalls,
                    lost=len(round_.findings.lost), doubled=len(round_.findings.doubled), other=len(round_.findings.other))
    found = [*round_.findings.words(), *dumb]
    assert round_.journal.writes > round_.world.harms and round_.plays > round_.world.harms and round_.uploads()
    assert not found and not round_.stalls, "\n".join(found[:20]) + f"\nstalls {round_.stalls}\nseed {round_.seed}"


def test_it_is_small_afterwards(place, table):
    """All that was harmed is still within the bounds that it had at first."""
    kinds = {}
    for row in place.status()["processes"]:
        kinds[row["kind"]] = kinds.get(row["kind"], 0) + row["rssKb"] / 1024
    total = sum(kinds.values())
    table.notes.append(f"memory afterwards: {total:.0f} MB: " + ", ".join(
        f"{kind} {size:.0f}" for kind, size in sorted(kinds.items(), key=lambda item: -item[1])))
    assert total < MEMORY_MB_MAX, table.notes[-1]
