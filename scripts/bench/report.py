#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Make a table of the figures that guest.sh has measured.

Reads the figures from standard input. Prints the table, and writes DIRECTORY/bench.json and, in
the form that Documentation/benchmarks.rst has, DIRECTORY/bench.rst.

usage: report.py DIRECTORY
"""

import json
import statistics
import sys
from pathlib import Path

# The value that a target is for. A target is its text, this value, and a test whether it is met.
RATIO, RUST = "Rust/C", "Rust"


def at_most(limit, of=RUST):
    sign = "at most "
    return (f"{sign}{limit:g}" if of == RUST else f"{of} {sign}{limit:g}", of, lambda value: value <= limit)


def at_least(limit):
    return (f"at least {limit:g}", RUST, lambda value: value >= limit)


def exactly(number):
    return (f"{number:g}", RUST, lambda value: value == number)


NO_TARGET = (None, None, None)

# The rows: the name among the figures, the title, the target.
ROWS = [
    ("one-bare", "bare helper, instructions", NO_TARGET),
    ("one-bare-more", "bare helper: more than with C, instructions", NO_TARGET),
    ("one-request", "one request, instructions", at_most(1.012, RATIO)),
    ("one-request-more", "one request: more than in C, instructions", at_most(9000)),
    ("one-request-off", "one request, records=0: instructions", at_most(1.006, RATIO)),
    ("one-request-off-more", "one request, records=0: more than in C", at_most(4500)),
    ("one-over-bare", "one request / bare helper", NO_TARGET),
    ("one-rules", "one request, 100 patterns: instructions", NO_TARGET),
    ("one-rules-over", "one request: 100 patterns / no rules", at_most(1.01)),
    ("one-remembered", "one request, answered from memory: instructions", NO_TARGET),
    ("one-remembered-over", "one request: from memory / bare helper", at_most(0.02)),
    ("socket", "a socket: instructions", NO_TARGET),
    ("socket-noted", "a socket, track_use=1: instructions", NO_TARGET),
    ("tasks-1", "1 task: instructions per request", NO_TARGET),
    ("tasks-10", "10 tasks: instructions per request", NO_TARGET),
    ("tasks-100", "100 tasks: instructions per request", NO_TARGET),
    ("tasks-1000", "1000 tasks: instructions per request", NO_TARGET),
    ("tasks-growth", "1000 tasks / 1 task: each request", at_most(1.01, RATIO)),
    ("absent-helpers", "48 ask for an absent name: helpers", at_most(2)),
    ("absent-ms", "48 ask for an absent name: ms", at_most(0.1, RATIO)),
    ("present-helpers", "48 ask for a module: helpers", at_most(2)),
    ("present-ms", "48 ask for a module: ms", at_most(0.1, RATIO)),
    ("loop-helpers", "a loop: helpers", at_most(3)),
    ("loop-ms", "a loop: ms", at_most(1000)),
    ("queue-served", "300 names, helper of 2 s: served", exactly(300)),
    ("queue-refused", "300 names, helper of 2 s: refused", exactly(0)),
    ("turns-answer", "root behind a user's 500 names: answer", exactly(0)),
    ("turns-ms", "root behind a user's 500 names: ms in queue", at_most(2000)),
    ("subids-answer", "root behind 50 subordinate ids: answer", exactly(0)),
    ("subids-ms", "root behind 50 subordinate ids: ms in queue", at_most(2000)),
    ("nested-refused", "50 nested requests: refused", exactly(0)),
    ("stuck-ms", "4 requests beside a helper that hangs: ms", at_most(4000)),
    ("unloads-failed", "200 requests against rmmod: failed", exactly(0)),
    ("memory", "heap for a request in flight, bytes", NO_TARGET),
    ("size-text", "text of kmod-rs.ko, bytes", NO_TARGET),
    ("size-data", "data of kmod-rs.ko, bytes", NO_TARGET),
    ("status-us", "kmod-rs status: µs of CPU", at_most(10000)),
    ("status-kb", "kmod-rs status: memory, kB", at_most(8000)),
    ("recent-ms", "kmod-rs recent, 65,536 records: ms of CPU", at_most(300)),
    ("recent-kb", "kmod-rs recent, 65,536 records: memory, kB", NO_TARGET),
    ("json-ms", "kmod-rs recent --json, 65,536 records: ms of CPU", at_most(300)),
    ("json-kb", "kmod-rs recent --json, 65,536 records: memory, kB", NO_TARGET),
    ("watch-events", "kmod-rs watch: events a second of CPU", at_least(5000)),
    ("size-command", "kmod-rs, bytes", NO_TARGET),
]

HEADER = ["what", "C", "Rust", "Rust/C", "target", ""]


def read_figures(lines):
    facts, values, complaints = {}, {}, []
    for line in lines:
        _, what, *rest = line.rstrip("\n").split(" ", 2)
        if what == "fact":
            key, _, value = rest[0].partition(" ")
            facts[key] = value
        elif what == "wrong":
            complaints.append(rest[0])
        elif what != "end":
            who, value = rest[0].split()
            values.setdefault((what, who), []).append(int(value))
    return facts, values, complaints


def add_quotient(values, row, dividend, divisor):
    """Adds a row: in each round, one row divided by another."""
    for who in ("c", "rust"):
        pairs = zip(values.get((dividend, who), []), values.get((divisor, who), []))
        values[row, who] = [value / base for value, base in pairs]


def add_difference(values, row, of):
    """Adds a row: by how much a row is more for Rust than for C, in each round."""
    pairs = zip(values.get((of, "rust"), []), values.get((of, "c"), []))
    values[row, "rust"] = [rust - c for rust, c in pairs]


def add_same(values, row, of):
    """Gives a row the figures of C from another row: for C the two rows do not differ."""
    values[row, "c"] = values[of, "c"]


def make_row(name, title, target, values):
    raw = {who: values.get((name, who), []) for who in ("c", "rust")}
    middle = {who: statistics.median(raw[who]) if raw[who] else None for who in raw}
    # An errno has no meaningful ratio, and neither has a value to 0. What both cost may change from
    # round to round, so the two of a round are compared.
    is_meaningful = (middle["c"] or 0) > 0 and middle["rust"]
    quotients = [rust / c for rust, c in zip(raw["rust"], raw["c"]) if c > 0]
    ratio = statistics.median(quotients) if is_meaningful else None
    text, of, is_met = target
    judged = ratio if of == RATIO else middle["rust"]
    return {
        "row": name,
        "title": title,
        "raw": raw,
        "c": middle["c"],
        "rust": middle["rust"],
        "ratio": ratio,
        "target": text,
        "met": None if text is None or judged is None else is_met(judged),
    }


def number(value, is_ratio=False):
    if value is None:
        return ""
    if is_ratio or value != int(value):
        return f"{value:.4f}" if 0.9 < value < 1.1 else f"{value:.3g}" if value < 100 else f"{value:.0f}"
    return f"{int(value):,}"


def cells(row):
    met = {True: "met", False: "MISSED", None: ""}[row["met"]]
    return [row["title"], number(row["c"]), number(row["rust"]), number(row["ratio"], True), row["target"] or "", met]


def draw(table):
    """Returns the table as a simple table of reStructuredText."""
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    rule = " ".join("=" * max(width, 1) for width in widths)

    def drawn(line):
        # Numbers are aligned to the right. An empty first cell would continue the line before.
        fields = [line[0].ljust(widths[0])]
        fields += [line[i].rjust(widths[i]) for i in (1, 2, 3)]
        fields += [line[i].ljust(widths[i]) for i in (4, 5)]
        return " ".join(fields).rstrip()

    header, *lines = table
    return "\n".join([rule, drawn(header), rule, *map(drawn, lines), rule])


def describe(facts, kvm):
    return (
        f"{facts['date']}, Linux {facts['release']}, {facts['rounds']} rounds each; "
        f"{facts['host-cpus']} x {facts['host-cpu']}, "
        f"{'KVM' if kvm else 'TCG'}, load average {facts['host-load']} before the times were taken"
    )


def main():
    directory = Path(sys.argv[1])
    facts, values, complaints = read_figures(sys.stdin)
    add_same(values, "one-request-off", "one-request")
    for row in ("one-bare", "one-request", "one-request-off"):
        add_difference(values, f"{row}-more", row)
    add_quotient(values, "one-over-bare", "one-request", "one-bare")
    add_quotient(values, "one-rules-over", "one-rules", "one-request")
    add_quotient(values, "one-remembered-over", "one-remembered", "one-bare")
    add_quotient(values, "tasks-growth", "tasks-1000", "tasks-1")
    rows = [make_row(*row, values) for row in ROWS]
    kvm = "TCG" not in facts["cpu"]
    result = {
        "kernel": facts["release"],
        "date": facts["date"],
        "machine": {
            "cpu": facts["host-cpu"],
            "cpus": int(facts["host-cpus"]),
            "load": float(facts["host-load"]),
            "accelerator": "kvm" if kvm else "tcg",
            "guest_cpus": int(facts["cpus"]),
        },
        "rounds": int(facts["rounds"]),
        "rows": rows,
        "wrong": complaints,
    }
    (directory / "bench.json").write_text(json.dumps(result, indent=1) + "\n")
    text = f"{describe(facts, kvm)}:\n\n{draw([HEADER, *map(cells, rows)])}\n"
    (directory / "bench.rst").write_text(text)
    print(text, end="")
    for complaint in complaints:
        print(f"WRONG: {complaint}")
    sys.exit(1 if complaints else 0)


main()
