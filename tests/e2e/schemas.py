#!/usr/bin/env python3
"""Messages against the published JSON Schemas (CO-10, FH-15): what a good and some failing traces write holds to them, a changed copy does not.

usage: schemas.py PROGRAM [--only TEXT]

The schemas are taken from `schema show`, the keys that must be there from the contract (NEEDED), not from the schemas: one that forgot a key
would otherwise prove itself. The validator is python3-jsonschema, which shares nothing with millwright.
"""
import copy
import json
import os
import pathlib
import shutil
import sys
import tempfile
import warnings

import rows_lib as lib
from jsonschema import Draft202012Validator
from rows_lib import Workspace, case, ended, equal, message, of_type

PAGE = lib.HERE.parent.parent / "docs/messages.md"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
ENVELOPE = ["type", "traceId", "sessionId", "componentTag", "timestamp", "payload"]
TASK = ["taskId", "taskType", "attempt", "agentId"]
# Type: keys beside the envelope's, keys of the payload; as the contract has them.
NEEDED = {
    "ProductIntentSubmitted": (["emittedBy"], ["traceId", "userPrompt", "source", "priority", "submittedAt"]),
    "StrategicBlueprintGenerated": (["emittedBy", *TASK], ["blueprintId", "storage", "auth"]),
    "PortsAndUseCasesReady": (["emittedBy", *TASK], []),
    "StartMicroserviceAssembly": (["targetAgent"], ["serviceName", "useCases", "storage", "auth", "features"]),
    "RouteTaskToAgent": (["targetAgent", *TASK], []),
    "AgentTask": (["targetAgent", *TASK, "context", "workDir", "limits", "expects"], []),
    "HandlerReady": (["emittedBy", *TASK], []),
    "AdapterGenerated": (["emittedBy", *TASK], []),
    "AuthConfigured": (["emittedBy", *TASK], []),
    "CommitComplete": (["emittedBy", *TASK], ["branch", "commit"]),
    "TestResultsReady": (["emittedBy", *TASK], ["result", "coverage"]),
    "TestsPassed": (["emittedBy"], ["result"]),
    "PullRequestCreated": (["emittedBy", *TASK], ["url", "status"]),
    "AssemblyStageCompleted": (["emittedBy"], ["stage"]),
    "MicroserviceAssemblyCompleted": (["emittedBy"], ["traceId", "sessionId", "service", "pullRequest"]),
    "TaskGroupCompleted": (["emittedBy"], ["taskGroupId", "status"]),
    "TaskFailed": (["emittedBy", "taskType", "reason"], []),
    "TaskTimedOut": (["emittedBy", "taskType"], ["elapsedMs"]),
    "RoutingFailed": (["emittedBy"], ["taskType", "reason"]),
    "TaskEscalated": (["emittedBy"], ["taskType", "reason", "escalationTarget"]),
    "CoordinatorHalted": (["emittedBy", "reason"], []),
    "SessionTerminated": (["emittedBy", "reason"], []),
    "build_started": (["emittedBy"], ["buildId"]),
    "build_completed": (["emittedBy"], ["buildId", "buildRegistryId"]),
    "build_failed": (["emittedBy"], ["buildId"]),
    "loop.start": (["emittedBy"], ["run_id", "preset", "objective", "project_dir", "work_dir", "created_at", "backend", "trigger", "parent_run_id"]),
}
FAILURES = ["TaskFailed", "TaskTimedOut", "RoutingFailed", "TaskEscalated", "CoordinatorHalted", "SessionTerminated", "build_failed"]
EMPTY_IS_FINE = {"userPrompt", "objective", "parent_run_id", "coverage"}
FALSE_IS_FINE = {"auth"}
NO_TAGS = ["Coordinator", "Coordinator:", ":Task", "Notification/HandlerGen", "A:b c"]
NO_TIMES = ["2025-05-04T13:10:00", "2025-05-04T13:10:00+02:00", "2025-13-04T13:10:00Z", "2025-05-04T25:10:00Z", "yesterday"]

QUICK = """policies:
  - {name: default, skills: ["*"], attempts: 2, reroutes: 0, backoff: {base: 20ms, factor: 1, cap: 1s}, timeout: 30s, routing_attempts: 2, escalate: true}
concurrency: 8
"""
SLOW = """policies:
  - {name: slow, skills: [SlowKiln], attempts: 9, reroutes: 0, backoff: {base: 20ms, factor: 1, cap: 1s}, timeout: 200ms, routing_attempts: 2, escalate: false}
"""
KILN = """coordinator: KilnCoordinator
version: "1.0.0"
command: StartKiln
completes_with: KilnCooledDown
key: item.kiln
fragment: {kiln: item.kiln}
result: {kiln: item.kiln}
initial: Cold
states:
  Cold:
    timeout: 600ms
    enter:
      - {task: {skill: SlowKiln, expects: KilnFired, subject: item.kiln, payload: {kiln: item.kiln}}}
    on:
      - {event: KilnFired, go: Hot}
  Hot: {final: true}
"""
# It says what it was asked, so that the journal has it.
ECHO = """#!/bin/sh
printf '{"type":"StrategicBlueprintGenerated","payload":{"blueprintId":"blueprint-of-echo","storage":"File","auth":false,"task":%s}}\\n' "$(cat)"
"""


def published(w):
    """Name: (schema, validator), all from the command line."""
    schemas = {row["name"]: json.loads(w.ok("schema", "show", row["name"])) for row in w.json("schema", "list")}
    store = {schema["$id"]: schema for schema in schemas.values()}

    def validator(schema):
        try:
            from referencing import Registry, Resource
        except ImportError:  # before 4.18: Debian 12's
            from jsonschema import RefResolver
            return Draft202012Validator(schema, resolver=RefResolver(schema["$id"], schema, store=store))
        resources = ((name, Resource.from_contents(each)) for name, each in store.items())
        return Draft202012Validator(schema, registry=Registry().with_resources(resources))
    return {name: (schema, validator(schema)) for name, schema in schemas.items()}


def holds(schemas, name, record):
    return schemas[name][1].is_valid(record)


# ---- what is captured ----

def good_trace(w):
    w.ok("init")
    w.ok("gen", "Build a NoteService with JWT auth", timeout=60)
    return w.records()


def failing_build(w):
    w.ok("init")
    w.stub(["GenerateHandler"], answers={"GenerateHandler": {"fail": "no"}})
    w.file("coordinators/kiln.yaml", KILN)
    w.file("policies/slow.yaml", SLOW)
    w.stub(["SlowKiln"], agent="stoker")
    w.close("SlowKiln")
    w.start()
    halted = w.post("StartCoordinator", {"coordinator": "KilnCoordinator", "payload": {"kiln": "south"}})["traceId"]
    trace = w.post("SubmitIntent", {"prompt": "Build a NoteService with JWT auth", "source": "cli"})["traceId"]
    w.until(lambda r: r["type"] == "TaskEscalated" and r.get("traceId") == trace)
    w.post("Cancel", {"traceId": trace})
    w.until(ended(trace))
    w.until(ended(halted))
    return w.records()


def lone_runs(w):
    """One that is echoed, one too slow, one for whom there is nobody; the last waits for a person."""
    w.ok("init")
    w.file("agents/echo.sh", ECHO).chmod(0o755)
    w.file("agents/echo.yaml", "agent_id: echo\nagent_type: Echo Agent\nskills: [GenerateVisionBlueprint]\ntier: 99\n"
                               'backend: {kind: command, argv: ["./echo.sh"]}\n')
    w.stub(["GenerateVisionBlueprint"], agent="slow")
    text = (w.dir / "agents/slow.yaml").read_text()
    w.file("agents/slow.yaml", text + "limits: {deadline: 300ms}\n")
    w.close("GenerateVisionBlueprint")
    w.start()
    run = {"workflow": "ValueEngine", "prompt": "a run"}
    w.until(ended(w.post("StartRun", run)["traceId"]))
    w.post("RemoveAgent", {"agentId": "echo"})
    trace = w.post("StartRun", run)["traceId"]
    w.until(lambda r: r["type"] == "TaskEscalated" and r["traceId"] == trace)
    for agent in ("slow", "vision-architect"):
        w.post("RemoveAgent", {"agentId": agent})
    trace = w.post("StartRun", run)["traceId"]
    w.until(lambda r: r["type"] == "TaskEscalated" and r["traceId"] == trace)
    return w.records()


def exemplars(records):
    """The first of each type, and the task as its agent got it."""
    found = {}
    for record in records:
        found.setdefault(record["type"], record)
        if record["type"] in NEEDED and record["kind"] == "task.result":
            found[record["type"]] = record
    for record in of_type(records, "StrategicBlueprintGenerated"):
        if "task" in record["payload"]:
            found["AgentTask"] = record["payload"]["task"]
    return found


# ---- changed copies ----

def wrong_values(key, value):
    kinds = {str: "text", bool: "flag", int: "number", float: "number", list: "list", dict: "object"}
    others = {"none": None, "number": 7, "flag": True, "list": [], "object": {}, "text": "text"}
    wrong = [other for kind, other in others.items() if kind != kinds[type(value)]]
    if isinstance(value, str) and key not in EMPTY_IS_FINE:
        wrong.append("")
    if key in FALSE_IS_FINE:
        wrong = [other for other in wrong if not isinstance(other, str)]
    return wrong


def changed(record, needed, inside):
    """(what was changed, the copy) for every needed key that is missing or of another type."""
    for key, where in [(key, ()) for key in needed] + [(key, ("payload",)) for key in inside]:
        place = record["payload"] if where else record
        assert key in place, f"{record['type']} has no {'/'.join((*where, key))}"
        for wrong in ["missing", *wrong_values(key, place[key])]:
            other = copy.deepcopy(record)
            target = other["payload"] if where else other
            if wrong == "missing":
                del target[key]
            else:
                target[key] = wrong
            yield f"{'/'.join((*where, key))}: {wrong!r}", other
    for key, words in (("componentTag", NO_TAGS), ("timestamp", NO_TIMES), ("type", ["SomethingElse"])):
        for word in words:
            yield f"{key}: {word!r}", dict(copy.deepcopy(record), **{key: word})


# ---- cases ----

@case("CO-10", "schema list and schema show give JSON Schemas of draft 2020-12, one for each message of the contract")
def schemas_are_schemas(w, schemas):
    for name, (schema, _) in schemas.items():
        Draft202012Validator.check_schema(schema)
        equal((schema["$schema"], schema["$id"]), (DRAFT, "millwright:schema/" + name), name)
    missing = sorted((set(NEEDED) | {"Envelope"}) - set(schemas))
    equal(missing, [], "not published")
    equal(sorted(schemas), [row["name"] for row in w.json("schema", "list")], "order")
    equal(w.cli("schema", "list").stdout.count("\n"), len(schemas), "lines")


@case("CO-10", "docs/messages.md has a row for each, with the keys of the payload that must be there")
def page_has_all(schemas):
    rows = {line.split("`")[1]: line for line in PAGE.read_text().split("\n") if line.startswith("| `")}
    for name, (schema, _) in schemas.items():
        wanted = schema["properties"]["payload"].get("required", [])
        equal([key for key in wanted if f"**`{key}`**" not in rows.get(name, "")], [], name)
        assert name in rows or name == "Envelope", f"no row for {name}"


@case("CO-10", "a name that is none, or a path, is refused")
def no_such_schema(w):
    for name in ("Nothing", "../schemas/Envelope", "", ".."):
        done = w.cli("schema", "show", name)
        equal((done.returncode, done.stdout), (2, ""), name)


@case("CO-10", "every record of a good trace and of failing ones holds to its schema, any other to the envelope's")
def all_hold(schemas, records):
    wrong = []
    for record in records:
        name = record["type"] if record["type"] in schemas else "Envelope"
        problem = next(schemas[name][1].iter_errors(record), None)
        if problem is not None:
            wrong.append(f"{record['seq']} {record['type']} /{'/'.join(map(str, problem.absolute_path))}: {problem.message[:200]}")
    equal(wrong, [], f"of {len(records)}")
    seen = {record["type"] for record in records}
    equal(sorted(set(NEEDED) - {"AgentTask"} - seen), [], "never captured")


@case("MS-09", "the task holds to AgentTask when its agent gets it, and to RouteTaskToAgent")
def task_holds(schemas, found):
    for name in ("AgentTask", "RouteTaskToAgent"):
        problem = next(schemas[name][1].iter_errors(found["AgentTask"]), None)
        assert problem is None, f"{name}: {problem.message[:300]}"


def mutated(schemas, found, name):
    row = "FH-15" if name in FAILURES else "MS-09" if name in ("RouteTaskToAgent", "AgentTask") else "CO-10"

    @case(row, f"{name}: a copy with a key missing or of another type is invalid")
    def one():
        record = found[name]
        assert holds(schemas, name, record), "it does not hold itself"
        beside, inside = NEEDED[name]
        copies = list(changed(record, ENVELOPE + beside, inside))
        assert len(copies) > 5 * (len(ENVELOPE) + len(beside) + len(inside)), f"only {len(copies)} copies"
        equal([what for what, other in copies if holds(schemas, name, other)], [], f"valid, of {len(copies)}")
    one()


@case("CO-10", "POST /v1/messages refuses MicroserviceAssemblyCompleted and RouteTaskToAgent, whole or changed")
def reserved_is_refused(w, found):
    before = len(w.records())
    for name in ("MicroserviceAssemblyCompleted", "RouteTaskToAgent"):
        beside, inside = NEEDED[name]
        whole = {key: value for key, value in found[name].items() if key not in ("seq", "kind")}
        equal(w.ask("POST", "/v1/messages", whole)[0], 403, f"{name}, whole")
        for what, other in changed(whole, ENVELOPE + beside, inside):
            if what == "type: 'SomethingElse'":
                continue  # it is another message then
            status = w.ask("POST", "/v1/messages", other)[0]
            assert status in (400, 403, 404), f"{name} with {what}: {status}"
    equal(of_type(w.records()[before:], "MicroserviceAssemblyCompleted", "RouteTaskToAgent"), [], "written all the same")


@case("CO-10", "a message that anybody may say is taken whole, and refused where the envelope's schema refuses it, by the key's name")
def said_from_outside(w, schemas, records):
    waiting = of_type(records, "TaskEscalated")[-1]
    good = message(waiting["traceId"], "HandlerReady", {"handler": "OutsideHandler"}, waiting["sessionId"])
    assert holds(schemas, "HandlerReady", good), "the good one does not hold"
    for what, other in changed(good, ENVELOPE + ["emittedBy"], []):
        if what == "type: 'SomethingElse'":
            continue
        assert not holds(schemas, "Envelope", other), f"{what} holds to the schema"
        status, answer = w.ask("POST", "/v1/messages", other)
        equal((status, (answer.get("error") or {}).get("pointer")), (400, "/" + what.split(":")[0]), what)
    equal(of_type(w.records()[len(records):], "HandlerReady"), [], "written all the same")
    equal(w.ask("POST", "/v1/messages", good)[0], 200, "the good one")
    equal([holds(schemas, "HandlerReady", r) for r in of_type(w.records()[len(records):], "HandlerReady")], [True], "its record")


def main():
    lib.PROGRAM = os.path.realpath(sys.argv[1])
    if "--only" in sys.argv:
        lib.wanted = sys.argv[sys.argv.index("--only") + 1]
    warnings.simplefilter("ignore", DeprecationWarning)
    top = pathlib.Path(tempfile.mkdtemp(prefix="schemas-"))
    try:
        quick = top / "factory"
        shutil.copytree(lib.FACTORY, quick)
        (quick / "policies/default.yaml").write_text(QUICK)
        with Workspace("good") as good, Workspace("failing", quick) as failing, Workspace("lone", quick) as lone:
            schemas = published(good)
            schemas_are_schemas(good, schemas)
            page_has_all(schemas)
            no_such_schema(good)
            last = lone_runs(lone)
            records = good_trace(good) + failing_build(failing) + last
            found = exemplars(records)
            all_hold(schemas, records)
            task_holds(schemas, found)
            for name in NEEDED:
                mutated(schemas, found, name)
            reserved_is_refused(lone, found)
            said_from_outside(lone, schemas, last)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    return lib.finish()


if __name__ == "__main__":
    sys.exit(main())
