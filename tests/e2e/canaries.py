#!/usr/bin/env python3
"""A secret that an agent was given comes back in what agents, workers and callers say: it is in nothing that is kept (P19)."""
import base64
import hashlib
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

POLICY = """\
policies:
  - {name: once, skills: [MakeKeys], attempts: 1, reroutes: 0, timeout: 10s, backoff: {base: 10ms, factor: 1, cap: 10ms},
     routing_attempts: 1, escalate: false}
"""

# Has come by the port's token, and says it.
TELL = """#!/bin/sh
cat >/dev/null
echo '{"type":"ThingMade","payload":{"said":"TOKEN","well":true}}'
"""


# Names two members by what it was given, in ways that are masked alike.
KEYS = """#!/usr/bin/python3 -IS
import os, sys, urllib.parse
sys.stdin.read()
token = os.environ["MY_TOKEN"]
print('{"type":"ThingMade","payload":{"%s":1,"%s":2}}' % (token, urllib.parse.quote(token, safe="")))
"""
# Writes the secret and then so much that the end of what is kept lies in it, at another place each time; and fails.
CUT = """#!/usr/bin/python3 -IS
import json, os, sys
turn = json.load(sys.stdin)["attempt"] - 1
sys.stderr.buffer.write(b"p" * 5000 + os.environ["MY_TOKEN"].encode() + b"x" * (4091 - 9 * turn))
sys.exit(3)
"""
# Writes the secret, and behind it more than is looked through of a log.
FLOOD = """#!/usr/bin/python3 -IS
import os, sys
sys.stdin.read()
sys.stderr.buffer.write(os.environ["MY_TOKEN"].encode() + (b"x" * 1023 + b"\\n") * (3 << 10))
print('{"type":"ThingMade","payload":{}}')
"""
FLOOD_OF_IT = """#!/usr/bin/python3 -IS
import os, sys
sys.stdin.read()
token = os.environ["MY_TOKEN"].encode()
# Whatever of the end is kept begins within one of them: a mebibyte does, three bytes after its beginning.
sys.stderr.buffer.write(token * 40000 + b"x" * (((1 << 20) + 3) % len(token) + len(token) - 1) + b"\\n")
print('{"type":"ThingMade","payload":{}}')
"""
# Has come by the port's token, and what is kept of its log begins within it.
CUT_TOKEN = """#!/usr/bin/python3 -IS
import json, sys
turn = json.load(sys.stdin)["attempt"] - 1
sys.stderr.buffer.write(b"p" * 5000 + b"TOKEN" + b"x" * (4091 - 9 * turn))
sys.exit(3)
"""
# A line's end whose escape ends in the letter that the secret begins with: \\n and the rest of it.
LINE = """#!/usr/bin/python3 -IS
import os, sys
sys.stdin.read()
print('{"type":"ThingMade","payload":{"a":"\\\\%s"}}' % os.environ["MY_TOKEN"])
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


# A number of which nothing is left once the secret is masked: the second attempt says it in time, the first when it is asked to end.
PIN = "13572468"
NUMBER = """#!/usr/bin/python3 -IS
import json, os, signal, sys
attempt = json.load(sys.stdin)["attempt"]
def say(*_):
    print('{"type":"ThingMade","payload":{"pin":%s}}' % os.environ["PIN"] if attempt < 3 else '{"type":"ThingMade","payload":{}}', flush=True)
    os._exit(0)
signal.signal(signal.SIGTERM, say)
if attempt > 1:
    say()
open("waits", "w").close()
signal.pause()
"""
LATE = """\
policies:
  - {name: late, skills: [MakeNumber], attempts: 3, reroutes: 0, timeout: 500ms, backoff: {base: 10ms, factor: 1, cap: 10ms},
     routing_attempts: 1, escalate: false}
"""


def what_masking_breaks(worlds):
    """Late or in time: such an attempt has failed, with words that say why; the host goes on, and keeps nothing of the secret."""
    world = World(worlds, env={"PIN": PIN})
    want(world.run("init")[0] == 0, "init")
    world.write("policies/policy.yaml", LATE)
    world.write("workflows/MakeNumber.yaml", WORKFLOW.format(name="MakeNumber", skill="MakeNumber"))
    world.agent("number", agent_text("number", "MakeNumber").replace("}\n", ", environment: {secrets: [PIN]}}\n"), NUMBER)
    want(world.run("memory", "add", "wakes the host")[0] == 0, "no host")
    host = world.host()
    status, answer = world.post("StartRun", messageId="m-number", workflow="MakeNumber", prompt="make it")
    want(status == 200, f"{status} {answer}")
    until(lambda: world.kinds("trace.ended"), 30, "the end")
    want(world.host() == host, "the host is another")
    failures = [record for record in world.kinds("task.failed") if record["attempt"] == 2]
    want(len(failures) == 1 and failures[0]["errorClass"] == "invalid_answer" and "secret" in failures[0]["reason"], f"{failures}")
    want(world.kinds("trace.ended")[0]["outcome"] == "completed", "the third attempt is one that went well")
    for name, data in everything_kept(world):
        want(PIN.encode() not in data, f"the secret stands in {name}")
    world.verify()


def what_is_cut(worlds):
    """Of what a failed agent wrote the end is kept: wherever that begins, nothing of the secret is in it, whatever letters it has."""
    secret = "hemmelig-nøkkel-0123456789-abcdefghij"
    world = World(worlds, env={"MY_TOKEN": secret})
    want(world.run("init")[0] == 0, "init")
    world.write("policies/policy.yaml", POLICY.replace("MakeKeys", "MakeCut").replace("attempts: 1,", "attempts: 4,"))
    world.write("workflows/MakeCut.yaml", WORKFLOW.format(name="MakeCut", skill="MakeCut"))
    world.agent("cutter", agent_text("cutter", "MakeCut").replace("}\n", ", environment: {secrets: [MY_TOKEN]}}\n"), CUT)
    code, _, err = world.run("run", "MakeCut", "make it", limit_s=60)
    want(code == 1, f"exit {code}: {err}")
    said = [record["evidence"]["stderr"] for record in world.kinds("task.failed")]
    want(len(said) == 4, f"{len(said)} attempts")
    logs = [data for name, data in everything_kept(world) if name.endswith("/stderr.log")]
    want(len(logs) == 4 and all(b"ppp[secret MY_TOKEN]xxx" in data for data in logs), f"the logs of the attempts: {[data[4990:5100] for data in logs]}")
    for name, data in everything_kept(world):
        want(secret.encode() not in data, f"the secret stands in {name}")
    for text in said:
        want("x" * 100 in text and "hemmelig" not in text and "23456789" not in text and "defghij" not in text, f"of the secret there is left: {text[:80]!r}")
    world.verify()


def what_is_not_looked_through(worlds):
    """A log that is too long to be looked through whole: of its beginning nothing is kept, nor half a secret where the rest begins."""
    for script in FLOOD, FLOOD_OF_IT:
        flooded(World(worlds, env={"MY_TOKEN": CANARY}), script)


def flooded(world, script):
    want(world.run("init")[0] == 0, "init")
    world.write("workflows/MakeFlood.yaml", WORKFLOW.format(name="MakeFlood", skill="MakeFlood"))
    world.agent("flood", agent_text("flood", "MakeFlood").replace("}\n", ", environment: {secrets: [MY_TOKEN]}}\n"), script)
    code, _, err = world.run("run", "MakeFlood", "make it", limit_s=60)
    want(code == 0, f"exit {code}: {err}")
    logs = [data for name, data in everything_kept(world) if name.endswith("/stderr.log")]
    want(len(logs) == 1 and logs[0].endswith(b"xxx\n"), f"the log is not kept: {[len(data) for data in logs]}")
    for name, data in everything_kept(world):
        want(CANARY.encode() not in data and CANARY[3:].encode() not in data, f"the secret stands in {name}")
    world.verify()


def what_is_out_of_time(worlds):
    """Who is ended by the clock has said the secret too: its log is kept without it."""
    world = World(worlds, env={"MY_TOKEN": CANARY})
    want(world.run("init")[0] == 0, "init")
    world.write("policies/policy.yaml", POLICY.replace("MakeKeys", "MakeLate"))
    world.write("workflows/MakeLate.yaml", WORKFLOW.format(name="MakeLate", skill="MakeLate"))
    world.agent("late", agent_text("late", "MakeLate").replace("}\n", ", environment: {secrets: [MY_TOKEN]}}\n") + "limits: {deadline: 1s}\n",
                '#!/bin/sh\ncat >/dev/null\necho "my token is $MY_TOKEN" >&2\nexec sleep 600\n')
    code, out, err = world.run("run", "MakeLate", "make it", limit_s=60)
    want(code == 1, f"exit {code}: {err}")
    def logs():
        return [data for name, data in everything_kept(world) if name.endswith("/stderr.log") and data]
    until(lambda: logs() and all(b"[secret MY_TOKEN]" in data for data in logs()), 20, f"the log without it: {logs()}")
    for name, data in everything_kept(world):
        want(CANARY.encode() not in data, f"the secret stands in {name}")
    world.verify()


def what_cannot_be_masked(worlds):
    """An answer that is none any more when the secret is taken out of it: the attempt has failed, and the host goes on."""
    world = World(worlds, env={"MY_TOKEN": "npm_token+0123456789"})
    want(world.run("init")[0] == 0, "init")
    world.write("policies/policy.yaml", POLICY)
    for skill, script in (("MakeKeys", KEYS), ("MakeLine", LINE)):
        world.write(f"workflows/{skill}.yaml", WORKFLOW.format(name=skill, skill=skill))
        world.agent(skill.lower(), agent_text(skill.lower(), skill).replace("}\n", ", environment: {secrets: [MY_TOKEN]}}\n"), script)
    host = world.serve()
    ends = {}
    for skill in ("MakeKeys", "MakeLine"):
        status, answer = world.post("StartRun", messageId=f"m-{skill}", workflow=skill, prompt="make it")
        want(status == 200, f"{status} {answer}")
        ends[skill] = until(lambda: host.poll() is not None or [r["outcome"] for r in world.kinds("trace.ended") if r["traceId"] == answer["traceId"]], 30,
                            f"the end of {skill}")
        want(host.poll() is None, f"{skill}: the host has ended: {host.poll()}")
    want(ends == {"MakeKeys": ["failed"], "MakeLine": ["completed"]}, f"{ends}")
    want(all("npm_token" not in json.dumps(record) for record in world.records()), "the secret is kept")
    want("secret" in world.kinds("task.failed")[0]["reason"], f"{world.kinds('task.failed')}")
    world.verify()


def what_our_own_words_hold(worlds):
    """A secret that is a piece of JSON is in nearly all that the host writes itself: the attempt fails, and the host goes on."""
    world = World(worlds, env={"MY_TOKEN": '"retryable":'})
    want(world.run("init")[0] == 0, "init")
    world.write("policies/policy.yaml", POLICY)
    world.write("workflows/MakeKeys.yaml", WORKFLOW.format(name="MakeKeys", skill="MakeKeys"))
    world.agent("keys", agent_text("keys", "MakeKeys").replace("}\n", ", environment: {secrets: [MY_TOKEN]}}\n"), "#!/bin/sh\nexit 3\n")
    host = world.serve()
    status, answer = world.post("StartRun", messageId="m-keys", workflow="MakeKeys", prompt="make it")
    want(status == 200, f"{status} {answer}")
    until(lambda: host.poll() is not None or world.kinds("trace.ended"), 30, "the end")
    want(host.poll() is None, f"the host has ended: {host.poll()}")
    want("secret" in world.kinds("task.failed")[0]["reason"], f"{world.kinds('task.failed')}")
    world.verify()


def what_a_definition_holds(worlds):
    """An agent's file with a secret as a number is not registered, and that is said; the host goes on."""
    world = World(worlds, env={"PIN": PIN})
    want(world.run("init")[0] == 0, "init")
    world.write("workflows/MakeKeys.yaml", WORKFLOW.format(name="MakeKeys", skill="MakeKeys"))
    world.agent("keys", agent_text("keys", "MakeKeys").replace("}\n", ", environment: {secrets: [PIN]}}\n"),
                "#!/bin/sh\ncat >/dev/null\necho '{\"type\":\"ThingMade\",\"payload\":{}}'\n")
    host = world.serve()
    for number in range(2):
        status, answer = world.post("StartRun", messageId=f"m-{number}", workflow="MakeKeys", prompt="make it")
        want(status == 200, f"{status} {answer}")
        until(lambda: host.poll() is not None or len(world.kinds("trace.ended")) > number, 30, "the end")
        want(host.poll() is None, f"the host has ended: {host.poll()}")
        world.agent("other", agent_text("other", "MakeOther", more=f"limits: {{output_bytes: {PIN}}}\n"), "#!/bin/sh\n")
    with open(world.path("log", "host.log"), encoding="utf-8") as log:
        want("other.yaml: it cannot be recorded" in log.read(), "it is not said")
    world.verify()


def what_the_host_tells_itself(worlds):
    """That definitions have changed, for one: a secret that is a piece of how it says so ends nothing."""
    world = World(worlds, env={"MY_TOKEN": '{"sha256":', "OTHER": '"catalogueSha256":'})
    want(world.run("init")[0] == 0, "init")
    world.write("policies/policy.yaml", POLICY)
    world.write("workflows/MakeKeys.yaml", WORKFLOW.format(name="MakeKeys", skill="MakeKeys"))
    world.agent("keys", agent_text("keys", "MakeKeys").replace("}\n", ", environment: {secrets: [MY_TOKEN, OTHER]}}\n"),
                """#!/bin/sh\ncat >/dev/null\necho '{"type":"ThingMade","payload":{}}'\n""")
    host = world.serve()
    for turn in ("one", "two"):
        status, answer = world.post("StartRun", messageId=f"m-{turn}", workflow="MakeKeys", prompt="make it")
        want(status == 200, f"{status} {answer}")
        until(lambda: host.poll() is not None or [r for r in world.kinds("trace.ended") if r["traceId"] == answer["traceId"]], 30, f"the end of {turn}")
        want(host.poll() is None, f"the host has ended: {host.poll()}")
        world.write("workflows/Other.yaml", WORKFLOW.format(name="Other", skill="MakeKeys"))
    world.verify()


ENVIRONMENT = """#!/usr/bin/python3 -IS
import json, os, sys
sys.stdin.read()
print(json.dumps({"type": "ThingMade", "payload": {"environment": dict(os.environ)}}))
"""


def what_an_agent_is_told_of_its_surroundings(worlds):
    """Its environment is what docs/agents.md says and nothing else; what is set for tests, only where tests are run."""
    world = World(worlds, env={"MILLWRIGHT_TEST_DATABASE_URL": "postgres://me:" + "secret" + "@localhost/x", "MILLWRIGHT_TEST_": "1", "TZ": "UTC", "MINE": "mine",
                               "NEVER": "said", "AWS_SECRET_ACCESS_KEY": "never", "LD_LIBRARY_PATH": "/nowhere", "no_proxy": "localhost"})
    want(world.run("init")[0] == 0, "init")
    always = {"PATH", "HOME", "TMPDIR", "LANG", "TZ", "no_proxy", "MILLWRIGHT_TASK", "MILLWRIGHT_TRACE_ID", "MILLWRIGHT_SESSION_ID", "MILLWRIGHT_WORK_DIR",
              "MILLWRIGHT_FACTORY", "TRACEPARENT", "MINE"}
    python_adds = {"LC_CTYPE"}  # where the system has no such locale
    rows = {"Build": ("", always), "Test": (", profile: test", always | {"MILLWRIGHT_TEST_DATABASE_URL", "MILLWRIGHT_TEST_"})}
    for name, (profile, _) in rows.items():
        world.write(f"workflows/{name}.yaml", WORKFLOW.format(name=f"Lone{name}", skill=f"Make{name}"))
        world.agent(name.lower(), agent_text(name.lower(), f"Make{name}").replace("}\n", f"{profile}, environment: {{pass: [MINE]}}}}\n"), ENVIRONMENT)
    world.serve()
    for name, (_, expected) in rows.items():
        status, answer = world.post("StartRun", workflow=f"Lone{name}", prompt="where are you?")
        want(status == 200, f"{status} {answer}")
        trace = answer["traceId"]
        until(lambda: [r for r in world.kinds("trace.ended") if r["traceId"] == trace], 30, f"the end of {name}")
        result = [r for r in world.kinds("task.result") if r["traceId"] == trace]
        want(result, f"{name}: {[r.get('reason') for r in world.kinds('task.failed')]}")
        told = result[0]["payload"]["environment"]
        want(set(told) - python_adds == expected, f"{name}: {sorted(set(told) ^ expected)}")
        digest = hashlib.sha256(trace.encode()).hexdigest()
        want(told["TRACEPARENT"] == f"00-{digest[:32]}-{digest[32:48]}-01", f"{told['TRACEPARENT']}")
        want(told["MILLWRIGHT_TRACE_ID"] == trace, f"{told}")


def what_holds_the_token(worlds):
    """The port's token opens the host to whoever has it: an agent or a caller who says it finds it nowhere again but in its own file."""
    world = World(worlds)
    want(world.run("init")[0] == 0, "init")
    code, _, err = world.run("serve", "--listen", "127.0.0.1:0")
    want(code == 0, f"serve --listen: exit {code}: {err}")
    with open(world.path("token"), encoding="ascii") as file:
        token = file.read().strip()
    world.agent("teller", agent_text("teller", "TellIt"), TELL.replace("TOKEN", token))
    world.write("workflows/Tell.yaml", WORKFLOW.format(name="Tell", skill="TellIt"))
    status, answer = world.post("StartRun", messageId="m-token", workflow="Tell", prompt=f"use {token} for it", blueprint={"pad": "p" * 6000, "said": token})
    want(status == 200, f"{status} {answer}")
    until(lambda: [r for r in world.kinds("trace.ended") if r["traceId"] == answer["traceId"]], 30, "the end")
    results = [record["payload"] for record in world.kinds("task.result")]
    want(results == [{"said": "[secret token]", "well": True}], f"{results}")
    kept = dict(everything_kept(world))
    for name, data in kept.items():
        want(token.encode() not in data or name == "token", f"the token stands in {name}")
    # Nobody gave it to this one, so its log stays as it is; of what is told of it the token is taken out before anything is cut off.
    world.write("policies/policy.yaml", POLICY.replace("MakeKeys", "CutIt").replace("attempts: 1,", "attempts: 4,"))
    world.write("workflows/Cut.yaml", WORKFLOW.format(name="Cut", skill="CutIt"))
    world.agent("cutter", agent_text("cutter", "CutIt"), CUT_TOKEN.replace("TOKEN", token))
    status, answer = world.post("StartRun", messageId="m-cut", workflow="Cut", prompt="cut it")
    want(status == 200, f"{status} {answer}")
    until(lambda: [r for r in world.kinds("trace.ended") if r["traceId"] == answer["traceId"]], 30, "the end")
    said = [record["evidence"]["stderr"] for record in world.kinds("task.failed")]
    want(len(said) == 4, f"{len(said)} attempts")
    for text in said:
        want("x" * 100 in text and not any(token[at:at + 4] in text for at in range(len(token) - 3)), f"of the token there is left: {text[:80]!r}")
    world.verify()


prove("canary_P19_an_answer_that_masking_breaks_is_a_failed_attempt_also_when_it_is_late", what_masking_breaks)
prove("canary_P19_what_an_agent_answers_is_kept_without_the_secret_in_it", what_agents_answer)
prove("canary_P19_what_a_caller_says_is_kept_without_the_secret_in_it", what_callers_say)
prove("canary_P19_what_a_worker_answers_is_kept_without_the_secret_in_it", what_workers_answer)
prove("canary_P19_of_what_is_cut_nothing_of_the_secret_is_left", what_is_cut)
prove("canary_P19_a_log_that_is_too_long_to_be_looked_through_is_kept_without_its_beginning", what_is_not_looked_through)
prove("canary_P19_an_answer_that_is_none_without_the_secret_ends_its_attempt_and_not_the_host", what_cannot_be_masked)
prove("canary_P19_a_secret_that_is_a_piece_of_JSON_ends_the_attempt_and_not_the_host", what_our_own_words_hold)
prove("canary_P19_an_agent_that_is_none_without_the_secret_in_its_file_is_not_registered_and_the_host_goes_on", what_a_definition_holds)
prove("canary_P19_a_secret_that_is_a_piece_of_what_the_host_tells_itself_ends_nothing", what_the_host_tells_itself)
prove("canary_P19_the_log_of_who_is_out_of_time_is_kept_without_it", what_is_out_of_time)
prove("canary_P19_an_agents_environment_is_what_is_said_of_it_and_nothing_else", what_an_agent_is_told_of_its_surroundings)
prove("canary_P19_the_token_of_the_port_is_in_its_own_file_only", what_holds_the_token)
finish()
