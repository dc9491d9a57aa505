#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Check what imports what, as Documentation/design.rst has it.

Reads `mod` and `use` lines and paths that begin with `crate::`, the functions in
`extern "C"` blocks, and what C calls and includes. Prints each import that the rule
forbids, and exits with 1 if there is one.

usage: imports.py DIRECTORY
"""

import re
import sys
from os.path import normpath
from pathlib import Path

# The rooms of the house, from the top floor down. A file imports files of its own room and of those
# below it. Rooms on one floor do not import each other.
FLOORS = [
    ["kmod_rs"],
    ["sysctl", "check"],
    ["livepatch"],
    ["request"],
    ["records"],
    ["firewall"],
    ["concurrency", "log_limits", "usermode_helper"],
    ["chosen_names"],
    ["wrappers"],
]


def room(file):
    """The folder that a file is in, or for which it is the door."""
    return file.split("/")[0].removesuffix(".rs")


def floor(file):
    for number, rooms in enumerate(FLOORS):
        if room(file) in rooms:
            return number
    sys.exit(f"{file} is in no room: put it into one, or add the room to imports.py and design.rst")


def rust_imports(sources, file, text):
    """The files that a Rust file imports, by module."""
    folder = str(Path(file).with_suffix("")) if file != "kmod_rs.rs" else ""
    if Path(file).name == "mod.rs":
        folder = str(Path(file).parent)
    module = [part for part in folder.split("/") if part]

    def to_file(path):
        """The file of a path's longest beginning that is a module."""
        for length in range(len(path), 0, -1):
            name = "/".join(path[:length])
            for candidate in (f"{name}.rs", f"{name}/mod.rs"):
                if candidate in sources:
                    return candidate
        return "kmod_rs.rs"

    def resolve(path, is_inner):
        if path[0] == "crate":
            return to_file(path[1:])
        if path[0] == "self":
            return to_file(module + path[1:])
        if path[0] == "super":
            # The parent of a module within the file is the file.
            parent = list(module) if is_inner else module[:-1]
            path = path[1:]
            while path and path[0] == "super":
                parent, path = parent[:-1], path[1:]
            return to_file(parent + path)
        if path[0] in children:
            return to_file(module + path)
        return None

    children = re.findall(r"^(?:pub(?:\(\w+\))? )?mod (\w+);", text, re.M)
    for child in children:
        yield to_file(module + [child])

    for indent, tree in re.findall(r"^( *)(?:pub(?:\(\w+\))? )?use ([^;]+);", text, re.M):
        for path in leaves(iter(re.findall(r"\w+|[{},*]", re.sub(r"//.*", "", tree)))):
            yield resolve(list(path), bool(indent))

    for path in re.findall(r"\bcrate(?:::\w+)+", text):
        yield resolve(path.split("::"), False)


def leaves(tokens, prefix=()):
    """The paths of a `use` tree, whose tokens come from an iterator."""
    path = prefix
    for token in tokens:
        if token == "{":
            yield from leaves(tokens, path)
            path = prefix
        elif token in ",}":
            if path != prefix:
                yield path
            path = prefix
            if token == "}":
                return
        elif token != "*":
            path = (*path, token)
    if path != prefix:
        yield path


def circles(arrows):
    """The files that import each other, directly or through others."""
    left = dict(arrows)
    while True:
        imported = set().union(*left.values())
        ends = [
            file
            for file, targets in left.items()
            if file not in imported or not targets & left.keys()
        ]
        if not ends:
            return sorted(left)
        for file in ends:
            del left[file]


def definitions(sources):
    """The functions and variables kmod_rs_* by the file that defines them."""
    found = {}
    for file, text in sources.items():
        if file.endswith(".rs"):
            names = re.findall(r'^(?:unsafe )?extern "C" fn (kmod_rs_\w+)', text, re.M)
        elif file.endswith(".S"):
            names = re.findall(r"^SYM_(?:FUNC|DATA)_START\((kmod_rs_\w+)\)", text, re.M)
        elif file.endswith(".c"):
            names = re.findall(r"^(?!static)[a-z][\w *]*?\b(kmod_rs_\w+)\([^;{]*\)\n\{", text, re.M)
        else:
            names = []
        found.update({name: file for name in names})
    return found


def imports_of(sources, defined, file, text):
    if file.endswith(".rs"):
        yield from rust_imports(sources, file, re.sub(r"^ *//.*", "", text, flags=re.M))
        for block in re.findall(r'^extern "C" \{(.*?)^\}', text, re.M | re.S):
            for name in re.findall(r"^    (?:fn|static) (kmod_rs_\w+)", block, re.M):
                yield defined.get(name) or sys.exit(f"{file}: {name} is defined nowhere")
        return

    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for header in re.findall(r'^#include "([^"]+)"', code, re.M):
        for folder in (Path(file).parent, Path("wrappers")):
            included = normpath(folder / header)
            if included in sources:
                yield included
                break
        else:
            sys.exit(f"{file} includes {header}, which is not there")
    if file.endswith(".c"):
        for name in re.findall(r"\b(kmod_rs_\w+)\(", code):
            if defined.get(name, file) != file:
                yield defined[name]


def main(directory):
    sources = {
        str(path.relative_to(directory)): path.read_text()
        for glob in ("*.rs", "*/*.rs", "*/*.[chS]")
        for path in Path(directory).glob(glob)
    }
    for file in list(sources):
        if room(file) in ("tests", "scripts", "out") or file.endswith(".mod.c"):
            del sources[file]
    defined = definitions(sources)
    arrows = {
        file: set(imports_of(sources, defined, file, text)) - {None, file}
        for file, text in sources.items()
    }

    faults = []
    for file, targets in sorted(arrows.items()):
        for target in sorted(targets):
            if floor(target) < floor(file):
                faults.append(f"{file} imports {target}, which is above it")
            elif floor(target) == floor(file) and room(target) != room(file):
                faults.append(f"{file} imports {target}, which is beside it")

    if ring := circles(arrows):
        faults.append(f"{', '.join(ring)} import each other")

    rooms = {}
    for file, targets in arrows.items():
        rooms.setdefault(room(file), set()).update(room(target) for target in targets)
    for name in sorted(rooms, key=lambda name: floor(name)):
        print(f"{name} -> {' '.join(sorted(rooms[name] - {name})) or '-'}")
    print(*faults, sep="\n", end="\n" if faults else "")
    return bool(faults)


if len(sys.argv) != 2:
    sys.exit(__doc__)
sys.exit(main(sys.argv[1]))
