#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Make a table of how many helpers have only found what an earlier one had found.

Reads what guest.sh has printed in each boot, without and with answers remembered. A helper repeats
an earlier one if the name and the program are the same, it ended in the same way, and nothing had
changed in between:

  absent   both exited with status 1, and no module has come or gone since the earlier one began;
  there    both exited with status 0 and no module came by them, and none has gone since.

A helper that loads a module repeats nothing, nor does one for which nobody waits.

usage: count.py DIRECTORY ANSWERS
"""

import re
import sys
from bisect import bisect_right
from pathlib import Path

FIELD = re.compile(r'(\w+)=("[^"]*"|\S+)')
ABSENT, THERE = "absent", "there"
TITLES = {
    "boot": "boot of a whole Debian",
    "node_exporter": "240 scrapes of node_exporter (one hour)",
    "ss": "100 times ``ss -a``",
    "iptables-restore": "100 times ``iptables-restore``",
    "nft": "100 times ``nft -f``",
    "gone-links": "20 times: 10 network interfaces that have gone",
    "af_inet6": "100 IPv6 sockets, ``ipv6.disable=1``",
}


class Request:
    def __init__(self, line):
        field = dict(FIELD.findall(line))
        self.start = float(field["t"])
        self.question = (field["name"], field["path"])
        self.ran_helper = field["helper"] != "-"
        took = [field[key] for key in ("queue_us", "helper_us")]
        self.end = self.start + sum(int(us) for us in took if us != "-") / 1e6
        self.kind = None
        if field["wait"] == "1" and self.ran_helper:
            if (field["outcome"], field["result"]) == ("exit", "256"):
                self.kind = ABSENT
            elif field["outcome"] == "nothing":
                self.kind = THERE


class Boot:
    def __init__(self, path):
        self.phases, self.requests = [("boot", 0.0)], []
        self.came, self.gone = [], []
        for line in path.read_text(errors="replace").splitlines():
            word, _, rest = line.partition(" ")
            if word == "phase":
                name, time = rest.split()
                self.phases.append((name, float(time)))
            elif word == "record":
                self.requests.append(Request(rest))
            elif word == "module":
                time, event = rest.split()
                (self.came if event == "module_load" else self.gone).append(float(time))
            elif word.endswith("pushed_out") and rest != "0":
                sys.exit(f"count.py: {path}: {line}: the boot needs more records")
        self.changes = {ABSENT: sorted(self.came + self.gone), THERE: sorted(self.gone)}

    def has_changed(self, kind, start, end):
        changes = self.changes[kind]
        return bisect_right(changes, start) != bisect_right(changes, end)

    def rows(self):
        count, last = {name: [0, 0, 0, 0] for name, _ in self.phases}, {}
        starts = [start for _, start in self.phases]
        for request in sorted(self.requests, key=lambda it: it.start):
            row = count[self.phases[bisect_right(starts, request.start) - 1][0]]
            row[0] += 1
            row[1] += request.ran_helper
            if request.kind:
                earlier = last.get(request.question)
                if (
                    earlier
                    and earlier.kind == request.kind
                    and earlier.end <= request.start
                    and not self.has_changed(request.kind, earlier.start, request.end)
                ):
                    row[2 if request.kind == ABSENT else 3] += 1
            if request.ran_helper:
                last[request.question] = request
        return [(TITLES[name], *row) for name, row in count.items() if name in TITLES]


def main():
    directory, answers = Path(sys.argv[1]), sys.argv[2]
    head = ("", "requests", "helpers", "absent again", "there again", "repeats", f"answers={answers}")
    rows = []
    for name in ("usual", "without-ipv6"):
        with_answers = {title: helpers for title, _, helpers, *_ in Boot(directory / f"{name}-{answers}").rows()}
        for title, requests, helpers, absent, there in Boot(directory / f"{name}-0").rows():
            share = f"{100 * (absent + there) / helpers:.0f} %" if helpers else "-"
            numbers = map(str, (requests, helpers, absent, there))
            shown = title
            if title.startswith("boot") and name != "usual":
                shown += ", without IPv6"
            rows.append((shown, *numbers, share, f"{with_answers[title]} helpers"))
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    rule = "  ".join("=" * width for width in widths)
    line = lambda row: "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
    print(rule, line(head), rule, *map(line, rows), rule, sep="\n")


main()
