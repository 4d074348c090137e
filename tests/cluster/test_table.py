"""The table's own arithmetic, on a journal written by hand."""
import json

from table import Table, seen


def told(path, *rows):
    with open(path, "w") as journal:
        for at, what, who, call, status in rows:
            journal.write(json.dumps({"at": at, "what": what, "who": who, "call": call, "status": status}) + "\n")
        journal.write('{"at": 19, "what": "ans')  # and is still being written
    return path


def test_what_is_seen_of_a_time(tmp_path):
    first = ("answer", "Editor-0", "POST /api/v1/albums", 201)
    path = told(tmp_path / "journal", (1, *first), (11, *first), (12, "later", "Editor-0", "POST /api/v1/albums", 503),
                (13, "answer", "Reader-1", "GET /api/v1/tracks/1", 200), (14, "none", "Reader-1", "GET /api/v1/tracks/1", None),
                (15, "answer", "Uploader-2", "PUT http://store/x", 200), (17, *first), (25, *first))
    offset = len(path.read_text().splitlines(keepends=True)[0])
    assert seen(path, offset, 10, 20) == {"writes": 2, "calls": 6, "bad": 2, "write_gap": 6, "upload_gap": 5, "read_gap": 7,
                                          "reads_then": 1}


def test_parts_add_up(tmp_path):
    path, last = tmp_path / "cluster.txt", None
    for gap in (4.0, 2.5):
        table = Table()
        if last:
            table.add_sum(last)
        table.add("kill redis", writes=3, calls=10, bad=1, write_gap=gap)
        table.add_round(rounds=1, writes=3, lost=0)
        table.save(path)
        last = json.loads(path.with_suffix(".json").read_text())
    assert last["harms"]["kill redis"] == {"times": 2, "writes": 6, "calls": 20, "bad": 2, "stalls": 0, "write_gap": 4.0,
                                           "upload_gap": 0.0, "read_gap": 0.0}
    assert last["rounds"]["rounds"] == 2
    assert path.read_text().splitlines()[1].split() == ["kill", "redis", "2", "6", "20", "10.0", "4.0", "0.0", "0.0", "yes"]
