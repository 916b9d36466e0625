#!/bin/sh
# The verbs inspect, memory and chain from outside, with stub agents and workflows of the workspace's own. usage: verbs_loops.sh PROGRAM
set -eu
command -v python3 >/dev/null 2>&1 || { echo "skipped: not present: python3"; exit 0; }
here=$(cd "$(dirname "$0")" && pwd)
exec env PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 python3 - "$@" <<'PYTHON'
import json
import os
import sys
import time

import rows_lib
from rows_lib import DEADLINE_S, Workspace, case, equal

rows_lib.PROGRAM = os.path.abspath(sys.argv[1])

TWO_TURNS = """\
workflow: {name}
purpose: A thing is made, and looked at.
roles:
  maker: {{task: {{skill: MakeThing, expects: ThingMade}}}}
  checker: {{task: {{skill: CheckThing, expects: ThingChecked}}}}
start:
  - role: maker
handoffs:
  - {{on: ThingMade, to: checker}}
  - {{on: ThingChecked, complete: true}}
limits: {{iterations: 4, timeout: 1m}}
"""
FAILING = """\
workflow: Gamma
purpose: What cannot be made.
roles:
  maker: {task: {skill: MissThing, expects: ThingMissed}}
start:
  - role: maker
handoffs:
  - {on: ThingMissed, complete: true}
limits: {iterations: 4, timeout: 1m}
"""
QUICK = ("policies:\n  - {name: quick, skills: [MissThing], attempts: 1, reroutes: 0, timeout: 5s,"
         " backoff: {base: 10ms, factor: 1, cap: 10ms}, routing_attempts: 1, escalate: false}\n")


def until(what):
    end = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def records(w):
    return [json.loads(line) for line in w.ok("journal", "show", "--json").strip().split("\n")]


def of(w, kind, **payload):
    return [r for r in records(w) if r["kind"] == kind and all(r["payload"].get(key) == value for key, value in payload.items())]


def given(w, task):
    """What the agent was given: the memory of its task.json."""
    return json.loads((w.dir / ".millwright" / "work" / f"{task}.1" / "task.json").read_text())["memory"]


def last(done):
    return json.loads(done.stdout.strip().split("\n")[-1])


@case("CL-09", "run, inspect, memory, chain exist; an unknown argument is exit 2 and never prompt text")
def unknown(w):
    for words in (["inspect", "x", "y"], ["inspect", "--nope"], ["inspect", "run-000000-1"], ["inspect", "a", "b", "c"], ["memory"],
                  ["memory", "ad", "x"], ["memory", "add"], ["memory", "add", "two", "texts"], ["memory", "add", "x", "--nope"],
                  ["memory", "remove"], ["memory", "list", "x"], ["chain"], ["chain", "Alpha"], ["chain", "Alpha,Beta", "a", "b"],
                  ["chain", "Alpha,,Beta", "x"], ["chain", "lst"], ["chain", "list", "x"], ["chain", "show", "chain-000000-1"],
                  ["run", "Alpha", "x", "y"]):
        equal(w.cli(*words).returncode, 2, words)
    kinds = {r["kind"] for r in records(w)}
    assert not kinds & {"trace.opened", "intent.submitted", "memory.added"}, kinds


@case("CL-09", "the workflows of a folder that is named and no workspace are neither listed nor called valid; with none named the factory's are")
def of_no_workspace(w):
    w.file("no workspace/.keep", "")
    for words in (["workflow", "validate"], ["workflow", "list"]):
        done = w.cli(*words, "--workspace", str(w.dir / "no workspace"))
        equal([done.returncode, done.stdout, "is no workspace" in done.stderr], [2, "", True], words)
        equal(w.cli(*words).returncode, 0, words)


@case("CH-01", "a chain of three: each its own run, one after the other, and the chain ends with the last")
def chain(w):
    done = w.cli("chain", "Alpha,Beta,Alpha", "three things", "--json")
    equal(done.returncode, 0, done.stderr)
    equal(last(done)["state"], "completed", "state")
    shown = w.json("chain", "show")
    equal([step["state"] for step in shown["steps"]], ["completed"] * 3, "steps")
    equal([step["workflow"] for step in shown["steps"]], ["Alpha", "Beta", "Alpha"], "workflows")
    order = [r["kind"] for r in records(w) if r["kind"] in ("loop.start", "loop.complete")]
    equal(order, ["loop.start", "loop.complete"] * 3, "one after the other")


@case("JR-09", "trigger: chain for its steps, cli for a run of its own")
def trigger(w):
    equal(w.cli("run", "Alpha", "alone").returncode, 0, "run")
    equal([r["payload"]["trigger"] for r in of(w, "loop.start")], ["chain"] * 3 + ["cli"], "trigger")


@case("JR-10", "parent_run_id: the chain's own id, which leads to the top; empty for a run of its own")
def parent(w):
    started = of(w, "chain.start")
    equal(len(started), 1, "chains")
    top = started[0]["payload"]
    equal(top["parent_run_id"], "", "the chain's parent")
    equal([r["payload"]["parent_run_id"] for r in of(w, "loop.start")], [top["run_id"]] * 3 + [""], "parents")


@case("CH-01", "a chain stops at the first failed step: exit 1, the later ones are not started")
def stops(w):
    runs = len(of(w, "loop.start"))
    done = w.cli("chain", "Alpha,Gamma,Beta", "it breaks", "--json")
    equal(done.returncode, 1, done.stderr)
    equal(len(of(w, "loop.start")), runs + 2, "runs")
    equal([step["state"] for step in w.json("chain", "show")["steps"]], ["completed", "failed", "not started"], "steps")
    before = len(records(w))
    assert w.cli("chain", "Alpha,Nobody", "x").returncode not in (0, 70), "an unknown workflow"
    equal(len(records(w)), before, "records of a chain that cannot be")


@case("JR-16", "inspect: every iteration with role, the event that caused it, the one it emitted, tasks and verdicts")
def inspect(w):
    run = of(w, "loop.start", trigger="cli")[0]["payload"]["run_id"]
    shown = w.json("inspect", run, "iterations")
    turns = [(t["role"], t["cause"], t["event"], t["outcome"]) for t in shown["iterations"]]
    equal(turns, [("maker", "loop.start", "ThingMade", "completed"), ("checker", "ThingMade", "ThingChecked", "completed")], "turns")
    equal([(t["agentId"], t["verdict"]) for turn in shown["iterations"] for t in turn["tasks"]], [("stub", "completed")] * 2, "tasks")
    failed = w.json("inspect")["iterations"][0]
    equal(failed["outcome"], "failed", "the newest run's verdict")
    assert "cannot be" in failed["reason"], failed


@case("PS-10", "what memory add says is in the next iteration's task, and after memory remove it is not; both are records")
def memory(w):
    w.close("MakeThing")
    w.post("StartRun", {"workflow": "Alpha", "prompt": "remember", "traceId": "first"})
    until(lambda: [r for r in records(w) if r["kind"] == "task.dispatched" and r["traceId"] == "first"])
    entry = w.json("memory", "add", "the tests need node 20", "--kind", "preference")["first"]
    w.open("MakeThing")
    until(lambda: [r for r in records(w) if r["kind"] == "trace.ended" and r["traceId"] == "first"])
    tasks = [r["taskId"] for r in records(w) if r["kind"] == "task.dispatched" and r["traceId"] == "first"]
    text = {"kind": "preference", "text": "the tests need node 20"}
    equal([given(w, task) for task in tasks], [[], [text]], "memory of both tasks")
    equal([(m["id"], m["text"]) for m in w.json("memory", "list")["memory"]], [(entry, text["text"])], "list")
    w.ok("memory", "remove", str(entry))
    assert w.cli("memory", "remove", str(entry)).returncode not in (0, 70), "removed twice"
    w.post("StartRun", {"workflow": "Alpha", "prompt": "forgotten", "traceId": "second"})
    until(lambda: [r for r in records(w) if r["kind"] == "trace.ended" and r["traceId"] == "second"])
    tasks = [r["taskId"] for r in records(w) if r["kind"] == "task.dispatched" and r["traceId"] == "second"]
    equal([given(w, task) for task in tasks], [[], []], "memory after it was removed")
    equal([len(of(w, kind)) for kind in ("memory.added", "memory.removed")], [1, 1], "records")


@case("SH-01", "inspect, memory list, chain list and chain show have --json and work with no host")
def offline(w):
    w.ok("memory", "add", "kept over a restart")
    asked = (["inspect"], ["memory", "list"], ["chain", "list"], ["chain", "show"])
    before = [w.json(*words) for words in asked]
    w.ok("serve", "--stop")
    until(lambda: not os.path.exists(w.socket()))  # it listens no more, and is about to take its socket away
    equal([w.json(*words) for words in asked], before, "answers")
    for words in asked:
        assert w.ok(*words).strip(), words
    assert not os.path.exists(w.socket()), "a reading verb started a host"
    equal(len(before[2]["chains"]), 2, "chains")
    state = w.json("verify")["state_sha256"]
    w.ok("serve")
    equal(w.view("state")["sha256"], state, "the replayed state, memory in it")


@case("CH-01", "the first-party workflows make a chain: the second sees the blueprint of the first")
def handed_on(w):
    w.ok("chain", "ValueEngine,DesignDocs", "a todo list")


with Workspace("loops") as w:
    w.ok("init")
    w.stub(["MakeThing", "CheckThing", "MissThing"], answers={"MissThing": {"fail": "this cannot be made"}})
    for name in ("Alpha", "Beta"):
        w.file(f"workflows/{name.lower()}.yaml", TWO_TURNS.format(name=name))
    w.file("workflows/gamma.yaml", FAILING)
    w.file("policies/quick.yaml", QUICK)
    w.ok("serve")
    for part in (unknown, of_no_workspace, chain, trigger, parent, stops, inspect, memory, offline, handed_on):
        part(w)
sys.exit(rows_lib.finish())
PYTHON
