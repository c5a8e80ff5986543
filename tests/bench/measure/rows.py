"""Rows, their medians, and how they are shown."""
import fnmatch
import statistics
import sys

COLUMNS = (  # key, title, format
    ("cpu", "CPU-s/1000", "{:.4f}"),
    ("rate", "per second", "{:.0f}"),
    ("p50", "p50 ms", "{:.2f}"),
    ("p99", "p99 ms", "{:.2f}"),
    ("group", "rows/commit", "{:.1f}"),
    ("rss", "RSS MB", "{:.1f}"),
)


class Target:
    """At most limit of a row's value key, said as text; show: how a value is written. Without a limit: only shown."""

    def __init__(self, key, limit, text, show="{:.3f}"):
        self.key, self.limit, self.text, self.show = key, limit, text, show

    def result(self, value):
        return "" if self.limit is None else "PASS" if value <= self.limit else "MISS"


class Row:
    """measure() returns {key: number}; once for each round. Keys beyond COLUMNS are for targets and JSON."""

    def __init__(self, section, name, measure, targets=(), once=False):
        self.section, self.name, self.measure, self.targets, self.once = section, name, measure, targets, once
        self.samples = []

    def run(self, number):
        if self.once and number > 0:
            return
        self.samples.append(self.measure())

    def median(self, key):
        values = [s[key] for s in self.samples if s.get(key) is not None]
        return statistics.median(values) if values else None

    def matches(self, pattern):
        text = f"{self.section} {self.name}"
        return fnmatch.fnmatch(text, f"*{pattern}*")

    def judged(self):
        """(target, value, PASS or MISS) of each target."""
        return [(t, v, t.result(v)) for t in self.targets if (v := self.median(t.key)) is not None]

    def as_json(self):
        keys = {k for s in self.samples for k in s}
        return {"section": self.section, "row": self.name, "values": {k: self.median(k) for k in sorted(keys)},
                "samples": self.samples,
                "targets": [{"what": t.text, "limit": t.limit, "value": v, "result": r} for t, v, r in self.judged()]}


def run_rows(rows, rounds, progress=True):
    """Round by round over all rows, so that a busy minute of the machine meets each row at most once."""
    for number in range(rounds):
        for index, row in enumerate(rows):
            if progress and sys.stderr.isatty():
                print(f"\r\033[Kround {number + 1} of {rounds}, {index + 1} of {len(rows)}: {row.section} {row.name}",
                      end="", file=sys.stderr, flush=True)
            row.run(number)
    if progress and sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)


def _cells(row):
    cells = []
    for key, _, form in COLUMNS:
        value = row.median(key)
        cells.append("" if value is None else form.format(value))
    return cells


def table(rows):
    """The table as lines. A row with several targets takes a line for each."""
    head = ["", *[title for _, title, _ in COLUMNS], "target", "value", ""]
    lines, section = [], None
    for row in rows:
        if row.section != section:
            section = row.section
            lines.append([section])
        judged = [[t.text, t.show.format(v), r] for t, v, r in row.judged()] or [["", "", ""]]
        lines.append([f"  {row.name}", *_cells(row), *judged[0]])
        lines += [["", *[""] * len(COLUMNS), *more] for more in judged[1:]]
    widths = [max(len(line[i]) for line in [head, *lines] if len(line) > 1 and i < len(line)) for i in range(len(head))]
    left = {0, len(head) - 3, len(head) - 1}

    def one(line):
        if len(line) == 1:
            return line[0]
        return "  ".join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))).rstrip()
    return [one(line) for line in [head, *lines]]
