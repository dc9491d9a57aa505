#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Judge the profiles of Documentation/sysctl.d against the modules of a kernel.

Prints what each pattern opens: the names that match it and stand for a module, these
modules, and the modules that come with them (dependencies, and those of `softdep`
lines). Then prints what is wrong, and exits with 1 if anything is:

- a pattern opens a module that is not in profiles.expected for it, or one of those that
  no profile may open (NEVER);
- a pattern is for a cgroup that is not that of one service, or of the instances of one;
- a pattern opens or denies nothing, so it is there for nothing. This is not looked at
  with --partial, for a kernel that has a part of the modules only;
- a module that is denied can come under a name that is not;
- a knob is set that no profile needs, a list is longer than the kernel takes, or a file
  does not end in a newline.

Modules that are a part of the kernel are not opened.

usage: profiles.py [--partial] MODULES EXPECTED FILE...
    MODULES   the directory with modules.alias
    FILE      NAME.conf for sysctl.d, or a file for modules-load.d in a directory
              of that name
"""

import re
import sys
from bisect import bisect_left
from collections import defaultdict
from functools import cache
from pathlib import Path

# What no profile may open, whatever profiles.expected says: large, old or rare code that
# programs of users do not need, and that has aliases under which they could have it.
NEVER = re.compile(
    r"ip_vs(_.*)?|ip_set(_.*)?|xt_(set|ipvs)|nf_conntrack_(h323|sip|irc|pptp|snmp)|atm|phonet|"
    r"pn_pep|llc2|kcm|tipc|rds|sctp|dccp|rxrpc|l2tp_.*|can|nfc|qrtr|vsock|batman_adv|"
    r"openvswitch|gtp|hsr|mpls_.*|n_.*|slip|ax25|appletalk|sch_(?!cake|fq|htb|sfq|tbf).*|"
    r"cls_.*|act_.*"
)

# What a profile may set, and to what.
KNOBS = {"mode": r"1", "enforce": r"1", "allow": r".*", "deny": r".*"}

# The size of a list, with the newline.
LONGEST = 4096


def fold(name):
    return name.replace("-", "_")


# --- Patterns ---------------------------------------------------------------

# A pattern is a tuple of sets of characters, and of STAR.
STAR = None
ANY = frozenset(map(chr, range(1, 256)))


def same(chars):
    return frozenset(chars) | (set("-_") if set(chars) & set("-_") else set())


@cache
def tokens(pattern):
    """Parses a pattern. To modprobe `-` and `_` are the same, so a set has both or none."""
    found = []
    i = 0
    while i < len(pattern):
        char = pattern[i]
        i += 1
        if char == "*":
            found.append(STAR)
        elif char == "?":
            found.append(ANY)
        elif char == "\\":
            found.append(same(pattern[i]))
            i += 1
        elif char != "[":
            found.append(same(char))
        else:
            end = pattern.index("]", i + 2 if pattern[i] == "!" else i + 1)
            members = pattern[i:end].removeprefix("!")
            chars = set()
            while members:
                if len(members) > 2 and members[1] == "-":
                    chars.update(map(chr, range(ord(members[0]), ord(members[2]) + 1)))
                    members = members[3:]
                else:
                    chars.add(members[0])
                    members = members[1:]
            found.append(ANY - same(chars) if pattern[i] == "!" else same(chars))
            i = end + 1
    return tuple(found)


def have_common(left, right):
    """Is there a name that both patterns match?"""
    reached = {(0, 0)}
    todo = [(0, 0)]
    while todo:
        i, j = todo.pop()
        if (i, j) == (len(left), len(right)):
            return True
        a = left[i] if i < len(left) else False
        b = right[j] if j < len(right) else False
        steps = set()
        if a is STAR:
            steps.add((i + 1, j))
            if b is not STAR and b:
                steps.add((i, j + 1))
        if b is STAR:
            steps.add((i, j + 1))
            if a is not STAR and a:
                steps.add((i + 1, j))
        if a and b and a & b:
            steps.add((i + 1, j + 1))
        todo.extend(steps - reached)
        reached |= steps
    return False


@cache
def beginning(pattern):
    """What a pattern begins with before its first special character, folded."""
    return fold(re.match(r"[^*?[\\]*", pattern)[0])


@cache
def matches(pattern, alias):
    """Does a pattern match the alias, or a name that the alias stands for?

    An alias in modules.alias is a pattern as well.
    """
    return have_common(tokens(pattern), tokens(alias))


# --- The kernel -------------------------------------------------------------


class Kernel:
    """The modules that modprobe can load, by the files that depmod(8) writes."""

    def __init__(self, directory):
        self.dependencies = {}
        for line in self.lines(directory / "modules.dep"):
            module, needed = line.split(":")
            self.dependencies[self.name(module)] = {self.name(path) for path in needed.split()}
        self.built_in = set(map(self.name, self.lines(directory / "modules.builtin")))

        # Aliases by the module, and the other way round those without a special character.
        self.aliases = defaultdict(set)
        for file in ("modules.alias", "modules.symbols"):
            for line in self.lines(directory / file):
                _, alias, module = line.split()
                self.aliases[fold(module)].add(alias)
        names = [(module, module) for module in self.dependencies]
        names += [(alias, it) for it, all in self.aliases.items() for alias in all]
        self.by_beginning = defaultdict(set)
        for name, module in names:
            self.by_beginning[beginning(name)].add((name, module))
        self.beginnings = sorted(self.by_beginning)

        # In the kernel itself. The file has KEY=VALUE, each with a NUL behind it.
        text = (directory / "modules.builtin.modinfo").read_bytes().decode(errors="replace")
        self.built_in_names = list(self.built_in)
        self.built_in_names += re.findall(r"\.alias=([^\0]*)", text)

        self.softdeps = defaultdict(set)
        for line in self.lines(directory / "modules.softdep"):
            _, module, *more = line.split()
            self.softdeps[fold(module)] |= set(more) - {"pre:", "post:"}

    @staticmethod
    def lines(file):
        return [it for it in file.read_text().splitlines() if it and not it.startswith("#")]

    @staticmethod
    def name(path):
        return fold(Path(path).name.split(".ko")[0])

    @cache
    def find(self, pattern):
        """The names that match a pattern, each with its module."""
        # One of the two begins with what the other one begins with.
        own = beginning(pattern)
        first, last = (bisect_left(self.beginnings, text) for text in (own, own + "\xff"))
        near = self.beginnings[first:last] + [own[:length] for length in range(len(own))]
        names = set().union(*(self.by_beginning.get(it, ()) for it in near))
        return sorted(it for it in names if matches(pattern, it[0]))

    @cache
    def is_built_in(self, pattern):
        return any(matches(pattern, name) for name in self.built_in_names)

    def companions(self, modules):
        """What modprobe loads with these modules."""
        found = set()
        todo = set(modules)
        while todo:
            module = todo.pop()
            more = set(self.dependencies.get(module, ()))
            for name in self.softdeps[module]:
                more |= {it for _, it in self.find(re.sub(r"([*?[\\])", r"\\\1", name))}
            todo |= more - found
            found |= more
        return found - set(modules)


# --- The profiles -----------------------------------------------------------


def parts(pattern):
    """The patterns for the names that a pattern opens: with those of a cipher's parts.

    Who may have crypto-cbc(des) may have crypto-cbc and crypto-des.
    """
    found = [pattern]
    if pattern.startswith("crypto-") and "(" in pattern:
        words = re.split(r"[(),]", pattern.removeprefix("crypto-"))
        # Behind the last parenthesis there is nothing, or what stands for "-all".
        found += [f"crypto-{word}" for word in words if word not in ("", "*")]
    return found


def split(entry):
    """The pattern for names, and the one for cgroups."""
    found = re.fullmatch(r"((?:\\.|\[!?.[^]]*\]|[^\\@[])*)(?:@((?:\\.|[^\\@])*))?", entry)
    return found.groups() if found else (None, None)


# The instance of a service may be any; nothing else may. Not those that run programs of users.
SERVICE = re.compile(
    r"/system\.slice/(?!(cron|anacron|atd|ssh|docker|containerd|podman|dbus)\b)("
    r"system-([^/*?[\]\\]|\\\\x2d)+\.slice/)?"
    r"([^/*?[\]\\@]|\\\\x2d)+(\\@\*)?\.service"
)


def show(what, things):
    return f" {what}: {' '.join(sorted(things))};" if things else ""


class Judge:
    def __init__(self, kernel, expected, is_partial):
        self.kernel = kernel
        self.expected = expected
        self.is_partial = is_partial
        self.used = set()
        self.complaints = []

    def complain(self, file, text):
        self.complaints.append(f"{file.name}: {text}")

    def judge_module_list(self, file, text):
        modules = self.kernel.lines(file)
        for module in modules:
            if fold(module) not in self.kernel.dependencies.keys() | self.kernel.built_in:
                if not self.is_partial:
                    self.complain(file, f"there is no module {module}")
            self.judge_opened(file, module, [module])

    def judge_opened(self, file, pattern, patterns):
        """Judges what one entry opens."""
        found = {it for one in patterns for it in self.kernel.find(one)}
        modules = {module for _, module in found}
        companions = self.kernel.companions(modules)
        print(
            f"{file.name}: {pattern}"
            + show("names", {name for name, _ in found})
            + show("modules", modules)
            + show("with them", companions)
        )
        self.used.add(pattern)
        expected = self.expected.get(pattern, set())
        for module in sorted(modules | companions):
            if NEVER.fullmatch(module):
                self.complain(file, f"{pattern} opens {module}, which no profile may open")
            elif module not in expected:
                self.complain(file, f"{pattern} opens {module}, which is not expected")
        is_there = any(map(self.kernel.is_built_in, patterns))
        if not modules and not is_there and not self.is_partial:
            self.complain(file, f"{pattern} opens nothing")

    def judge_allow(self, file, entries):
        for entry in entries:
            pattern, cgroup = split(entry)
            if pattern is None:
                self.complain(file, f"{entry} is no valid entry")
                continue
            if cgroup is not None and not SERVICE.fullmatch(cgroup):
                self.complain(file, f"{entry} is not for one service")
            self.judge_opened(file, pattern, parts(pattern))

    def judge_deny(self, file, entries):
        """Judges whether what is denied can come under other names.

        The list is compared with the names that are asked for and with those of modules.
        """
        denied = set()
        for entry in entries:
            found = self.kernel.find(entry)
            denied |= {module for _, module in found}
            print(f"{file.name}: not {entry}" + show("modules", {it for _, it in found}))
            if not found and not self.is_partial:
                self.complain(file, f"{entry} denies nothing")
        for module in sorted(denied):
            if any(matches(entry, module) for entry in entries):
                continue
            for alias in sorted(self.kernel.aliases[module]):
                if not any(matches(entry, alias) for entry in entries):
                    self.complain(file, f"{module} is denied, but not as {alias}")

    def judge_rules(self, file, text):
        rules = dict(re.findall(r"^kernel\.kmod_rs\.autoload_(\w+) = (.*)$", text, re.M))
        if len(rules) != len(re.findall(r"^[^#\n]", text, re.M)):
            self.complain(file, "there are lines that set no rule, or set one twice")
        for knob in KNOBS.keys() - rules.keys():
            self.complain(file, f"autoload_{knob} is not set")
        for knob, value in rules.items():
            if knob not in KNOBS or not re.fullmatch(KNOBS[knob], value):
                self.complain(file, f"autoload_{knob} = {value}")
            if len(value) >= LONGEST:
                self.complain(file, f"autoload_{knob} has {len(value) + 1} bytes with its newline")
        self.judge_allow(file, rules.get("allow", "").split())
        self.judge_deny(file, rules.get("deny", "").split())

    def judge(self, file):
        text = file.read_text()
        if not text.endswith("\n"):
            self.complain(file, "there is no newline at the end")
        if file.parent.name == "modules-load.d":
            self.judge_module_list(file, text)
        else:
            self.judge_rules(file, text)

    def judge_expected(self, file):
        for pattern in self.expected.keys() - self.used:
            self.complain(file, f"no profile has {pattern}")


def main():
    is_partial = "--partial" in sys.argv
    directory, expected, *files = [it for it in sys.argv[1:] if it != "--partial"]
    lines = (line.split() for line in Kernel.lines(Path(expected)))
    judge = Judge(
        Kernel(Path(directory)),
        {pattern: set(modules) for pattern, *modules in lines},
        is_partial,
    )
    for file in files:
        judge.judge(Path(file))
    judge.judge_expected(Path(expected))
    for complaint in judge.complaints:
        print(f"profiles.py: {complaint}", file=sys.stderr)
    sys.exit(bool(judge.complaints))


main()
