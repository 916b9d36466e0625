"""The acceptance checks of the rows JR-01/18/19, MS, ST, AG, PL, FH, PQ, SH and SX-10 of the feature table, from outside: the program, its socket, its journal.

    rows_a.sh [PROGRAM] [ONLY]      default program: build/release/millwright; ONLY: part of a world's name or of a row's

Each world below is a workspace of its own; its cases print `ok ROW what` or `not ok ROW what`. Agents that play a part are scripts written here.
Nothing waits a fixed time: a wait follows the journal until the record is there, within a limit. Hosts that were started are ended.
"""
import datetime
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else str(TOP / "build/release/millwright")
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
PROMPT = "Build a NotificationService with MongoDB and JWT auth"
LIMIT_S = int(os.environ.get("MW_LIMIT", "60"))
failed = 0
world_of_cases = ""


def case(row, what, proof):
    """One case. proof is called; false, or anything that it raises, is a failure."""
    global failed
    if ONLY and ONLY not in row and ONLY not in world_of_cases:
        return
    try:
        held, why = proof(), ""
    except Exception as fault:  # whatever goes wrong in a proof is its failure, and the others go on
        held, why = False, f": {type(fault).__name__}: {fault}"
    failed += 0 if held else 1
    print(f"{'ok' if held else 'not ok'} {row} {what}{why}", flush=True)


def every(things):
    """All true, and there is at least one."""
    things = list(things)
    return bool(things) and all(things)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Workspace:
    """A folder with a host of its own. factory: a changed copy of the factory, or None for the real one."""

    def __init__(self, agents=(), policy=None, without_agents=()):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="mw-rows-"))
        self.root = self.top / "w"
        (self.root / ".millwright").mkdir(parents=True)
        self.environment = dict(os.environ, MILLWRIGHT_FACTORY=str(TOP / "factory"))
        if policy is not None or without_agents:
            copy = self.top / "factory"
            shutil.copytree(TOP / "factory", copy)
            self.environment["MILLWRIGHT_FACTORY"] = str(copy)
            if policy is not None:
                (copy / "policies/default.yaml").write_text(policy)
            for name in without_agents:
                (copy / f"agents/{name}.yaml").unlink()
        for name, definition, script in agents:
            folder = self.root / "agents"
            folder.mkdir(exist_ok=True)
            (folder / f"{name}.yaml").write_text(textwrap.dedent(definition))
            (folder / f"{name}.sh").write_text("#!/bin/sh\n" + textwrap.dedent(script))
            (folder / f"{name}.sh").chmod(0o755)
        self.socket = str(self.root / ".millwright/millwright.sock")
        self.host = None

    def start(self):
        self.host = subprocess.Popen([PROGRAM, "--workspace", str(self.root), "serve", "--foreground"],
                                     env=self.environment, stdin=subprocess.DEVNULL,
                                     stdout=open(self.top / "host.out", "w"), stderr=subprocess.STDOUT)
        end = time.monotonic() + 20
        while time.monotonic() < end and self.host.poll() is None:
            try:
                if self.get("/v1/hello")["state"] == "ready":
                    return self
            except (OSError, http.client.HTTPException, KeyError, ValueError):
                # The socket is not there yet: look at the process, not at the clock.
                try:
                    self.host.wait(0.01)
                except subprocess.TimeoutExpired:
                    pass
        raise RuntimeError("no host: " + (self.top / "host.out").read_text()[-500:])

    def stop(self, how=signal.SIGTERM):
        if self.host is not None and self.host.poll() is None:
            self.host.send_signal(how)
            self.host.wait(20)
        self.host = None

    def end(self):
        self.stop()
        if not os.environ.get("MW_KEEP"):
            shutil.rmtree(self.top, ignore_errors=True)

    def ask(self, method, path, body=None, timeout=LIMIT_S):
        connection = UnixConnection(self.socket, timeout)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json", "Millwright-Path": os.environ["PATH"]})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def get(self, path):
        return self.ask("GET", path)[1]

    def post(self, path, body):
        return self.ask("POST", path, body)

    def records(self, trace=None):
        """What is on the disk, without the host."""
        lines = []
        for segment in sorted((self.root / ".millwright/journal").glob("*.jsonl")):
            whole = segment.read_bytes().rpartition(b"\n")[0]  # a running host may be writing the line after it
            lines += [json.loads(line) for line in whole.splitlines()]
        lines = [line for line in lines if "frame" not in line]
        return [r for r in lines if r["traceId"] == trace] if trace else lines

    def follow(self, wanted, after=0, limit_s=LIMIT_S):
        """Records after a number until wanted(record) says that this is the last one; they are returned."""
        connection = UnixConnection(self.socket, limit_s)
        seen = []
        end = time.monotonic() + limit_s
        try:
            connection.request("GET", f"/v1/journal?after={after}&follow=1")
            stream = connection.getresponse()
            while time.monotonic() < end:
                record = json.loads(stream.readline())
                seen.append(record)
                if wanted(record):
                    return seen
        finally:
            connection.close()
        raise RuntimeError("the record did not come")

    def run(self, *words, stdin=None):
        return subprocess.run([PROGRAM, "--workspace", str(self.root), *words], env=self.environment,
                              input=stdin if stdin is not None else "", capture_output=True, text=True, timeout=LIMIT_S)

    def read(self, *words):
        """A reading verb's JSON."""
        done = self.run(*words, "--json")
        if done.returncode != 0:
            raise RuntimeError(f"{words}: exit {done.returncode}: {done.stderr[-300:]}")
        return json.loads(done.stdout)


def micros_of(text):
    return int(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000000)


def types(records, *wanted):
    return [r for r in records if r["type"] in wanted]


def is_utc(text):
    return re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text) is not None


# ---- a whole life: prompt, draft, acceptance, promotion; then the journal is looked at ----

def whole_life(w):
    w.start()
    begun = w.post("/v1/intents", {"prompt": PROMPT, "source": "cli", "priority": "normal", "parentTraceId": "caller-7",
                                   "messageId": "01a1f74b-a1f6-727f-87c3-a2816bc7df3d", "actor": "user:tester"})[1]
    trace = begun["traceId"]
    # MS-13: the same message five times.
    repeats = [w.post("/v1/intents", {"prompt": PROMPT, "source": "cli", "priority": "normal", "parentTraceId": "caller-7",
                                      "messageId": "01a1f74b-a1f6-727f-87c3-a2816bc7df3d", "actor": "user:tester"})[1]
               for _ in range(4)]
    case("MS-13", "the same message five times is one change of state",
         lambda: every(a["duplicate"] and a["first"] == begun["first"] and a["traceId"] == trace for a in repeats)
         and len(types(w.records(), "ProductIntentSubmitted")) == 1)
    w.follow(lambda r: r["type"] == "PlanPart")
    plan = w.read("plan", "show", trace)
    case("PL-06", "the plan names task, receiver, purpose and what each waits for, before it is carried out",
         lambda: every("receiver" in row for row in plan["lines"])
         and {"GenerateHandler", "GenerateAdapter", "RunTests", "CreatePullRequest"} <= {row.get("task") for row in plan["lines"]}
         and any("after" in row for row in plan["lines"])
         and any(row.get("state") not in ("completed",) for row in plan["lines"]))
    w.follow(lambda r: r["type"] in ("build_completed", "build_failed"))
    before = b"".join(p.read_bytes() for p in sorted((w.root / ".millwright/journal").glob("*.jsonl")))
    prefix = hashlib.sha256(before).hexdigest()
    trace_open = w.read("trace", "show", trace)
    accepted = w.run("accept")
    promoted = w.run("promote", "--json")
    w.follow(lambda r: r["type"] == "TraceEnded")
    after = b"".join(p.read_bytes() for p in sorted((w.root / ".millwright/journal").glob("*.jsonl")))
    all_records = w.records()
    records = w.records(trace)
    case("JR-01", "after more work the first bytes of the journal are the same, and every line is a JSON object",
         lambda: len(after) > len(before) and hashlib.sha256(after[:len(before)]).hexdigest() == prefix
         and every(isinstance(json.loads(line), dict) for line in after.splitlines()))
    ms(records)
    st(records, trace, trace_open, w.read("trace", "show", trace))
    pl(w, records, trace)
    pq(w, records, trace)
    jr19(w, records, trace, accepted, promoted)
    used = w.post("/v1/intents", {"prompt": "Build a TaskService with File storage", "traceId": trace})
    case("PL-02", "a client's traceId that is in use already is refused",
         lambda: used[0] == 409 and used[1]["error"]["pointer"] == "/traceId")
    ag_registry(w)
    offline(w, trace, all_records)


def ms(records):
    required = ("traceId", "sessionId", "componentTag", "timestamp", "payload")
    case("MS-01", "every record of the trace has the five required members and a type",
         lambda: every(all(k in r for k in required) and isinstance(r["payload"], dict) and r["type"] for r in records))
    made = types(records, "StrategicBlueprintGenerated")[0]
    later = [r for r in records if r["seq"] >= made["seq"]]
    case("MS-02", "every message from StrategicBlueprintGenerated on carries its blueprintId; parentTraceId is the submitted one",
         lambda: every(r["blueprintId"] == made["payload"]["blueprintId"] for r in later)
         and every(r["parentTraceId"] == "caller-7" for r in types(records, "ProductIntentSubmitted")))
    case("ST-04", "no message of the trace is without blueprintId after the blueprint is there",
         lambda: every(r.get("blueprintId") for r in later))
    case("MS-03", "every timestamp is UTC in ISO 8601", lambda: every(is_utc(r["timestamp"]) for r in records))
    commands = [r for r in records if "targetAgent" in r]
    case("MS-04", "a dispatched command has type, ids, tag, target and payload, and its target is the chosen agent",
         lambda: every(r["targetAgent"] == r["agentId"] == r["routing"]["chosen"] for r in types(commands, "RouteTaskToAgent")))
    case("MS-05", "every record is a command with a target or an event with emittedBy, and never both",
         lambda: every(("targetAgent" in r) != (bool(r.get("emittedBy"))) for r in records))
    pascal = re.compile(r"([A-Z][a-z0-9]*)+|loop\.[a-z]+|iteration\.[a-z]+|build_(started|completed|failed)")
    own = {"app_id", "user_id", "run_id", "project_dir", "work_dir", "created_at", "parent_run_id"}
    case("MS-06", "types are PascalCase or the contract's own spelling, and envelope members camelCase",
         lambda: every(pascal.fullmatch(re.sub("(PR|IaC|UI)", "X", r["type"])) for r in records)
         and every(re.fullmatch(r"[a-z][a-zA-Z0-9]*", k) for r in records for k in r))
    case("MS-13", "message ids are unique", lambda: len({r["messageId"] for r in records}) == len(records))
    ids = {r["messageId"]: r["seq"] for r in records}
    first = records[0]
    asked = {r["causationId"] for r in records if "requestHash" in r}
    case("MS-14", "every record is caused by an earlier one or by a request: planned, emitted, processed, event, next",
         lambda: every(ids.get(r["causationId"], 1 << 60) < r["seq"] or r["causationId"] in asked for r in records[1:]) and len(asked) == 3
         and first["causationId"] == "01a1f74b-a1f6-727f-87c3-a2816bc7df3d")
    by_id = {r["messageId"]: r for r in records}

    def chain(record):
        while record is not None:
            yield record["type"]
            record = by_id.get(record["causationId"])
    way = list(chain(types(records, "PullRequestCreated")[0]))
    case("MS-14", "from the pull request the causes lead over states, tasks, runs and steps back to the intent",
         lambda: way[-1] == "ProductIntentSubmitted" and {"RouteTaskToAgent", "AssemblyStageCompleted", "TestResultsReady",
                                                         "iteration.start", "loop.start", "JourneyStepStarted"} <= set(way))
    dispatched = {r["messageId"]: r for r in types(records, "RouteTaskToAgent")}
    case("MS-14", "each command's result names the command as its cause",
         lambda: every(r["causationId"] in dispatched and dispatched[r["causationId"]]["taskId"] == r["taskId"]
                       for r in records if r["kind"] == "task.result"))


def st(records, trace, was, now):
    case("ST-01", "the intent has one traceId and all later records carry it",
         lambda: records[0]["type"] == "ProductIntentSubmitted" and every(r["traceId"] == trace for r in records))
    scopes = {t: {r["sessionId"] for r in types(records, t)} for t in
              ("StrategicBlueprintGenerated", "PortsAndUseCasesReady", "StartMicroserviceAssembly", "CommitComplete")}
    case("ST-02", "scopes of one trace have session ids of their own",
         lambda: len(scopes["StrategicBlueprintGenerated"] | scopes["PortsAndUseCasesReady"] | scopes["StartMicroserviceAssembly"]) == 3
         and scopes["CommitComplete"] == scopes["StartMicroserviceAssembly"])
    case("ST-03", "every component tag is AgentType:Task",
         lambda: every(re.fullmatch(r"[A-Za-z]+:[A-Za-z0-9]+", r["componentTag"]) for r in records)
         and any(r["componentTag"] == "BackendDeveloperAgent:SendNotificationHandler" for r in records))
    opened = {}
    for r in types(records, "StartAgentSession"):
        opened.setdefault(r["sessionId"], r["seq"])
    case("ST-08", "StartAgentSession opens each scope before its first task",
         lambda: every(opened.get(r["sessionId"], 1 << 60) < r["seq"] for r in types(records, "RouteTaskToAgent")))
    ended = types(records, "TraceEnded")[0]
    case("ST-11", "the trace is completed after MicroserviceAssemblyCompleted and TestsPassed, and not before",
         lambda: was["state"] != "completed" and now["state"] == "completed" and ended["outcome"] == "completed"
         and every(r["seq"] < ended["seq"] for r in types(records, "MicroserviceAssemblyCompleted"))
         and every(r["seq"] < ended["seq"] for r in types(records, "TestsPassed")))


def pl(w, records, trace):
    intent = records[0]
    case("PL-02", "ProductIntentSubmitted is the trace's first record, with its five members",
         lambda: intent["type"] == "ProductIntentSubmitted" and intent["payload"]["traceId"] == trace
         and intent["payload"]["userPrompt"] == PROMPT and intent["payload"]["source"] == "cli"
         and intent["payload"]["priority"] == "normal" and is_utc(intent["payload"]["submittedAt"]))
    made = types(records, "StrategicBlueprintGenerated")[0]
    asked = [r for r in types(records, "RouteTaskToAgent") if r["taskType"] == "GenerateVisionBlueprint"]
    case("PL-03", "a prompt is given to the vision architect", lambda: len(asked) == 1 and asked[0]["payload"]["prompt"] == PROMPT)
    case("PL-04", "StrategicBlueprintGenerated has its members, and the blueprint is found again by its id",
         lambda: made["payload"]["modules"] == ["NotificationService"] and made["payload"]["capabilities"]
         and made["payload"]["storage"] == "MongoDB" and made["payload"]["auth"] == "JWT"
         and w.read("show", made["payload"]["blueprintId"]))
    ready = types(records, "PortsAndUseCasesReady")[0]
    started = types(records, "StartMicroserviceAssembly")
    case("PL-16", "vision, then ports and use cases, then the assembly",
         lambda: every(made["seq"] < ready["seq"] < r["seq"] for r in started))
    case("PL-07", "the prompt alone was enough: nobody was asked",
         lambda: not types(records, "ClarificationNeeded") and types(records, "build_completed"))


def pq(w, records, trace):
    build = types(records, "build_completed")[0]["payload"]["buildId"]
    blueprint = types(records, "StrategicBlueprintGenerated")[0]["payload"]["blueprintId"]
    repository = w.root / ".millwright/repos" / build
    log = subprocess.run(["git", "-c", "safe.directory=*", "-C", str(repository), "log", "--all", "--format=%H%n%B"],
                         capture_output=True, text=True).stdout
    done = types(records, "CommitComplete")[0]
    case("PQ-01", "git log shows the commit of CommitComplete, with trailers of the trace",
         lambda: done["payload"]["commit"] in log and f"Trace-Id: {trace}" in log and f"Blueprint-Id: {blueprint}" in log)
    results = types(records, "TestResultsReady")[0]["payload"]
    case("PQ-02", "TestResultsReady has result, coverage and traceId, and the result is what the commands' exit codes say",
         lambda: results["traceId"] == trace and re.fullmatch(r"\d+%", results["coverage"])
         and results["result"] == ("Passed" if all(s["exit"] == 0 for s in results["suites"]) else "Failed")
         and any("node" in s["command"][0] for s in results["suites"]))
    request = [r for r in types(records, "RouteTaskToAgent") if r["taskType"] == "RunTests"][0]["payload"]
    case("PQ-02", "RunTests names service, scopes and branch",
         lambda: request["service"] == "NotificationService" and request["branch"] == "feature/notification"
         and request["testScope"] and set(request["testScope"]) <= {"Unit", "Integration", "E2E"})
    case("PQ-03", "each scope that was asked for is answered for, with the command that ran",
         lambda: results["testScope"] == request["testScope"] == ["Unit", "Integration"] and every(s["command"] for s in results["suites"])
         and any(s["name"] == "service tests" for s in results["suites"]))
    pull = types(records, "PullRequestCreated")[0]
    wanted = [r for r in types(records, "RouteTaskToAgent") if r["taskType"] == "CreatePullRequest"][0]["payload"]
    file = pathlib.Path(pull["payload"]["url"].removeprefix("file://"))
    case("PQ-04", "CreatePullRequest has branch, target and title; PullRequestCreated has url and status, in a plain local repository",
         lambda: wanted["branch"] and wanted["targetRepo"] and wanted["title"] and pull["payload"]["status"] == "open" and file.is_file())
    written = json.loads(file.read_text()) if file.is_file() else {}
    case("PQ-11", "the pull request holds traceId, blueprintId, sessionId and the coordinator's version",
         lambda: written["traceId"] == trace and written["blueprintId"] == blueprint
         and written["sessionId"] == pull["sessionId"] and re.fullmatch(r"\d+\.\d+\.\d+", written["coordinator"]["version"]))
    ended = types(records, "MicroserviceAssemblyCompleted")[0]
    case("PQ-06", "MicroserviceAssemblyCompleted names trace, session, service and pull request",
         lambda: ended["payload"]["traceId"] == trace and ended["payload"]["sessionId"] == ended["sessionId"]
         and ended["payload"]["service"] == "NotificationService" and ended["payload"]["pullRequest"] == pull["payload"]["url"])
    groups = [r for r in types(records, "TaskGroupStarted") if r["payload"]["taskGroupId"] == "postAssemblyFlow"]
    inside = [r["taskType"] for r in types(records, "TaskQueued") if groups and r["sessionId"] == groups[0]["sessionId"]]
    skipped = [r["payload"] for r in types(records, "PathSkipped")]
    case("PQ-06", "postAssemblyFlow opens once, after the assembly, in a session of its own: tests, pull request, pipeline (by rule)",
         lambda: len(groups) == 1 and groups[0]["seq"] > ended["seq"] and groups[0]["sessionId"] != ended["sessionId"]
         and inside == ["RunTests", "CreatePullRequest"] and any(p["target"] == "TriggerPipeline" and p["rule"] == "ci" for p in skipped))


def jr19(w, records, trace, accepted, promoted):
    kinds = {r["kind"] for r in w.get(f"/v1/views/trace?trace={trace}").get("records", [])} or {r["kind"] for r in records}
    case("JR-19", "the trace's own records hold intent, plan, task, agent, approval and promotion",
         lambda: accepted.returncode == 0 and promoted.returncode == 0
         and {"intent.submitted", "plan.part", "task.dispatched", "artifact.accepted", "app.promoted"} <= kinds)

    def every_file():
        files = [p for p in (w.root / "app/services").rglob("*.js") if "/src/" in str(p)][:3]
        answers = [json.dumps(w.read("why", str(p.relative_to(w.root)))) for p in files]
        return every(trace in a and PROMPT in a and '"decision": "accepted"' in a and '"decision": "promoted"' in a and re.search(r't-[0-9a-f]+-\d+', a)
                     and re.search(r'"(backend-developer|service-scaffolder|adapter-generator|security-architect)"', a) for a in answers)
    case("JR-19", "for a promoted file, why names prompt, trace, task, agent and who accepted", every_file)


def ag_registry(w):
    dry = w.read("route", "--task", "GenerateHandler", "--domain", "Notifications")
    case("AG-05", "a dry run of routing prints the agent and the scores, and starts nothing",
         lambda: dry["agentId"] == "backend-developer" and every(c["score"] >= 100 for c in dry["candidates"]))
    case("AG-14", "what passed each filter is said beside the candidates",
         lambda: dry["filters"] == {"skill": 1, "domain": 1, "healthy": 1, "free": 1})
    nobody = w.read("route", "--task", "GenerateNothing")
    case("AG-06", "a skill that nobody has is given to nobody", lambda: nobody["agentId"] in (None, "") and nobody["candidates"] == [])
    file = w.top / "extra.json"
    file.write_text(json.dumps({"agent_id": "extra", "agent_type": "Extra Agent", "skills": ["GenerateHandler"], "domains": ["Notifications"],
                                "tier": 70, "backend": {"kind": "command", "argv": ["/bin/true"]}}))
    registered = w.run("agent", "register", str(file))
    chosen = w.read("route", "--task", "GenerateHandler", "--domain", "NotificationService")
    listed = {a["agentId"] for a in w.read("agent", "list")["agents"]}
    removed = w.run("agent", "remove", "extra")
    case("AG-05", "an agent that registers is listed and chosen by its tier, and gone when it is removed",
         lambda: registered.returncode == 0 and "extra" in listed and chosen["agentId"] == "extra" and removed.returncode == 0
         and "extra" not in {a["agentId"] for a in w.read("agent", "list")["agents"]})


def offline(w, trace, known):
    verbs = [("status",), ("agent", "list"), ("trace", "list"), ("trace", "show", trace), ("plan", "show", trace), ("build", "list"),
             ("artifact", "list"), ("inbox",), ("review",), ("coordinator", "list"), ("route", "--task", "RunTests"), ("verify",)]
    live = w.get("/v1/views/state")
    w.stop()
    answers = {}
    for verb in verbs:
        answers[verb] = w.run(*verb, "--json")
    case("SH-01", "the reading verbs have --json and work with no server running",
         lambda: every(json.loads(a.stdout) is not None and a.returncode == 0 for a in answers.values()) and not os.path.exists(w.socket))
    count = len(w.records())
    first = json.loads(answers[("verify",)].stdout)
    w.start()
    replayed = w.records()[count:]
    case("JR-18", "replaying the finished trace gives the same state by its hash, and asks no agent",
         lambda: re.fullmatch(r"[0-9a-f]{64}", live["sha256"]) and live["sha256"] == first["state_sha256"] and live["seq"] == first["state_seq"]
         and w.get("/v1/views/state")["sha256"] == w.read("verify")["state_sha256"] and not types(replayed, "RouteTaskToAgent"))


# ---- words from outside ----

def stub(name, skills, tier=90, extra=""):
    return f"""\
        agent_id: {name}
        agent_type: Stub Vision Agent
        skills: [{skills}]
        tier: {tier}
        backend: {{kind: command, argv: ["./{name}.sh"]}}
        {extra}
        """


BLUEPRINT_ANSWER = ('{"type":"StrategicBlueprintGenerated","payload":{"blueprintId":"blueprint-of-stub","modules":["A"],"capabilities":[],'
                    '"storage":"File","auth":false}}')
ONE_TRY = """\
policies:
  - {name: default, skills: ["*"], attempts: 1, reroutes: 0, backoff: {base: 50ms, factor: 2, cap: 60s}, timeout: 30s, routing_attempts: 2, escalate: true}
concurrency: 8
"""


def messages(w):
    w.start()
    w.post("/v1/requests/RemoveAgent", {"agentId": "vision-architect"})
    trace = w.post("/v1/requests/StartRun", {"workflow": "ValueEngine", "prompt": "anything", "traceId": "words"})[1]["traceId"]
    asked = w.follow(lambda r: r["type"] == "RouteTaskToAgent" and r["agentId"] == "human-reviewer")
    session = asked[-1]["sessionId"]
    good = {"type": "WeatherChanged", "traceId": trace, "sessionId": session, "componentTag": "OutsideAgent:Weather",
            "timestamp": "2025-05-04T13:10:00Z", "emittedBy": "outside", "payload": {"sky": "blue"}}
    for key in ("traceId", "sessionId", "componentTag", "timestamp", "payload", "type"):
        answer = w.post("/v1/messages", {k: v for k, v in good.items() if k != key})
        case("MS-01", f"a message without {key} is refused, and the refusal names it",
             lambda a=answer, k=key: a[0] == 400 and a[1]["error"]["pointer"] == "/" + k and k in a[1]["error"]["message"])
    for local in ("2025-05-04T13:10:00", "2025-05-04T13:10:00+02:00", "yesterday"):
        answer = w.post("/v1/messages", dict(good, timestamp=local))
        case("MS-03", f"the time {local} is refused", lambda a=answer: a[0] == 400 and a[1]["error"]["pointer"] == "/timestamp")
    command = {k: v for k, v in good.items() if k != "emittedBy"}
    without = w.post("/v1/messages", command)
    case("MS-05", "an event without emittedBy is refused", lambda: without[0] == 400 and without[1]["error"]["pointer"] == "/emittedBy")
    empty = w.post("/v1/messages", dict(command, type="GenerateHandler", targetAgent=""))
    given = w.post("/v1/messages", dict(command, type="GenerateHandler", targetAgent="backend-developer"))
    case("MS-04", "a command without target is refused, and nobody but the control plane gives one",
         lambda: empty[0] in (400, 403) and given[0] == 403)
    for name in ("weather changed", "WEATHER", "weather_changed"):
        answer = w.post("/v1/messages", dict(good, type=name))
        case("MS-06", f"the event name '{name}' is refused", lambda a=answer: a[0] == 400 and a[1]["error"]["pointer"] == "/type")
    before = len(w.records())
    told = [w.post("/v1/messages", dict(good, messageId="01a1f74b-a1f6-727f-87c3-a2816bc7df3e")) for _ in range(5)]
    seen = types(w.records()[before:], "WeatherChanged")
    case("MS-13", "an event that is delivered five times is one record",
         lambda: every(a[0] == 200 for a in told) and len(seen) == 1 and seen[0]["emittedBy"] == "outside" and seen[0]["payload"] == {"sky": "blue"})
    tail = json.loads(w.run("events", "--type", "WeatherChanged", "--json").stdout)
    case("MS-05", "observers see the event", lambda: tail["type"] == "WeatherChanged" and tail["sessionId"] == session)


# ---- failures ----

TRIES = """\
policies:
  - {name: default, skills: ["*"], attempts: 3, reroutes: 0, backoff: {base: 200ms, factor: 2, cap: 60s}, timeout: 5m, routing_attempts: 3, escalate: true}
concurrency: 8
"""


def slow(w):
    w.start()
    w.post("/v1/requests/StartRun", {"workflow": "ValueEngine", "prompt": "slow"})
    records = w.follow(lambda r: r["type"] == "TaskEscalated")
    out = types(records, "TaskTimedOut")
    asked = [r for r in types(records, "RouteTaskToAgent") if r["agentId"] == "slow"]
    case("FH-01", "an agent that sleeps is timed out within its SLA and a second, with the time that passed",
         lambda: every(300 <= r["payload"]["elapsedMs"] < 1300 and r["payload"]["limitMs"] == 300 for r in out)
         and every(r["traceId"] and r["sessionId"] and r["componentTag"] for r in out))
    at = [micros_of(r["timestamp"]) for r in asked]
    gaps = [b - a - 300000 for a, b in zip(at, at[1:])]
    case("FH-06", "the same agent is tried again, later by the factor each time, and not more often than the policy says",
         lambda: len(asked) == 3 and len(out) == 3 and gaps[0] >= 200000 and gaps[1] >= 400000 and gaps[1] > 1.4 * gaps[0])
    last = records[-1]
    case("FH-06", "in the end a person is asked, by name, for a reason",
         lambda: last["payload"]["taskType"] == "GenerateVisionBlueprint" and last["payload"]["reason"]
         and last["payload"]["escalationTarget"] == "HumanReviewerAgent")
    item = w.read("inbox")
    case("FH-06", "and the item is in the inbox", lambda: "GenerateVisionBlueprint" in json.dumps(item))


def failing(w):
    w.start()
    w.post("/v1/requests/StartRun", {"workflow": "ValueEngine", "prompt": "failing"})
    records = w.follow(lambda r: r["type"] == "TaskEscalated")
    broken = types(records, "TaskFailed")
    case("FH-02", "an agent that exits with 1 has failed, and the policy acts on it",
         lambda: every(r["agentId"] == "broken" if "agentId" in r else True for r in broken) and len(broken) == 3
         and len(types(records, "RetryScheduled")) == 2 and broken[0]["errorClass"] and broken[0]["reason"])


def nobody(w):
    w.start()
    w.post("/v1/requests/RemoveAgent", {"agentId": "vision-architect"})
    w.post("/v1/requests/StartRun", {"workflow": "ValueEngine", "prompt": "nobody"})
    records = w.follow(lambda r: r["type"] == "TaskEscalated")
    missing, lost = types(records, "AgentNotFound"), types(records, "RoutingFailed")
    case("FH-03", "nobody with the skill: AgentNotFound for each attempt, then one RoutingFailed, then TaskEscalated",
         lambda: len(missing) == 2 and len(lost) == 1 and missing[-1]["seq"] < lost[0]["seq"] < records[-1]["seq"]
         and lost[0]["payload"]["taskType"] == "GenerateVisionBlueprint")
    case("AG-14", "a routing decision that found nobody lists candidates and what each filter left",
         lambda: every(r["routing"]["candidates"] == [] and r["routing"]["filters"]["skill"] == 0 for r in missing))


LATE_SCRIPT = """\
    cat >/dev/null
    # Deaf to being asked to end: it answers while attempt 2 is at work.
    trap '' TERM
    while [ ! -e "${0%/*}/late-answers" ]; do sleep 0.02; done
    printf '%s\\n' '""" + BLUEPRINT_ANSWER + """'
    """


def late(w):
    w.start()
    w.post("/v1/requests/StartRun", {"workflow": "ValueEngine", "prompt": "late", "traceId": "late"})
    # Each waits for its word, so that a busy machine changes nothing in the order.
    w.follow(lambda r: r["type"] == "RouteTaskToAgent" and r["attempt"] == 2)
    (w.root / "agents/late-answers").touch()
    w.follow(lambda r: r["type"] == "TaskResultLate")
    (w.root / "agents/quick-answers").touch()
    records = w.follow(lambda r: r["type"] == "TraceEnded")
    done = types(records, "StrategicBlueprintGenerated")
    asked = types(records, "RouteTaskToAgent")
    case("FH-16", "attempt 1 is over when it answers: attempt 2's result alone counts, once",
         lambda: len(done) == 1 and done[0]["attempt"] == 2 and asked[0]["agentId"] == "late" and done[0]["emittedBy"] == "quick"
         and len([r for r in records if r["kind"] == "task.result" and r["outcome"] == "completed"]) == 1 and records[-1]["outcome"] == "completed")
    kept = types(records, "TaskResultLate")
    case("FH-16", "the late answer is recorded as late, with the attempt that it belongs to",
         lambda: len(kept) == 1 and kept[0]["fence"] == asked[0]["seq"] and kept[0]["seq"] < done[0]["seq"])


# ---- what an agent is given, and what it may touch ----

PRY = """\
    task=$(cat)
    touched=
    cat /etc/shadow >/dev/null 2>&1 && touched="$touched shadow"
    (echo x > "PRY_HOME/pried") 2>/dev/null && touched="$touched home"
    (echo x > "PRY_VAULT") 2>/dev/null && touched="$touched vault"
    cat "PRY_VAULT" >/dev/null 2>&1 && touched="$touched vaultread"
    printf '{"type":"StrategicBlueprintGenerated","payload":{"blueprintId":"blueprint-of-stub","touched":"%s","task":%s}}\\n' "$touched" "$task"
    """


def prying(w):
    vault = w.root / ".millwright/vault"
    vault.write_text("secret")
    home = w.top / "home"
    home.mkdir()
    script = w.root / "agents/pry.sh"
    script.write_text(script.read_text().replace("PRY_HOME", str(home)).replace("PRY_VAULT", str(vault)))
    w.start()
    w.post("/v1/requests/StartRun", {"workflow": "ValueEngine", "prompt": "pry", "traceId": "prying"})
    records = w.follow(lambda r: r["type"] == "TraceEnded")
    said = types(records, "StrategicBlueprintGenerated")
    sent = types(records, "RouteTaskToAgent")[0]
    task = said[0]["payload"]["task"] if said else {}
    case("SX-10", "an agent cannot read /etc/shadow, write to the home folder, or read or write the vault",
         lambda: said[0]["payload"]["touched"] == "" and vault.read_text() == "secret" and not (home / "pried").exists())
    case("AG-12", "the command has the contract's keys, in the journal and as the agent gets it, with the chosen agent",
         lambda: every(k in sent for k in ("agentId", "traceId", "sessionId", "taskType", "componentTag", "payload"))
         and sent["agentId"] == task["agentId"] == sent["routing"]["chosen"] == "pry" and task["domain"] == "*" and task["type"] == "RouteTaskToAgent"
         and every(task[k] == sent[k] for k in ("traceId", "sessionId", "taskType", "componentTag", "payload", "messageId", "attempt")))
    case("ST-03", "the tag is made of the agent's type and the task", lambda: sent["componentTag"] == "StubVisionAgent:GenerateVisionBlueprint")
    routed = w.get("/v1/views/events?type=TaskRouted")["events"]
    decision = routed[0]["payload"]["routing"] if routed else {}
    case("AG-14", "the decision lists candidates, scores and filters, who was chosen and for what",
         lambda: every("score" in c for c in decision["candidates"]) and len(decision["candidates"]) == 2
         and decision["filters"] == {"skill": 2, "domain": 2, "healthy": 2, "free": 2}
         and (decision["skill"], decision["domain"], decision["chosen"]) == ("GenerateVisionBlueprint", "*", "pry")
         and every(sent["routing"][key] == decision[key] for key in ("candidates", "filters", "chosen")))
    printed = json.loads(w.run("events", "--type", "TaskRouted", "--json").stdout)
    case("AG-14", "subscribers see TaskRouted", lambda: len(routed) == 1 and routed[0]["type"] == "TaskRouted" and routed[0]["traceId"] == "prying"
         and printed["messageId"] == routed[0]["messageId"])


# ---- intakes ----

def intakes(w):
    w.start()
    shop = {"name": "Shop", "services": [
        {"name": "OrderService", "use_cases": ["CreateOrder", "GetOrder"], "storage": "File", "auth": "JWT"},
        {"name": "CustomerService", "use_cases": ["CreateCustomer"], "storage": "File", "auth": "JWT"}]}
    w.post("/v1/intents", {"blueprint": shop, "source": "api"})
    # All is asked that the plan has: the services' own tasks come as their states are reached.
    records = w.follow(lambda r: len(types(w.records(), "AdapterGenerated")) == 2)
    records = w.records()
    asked = [r["taskType"] for r in types(records, "RouteTaskToAgent")]
    case("PL-01", "a blueprint that is posted is one ProductIntentSubmitted",
         lambda: [r["payload"]["source"] for r in types(records, "ProductIntentSubmitted")] == ["api"])
    case("PL-03", "with a blueprint nobody is asked to invent one", lambda: "GenerateVisionBlueprint" not in asked and "ImportBlueprint" in asked)
    case("PL-05", "two modules and three capabilities: two coordinators, three handlers, an adapter a store, one auth layer",
         lambda: len(types(records, "StartMicroserviceAssembly")) == 2 and asked.count("GenerateHandler") == 3
         and asked.count("GenerateAdapter") == 2 and asked.count("ConfigureJWTAuth") == 1)
    fragment = types(records, "StartMicroserviceAssembly")[0]["payload"]
    case("PL-05", "StartMicroserviceAssembly has the contract's members",
         lambda: fragment["serviceName"] == "OrderService" and fragment["useCases"] == ["CreateOrder", "GetOrder"]
         and fragment["storage"] == "File" and fragment["auth"] == "JWT" and "features" in fragment)
    tags = sorted(r["componentTag"] for r in types(records, "RouteTaskToAgent") if r["taskType"] == "GenerateHandler")
    case("PL-07", "the blueprint alone was enough for the whole plan", lambda: not types(records, "ClarificationNeeded"))
    w.run("cancel")
    w.follow(lambda r: r["type"] == "TraceEnded")
    again = intake(w, {"blueprint": dict(shop, name="Shop Again"), "source": "system"}, "system")
    case("PL-01", "a trigger of the system is one ProductIntentSubmitted", lambda: again)
    w.follow(lambda r: len([x for x in types(w.records(), "HandlerReady")]) == 6)
    first = [r for r in w.records() if r["type"] == "RouteTaskToAgent" and r["taskType"] == "GenerateHandler"]
    case("ST-03", "a rerun has the same component tags", lambda: sorted(r["componentTag"] for r in first[3:]) == tags)
    w.run("cancel")
    w.follow(lambda r: len(types(w.records(), "TraceEnded")) == 2)
    stored = w.top / "template.yaml"
    stored.write_text("name: Stored\nservices:\n  - name: TaskService\n    use_cases: [CreateTask]\n    storage: File\n    auth: false\n")
    before = len(w.records())
    submitted = w.run("submit", "--blueprint", str(stored), "--json")
    case("PL-01", "a stored blueprint file is one ProductIntentSubmitted",
         lambda: submitted.returncode == 0 and len(types(w.records()[before:], "ProductIntentSubmitted")) == 1)
    w.run("cancel")
    w.follow(lambda r: len(types(w.records(), "TraceEnded")) == 3)
    before = len(w.records())
    typed = w.run("submit", "Build a TaskService with File storage", "--json")
    case("PL-01", "a prompt of the command line is one ProductIntentSubmitted",
         lambda: typed.returncode == 0
         and [r["payload"]["userPrompt"] for r in types(w.records()[before:], "ProductIntentSubmitted")] == ["Build a TaskService with File storage"])
    # SH-05: the client has left long ago; and one that is killed while it follows changes nothing.
    shell = subprocess.Popen([PROGRAM, "--workspace", str(w.root), "events", "--follow", "--json"], env=w.environment,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    shell.stdout.readline()
    shell.kill()
    shell.wait()
    done = w.follow(lambda r: r["seq"] > before and r["type"] in ("build_completed", "build_failed"))
    case("SH-05", "the shell is killed while it follows: the build completes", lambda: done[-1]["type"] == "build_completed")


def intake(w, body, source):
    before = len(w.records())
    status = w.post("/v1/intents", body)[0]
    made = types(w.records()[before:], "ProductIntentSubmitted")
    return status == 200 and len(made) == 1 and made[0]["payload"]["source"] == source


def incomplete(w):
    w.start()
    w.post("/v1/intents", {"blueprint": {"name": "Notes", "services": [{"name": "NoteService", "use_cases": ["CreateNote"], "auth": False}]}})
    w.follow(lambda r: r["type"] == "RouteTaskToAgent" and r["agentId"] == "human-reviewer")
    items = w.read("inbox")["items"]
    case("PL-12", "a blueprint without storage: a person is asked, and the field is named",
         lambda: len(items) == 1 and "storage" in json.dumps(items[0]))
    answered = w.run("answer", items[0]["item"], "File")
    records = w.follow(lambda r: r["type"] in ("PortsAndUseCasesReady", "build_failed"))
    case("PL-12", "the answer resumes the planning with it",
         lambda: answered.returncode == 0 and types(records, "StrategicBlueprintGenerated")[0]["payload"]["storage"] == "File"
         and records[-1]["type"] == "PortsAndUseCasesReady")


def broken_handler(w):
    """PQ-09: a handler that does not do what it should."""
    w.start()
    w.post("/v1/intents", {"blueprint": {"name": "Notes", "services": [
        {"name": "NoteService", "use_cases": ["CreateNote"], "storage": "File", "auth": False}]}})
    records = w.follow(lambda r: r["type"] in ("build_completed", "build_failed"))
    asked = [r["taskType"] for r in types(records, "RouteTaskToAgent")]
    case("PQ-09", "failing tests: TestsFailed, and no pull request is asked for",
         lambda: types(records, "TestsFailed") and not types(records, "TestsPassed") and "CreatePullRequest" not in asked
         and records[-1]["type"] == "build_failed" and types(records, "TestResultsReady")[0]["payload"]["result"] == "Failed")


def pipeline(w):
    """PQ-06 with ci: what nothing first-party says in a blueprint, an agent of the user's own does."""
    w.start()
    notes = {"name": "Notes", "services": [{"name": "NoteService", "use_cases": ["CreateNote"], "storage": "File", "auth": False}], "testScope": ["E2E"]}
    w.post("/v1/intents", {"blueprint": notes})
    made = w.follow(lambda r: r["type"] == "StrategicBlueprintGenerated")[-1]
    whole = w.read("show", made["payload"]["blueprintId"])["blueprint"]
    w.run("cancel")
    w.follow(lambda r: r["type"] == "TraceEnded")
    whole["metadata"]["ci"] = True
    answer = json.dumps({"type": "StrategicBlueprintGenerated", "payload": whole})
    (w.root / "agents").mkdir()
    (w.root / "agents/ci.yaml").write_text(textwrap.dedent(stub("ci", "ImportBlueprint")))
    (w.root / "agents/ci.sh").write_text("#!/bin/sh\ncat >/dev/null\ncat <<'END'\n" + answer + "\nEND\n")
    (w.root / "agents/ci.sh").chmod(0o755)
    known = w.records()[-1]["seq"]
    w.post("/v1/intents", {"blueprint": dict(notes, name="Notes With Pipeline")})
    records = w.follow(lambda r: r.get("taskType") == "TriggerPipeline" and r["type"] == "RouteTaskToAgent" or r["type"] == "build_failed",
                       after=known)
    asked = records[-1]
    inside = [r["taskType"] for r in records if r["sessionId"] == asked["sessionId"] and r["type"] in ("TaskQueued", "RouteTaskToAgent")]
    groups = [r for r in types(records, "TaskGroupStarted") if r["payload"]["taskGroupId"] == "postAssemblyFlow"]
    case("PQ-06", "with ci the group has its three tasks in order: RunTests, CreatePullRequest, TriggerPipeline",
         lambda: inside == ["RunTests", "CreatePullRequest", "TriggerPipeline"] and len(groups) == 1
         and asked["traceId"] == groups[0]["traceId"] and asked["sessionId"] == groups[0]["sessionId"]
         and set(asked["payload"]) >= {"pipelineId", "branch", "buildConfig"})
    results = types(records, "TestResultsReady")[0]["payload"]
    case("PQ-03", "E2E alone is the running service asked from outside, without the service's own tests",
         lambda: results["testScope"] == ["E2E"] and [s["name"] for s in results["suites"]] == ["probe"] and results["result"] == "Passed")


LIAR = """\
    task=$(cat)
    mkdir -p services/note/src/handlers
    for file in create-note; do
        echo "export default async function () { throw new Error('not written'); }" > services/note/src/handlers/$file.js
    done
    echo '{"type":"HandlerReady","payload":{"handler":"CreateNoteHandler"}}'
    """

WORLDS = [
    ("whole life", whole_life, {}),
    ("messages", messages, {"policy": ONE_TRY}),
    ("slow", slow, {"policy": TRIES,
                    "agents": [("slow", stub("slow", "GenerateVisionBlueprint", extra="limits: {deadline: 300ms}"), "cat >/dev/null\nexec sleep 60\n")]}),
    ("failing", failing, {"policy": TRIES,
                          "agents": [("broken", stub("broken", "GenerateVisionBlueprint"), "cat >/dev/null\necho broken >&2\nexit 1\n")]}),
    ("nobody", nobody, {"policy": ONE_TRY}),
    ("late", late, {"policy": ONE_TRY.replace("reroutes: 0", "reroutes: 1"),
                    "agents": [("late", stub("late", "GenerateVisionBlueprint", tier=99, extra="limits: {deadline: 200ms}"), LATE_SCRIPT),
                               ("quick", stub("quick", "GenerateVisionBlueprint"), "cat >/dev/null\nwhile [ ! -e \"${0%/*}/quick-answers\" ]; do sleep 0.02; done\necho '" + BLUEPRINT_ANSWER + "'\n")]}),
    ("prying", prying, {"agents": [("pry", stub("pry", "GenerateVisionBlueprint"), PRY)]}),
    ("intakes", intakes, {}),
    ("incomplete", incomplete, {}),
    ("pipeline", pipeline, {}),
    ("broken handler", broken_handler, {"agents": [("liar", stub("liar", "GenerateHandler"), LIAR)]}),
]


def main():
    global failed, world_of_cases
    for name, play, shape in WORLDS:
        if ONLY and ONLY not in name and not re.fullmatch(r"[A-Z]{2}-\d+", ONLY):
            continue
        world_of_cases = name
        began = time.monotonic()
        workspace = Workspace(**shape)
        try:
            play(workspace)
        except Exception as fault:  # the world could not go on: what it would have shown is not shown
            failed += 1
            print(f"not ok world {name}: {type(fault).__name__}: {fault}", flush=True)
            if os.environ.get("MW_TRACEBACK"):
                raise
        finally:
            workspace.end()
        if os.environ.get("MW_TIMES"):
            print(f"# {name}: {time.monotonic() - began:.1f} s", flush=True)
    sys.exit(1 if failed else 0)


main()
