#!/usr/bin/env python3
"""What a night must not pass over in silence: tools/night_summary.py on summaries that are made up. Prints `ok NAME` or `not ok NAME`."""
import pathlib
import subprocess
import sys
import tempfile

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "tools/night_summary.py"
SIMULATED = ("deaths", "callers", "agents", "clocks", "full disks", "hosts")
WHOLE = {"kill points": 100000, "torn and short writes": 4000, "failing calls": 60000, "pairs: kill and kill": 14000, "pairs: kill and fault": 11000,
         "pairs: two faults": 13000, "restored promotions": 1900, "host lives": 4600, "real failed fdatasync": 6, "power-cut states": 100000, "mutated journals": 1000000,
         "simulated core": 100000, **{f"simulated {what}": 16666 for what in SIMULATED}}
failed = 0


def prove(name, wanted, change=None, more=None, parts=("check",)):
    """wanted: the names that are not ok; change: {name: a whole line, or None for no line}."""
    global failed
    lines = {what: f"{what}|{count}|0|words|ok" for what, count in WHOLE.items()}
    lines.update(change or {})
    with tempfile.NamedTemporaryFile("w", suffix=".raw") as raw:
        raw.write("\n".join(line for line in [*lines.values(), more] if line) + "\n")
        raw.flush()
        done = subprocess.run([str(PROGRAM), raw.name, *parts], capture_output=True, text=True, check=False)
    last = done.stdout.strip().split("\n")[-1]
    expected = "not ok summary: " + ", ".join(wanted) if wanted else "ok summary"
    held = last == expected and done.returncode == (1 if wanted else 0)
    failed += not held
    print(f"{'ok' if held else 'not ok'} night summary: {name}" + ("" if held else f": exit {done.returncode}, {last!r} {done.stderr.strip()}"))


prove("a whole night is ok", [])
for what in ("kill points", "power-cut states", "mutated journals", "simulated core"):
    prove(f"one of the {what} too few is a failure", [what], {what: f"{what}|{WHOLE[what] - 1}|0|words|ok"})
prove("what was skipped is a failure", ["real failed fdatasync"],
      {"real failed fdatasync": "real failed fdatasync|0|0|skipped: no file system can be mounted here|skipped"})
prove("what nobody told of is a failure", ["host lives"], {"host lives": None})
prove("what is broken is a failure, whatever it says of itself", ["failing calls"], {"failing calls": "failing calls|60000|1|words|ok"})
prove("a second line does not hide the first one", ["kill points"], more="kill points|5|0|words|ok")
prove("planted defects are wanted of a night that plants them", ["planted defects"], parts=("check", "planted"))
prove("a part by itself answers for itself only", [], {what: None for what in WHOLE}, "planted defects|307|0|307 of 307 found|ok", ("planted",))
sys.exit(1 if failed else 0)
