"""The table of harm: what was done to which process, what clients saw of it, and what was lost. Kept as JSON beside the
text, so that the rounds of several runs add up."""
import json

COLUMNS = (("harm", "{name}"), ("times", "{times}"), ("writes", "{writes}"), ("calls", "{calls}"), ("bad %", "{share}"),
           ("no write s", "{write_gap:.1f}"), ("no upload s", "{upload_gap:.1f}"), ("no read s", "{read_gap:.1f}"),
           ("plays on", "{plays_on}"))
SUMS = ("times", "writes", "calls", "bad", "stalls")
LONGEST = ("write_gap", "upload_gap", "read_gap")
ROUND = ("rounds", "writes", "uploads", "plays", "lost", "doubled", "other", "stalls")


class Gap:
    """The longest time without something, and how many of something else came in it."""

    def __init__(self, since):
        self.last, self.longest, self.others, self.others_then = since, 0.0, 0, 0

    def came(self, at):
        if at - self.last > self.longest:
            self.longest, self.others_then = at - self.last, self.others
        self.last, self.others = at, 0


def seen(path, offset, since, until):
    """What the journal of a round says, from a byte of it on, of a time: calls, those without a good answer, acknowledged
    writes, the longest times in which no write, upload or read succeeded, and the reads in the longest without a write."""
    found = {"writes": 0, "calls": 0, "bad": 0}
    writes, uploads, reads = Gap(since), Gap(since), Gap(since)
    for row in rows(path, offset):
        if row["at"] > until or row["what"] not in ("answer", "none", "later"):
            continue
        found["calls"] += 1
        if row["what"] != "answer" or row["status"] >= 500:
            found["bad"] += 1
        elif row["who"].startswith("Reader"):
            reads.came(row["at"])
            writes.others += 1
        elif row["call"].startswith("PUT http"):
            uploads.came(row["at"])
        elif not row["call"].startswith("GET"):
            found["writes"] += 1
            writes.came(row["at"])
    for gap in (writes, uploads, reads):
        gap.came(until)
    return {**found, "write_gap": writes.longest, "upload_gap": uploads.longest, "read_gap": reads.longest,
            "reads_then": writes.others_then}


def rows(path, offset):
    """The journal's whole lines; the last one may be half written."""
    with open(path) as journal:
        journal.seek(offset)
        for line in journal:
            if line.endswith("\n"):
                yield json.loads(line)


class Table:
    def __init__(self):
        self.harms, self.rounds, self.notes = {}, {name: 0 for name in ROUND}, []

    def add(self, name, times=1, **seen_):
        row = self.harms.setdefault(name, {**{one: 0 for one in SUMS}, **{one: 0.0 for one in LONGEST}})
        row["times"] += times
        for one in SUMS[1:]:
            row[one] += seen_.get(one, 0)
        for one in LONGEST:
            row[one] = max(row[one], seen_.get(one, 0.0))

    def add_round(self, **numbers):
        for name, number in numbers.items():
            self.rounds[name] += number

    def add_sum(self, saved):
        """What save() wrote in an earlier run."""
        for name, row in saved["harms"].items():
            self.add(name, **row)
        self.add_round(**saved["rounds"])

    def save(self, text_path, tail=""):
        text_path.parent.mkdir(parents=True, exist_ok=True)
        text_path.write_text(self.text() + tail)
        text_path.with_suffix(".json").write_text(json.dumps({"harms": self.harms, "rounds": self.rounds}, indent=1))

    def text(self):
        lines = [tuple(title for title, _ in COLUMNS)]
        for name, row in sorted(self.harms.items(), key=lambda item: item[0].split()[::-1]):
            share = f"{100 * row['bad'] / row['calls']:.1f}" if row["calls"] else "-"
            lines.append(tuple(form.format(name=name, share=share, plays_on="no" if row["stalls"] else "yes", **row)
                               for _, form in COLUMNS))
        widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
        table = "\n".join("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                                    for i, (cell, width) in enumerate(zip(line, widths))) for line in lines)
        sums = "; ".join(f"{name} {number}" for name, number in self.rounds.items())
        return "\n".join([table, f"in all: {sums}", *self.notes])
