#!/usr/bin/env python3
"""Agents that lie, hang, crash, escape and multiply. Each is the first that is asked; the built-in generator is the last resort."""
import ctypes
import json
import os
import shutil
import time
from datetime import datetime, timezone

from crash_lib import TOP, WORKFLOW, Unix, World, agent_text, command_of, descendants, finish, prove, until, want


def failures_of(world):
    """What became of the attempts that the liar was given."""
    mine = {(record["taskId"], record["attempt"]) for record in world.kinds("task.dispatched") if record["agentId"] == "liar"}
    return [record for record in world.records() if record["kind"] in ("task.failed", "task.timed_out")
            and (record["taskId"], record["attempt"]) in mine]


RESULT = 'printf \'{"type":"HandlerReady","payload":{"service":"TaskService","handler":"X","useCase":"X"}}\\n\'\n'
WRITE = """service=services/task
name=$(printf '%s' "$task" | sed 's/.*"use_case":{[^}]*"slug":"\\([a-z0-9-]*\\)".*/\\1/')
mkdir -p $service/src/handlers
echo 'export const handle = async () => ({ status: 200, body: {} });' >"$service/src/handlers/$name.js"
"""
# Of a prompt: the task, behind the words.
LAST_LINE = "task=$(printf '%s' \"$task\" | tail -n 1)\n"
HEAD = "#!/bin/sh\ntask=$(cat)\n"


def told(world, script, more="", limit_s=90, **definition):
    """A gen whose handlers go to an agent with this script first; (exit code, gen's result, the liar's failures)."""
    world.quick_tests()
    world.agent("liar", agent_text("liar", "GenerateHandler", tier=900, more=more, **definition), HEAD + script if script else None)
    code, result, err = world.gen(limit_s=limit_s)
    mine = {record["seq"]: record for record in world.kinds("task.dispatched") if record["agentId"] == "liar"}
    want(mine, "the liar was never asked")
    return code, result, failures_of(world), err


def refused(worlds, script, words, more="", draft=True, **definition):
    """Each of its attempts fails for a reason that holds these words; the built-in generator does the work in the end."""
    world = World(worlds)
    code, result, failures, err = told(world, script, more, **definition)
    want(failures, "nothing of the liar's was refused")
    for failure in failures:
        text = json.dumps(failure)
        for word in words:
            want(word in text, f"'{word}' is not in the failure: {text[:900]}")
    accepted = [record for record in world.kinds("task.result") if record["agentId"] == "liar"]
    want(not accepted, f"the liar's answer was taken: {json.dumps(accepted)[:400]}")
    if draft:
        want(code == 0 and result["state"] == "draft", f"exit {code}: {err[-400:]}")
        asked = {}
        for record in world.kinds("task.dispatched"):
            asked.setdefault(record["taskId"], []).append(record["agentId"])
        rerouted = [agents for agents in asked.values() if agents[0] == "liar"]
        want(all(agents[-1] == "backend-developer" for agents in rerouted), f"no reroute to the built-in generator: {rerouted}")
    world.verify()
    return world, failures


def refusal(worlds, *args):
    refused(worlds, *args)


def refusal_by_diff(worlds, *args):
    """Of an agent whose changed files are all that it says."""
    refused(worlds, *args, backend=", answer: diff")


def far_away(worlds):
    """A worker has no folder here: what makes files is not given to one, and goes to who can do it."""
    world = World(worlds)
    world.quick_tests()
    world.agent("far", 'agent_id: far\nagent_type: Far Agent\nskills: [GenerateHandler]\ndomains: ["*"]\ntier: 900\ncapacity: 4\n'
                       "backend: {kind: worker, lease: 30s}\n")
    code, result, err = world.gen(limit_s=60)
    want(code == 0 and result["state"] == "draft", f"exit {code}: {err[-400:]}")
    asked = {(record["taskId"], record["attempt"]) for record in world.kinds("task.dispatched") if record["agentId"] == "far"}
    failures = [record for record in world.kinds("task.failed") if (record["taskId"], record["attempt"]) in asked]
    want(asked and len(failures) == len(asked), f"asked {len(asked)} times, {len(failures)} failures")
    for failure in failures:
        want(failure["errorClass"] == "unsupported" and "has no folder here" in failure["reason"], f"{failure}")
    world.verify()


def example_agent(worlds):
    if not shutil.which("jq"):
        return "jq is not there"
    world = World(worlds)
    world.quick_tests()
    shutil.copy(TOP / "examples/agent.sh", os.path.join(world.folder, "agents"))
    shutil.copy(TOP / "examples/agent.yaml", os.path.join(world.folder, "agents"))
    code, result, err = world.gen("Build a TaskService with File storage and JWT auth")
    want(code == 0 and result["state"] == "draft", f"exit {code}: {err[-400:]}")
    made = [record for record in world.kinds("task.result") if record["agentId"] == "example-reader"]
    want(made, "examples/agent.sh made no handler")
    return None


def example_liar(worlds, how, words, draft):
    """examples/liar.sh and liar.yaml as they are given to users, with the real tests."""
    if not shutil.which("jq") or not shutil.which("node"):
        return "jq or node is not there"
    world = World(worlds)
    folder = os.path.join(world.folder, "agents")
    os.makedirs(folder)
    shutil.copy(TOP / "examples/liar.sh", folder)
    text = (TOP / "examples/liar.yaml").read_text()
    want('"nothing"]' in text, "examples/liar.yaml has changed")
    with open(os.path.join(folder, "liar.yaml"), "w", encoding="utf-8") as definition:
        definition.write(text.replace('"nothing"]', f'"{how}"]'))
    if draft:
        world.quick_tests()
    code, out, err = world.run("gen", "Build a TaskService with File storage", limit_s=200)
    if draft:
        want(code == 0, f"exit {code}: {err[-600:]}")
        failures = failures_of(world)
        want(failures and all(word in json.dumps(failure) for failure in failures for word in words), json.dumps(failures)[:900])
        return None
    want(code == 1, f"a wrong handler: exit {code} instead of 1: {err[-600:]}")
    for word in words:
        want(word in out + err, f"'{word}' is not said: {(out + err)[-1500:]}")
    return None


def sleeper(worlds):
    """FH-01: TaskTimedOut within the deadline of its definition and one second."""
    world, failures = refused(worlds, "sleep 600\n", ["TaskTimedOut"], more="limits: {deadline: 1s}\n")
    late = [failure for failure in failures if failure["type"] == "TaskTimedOut"]
    want(late, "no TaskTimedOut")
    started = {(record["taskId"], record["attempt"]): record["timestamp"] for record in world.kinds("task.dispatched")}
    for failure in late:
        begun = started[(failure["taskId"], failure["attempt"])]
        seconds = seconds_of(failure["timestamp"]) - seconds_of(begun)
        want(1.0 <= seconds <= 2.0, f"TaskTimedOut after {seconds:.2f} s, deadline 1 s")
    host = world.host()
    until(lambda: not [pid for pid in descendants(host) if command_of(pid)[:1] == [b"sleep"]], 10, "every sleeper ended")


def seconds_of(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc).timestamp()


def daemon(worlds):
    """A daemon that left session and parent behind is ended with the attempt, and counted."""
    world = World(worlds)
    world.quick_tests()
    mark = f"30{os.getpid()}"
    world.agent("liar", agent_text("liar", "GenerateHandler", tier=900), f"#!/bin/sh\nsetsid sh -c 'sleep {mark} & exec sleep {mark}' </dev/null >/dev/null 2>&1 &\nsleep 0.2\nexit 3\n")
    code, result, err = world.gen()
    want(code == 0, f"exit {code}: {err[-400:]}")
    failures = failures_of(world)
    want(failures and all(failure["evidence"]["orphansKilled"] >= 2 for failure in failures), json.dumps(failures)[:600])
    left = [pid for pid in os.listdir("/proc") if pid.isdigit() and mark.encode() in command_of(pid)]
    want(not left, f"still there: {left}")


def fork_bomb(worlds):
    world = World(worlds)
    world.quick_tests()
    mark = f"31{os.getpid()}"
    world.agent("liar", agent_text("liar", "GenerateHandler", tier=900),
                "#!/bin/sh\ni=0\nwhile [ $i -lt 3000 ]; do sleep " + mark + " & i=$((i + 1)); done\nwait\n")
    process = world.start("gen", "Build a TaskService with File storage", "--json")
    most = 0
    while process.poll() is None and not failures_of(world):
        most = max(most, len([pid for pid in os.listdir("/proc") if pid.isdigit() and mark.encode() in command_of(pid)]))
        time.sleep(0.05)
    process.kill()
    failures = failures_of(world)
    want(failures, "the bomb was not ended")
    want(most < 4 * 3000, f"{most} processes at once")
    until(lambda: not [pid for pid in os.listdir("/proc") if pid.isdigit() and mark.encode() in command_of(pid)] or
          [record for record in world.kinds("task.dispatched") if record["agentId"] == "liar" and record["attempt"] > 1], 15, "the bomb gone")


def confined(worlds):
    """SX-10: what is not its own is neither read nor written."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(444, None, 0, 1) < 1:
        return "this kernel has no Landlock"
    world = World(worlds)
    secret = os.path.join(world.base, "secret.txt")
    home = os.path.join(os.path.expanduser("~"), f".mw-e2e-{os.getpid()}")
    with open(secret, "w", encoding="utf-8") as file:
        file.write("canary")
    script = HEAD + f"""
tried() {{ name=$1; shift; if "$@" >/dev/null 2>&1; then echo "GOT $name" >&2; fi; }}
tried shadow cat /etc/shadow
tried secret cat '{secret}'
tried home sh -c 'echo x >"{home}"'
tried outside sh -c 'echo x >"{world.base}/written"'
tried app sh -c 'echo x >"{world.folder}/written"'
tried blobs sh -c 'ls "{world.path("blobs")}" && cat "{world.path("blobs")}"/*/*'
tried journal sh -c 'cat "{world.path("journal")}"/*'
tried journal_write sh -c 'echo x >>"{world.path("journal")}/00000000000000000001.jsonl"'
tried others sh -c 'cat "{world.path("work")}"/*/task.json'
tried socket sh -c 'echo x >"{world.path("millwright.sock")}"'
tried kill kill -9 $PPID
tried tmp sh -c 'echo x >/tmp/mw-e2e-{os.getpid()}'
echo TRIED >&2
exit 1
"""
    world.quick_tests()
    world.agent("liar", agent_text("liar", "GenerateHandler", tier=900), script)
    code, _, err = world.gen()
    want(code == 0, f"exit {code}: {err[-400:]}")
    failures = failures_of(world)
    want(failures, "it was never asked")
    for failure in failures:
        said = failure["evidence"]["stderr"]
        want("TRIED" in said, f"it did not come to its end: {said}")
        want("GOT" not in said, f"it reached what is not its own: {said}")
    for place in (home, os.path.join(world.base, "written"), os.path.join(world.folder, "written"), f"/tmp/mw-e2e-{os.getpid()}"):
        want(not os.path.exists(place), f"{place} was written")
    world.verify()
    return None



STONES = """\
workflow: Stones
purpose: One makes stones, the next takes some of them away.
roles:
  maker: {task: {skill: MakeStones, expects: StonesMade, owns: ["'stone/**'"]}}
  thief: {task: {skill: PaintStones, expects: StonesPainted, files: trace, owns: ["'stone/**'"]}}
start:
  - role: maker
handoffs:
  - {on: StonesMade, to: thief}
  - {on: StonesPainted, complete: true}
limits: {iterations: 4, timeout: 5m}
"""
MAKE = """mkdir stone
for name in one two 'three "3"' left; do echo "$name" >"stone/$name.txt"; done
echo '{"type":"StonesMade","payload":{}}'
"""
THEFT = """rm stone/[!l]*
echo new >stone/five.txt
echo '{"type":"StonesPainted","payload":{}}'
"""


def of_the_owner(worlds):
    """Root in somebody's workspace: its agents are that person, never root."""
    if os.geteuid() != 0:
        return "not root: there is nobody else to be"
    world = World(worlds)
    os.chmod(world.base, 0o755)
    os.chown(world.folder, 65534, 65533)
    world.write("workflows/Lone.yaml", WORKFLOW.format(name="Lone", skill="MakeThing"))
    world.agent("maker", agent_text("maker", "MakeThing"), "#!/bin/sh\ncat >/dev/null\n"
                "printf '{\"type\":\"ThingMade\",\"payload\":{\"is\":\"%s %s %s\"}}\\n' \"$(id -u)\" \"$(id -g)\" \"$(id -G)\"\n")
    world.serve()
    status, answer = world.post("StartRun", workflow="Lone", prompt="who are you?")
    want(status == 200, f"{status} {answer}")
    until(lambda: world.kinds("trace.ended"), 30, "an end")
    said = [record["payload"]["is"] for record in world.kinds("task.result")]
    want(said == ["65534 65533 65533"], f"it was {said or world.kinds('task.failed')}")
    return None


def removed(worlds):
    """What an agent was given it may change where it is its own, and not remove: whatever it removed is named, however many and however they are called."""
    world = World(worlds)
    want(world.run("init")[0] == 0, "init")
    world.write("workflows/Stones.yaml", STONES)
    world.agent("maker", agent_text("maker", "MakeStones"), HEAD + MAKE)
    world.agent("thief", agent_text("thief", "PaintStones"), HEAD + THEFT)
    want(world.run("memory", "add", "wakes the host")[0] == 0, "no host")
    host = world.host()
    status, answer = world.post("StartRun", messageId="m-stones", workflow="Stones", prompt="stones")
    want(status == 200, f"{status} {answer}")
    until(lambda: [r for r in world.kinds("task.failed") if r["taskType"] == "PaintStones"], 20, "what became of the thief's attempt")
    failure = [r for r in world.kinds("task.failed") if r["taskType"] == "PaintStones"][0]
    want(failure["errorClass"] == "invalid_answer" and "not its own" in failure["reason"], f"{failure}")
    names = ["one", 'three "3"', "two"]
    want(failure["evidence"]["violations"] == [{"path": f"stone/{name}.txt", "change": "removed"} for name in names], f"{failure['evidence']}")
    want(not [r for r in world.kinds("task.result") if r["type"] == "StonesPainted"], "its answer was taken")
    want(world.host() == host, "the host is another")
    world.verify()


MANY = """rm -r stone
i=0
while [ $i -lt 400 ]; do echo x >"of nobody whose name is not short $i"; i=$((i + 1)); done
printf '"%.0s' $(seq 5000) >&2
echo '{"type":"StonesPainted","payload":{}}'
"""


def evidence_is_kept(worlds):
    """However much an agent did that it has no right to, and whatever it said beside: the record says the first of it, and how much more there was."""
    world = World(worlds)
    want(world.run("init")[0] == 0, "init")
    world.write("workflows/Stones.yaml", STONES)
    world.agent("maker", agent_text("maker", "MakeStones"), HEAD + MAKE)
    world.agent("vandal", agent_text("vandal", "PaintStones"), HEAD + MANY)
    want(world.run("memory", "add", "wakes the host")[0] == 0, "no host")
    status, answer = world.post("StartRun", messageId="m-stones", workflow="Stones", prompt="stones")
    want(status == 200, f"{status} {answer}")
    until(lambda: [r for r in world.kinds("task.failed") if r["taskType"] == "PaintStones"], 20, "what became of the vandal's attempt")
    failure = [r for r in world.kinds("task.failed") if r["taskType"] == "PaintStones"][0]
    evidence = failure.get("evidence", {})
    shown = evidence.get("violations", [])
    want(shown and shown[0]["change"] == "added" and len(shown) + evidence["violationsLeftOut"] == 404, f"{failure}")
    want(len(evidence["stderr"]) > 2000 and set(evidence["stderr"]) == {'"'}, f"{evidence['stderr'][:80]}")
    ran_in = evidence.get("sandbox", {})
    want({"landlock", "seccomp", "network"} <= set(ran_in), f"in which sandbox it ran is not said: {evidence}")
    world.verify()


MORE = """mkdir stone
for n in 1 2 3 4; do echo $n >stone/$n.txt; done
echo '{"type":"StonesMade","payload":{}}'
"""


def too_many_files(worlds):
    """How many files it may make is what its definition says: one more is refused, just as many are taken."""
    for files in (3, 4):
        world = World(worlds)
        want(world.run("init")[0] == 0, "init")
        world.write("workflows/Stones.yaml", STONES)
        world.agent("maker", agent_text("maker", "MakeStones", more=f"limits: {{files: {files}}}\n"), HEAD + MORE)
        world.agent("thief", agent_text("thief", "PaintStones"), HEAD + 'echo \'{"type":"StonesPainted","payload":{}}\'\n')
        want(world.run("memory", "add", "wakes the host")[0] == 0, "no host")
        status, answer = world.post("StartRun", messageId="m-stones", workflow="Stones", prompt="stones")
        want(status == 200, f"{status} {answer}")
        made = until(lambda: [r for r in world.kinds("task.failed") + world.kinds("task.result") if r["taskType"] == "MakeStones"], 20, "the maker's end")[0]
        if files == 4:
            want(made["kind"] == "task.result", f"as many as it may: {made}")
        else:
            want(made["kind"] == "task.failed" and "more than 3 files" in made["reason"], f"one more than it may: {made}")
        world.verify()


TALKER = """for n in 1 2 3 4 5; do sleep 1; echo '{"progress":"'$n'"}'; done
echo '{"type":"StonesMade","payload":{}}'
"""


def talker(worlds):
    """What is heard of an agent begins its time anew: it works for longer than it may be silent."""
    world = World(worlds)
    want(world.run("init")[0] == 0, "init")
    world.write("workflows/Deep.yaml", DEEP)
    world.agent("maker", agent_text("maker", "MakeStones", more="limits: {idle: 3s}\n"), HEAD + TALKER)
    world.agent("next", agent_text("next", "PaintStones"), HEAD + 'echo \'{"type":"StonesPainted","payload":{}}\'\n')
    want(world.run("memory", "add", "wakes the host")[0] == 0, "no host")
    status, answer = world.post("StartRun", messageId="m-talk", workflow="Deep", prompt="talk")
    want(status == 200, f"{status} {answer}")
    until(lambda: world.kinds("trace.ended"), 40, "the end of the flow")
    want(not world.kinds("task.failed") and not world.kinds("task.timed_out"), f"{world.kinds('task.failed')}")
    want([r["attempt"] for r in world.kinds("task.result")] == [1, 1], f"{world.kinds('task.result')}")
    world.verify()


DEEP = """\
workflow: Deep
purpose: What one says the next is given.
roles:
  maker: {task: {skill: MakeStones, expects: StonesMade}}
  next: {task: {skill: PaintStones, expects: StonesPainted, payload: {given: facts.StonesMade}}}
start:
  - role: maker
handoffs:
  - {on: StonesMade, to: next}
  - {on: StonesPainted, complete: true}
limits: {iterations: 4, timeout: 5m}
"""


def as_deep_as_a_line(worlds):
    """An answer of 64 levels is one; what the next agent is given is a level deeper, so that task ends with words, and the host goes on."""
    world = World(worlds)
    want(world.run("init")[0] == 0, "init")
    world.write("workflows/Deep.yaml", DEEP)
    payload = '{"a":' * 63 + "1" + "}" * 63
    world.agent("maker", agent_text("maker", "MakeStones"), HEAD + f"echo '{{\"type\":\"StonesMade\",\"payload\":{payload}}}'\n")
    world.agent("next", agent_text("next", "PaintStones"), HEAD + 'echo \'{"type":"StonesPainted","payload":{}}\'\n')
    want(world.run("memory", "add", "wakes the host")[0] == 0, "no host")
    host = world.host()
    status, answer = world.post("StartRun", messageId="m-deep", workflow="Deep", prompt="deep")
    want(status == 200, f"{status} {answer}")
    until(lambda: world.kinds("trace.ended"), 20, "the end of the flow")
    failures = world.kinds("task.failed")
    want([r["errorClass"] for r in failures] == ["invalid_input"] and "60 levels" in failures[0]["reason"], f"{failures}")
    want(world.host() == host, "the host is another")
    world.verify()


ECHO = """\
workflow: Echo
purpose: What is asked is the answer.
roles:
  echo: {task: {skill: EchoWords, expects: WordsEchoed, payload: {words: intent.prompt}}}
start:
  - role: echo
handoffs:
  - {on: WordsEchoed, complete: true}
limits: {iterations: 4, timeout: 5m}
"""


def echoed(worlds):
    """The agent that the host is itself answers whatever it is asked: also what a line can only hold as an escape."""
    world = World(worlds)
    want(world.run("init")[0] == 0, "init")
    world.write("workflows/Echo.yaml", ECHO)
    world.write("agents/echo.yaml", "agent_id: echo\nagent_type: Echo Agent\nskills: [EchoWords]\ndomains: [\"*\"]\ncapacity: 9\nbackend: {kind: echo}\n")
    want(world.run("memory", "add", "wakes the host")[0] == 0, "no host")
    host = world.host()
    words = ["plain", "ein \u00fcbler \U0001f600", 'quoted "\\" and /', "a\x01b\x1f\t\r\n\x7f", '","payload":{"words":"other"}', "{" * 100]
    for text in words:
        status, answer = world.post("StartRun", workflow="Echo", prompt=text)
        want(status == 200, f"{text!r}: {status} {answer}")
        until(lambda: [r for r in world.kinds("trace.ended") if r["traceId"] == answer["traceId"]], 20, f"the end of {text!r}")
    want([r["payload"]["words"] for r in world.kinds("task.result")] == words, f"{world.kinds('task.result')}")
    want(world.host() == host, "the host is another")
    world.verify()


SKETCH = {
    "workflows/first.yaml": """\
workflow: SketchFirst
purpose: Two parts.
roles:
  sketcher: {task: {skill: EchoWords, expects: SketchMade, payload: {app: "'two'", parts: "['a', 'b']"}}}
start:
  - role: sketcher
handoffs:
  - {on: SketchMade, complete: true}
limits: {iterations: 2, timeout: 5m}
""",
    "workflows/parts.yaml": """\
workflow: MakeParts
purpose: Each of them.
roles:
  all: {plan: PartsPlan}
start:
  - role: all
handoffs:
  - {from: all, on: AssemblyCompleted, complete: true}
limits: {iterations: 2, timeout: 5m}
""",
    "workflows/plan.yaml": """\
plan: PartsPlan
group: parts
members:
  - {id: part, for_each: sketch.parts, task: {skill: EchoWords, expects: PartMade, payload: {part: item}}}
""",
    "journeys/sketched.yaml": """\
journey: sketched
documents: {sketch: SketchMade}
app_id: sketch.app
app_name: sketch.app
steps:
  - {workflow: SketchFirst, produces: [concept]}
  - {workflow: MakeParts, produces: [app_bundle]}
validation: {skill: EchoWords, expects: BundleSeen, files: trace}
""",
}


def echo_kept(worlds):
    """P22: what the host's own agent says is kept whole: a large payload, and one that is a document, from which the next step is made."""
    world = World(worlds)
    world.write("workflows/Echo.yaml", ECHO)
    for name, text in SKETCH.items():
        world.write(name, text)
    world.write("agents/echo.yaml", "agent_id: echo\nagent_type: Echo Agent\nskills: [EchoWords]\ndomains: [\"*\"]\ncapacity: 9\nbackend: {kind: echo}\n")
    world.serve()
    words = "long \u00fc " * 2000
    want(world.post("StartRun", workflow="Echo", prompt=words)[0] == 200, "a run")
    result = until(lambda: world.kinds("task.result"), 20, "its answer")[0]
    want(result["payload"] == {} and "payloadSha256" in result, f"what is told of it: {result}")
    digest = result["payloadSha256"]
    with open(os.path.join(world.folder, ".millwright/blobs", digest[:2], digest[2:]), encoding="utf-8") as file:
        want(json.load(file) == {"words": words}, "its body is another")
    want(world.post("SubmitIntent", journey="sketched", prompt="two parts")[0] == 200, "a journey")
    parts = until(lambda: [r["payload"] for r in world.kinds("task.result") if r["type"] == "PartMade"][1:] and
                  [r["payload"] for r in world.kinds("task.result") if r["type"] == "PartMade"], 20, "what is made from the document")
    want(parts == [{"part": "a"}, {"part": "b"}], f"{parts}")
    world.verify()


TALK = """\
workflow: Talk
purpose: One task that is given what was said before.
roles:
  maker: {task: {skill: MakeThing, expects: [ThingMade, NoteWanted], context: [NoteSaid]}}
  noter: {task: {skill: SayNote, expects: NoteSaid}}
start:
  - role: maker
handoffs:
  - {on: ThingMade, complete: true}
  - {from: maker, on: NoteWanted, to: noter}
  - {from: noter, on: NoteSaid, to: maker}
limits: {iterations: 5, timeout: 5m}
"""


def more_context_than_is_given(worlds, kind):
    """Facts of 68 MB for one task ended the host, and every one after it; now the attempt fails and says so."""
    world = World(worlds)
    world.write("workflows/Talk.yaml", TALK)
    world.agent("noter", agent_text("noter", "SayNote"), "#!/bin/sh\nexit 1\n")
    world.agent("maker", agent_text("maker", "MakeThing"), "#!/bin/sh\nuntil [ -e \"${0%/*}/gate\" ]; do sleep 0.05; done\nexit 3\n")
    if kind == "worker":
        world.agent("maker", agent_text("maker", "MakeThing").split("backend")[0] + "backend: {kind: worker}\n")
    host = world.serve()
    status, run = world.post("StartRun", workflow="Talk", prompt="talk")
    want(status == 200, f"{status} {run}")
    asked = until(lambda: world.kinds("task.dispatched"), 20, "the task")[0]
    envelope = {"traceId": run["traceId"], "sessionId": asked["sessionId"], "componentTag": "Person:NoteSaid", "emittedBy": "somebody",
                "timestamp": "2026-01-01T00:00:00Z", "type": "NoteSaid", "payload": {"note": "n" * 8000}}
    connection = Unix(world.path("millwright.sock"))
    for number in range(8500):
        connection.request("POST", "/v1/messages", json.dumps(dict(envelope, messageId=f"note-{number}")), {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        want(answer.status == 200, f"message {number}: {answer.status} {text}")
    connection.close()
    if kind == "worker":
        status, text = world.ask("POST", "/v1/agents/maker/lease", {"worker": "one", "max": 1, "waitMs": 1})
        want(status == 200 and json.loads(text)["tasks"] == [], f"{status} {text[:200]}")
    world.write("agents/gate", "")
    until(lambda: world.kinds("trace.ended") or host.poll() is not None, 60, "the end")
    want(host.poll() is None, f"the host ended: {host.poll()}")
    failures = world.kinds("task.failed")
    want("'context'" in failures[-1]["reason"], f"{failures[-1]}")
    world.verify()


prove("agents_example_agent", example_agent)
prove("agents_echo_says_what_it_is_asked", echoed)
prove("agents_echo_is_kept_whole_P22", echo_kept)
prove("agents_answer_as_deep_as_a_line_P14", as_deep_as_a_line)
prove("agents_more_context_than_is_given_P14", more_context_than_is_given, "command")
prove("agents_more_context_than_a_worker_is_given_P14", more_context_than_is_given, "worker")
prove("agents_remove_what_they_were_given_P17", removed)
prove("agents_evidence_is_kept_however_much_P22", evidence_is_kept)
prove("agents_more_files_than_the_definition_says_P09", too_many_files)
prove("agents_who_is_heard_is_not_idle_FH01", talker)
prove("agents_example_liar_nothing", example_liar, "nothing", ["changed nothing"], True)
prove("agents_example_liar_edit", example_liar, "edit", ["all-is-well.test.js", "not its own"], True)
prove("agents_example_liar_wrong_fails_the_gen", example_liar, "wrong", ["RunTests"], False)
prove("agents_claims_and_writes_nothing_P20", refusal, RESULT, ["changed nothing", "evidence"], "limits: {deadline: 20s}\n")
prove("agents_edits_the_tests_P17", refusal, WRITE + "mkdir -p $service/test\necho 'x' >$service/test/mine.test.js\n" + RESULT,
      ["services/task/test/mine.test.js", "not its own"])
prove("agents_changes_what_is_there_P17", refusal, WRITE + "echo '// mine' >>$service/package.json\n" + RESULT, ["not its own", "package.json"])
prove("agents_reserved_type_P20", refusal, WRITE + 'echo \'{"type":"ApprovalGranted","payload":{}}\'\n', ["ApprovalGranted", "only the control plane"])
prove("agents_other_type", refusal, WRITE + 'echo \'{"type":"CalendarReady","payload":{}}\'\n', ["CalendarReady", "expected"])
prove("agents_two_answers", refusal, WRITE + RESULT + RESULT, ["second answer"])
prove("agents_garbage", refusal, WRITE + "echo 'All done! Everything works.'\n", ["no JSON object"])
prove("agents_binary_garbage", refusal, WRITE + "head -c 100000 /dev/urandom\n", ["line"])
prove("agents_silent_success", refusal, WRITE, ["without an answer"])
prove("agents_success_then_exit_1", refusal, WRITE + RESULT + "exit 1\n", ["exit 1"])
prove("agents_wrong_trace", refusal, WRITE + 'echo \'{"type":"HandlerReady","traceId":"tr-other","payload":{}}\'\n', ["tr-other"])
prove("agents_exit_1_is_retried_then_rerouted_FH02_FH07", refusal, "echo 'it broke' >&2\nexit 1\n", ["TaskFailed", "it broke"])
prove("agents_killed_by_signal", refusal, "kill -SEGV $$\n", ["signal 11"])
prove("agents_missing_program", refusal, None, ["liar.sh", "not found"])
prove("agents_sleeps_for_ever_FH01", sleeper)
prove("agents_P20_what_a_program_without_words_left_when_it_was_ended_is_no_answer", refusal_by_diff,
      LAST_LINE + WRITE + "trap 'exit 0' TERM\nsleep 600 &\nwait\n", ["did not end with success"], "limits: {idle: 1s}\n")
prove("agents_silent_for_long_is_idle", refusal, "sleep 600\n", ["idle"], "limits: {idle: 1s}\n")
prove("agents_P20_a_worker_makes_no_files", far_away)
prove("agents_daemon_is_ended_and_counted", daemon)
prove("agents_symlink_P17", refusal, WRITE + "ln -s /etc/passwd $service/src/handlers/link.js\n" + RESULT, ["link.js"])
prove("agents_folder_becomes_symlink_P17", refusal, "mkdir -p /tmp/x 2>/dev/null; rm -rf services/task/src/handlers; mkdir -p services/task/src; "
      "ln -s /etc services/task/src/handlers\n" + RESULT, ["handlers"])
prove("agents_hard_link_P17", refusal, WRITE + "ln $service/src/handlers/$name.js $service/src/handlers/again.js\n" + RESULT, ["hard"])
prove("agents_fifo_P17", refusal, WRITE + "mkfifo $service/src/handlers/pipe.js\n" + RESULT, ["pipe.js"])
prove("agents_case_collision_P17", refusal, WRITE + "echo 1 >$service/src/handlers/AB.js; echo 2 >$service/src/handlers/ab.js\n" + RESULT, ["ab.js"])
prove("agents_climbing_path_P17", refusal, WRITE + "echo x >../../escaped.js; echo x >'..\\\\evil.js'\n" + RESULT, ["evil.js"])
prove("agents_huge_output", refusal, "yes '{\"progress\":\"more\"}'\n", ["bytes"])
prove("agents_fork_bomb_is_bounded", fork_bomb)
prove("agents_confined_SX10", confined)
prove("agents_of_root_are_the_workspaces_owner_P17", of_the_owner)
finish()
