#!/usr/bin/env python3
"""Promises from outside, on a real host: dead letters and poison (P08)."""
import datetime
import json
import os
import shutil
import subprocess

from crash_lib import PROGRAM, SANITIZER, WORKFLOW, Unix, World, alive, agent_text, finish, prove, until, want

POLICY = """\
policies:
  - {{name: quick, skills: [{skill}], attempts: {attempts}, reroutes: 0, timeout: {timeout}, backoff: {{base: {base}, factor: 1, cap: {base}}},
     routing_attempts: 1, escalate: false}}
"""


def one_task(world, skill="MakeThing", attempts=2, timeout="5s", base="10ms"):
    """A workflow of the workspace's own with one task of one skill, and what is done when it fails."""
    want(world.run("init")[0] == 0, "init")
    world.write("workflows/Lone.yaml", WORKFLOW.format(name="Lone", skill=skill))
    world.write("policies/policy.yaml", POLICY.format(skill=skill, attempts=attempts, timeout=timeout, base=base))


def told(world, *words, limit_s=30):
    code, out, err = world.run(*words, "--json", limit_s=limit_s)
    want(code == 0, f"{' '.join(words)}: exit {code}: {err}")
    return json.loads(out.strip().split("\n")[-1])


def spread(worlds):
    """Whoever failed together does not come back together: each wait is up to a quarter longer, by a chance of its own."""
    world = World(worlds)
    one_task(world, base="1000000ms")
    world.agent("maker", agent_text("maker", "MakeThing"), "#!/bin/sh\ncat >/dev/null\nexit 3\n")
    world.serve()
    for number in range(6):
        status, answer = world.post("StartRun", workflow="Lone", prompt=f"number {number}")
        want(status == 200, f"{status} {answer}")
    waits = until(lambda: len(world.kinds("task.retry")) == 6 and world.kinds("task.retry"), 30, "six that wait")
    waits = [record["dueUs"] - int(datetime.datetime.fromisoformat(record["timestamp"].replace("Z", "+00:00")).timestamp() * 1000000 + 0.5)
             for record in waits]
    # What is rounded in a time is less than a millisecond.
    want(all(999999000 <= wait <= 1250001000 for wait in waits), f"{waits}")
    want(len({round(wait, -3) for wait in waits}) >= 4, f"all of them wait {waits}")


def dead_letter(worlds):
    """What nobody could do is kept with what it was told and every attempt; mended and put back, it is done, once."""
    world = World(worlds)
    one_task(world)
    broken = "#!/bin/sh\ncat >/dev/null\necho 'the oven is cold' >&2\nexit 3\n"
    world.agent("maker", agent_text("maker", "MakeThing"), broken)
    code, _, err = world.run("run", "Lone", "make it", limit_s=60)
    want(code == 1, f"a task that fails: exit {code}: {err}")
    letters = told(world, "dlq", "list")
    want(letters["waiting"] == 1 and len(letters["letters"]) == 1, f"{letters}")
    letter = letters["letters"][0]
    want(letter["skill"] == "MakeThing" and letter["attempts"] == 2 and letter["agent"] == "maker" and letter["state"] == "dead", f"{letter}")
    shown = told(world, "dlq", "show", letter["task"])
    asked = [row for row in shown["history"] if row["what"] == "asked"]
    failed = [row for row in shown["history"] if row["what"] == "failed"]
    want([row["attempt"] for row in asked] == [1, 2] and [row["attempt"] for row in failed] == [1, 2], f"{shown['history']}")
    want("oven is cold" in json.dumps(shown["history"]), f"no evidence: {shown['history']}")
    want(isinstance(shown["payload"], dict), f"no payload: {shown}")
    # A host that was killed in between knows it too.
    os.kill(world.host(), 9)
    answer = "#!/bin/sh\ncat >/dev/null\nprintf '{\"type\":\"ThingMade\",\"payload\":{\"warm\":true}}\\n'\n"
    world.agent("maker", agent_text("maker", "MakeThing"), answer)
    back = told(world, "dlq", "replay")
    until(lambda: [r for r in world.kinds("trace.ended") if r["traceId"] == back["traceId"]], 20, "the end of the second series")
    asked = [r for r in world.kinds("task.dispatched") if r["traceId"] == back["traceId"]]
    want(len(asked) == 1 and asked[0]["payload"] == shown["payload"] and asked[0]["attempt"] == 1, f"the agent was asked {asked}")
    results = [r for r in world.kinds("task.result") if r["traceId"] == back["traceId"]]
    want(len(results) == 1 and results[0]["payload"] == {"warm": True}, f"{results}")
    put_back = world.kinds("task.put_back")
    want(len(put_back) == 1 and put_back[0]["actor"].startswith("user:"), f"who put it back is not said: {put_back}")
    want(put_back[0]["parentTraceId"] == letter["traceId"], "the new trace does not name the old one")
    want(told(world, "dlq", "list")["waiting"] == 0, "it still lies there")
    code, _, err = world.run("dlq", "replay", letter["task"])
    want(code == 75 and "already" in err, f"a second time: exit {code}: {err}")
    code, _, err = world.run("dlq", "replay")
    want(code == 2 and "no dead letter" in err, f"nothing left: exit {code}: {err}")
    world.verify()


BAKERY = """\
workflow: Bakery
purpose: One makes dough, the other bakes what it finds.
roles:
  first: {task: {skill: MakeDough, expects: DoughMade, owns: ["'dough/**'"]}}
  second:
    task:
      skill: BakeDough
      expects: BreadBaked
      files: trace
      context: [DoughMade]
      owns: ["'bread/' + facts.DoughMade.name + '/**'"]
start:
  - role: first
handoffs:
  - {on: DoughMade, to: second}
  - {on: BreadBaked, complete: true}
limits: {iterations: 4, timeout: 5m}
"""
DOUGH = """#!/bin/sh
cat >/dev/null
mkdir -p dough
printf 'rye\\n' >dough/a.txt
printf '{"type":"DoughMade","payload":{"name":"loaf","grams":700}}\\n'
"""
# What it finds is what it bakes; it says what it was told by the other's words, too.
BREAD = """#!/usr/bin/python3 -IS
import json, os, sys
task = json.load(sys.stdin)
with open("dough/a.txt") as file:
    dough = file.read().strip()
os.makedirs("bread/loaf")
with open("bread/loaf/b.txt", "w") as file:
    file.write("baked " + dough)
print(json.dumps({"type": "BreadBaked", "payload": {"of": dough, "context": task["context"], "owns": task["expects"]["owns"]}}))
"""


def bakery(worlds):
    """A workspace where the second task came to nothing, after the first had made files for it."""
    world = World(worlds)
    want(world.run("init")[0] == 0, "init")
    world.write("workflows/Bakery.yaml", BAKERY)
    world.write("policies/policy.yaml", POLICY.format(skill="BakeDough", attempts=1, timeout="5s", base="10ms"))
    world.agent("kneader", agent_text("kneader", "MakeDough"), DOUGH)
    world.agent("oven", agent_text("oven", "BakeDough"), "#!/bin/sh\ncat >/dev/null\nexit 3\n")
    code, _, err = world.run("run", "Bakery", "bake", limit_s=60)
    want(code == 1, f"a task that fails: exit {code}: {err}")
    return world, told(world, "dlq", "show")


def dead_letter_with_files(worlds):
    """A task that needs what earlier ones made finds it again when it is put back, with their words, and may write where it might."""
    world, shown = bakery(worlds)
    want([given["type"] for given in shown["inputs"]] == ["DoughMade"] and shown["inputs"][0]["agentId"] == "kneader", f"{shown}")
    os.kill(world.host(), 9)
    world.agent("oven", agent_text("oven", "BakeDough"), BREAD)
    back = told(world, "dlq", "replay")
    until(lambda: [r for r in world.kinds("trace.ended") if r["traceId"] == back["traceId"]], 20, "the end of the second series")
    results = [r for r in world.kinds("task.result") if r["traceId"] == back["traceId"]]
    want(len(results) == 1, f"{results}: {world.kinds('task.failed')}")
    first = [r for r in world.kinds("task.result") if r["type"] == "DoughMade"][0]
    want(results[0]["payload"] == {"of": "rye", "context": {"DoughMade": first["payload"]}, "owns": ["bread/loaf/**"]}, f"{results}")
    want(results[0]["filesSha256"], "its own files were not taken")
    world.verify()


def dead_letter_without_its_files(worlds):
    """Files that are gone are said, before anything is put back; brought again, it goes."""
    world, shown = bakery(worlds)
    world.agent("oven", agent_text("oven", "BakeDough"), BREAD)
    listed = shown["inputs"][0]["filesSha256"]
    with open(world.path("blobs", listed[:2], listed[2:]), encoding="utf-8") as file:
        body = next(word for word in file.read().replace('"', " ").split() if len(word) == 64)
    for sha256, words in ((body, "a.txt"), (listed, "")):
        place = world.path("blobs", sha256[:2], sha256[2:])
        os.rename(place, place + ".away")
        code, _, err = world.run("dlq", "replay")
        want(code == 65 and "MakeDough" in err and words in err and "cannot be put back" in err, f"exit {code}: {err}")
        want(not world.kinds("task.put_back") and told(world, "dlq", "list")["waiting"] == 1, "it went back all the same")
        os.rename(place + ".away", place)
    item = shown["letter"]["task"]
    status, answer = world.post("ReplayTask", messageId="m-without", item=item, payload=shown["payload"])
    want(status == 400 and "inputs" in json.dumps(answer), f"without its inputs: {status} {answer}")
    told(world, "dlq", "replay", item)
    until(lambda: [r for r in world.kinds("task.result") if r["type"] == "BreadBaked"], 20, "the bread")
    world.verify()


LINE_BYTES_MAX = 1 << 20
PAYLOAD_BYTES_MAX = 384 << 10


def letter_of_size(worlds, size):
    """A task whose payload is {"big":{"a":"xx…"}}, so many bytes, and that comes to nothing."""
    world = World(worlds)
    one_task(world, attempts=1)
    world.write("workflows/Lone.yaml", WORKFLOW.format(name="Lone", skill="MakeThing").replace("expects: ThingMade", "expects: ThingMade, payload: {big: intent.blueprint}"))
    world.agent("maker", agent_text("maker", "MakeThing"), "#!/bin/sh\ncat >/dev/null\nexit 3\n")
    want(world.run("memory", "add", "wakes the host")[0] == 0, "no host")
    filler = size - len('{"big":{"a":""}}')
    status, answer = world.post("StartRun", messageId="m-large", workflow="Lone", prompt="x", blueprint={"a": "x" * filler})
    want(status == 200, f"{status} {answer}")
    until(lambda: world.kinds("trace.ended"), 20, "the end")
    return world


def dead_letter_of_any_size(worlds):
    """A letter holds what its task was told as far as a task can be told anything, and no line of the journal is longer than one may be."""
    for size in (200_000, PAYLOAD_BYTES_MAX):
        world = letter_of_size(worlds, size)
        payload = told(world, "dlq", "show")["payload"]
        want(len(json.dumps(payload, separators=(",", ":"))) == size, "the letter's payload has another size")
        os.kill(world.host(), 9)
        world.agent("maker", agent_text("maker", "MakeThing"), "#!/bin/sh\nprintf '{\"type\":\"ThingMade\",\"payload\":{\"read\":%s}}\\n' \"$(wc -c)\"\n")
        back = told(world, "dlq", "replay")
        until(lambda: [r for r in world.kinds("task.result") if r["traceId"] == back["traceId"]], 20, "the answer of who was asked again")
        want(world.kinds("task.result")[-1]["payload"]["read"] > size, "it was told less")
        want(max(len(json.dumps(record, separators=(",", ":"))) for record in world.records()) < LINE_BYTES_MAX, "a line is too long")
        world.verify()
    for size in (PAYLOAD_BYTES_MAX + 1, (1 << 20) + 1):
        world = letter_of_size(worlds, size)
        letter = told(world, "dlq", "list")["letters"][0]
        want("more than 393216 bytes" in letter["reason"], f"{letter}")
        code, _, err = world.run("dlq", "replay")
        want(code == 2 and "payload could not be made" in err, f"exit {code}: {err}")
        want(max(len(json.dumps(record)) for record in world.records()) < 8192, "what could not be told is in the journal all the same")
        world.verify()


# Each says 8,000 bytes; the baker is told all of them.
KNEADING = """#!/usr/bin/python3 -IS
import json, sys
made = json.load(sys.stdin)["context"].get("DoughMade", [])
print(json.dumps({"type": "DoughMade", "payload": {"name": "loaf", "n": 1 + (len(made) if isinstance(made, list) else 1), "flour": "f" * 8000}}))
"""


def dead_letter_with_too_much(worlds):
    """More of earlier tasks than a record lists is said and not cut: the letter stays, and nothing is started with less."""
    world = World(worlds)
    want(world.run("init")[0] == 0, "init")
    world.write("workflows/Bakery.yaml", BAKERY.replace("owns: [\"'dough/**'\"]", "context: [DoughMade]").replace("iterations: 4", "iterations: 100")
                .replace("{on: DoughMade, to: second}", "{on: DoughMade, when: event.n >= 70, to: second}\n  - {on: DoughMade, to: first}"))
    world.write("policies/policy.yaml", POLICY.format(skill="BakeDough", attempts=1, timeout="5s", base="10ms"))
    world.agent("kneader", agent_text("kneader", "MakeDough"), KNEADING)
    world.agent("oven", agent_text("oven", "BakeDough"), "#!/bin/sh\ncat >/dev/null\nexit 3\n")
    code, _, err = world.run("run", "Bakery", "bake", limit_s=120)
    want(code == 1, f"a task that fails: exit {code}: {err}")
    want(told(world, "dlq", "show")["inputs"] == 70, "they should be counted")
    code, _, err = world.run("dlq", "replay")
    want(code == 4 and "more from earlier tasks than a record lists" in err, f"exit {code}: {err}")
    want(told(world, "dlq", "list")["waiting"] == 1 and not world.kinds("task.put_back"), "it went back with less")
    want(max(len(json.dumps(record)) for record in world.records()) < LINE_BYTES_MAX, "a line is too long")
    world.verify()


POISONED = os.path.join(os.path.dirname(PROGRAM), "millwright_poisoned")


def poisoned(worlds):
    world = World(worlds)
    want(world.run("init")[0] == 0, "init")
    world.program = POISONED
    return world


def log_of(world, event):
    with open(world.path("log", "host.log"), encoding="utf-8") as file:
        return [line for line in map(json.loads, file) if line["event"] == event]


def kill_host(world):
    host = world.host()
    os.kill(host, 9)
    until(lambda: not alive(host), 10, "the host gone")


def poison_request(worlds):
    """A request that ends the host each time it is decided: two deaths, then it is refused and the rest goes on."""
    if not os.path.exists(POISONED):
        return f"{POISONED} is not built"
    world = poisoned(worlds)
    code, _, err = world.run("memory", "add", "PILL-TO-DECIDE", limit_s=60)
    want(code == 77 and "quarantine" in err, f"exit {code}: {err}")
    want(len(log_of(world, "request.suspected")) == 1 and len(log_of(world, "request.quarantined")) == 1, "two deaths and no more")
    noted = world.kinds("request.quarantined")
    want(len(noted) == 1 and noted[0]["payload"]["request"] == "AddMemory", f"{noted}")
    host = world.host()
    want(world.run("memory", "add", "something else")[0] == 0, "everything else goes on")
    kill_host(world)
    code, _, err = world.run("memory", "add", "PILL-TO-DECIDE", limit_s=60)
    want(code == 77 and "quarantine" in err and world.host() != host, f"the next host knows it: exit {code}: {err}")
    want(len(log_of(world, "request.quarantined")) == 1, "it died of it again")
    world.verify()
    # A death of one build says nothing about another: a release that is mended takes it.
    world.program = PROGRAM
    want(world.run("memory", "add", "PILL-TO-DECIDE", limit_s=60)[0] == 0, "another build tries it")
    world.verify()
    return None


def poison_answer(worlds):
    """An agent's answer that ends the host: after two deaths the attempt has failed, and the task is a dead letter."""
    if not os.path.exists(POISONED):
        return f"{POISONED} is not built"
    world = poisoned(worlds)
    one_task(world, timeout="60s")
    world.agent("maker", agent_text("maker", "MakeThing"), "#!/bin/sh\ncat >/dev/null\nprintf '{\"type\":\"ThingMade\",\"payload\":{\"is\":\"PILL-TO-DECIDE\"}}\\n'\n")
    code, _, err = world.run("run", "Lone", "make it", limit_s=90)
    for _ in range(6):  # whoever watched lost its host; the work is taken up by the next one
        if world.kinds("trace.ended"):
            break
        world.run("serve", limit_s=30)
        until(lambda: world.kinds("trace.ended") or world.host() is None, 30, "an end")
    failed = world.kinds("task.failed")
    want(len(failed) == 1 and failed[0]["errorClass"] == "poison", f"exit {code}: {err}: {failed}")
    want(len(log_of(world, "request.suspected")) == 1 and len(log_of(world, "request.quarantined")) == 1, "two deaths and no more")
    letters = told(world, "dlq", "list")
    want(letters["waiting"] == 1 and letters["letters"][0]["class"] == "poison", f"{letters}")
    world.verify()
    return None


def poison_record(worlds):
    """A record that ends every replay: after three deaths the host stays, read-only, and says so; a mended release goes on."""
    if not os.path.exists(POISONED):
        return f"{POISONED} is not built"
    world = poisoned(worlds)
    want(world.run("memory", "add", "PILL-TO-REPLAY")[0] == 0, "recorded")
    want(world.run("memory", "add", "after it")[0] == 0, "recorded too")
    count = world.count()
    kill_host(world)
    starts = 0
    while world.run("serve", limit_s=30)[0] != 0:  # each starts it once more when it was killed
        starts += 1
        want(starts <= 3 and world.host() is None, f"start {starts} is no start, and nobody answers")
    deaths = len(log_of(world, "record.suspected"))
    want(starts > 0 and deaths == 3, f"{deaths} deaths in {starts} starts, then it stays")
    host = world.host()
    hello = json.loads(world.ask("GET", "/v1/hello")[1])
    pill = [r["seq"] for r in world.kinds("memory.added")][0]
    want(hello["state"] == "read-only" and hello["readOnlyFor"] == pill, f"{hello}")
    status, answer = world.ask("POST", "/v1/agents/anybody/lease", {"worker": "one"})
    want(status == 423 and "read-only" in answer, f"a worker hears {status}: {answer}")
    code, out, err = world.run("memory", "list", "--json")
    want(code == 0 and "PILL-TO-REPLAY" in out and "after it" in out, f"views work: exit {code}: {err}")
    code, out, err = world.run("journal", "show", "--json")
    want(code == 0 and len(out.strip().split("\n")) == count, f"the journal can be read out: exit {code}: {err}")
    code, _, err = world.run("memory", "add", "more")
    want(code == 65 and "read-only" in err and "doctor" in err, f"new work: exit {code}: {err}")
    code, out, err = world.run("doctor")
    want(code == 65 and f"record {pill}" in out and "release" in out, f"doctor: exit {code}: {out} {err}")
    code, _, err = world.run("verify")
    want(code == 65 and f"record {pill}" in err, f"verify: exit {code}: {err}")
    want(world.host() == host and world.count() == count, "it is the same host, and nothing was written")
    world.program = PROGRAM
    code, _, err = world.run("memory", "add", "more", limit_s=60)
    want(code == 0, f"a release that can replay it: exit {code}: {err}")
    want(world.run("doctor")[0] != 65, "doctor has nothing to say any more")
    world.verify()
    return None


# ---- executable configuration

SCAFFOLD = "#!/bin/sh\nout=$('{program}' __agent render)\nfor folder in services/*; do printf '%s' '{text}' > \"$folder/.npmrc\"; done\nprintf '%s\\n' \"$out\"\n"


def config_review(worlds):
    """A file that npm obeys by itself: refused until somebody has said yes to these very bytes, and again when one byte is another."""
    import re

    world = World(worlds)
    world.quick_tests()

    def version(text, prompt):
        world.agent("scaffolder", agent_text("scaffolder", "ScaffoldService", tier=90), SCAFFOLD.format(program=PROGRAM, text=text))
        code, result, err = world.gen(prompt, limit_s=90)
        want(code == 0 and result["state"] == "draft", f"gen: exit {code}: {err[-600:]}")
        code, _, err = world.run("accept")
        want(code == 0, f"accept: exit {code}: {err}")
        return os.path.join(result["staged"], "services")

    def refused(*words):
        code, _, err = world.run("promote", *words)
        found = re.search(r"--approve-config ([0-9a-f]{64})", err)
        want(code == 77 and ".npmrc" in err and "npm" in err and found, f"promote {words}: exit {code}: {err}")
        return found.group(1)

    services = version("audit=true", "Build a TaskService with File storage")
    service = os.listdir(services)[0]
    want(os.path.exists(os.path.join(services, service, ".npmrc")), "the agent's file is in the bundle")
    digest = refused()
    for mode in ("--adopt-edits", "--discard-edits"):
        want(refused(mode) == digest, f"another digest with {mode}")
    want(not os.path.exists(os.path.join(world.folder, "app", "services")), "refused, and yet something was promoted")
    want(refused("--approve-config", "0" * 64) == digest, "another digest for the same bytes")
    code, _, err = world.run("promote", "--approve-config", digest)
    want(code == 0, f"with the review: exit {code}: {err}")
    started = [r for r in world.kinds("promotion.started") if r["payload"].get("approvedConfig") == digest]
    want(len(started) == 1 and started[0]["actor"].startswith("user:"), "who approved is not in the journal")
    version("audit=true", "Build a TaskService with File storage and due dates")
    code, _, err = world.run("promote")
    want(code == 0, f"the same bytes stand there: exit {code}: {err}")
    version("audit=tRue", "Build a TaskService with File storage and titles")
    want(refused("--approve-config", digest) != digest, "one byte changed, and the old word held")
    code, _, err = world.run("promote", "--approve-config", refused())
    want(code == 0, f"with the review of the new bytes: exit {code}: {err}")
    shutil.rmtree(os.path.join(world.folder, "generated"))  # what stood in the app root is kept
    code, _, err = world.run("rollback")
    want(code == 0, f"a rollback puts back what was reviewed, with its bundle or without: exit {code}: {err}")
    with open(os.path.join(world.folder, "app", "services", service, ".npmrc"), encoding="utf-8") as file:
        want(file.read().strip() == "audit=true", "another version than the one before stands there")
    world.verify()


# ---- a full disk


def full_disk(worlds):
    """On a full disk new work hears 507 and leaves nothing; a result, a cancel and a shutdown are still taken; with room it goes on."""
    if os.geteuid() != 0:
        return "not root: no small file system can be mounted"
    world = World(worlds)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", world.folder], stderr=subprocess.DEVNULL, check=False).returncode:
        return "no tmpfs can be mounted here"
    try:
        full_disk_story(world)
    finally:
        host = world.host()
        if host:
            os.kill(host, 9)
        until(lambda: subprocess.run(["umount", world.folder], stderr=subprocess.DEVNULL, check=False).returncode == 0, 10, "unmounted")
    return None


def full_disk_story(world):
    one_task(world, timeout="5m")
    script = "#!/bin/sh\ncat >/dev/null\nwhile [ -e \"$(dirname \"$0\")/closed\" ]; do sleep 0.05; done\nprintf '{\"type\":\"ThingMade\",\"payload\":{\"well\":true}}\\n'\n"
    world.agent("maker", agent_text("maker", "MakeThing"), script)
    world.write("agents/closed", "")
    process = world.serve()
    traces = [world.post("StartRun", workflow="Lone", prompt=words)[1]["traceId"] for words in ("first", "second")]
    until(lambda: len(world.kinds("task.dispatched")) == 2, 20, "both are asked")
    ballast = world.write("ballast", "")

    def fill():
        for block in (65536, 4096, 1):
            try:
                with open(ballast, "ab", buffering=0) as file:
                    while True:
                        file.write(b"\0" * block)
            except OSError:
                pass

    refused, accepted = 0, list(traces)
    fill()
    for _ in range(20):  # the first frame that meets the wall is written out of the reserve: it was decided already
        status, answer = world.post("StartRun", workflow="Lone", prompt=f"one more, after {len(accepted)}")
        if status == 200:
            accepted.append(answer["traceId"])
            continue
        want(status == 507 and answer["error"]["code"] == "full", f"new work on a full disk: {status} {answer}")
        refused += 1
        if refused == 3:
            break
    want(refused == 3, f"{len(accepted)} runs were taken by a full disk")
    want(sorted(r["traceId"] for r in world.kinds("trace.opened")) == sorted(accepted), "refused, and yet there is a trace")
    status, answer = world.post("Cancel", traceId=traces[1])
    want(status == 200, f"a cancel on a full disk: {status} {answer}")
    os.unlink(os.path.join(world.folder, "agents", "closed"))
    until(lambda: [r for r in world.kinds("task.result") if r["traceId"] == traces[0]], 30, "the result that came on a full disk")

    def outcomes():
        return {r["traceId"]: r["outcome"] for r in world.kinds("trace.ended")}
    until(lambda: set(traces) <= set(outcomes()), 30, "both ends")
    want([outcomes()[trace] for trace in traces] == ["completed", "cancelled"], f"{outcomes()}")
    want(world.ask("POST", "/v1/shutdown", {"drain": True})[0] == 200, "a shutdown on a full disk")
    want(process.wait(20) == 0, f"it left with {process.returncode}")
    os.unlink(ballast)
    world.serve()
    status, answer = world.post("StartRun", workflow="Lone", prompt="with room")
    want(status == 200, f"with room again: {status} {answer}")
    accepted.append(answer["traceId"])
    until(lambda: set(accepted) <= set(outcomes()), 60, "and all that was accepted is done")
    want([outcomes()[trace] for trace in accepted].count("completed") == len(accepted) - 1, f"{outcomes()}")
    world.verify()


# ---- verify --promises


def verify_promises(worlds):
    """The short forms on this disk: each promise is named; where files cannot be written it says so, and ends with 1."""
    world = World(worlds)
    want(world.run("init")[0] == 0, "init")
    before = sorted(os.listdir(world.path()))
    found = told(world, "verify", "--promises", limit_s=120)
    ids = {row["id"] for row in found["promises"]}
    want(ids == {f"P{n:02d}" for n in (*range(1, 19), 20, 21, 22, 23)}, f"{sorted(ids)}")
    want(found["broken"] == 0 and found["hold"] == len([r for r in found["promises"] if r["verdict"] == "holds"]), f"{found}")
    untried = {row["id"] for row in found["promises"] if row["verdict"] == "cannot be tried here"}
    want(untried == {"P18", "P20"}, f"not tried: {sorted(untried)}")
    want(all(row["detail"] for row in found["promises"]), "a verdict without what was done")
    want(sorted(os.listdir(world.path())) == before, "it left something behind")
    tight = subprocess.run(["sh", "-c", 'ulimit -f 8; exec "$@"', "sh", PROGRAM, "verify", "--promises", "--dir", world.base, "--json"],
                           env=world.env, cwd=world.base, capture_output=True, text=True, timeout=120, check=False)
    want(tight.returncode == 1, f"where no file may grow: exit {tight.returncode}: {tight.stderr}")
    broken = [row["id"] for row in json.loads(tight.stdout)["promises"] if row["verdict"] == "does not hold here"]
    want("P01" in broken, f"{broken}")
    want(not [name for name in os.listdir(world.base) if name.startswith("verify-")], "it left something behind")


# ---- clocks

FAKETIME = "/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1".format(os.uname().machine)
TEN_YEARS_DAYS = 3650


def clock_jumps(worlds):
    """The clock of a host is set ten years back and forth: nothing rings early, what is due rings once and soon."""
    if not os.path.exists(FAKETIME):
        return "libfaketime is not here"
    if SANITIZER:
        return "a sanitizer wants to be loaded first"
    world = World(worlds)
    one_task(world, skill="FirstThing", attempts=3, base="2s")
    for name, skill, base in (("Second", "SecondThing", "2s"), ("Third", "ThirdThing", "1h")):
        world.write(f"workflows/{name}.yaml", WORKFLOW.format(name=name, skill=skill))
        world.write(f"policies/{name.lower()}.yaml", POLICY.format(skill=skill, attempts=3, timeout="5m", base=base).replace("quick", name.lower()))
    for name, skill in (("first", "FirstThing"), ("second", "SecondThing"), ("third", "ThirdThing")):
        world.agent(name, agent_text(name, skill), "#!/bin/sh\ncat >/dev/null\nexit 3\n")
    clock = world.write("clock", "+0\n")
    world.env.update(LD_PRELOAD=FAKETIME, FAKETIME_TIMESTAMP_FILE=clock, FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1")
    world.serve()
    for name in ("LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE", "FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC"):
        del world.env[name]

    def start(skill):
        """A repair of its own: no run's time limit is in the way of ten years."""
        status, answer = world.post("StartUnit", skill=skill, payload={})
        want(status == 200, f"{answer}")
        until(lambda: [r for r in world.kinds("task.retry") if r["traceId"] == answer["traceId"]], 20, f"a retry of {skill}")
        return answer["traceId"]

    def rings(trace):
        return [r for r in world.kinds("timer.rang") if r["traceId"] == trace]

    def set_clock(days):
        with open(clock, "w", encoding="utf-8") as file:
            file.write(f"{days:+d}d\n" if days else "+0\n")

    third = start("ThirdThing")
    first = start("FirstThing")
    set_clock(-TEN_YEARS_DAYS)
    second = start("SecondThing")  # counts from the clock as it is now: when it has rung twice, the first one's two seconds are over, too
    until(lambda: len(rings(second)) >= 1, 20, "the second one's timer")
    want(not rings(first) and not rings(third), f"rang ten years early: {rings(first)} {rings(third)}")
    set_clock(TEN_YEARS_DAYS)
    until(lambda: rings(first) and rings(third), 10, "what became due by the jump")
    due = {r["seq"]: r["dueUs"] for r in world.records() if "dueUs" in r}
    asked = [r["fence"] for r in world.kinds("timer.rang")]
    want(len(asked) == len(set(asked)), f"a timer rang twice: {asked}")
    for ring in world.kinds("timer.rang"):
        late_us = micros_of(ring["timestamp"]) - due[ring["fence"]]
        want(late_us >= 0, f"timer {ring['fence']} rang {-late_us} us early")
    # An outage in which its time passes: the next host rings it once.
    retries = until(lambda: [r for r in world.kinds("task.retry") if r["traceId"] == third][1:], 20, "the third one's second retry")
    missed = retries[0]["seq"]
    kill_host(world)
    set_clock(TEN_YEARS_DAYS + 1)
    world.env.update(LD_PRELOAD=FAKETIME, FAKETIME_TIMESTAMP_FILE=clock, FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1")
    world.serve()
    del world.env["LD_PRELOAD"]
    until(lambda: [r for r in rings(third) if r["fence"] == missed], 10, "what was missed")
    until(lambda: [r for r in world.kinds("task.dispatched") if r["traceId"] == third][2:], 20, "the third attempt")
    want(len([r for r in rings(third) if r["fence"] == missed]) == 1, "it was caught up more than once")
    world.verify()
    return None


def micros_of(text):
    from datetime import datetime, timezone
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return int(moment.timestamp()) * 1000000 + moment.microsecond


# ---- back-pressure

MEMORY_MB = 64


def peak_mb(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:")) / 1024


def tenfold_load(worlds):
    """Ten times what memory allows: what is accepted is all done, what is refused hears 429 with Retry-After and left nothing behind."""
    import threading

    world = World(worlds, env={"MILLWRIGHT_MEMORY_MB": str(MEMORY_MB)})
    one_task(world, skill="DecideThing", timeout="1h")
    world.agent("clerk", "agent_id: clerk\nagent_type: Clerk\nskills: [DecideThing]\ndomains: [\"*\"]\ncapacity: 1000\nbackend: {kind: human}\n")
    host = world.serve().pid
    prompt = "x" * 60000
    accepted, refused, wrong = [], [], []
    enough = threading.Event()

    def load():
        connection = Unix(world.path("millwright.sock"), 60)
        while not enough.is_set():
            connection.request("POST", "/v1/requests/StartRun", json.dumps({"workflow": "Lone", "prompt": prompt}), {"content-type": "application/json"})
            answer = connection.getresponse()
            body = json.loads(answer.read())
            if answer.status == 200:
                accepted.append(body["traceId"])
            elif answer.status == 429 and answer.headers["retry-after"] and "MEMORY_MB" in body["error"]["message"]:
                refused.append(answer.status)
            else:
                wrong.append((answer.status, body))
            if wrong or (refused and len(refused) >= 9 * len(accepted)) or len(accepted) > 20000:
                enough.set()
        connection.close()

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    want(not wrong, f"{wrong[:2]}")
    want(len(accepted) > 100 and len(refused) >= 9 * len(accepted), f"{len(accepted)} accepted, {len(refused)} refused")
    want(SANITIZER or peak_mb(host) < MEMORY_MB + 48, f"the host took {peak_mb(host):.0f} MB")  # a sanitizer's shadow is no memory of the host's
    opened = [r["traceId"] for r in world.kinds("trace.opened")]
    want(sorted(opened) == sorted(accepted), f"{len(opened)} traces were opened, {len(accepted)} acknowledged")
    # People's answers are taken all the same: they are what makes room.
    answered = 0
    for record in world.kinds("task.dispatched"):
        status, answer = world.post("AnswerItem", item=record["taskId"], action="answer", payload={"well": True})
        want(status == 200, f"answer {answered}: {answer}")
        answered += 1
    want(answered == len(accepted), f"{answered} people were asked for {len(accepted)} runs")
    done = [r["traceId"] for r in world.kinds("trace.ended") if r["outcome"] == "completed"]
    want(sorted(done) == sorted(accepted), f"{len(done)} of {len(accepted)} accepted runs are complete")
    want(world.post("StartRun", workflow="Lone", prompt=prompt)[0] == 200, "there is room again, and new work is taken")
    want(world.host() == host, "it is the same host")
    world.verify()
    print(f"    {len(accepted)} accepted, {len(refused)} refused, at most {peak_mb(host):.0f} MB", flush=True)


prove("promise_P18_executable_configuration_needs_a_review_of_these_bytes", config_review)
prove("promise_P10_on_a_full_disk_a_result_a_cancel_and_a_shutdown_are_taken_and_new_work_is_not", full_disk)
prove("promise_short_forms_on_this_disk_P01_to_P23", verify_promises)
prove("promise_P09_ten_times_the_load_is_refused_before_it_is_written_and_nothing_accepted_is_lost", tenfold_load)
prove("promise_P09_whoever_failed_together_does_not_come_back_together", spread)
prove("promise_P07_timers_hold_whatever_the_clock_is_set_to", clock_jumps)
prove("promise_P08_a_dead_letter_is_kept_with_evidence_and_put_back_once", dead_letter)
prove("promise_P08_a_dead_letter_goes_back_with_the_files_and_words_of_earlier_tasks", dead_letter_with_files)
prove("promise_P08_a_dead_letter_of_any_size_a_payload_may_have_goes_back_whole", dead_letter_of_any_size)
prove("promise_P08_a_dead_letter_with_more_than_a_record_lists_stays_and_says_so", dead_letter_with_too_much)
prove("promise_P08_a_dead_letter_whose_files_are_gone_is_not_put_back", dead_letter_without_its_files)
prove("promise_P08_a_request_that_ends_the_host_twice_is_put_in_quarantine", poison_request)
prove("promise_P08_an_answer_that_ends_the_host_twice_fails_its_attempt", poison_answer)
prove("promise_P08_a_record_that_ends_three_replays_makes_the_host_read_only", poison_record)
finish()
