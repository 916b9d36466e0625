#!/usr/bin/env python3
"""Promises from outside, on a real host: dead letters (P08)."""
import json
import os

from crash_lib import World, agent_text, finish, prove, until, want

WORKFLOW = """\
workflow: {name}
purpose: One task, on its own.
roles:
  maker: {{task: {{skill: {skill}, expects: ThingMade}}}}
start:
  - role: maker
handoffs:
  - {{on: ThingMade, complete: true}}
limits: {{iterations: 2, timeout: 5m}}
"""
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


prove("promise_P08_a_dead_letter_is_kept_with_evidence_and_put_back_once", dead_letter)
finish()
