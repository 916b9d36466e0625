#!/usr/bin/env python3
"""A secret that an agent was given comes back in what agents, workers and callers say: it is in nothing that is kept (P19)."""
import base64
import json
import os
import urllib.parse

from crash_lib import WORKFLOW, World, agent_text, finish, prove, until, want

CANARY = 'cn4ry/"7&S3cret+Value%42'
FORMS = {"plain": CANARY, "json": json.dumps(CANARY)[1:-1], "url": urllib.parse.quote(CANARY, safe="-_.~"),
         "base64": base64.b64encode(CANARY.encode()).decode().rstrip("=")}
# What is longer than 1 KiB is kept as a body of its own, what is shorter in the record.
SIZES = {"short": 10, "long": 3000}
# Says everything that it was given, in every form, and how long the secret was: so it had it.
BLAB = """#!/usr/bin/python3 -IS
import base64, json, os, sys, urllib.parse
sys.stdin.read()
token = os.environ["MY_TOKEN"]
said = {"plain": token, "url": urllib.parse.quote(token, safe="-_.~"), "base64": base64.b64encode(token.encode()).decode()}
print(json.dumps({"type": "ThingMade", "payload": {"said": said, "length": len(token), "pad": "p" * SIZE}}))
"""


def everything_kept(world):
    for folder, _, names in os.walk(world.path()):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    yield os.path.relpath(path, world.path()), file.read()


def is_nowhere(world, when):
    kept = dict(everything_kept(world))
    want(any(name.startswith("journal/") and b"[secret MY_TOKEN]" in data for name, data in kept.items()), f"{when}: nothing was masked in the journal")
    for name, data in kept.items():
        for form, text in FORMS.items():
            want(text.encode() not in data, f"{when}: the secret stands in {name} ({form})")


def begin(worlds):
    """An agent that is given the secret and says it: from then on the host knows it."""
    world = World(worlds, env={"MY_TOKEN": CANARY})
    want(world.run("init")[0] == 0, "init")
    for size, pad in SIZES.items():
        skill = f"Make{size.capitalize()}"
        world.write(f"workflows/{skill}.yaml", WORKFLOW.format(name=skill, skill=skill))
        world.agent(f"blab-{size}", agent_text(f"blab-{size}", skill).replace("}\n", ", environment: {secrets: [MY_TOKEN]}}\n"), BLAB.replace("SIZE", str(pad)))
        code, _, err = world.run("run", skill, "make it", limit_s=60)
        want(code == 0, f"{skill}: exit {code}: {err}")
    results = [record["payload"] for record in world.kinds("task.result")]
    want([result.get("length") for result in results] == [len(CANARY)] * 2, f"the agent did not have the secret: {results}")
    return world


def what_agents_answer(worlds):
    world = begin(worlds)
    is_nowhere(world, "after an agent's answer")
    world.verify()


def what_callers_say(worlds):
    world = begin(worlds)
    for size, pad in (("short", 10), ("long", 6000)):
        status, answer = world.post("StartRun", messageId=f"m-{size}", workflow="MakeShort", prompt=f"use {CANARY} for it",
                                    blueprint={"token": CANARY, "coded": FORMS["base64"], "pad": "p" * pad})
        want(status == 200, f"{status} {answer}")
        until(lambda: [r for r in world.kinds("trace.ended") if r["traceId"] == answer["traceId"]], 30, "the end")
    want(world.run("memory", "add", f"the token is {CANARY}")[0] == 0, "memory add")
    is_nowhere(world, "after a caller's request")
    world.verify()


def what_workers_answer(worlds):
    world = begin(worlds)
    world.write("workflows/Far.yaml", WORKFLOW.format(name="Far", skill="MakeFar"))
    world.write("agents/far.yaml", "agent_id: far\nagent_type: Far Agent\nskills: [MakeFar]\ndomains: [\"*\"]\ncapacity: 4\nbackend: {kind: worker, lease: 30s}\n")
    for size, pad in SIZES.items():
        status, begun = world.post("StartRun", messageId=f"m-{size}", workflow="Far", prompt="far")
        want(status == 200, f"{status} {begun}")
        status, text = world.ask("POST", "/v1/agents/far/lease", {"worker": "w1", "max": 1, "waitMs": 10000})
        tasks = json.loads(text)["tasks"]
        want(status == 200 and len(tasks) == 1, f"{status} {text}")
        reply = {"taskId": tasks[0]["taskId"], "fence": tasks[0]["fence"], "type": "ThingMade", "rationale": f"I was given {CANARY}",
                 "payload": {"said": CANARY, "coded": FORMS["base64"], "url": FORMS["url"], "pad": "p" * pad}}
        status, text = world.ask("POST", "/v1/agents/far/answers", {"worker": "w1", "answers": [reply]})
        want(status == 200 and json.loads(text)["answers"][0]["status"] == "recorded", f"{status} {text}")
    is_nowhere(world, "after a worker's answer")
    world.verify()


PIN, TOKEN = "13572468", "token-of-mine"
# Answers that are no JSON any more when the secret in them is masked: it is a number, or it begins within an escape.
BROKEN = {"number": '{"type":"ThingMade","payload":{"pin":%s}}' % PIN,
          "escape": '{"type":"ThingMade","payload":{"said":"\\\\%s"}}' % TOKEN,
          "failure": '{"error":{"class":"tool","message":"\\\\%s","retryable":false}}' % TOKEN}


def what_masking_breaks(worlds):
    """That attempt fails, with words that say why; the host goes on, and keeps nothing of the secret."""
    world = World(worlds, env={"PIN": PIN, "TOKEN": TOKEN})
    want(world.run("init")[0] == 0, "init")
    for how, line in BROKEN.items():
        skill = f"Make{how.capitalize()}"
        world.write(f"workflows/{skill}.yaml", WORKFLOW.format(name=skill, skill=skill))
        world.agent(how, agent_text(how, skill).replace("}\n", ", environment: {secrets: [PIN, TOKEN]}}\n"),
                    f"#!/bin/sh\ncat >/dev/null\nprintf '%s\\n' '{line}'\n".replace("\\\\", "\\"))
    want(world.run("memory", "add", "wakes the host")[0] == 0, "no host")
    host = world.host()
    for how in BROKEN:
        skill = f"Make{how.capitalize()}"
        status, answer = world.post("StartRun", messageId=f"m-{how}", workflow=skill, prompt="make it")
        want(status == 200, f"{status} {answer}")
        until(lambda: [r for r in world.kinds("task.failed") if r["taskType"] == skill], 20, f"what became of it ({how})")
        failure = [r for r in world.kinds("task.failed") if r["taskType"] == skill][0]
        want(failure["errorClass"] == "invalid_answer" and "secret" in failure["reason"], f"{how}: {failure}")
    want(world.host() == host, "the host is another")
    for name, data in everything_kept(world):
        want(PIN.encode() not in data, f"the secret stands in {name}")
    world.verify()


prove("canary_P19_an_answer_that_masking_breaks_is_a_failed_attempt", what_masking_breaks)
prove("canary_P19_what_an_agent_answers_is_kept_without_the_secret_in_it", what_agents_answer)
prove("canary_P19_what_a_caller_says_is_kept_without_the_secret_in_it", what_callers_say)
prove("canary_P19_what_a_worker_answers_is_kept_without_the_secret_in_it", what_workers_answer)
finish()
