#!/usr/bin/env python3
"""Runs test programs, a few at once, and counts the single tests in them.

run_tests.py --build DIR --label unit|conformance|sim|crash     the programs that CMake made of tests/<label>/; several labels at once: again; without one: unit
run_tests.py --scripts DIR --program FILE                 every *.sh of DIR but run.sh, with FILE as argument
    [--only TEXT]     those whose name holds TEXT; may be said several times
    [--skip TEXT]     but not those whose name holds TEXT; may be said several times
    [--jobs N]        at once; default: the machine's cores
    [--timeout S]     for one program; default 300 (scripts 900), with MW_NIGHT set 7200
    [--reports DIR]   what a sanitizer says, in whatever process of a script, goes to DIR/NAME, is shown, and fails the script
    [--under COMMAND] each program as the last words of this one: a checker such as valgrind
    [--tally FILE]    appends 'passed failed skipped' for whoever adds up

A cmocka program counts by its summary; a script by its lines `ok NAME`, `not ok NAME`, `skipped: WHY`. A program that says nothing counts
as one, by its exit code. Whatever ends with another code than 0 has failed, whatever it printed. The output of what failed is shown.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

CMOCKA = {
    "run": re.compile(r"^\[==========\] .*?(\d+) test\(s\) run\.", re.MULTILINE),
    "passed": re.compile(r"^\[  PASSED  \] (\d+) test\(s\)\.", re.MULTILINE),
    "failed": re.compile(r"^\[  FAILED  \] .*?(\d+) test\(s\), listed below:", re.MULTILINE),
    "skipped": re.compile(r"^\[  SKIPPED \] .*?(\d+) test\(s\), listed below:", re.MULTILINE),
}
SCRIPT = {
    "passed": re.compile(r"^ok\b", re.MULTILINE),
    "failed": re.compile(r"^(?:not ok|FAIL)\b", re.MULTILINE),
    "skipped": re.compile(r"^skipped\b", re.MULTILINE),
}


def count(output, code):
    """(passed, failed, skipped) of one program."""
    rules = CMOCKA if CMOCKA["run"].search(output) else SCRIPT
    found = {name: [int(match.group(1)) if rules is CMOCKA else 1 for match in rule.finditer(output)] for name, rule in rules.items()}
    passed, failed, skipped = (sum(found[name]) for name in ("passed", "failed", "skipped"))
    if rules is CMOCKA:
        # What was started and neither passed nor was skipped has failed, listed or not.
        failed = max(failed, sum(found["run"]) - passed - skipped)
    if code != 0 and failed == 0:
        failed = 1
    if passed + failed + skipped == 0:
        passed = 1
    return passed, failed, skipped


def sanitizers(place):
    """The environment whose sanitizers write into a folder, beside what they are told already."""
    environment = dict(os.environ)
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
        environment[name] = ":".join(filter(None, (os.environ.get(name), f"log_path={place}/{name.split('_')[0].lower()}")))
    return environment


def run(name, command, folder, timeout_s, reports):
    started = time.monotonic()
    place = None
    if reports:
        place = pathlib.Path(reports).resolve() / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True, env=sanitizers(place) if place else None)
    note = ""
    try:
        output = process.communicate(timeout=timeout_s)[0]
    except subprocess.TimeoutExpired:
        # The whole group, which this line started: a test that hangs often hangs in a child.
        os.killpg(process.pid, signal.SIGKILL)
        output = process.communicate()[0]
        note = f"\n{name}: ended after {timeout_s} s"
    text = output.decode("utf-8", "replace") + note
    for report in sorted(place.iterdir()) if place else ():
        text += f"\nFAIL {name}: a sanitizer found something: {report.name}\n" + report.read_text(errors="replace")
    return name, text, process.returncode, time.monotonic() - started


def programs(args):
    if args.scripts:
        for script in sorted(pathlib.Path(args.scripts).glob("*.sh")):
            if script.name != "run.sh":
                yield script.stem, ["sh" if not os.access(script, os.X_OK) else str(script.resolve())] + (
                    [] if os.access(script, os.X_OK) else [str(script.resolve())]) + [str(pathlib.Path(args.program).resolve())], None
        return
    found = []
    listing = subprocess.run(["ctest", "--test-dir", args.build, "--show-only=json-v1"], check=True, capture_output=True, text=True)
    for test in json.loads(listing.stdout)["tests"]:
        properties = {prop["name"]: prop["value"] for prop in test.get("properties", [])}
        if set(args.label) & set(properties.get("LABELS", [])) and "command" in test:
            found.append((-float(properties.get("COST", 0)), test["name"], test["command"], properties.get("WORKING_DIRECTORY")))
    for _, name, command, folder in sorted(found, key=lambda entry: entry[0]):  # the long ones first
        yield name, command, folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build")
    parser.add_argument("--label", action="append", default=[])
    parser.add_argument("--scripts")
    parser.add_argument("--program")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--skip", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--timeout", type=int)
    parser.add_argument("--under", default="")
    parser.add_argument("--reports")
    parser.add_argument("--tally")
    args = parser.parse_args()
    if not args.scripts and not args.build:
        parser.error("--build or --scripts is needed")
    args.label = args.label or ["unit"]
    if args.timeout is None:
        args.timeout = 7200 if os.environ.get("MW_NIGHT") else 900 if args.scripts else 300
    chosen = [(name, args.under.split() + command, folder) for name, command, folder in programs(args)
              if (not args.only or any(text in name for text in args.only)) and not any(text in name for text in args.skip)]
    totals = [0, 0, 0]
    with concurrent.futures.ThreadPoolExecutor(max_workers=args.jobs) as pool:
        waiting = [pool.submit(run, *entry, args.timeout, args.reports) for entry in chosen]
        for done in concurrent.futures.as_completed(waiting):
            name, text, code, seconds = done.result()
            counts = count(text, code)
            totals = [total + more for total, more in zip(totals, counts)]
            word = "ok  " if counts[1] == 0 else "FAIL"
            skips = f", {counts[2]} skipped" if counts[2] else ""
            print(f"{word} {name}: {counts[0]} passed, {counts[1]} failed{skips} ({seconds:.1f} s)", flush=True)
            if counts[1] > 0:
                ended = f"signal {-code}" if code < 0 else f"exit {code}"
                print("    " + "\n    ".join(text.rstrip().split("\n")[-200:]) + f"\n    {name}: {ended}", flush=True)
            elif counts[2] > 0:
                for line in text.split("\n"):
                    if "skipped:" in line:
                        print(f"    {line.strip()}", flush=True)
    if args.tally:
        with open(args.tally, "a", encoding="utf-8") as tally:
            tally.write(f"{totals[0]} {totals[1]} {totals[2]}\n")
    return 1 if totals[1] else 0


sys.exit(main())
