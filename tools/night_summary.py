#!/usr/bin/env python3
"""The table of make night: night_summary.py RAW [PART…], with the parts of the night that ran.

RAW has a line of whoever counted something: what|how many|how many were broken|more words|ok, FAILED or skipped. A line is FAILED as well when
fewer than LEAST were tried; so is one that a part that ran did not write at all. What was skipped was not proven: it is told as skipped, and counts
as failed. The last line is `ok summary` or `not ok summary: …`; exit 1 when a line is not ok.
"""
import pathlib
import sys

# How many of each a night has to try, and the part that does it.
SIMULATED = ("deaths", "callers", "agents", "clocks", "full disks", "hosts")
LEAST = {
    "kill points": (100_000, "check"),
    "torn and short writes": (3_000, "check"),
    "failing calls": (50_000, "check"),
    "pairs: kill and kill": (10_000, "check"),
    "pairs: kill and fault": (8_000, "check"),
    "pairs: two faults": (10_000, "check"),
    "restored promotions": (1_000, "check"),
    "host lives": (4_000, "check"),
    "real failed fdatasync": (6, "check"),
    "power-cut states": (100_000, "check"),
    "mutated journals": (1_000_000, "check"),
    "simulated core": (100_000, "check"),
    **{f"simulated {what}": (100_000 // len(SIMULATED), "check") for what in SIMULATED},
    "planted defects": (1, "planted"),
}


def rows(raw, parts):
    """(what, tried, broken, words, result)"""
    found = []
    for line in raw.splitlines():
        what, tried, broken, words, result = line.split("|")
        tried, broken = int(tried), int(broken)
        least = LEAST.get(what, (0, ""))[0]
        if result == "ok" and broken > 0:
            result = "FAILED"
        if result == "ok" and tried < least:
            result, words = "FAILED", f"at least {least} are wanted; {words}"
        found.append((what, tried, broken, words, result))
    written = {row[0] for row in found}
    found += [(what, 0, 0, "nobody told of it", "FAILED") for what, (_, part) in LEAST.items() if part in parts and what not in written]
    return found


def main():
    path, parts = pathlib.Path(sys.argv[1]), sys.argv[2:]
    table = rows(path.read_text(encoding="utf-8") if path.exists() else "", parts)
    print(f"{'what':<24} {'tried':>12} {'broken':>8}")
    for what, tried, broken, words, result in table:
        print(f"{what:<24} {tried:>12} {broken:>8}  {result:<7} {words}")
    bad = [row[0] for row in table if row[4] != "ok"]
    print("not ok summary: " + ", ".join(dict.fromkeys(bad)) if bad else "ok summary")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
