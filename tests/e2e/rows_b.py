#!/usr/bin/env python3
"""The acceptance checks of coordinators, groups, rules, builds, artifacts and the command line, done as a stranger would: shell and HTTP.

usage: rows_b.py PROGRAM [--only ROW]     one line a case: ok ROW what / not ok ROW what: why
"""
import json
import os
import re
import shutil
import subprocess
import sys
import threading

import rows_lib
from rows_lib import ASSEMBLY, FACTORY, Workspace, built, case, ended, equal, message, message_id, of_type

STATES = ["Scaffolding", "PortsReady", "UseCasesReady", "AdapterReady", "AuthReady", "TestsReady", "PRCreated", "Complete"]
# What has to come before a state is left: the skill whose agent is kept waiting, or the message.
LEAVES = {"Scaffolding": "ScaffoldService", "PortsReady": "GenerateHandler", "UseCasesReady": "GenerateAdapter", "AdapterReady": None,
          "AuthReady": "RunTests", "TestsReady": "CreatePullRequest"}


def service(name="Note", handlers=("Create",), ports=1, auth="JWT"):
    """A service's part of a design, as MicroserviceAssemblyCoordinator gets it."""
    slug = name.lower()
    return {"serviceName": f"{name}Service", "slug": slug, "domain": f"{name}s", "useCases": [f"{h}{name}" for h in handlers], "storage": "File",
            "auth": auth, "jwt": None, "features": [], "entities": [{"name": name, "slug": slug, "plural": f"{slug}s", "fields": []}],
            "use_cases": [{"name": f"{h}{name}", "slug": f"{h.lower()}-{slug}", "handler": f"{h}{name}Handler", "entity": name, "effect": "create"}
                          for h in handlers],
            "ports": [{"name": f"I{name}{i}Repository", "slug": f"{slug}{i}", "entity": name} for i in range(ports)]}


def assemble(w, fragment, tell=("PortsAndUseCasesReady", "AuthConfigured")):
    """Starts the factory's own coordinator alone and says what other parts of a build would say. The trace's id."""
    trace = w.post("StartCoordinator", {"coordinator": "MicroserviceAssemblyCoordinator", "payload": fragment})["traceId"]
    for type_ in tell:
        publish(w, trace, type_)
    return trace


def publish(w, trace, type_, payload=None, want=200):
    status, answer = w.ask("POST", "/v1/messages", message(trace, type_, payload or {"by": "tester"}))
    equal(status, want, f"{type_}: {answer}")
    return answer


def entered(records, trace):
    """States in the order of the journal, as the records say."""
    found = ["Scaffolding"]
    for r in records:
        if r.get("traceId") == trace and r["kind"] == "coordinator.state":
            found.append(r["state"])
        if r.get("traceId") == trace and r["kind"] == "coordinator.ended":
            found.append(r.get("state"))
    return found


def dispatched(records, skill, trace=None):
    return [r for r in records if r["type"] == "RouteTaskToAgent" and r.get("taskType") == skill and trace in (None, r.get("traceId"))]


# ---- coordinators ----

KILN = """coordinator: KilnCoordinator
version: "2.4.0"
command: StartKiln
completes_with: KilnCooledDown
key: item.kiln
fragment: {kiln: item.kiln}
result: {kiln: item.kiln, degrees: facts.KilnFired.degrees}
initial: Cold
states:
  Cold:
    timeout: 1m
    enter:
      - {task: {skill: FireKiln, expects: KilnFired, subject: item.kiln, payload: {kiln: item.kiln}}}
    on:
      - {event: KilnFired, go: Hot}
  Hot:
    timeout: 1m
    on:
      - {event: GlazeApplied, go: Glazed}
  Glazed: {final: true}
"""
# Who else says what the kiln waits for: an event that nobody could say is a mistake in a definition.
GLAZER = """coordinator: GlazeCoordinator
version: "1.0.0"
command: StartGlaze
completes_with: GlazeCompleted
key: item.pot
fragment: {pot: item.pot}
result: {pot: item.pot}
initial: Bare
states:
  Bare:
    timeout: 1m
    enter:
      - {task: {skill: FireKiln, expects: [GlazeApplied, SaltThrown]}}
    on:
      - {event: GlazeApplied, go: Done}
  Done: {final: true}
"""


def coordinators():
    with Workspace("coordinators") as w:
        w.ok("init")
        w.stub(list(ASSEMBLY), answers=dict(ASSEMBLY, FireKiln={"payload": {"degrees": 1260}}))
        w.stub(["FireKiln", "SlowKiln"], agent="stoker")
        w.file("coordinators/kiln.yaml", KILN)
        w.file("coordinators/glaze.yaml", GLAZER)
        # A state's time is over before its task is done, however often it is tried.
        w.file("coordinators/slow.yaml", KILN.replace("Kiln", "Slow").replace("FireSlow", "SlowKiln").replace("timeout: 1m", "timeout: 900ms", 1))
        w.file("policies/slow.yaml", "policies:\n  - {name: slow, skills: [SlowKiln], attempts: 9, reroutes: 0, timeout: 200ms,"
                                     " backoff: {base: 20ms, factor: 1, cap: 20ms}, routing_attempts: 3, escalate: false}\n")
        w.start()
        own_definition(w)
        whole_assembly(w)
        early_message(w)
        said_twice(w)
        time_is_over(w)
        fragment_only(w)
        skipped_auth(w)
        per_item(w)
        killed_in_each_state(w)
        restarted(w)
        no_agents_in_coordinators(w)
        sequence_is_data(w)


@case("CO-19", "a coordinator, a skill and events that C has never seen run from files alone")
def own_definition(w):
    fragment = w.file("kiln.json", '{"kiln": "north", "secretOfAnother": 1}')
    process = subprocess.Popen([rows_lib.PROGRAM, "coordinator", "start", "KilnCoordinator", "--json", str(fragment)], cwd=w.dir, env=w.environment,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seen = w.until(lambda r: r["kind"] == "coordinator.state" and r.get("state") == "Hot")
    publish(w, seen[-1]["traceId"], "GlazeApplied")
    text = process.communicate(timeout=60)[0]
    equal(process.returncode, 0, text)
    completed = of_type(w.records(), "KilnCooledDown")
    equal(len(completed), 1, "completions")
    equal((completed[0]["payload"]["kiln"], completed[0]["payload"]["degrees"]), ("north", 1260), "what it says in the end")
    shown = w.view("coordinator", trace=seen[-1]["traceId"])
    equal([(s["state"], s["event"]) for s in shown["history"]],
          [("Cold", "StartKiln"), ("Hot", "KilnFired"), ("Glazed", "KilnCooledDown")], "history")
    equal(shown["version"], "2.4.0", "version")


@case("CO-02 CO-03 CO-08 CO-10", "a service goes from its fragment to its completion")
def whole_assembly(w):
    trace = assemble(w, service(handlers=("Create", "List"), ports=1))
    records = w.until(ended(trace))

    @case("CO-02", "the state history of a service is the eight states in order")
    def states():
        equal(entered(records, trace), STATES)
        equal([s["state"] for s in w.json("coordinator", "show", trace)["history"]], STATES, "coordinator show")

    @case("CO-03", "each transition's record names its event")
    def events():
        by = {r["state"]: r.get("by") for r in records if r["kind"] == "coordinator.state" and r["traceId"] == trace}
        equal(by, {"PortsReady": "PortsAndUseCasesReady", "UseCasesReady": "HandlerReady", "AdapterReady": "AdapterGenerated",
                   "AuthReady": "AuthConfigured", "TestsReady": "TestResultsReady", "PRCreated": "PullRequestCreated"})

    @case("CO-08", "coordinator show prints the artifact tracker; completion is said at completeness")
    def tracker():
        got = w.json("coordinator", "show", trace)["tracker"]
        want = {"expectedHandlers": 2, "handlersCompleted": 2, "adaptersGenerated": 1, "authConfigured": True}
        equal({key: got.get(key) for key in want}, want)
        order = [r["type"] for r in records if r.get("traceId") == trace]
        done = order.index("MicroserviceAssemblyCompleted")
        equal(order.count("MicroserviceAssemblyCompleted"), 1, "completions")
        assert done > max(i for i, t in enumerate(order) if t in ("HandlerReady", "AdapterGenerated", "AuthConfigured")), order

    @case("CO-10", "the completion carries traceId, sessionId, service and pullRequest")
    def completion():
        said = of_type(records, "MicroserviceAssemblyCompleted")[-1]
        session = next(r["sessionId"] for r in records if r["kind"] == "coordinator.started" and r["traceId"] == trace)
        equal(said["payload"], {"traceId": trace, "sessionId": session, "service": "NoteService", "pullRequest": "file:///nowhere/1.json"})
        # Nobody else may say it, whole or mutated.
        for payload in (said["payload"], {"service": 7}, {}):
            equal(w.ask("POST", "/v1/messages", message(trace, "MicroserviceAssemblyCompleted", payload))[0] in (400, 403, 404), True, "refused")

    for check in (states, events, tracker, completion):
        check()


@case("CO-04", "AuthConfigured long before its state is held: no illegal transition, the end is right")
def early_message(w):
    w.close("ScaffoldService")
    trace = assemble(w, service("Early"), tell=("AuthConfigured",))
    before = w.until(lambda r: r["type"] == "AuthConfigured" and r.get("traceId") == trace)
    equal(entered(before, trace), ["Scaffolding"], "before")
    w.open("ScaffoldService")
    publish(w, trace, "PortsAndUseCasesReady")
    # What nobody waits for is taken and changes nothing.
    publish(w, trace, "KilnExploded")
    equal(entered(w.until(ended(trace)), trace), STATES)


@case("CO-06", "the same message twice is one record; a replay of everything is the same state")
def said_twice(w):
    w.close("ScaffoldService")
    trace = assemble(w, service("Twice"), tell=())
    body = dict(message(trace, "AuthConfigured", {"by": "tester"}), messageId=message_id())
    first, again = w.ask("POST", "/v1/messages", body), w.ask("POST", "/v1/messages", body)
    equal((first[0], again[0], again[1]["duplicate"]), (200, 200, True), "answers")
    publish(w, trace, "AuthConfigured")  # another message that says the same
    publish(w, trace, "PortsAndUseCasesReady")
    w.open("ScaffoldService")
    records = w.until(ended(trace))
    equal(len([r for r in records if r["type"] == "AuthConfigured" and r["traceId"] == trace]), 2, "records of AuthConfigured")
    equal(entered(records, trace), STATES)
    before = w.json("coordinator", "show", trace)
    w.kill()
    equal(w.json("coordinator", "show", trace), before, "offline")
    w.start()
    equal(w.json("coordinator", "show", trace), before, "after a replay")


@case("CO-05", "a task out of time is tried again; a state out of time halts its coordinator")
def time_is_over(w):
    w.close("SlowKiln")
    trace = w.post("StartCoordinator", {"coordinator": "SlowCoordinator", "payload": {"slow": "south"}})["traceId"]
    types = [r["type"] for r in w.until(ended(trace)) if r.get("traceId") == trace]
    assert types.index("TaskTimedOut") < types.index("RetryScheduled") < types.index("CoordinatorHalted"), types
    equal(types.count("CoordinatorHalted"), 1, "halted")
    w.open("SlowKiln")
    equal(w.json("coordinator", "show", trace)["status"], "failed", "status")


@case("CO-07", "StartMicroserviceAssembly carries this service's fragment and nothing else")
def fragment_only(w):
    fragment = dict(service("Only"), blueprint={"services": ["everything"]}, other={"secret": 1})
    trace = assemble(w, fragment)
    started = [r for r in w.until(ended(trace)) if r["type"] == "StartMicroserviceAssembly" and r["traceId"] == trace]
    equal([r["payload"] for r in started],
          [{"serviceName": "OnlyService", "useCases": ["CreateOnly"], "storage": "File", "auth": "JWT", "features": []}])


@case("CD-03", "auth false: AuthReady is passed by a rule that is named, not by an event")
def skipped_auth(w):
    trace = assemble(w, service("Open", auth=False), tell=("PortsAndUseCasesReady",))
    records = w.until(ended(trace))
    equal(entered(records, trace), STATES)
    passed = [r for r in records if r["traceId"] == trace and r["kind"] == "coordinator.state" and r["state"] == "AuthReady"] if records else []
    equal([(r.get("by"), r.get("skipped")) for r in passed], [("no-auth", True)], "AuthReady")
    equal(of_type([r for r in records if r.get("traceId") == trace], "AuthConfigured"), [], "AuthConfigured")


@case("TG-04", "three ports give three GenerateAdapter tasks with distinct tags; none give none, and the join passes")
def per_item(w):
    three = assemble(w, service("Three", ports=3))
    records = w.until(ended(three))
    tags = [r["componentTag"] for r in dispatched(records, "GenerateAdapter", three)]
    equal((len(tags), len(set(tags))), (3, 3), f"tags {tags}")
    none = assemble(w, service("None", ports=0))
    records = w.until(ended(none))
    equal(dispatched(records, "GenerateAdapter", none), [], "tasks")
    equal(entered(records, none), STATES, "states")


@case("CO-09", "kill -9 of the host in each state in turn: Complete every time, nothing asked twice that was answered")
def killed_in_each_state(w):
    for state, skill in LEAVES.items():
        name = f"In{state}"
        if skill:
            w.close(skill)
        trace = assemble(w, service(name), tell=("PortsAndUseCasesReady",) if skill is None else ("PortsAndUseCasesReady", "AuthConfigured"))
        held = ended(trace) if skill is None else (lambda r: r["type"] == "RouteTaskToAgent" and r.get("taskType") == skill and r["traceId"] == trace)
        if skill is None:
            held = lambda r: r["kind"] == "coordinator.state" and r.get("state") == "AdapterReady" and r["traceId"] == trace
        before = entered(w.until(held), trace)
        equal(before[-1], state, "the state that is held")
        w.kill()
        if skill:
            w.open(skill)
        w.start()
        equal(w.json("coordinator", "show", trace)["history"][len(before) - 1]["state"], state, "the state after a restart")
        if skill is None:
            publish(w, trace, "AuthConfigured")
        records = w.until(ended(trace))
        equal(entered(records, trace), STATES, f"killed in {state}, {[r.get('reason') for r in records if r.get('reason')][-6:]}")
        for earlier in list(LEAVES.values())[:list(LEAVES).index(state)]:
            if earlier:
                equal(len(dispatched(records, earlier, trace)), 1, f"{earlier} after a kill in {state}")


@case("CO-01", "the host stops and starts again: coordinators go on from the state in the journal")
def restarted(w):
    w.close("GenerateAdapter")
    trace = assemble(w, service("Restart"))
    w.until(lambda r: r["type"] == "RouteTaskToAgent" and r.get("taskType") == "GenerateAdapter" and r["traceId"] == trace)
    state = w.json("coordinator", "show", trace)["state"]
    equal(state, "UseCasesReady", "held")
    w.ok("serve", "--stop")
    equal(w.json("coordinator", "show", trace)["state"], state, "with no host")
    w.open("GenerateAdapter")
    w.start()
    records = w.until(ended(trace))
    equal(entered(records, trace), STATES, [r.get("reason") for r in records if r["traceId"] == trace and r.get("reason")])


@case("CO-12", "coordinators name skills; an agent's name in one is refused")
def no_agents_in_coordinators(w):
    agents = {re.search(r"agent_id: (\S+)", path.read_text()).group(1) for path in (FACTORY / "agents").glob("*.yaml")}
    words = set(re.findall(r"[\w-]+", "".join(path.read_text() for path in (FACTORY / "coordinators").glob("*.yaml"))))
    equal(agents & words, set(), "agents in coordinator definitions")
    bad = w.file("coordinators/bad.yaml", KILN.replace("Kiln", "Bad").replace("{skill: FireBad,", "{skill: FireKiln, agent_id: stoker,"))
    done = w.cli("workflow", "validate")
    bad.unlink()
    equal(done.returncode, 78, done.stderr)
    assert "coordinators/bad.yaml:13" in done.stderr and "agent_id" in done.stderr, done.stderr


@case("CO-13", "the sequence is the definition's: without the file it is gone, and the rest works")
def sequence_is_data(w):
    w.ok("serve", "--stop")
    (w.dir / "coordinators/kiln.yaml").unlink()
    w.start()
    status, answer = w.ask("POST", "/v1/requests/StartCoordinator", {"coordinator": "KilnCoordinator", "payload": {"kiln": "west"}})
    equal(status, 404, answer)
    w.file("coordinators/kiln.yaml", KILN.replace("      - {event: GlazeApplied, go: Glazed}", "      - {event: SaltThrown, go: Glazed}"))
    w.ok("serve", "--stop")
    w.start()
    trace = w.post("StartCoordinator", {"coordinator": "KilnCoordinator", "payload": {"kiln": "west"}})["traceId"]
    w.until(lambda r: r["kind"] == "coordinator.state" and r["traceId"] == trace)
    publish(w, trace, "SaltThrown")
    equal([r.get("by") for r in w.until(ended(trace)) if r.get("kind") == "coordinator.state" and r["traceId"] == trace], ["KilnFired"])


# ---- groups ----

JOIN = """coordinator: {name}Coordinator
version: "1.0.0"
command: Start{name}
completes_with: {name}Completed
key: item.name
fragment: {{name: item.name}}
result: {{name: item.name}}
initial: Working
states:
  Working:
    timeout: 1m
    enter:
      - group:
          id: {group}
{options}          members:
{members}    on:
      - {{group: {group}, go: Committing}}
  Committing:
    timeout: 1m
    enter:
      - {{task: {{skill: StampIt, expects: ItStamped, owns: [], payload: {{name: item.name}}}}}}
    on:
      - {{event: ItStamped, go: Done}}
  Done: {{final: true}}
"""
SKILLS = {"TurnPot": "PotTurned", "DryPot": "PotDried", "PaintPot": "PotPainted"}


def join(name, group, options=(), per_item=""):
    members = "".join(f"            - {{id: m{i}, task: {{skill: {skill}, expects: {event}, subject: \"'{skill}'\"}}}}\n"
                      for i, (skill, event) in enumerate(SKILLS.items()))
    if per_item:
        members = f"            - {{id: each, for_each: item.pots, task: {{skill: TurnPot, expects: PotTurned, subject: item, payload: {{pot: item}}}}}}\n"
    return JOIN.format(name=name, group=group, members=members, options="".join(f"          {line}\n" for line in options))


def groups():
    with Workspace("groups") as w:
        w.ok("init")
        w.stub([*SKILLS, "StampIt"])
        w.file("coordinators/line.yaml", join("Line", "line", ["sequential: true"]))
        w.file("coordinators/fan.yaml", join("Fan", "fan"))
        w.file("coordinators/vote.yaml", join("Vote", "vote", ["strategy: {n: 2}", "keep: true"]))
        w.file("coordinators/any.yaml", join("Any", "any", ["strategy: wait-any"]))
        w.file("coordinators/many.yaml", join("Many", "many", per_item="item.pots"))
        w.start()
        sequential(w)
        fan_out(w)
        shown_group(w)
        two_of_three(w)
        once_under_load(w)


def begin(w, name, **payload):
    return w.post("StartCoordinator", {"coordinator": f"{name}Coordinator", "payload": dict({"name": name.lower()}, **payload)})["traceId"]


def tasks_of(records, trace):
    """{skill: (record that began it, record of its result)}"""
    began, done = {}, {}
    for r in records:
        if r.get("traceId") == trace and r["type"] == "RouteTaskToAgent":
            began.setdefault(r["taskType"], r)
        if r.get("traceId") == trace and r["kind"] == "task.result":
            done[r["taskType"]] = r
    return began, done


@case("TG-01", "sequential: no task begins before the one before it has ended")
def sequential(w):
    trace = begin(w, "Line")
    began, done = tasks_of(w.until(ended(trace)), trace)
    order = list(SKILLS) + ["StampIt"]
    for before, after in zip(order, order[1:]):
        assert done[before]["seq"] < began[after]["seq"], f"{after} began at {began[after]['seq']}, {before} ended at {done[before]['seq']}"


@case("TG-02", "three tasks overlap, and what comes after them comes after the last")
def fan_out(w):
    for skill in SKILLS:
        w.close(skill)
    trace = begin(w, "Fan")
    left = set(SKILLS)
    w.until(lambda r: (r.get("traceId") == trace and r["type"] == "RouteTaskToAgent" and left.discard(r["taskType"])) or not left)
    for skill in SKILLS:
        w.open(skill)
    began, done = tasks_of(records := w.until(ended(trace)), trace)
    assert max(began[k]["seq"] for k in SKILLS) < min(done[k]["seq"] for k in SKILLS), "they do not overlap"
    joined = [r for r in records if r["type"] == "TaskGroupCompleted" and r["traceId"] == trace]
    equal(len(joined), 1, "TaskGroupCompleted")
    assert max(done[k]["seq"] for k in SKILLS) < joined[0]["seq"] < began["StampIt"]["seq"], "the join is not after the last"


@case("TG-05", "group show: taskGroupId, expectedCount, completed, status open, complete and failed")
def shown_group(w):
    w.close("PaintPot")
    trace = begin(w, "Fan")
    w.until(lambda r: r.get("traceId") == trace and r["type"] == "TaskCompleted" and False or
            (r["kind"] == "task.result" and r.get("traceId") == trace and r["taskType"] == "DryPot"))
    w.until(lambda r: r["kind"] == "task.result" and r.get("traceId") == trace and r["taskType"] == "TurnPot")
    got = w.json("group", "show", "fan")
    equal((got["taskGroupId"], got["expectedCount"], sorted(got["completed"]), got["status"]), ("fan", 3, ["DryPot", "TurnPot"], "open"), "open")
    w.open("PaintPot")
    w.until(ended(trace))
    got = w.json("group", "show", trace)
    equal((sorted(got["completed"]), got["status"]), (sorted(SKILLS), "complete"), "complete")
    w.answers({"DryPot": {"fail": "it broke"}})
    trace = begin(w, "Fan")
    w.until(ended(trace))
    w.answers({})
    got = w.json("group", "show", trace)
    equal((got["status"], got["failed"]), ("failed", ["DryPot"]), "failed")


@case("TG-06", "two of three release after the second; the third is recorded as late and releases nothing; wait-any cancels the rest")
def two_of_three(w):
    w.close("PaintPot")
    w.close("StampIt")
    trace = begin(w, "Vote")
    w.until(lambda r: r["type"] == "RouteTaskToAgent" and r.get("taskType") == "StampIt" and r["traceId"] == trace)
    got = w.json("group", "show", trace)
    equal((got["status"], sorted(got["completed"]), got["joinStrategy"]), ("complete", ["DryPot", "TurnPot"], "N-of-M"), "after two")
    w.open("PaintPot")
    w.until(lambda r: r["kind"] == "task.result" and r.get("taskType") == "PaintPot" and r["traceId"] == trace)
    w.open("StampIt")
    records = w.until(ended(trace))
    equal(w.json("group", "show", trace)["late"], ["PaintPot"], "late")
    equal(len([r for r in records if r["type"] == "TaskGroupCompleted" and r["traceId"] == trace]), 1, "releases")
    equal(len(dispatched(records, "StampIt", trace)), 1, "what follows")
    w.close("TurnPot")
    w.close("PaintPot")
    trace = begin(w, "Any")
    records = w.until(ended(trace))
    began, done = tasks_of(records, trace)
    equal(sorted(done), ["DryPot", "StampIt"], "wait-any: results")


@case("TG-07", "TaskGroupCompleted exactly once, and what follows once, with results that come at the same time")
def once_under_load(w):
    w.close("TurnPot")
    traces = [begin(w, "Many", pots=[f"p{n}" for n in range(5)]) for _ in range(8)] + [begin(w, "Vote") for _ in range(8)]
    w.open("TurnPot")
    for trace in traces:
        w.until(ended(trace))
    records = w.records()
    for trace in traces:
        mine = [r for r in records if r.get("traceId") == trace]
        equal((len(of_type(mine, "TaskGroupCompleted")), len(dispatched(mine, "StampIt")), len(of_type(mine, "ManyCompleted", "VoteCompleted"))), (1, 1, 1), trace)


# ---- rules ----

SEED_RULE = """if:
  metadata.auth == "OAuth2"
then:
  route: ConfigureOAuth2
else if:
  metadata.auth == "JWT"
then:
  route: ConfigureJWTAuth
else:
  skip: true
"""
EVERYTHING = [*ASSEMBLY, "GenerateVisionBlueprint", "ImportBlueprint", "DesignPortsAndUseCases", "ConfigureJWTAuth", "ConfigureOAuth2", "ValidateBundle"]


def blueprint_answers(auth, ci=False):
    """Stubs for a whole build of one service, whose blueprint says what `auth` is."""
    metadata = {"auth": auth, "storage": "File", "features": [], "spa": False, "mobile": False, "gateway": {"enabled": False}, "ci": ci,
                "autoDeploy": False, "testScope": ["Unit"], "approvalRequired": False, "infrastructure": {"provision": False}}
    blueprint = {"schema": 1, "name": "Rules", "slug": "rules", "services": [], "frontend": {"spa": False, "mobile": False}, "gateway": {"enabled": False},
                 "infrastructure": None, "ci": ci, "autoDeploy": False, "testScope": ["Unit"], "approvalRequired": False}
    design = dict(service("Rule", auth=auth), jwt={"algorithm": "HS256"} if auth == "JWT" else None)
    return dict(ASSEMBLY, **{
        "GenerateVisionBlueprint": {"payload": {"blueprintId": "blueprint-000000000001", "modules": ["RuleService"], "capabilities": ["CreateRule"],
                                                "storage": "File", "auth": auth, "blueprint": blueprint, "metadata": metadata,
                                                "understood": [], "assumed": [], "notUnderstood": []}},
        "DesignPortsAndUseCases": {"payload": {"blueprintId": "blueprint-000000000001", "services": [design]}},
        "ValidateBundle": {"payload": {"result": "Passed", "validators": [{"name": "stub", "command": ["stub"], "exit": 0, "duration_ms": 1,
                                                                            "output_digest": "0" * 64, "passed": True}]}}})


def rules():
    with Workspace("rules") as w:
        w.ok("init")
        w.stub(EVERYTHING)
        w.start()
        for auth, routed in (("JWT", "ConfigureJWTAuth"), ("OAuth2", "ConfigureOAuth2"), (False, None)):
            three_results(w, auth, routed)
        minimal(w)
        skips_say_why(w)
        bad_rules(w)


@case("CD-01", "the seed's text gives one of its three results")
def three_results(w, auth, routed):
    equal((FACTORY / "rules/auth.yaml").read_text().strip(), SEED_RULE.strip(), "the factory's rule")
    w.answers(blueprint_answers(auth))
    trace = w.post("SubmitIntent", {"prompt": f"rules with {auth}", "source": "cli"})["traceId"]
    records = [r for r in w.until(built(trace)) if r.get("traceId") == trace]
    got = [s for s in ("ConfigureJWTAuth", "ConfigureOAuth2") if dispatched(records, s)]
    equal(got, [routed] if routed else [], f"auth {auth}")
    equal(records[-1]["type"], "build_completed", "the build")
    skipped = [r for r in of_type(records, "PathSkipped") if r["payload"].get("rule", "").startswith("auth/")]
    if routed is None:
        assert skipped, "no record of the skip"
        equal(entered(records, trace), STATES, "the service's states")
    w.ok("reject", "--why", "the next one")


@case("CD-13", "the plan of a minimal blueprint has no task of a part that is off")
def minimal(w):
    w.answers(blueprint_answers(False))
    trace = w.post("SubmitIntent", {"prompt": "a minimal one", "source": "cli"})["traceId"]
    records = [r for r in w.until(built(trace)) if r.get("traceId") == trace]
    off = {"ConfigureJWTAuth", "ConfigureOAuth2", "TriggerPipeline"}
    planned = {line.get("task") for line in w.json("plan", "show", trace)["lines"] if line.get("state") != "skipped"}
    equal(planned & off, set(), "planned")
    equal({r.get("taskType") for r in records} & off, set(), "in records")
    w.ok("reject", "--why", "the next one")


@case("CD-15", "a skipped path's record has the rule, the field and its value")
def skips_say_why(w):
    skipped = {r["payload"]["rule"]: r["payload"] for r in of_type(w.records(), "PathSkipped")}
    equal({key: skipped["ci"].get(key) for key in ("field", "value", "target")},
          {"field": "metadata.ci", "value": False, "target": "TriggerPipeline"}, "ci")
    equal({key: skipped["no-auth"].get(key) for key in ("field", "value")}, {"field": "item.auth", "value": False}, "no-auth")


@case("CD-14", "bad rules are refused with file and line; a missing field means else; deep nesting is refused, nothing crashes")
def bad_rules(w):
    bad = [("if:\n  metadata.auth ==\nthen:\n  route: ConfigureJWTAuth\n", "2"), ("if:\n  metadata.auth + \nthen:\n  skip: true\n", "2"),
           ("if:\n  nothing.auth == 1\nthen:\n  skip: true\n", "2"), ("if:\n  " + "(" * 5000 + "1" + ")" * 5000 + "\nthen:\n  skip: true\n", "2"),
           ("if:\n  metadata.auth == 1\nthen:\n  route: NoSuchThingAtAll\n", "4"), ("if:\n  metadata.auth == 1\nthan:\n  skip: true\n", "3"),
           ("rules: [{id: a, if: 'metadata.auth === 1', then: {skip: true}}]\n", "1")]
    for text, line in bad:
        path = w.file("rules/bad.yaml", text)
        done = w.cli("workflow", "validate")
        path.unlink()
        equal(done.returncode, 78, f"{text[:60]!r}: {done.stdout}{done.stderr}")
        assert f"rules/bad.yaml:{line}:" in done.stderr, f"{text[:60]!r}: {done.stderr}"
    # No such field, another type: not true, so the else branch.
    w.ok("serve", "--stop")
    w.file("factory-of-its-own/.keep", "")
    own = w.dir / "factory-of-its-own"
    shutil.rmtree(own)
    shutil.copytree(FACTORY, own)
    (own / "rules/auth.yaml").write_text("if:\n  metadata.nowhere.deeper == 1\nthen:\n  route: ConfigureOAuth2\nelse if:\n  metadata.auth > 3\nthen:\n"
                                         "  route: ConfigureOAuth2\nelse:\n  route: ConfigureJWTAuth\n")
    w.environment["MILLWRIGHT_FACTORY"] = str(own)
    w.answers(blueprint_answers("JWT"))
    w.start()
    trace = w.post("SubmitIntent", {"prompt": "fields that are not there", "source": "cli"})["traceId"]
    records = [r for r in w.until(built(trace)) if r.get("traceId") == trace]
    equal([s for s in ("ConfigureJWTAuth", "ConfigureOAuth2") if dispatched(records, s)], ["ConfigureJWTAuth"])


# ---- builds, artifacts, the command line: the factory's own agents, one real build, then quick ones ----

NOTES = {"name": "Jotter", "services": [{"serviceName": "NoteService", "storage": "File", "auth": False,
         "entities": [{"name": "Note", "fields": ["text: string required 1..200"]}], "useCases": ["CreateNote", "ListNotes"]}]}


def tree(folder):
    """{path: bytes} of every file below."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def builds():
    with Workspace("builds") as w:
        scaffold_only(w)
        w.ok("init")
        fresh_scaffold(w)
        one_build(w)


@case("BL-02", "init makes exactly the scaffold, whose JSON parses; again it changes nothing")
def scaffold_only(w):
    w.ok("init")
    want = ["app/app.json", "app/brand/theme_config.json", "app/config/ai.json", "app/config/shell.json", "app/ui/index.js", "app/ui/route_manifest.json"]
    equal(sorted(tree(w.dir)), want, "files")
    equal([(w.dir / "app" / name).is_dir() for name in ("modules", "workflows")], [True, True], "empty folders")
    for path in want:
        if path.endswith(".json"):
            json.loads((w.dir / path).read_text())
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in w.dir.rglob("*")}
    w.cli("init")
    equal({p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in w.dir.rglob("*")}, before, "after a second init")


@case("BL-03", "a host starts on a fresh scaffold; status says that there is no build yet")
def fresh_scaffold(w):
    w.start()
    text = w.ok("status")
    assert "no build yet" in text.lower(), text
    got = w.json("status")
    equal((got["builds"], got["versions"], got["exists"]), ([], [], {"scaffold": True, "staged": False, "promoted": False}), "status --json")
    equal(of_type(w.records(), "BuildRegistered", "build_started"), [], "records")


@case("CL-02", "init leaves no build record and no process behind; with --serve the host runs")
def init_only():
    with Workspace("bare") as w:
        w.ok("init")
        assert not (w.dir / ".millwright").exists() or not w.records(), "init wrote records"
        done = subprocess.run(["pgrep", "-f", str(w.dir)], capture_output=True, text=True)
        equal(done.stdout, "", "processes")
        w.ok("init", "--serve")
        shown = w.json("status")
        assert shown["host"] and shown["host"]["pid"] > 0, shown
        equal(of_type(w.records(), "BuildRegistered", "build_started"), [], "records with a host")
        equal(w.cli("init", "nosuch").returncode, 2, "an unknown template")


def one_build(w):
    blueprint = w.file("blueprint.json", json.dumps(NOTES))
    root = tree(w.dir / "app")
    done = w.cli("gen", "--blueprint", str(blueprint), "--json", timeout=120)
    lines = [json.loads(line) for line in done.stdout.split("\n") if line.strip()]
    assert done.returncode == 0, f"gen: {done.returncode} {done.stderr[-800:]}"
    result, records = lines[-1], lines[:-1]
    build = result["build_id"]
    staged = w.dir / "generated/apps" / result["app_id"] / build / "app"
    mine = [r for r in w.records(result["traceId"])]
    types = [r["type"] for r in mine]
    shown = w.json("build", "show", build)["build"]

    @case("BL-05", "the build is registered before the first staged file, with its five fields in the list")
    def registered():
        record = of_type(mine, "BuildRegistered")[0]
        listed = w.json("build", "list")["builds"][0]
        equal([bool(listed.get(key)) for key in ("build_registry_id", "app_id", "user_id", "name", "status")], [True] * 5, listed)
        equal(listed["build_registry_id"], record["payload"]["buildRegistryId"], "id")
        oldest = min(p.stat().st_mtime for p in staged.rglob("*") if p.is_file())
        import datetime
        said = datetime.datetime.fromisoformat(record["timestamp"].replace("Z", "+00:00")).timestamp()
        assert said < oldest, f"registered {said}, first file {oldest}"
        assert types.index("BuildRegistered") < types.index("StageBundle"), types

    @case("BL-09", "what was planned was said by runs: every document's record is inside one")
    def planned_by_runs():
        runs = {r["payload"]["run_id"] for r in mine if r["type"] == "loop.start"}
        for r in of_type(mine, "StrategicBlueprintGenerated", "PortsAndUseCasesReady"):
            assert r["sessionId"] in runs, r
        assert not any(r.get("emittedBy", "").lower() in ("cli", "shell") for r in mine), "said by a shell"

    @case("BL-10", "every generated file is under generated/apps/{app_id}/{build_id}/app")
    def staged_only():
        others = [p for p in tree(w.dir) if not p.startswith((".millwright/", "app/", str(staged.relative_to(w.dir)) + "/")) and p != "blueprint.json"]
        equal(others, [], "files elsewhere")
        assert len(tree(staged)) > 10, staged

    @case("BL-11", "the staged set holds app.json, brand, shell, database intent and the modules' files, all valid")
    def mandatory():
        files = tree(staged)
        for path in ("app.json", "brand/theme_config.json", "config/shell.json", "config/ai.json", "config/database_intent.json"):
            json.loads(files[path])
        assert any(p.startswith("services/note/src/") for p in files), list(files)

    @case("BL-12", "a whole build leaves app/ as it was, byte for byte")
    def untouched():
        equal(tree(w.dir / "app"), root)

    @case("BL-14", "no way to promotion without a validation record; the build has one")
    def validated():
        assert types.index("BundleStaged") < types.index("BuildValidated") < types.index("build_completed"), types
        equal(shown["validation"], "Passed")

    @case("BL-17", "build_started exactly once, before any step's output")
    def started():
        equal(types.count("build_started"), 1)
        assert types.index("build_started") < types.index("JourneyStepStarted") < types.index("StrategicBlueprintGenerated"), types

    @case("BL-18", "build_completed exactly once, after the last step")
    def completed():
        equal((types.count("build_completed"), types.count("build_failed")), (1, 0))
        assert types.index("build_completed") > max(i for i, t in enumerate(types) if t == "loop.complete"), types

    @case("BL-20", "one buildId in all lifecycle payloads; buildRegistryId from the registration on")
    def payloads():
        with_build = [r for r in mine if "buildId" in r.get("payload", {})]
        equal({r["payload"]["buildId"] for r in with_build}, {build}, "buildId")
        at = types.index("BuildRegistered")
        for r in of_type(mine, "build_started", "build_completed"):
            equal("buildRegistryId" in r["payload"], mine.index(r) >= at, r["type"])
        equal(shown["journey_instance_id"], build, "journey_instance_id")

    @case("BL-21", "four runs, one build in the list")
    def scoped():
        equal((types.count("loop.start"), len(w.json("build", "list")["builds"])), (4, 1))

    @case("BL-22", "build show has each identity object with its meaning")
    def identity():
        for key in ("build_registry_id", "app_id", "build_id", "journey_instance_id"):
            assert shown.get(key), (key, shown)
        equal(shown["workspace_root"], str(w.dir), "workspace_root")
        equal((w.dir / shown["app_root"]).resolve(), (w.dir / "app").resolve(), "app_root")
        equal((w.dir / shown["generated_app_dir"]).resolve(), staged.resolve(), "generated_app_dir")
        equal(shown["promoted"], False, "promoted")

    @case("CO-11", "the completion of a service is followed by RunTests, which goes to the QA agent by itself")
    def tests_follow():
        by_id = {r["messageId"]: r for r in mine}
        done = of_type(mine, "MicroserviceAssemblyCompleted")[0]
        asked = [r for r in mine if r.get("taskType") == "RunTests" and mine.index(r) > mine.index(done)]
        assert asked, "no RunTests after it"
        chain, at = [], asked[0]
        while at is not None:
            chain.append(at["type"])
            at = by_id.get(at.get("causationId"))
        assert "MicroserviceAssemblyCompleted" in chain or any(
            r.get("causationId") == done["messageId"] and r["type"] == "TaskGroupStarted" for r in mine), chain
        equal({r["agentId"] for r in dispatched(mine, "RunTests")}, {"qa-engineer"}, "agent")

    @case("AR-10", "review's counts are those of the tree")
    def summary():
        got = w.json("review", build)
        files = tree(staged)
        equal((got["files"]["count"], got["files"]["bytes"]), (len(files), sum(map(len, files.values()))))
        equal(sorted(f["path"] for f in got["files"]["list"]), sorted(files), "list")
        text = w.ok("review", build)
        assert "app.json" in text and str(len(files)) in text, text

    @case("AR-11", "each validator is recorded with name, command, exit, duration and output digest")
    def validators():
        got = w.json("review", build)["validation"]["validators"]
        assert len(got) >= 3, got
        for one in got:
            assert all(key in one for key in ("name", "command", "exit", "duration_ms", "output_digest")), one

    @case("CL-05", "gen writes what the API writes; accept and promote are no words under gen")
    def no_parallel():
        helped = w.ok("help", "gen")
        assert "--accept" not in helped and "--promote" not in helped, helped
        equal(w.cli("gen", "accept", build).returncode, 2, "gen accept")
        equal([r["type"] for r in records if r["traceId"] == result["traceId"]][:4], types[:4], "records that gen prints")
        with Workspace("api") as other:  # what a console would send
            other.ok("init", "--serve")
            other.post("SubmitIntent", {"blueprint": NOTES, "source": "studio", "traceId": "by-api"})
            other.until(lambda r: r["type"] in ("build_completed", "build_failed"), timeout=120)
            told = lambda all_types: sorted(t for t in all_types if t != "TaskQueued")  # how many wait is the machine's
            equal(told(r["type"] for r in other.records("by-api")), told(types), "records of gen and of the API")

    @case("CL-09", "run is there; an unknown argument is an error with exit 2, never prompt text")
    def unknown():
        for words in (["gen", "--no-such-thing", "x"], ["gnе"], ["review", "--nope"], ["run"], ["gen", "a", "b"]):
            equal(w.cli(*words).returncode, 2, words)

    for check in (registered, planned_by_runs, staged_only, mandatory, untouched, validated, started, completed, payloads, scoped, identity,
                  tests_follow, summary, validators, no_parallel, unknown):
        check()
    artifacts(w, build, staged, root)


def artifacts(w, first, staged, root):
    """From a draft to the app root, on the build that is there; later versions come from quick stubs."""

    @case("AR-17", "promote of a draft is refused with the reason; nothing changes")
    def no_draft():
        done = w.cli("promote", first)
        assert done.returncode in (1, 2, 75, 77), done
        assert "draft" in done.stderr or "accept" in done.stderr, done.stderr
        equal(tree(w.dir / "app"), root, "app/")

    @case("AR-21", "preview serves the staged bundle; app/ is as it was")
    def previewed():
        process = subprocess.Popen([rows_lib.PROGRAM, "preview", first, "--json"], cwd=w.dir, env=w.environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            ready = json.loads(process.stdout.readline())
            import urllib.request
            base = ready["services"][0]["url"].rstrip("/")
            asked = urllib.request.Request(f"{base}/notes", headers={"Authorization": f"Bearer {ready['token']}"})
            with urllib.request.urlopen(asked, timeout=10) as answer:
                equal(answer.status, 200, base)
            equal(tree(w.dir / "app"), root, "app/")
        finally:
            process.terminate()
            process.communicate(timeout=20)
        assert not (w.dir / "data").exists() or not tree(w.dir / "data"), "a preview wrote the app's data"

    @case("AR-05", "accept makes the draft the one current version of each family")
    def accepted():
        w.ok("accept", first)
        for family in w.json("artifact", "log")["families"]:
            equal([v["state"] for v in family["versions"]], ["current"], family["family"])
            equal(family["current"], 1, family["family"])

    @case("AR-16", "build and accept leave the app root as it was, until promote")
    def explicit():
        equal(tree(w.dir / "app"), root)
        equal(of_type(w.records(), "PromotionStarted"), [], "promotions")

    @case("AR-22", "the approval has an actor and a time")
    def who_when():
        said = of_type(w.records(), "ArtifactAccepted")
        assert said and all(r.get("actor", "").startswith("user:") and r["timestamp"].endswith("Z") for r in said), said
        decided = w.json("review", first)["decisions"]
        assert decided and all(d.get("actor") and d.get("at") for d in decided), decided

    @case("AR-18", "promote changes the root to the staged tree; its answer has the digest")
    def promoted():
        got = w.json("promote", first)
        equal((got["type"], got["version"]), ("promote.result", 1))
        equal(tree(w.dir / "app"), tree(staged), "app/ and the staged tree")
        equal(got["sha256"], w.json("build", "show", first)["build"]["sha256"], "sha256")

    @case("BL-15", "the phase goes from 6 to 7 only by a promotion with an actor")
    def phases():
        equal(w.json("build", "show", first)["build"]["phase"], 7)
        assert all(r.get("actor", "").startswith("user:") for r in of_type(w.records(), "PromotionStarted")), "no actor"

    @case("AR-14", "the promoted tree has the digest of the source")
    def same_digest():
        import hashlib
        listed = {f["path"]: f["sha256"] for f in w.json("review", first)["files"]["list"]}
        equal({p: hashlib.sha256(b).hexdigest() for p, b in tree(w.dir / "app").items()}, listed)

    for check in (no_draft, previewed, accepted, explicit, who_when, promoted, phases, same_digest):
        check()
    versions(w, first, staged)


def next_version(w, words, **blueprint):
    """One more build, tests and validation by a stub that is quick; (build id, staged folder)."""
    path = w.file(f"{words}.json", json.dumps(dict(NOTES, **blueprint)))
    got = w.json("gen", "--blueprint", str(path), timeout=120)
    return got["build_id"], w.dir / "generated/apps" / got["app_id"] / got["build_id"] / "app"


def versions(w, first, staged):
    w.ok("serve", "--stop")
    w.stub(["RunTests", "ValidateBundle"], answers={
        "RunTests": ASSEMBLY["RunTests"],
        "ValidateBundle": {"payload": {"result": "Passed", "validators": [{"name": "stub", "command": ["stub"], "exit": 0, "duration_ms": 1,
                                                                           "output_digest": "0" * 64, "passed": True}]}}})
    w.start()
    more = [dict(NOTES["services"][0], useCases=["CreateNote", "ListNotes", "DeleteNote"])]
    second, second_staged = next_version(w, "second", services=more)

    @case("AR-03", "the review's diff of a second version is what diff -u says")
    def unified():
        review = w.json("review", second)
        got = review["changes"]
        before, after = tree(staged), tree(second_staged)
        changed = sorted(p for p in before if p in after and before[p] != after[p])
        equal(sorted(c["path"] for c in got["list"] if c["change"] == "changed"), changed, "changed files")
        equal(sorted(c["path"] for c in got["list"] if c["change"] == "added"), sorted(set(after) - set(before)), "added files")
        assert changed, "nothing changed"
        done = subprocess.run(["diff", "-ruN", str(staged), str(second_staged)], capture_output=True, text=True)
        body = lambda text: [line for line in text.split("\n") if line and not line.startswith(("--- ", "+++ ", "diff "))]
        equal(review["diff_cut"], False, "cut")
        equal(body(review["diff"]), body(done.stdout), "the diff")

    @case("AR-01", "artifact log prints each version with its parent")
    def lineage():
        family = [f for f in w.json("artifact", "log", "app_bundle")["families"] if f["family"] == "app_bundle"][0]
        equal([(v["version"], v["parent"], v["state"]) for v in family["versions"]], [(1, None, "current"), (2, 1, "draft")])

    @case("AR-07", "reject archives the draft; the current version stays")
    def rejected():
        w.ok("reject", second, "--why", "not yet")
        family = [f for f in w.json("artifact", "log", "app_bundle")["families"] if f["family"] == "app_bundle"][0]
        equal([v["state"] for v in family["versions"]], ["current", "archived"])
        said = of_type(w.records(), "ArtifactRejected")
        assert said and said[-1].get("actor", "").startswith("user:") and said[-1].get("reason") == "not yet", said[-1:]
        equal(tree(w.dir / "app"), tree(staged), "app/")
        assert w.cli("accept", second).returncode != 0, "an archived draft was accepted"

    @case("AR-17", "promote of an archived version, of a superseded one and of a stale one is refused with the reason")
    def only_current():
        done = w.cli("promote", second)
        assert done.returncode not in (0, 70) and "archived" in done.stderr, (done.returncode, done.stderr)
        older, _ = next_version(w, "older", services=[dict(NOTES["services"][0], useCases=["CreateNote", "DeleteNote"])])
        third, third_staged = next_version(w, "third", services=[dict(NOTES["services"][0], useCases=["CreateNote", "ListNotes", "GetNote"])])
        w.ok("accept", third)
        family = [f for f in w.json("artifact", "log", "app_bundle")["families"] if f["family"] == "app_bundle"][0]
        equal([v["state"] for v in family["versions"]], ["superseded", "archived", "stale", "current"])
        for verb in ("promote", "accept"):
            done = w.cli(verb, older)
            assert done.returncode not in (0, 70) and "stale" in done.stderr, (verb, done.returncode, done.stderr)
        said = of_type(w.records(), "ArtifactStale")
        equal([(r["payload"].get("buildId"), r["payload"].get("reason") or r.get("reason")) for r in said], [(older, "version 4 was accepted")], "ArtifactStale")
        done = w.cli("promote", first)
        assert done.returncode not in (0, 70) and "superseded" in done.stderr, (done.returncode, done.stderr)
        equal(tree(w.dir / "app"), tree(staged), "app/")
        w.third = third, third_staged

    @case("CL-10", "promote --to what cannot hold an app is refused with what is wrong, changes nothing and is answered like any wrong path")
    def no_place():
        third = w.third[0]
        a_file, full, linked, dangling = w.top / "a-file", w.top / "full", w.top / "linked", w.top / "dangling"
        a_file.write_text("mine")
        full.mkdir()
        (full / "thesis.txt").write_text("mine")
        linked.symlink_to(full)
        dangling.symlink_to(w.top / "nowhere")
        def outside():
            return {path: text for path, text in tree(w.top).items() if not path.startswith(w.dir.name + "/")}

        odd = w.top / "odd"
        odd.mkdir()
        (odd / "\x1b[31mred").write_text("mine")
        before = outside()
        done = w.cli("promote", third, "--to", str(odd))
        assert done.returncode == 77 and "red" in done.stderr and "\x1b" not in done.stderr, repr(done.stderr)
        for target, code, why in ((a_file / "x", 2, "only a folder can hold it"), (a_file, 2, "is no folder"), (linked, 2, "is a link"),
                                  (dangling, 2, "is a link"), ("", 2, "wants a folder"), ("/", 2, "is not a target"), (w.top / ("n" * 300), 2, "too long"), (w.top / "n\udcff", 2, "UTF-8"),
                                  (w.top / "missing" / "x", 69, "has to be there before"), (full, 77, "thesis.txt"), (w.dir, 77, "holds the workspace"),
                                  (w.dir / ".millwright" / "x", 77, "lies in the workspace"), (w.top, 77, "holds the workspace")):
            done = w.cli("promote", third, "--to", str(target))
            assert done.returncode == code and why in done.stderr, (str(target), done.returncode, done.stderr)
        equal(outside(), before, "what stood there")
        story = w.cli("why", str(w.third[1] / "app.json")).stdout
        assert "\nnot promoted by" in story and "\npromoted by" not in story, story

    @case("CL-10", "promote --to another folder; an edited root is refused (77) with the list, --adopt-edits keeps and --discard-edits drops the edit")
    def edited():
        third, third_staged = w.third
        elsewhere = w.top / "elsewhere"
        w.ok("promote", third, "--to", str(elsewhere))
        equal(tree(elsewhere), tree(third_staged), "--to")
        w.ok("promote", third, "--to", str(elsewhere))  # again: nobody has edited it, whatever app/ holds
        equal(tree(w.dir / "app"), tree(staged), "app/ after --to")
        theme = w.dir / "app/brand/theme_config.json"  # a file that the new version does not change
        equal((staged / "brand/theme_config.json").read_bytes(), (third_staged / "brand/theme_config.json").read_bytes(), "the theme")
        theme.chmod(0o644)
        theme.write_text("{}\n")
        (w.dir / "app/mine.txt").write_text("mine\n")
        done = w.cli("promote", third)
        equal(done.returncode, 77, done.stderr)
        assert "brand/theme_config.json" in done.stderr and "mine.txt" in done.stderr, done.stderr
        equal((w.dir / "app/mine.txt").read_text(), "mine\n", "the edit")
        w.ok("promote", third, "--adopt-edits")
        after = tree(w.dir / "app")
        equal((after["brand/theme_config.json"], after["mine.txt"]), (b"{}\n", b"mine\n"), "adopted")
        for path, text in tree(third_staged).items():
            assert path == "brand/theme_config.json" or after[path] == text, path
        equal(w.cli("promote", third).returncode, 77, "edits that were adopted are still edits")
        w.ok("promote", third, "--adopt-edits")
        equal(tree(w.dir / "app"), after, "nothing new to adopt")
        fourth, fourth_staged = next_version(w, "fourth", services=[dict(NOTES["services"][0], useCases=["CreateNote"])])
        w.ok("accept", fourth)
        equal(w.cli("promote", fourth).returncode, 77, "edited before")
        w.ok("promote", fourth, "--adopt-edits")
        again = tree(w.dir / "app")
        equal((again["brand/theme_config.json"], again["mine.txt"]), (b"{}\n", b"mine\n"), "carried into the next version too")
        (w.dir / "app/mine.txt").write_text("mine, again\n")
        equal(w.cli("promote", fourth).returncode, 77, "edited again")
        w.ok("promote", fourth, "--discard-edits")
        equal(tree(w.dir / "app"), tree(fourth_staged), "discarded")

    @case("AR-19", "kill -9 during a promotion: the root is the old tree or the new one, and the next host finishes or clears")
    def killed():
        fifth, fifth_staged = next_version(w, "fifth", services=[dict(NOTES["services"][0], useCases=["CreateNote", "GetNote"])])
        w.ok("accept", fifth)
        old, new = tree(w.dir / "app"), tree(fifth_staged)
        seen = []
        reader = threading.Thread(target=lambda: seen.extend(w.until(lambda r: r["type"] == "PromotionStarted" and r["payload"].get("buildId") == fifth)))
        reader.start()
        asking = threading.Thread(target=lambda: w.cli("promote", fifth))
        asking.start()
        reader.join()
        w.kill()
        now = tree(w.dir / "app")
        assert now in (old, new), "mixed"
        asking.join()
        w.start()
        w.until(lambda r: r["type"] in ("AppPromoted", "PromotionFailed") and r["payload"].get("buildId") == fifth)
        assert tree(w.dir / "app") in (old, new), "mixed after recovery"
        equal([p.name for p in w.dir.iterdir() if p.name.startswith(".millwright-")], [], "left beside the root")

    @case("CL-11", "review in a terminal shows summary, files, diffs and checks, and names accept and reject")
    def terminal():
        text = w.ok("review", second)
        for word in ("summary", "files", "changes", "validation"):
            assert word in text.lower(), (word, text[:2000])

    for check in (unified, lineage, rejected, only_current, no_place, edited, killed, terminal):
        check()


@case("BL-19", "a failing second step of four: build_failed names it, and there is no build_completed")
def failing_step():
    with Workspace("failing") as w:
        w.ok("init")
        w.stub(["DesignPortsAndUseCases"], answers={"DesignPortsAndUseCases": {"fail": "no design today"}})
        w.file("policies/quick.yaml", "policies:\n  - {name: quick, skills: [DesignPortsAndUseCases], attempts: 1, reroutes: 0, timeout: 5s,"
                                      " backoff: {base: 10ms, factor: 1, cap: 10ms}, routing_attempts: 1, escalate: false}\n")
        blueprint = w.file("blueprint.json", json.dumps(NOTES))
        done = w.cli("gen", "--blueprint", str(blueprint), "--json")
        equal(done.returncode, 1, done.stderr)
        failed = of_type(w.records(), "build_failed")
        equal(len(failed), 1, "build_failed")
        equal(failed[0]["payload"].get("step"), 2, "the step")
        equal(w.json("build", "show")["build"]["workflow"], "DesignDocs", "its workflow")
        equal(of_type(w.records(), "build_completed"), [], "build_completed")


@case("BL-14", "a bundle whose validation fails is no draft and cannot be accepted or promoted")
def failing_validation():
    with Workspace("invalid") as w:
        w.ok("init")
        root = tree(w.dir / "app")
        answers = blueprint_answers(False)
        answers["ValidateBundle"]["payload"]["result"] = "Failed"
        w.stub(EVERYTHING, answers=answers)
        done = w.cli("gen", "what fails its checks", "--json")
        equal(done.returncode, 1, done.stderr)
        build = json.loads(done.stdout.strip().split("\n")[-1])["build_id"]
        for verb in ("accept", "promote"):
            assert w.cli(verb, build).returncode not in (0, 70), verb
        equal(tree(w.dir / "app"), root, "app/")


@case("P20", "a message that calls itself the tests' answer moves nothing, and is no report of tests")
def tests_by_talk():
    with Workspace("talk") as w:
        w.ok("init")
        answers = blueprint_answers(False)
        answers["ValidateBundle"]["payload"]["result"] = "Failed"
        w.stub(EVERYTHING, answers=answers)
        w.close("RunTests")
        w.start()
        trace = w.post("SubmitIntent", {"prompt": "tests that are only talked about"})["traceId"]
        asked = w.until(lambda r: r["type"] == "RouteTaskToAgent" and r["taskType"] == "RunTests")[-1]
        for result in ("Failed", "Passed"):
            body = message(trace, "TestResultsReady", {"result": result, "service": "gossip", "suites": [], "failures": []}, session=asked["sessionId"])
            equal(w.ask("POST", "/v1/messages", body)[0], 200, "published")
        after = w.records(trace)[-1]
        equal((after["kind"], after["type"]), ("message.published", "TestResultsReady"), "what followed")
        w.open("RunTests")
        w.until(ended(trace))
        told = [r for r in w.records(trace) if r["type"] == "TestsPassed"]
        assert told and all(r["seq"] > after["seq"] and "gossip" not in json.dumps(r) for r in told), f"passed by talk: {told}"
        assert "gossip" not in json.dumps(w.view("failure", trace=trace)), "the message is the cause"


def safe_names():
    with Workspace("names") as w:
        @case("CL-11", "what a blueprint calls itself reaches no terminal as something that it obeys")
        def named(w):
            blueprint = {"name": "Notes\x1b[2J", "services": [{"name": "NoteService", "use_cases": ["CreateNote"], "auth": False, "storage": "File"}]}
            trace = w.post("SubmitIntent", {"blueprint": blueprint})["traceId"]
            w.until(built(trace))
            for words in (("status",), ("review",), ("trace", "show", trace), ("reject", "--why", "x\x1b[2J"), ("status",)):
                done = w.cli(*words)
                assert "Notes" in done.stdout or words != ("status",), done.stdout
                assert "\x1b" not in done.stdout + done.stderr, f"{words}: {done.stdout!r} {done.stderr!r}"

        w.ok("init")
        w.start()
        named(w)


def held(part):
    try:
        part()
    except Exception as problem:  # a part that cannot go on has failed
        rows_lib.say(part.__name__, "goes through", " ".join(str(problem).split())[:1500] or type(problem).__name__)


def main():
    arguments = sys.argv[1:]
    if "--only" in arguments:
        at = arguments.index("--only")
        rows_lib.wanted = arguments[at + 1]
        del arguments[at:at + 2]
    rows_lib.PROGRAM = os.path.abspath(arguments[0])
    parts = {coordinators: "CO TG-04 CD-03", groups: "TG", rules: "CD", builds: "BL AR CL CO-11", init_only: "CL-02", failing_step: "BL-19",
             failing_validation: "BL-14", tests_by_talk: "P20", safe_names: "CL-11"}
    chosen = [part for part, rows in parts.items() if any(rows_lib.wanted.startswith(row) or row.startswith(rows_lib.wanted) for row in rows.split())]
    threads = [threading.Thread(target=held, args=(part,)) for part in chosen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return rows_lib.finish()


if __name__ == "__main__":
    sys.exit(main())
