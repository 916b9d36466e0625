#!/bin/sh
# The verb bench in its shortest form: it measures, says what it measured, and leaves nothing behind. No figure is judged. usage: verbs_bench.sh PROGRAM
set -eu
command -v python3 >/dev/null 2>&1 || { echo "skipped: not present: python3"; exit 0; }
exec env PYTHONDONTWRITEBYTECODE=1 python3 - "$@" <<'PYTHON'
import json
import os
import subprocess
import sys
import tempfile

PROGRAM = os.path.abspath(sys.argv[1])
WANTED = {
    ("machine", 1): ["appends of 512 bytes, each synced", "programs started", "round trip over a socket"],
    ("W1", 64): ["flows", "records", "a record", "flushes", "host CPU a flow", "flushes a flow", "records a flow", "journal a flow", "disk a flow", "client CPU a flow"],
    ("W1", 1): ["flows", "host CPU a flow", "flushes a flow"],
    ("W1x", 64): ["flows", "host CPU a flow", "worker CPU a flow"],
    ("W4", 1): ["start, empty, best of five", "at rest, resident", "records of the large journal", "start, large, no snapshot", "one of them, state", "one of them, resident", "start with them"],
    ("W5", 1): ["all are where they were", "lost", "repeated"],
    ("W2", 1): ["flows", "a flow, p50"],
    ("W2", 8): ["flows", "a flow, p50"],
    ("W3", 1): ["submit to recorded, p50", "submit to recorded, p99"],
    ("W6", 1): ["tasks", "records", "flushes", "host CPU a task"],
}
failed = 0


def case(what, held, why=""):
    global failed
    failed += not held
    print(f"{'ok' if held else 'not ok'} {what}{'' if held else ': ' + why}", flush=True)


def bench(folder, *words):
    return subprocess.run([PROGRAM, "bench", "--dir", folder, *words], capture_output=True, text=True, timeout=300)


with tempfile.TemporaryDirectory(prefix="millwright-e2e-bench-") as folder:
    done = bench(folder, "--ms", "60", "--runs", "2", "--json")
    case("bench measures every workload", done.returncode == 0, done.stderr)
    figures = json.loads(done.stdout)["figures"] if done.returncode == 0 else []
    found = {}
    for figure in figures:
        found.setdefault((figure["work"], figure["inFlight"]), {})[figure["name"]] = figure
    for place, names in WANTED.items():
        missing = [name for name in names if name not in found.get(place, {})]
        case(f"bench says what {place[0]} came to with {place[1]} in flight", not missing, f"not there: {missing}")
    odd = [figure for figure in figures if not figure["min"] <= figure["median"] <= figure["max"]]
    case("bench gives the least, the middle and the most of two runs", figures and not odd, str(odd))
    # Counts and sizes have none: no machine does them faster.
    alone = [f"{figure['work']}: {figure['name']}" for figure in figures
             if figure["work"] != "machine" and figure["unit"] in ("/s", "ms", "us") and not figure.get("limit", {}).get("median", 0) > 0]
    case("bench puts this machine's own limit beside every rate and every time", figures and not alone, str(alone))
    named = {place[0]: row.get("records", {}).get("limit", {}).get("name") for place, row in found.items() if "records" in row}
    case("bench puts group commit of records of the same size beside what commits", named == dict.fromkeys(("W1", "W1x", "W2", "W6"), "group commit of such, bare"), str(named))
    crashed = found.get(("W5", 1), {})
    wrong = {name: crashed.get(name, {}).get("max") for name in ("lost", "repeated") if crashed.get(name, {}).get("max") != 0}
    case("bench loses and repeats nothing when its host is killed", not wrong, str(wrong))
    steps = found.get(("W1", 64), {}).get("records a flow", {}).get("median", 0)
    case("bench counts every record of a flow of ten tasks", steps >= 22, str(steps))
    case("bench leaves nothing behind", os.listdir(folder) == [], str(os.listdir(folder)))
    said = bench(folder, "W3", "--ms", "20", "--runs", "2")
    case("bench of one workload is a table of that one", said.returncode == 0 and "W3:" in said.stdout and "W1" not in said.stdout, said.stdout + said.stderr)
    case("bench of one workload measures the machine as well", "programs started" in said.stdout and "round trip over a socket" in said.stdout, said.stdout)
    wide = [line for line in said.stdout.splitlines() if len(line) > 100]
    case("bench is a table of a hundred columns", not wide, str(wide))
    for words in (["W99"], ["W1", "--concurrency", "0"], ["W1", "--runs", "101"], ["W1", "--ms", "x"]):
        code = bench(folder, *words).returncode
        case(f"bench refuses {' '.join(words)}", code == 2, f"exit {code}")
    code = bench(folder + "/nowhere", "W3").returncode
    case("bench refuses a folder that is not there", code == 2, f"exit {code}")
sys.exit(failed > 0)
PYTHON
