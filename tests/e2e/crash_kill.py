#!/usr/bin/env python3
"""kill -9 of the host, an agent, its supervisor or the command line at random moments of a gen (P01, P06, FH, BL-17, BL-18)."""
import ctypes
import json
import os
import pathlib
import signal
import struct
import sys
import time
from datetime import datetime, timezone

from crash_lib import NIGHT, PROGRAM, PROMPT, WORKFLOW, World, agent_text, alive, command_of, descendants, finish, is_fork_server, prove, seeded, stat_of, until, want

ROUNDS = 200 if NIGHT else 20
VICTIMS = ("host", "agent", "stub", "server", "cli", "host and cli")
random = seeded()
undisturbed = {}


def prepared(worlds):
    """A workspace whose handlers are written by an agent of its own, which asks the built-in generator."""
    world = World(worlds)
    world.agent("teller", agent_text("teller", "GenerateHandler"), f"#!/bin/sh\nsleep 0.05\nexec '{PROGRAM}' __agent render\n")
    world.quick_tests()
    return world


def born(path):
    """When a file was made, by the file system's own clock; None where that is not kept."""
    libc = ctypes.CDLL(None, use_errno=True)
    told = ctypes.create_string_buffer(256)
    want(libc.statx(-100, os.fsencode(path), 0x100, 0x800, told) == 0, f"statx of {path}")
    if not struct.unpack_from("I", told, 0)[0] & 0x800:
        return None
    seconds, nanoseconds = struct.unpack_from("qI", told, 80)
    return seconds + nanoseconds / 1e9


def bundle(world):
    staged = world.kinds("build.staged")
    want(len(staged) == 1, f"{len(staged)} staged bundles")
    return staged[0]["payload"]["sha256"]


def baseline(worlds):
    world = prepared(worlds)
    code, result, err = world.gen()
    want(code == 0 and result["state"] == "draft", f"gen: exit {code}: {err}")
    undisturbed["sha256"] = bundle(world)
    undisturbed["records"] = world.count()
    undisturbed["tasks"] = sorted(record["taskType"] for record in world.kinds("task.result"))
    handlers = [record["agentId"] for record in world.kinds("task.result") if record["taskType"] == "GenerateHandler"]
    want("teller" in handlers, f"handlers were written by {handlers}")


def started(pid):
    """Ticks since the machine began, of the process; one that has gone is the youngest."""
    try:
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return sys.maxsize


def victims_of(world, host, victim):
    """What to kill now; [] when there is none at this moment."""
    if victim == "host":
        return [host]
    # What it forked a moment ago looks like it until it has taken its words away, and is younger.
    servers = sorted((pid for pid in descendants(host) if is_fork_server(pid)), key=lambda pid: (started(pid), pid))[:1]
    if victim == "server":  # what it forked lives on, and the next attempt makes a new one
        return servers
    stubs = [pid for pid in descendants(host) if b"__exec" in command_of(pid) and pid not in servers]
    if victim == "stub":
        return [random.choice(stubs)] if stubs else []
    # The agent itself: what it runs below is its own business, and a killed service under test is a failed test.
    agents = [pid for pid in descendants(host) if pid not in stubs and (stat_of(pid) or (0, 0))[1] in stubs]
    return [random.choice(agents)] if agents else []


def strike(world, process, victim, target):
    """Kills the victim once the journal has `target` records. What was struck, or None when the build was faster."""
    quiet, seen = time.monotonic() + 20, 0
    while process.poll() is None:
        count = world.count()
        if count != seen:
            quiet, seen = time.monotonic() + 20, count
        if time.monotonic() > quiet:
            world.last = f"host {world.host()}: {[(pid, command_of(pid)[:3]) for pid in descendants(world.host() or 0)]}"
            want(False, f"nothing happens any more after record {count}")
        if count < target:
            continue
        if victim.endswith("cli"):
            process.kill()
            process.wait(10)
            if victim == "cli":
                return victim
        host = world.host()
        if host is None:
            continue
        pids = victims_of(world, host, victim.split()[0])
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pids = []
        if pids:
            return victim
        if victim not in ("agent", "stub", "server"):
            return None
    return None


def seconds_of(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc).timestamp()


def check_nothing_twice(world, struck):
    records = world.records()
    seqs = [record["seq"] for record in records]
    want(seqs == list(range(1, len(seqs) + 1)), "the journal's numbers have a gap")
    counts = {kind: len(world.kinds(kind)) for kind in ("build.started", "build.completed", "build.failed")}
    want(counts == {"build.started": 1, "build.completed": 1, "build.failed": 0}, f"BL-17, BL-18: {counts}")
    results = {}
    for record in records:
        if record["kind"] == "task.result":
            want(record["taskId"] not in results, f"{record['taskId']} has two results")
            results[record["taskId"]] = record
    want(sorted(record["taskType"] for record in results.values()) == undisturbed["tasks"], "other tasks than in an undisturbed run")
    asked = [(record["taskId"], record["attempt"]) for record in records if record["kind"] == "task.dispatched"]
    want(len(asked) == len(set(asked)), "an attempt was asked twice")
    again = [pair for pair in asked if pair[1] > 1]
    want(len(again) <= struck, f"{len(again)} attempts were repeated, {struck} were struck: {again}")
    # Whoever runs an attempt makes its folder first, anew when it is there, and it stays: the folder of a finished task is older than its result.
    ended = {task: seconds_of(record["timestamp"]) for task, record in results.items()}
    made = {name: born(world.path("work", name)) for name in os.listdir(world.path("work")) if name.startswith("t-")}
    want({name.rsplit(".", 1)[0] for name in made} >= set(ended), "some tasks have no folder")
    late = [name for name, when in made.items() if when is not None and when > ended.get(name.rsplit(".", 1)[0], when)]
    want(not late, f"{late} were run again after their results")


def killed(worlds, index):
    world = prepared(worlds)
    struck, told = 0, []
    process = world.start("gen", PROMPT, "--json")
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        # Two attempts are all that the policy gives a task: only one of them is struck.
        victim = random.choice(VICTIMS if struck == 0 else ("host", "server", "cli", "host and cli"))
        target = random.randrange(1, undisturbed["records"] - 4)
        told.append(f"{victim} at record {target}")
        done = strike(world, process, victim, target)
        if done in ("agent", "stub"):
            struck += 1
        if process.poll() is not None:
            world.ended(process)
            process = world.start("gen", PROMPT, "--json")
            if not done:
                break
    words = f"round {index}: {', '.join(told)}"
    code, _, err = world.ended(process)
    if process.returncode != 0:
        want(False, f"{words}: the same gen ends with {code}: {err[-600:]}")
    # A gen that began after the end makes the next version: with the same words it is the same bundle.
    drafts = world.kinds("build.completed")
    want(drafts, f"{words}: no draft")
    if len(drafts) == 1:
        check_nothing_twice(world, struck)
        want(bundle(world) == undisturbed["sha256"], f"{words}: another bundle than an undisturbed run's")
    world.verify()


def orphans(worlds):
    """Eight children run when the host is killed: within seconds none is left, and the next host starts clean."""
    world = World(worlds)
    world.quick_tests()
    script = "#!/bin/sh\ncat >/dev/null\nsh -c 'trap \"\" TERM HUP; sleep 300 & setsid sleep 300 & wait' &\nsleep 300\n"
    world.agent("sleeper", agent_text("sleeper", "GenerateHandler").replace("capacity: 4", "capacity: 8"), script)
    process = world.start("gen", "Build a TaskService and a NoteService with File storage", "--json")

    def running():
        host = world.host()
        stubs = [pid for pid in descendants(host) if b"__exec" in command_of(pid)] if host else []
        sleepers = [pid for pid in stubs if len([child for child in descendants(pid) if command_of(child)[:1] == [b"sleep"]]) >= 3]
        return (host, descendants(host)) if len(sleepers) >= 8 else None
    host, children = until(running, 60, "eight attempts at work")
    process.kill()
    os.kill(host, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in children), 6, f"all of {len(children)} children gone")
    until(lambda: not alive(host), 30, "the killed host gone: a disk that is slow keeps it, and its lock, until its sync is done")
    os.unlink(os.path.join(world.folder, "agents", "sleeper.yaml"))
    os.unlink(os.path.join(world.folder, "agents", "sleeper.sh"))
    fresh = world.serve()
    log = open(world.path("log", "host.log"), encoding="utf-8").read()
    want("leftover.unknown" not in log, "leftovers that nobody knows")
    want(world.host() == fresh.pid, "the next host answers")
    world.verify()


TILL = """#!/bin/sh
cat >/dev/null
shared="$MILLWRIGHT_WORK_DIR/../../../repos"
echo charged >>"$shared/charged.txt"
while [ ! -e "$shared/go" ]; do sleep 0.05; done
printf '{"type":"ThingMade","payload":{"charged":true}}\\n'
"""


def charges(world):
    place = pathlib.Path(world.path("repos", "charged.txt"))
    return place.read_text().count("charged\n") if place.exists() else 0


def killed_while_asked(worlds, more):
    """An agent has done something outside of its folder and not answered yet when its host is killed; the next host is up."""
    world = World(worlds)
    world.write("workflows/Sale.yaml", WORKFLOW.format(name="Sale", skill="ChargeCard").replace("expects: ThingMade", "expects: ThingMade, repository: true" + more))
    world.agent("till", agent_text("till", "ChargeCard"), TILL)
    host = world.serve().pid
    process = world.start("run", "Sale", "sell it", "--json")
    until(lambda: charges(world) == 1, 30, "the card charged")
    process.kill()
    os.kill(host, signal.SIGKILL)
    until(lambda: not alive(host), 30, "the killed host gone")
    world.serve()
    return world


def asked_again(worlds):
    """A task that is not no_retry: whoever was killed is asked again, so what it does outside is done at least once."""
    world = killed_while_asked(worlds, "")
    until(lambda: charges(world) == 2, 30, "the card charged again")
    pathlib.Path(world.path("repos", "go")).touch()
    until(lambda: world.kinds("trace.ended"), 30, "the end")
    want(world.kinds("trace.ended")[0]["outcome"] == "completed" and not world.kinds("task.failed"), "it did not go on")
    world.verify()


def asked_once(worlds):
    """A no_retry task ends unknown, with a person; nobody is asked again until that person says so."""
    world = killed_while_asked(worlds, ", no_retry: true")
    until(lambda: world.kinds("task.escalated"), 30, "a person asked")
    task = world.kinds("task.dispatched")[0]["taskId"]
    failed = world.kinds("task.failed")
    want([(record["taskId"], record["errorClass"]) for record in failed] == [(task, "unknown")], f"{failed}")
    until(lambda: task in world.run("inbox")[1], 30, "the record durable, and with it the item in the inbox")
    code, out, err = world.run("inbox")
    want(code == 0 and task in out and "unknown" in out, f"inbox: exit {code}: {out}{err}")
    code, out, err = world.run("trace", "show", failed[0]["traceId"], "--json")
    want(code == 0 and '"errorClass":"unknown"' in out.replace(" ", ""), f"trace show: exit {code}: {out}{err}")
    status, text = world.ask("GET", f"/v1/views/failure?trace={failed[0]['traceId']}")
    want(status == 200 and json.loads(text)["class"] == "unknown", f"{status}: {text}")
    # Once more, and cleanly: what waits for a person waits on, and no start is taken for leave to ask.
    host = world.host()
    os.kill(host, signal.SIGTERM)
    until(lambda: not alive(host), 30, "the host gone")
    world.serve()
    code, out, err = world.run("inbox")
    want(code == 0 and task in out, f"inbox: exit {code}: {out}{err}")
    want(charges(world) == 1 and len(world.kinds("task.dispatched")) == 2, "an agent was asked again")
    pathlib.Path(world.path("repos", "go")).touch()
    code, out, err = world.run("approve", task)
    want(code == 0, f"approve: exit {code}: {err}")
    until(lambda: world.kinds("trace.ended"), 30, "the end")
    want(world.kinds("trace.ended")[0]["outcome"] == "completed" and charges(world) == 2, "the person's word was not heard")
    world.verify()


def told_by_a_person(worlds):
    """The person looked, and says what came of it: the work goes on with that, and nobody was asked twice."""
    world = killed_while_asked(worlds, ", no_retry: true")
    until(lambda: world.kinds("task.escalated"), 30, "a person asked")
    task = world.kinds("task.dispatched")[0]["taskId"]
    code, _, err = world.run("answer", task, "it was charged: the bank says so")
    want(code == 0, f"answer: exit {code}: {err}")
    until(lambda: world.kinds("trace.ended"), 30, "the end")
    result = world.kinds("task.result")
    want([record["emittedBy"] for record in result] == ["user:tester"], f"{result}")
    want(world.kinds("trace.ended")[0]["outcome"] == "completed" and charges(world) == 1, "it was charged again")
    world.verify()


prove("crash_undisturbed", baseline)
if undisturbed:
    for number in range(ROUNDS):
        prove(f"crash_kill_P01_P06_BL17_BL18_{number + 1}", killed, number + 1)
prove("crash_no_orphans_P06", orphans)
prove("crash_asked_again_P06", asked_again)
prove("crash_no_retry_asked_once_P06", asked_once)
prove("crash_no_retry_told_by_a_person_P06", told_by_a_person)
finish()
