#!/usr/bin/env python3
"""Start-up time and memory of the program and its host, and what the control plane adds to a build by the first-party agents.

bench_program.py PROGRAM FOLDER     prints JSON lines for bench_table.py
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

PROMPT = "Build a NotificationService with MongoDB and JWT auth"


def tell(group, name, value, unit, note=""):
    print(json.dumps({"group": group, "name": name, "value": value, "unit": unit, "note": note}), flush=True)


def timed(command, **options):
    """(seconds, greatest memory in KiB) of one run."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"bench: {' '.join(command)} ended with {process.returncode}")
    return time.monotonic() - started, usage.ru_maxrss


def memory_kib(pid):
    """What the process alone holds, shared pages by their part."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").split("\n"):
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def micros(text):
    """Microseconds of an RFC 3339 time of the journal, within one day's difference."""
    clock = text.split("T")[1].rstrip("Z")
    hours, minutes, seconds = clock.split(":")
    return (int(hours) * 3600 + int(minutes) * 60) * 1_000_000 + round(float(seconds) * 1_000_000)


def covered(intervals):
    total, end = 0, None
    for start, stop in sorted(intervals):
        if end is None or start > end:
            total, end = total + stop - start, stop
        elif stop > end:
            total, end = total + stop - end, stop
    return total


def main():
    program, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
    runs = [timed([program, "version"]) for _ in range(20)]
    tell("program", "start of the command line, median", statistics.median(run[0] for run in runs) * 1000, "ms", "millwright version, 20 times")
    empty = [timed(["true"]) for _ in range(20)]
    tell("program", "start of an empty program, median", statistics.median(run[0] for run in empty) * 1000, "ms", "the limit: true, 20 times")
    tell("program", "memory of the command line", max(run[1] for run in runs) / 1024, "MiB")
    with tempfile.TemporaryDirectory(prefix="bench-program-", dir=folder) as place:
        place = os.path.abspath(place)
        started = time.monotonic()
        done = subprocess.run([program, "gen", PROMPT, "--json"], cwd=place, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - started
        try:
            if done.returncode != 0:
                raise SystemExit(f"bench: gen ended with {done.returncode}: {done.stderr[-2000:]}")
            records = [json.loads(line) for line in done.stdout.split("\n") if line.startswith("{")]
            asked = {record["messageId"]: micros(record["timestamp"]) for record in records if record.get("kind") == "task.dispatched"}
            busy = [(asked[record["causationId"]], micros(record["timestamp"])) for record in records if record.get("kind") == "task.result" and record["causationId"] in asked]
            agents = covered(busy) / 1e6
            tell("build", "from prompt to draft", seconds, "s", f"{len(busy)} tasks by the first-party agents, checks included")
            tell("build", "of it no agent worked", seconds - agents, "s", "start of the host, control plane, staging")
            tell("build", "the control plane's part", 100 * (seconds - agents) / seconds, "%")
            status = subprocess.run([program, "status", "--json"], cwd=place, capture_output=True, text=True, check=True)
            host = json.loads(status.stdout).get("host") or {}
            if host.get("pid"):
                tell("program", "memory of the host at rest", memory_kib(host["pid"]) / 1024, "MiB", "after one build")
            subprocess.run([program, "serve", "--stop"], cwd=place, capture_output=True, check=False)
            first = timed([program, "serve"], cwd=place)[0]
            tell("program", "start of the host with one build's journal", first * 1000, "ms", "until it answers")
        finally:
            subprocess.run([program, "serve", "--stop"], cwd=place, capture_output=True, check=False)


main()
