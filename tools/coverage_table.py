#!/usr/bin/env python3
"""The table of make coverage: coverage_table.py BUILD_DIR (with BUILD_DIR/raw/*.profraw of its test programs).

Prints one line a file: branches taken of all, conditions shown to decide by themselves (MC/DC) of all. Writes BUILD_DIR/report.txt (the same,
then what was not reached) and BUILD_DIR/html. What cannot be reached is named with its reason in tests/coverage_exceptions.txt and not counted.
Exit 1 when something else was not reached, or something is named there that is reached after all, or is not there at all.

A line of the exceptions: FILE FUNCTION | CONDITION | WHAT | REASON, where CONDITION is the source text in one line and WHAT is `true` or
`false` (that branch is never taken) or `mcdc` (the condition never decides alone).
"""
import collections
import glob
import json
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
FILES = TOP / "tests/coverage_files.txt"
EXCEPTIONS = TOP / "tests/coverage_exceptions.txt"


def measured():
    names = []
    for line in FILES.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            names += sorted(str(path.relative_to(TOP)) for path in TOP.glob(line))
    return names


def exceptions():
    """{(file, function, condition, what): reason}"""
    found = {}
    for line in EXCEPTIONS.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        place, condition, what, reason = [part.strip() for part in line.split(" | ")]
        file, function = place.split()
        found[(file, function, condition, what)] = reason
    return found


class Source:
    def __init__(self, name):
        self.lines = (TOP / name).read_text(encoding="utf-8").split("\n")

    def text(self, line, column, end_line, end_column):
        """The source between two places, in one line. Columns count bytes."""
        lines = [text.encode() for text in self.lines[line - 1 : end_line]]
        lines[-1] = lines[-1][: end_column - 1]
        lines[0] = lines[0][column - 1 :]
        return re.sub(r"\s+", " ", b" ".join(lines).decode("utf-8", "replace")).strip()


def export(build, names):
    profile = build / "merged.profdata"
    subprocess.run(["llvm-profdata-19", "merge", "-sparse", "-o", str(profile), *glob.glob(str(build / "raw/*.profraw"))], check=True)
    programs = sorted(str(path) for pattern in ("test_*", "crash_sweep", "power_cuts") for path in build.glob(pattern) if path.suffix == "" and path.is_file())
    objects = [programs[0]] + [word for program in programs[1:] for word in ("-object", program)]
    common = [*objects, f"-instr-profile={profile}"]
    sources = [str(TOP / name) for name in names]
    text = subprocess.run(["llvm-cov-19", "export", "-format=text", *common, *sources], check=True, capture_output=True, text=True).stdout
    subprocess.run(["llvm-cov-19", "show", "-format=html", "-show-branches=count", "-show-mcdc", f"-output-dir={build / 'html'}", *common,
                    *sources], check=True, capture_output=True)
    return json.loads(text)["data"][0]


def function_of(starts, line):
    name = "?"
    for start, found in starts:
        if start > line:
            break
        name = found
    return name


def main():
    build = pathlib.Path(sys.argv[1])
    names = measured()
    data = export(build, names)
    starts = collections.defaultdict(list)
    for function in data["functions"]:
        name = function["name"].split(":")[-1]
        starts[function["filenames"][0]].append((function["regions"][0][0], name))
    allowed, used = exceptions(), set()
    rows, missing, totals = [], [], [0, 0, 0, 0]
    for file in sorted(data["files"], key=lambda entry: entry["filename"]):
        name = str(pathlib.Path(file["filename"]).relative_to(TOP))
        source = Source(name)
        where = sorted(set(starts[file["filename"]]))
        taken = collections.defaultdict(int)
        for branch in file["branches"]:
            taken[(*branch[:4], "true")] += branch[4]
            taken[(*branch[:4], "false")] += branch[5]
        for record in file["mcdc_records"]:
            line, column, end_line, end_column, conditions = *record[:4], record[-1]
            # The conditions of a decision, in order: its branches that lie within it.
            inside = sorted({key[:4] for key in taken if (line, column) <= key[:2] and key[2:4] <= (end_line, end_column)})
            for index, shown in enumerate(conditions):
                key = inside[index] if index < len(inside) and len(inside) == len(conditions) else (line, column, end_line, end_column, index)
                taken[(*key, "mcdc")] += shown
        counts = [0, 0, 0, 0]
        for key, count in sorted(taken.items(), key=str):
            what, at = key[-1], key[:4]
            identity = (name, function_of(where, at[0]), source.text(*at), what)
            offset = 2 if what == "mcdc" else 0
            if count == 0 and identity in allowed:
                used.add(identity)
                continue
            counts[offset + 1] += 1
            if count > 0:
                counts[offset] += 1
            else:
                missing.append((at[0], *identity))
        totals = [total + count for total, count in zip(totals, counts)]
        rows.append((name, counts))
    lines = [f"{'file':<32} {'branches':>14} {'':>6} {'MC/DC':>12}"]
    for name, counts in rows + [("all", totals)]:
        shares = [f"{100 * got / whole:.1f}%" if whole else "-" for got, whole in (counts[:2], counts[2:])]
        lines.append(f"{name:<32} {counts[0]:>6}/{counts[1]:<6} {shares[0]:>7} {counts[2]:>5}/{counts[3]:<5} {shares[1]:>7}")
    print("\n".join(lines))
    for identity in sorted(set(allowed) - used):
        lines.append(f"named as unreachable, and reached or not there: {' | '.join(identity)}")
    for line, name, function, condition, what in sorted(missing, key=lambda entry: (entry[1], entry[0])):
        lines.append(f"{name}:{line}: {function} | {condition} | {what}")
    (build / "report.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    wrong = len(set(allowed) - used)
    print(f"coverage: {len(missing)} not reached, {len(used)} named as unreachable, {wrong} of those wrong; {build}/report.txt, {build}/html/index.html")
    return 1 if missing or wrong else 0


sys.exit(main())
