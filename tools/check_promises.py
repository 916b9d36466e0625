#!/usr/bin/env python3
"""docs/promises.md has a row for every promise, whose tests exist under these names with the promise's id in them. Exit 1 with one line a fault."""
import pathlib
import re
import sys

WANTED = [f"P{number:02d}" for number in (*range(1, 19), 20, 21, 22, 23)]


def main():
    top = pathlib.Path(__file__).resolve().parent.parent
    tests = {path: path.read_text(encoding="utf-8") for suffix in ("c", "h", "py", "sh") for path in (top / "tests").rglob(f"*.{suffix}")}
    everything = "\n".join(tests.values())
    faults, rows = [], {}
    for line in (top / "docs/promises.md").read_text(encoding="utf-8").split("\n"):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"P\d\d", cells[0]) and len(cells) == 4:
            rows[cells[0]] = cells
    for promise in WANTED:
        if promise not in rows:
            faults.append(f"docs/promises.md: no row for {promise}")
            continue
        names = re.findall(r"`([A-Za-z0-9_]+)`", rows[promise][2])
        if not names:
            faults.append(f"docs/promises.md: {promise} names no test")
        for name in names:
            if promise.lower() not in name.lower():
                faults.append(f"docs/promises.md: {name} does not carry {promise} in its name")
            if not re.search(rf"\b{name}(\b|_)", everything):
                faults.append(f"docs/promises.md: no test is called {name}")
        for command in re.findall(r"`([^`]+)`", rows[promise][3]):
            for program in re.findall(r"\bB/(test_\w+)", command):
                if not any(path.name == f"{program}.c" for path in tests):
                    faults.append(f"docs/promises.md: there is no {program}")
            for script in re.findall(r"\bE2E/(\w+\.sh)", command):
                if top / "tests/e2e" / script not in tests:
                    faults.append(f"docs/promises.md: there is no tests/e2e/{script}")
    for fault in faults:
        print(fault)
    print(f"promises: {len(WANTED)} promises, {len(faults)} faults")
    return 1 if faults else 0


sys.exit(main())
