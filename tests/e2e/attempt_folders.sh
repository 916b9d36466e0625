#!/bin/sh
# Where an attempt works: empty whoever worked there before, kept while there is anything to see in it. usage: attempt_folders.sh PROGRAM
set -eu
command -v python3 >/dev/null 2>&1 || { echo "skipped: not present: python3"; exit 0; }
here=$(cd "$(dirname "$0")" && pwd)
exec env PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 python3 - "$@" <<'PYTHON'
import json
import os
import shutil
import stat
import sys

import rows_lib
from rows_lib import FACTORY, Workspace, case, ended

rows_lib.PROGRAM = os.path.abspath(sys.argv[1])
KEPT, AT_ONCE, FLOWS = 64, 4, 3

# It says what it found, and leaves what its step tells it to.
WORKER = r'''#!/usr/bin/python3 -IS
import json, os, sys
task = json.load(sys.stdin)
found = {"names": sorted(os.listdir(".")), "tmp": os.environ["TMPDIR"] == os.getcwd(), "given": json.load(open(os.environ["MILLWRIGHT_TASK"])) == task,
         "task": task["taskId"], "step": task["payload"]["step"]}
try:
    os.close(os.open("probe", os.O_CREAT | os.O_WRONLY))
    os.unlink("probe")
except OSError as problem:
    found["names"].append(str(problem))
print(json.dumps({"type": "ThingStarted", "payload": found}), flush=True)
step = task["payload"]["step"] % 20
if step == 1:
    open(".left", "w").close()
elif step == 2:
    os.chmod(".", 0)
elif step == 3:
    print("said by", task["taskId"], file=sys.stderr)
elif step == 4:
    os.makedirs("a/b")
elif step == 5:
    os.fchmod(2, 0)
elif step == 6:
    os.fchmod(0, 0)
elif step in (7, 8):
    try:
        os.setxattr("." if step == 7 else 0, "user.note", b"to the next")
    except OSError:
        pass  # not on this file system
'''


def has_note(path):
    try:
        return os.getxattr(path, "user.note") == b"to the next"
    except OSError:
        return False


def left(folder, step):
    """What stands of the folder of a task that left something: its files were nobody's and have gone, the rest is there."""
    files = folder / "files"
    if step == 2:
        return stat.S_IMODE(os.lstat(files).st_mode) == 0
    if step == 3:
        return "said by" in (folder / "stderr.log").read_text()
    if step in (5, 6):
        return stat.S_IMODE(os.lstat(folder / ("stderr.log" if step == 5 else "task.json")).st_mode) == 0
    if step in (7, 8):
        return has_note(files if step == 7 else folder / "task.json")
    return not files.exists() and (folder / "task.json").exists()


with Workspace("Ordner für Versuche") as w:
    factory = w.top / "factory"
    shutil.copytree(FACTORY / "bench", factory)
    script = w.file("agents/worker.py", WORKER)
    script.chmod(0o755)
    (factory / "agents" / "starter.yaml").write_text(
        "agent_id: starter\nagent_type: Starter Agent\nskills: [StartThing]\ndomains: [\"*\"]\n"
        f"capacity: {AT_ONCE}\nbackend: {{kind: command, argv: [\"{script}\"]}}\n")
    w.environment["MILLWRIGHT_FACTORY"] = str(factory)
    (w.dir / ".millwright").mkdir()
    w.start()

    def flow():
        """The results of a hundred tasks."""
        trace = w.post("StartCoordinator", {"coordinator": "BenchCommands", "payload": {}})["traceId"]
        w.until(ended(trace), timeout=60)
        return [r for r in w.records(trace) if r["kind"] == "task.result"]

    results = [result for _ in range(FLOWS) for result in flow()]
    work = w.dir / ".millwright" / "work"
    folders = {entry.name.rpartition(".")[0]: entry for entry in work.iterdir()}
    try:
        os.setxattr(script, "user.note", b"can be")
        kinds = range(1, 9)
    except OSError:
        kinds = range(1, 7)
    messy = {r["taskId"]: r["payload"]["step"] % 20 for r in results if r["payload"]["step"] % 20 in kinds}
    plain = [r["taskId"] for r in results if r["taskId"] not in messy]

    @case("attempt_folders", "every attempt finds its folder empty and writable, and its own task in it")
    def found():
        assert len(results) == 100 * FLOWS, f"{len(results)} results"
        wrong = [r["payload"] for r in results
                 if r["payload"]["names"] or not r["payload"]["tmp"] or not r["payload"]["given"] or r["payload"]["task"] != r["taskId"]]
        assert not wrong, json.dumps(wrong[:3])

    @case("attempt_folders", "a folder that anything was left in is never another's")
    def kept():
        lost = [task for task, step in messy.items() if task not in folders or not left(folders[task], step)]
        assert not lost, f"{len(lost)} of {len(messy)}: {lost[:3]}"

    @case("attempt_folders", "the newest empty ones stay to be looked at, the others are used again")
    def used_again():
        standing = [task for task in plain if task in folders]
        assert KEPT <= len(standing) <= KEPT + AT_ONCE, f"{len(standing)} of {len(plain)} stand"
        assert set(plain[-KEPT // 2:]) <= set(standing), "not the newest"
        strange = [task for task in standing if json.loads((folders[task] / "task.json").read_text())["taskId"] != task]
        assert not strange, f"another's task.json: {strange[:3]}"

    @case("attempt_folders", "after `clean`, with the same host, folders are made anew")
    def cleaned():
        w.ok("clean")
        assert not list(work.iterdir()) if work.exists() else True, "they stand"
        assert len(flow()) == 100, "not all"

    found(), kept(), used_again(), cleaned()
sys.exit(rows_lib.finish())
PYTHON
