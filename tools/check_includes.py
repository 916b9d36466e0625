#!/usr/bin/env python3
"""Who may include whom: the table of docs/architecture.md, held on every file of src/. No argument; exit 1 with one line a fault.

Also: no circles between headers, no header outside src/ in quotes, and only these C headers in pure rooms.
"""
import pathlib
import re
import sys

LOOPS = ["loop/workflow", "loop/session", "loop/refine"]
PURE = ["base", "msg", "rules", "defs", "work", *LOOPS, "core", "view"]
EDGE = ["author", "posix", "port", "journal", "agent", "builtin", "stage", "api", "host", "cli"]
MAY = {
    "base": [],
    "msg": ["base"],
    "rules": ["base", "msg"],
    "defs": ["base", "msg", "rules"],
    "work": ["base", "msg", "rules", "defs"],
    **{loop: ["base", "msg", "rules", "defs"] for loop in LOOPS},
    "core": ["base", "msg", "rules", "defs", "work", *LOOPS],
    "view": ["base", "msg", "rules", "defs"],
    "posix": ["base"],
    "author": ["base", "msg"],
    "port": ["base", "msg"],
    "journal": ["base", "msg", "port"],
    "agent": ["base", "msg", "port", "defs"],
    "stage": ["base", "msg", "port", "defs"],
    "builtin": ["base", "rules", "defs", "author"],
    "api": ["base", "msg", "port", "core", "view"],
    "cli": ["base", "msg", "port", "author"],
    "host": PURE + EDGE,
    "": ["base", "host", "cli", "builtin", "agent", "stage"],  # src/main.c hands over to these
}
for room in EDGE:
    if room != "posix":
        MAY[room] = MAY[room] + ["posix"]
# emmintrin.h: the compiler's own vector instructions, arithmetic only.
PURE_C_HEADERS = {"stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "limits.h", "string.h", "emmintrin.h"}
# A file that stands between two rooms on purpose, and why. Keep this short.
EXCEPTIONS = {
    "cli/app_run.h": ("agent", "up runs services in the sandbox, by the room that has it"),
    "cli/app_key.c": ("builtin", "up signs tokens by the code that the probe signs with"),
    "cli/cmd_doctor.c": ("journal", "repair works offline, on files, with no host"),
    "cli/cmd_archive.c": ("journal", "archives are made of files, with or without a host"),
    "cli/cmd_journal.c": ("journal", "segments and extracts are read off the files, with no host"),
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


def room_of(path):
    """'core' of core/core.h, 'loop/session' of loop/session/session.h, '' of main.c; None: no such room."""
    room = str(pathlib.PurePosixPath(path).parent)
    return "" if room == "." else room if room in MAY else None


def find_circle(graph):
    state, trail = {}, []

    def visit(node):
        state[node] = "open"
        trail.append(node)
        for target in graph.get(node, []):
            if state.get(target) == "open":
                return trail[trail.index(target):] + [target]
            if target not in state:
                circle = visit(target)
                if circle:
                    return circle
        trail.pop()
        state[node] = "done"
        return None

    for start in sorted(graph):
        if start not in state:
            circle = visit(start)
            if circle:
                return circle
    return None


def main():
    src = pathlib.Path(__file__).resolve().parent.parent / "src"
    faults, graph = [], {}
    files = sorted(path for suffix in ("*.c", "*.h", "*.def") for path in src.rglob(suffix))
    for path in files:
        name = path.relative_to(src).as_posix()
        room = room_of(name)
        if room is None:
            faults.append(f"src/{name}: no such room in docs/architecture.md")
            continue
        text = path.read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            where, header = f"src/{name}:{line}", match[2]
            if match[1] == "<":
                if room in PURE and header not in PURE_C_HEADERS:
                    faults.append(f"{where}: <{header}> in the pure room {room}")
                continue
            if not (src / header).is_file():
                faults.append(f'{where}: "{header}" is not a path below src/')
                continue
            target = room_of(header)
            if name.endswith(".h") and header.endswith(".h"):
                graph.setdefault(name, []).append(header)
            if target == room or target in MAY[room] or EXCEPTIONS.get(name, ("",))[0] == target:
                continue
            faults.append(f"{where}: {room or 'main'} may not include {target}")
    circle = find_circle(graph)
    if circle:
        faults.append("headers in a circle: " + " -> ".join(circle))
    for fault in faults:
        print(fault)
    print(f"includes: {len(files)} files, {len(faults)} faults")
    return 1 if faults else 0


sys.exit(main())
