#!/usr/bin/env python3
"""What callers may send: the same request three times has one effect (P05); hostile ones are refused and change nothing (P21, P14)."""
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import uuid

from crash_lib import ONLY, TOP, WORKFLOW, Unix, World, agent_text, alive, finish, prove, until, want

AGENT = {"agent_id": "extra", "agent_type": "Extra", "skills": ["Nothing"], "backend": {"kind": "command", "argv": ["true"]}}


def uuid7(ms=None):
    ms = int(time.time() * 1000) if ms is None else ms
    value = (ms << 80) | (7 << 76) | (int.from_bytes(os.urandom(2), "big") & 0xFFF) << 64 | (2 << 62) | (int.from_bytes(os.urandom(8), "big") >> 2)
    return str(uuid.UUID(int=value))


def restarted(world):
    pid = world.host()
    if pid:
        os.kill(pid, signal.SIGKILL)
        until(lambda: world.host() is None, 5, "the host is gone")
    world.serve()


def of_callers():
    """What callers may ask for, from the table that the program is made of."""
    with open(TOP / "src/msg/requests.def", encoding="utf-8") as table:
        return set(re.findall(r'^MW_REQUEST\(\w+, "(\w+)", CALLER,', table.read(), re.MULTILINE))


tried = set()  # what `thrice` has asked for


def thrice(world, request, body):
    """Twice at one host, once at the next. All three say the same, but for `duplicate`. What the first one heard."""
    tried.add(request)
    body = {"messageId": uuid7(), "actor": "user:tester", **body}
    status, first = world.post(request, **body)
    want(status == 200, f"{request}: {status} {first}")

    def made():  # the host may be busy with what was asked before
        return [r["seq"] for r in world.records() if r.get("causationId") == body["messageId"]]

    records = made()
    want(records and records[0] == first["first"] and records[-1] <= first["last"], f"{request}: {records} name it as their cause, it said {first}")
    answers = [first, world.post(request, **body)[1]]
    want(made() == records, f"{request}: the second time made records")
    restarted(world)
    status, third = world.post(request, **body)
    want(status == 200, f"{request} after the restart: {status} {third}")
    answers.append(third)
    want(made() == records, f"{request}: after the restart it made records")
    want(answers[1]["duplicate"] and answers[2]["duplicate"], f"{request}: not known as a repeat: {answers}")
    want(len({json.dumps(dict(answer, duplicate=None)) for answer in answers}) == 1, f"{request}: {answers}")
    other = dict(body, somethingElse=1)
    status, answer = world.post(request, **other)
    want(status == 409 and answer["error"]["pointer"] == "/messageId", f"{request}, same id, other body: {status} {answer}")
    return first


TALK = """\
workflow: Talk
purpose: A person is asked.
roles:
  person: {task: {skill: AskSomebody, expects: SomebodyAnswered}}
start:
  - role: person
handoffs:
  - {on: SomebodyAnswered, complete: true}
limits: {iterations: 2, timeout: 1h}
"""
PERSON = "agent_id: somebody\nagent_type: Somebody\nskills: [AskSomebody]\ndomains: [\"*\"]\ncapacity: 100\nbackend: {kind: human}\n"
PARKED = """\
coordinator: Parked
version: "1.0.0"
command: StartParked
completes_with: ParkedCompleted
key: scope.traceId
initial: Working
states:
  Working:
    timeout: 1h
    enter:
      - group: {id: tasks, members: [{id: t1, task: {skill: AskSomebody, expects: SomebodyAnswered, payload: {step: 1}}}]}
    on:
      - {group: tasks, go: Done}
  Done: {final: true}
"""
ONCE = """\
policies:
  - {name: once, skills: [MakeThing], attempts: 1, reroutes: 0, timeout: 5s, backoff: {base: 10ms, factor: 1, cap: 10ms}, routing_attempts: 1, escalate: false}
"""


def draft(world, count, more=None):
    """The workspace's draft number `count`."""
    if more:
        want(world.post("SubmitIntent", prompt=more, source="cli")[0] == 200, "another intent")
    until(lambda: len(world.kinds("build.completed")) == count, 60, f"draft {count}")


def promoted(world, count):
    until(lambda: len(world.kinds("app.promoted")) == count, 30, f"promotion {count}")


def repeated_builds(worlds):
    """What is asked about an app, from the intent to the way back."""
    world = World(worlds)
    world.quick_tests()
    world.serve()
    thrice(world, "RegisterAgent", {"agent": AGENT})
    thrice(world, "SubmitIntent", {"prompt": "Build a TaskService with PostgreSQL storage", "source": "cli"})
    item = until(lambda: json.loads(world.ask("GET", "/v1/views/items")[1])["items"], 30, "a question")[0]["item"]
    trace = world.kinds("intent.submitted")[0]["traceId"]
    thrice(world, "Pause", {"traceId": trace})
    thrice(world, "Resume", {"traceId": trace})
    thrice(world, "AnswerItem", {"item": item, "action": "answer", "payload": {"field": "storage", "answer": "File"}})
    draft(world, 1)
    thrice(world, "AcceptDraft", {})
    thrice(world, "Promote", {})
    promoted(world, 1)
    thrice(world, "RemoveAgent", {"agentId": "extra"})
    thrice(world, "SubmitIntent", {"prompt": "Build a TaskService with PostgreSQL storage", "source": "cli", "traceId": "tr-mine"})
    thrice(world, "Cancel", {"traceId": "tr-mine"})
    draft(world, 2, "Build a TaskService with File storage and titles")
    want(world.post("AcceptDraft")[0] == 200 and world.post("Promote")[0] == 200, "the second version")
    promoted(world, 2)
    thrice(world, "Rollback", {})
    promoted(world, 3)
    draft(world, 3, "Build a TaskService with File storage and due dates")
    thrice(world, "RejectDraft", {"why": "it is not what was meant"})
    for kind, count in (("intent.submitted", 4), ("artifact.accepted", None), ("app.promoted", 3), ("trace.paused", 1), ("agent.removed", 1),
                        ("artifact.rejected", 1)):
        found = world.kinds(kind)
        want(count is None and found or len(found) == count, f"{len(found)} times {kind}")
    world.verify()


def repeated_alone(worlds):
    """What is started on its own, said from outside, remembered and put back."""
    world = World(worlds)
    world.write("workflows/Talk.yaml", TALK)
    world.write("workflows/Lone.yaml", WORKFLOW.format(name="Lone", skill="MakeThing"))
    world.write("coordinators/parked.yaml", PARKED)
    world.write("policies/policy.yaml", ONCE)
    world.write("agents/somebody.yaml", PERSON)
    world.agent("maker", agent_text("maker", "MakeThing", argv=["false"]))
    world.serve()
    trace = thrice(world, "StartRun", {"workflow": "Talk", "prompt": "x"})["traceId"]
    thrice(world, "StartCoordinator", {"coordinator": "Parked", "payload": {}})
    thrice(world, "StartUnit", {"skill": "AskSomebody", "payload": {}})
    thrice(world, "StartChain", {"workflows": ["Talk", "Talk"], "prompt": "x"})
    thrice(world, "PublishMessage", {"type": "RainSeen", "traceId": trace, "sessionId": trace, "componentTag": "Tester:Outside",
                                     "timestamp": "2025-06-15T15:00:00Z", "emittedBy": "tester", "payload": {}})
    noted = thrice(world, "AddMemory", {"text": "clay is heavy"})["first"]
    thrice(world, "RemoveMemory", {"id": noted})
    want(world.post("StartRun", workflow="Lone", prompt="x")[0] == 200, "a run that comes to nothing")
    until(lambda: json.loads(world.run("dlq", "list", "--json")[1])["waiting"] == 1, 20, "a dead letter")
    until(lambda: {r["traceId"] for r in world.kinds("task.dead")} <= {r["traceId"] for r in world.kinds("trace.ended")}, 20, "its trace's end")
    letter = json.loads(world.run("dlq", "show", "--json")[1])
    thrice(world, "ReplayTask", {"item": letter["letter"]["task"], "payload": letter["payload"]})
    for kind, count in (("trace.opened", 6), ("message.published", 1), ("memory.added", 1), ("memory.removed", 1), ("task.put_back", 1)):
        found = world.kinds(kind)
        want(len(found) == count, f"{len(found)} times {kind}")
    world.verify()


def repeated(worlds):
    repeated_builds(worlds)
    repeated_alone(worlds)
    want(tried == of_callers(), f"without a case, or without a row in requests.def: {sorted(tried ^ of_callers())}")


def full_registry(worlds):
    """An agent's file for which there is no room is named in the log: its tasks wait for it in vain."""
    world = World(worlds)
    world.serve()
    connection = Unix(world.path("millwright.sock"))
    status = 200
    while status == 200:
        body = json.dumps({"agent": dict(AGENT, agent_id=f"extra-{uuid.uuid4()}", skills=["HandleNothing"])})
        connection.request("POST", "/v1/requests/RegisterAgent", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        status, text = answer.status, answer.read()
    connection.close()
    want(status == 429, f"{status} {text}")
    world.agent("late", agent_text("late", "HandleThing", argv=["true"]))
    world.write("workflows/Late.yaml", WORKFLOW.format(name="Late", skill="HandleThing"))
    status, answer = world.post("StartRun", workflow="Late", prompt="x")
    want(status == 200, f"{status} {answer}")
    with open(world.path("log", "host.log"), encoding="utf-8") as log:
        refused = [line for line in log if '"agent.refused"' in line and "late.yaml" in line and "registry" in line]
    want(refused, "nothing is said of the agent that is not there")


def depth_of(value):
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max((depth_of(item) for item in inside), default=0)


def deep(worlds):
    """A body may have 64 levels; what is made of it, the record that it stands in above all, is read again by the next host, as deep as it is."""
    world = World(worlds)
    world.write("workflows/Talk.yaml", TALK)
    world.write("agents/somebody.yaml", PERSON)
    host = world.serve()
    started = 0
    for levels in range(54, 66):
        payload = "{\"a\":" * (levels - 1) + "1" + "}" * (levels - 1)
        status, text = world.ask("POST", "/v1/requests/StartRun", f'{{"workflow":"Talk","payload":{payload}}}')
        want(status == (200 if levels <= 64 else 400), f"{levels} levels: {status} {text}")
        started += status == 200
    count = world.count()
    deepest = max(world.records(), key=depth_of)
    want(depth_of(deepest) <= 64, f"record {deepest['seq']} has {depth_of(deepest)} levels")
    os.kill(host.pid, signal.SIGKILL)
    host.wait()
    world.serve()
    want(len(world.kinds("trace.opened")) == started == 11 and world.count() >= count, f"{started} were started: {world.kinds('trace.opened')}")
    status, text = world.ask("POST", "/v1/requests/AddMemory", '{"text":"it goes on"}')
    want(status == 200, f"after the restart: {status} {text}")
    world.verify()


def windows(worlds):
    world = World(worlds)
    world.serve()
    now = int(time.time() * 1000)
    status, answer = world.post("RegisterAgent", messageId=uuid7(now - 8 * 86400000), agent=AGENT)
    want(status == 410, f"8 days old: {status} {answer}")
    status, answer = world.post("RegisterAgent", messageId=uuid7(now - 6 * 86400000), agent=AGENT)
    want(status == 200, f"6 days old: {status} {answer}")
    refused = uuid7()
    status, answer = world.post("RegisterAgent", messageId=refused, agent={"agent_id": "no"})
    want(status in (400, 422), f"half an agent: {status} {answer}")
    status, answer = world.post("RegisterAgent", messageId=refused, agent=dict(AGENT, agent_id="other"))
    want(status == 200, f"a refusal is not remembered: {status} {answer}")


def raw(world, data, more=b""):
    folder = os.open(world.path(), os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(10)
            peer.connect(f"/proc/self/fd/{folder}/millwright.sock")
            try:
                peer.sendall(data)
                for _ in range(0, len(more), 65536):
                    peer.sendall(more[:65536])
            except (BrokenPipeError, ConnectionResetError):
                pass
            answer = b""
            try:
                while b"\r\n\r\n" not in answer:
                    part = peer.recv(65536)
                    if not part:
                        break
                    answer += part
            except (ConnectionResetError, socket.timeout):
                pass
            return answer
    finally:
        os.close(folder)


def status_of(answer):
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def hostile(worlds):
    world = World(worlds)
    host = world.serve()
    want(world.post("RegisterAgent", agent=AGENT)[0] == 200, "a first request")  # what the host did at its start is before it
    count = world.count()
    post = "/v1/requests/RegisterAgent"
    body = json.dumps({"agent": AGENT})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx"):
        status, _ = world.ask("POST", post, body, {"content-type": kind})
        want(status == 415, f"content type {kind}: {status}")
    want(status_of(raw(world, f"POST {post} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())) == 415, "no content type")
    both = f"POST {post} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nContent-Length: {len(body)}\r\n\r\n"
    chunked = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"
    want(status_of(raw(world, (both + chunked).encode())) == 400, "TE and CL")
    twice = f"POST {post} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nContent-Length: 4\r\n\r\n{body}"
    want(status_of(raw(world, twice.encode())) in (0, 400), "two content lengths")
    big = 5 << 20
    answer = raw(world, f"POST {post} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {big}\r\n\r\n".encode(), b" " * big)
    want(status_of(answer) == 413, f"a body of 5 MiB: {answer[:80]}")
    answer = raw(world, f"POST {post} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n".encode(), b" " * (6 << 20))
    want(status_of(answer) == 413, f"a body that says 99 GB: {answer[:80]}")
    for target in ("/", "/v1", "/v1/", "/v1/views/nothing", "/v1/views/", "/v1/views/../hello", "/etc/passwd", "/v1/requests/"):
        want(world.ask("GET", target)[0] in (404, 400), f"GET {target}: {world.ask('GET', target)}")
    for name in ("Nothing", "RecordResult", "RingTimer", "LoadDefinition", "CreateJournal", "RecordPromotion", "Continue", "../RegisterAgent", ""):
        status, text = world.ask("POST", f"/v1/requests/{name}", "{}")
        want(status == 404, f"POST {name}: {status} {text}")
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        status, _ = world.ask(method, post, body)
        want(status == 405, f"{method}: {status}")
    for text, place in (('{"agent":', "line 1"), ('{"agent": 01}', "line 1"), ('{"a":1,"a":2}', "line 1"), ('[1]', "object"), ('"x"', "object"),
                        ('{"a":"\\ud800"}', "line 1"), ("{" * 100, "line 1"), ('{"a":' + "[" * 70 + "]" * 70 + "}", "line 1")):
        status, answer = world.ask("POST", post, text)
        want(status == 400, f"{text[:30]}: {status} {answer}")
        want(place in json.loads(answer)["error"]["message"], f"{text[:30]}: no place in {answer}")
    status, answer = world.ask("POST", post, b'{"agent":"\xff\xfe"}')
    want(status == 400, f"not UTF-8: {status} {answer}")
    status, answer = world.ask("POST", post, b'{"agent":"\x00"}')
    want(status == 400, f"a NUL: {status} {answer}")
    long = "x" * 17000
    for request, body in (("Cancel", {"traceId": "t", "why": long}), ("SubmitIntent", {"prompt": "a", "source": long}), ("AddMemory", {"text": long}),
                          ("RegisterAgent", {"agent": AGENT, "messageId": "m" * 300}), ("RegisterAgent", {"agent": AGENT, "actor": "user:" + "m" * 300})):
        status, answer = world.post(request, **body)
        want(status == 400 and "more than" in answer["error"]["message"], f"{request} with a long text: {status} {answer}")
    # A member of another type is no absent one: the newest draft, any trace, or the same request a second time was not what was said.
    for request, body in (("RegisterAgent", {"agent": AGENT, "messageId": 7}), ("RegisterAgent", {"agent": AGENT, "messageId": ""}),
                          ("RegisterAgent", {"agent": AGENT, "actor": ["user:a"]}), ("AcceptDraft", {"buildId": 2}), ("RejectDraft", {"buildId": 2.5}),
                          ("Promote", {"target": {}}), ("Promote", {"mode": True}), ("Cancel", {"traceId": 7}), ("Cancel", {}), ("Pause", {"traceId": None}),
                          ("Resume", {"traceId": ""}), ("AnswerItem", {"item": 1, "action": 7, "payload": {}}), ("SubmitIntent", {"prompt": "a", "journey": 7}),
                          ("SubmitIntent", {"prompt": "a", "priority": 1}), ("SubmitIntent", {"prompt": "a", "parentTraceId": ["tr-1"]})):
        status, answer = world.post(request, **body)
        want(status == 400 and "is a text" in answer["error"]["message"], f"{request} {body}: {status} {answer}")
    for junk in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"A" * 100000, b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 1000):
        raw_quietly(world, junk)
    for query in ("after=-1", "after=x", "after=99999999999999999999"):
        status, text = world.ask("GET", f"/v1/journal?{query}")
        want(status == 400, f"journal?{query}: {status}")
    want(world.count() == count, f"refused requests made {world.count() - count} records")
    want(world.host() == host.pid, "the host is another one")


def raw_quietly(world, data):
    folder = os.open(world.path(), os.O_PATH | os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(0.2)
        try:
            peer.connect(f"/proc/self/fd/{folder}/millwright.sock")
            peer.sendall(data)
            peer.recv(100)
        except OSError:
            pass
    os.close(folder)


def many_connections(worlds):
    """Hundreds that say nothing: whoever asks something is still answered afterwards."""
    world = World(worlds)
    host = world.serve()
    peers = []
    folder = os.open(world.path(), os.O_PATH | os.O_DIRECTORY)
    for _ in range(600):
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(0.2)
        try:
            peer.connect(f"/proc/self/fd/{folder}/millwright.sock")
            peer.sendall(b"POST /v1/requests/RegisterAgent HTTP/1.1\r\nContent-Le")
        except OSError:
            pass
        peers.append(peer)
    for peer in peers:
        peer.close()
    os.close(folder)
    until(lambda: world.host() == host.pid, 20, "an answer after the flood")


def private(worlds):
    world = World(worlds)
    world.serve()
    mode = os.stat(world.path("millwright.sock")).st_mode
    want(stat.S_IMODE(mode) == 0o600, f"the socket's mode is {oct(mode)}")
    for name in ("journal", "blobs", "log", "defs"):
        mode = stat.S_IMODE(os.stat(world.path(name)).st_mode)
        want(mode & 0o077 == 0, f"{name} has mode {oct(mode)}")
    if os.geteuid() != 0:
        return "not root: another user cannot be tried"
    os.chmod(world.base, 0o755)
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
                peer.connect(world.path("millwright.sock"))
        except OSError:
            os._exit(0)
        os._exit(1)
    want(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "another user reached the socket")
    return None


def private_as_root(worlds):
    """Root in somebody's workspace: agents that are this person get through to their folders; what the host keeps there stays the host's."""
    if os.geteuid() != 0:
        return "not root: there is nobody else to be"
    world = World(worlds)
    os.chmod(world.base, 0o755)
    os.chown(world.folder, 65534, 65534)
    os.makedirs(world.path())
    want(world.run("serve", "--listen", "127.0.0.1:0")[0] == 0, "serve --listen")
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        os.stat(world.path("work"))  # so far the way is open
        tries = (lambda: os.rename(world.path("journal"), world.path("aside")), lambda: os.unlink(world.path("token")), lambda: os.listdir(world.path()),
                 lambda: os.unlink(world.path("millwright.sock")), lambda: os.listdir(world.path("journal")), lambda: os.mkdir(world.path("work", "mine")))
        for number, one in enumerate(tries, 1):
            try:
                one()
                os._exit(number)
            except PermissionError:
                pass
        os._exit(0)
    failed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    want(failed == 0, f"number {failed} of what the workspace's owner tried is allowed")
    return None


def tcp_ask(address, method, path, headers=(), body=b""):
    """One request, byte for byte: (status, head, body)."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as line:
        head = [f"{method} {path} HTTP/1.1", "Connection: close", *headers]
        if method == "POST":
            head.append(f"Content-Length: {len(body)}")
        line.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        said = b""
        while part := line.recv(65536):
            said += part
    head, _, rest = said.decode().partition("\r\n\r\n")
    return int(head.split()[1]), head.lower(), rest


def listening_ports(pid):
    """TCP ports on which a process listens, by its descriptors."""
    mine = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            mine.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass
    ports = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for row in open(table, encoding="ascii").read().splitlines()[1:]:
            cells = row.split()
            if cells[3] == "0A" and f"socket:[{cells[9]}]" in mine:
                ports.append(int(cells[1].rsplit(":", 1)[1], 16))
    return ports


def tcp_port(worlds):
    """No port for who did not ask for one; on one, no word without the token, to another name, or from another page."""
    world = World(worlds)
    world.serve()
    want(listening_ports(world.host()) == [], "a port that nobody asked for")
    want(world.run("serve", "--listen", "127.0.0.1:0")[0] == 75, "a running host cannot get a port")
    want(world.run("serve", "--stop")[0] == 0, "stop")
    for wrong in ("0.0.0.0:0", "localhost:0", "[::]:0", "127.0.0.1:", "127.0.0.1:65536", "nonsense"):
        code, _, err = world.run("serve", "--listen", wrong)
        want(code == 2 and wrong in err, f"--listen {wrong}: exit {code}: {err}")
    code, said, err = world.run("serve", "--listen", "127.0.0.1:0", "--json")
    want(code == 0, f"serve --listen: exit {code}: {err}")
    address = json.loads(said)["listens"]
    port = address.rsplit(":", 1)[1]
    want(listening_ports(world.host()) == [int(port)], f"{listening_ports(world.host())}, not {port} alone")
    token = open(world.path("token"), encoding="ascii").read().strip()
    want(stat.S_IMODE(os.stat(world.path("token")).st_mode) == 0o600, "others can read the token")
    want(len(token) == 64, f"the token is {len(token)} characters long")
    host, auth, typed = f"Host: {address}", f"Authorization: Bearer {token}", "Content-Type: application/json"
    agent = json.dumps({"messageId": uuid7(), "actor": "user:tester", "agent": AGENT}).encode()
    before = world.count()
    refused = [
        (401, [host]), (401, [host, "Authorization: Bearer"]), (401, [host, f"Authorization: Basic {token}"]),
        (401, [host, f"Authorization: Bearer {token[:-1]}"]), (401, [host, f"Authorization: Bearer {token}0"]),
        (401, [host, "Authorization: Bearer " + ("1" if token[0] == "0" else "0") + token[1:]]),
        (400, [auth]), (403, [auth, "Host: evil.example"]), (403, [auth, f"Host: evil.example:{port}"]),
        (403, [auth, "Host: 127.0.0.1"]), (403, [auth, f"Host: 127.0.0.1.evil.example:{port}"]),
        (403, [host, auth, "Origin: http://evil.example"]), (403, [host, auth, "Origin: null"]),
        (403, [host, auth, f"Origin: https://{address}"]), (403, [host, auth, f"Origin: http://{address}.evil.example"]),
        (400, [host, auth, auth]), (400, [host, auth, "Host: evil.example"]), (400, [host, auth, "Origin: null", f"Origin: http://{address}"]),
    ]
    for status, headers in refused:
        for method, path, body, more in (("GET", "/v1/hello", b"", []), ("POST", "/v1/agents", agent, [typed])):
            got, head, text = tcp_ask(address, method, path, headers + more, body)
            want(got == status, f"{method} with {headers}: {got}, not {status}")
            want("access-control" not in head, f"CORS: {head}")
            want(token not in head + text, "the token is given away")
            want((got == 401) == ("www-authenticate: bearer" in head), f"{got}: {head}")
    for method in ("OPTIONS", "PUT", "DELETE", "HEAD"):
        got, head, _ = tcp_ask(address, method, "/v1/agents", [host, auth, "Access-Control-Request-Method: POST"])
        want(got == 405 and "access-control" not in head, f"{method}: {head}")
    for wrong in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        want(tcp_ask(address, "POST", "/v1/agents", [host, auth, f"Content-Type: {wrong}"], agent)[0] == 415, wrong)
    want(world.count() == before, "what was refused left a record")
    for let_in in ([host, auth], [f"Host: localhost:{port}", auth], [host, auth, f"Origin: http://{address}"]):
        got, _, text = tcp_ask(address, "GET", "/v1/hello", let_in)
        want(got == 200 and json.loads(text)["product"] == "millwright", f"{let_in}: {got} {text}")
    got, _, text = tcp_ask(address, "POST", "/v1/agents", [host, auth, typed], agent)
    want(got == 200 and json.loads(text)["ok"], f"with the token: {got} {text}")
    # The next host has the same token; without the file it makes another; one that others can read is not used.
    want(world.run("serve", "--stop")[0] == 0 and world.run("serve", "--listen", address)[0] == 0, "the same port again")
    want(tcp_ask(address, "GET", "/v1/hello", [host, auth])[0] == 200, "the token did not survive")
    want(world.run("serve", "--stop")[0] == 0, "stop")
    os.chmod(world.path("token"), 0o644)
    code, _, err = world.run("serve", "--listen", address)
    want(code == 78 and "token" in err, f"a token that others can read: exit {code}: {err}")
    os.unlink(world.path("token"))
    want(world.run("serve", "--listen", address)[0] == 0, "a new token")
    want(tcp_ask(address, "GET", "/v1/hello", [host, auth])[0] == 401, "the old token still opens")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        want(world.run("serve", "--stop")[0] == 0, "stop")
        code, _, err = world.run("serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        want(code == 75 and "listen" in err, f"a port that is taken: exit {code}: {err}")
    world.verify()


def port_stays(worlds):
    """Who asked for a port finds its host there, however long nothing happens; the other host shows that the time is over."""
    kept = World(worlds, idle_ms=300)
    os.makedirs(kept.path())
    want(kept.run("serve", "--listen", "127.0.0.1:0")[0] == 0, "serve --listen")
    host = kept.host()
    for _ in range(2):
        other = World(worlds, idle_ms=300)
        os.makedirs(other.path())
        want(other.run("serve")[0] == 0, "serve")
        until(lambda: other.host() is None, 10, "a host without a port leaves")
    want(alive(host) and kept.host() == host, "the host with a port left as well")
    want(kept.run("serve", "--stop")[0] == 0, "stop")
    until(lambda: not alive(host), 10, "it leaves when it is told to")


def early_follower(worlds):
    """Who asks for the records while the host is still starting hears all of them, though nothing new happens."""
    world = World(worlds)
    host = world.serve()
    want(world.post("RegisterAgent", messageId=uuid7(), agent=AGENT)[0] == 200, "an agent")
    count = world.count()
    host.kill()
    host.wait()
    # What a killed host left has a second to end by itself: so long the next one is not ready.
    left = subprocess.Popen([sys.executable, "-c", "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"],
                            stdout=subprocess.PIPE)
    world.started.append(left)
    left.stdout.readline()
    stat_line = open(f"/proc/{left.pid}/stat", encoding="utf-8").read()
    boot = open("/proc/sys/kernel/random/boot_id", encoding="ascii").read().strip()
    world.write(".millwright/work/t-1.1/pid", json.dumps({"pid": left.pid, "start": int(stat_line[stat_line.rindex(")") + 2:].split()[19]), "boot": boot}) + "\n")
    world.started.append(subprocess.Popen([world.program, "__host", world.folder], env=world.env, stderr=subprocess.DEVNULL, start_new_session=True))

    def state():
        try:
            return json.loads(world.ask("GET", "/v1/hello")[1])["state"]
        except OSError:
            return None

    want(until(state, 10, "a host") == "replaying", "the host was ready too soon for this proof")
    line = Unix(world.path("millwright.sock"))
    line.request("GET", "/v1/journal?follow=1")
    answer = line.getresponse()
    for seq in range(1, count + 1):
        want(json.loads(answer.readline())["seq"] == seq, f"record {seq} did not come")
    line.close()


def port_flood(worlds):
    """Who connects without a word and without a token takes neither the host's descriptors nor the owner's place, however few there are."""
    world = World(worlds)
    os.makedirs(world.path())
    few = world.write("few", f'#!/bin/sh\nulimit -n 1024\nexec "{world.program}" "$@"\n')
    os.chmod(few, 0o755)
    world.program = few
    code, said, err = world.run("serve", "--listen", "127.0.0.1:0", "--json")
    want(code == 0, f"serve --listen: exit {code}: {err}")
    port = int(json.loads(said)["listens"].rsplit(":", 1)[1])
    host = world.host()
    peers = []
    for i in range(1100):
        peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        peer.setblocking(False)
        peer.connect_ex(("127.0.0.1", port))
        peers.append(peer)
        if i % 25 == 0:
            want(world.host() == host, f"no answer on the socket after {i} connections")
    held = len(os.listdir(f"/proc/{host}/fd"))
    want(100 < held < 512, f"{held} of 1024 descriptors are taken")
    status, answer = world.post("RegisterAgent", messageId=uuid7(), agent=AGENT)
    want(status == 200, f"{status} {answer}")
    for peer in peers:
        peer.close()


def socket_flood(worlds):
    """However many connect on the socket: the files that the host may have open are not all theirs, and its work goes on."""
    world = World(worlds)
    os.makedirs(world.path())
    few = world.write("few", f'#!/bin/sh\nulimit -n 1024\nexec "{world.program}" "$@"\n')
    os.chmod(few, 0o755)
    world.program = few
    code, said, err = world.run("serve", "--listen", "127.0.0.1:0", "--json")
    want(code == 0, f"serve --listen: exit {code}: {err}")
    address = json.loads(said)["listens"]
    token = open(world.path("token"), encoding="ascii").read().strip()
    allowed = [f"Host: {address}", f"Authorization: Bearer {token}", "Content-Type: application/json"]
    host = world.host()
    folder = os.open(world.path(), os.O_PATH | os.O_DIRECTORY)
    peers = []

    def comes_in():
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.setblocking(False)
        for _ in range(20):  # each request on the port is a turn in which the host takes in whom it takes
            try:
                peer.connect(f"/proc/self/fd/{folder}/millwright.sock")
                peers.append(peer)
                return True
            except BlockingIOError:
                want(tcp_ask(address, "GET", "/v1/hello", allowed)[0] == 200, f"no answer on the port beside {len(peers)} on the socket")
        peer.close()
        return False

    while len(peers) < 1100 and comes_in():
        pass
    held = len(os.listdir(f"/proc/{host}/fd"))
    want(300 < held < 512 and len(peers) < 1100, f"{held} of 1024 descriptors are taken, {len(peers)} came in")
    status, _, text = tcp_ask(address, "POST", "/v1/agents", allowed, json.dumps({"messageId": uuid7(), "actor": "user:tester", "agent": AGENT}).encode())
    want(status == 200, f"{status} {text}")
    os.kill(host, signal.SIGSTOP)  # so that it hears of all of them at once
    for peer in peers:
        peer.close()
    os.close(folder)
    os.kill(host, signal.SIGCONT)
    until(lambda: world.host() == host, 20, "an answer on the socket after the flood")


# Who says nothing on a port, and who says half a word: they wait while everything else is proven.
SILENT, SILENT_PEERS = [], []
SILENT_PROOF = "life_a_place_on_the_port_is_not_held_by_saying_nothing_P21_P10"


def begin_to_be_silent():
    world = World(SILENT)
    os.makedirs(world.path())
    code, said, err = world.run("serve", "--listen", "127.0.0.1:0", "--json")
    want(code == 0, f"serve --listen: exit {code}: {err}")
    address, port = json.loads(said)["listens"].rsplit(":", 1)
    for words in (b"", b"GET /v1/hello HTTP/1.1\r\nHost:"):
        peer = socket.create_connection((address, int(port)), timeout=60)
        peer.sendall(words)
        SILENT_PEERS.append(peer)


def silent(worlds):
    worlds += SILENT
    for words, peer in zip(("nothing", "half a request"), SILENT_PEERS):
        try:
            while peer.recv(4096):  # what it is told may come before
                pass
        except ConnectionResetError:
            pass
        except socket.timeout:
            want(False, f"who says {words} is still there after a minute")


def shutdown_words(worlds):
    """What a shutdown says is read as JSON: what is none, or no object, stops nothing."""
    world = World(worlds)
    world.serve()
    host = world.host()
    for wrong in ("{", "[]", "7", '"now"', '{"a":1,"a":2}'):
        status, _ = world.ask("POST", "/v1/shutdown", wrong)
        want(status == 400 and world.host() == host, f"{wrong}: {status}")
    want(world.ask("POST", "/v1/shutdown", '{"why" : "it is late"}')[0] == 200, "refused")
    until(lambda: not alive(host), 10, "the host has left")


if ONLY in SILENT_PROOF:
    begin_to_be_silent()
prove("life_each_request_three_times_P05", repeated)
prove("life_full_registry_names_who_is_left_out_P09", full_registry)
prove("life_message_id_windows_P05", windows)
prove("life_hostile_requests_P21_P14", hostile)
prove("life_deep_requests_are_read_again_P14", deep)
prove("life_shutdown_is_read_as_json", shutdown_words)
prove("life_many_connections_P21", many_connections)
prove("life_socket_is_private_P21", private)
prove("life_what_roots_host_keeps_in_anothers_workspace_is_private_P21", private_as_root)
prove("life_tcp_port_is_opt_in_and_asks_for_the_token_P21", tcp_port)
prove("life_a_host_with_a_port_stays", port_stays)
prove("life_who_follows_a_host_that_starts_hears_all_records", early_follower)
prove("life_connections_without_a_token_take_nothing_from_the_host_P21_P09", port_flood)
prove("life_callers_on_the_socket_leave_the_host_its_descriptors_P09", socket_flood)
prove(SILENT_PROOF, silent)
finish()
