"""The worker transport from outside: one path for every agent, whoever dies. usage: workers.py PROGRAM [ROW]"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import rows_lib
from rows_lib import Local, Workspace, case, ended, equal, finish

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


def factory(place, lease="30s", attempts=3):
    """factory/bench with the echo agent in another process."""
    folder = pathlib.Path(place) / "factory"
    shutil.copytree(TOP / "factory" / "bench", folder)
    (folder / "agents" / "echo.yaml").write_text(
        "agent_id: echo\nagent_type: Echo Agent\nskills: [EchoThing]\ndomains: [\"*\"]\ncapacity: 1024\n"
        f"backend: {{kind: worker, lease: {lease}}}\n")
    (folder / "policies" / "default.yaml").write_text(
        f"policies:\n  - name: default\n    skills: [\"*\"]\n    attempts: {attempts}\n    reroutes: 0\n    backoff: {{base: 1ms, factor: 1, cap: 1ms}}\n"
        "    timeout: 5m\n    escalate: false\nconcurrency: 1024\n")
    return folder


class Worker:
    """A worker that does what the test says, one request at a time."""

    def __init__(self, w, name, agent="echo"):
        self.w, self.name, self.agent = w, name, agent

    def say(self, verb, **body):
        return self.w.ask("POST", f"/v1/agents/{self.agent}/{verb}", dict({"worker": self.name}, **body))

    def good(self, verb, **body):
        status, answer = self.say(verb, **body)
        equal(status, 200, f"{verb}: {answer}")
        return answer

    def take(self, count=1, wait_ms=20000, **more):
        return self.good("lease", max=count, waitMs=wait_ms, **more)["tasks"]

    def answer(self, *tasks):
        return self.good("answers", answers=[reply(task) for task in tasks])["answers"]


def reply(task, **payload):
    return {"taskId": task["taskId"], "fence": task["fence"], "type": task["expects"]["type"], "payload": dict(task["payload"], **payload)}


def flow(w, coordinator="BenchOne", trace=None):
    return w.post("StartCoordinator", dict({"coordinator": coordinator}, **({"traceId": trace} if trace else {})))["traceId"]


def results(w, trace, type_="ThingEchoed"):
    return [r for r in w.records(trace) if r["type"] == type_]


@case("AG-17", "a worker takes a task with its envelope, answers, and its answer is the record that every agent makes")
def serves(w):
    one = Worker(w, "one")
    trace = flow(w)
    task = one.take()[0]
    for key in ("traceId", "sessionId", "taskId", "taskType", "agentId", "messageId", "componentTag", "timestamp"):
        assert task.get(key), f"the task has no {key}: {task}"
    equal((task["attempt"], task["taskType"], task["payload"], task["expects"], task["domain"]),
          (1, "EchoThing", {"step": 1}, {"type": "ThingEchoed"}, "*"), "task")
    assert 200000 < task["limits"]["deadline_ms"] <= 300000, f"of five minutes are left: {task['limits']}"
    told = one.answer(task)
    equal([t["status"] for t in told], ["recorded"], "answer")
    records = w.until(ended(trace))
    result = [r for r in records if r["type"] == "ThingEchoed"][0]
    equal((result["agentId"], result["actor"], result["payload"]), ("echo", "agent:echo/one", {"step": 1}), "result")


@case("AG-16", "a long poll waits for a task and gets it when it is recorded, not before")
def long_poll(w):
    folder = os.open(w.dir / ".millwright", os.O_RDONLY)
    waits = Local(f"/proc/self/fd/{folder}/millwright.sock", 25)
    waits.request("POST", "/v1/agents/echo/lease", json.dumps({"worker": "poll", "max": 4, "waitMs": 20000}), {"Content-Type": "application/json"})
    trace = flow(w)
    answer = waits.getresponse()
    tasks = json.loads(answer.read())["tasks"]
    equal([t["traceId"] for t in tasks], [trace], "tasks")
    assert any(r["seq"] == tasks[0]["fence"] for r in w.records(trace)), "handed out before it was in the journal"
    Worker(w, "poll").answer(tasks[0])
    w.until(ended(trace))
    waits.close()
    os.close(folder)
    equal(Worker(w, "poll").take(wait_ms=1), [], "a poll that ends empty")


@case("P06", "what one worker holds another does not: it hears that, and the holder's answer is the one that counts")
def one_holder(w):
    one, two = Worker(w, "one"), Worker(w, "two")
    trace = flow(w)
    task = one.take()[0]
    equal(two.good("heartbeat", holds=[task["fence"]])["gone"], [task["fence"]], "held by two (heartbeat)")
    said = two.good("lease", max=1, waitMs=1, holds=[task["fence"]])
    equal((said["gone"], said["tasks"]), ([task["fence"]], []), "held by two (lease)")
    equal(one.good("heartbeat", holds=[task["fence"]])["gone"], [], "it is the holder's")
    said = two.answer(task)
    equal([(a["status"], a["code"]) for a in said], [("refused", "conflict")], "an answer of who does not hold it")
    other = flow(w)
    its_own = two.take()[0]
    said = two.answer(task)
    equal([(a["status"], a.get("code")) for a in said], [("refused", "conflict")], "an answer of who holds another one")
    two.answer(its_own)
    w.until(ended(other))
    equal(results(w, trace), [], "results of who does not hold it")
    one.answer(task)
    w.until(ended(trace))
    equal(len(results(w, trace)), 1, "results")


@case("AG-09", "two workers share what there is")
def shares(w):
    one, two = Worker(w, "one"), Worker(w, "two")
    trace = flow(w, "BenchFan")
    w.until(lambda r: r["type"] == "RouteTaskToAgent" and r["traceId"] == trace)
    done = {"one": 0, "two": 0}
    while sum(done.values()) < 100:
        for worker in (one, two):
            tasks = worker.take(10, wait_ms=2000 if sum(done.values()) < 100 else 0) if sum(done.values()) < 100 else []
            if tasks:
                worker.answer(*tasks)
                done[worker.name] += len(tasks)
    w.until(ended(trace))
    assert min(done.values()) >= 30, f"not shared: {done}"
    got = results(w, trace)
    equal(len({r["taskId"] for r in got}), 100, "tasks with a result")
    equal(len(got), 100, "results")
    actors = {r["actor"] for r in got}
    equal(actors, {"agent:echo/one", "agent:echo/two"}, "who")


@case("P06", "a worker that is killed in the middle loses its lease, another does the task, and what the dead one would have said is evidence")
def killed(w):
    # A real process, killed -9 while it holds the task.
    script = (
        "import http.client, json, socket, sys, time\n"
        "c = http.client.HTTPConnection('localhost')\n"
        "c.sock = socket.socket(socket.AF_UNIX); c.sock.connect(sys.argv[1])\n"
        "c.request('POST', '/v1/agents/echo/lease', json.dumps({'worker': 'doomed', 'waitMs': 20000}), {'Content-Type': 'application/json'})\n"
        "print(json.dumps(json.loads(c.getresponse().read())['tasks'][0]), flush=True)\n"
        "sys.stdin.read()\n")
    child = subprocess.Popen([sys.executable, "-c", script, w.socket()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    trace = flow(w)
    held = json.loads(child.stdout.readline())
    child.kill()
    child.wait()
    again = Worker(w, "two").take()[0]
    equal((again["taskId"], again["attempt"]), (held["taskId"], 2), "second attempt")
    assert again["fence"] > held["fence"], "the same fence"
    late = Worker(w, "doomed").answer(held)
    equal([t["status"] for t in late], ["late"], "the dead one's answer")
    equal([t["status"] for t in Worker(w, "two").answer(again)], ["recorded"], "answer")
    records = w.until(ended(trace))
    kinds = [r["type"] for r in records if r.get("traceId") == trace]
    equal([kinds.count(k) for k in ("ThingEchoed", "TaskFailed", "TaskResultLate")], [1, 1, 1], "records")
    failed = [r for r in records if r["type"] == "TaskFailed" and r["traceId"] == trace][0]
    equal(failed["errorClass"], "timeout", "class")
    assert "not heard" in failed["reason"], failed["reason"]


# A worker as they are, with heartbeats beside its work: it takes one task, says which, works until it is told how that came out, and answers.
AT_WORK = """\
import http.client, json, socket, sys, threading

def say(verb, **body):
    host = http.client.HTTPConnection('localhost')
    host.sock = socket.socket(socket.AF_UNIX)
    host.sock.connect(sys.argv[1])
    host.request('POST', '/v1/agents/echo/' + verb, json.dumps(dict({'worker': sys.argv[2]}, **body)), {'Content-Type': 'application/json'})
    return json.loads(host.getresponse().read())

def heartbeats():
    while not over.wait(0.5):
        print(json.dumps(say('heartbeat', holds=[task['fence']])), flush=True)

task = say('lease', max=1, waitMs=20000)['tasks'][0]
print(json.dumps(task), flush=True)
over = threading.Event()
beside = threading.Thread(target=heartbeats)
beside.start()
payload = json.loads(sys.stdin.readline())
over.set()
beside.join()
answer = {'taskId': task['taskId'], 'fence': task['fence'], 'type': task['expects']['type'], 'payload': payload}
print(json.dumps(say('answers', answers=[answer])), flush=True)
"""


def stopped(pid):
    """Until every thread of it stands still."""
    begun = time.monotonic()
    while not all(path.read_text().rpartition(")")[2].split()[0] == "T" for path in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")):
        assert time.monotonic() < begun + 10, "it does not stop"


@case("P06", "promise_P06_a_worker_frozen_past_its_lease_is_late_when_it_goes_on: another has its task, and what it says then is evidence and changes nothing")
def frozen(w):
    two, children, held, second, over = Worker(w, "two"), {}, {}, {}, threading.Event()

    def heartbeats():
        while not over.wait(0.5):
            two.say("heartbeat")
    beside = threading.Thread(target=heartbeats, daemon=True)
    cases = (("has", "BenchSteps", 10), ("did", "BenchSteps", 10), ("over", "BenchOne", 1))  # what the other one does of the task by then
    try:
        for name, coordinator, _ in cases:
            trace = flow(w, coordinator)
            child = children[trace] = subprocess.Popen([sys.executable, "-c", AT_WORK, w.socket(), name], stdin=subprocess.PIPE,
                                                       stdout=subprocess.PIPE, text=True)
            held[trace] = json.loads(child.stdout.readline())
            equal((held[trace]["traceId"], json.loads(child.stdout.readline())["gone"]), (trace, []), "what it has before it is frozen")
        for child in children.values():
            os.kill(child.pid, signal.SIGSTOP)
        for child in children.values():
            stopped(child.pid)
        begun = time.monotonic()
        while len(second) < 3:  # a poll is heard once, however long it waits: short ones, so that what it has it keeps
            assert time.monotonic() < begun + 60, f"of three tasks {len(second)} are given to another"
            second.update({task["traceId"]: task for task in two.take(3, wait_ms=500)})
        beside.start()
        lost = {r["fence"]: r["errorClass"] for r in w.records() if r["type"] == "TaskFailed"}
        equal(lost, {task["fence"]: "timeout" for task in held.values()}, "what becomes of the leases")
        for trace, task in second.items():
            equal((task["taskId"], task["attempt"]), (held[trace]["taskId"], 2), "second attempt")
            assert task["fence"] > held[trace]["fence"], "the same fence"
        for trace, (name, _, steps) in zip(list(children), cases):
            goes_on(w, two, trace, children[trace], held[trace], second[trace], name, steps)
    finally:
        over.set()
        for child in children.values():
            child.kill()
            child.wait()


def goes_on(w, two, trace, child, held, task, name, steps):
    """The frozen one is woken, with its work done; then the other does what is left of the flow."""
    done = 0
    if name != "has":
        equal([t["status"] for t in two.answer(task)], ["recorded"], "the second one's answer")
        task, done = (None, 1) if steps == 1 else (two.take()[0], 1)
    if name == "over":
        w.until(ended(trace))
    before = w.hello()["durable"]
    child.stdin.write(json.dumps({"step": 1, "by": "the frozen one"}) + "\n")
    child.stdin.flush()
    os.kill(child.pid, signal.SIGCONT)
    told = json.loads(child.stdout.read().strip().split("\n")[-1])["answers"]
    equal(child.wait(20), 0, "its end")
    if name == "over":  # there is no task any more that it could be said of
        equal([(t["status"], t["code"]) for t in told], [("refused", "missing")], "the frozen one's answer")
        late = []
    else:
        equal([(t["status"], t["first"], t["last"]) for t in told], [("late", before + 1, before + 1)], "the frozen one's answer")
        late = [r for r in w.records(trace) if r["seq"] > before]
        equal([(r["type"], r["fence"], r["actor"], r["payload"]) for r in late],
              [("TaskResultLate", held["fence"], f"agent:echo/{name}", {"step": 1, "by": "the frozen one"})], "what is kept of it")
    equal(w.hello()["durable"], before + len(late), "the last record")
    while steps > done:
        task = task or two.take()[0]
        equal([t["status"] for t in two.answer(task)], ["recorded"], "the second one's answer")
        task, done = None, done + 1
    w.until(ended(trace))
    kinds = [r["type"] for r in w.records(trace)]
    equal([kinds.count(k) for k in ("RouteTaskToAgent", "ThingEchoed", "TaskFailed", "TaskResultLate")], [steps + 1, steps, 1, len(late)], "records")
    equal([(r["actor"], r["payload"]["step"], "by" in r["payload"]) for r in results(w, trace)],
          [("agent:echo/two", step, False) for step in range(1, steps + 1)], "the results")


@case("P06", "heartbeats keep a lease; without them it ends, and the worker hears that it is gone")
def heartbeats(w):
    one = Worker(w, "slow")
    trace = flow(w)
    task = one.take()[0]
    for _ in range(5):
        equal(Worker(w, "idle").take(wait_ms=1000), [], "a poll that passes the time; all of them are longer than a lease")
        equal(one.good("heartbeat", holds=[task["fence"]])["gone"], [], "gone")
    records = w.until(lambda r: r["type"] == "TaskFailed" and r["traceId"] == trace)
    equal(len([r for r in records if r["type"] == "TaskFailed" and r["traceId"] == trace]), 1, "failures")
    equal(one.good("heartbeat", holds=[task["fence"]])["gone"], [task["fence"]], "gone")
    again = one.take()[0]
    one.answer(again)
    w.until(ended(trace))


@case("P06", "the time of a lease begins when the task is given, however long its worker had waited for one")
def waited_long(w):
    folder = os.open(w.dir / ".millwright", os.O_RDONLY)
    waits = Local(f"/proc/self/fd/{folder}/millwright.sock", 25)
    waits.request("POST", "/v1/agents/echo/lease", json.dumps({"worker": "patient", "max": 1, "waitMs": 20000}), {"Content-Type": "application/json"})
    idle = Worker(w, "idle", "remote")
    for _ in range(5):
        equal(idle.take(wait_ms=1000), [], "a poll that passes the time; all of them are longer than a lease")
    trace = flow(w)
    task = json.loads(waits.getresponse().read())["tasks"][0]
    waits.close()
    os.close(folder)
    equal(idle.take(wait_ms=100), [], "a poll at whose end the host looks who was not heard")
    equal([t["status"] for t in Worker(w, "patient").answer(task)], ["recorded"], "answer")
    w.until(ended(trace))


@case("P06", "to a worker that left while it waited nothing is given: who comes next has the task at once, and it is the first attempt")
def left(w):
    folder = os.open(w.dir / ".millwright", os.O_RDONLY)
    for _ in range(3):
        gone = Local(f"/proc/self/fd/{folder}/millwright.sock", 25)
        gone.request("POST", "/v1/agents/echo/lease", json.dumps({"worker": "gone", "max": 4, "waitMs": 20000}), {"Content-Type": "application/json"})
        equal(Worker(w, "two").good("heartbeat")["tasks"], [], "a request behind it")
        gone.close()
        trace = flow(w)
        task = Worker(w, "two").take()[0]
        equal(task["attempt"], 1, "attempt")
        Worker(w, "two").answer(task)
        w.until(ended(trace))
    os.close(folder)


@case("P09", "workers of ever new names that had a task and left are forgotten: there is always room for the next")
def ever_new(w):
    before, begun = Worker(w, "first"), time.monotonic()
    for turn in range(11):  # 1,024 names are the most at once
        trace = flow(w, "BenchFan")
        for number in range(100):
            worker = Worker(w, f"w{turn}-{number}")
            status, said = worker.say("lease", max=1, waitMs=20000)
            while status == 429:
                equal(said["error"]["pointer"], "/worker", "pointer")
                assert time.monotonic() < begun + 60, "they are never forgotten"
                before.take(0, wait_ms=500)
                status, said = worker.say("lease", max=1, waitMs=20000)
            equal(status, 200, f"{said}")
            worker.answer(*said["tasks"])
            before = worker
        w.until(ended(trace))


@case("P09", "1,024 names are the most that an agent's workers have at once: who comes then hears 429, and who is known is answered")
def too_many_names(w):
    for number in range(1024):
        Worker(w, f"w{number}").good("lease", waitMs=0)
    status, said = Worker(w, "one-more").say("lease", waitMs=0)
    equal((status, said.get("error", {}).get("pointer")), (429, "/worker"), "one more name")
    Worker(w, "w0").good("lease", waitMs=0)
    Worker(w, "one-more", "remote").good("lease", waitMs=0)


@case("PS-10", "what people had the factory remember goes with the task that a worker takes, as it is then")
def remembers(w):
    one = Worker(w, "one")
    kept = [{"kind": "preference", "text": "the tests need node 20"}, {"kind": "learning", "text": "no \"lamp\""}]
    for known in range(len(kept) + 1):
        trace = flow(w)
        task = one.take()[0]
        equal(task["memory"], kept[:known], "memory")
        one.answer(task)
        w.until(ended(trace))
        if known < len(kept):
            w.post("AddMemory", kept[known])


@case("AG-16", "an agent none of whose workers is heard is unhealthy, and healthy again with the first that comes")
def health(w):
    one = Worker(w, "one")
    one.take(wait_ms=0)
    after = w.hello()["durable"]
    w.until(lambda r: r["type"] == "AgentHealthChanged" and r["payload"]["health"] == "Unhealthy", after)
    one.take(wait_ms=0)
    w.until(lambda r: r["type"] == "AgentHealthChanged" and r["payload"]["health"] == "Healthy", after)


@case("P06", "kill -9 of the host: what its workers hold they keep, nothing is begun twice, every answer counts once")
def host_killed(w):
    one, two = Worker(w, "one"), Worker(w, "two")
    trace = flow(w, "BenchFan")
    given = {"one": one.take(20), "two": two.take(20)}
    before = {t["fence"] for tasks in given.values() for t in tasks}
    one.answer(*given["one"][:5])
    w.kill()
    w.start()
    # Somebody who was not there before gets only what nobody holds.
    fresh = Worker(w, "three").take(1024)
    equal(before & {t["fence"] for t in fresh}, set(), "given to two")
    got = one.good("heartbeat", holds=[t["fence"] for t in given["one"]])
    equal(sorted(got["gone"]), sorted(t["fence"] for t in given["one"][:5]), "gone: what was recorded already")
    for worker, tasks in ((one, given["one"][5:]), (two, given["two"]), (Worker(w, "three"), fresh)):
        equal({t["status"] for t in worker.answer(*tasks)}, {"recorded"}, worker.name)
    done = 40 + len(fresh)
    while done < 100:
        tasks = one.take(100)
        one.answer(*tasks)
        done += len(tasks)
    w.until(ended(trace))
    records = w.records(trace)
    equal(len([r for r in records if r["type"] == "RouteTaskToAgent"]), 100, "attempts")
    equal(len([r for r in records if r["type"] == "ThingEchoed"]), 100, "results")
    equal([r["type"] for r in records if r["type"] in ("TaskFailed", "TaskResultLate", "TaskTimedOut")], [], "what should not be")


@case("P06", "kill -9 of the host that came after it, before a worker was heard: what it holds it keeps all the same")
def host_killed_twice(w):
    one = Worker(w, "one")
    trace = flow(w)
    task = one.take()[0]
    for _ in range(3):
        w.kill()
        w.start()
    equal(Worker(w, "two").take(wait_ms=0), [], "given to two")
    equal([t["status"] for t in one.answer(task)], ["recorded"], "answer")
    w.until(ended(trace))
    equal([r["type"] for r in w.records(trace) if r["type"] in ("RouteTaskToAgent", "TaskFailed", "TaskResultLate")], ["RouteTaskToAgent"], "attempts")


@case("P06", "what a worker of a killed host held is given to another when it does not come back, also to one that never waits")
def never_back(w):
    trace = flow(w)
    held = Worker(w, "one").take()[0]
    w.kill()
    w.start()
    begun, tasks = time.monotonic(), []
    while not tasks:
        assert time.monotonic() < begun + 60, "nobody gets it"
        tasks = Worker(w, "two").take(wait_ms=0)
    equal((tasks[0]["fence"], tasks[0]["attempt"]), (held["fence"], 1), "what is given")
    Worker(w, "two").answer(*tasks)
    w.until(ended(trace))


@case("P06", "what one agent was asked for no worker of another agent answers, fails or keeps")
def of_another(w):
    one, thief = Worker(w, "one"), Worker(w, "one", "remote")
    trace = flow(w)
    task = one.take()[0]
    count = w.hello()["durable"]
    failure = {"taskId": task["taskId"], "fence": task["fence"], "error": {"class": "tool", "message": "not mine"}}
    for answer in (reply(task), failure):
        for verb in ("answers", "lease"):
            status, said = thief.say(verb, answers=[answer])
            equal((status, said.get("error", {}).get("pointer")), (400, "/answers/0/fence"), f"{verb}: {said}")
    equal(thief.good("heartbeat", holds=[task["fence"]])["gone"], [task["fence"]], "held by another agent's worker")
    equal([r["type"] for r in w.records(trace) if r["seq"] > count], [], "records of it")
    one.answer(task)
    w.until(ended(trace))
    equal([(r["agentId"], r["actor"]) for r in results(w, trace)], [("echo", "agent:echo/one")], "who")


@case("P06", "an answer that is sent again, because its host was killed before it said so, changes nothing the second time")
def answered_twice(w):
    one = Worker(w, "one")
    trace = flow(w, "BenchSteps")
    task = one.take()[0]
    one.answer(task)
    w.kill()
    w.start()
    equal([t["status"] for t in one.answer(task)], ["late"], "the second time")
    for step in range(2, 11):
        task = one.take()[0]
        equal(task["payload"], {"step": step}, "order")
        one.answer(task)
    w.until(ended(trace))
    equal(len(results(w, trace)), 10, "results")


@case("P06", "a worker that comes back without its memory says so, and its task is tried again at once")
def forgot(w):
    one = Worker(w, "one")
    trace = flow(w)
    first = one.take()[0]
    again = one.take(holds=[])
    again = again or one.take()
    equal((again[0]["taskId"], again[0]["attempt"]), (first["taskId"], 2), "second attempt")
    one.answer(again[0])
    w.until(ended(trace))


@case("FH-06", "a failure is tried again when its worker says so, and when it says nothing of it; when it says no it is a dead letter")
def failed(w):
    one = Worker(w, "one")
    trace = flow(w)
    for attempt, more in ((1, {}), (2, {"retryable": True}), (3, {"retryable": False})):
        task = one.take()[0]
        equal(task["attempt"], attempt, "attempt")
        error = dict({"class": "tool", "message": "no lamp"}, **more)
        one.good("answers", answers=[{"taskId": task["taskId"], "fence": task["fence"], "error": error}])
    w.until(ended(trace))
    equal(len([r for r in w.records(trace) if r["type"] == "TaskDeadLettered"]), 1, "dead letters")


@case("CL-09", "a flow that is cancelled takes the task out of its worker's hands")
def cancelled(w):
    one = Worker(w, "one")
    trace = flow(w)
    task = one.take()[0]
    w.post("Cancel", {"traceId": trace})
    w.until(ended(trace))
    equal(one.good("heartbeat", holds=[task["fence"]])["gone"], [task["fence"]], "gone")
    told = one.answer(task)
    equal(told[0]["status"], "refused", str(told))


@case("AG-16", "the tasks of an agent that is removed are over at once, held by a worker or waiting for one, not when their time is up")
def removed(w):
    one = Worker(w, "one")
    held, offered = flow(w), flow(w)
    one.take()
    w.post("RemoveAgent", {"agentId": "echo"})
    for trace in (held, offered):
        w.until(ended(trace), timeout=60)
        failed_with = [r["errorClass"] for r in w.records(trace) if r["type"] == "TaskFailed"]
        equal(failed_with, ["unsupported"], "failures")


@case("P21", "what a worker may not say is refused whole, with its place, and nothing of it is done")
def hostile(w):
    one = Worker(w, "one")
    trace = flow(w, "BenchSteps")
    task = one.take()[0]
    good = reply(task)
    count = w.hello()["durable"]
    bad = [
        ("/worker", dict(worker="")), ("/worker", dict(worker="a/b")), ("/worker", dict(worker="x" * 65)), ("/worker", dict(worker=7)),
        ("/max", dict(max=-1)), ("/max", dict(max=1025)), ("/max", dict(max="1")), ("/waitMs", dict(waitMs=60001)),
        ("/holds", dict(holds=7)), ("/holds/1", dict(holds=[5, "x"])), ("/holds", dict(holds=list(range(1, 1026)))),
        ("/mood", dict(mood=1)), ("/answers", dict(answers={})), ("/answers/0", dict(answers=[7])),
        ("/answers", dict(answers=[good] * 1025)),
        ("/answers/1/fence", dict(answers=[good, good])),
        ("/answers/0", dict(answers=[dict(good, mood=1)])),
        ("/answers/0/fence", dict(answers=[dict(good, fence=0)])), ("/answers/0/fence", dict(answers=[dict(good, fence=10 ** 12)])),
        ("/answers/0/taskId", dict(answers=[dict(good, taskId="me")])), ("/answers/0/fence", dict(answers=[dict(good, taskId="t-1-2")])),
        ("/answers/0/type", dict(answers=[dict(good, type="no type")])), ("/answers/0/type", dict(answers=[dict(good, type=7)])),
        ("/answers/0/payload", dict(answers=[dict(good, payload=[])])), ("/answers/0/rationale", dict(answers=[dict(good, rationale=1)])),
        ("/answers/0/usage", dict(answers=[dict(good, usage=[])])), ("/answers/0/error", dict(answers=[dict(good, error={})])),
        ("/answers/0/error/class", dict(answers=[{"taskId": task["taskId"], "fence": task["fence"], "error": {"class": "bad luck", "message": ""}}])),
        ("/answers/0/error/message", dict(answers=[{"taskId": task["taskId"], "fence": task["fence"], "error": {"class": "tool"}}])),
        ("/answers/0/error", dict(answers=[{"taskId": task["taskId"], "fence": task["fence"], "error": 7}])),
    ] + [
        ("/answers/0/error/retryable", dict(answers=[{"taskId": task["taskId"], "fence": task["fence"],
                                                      "error": {"class": "tool", "message": "final", "retryable": said}}]))
        for said in ("no", 0, None, {}, "false")
    ]
    for pointer, body in bad:
        status, answer = one.say("lease", **body)
        equal((status, answer.get("error", {}).get("pointer")), (400, pointer), f"{str(body)[:80]}: {answer}")
    for path, text, status in (("/v1/agents/echo/lease", "[]", 400), ("/v1/agents/echo/lease", "{", 400), ("/v1/agents/echo/lease", '{"worker":"a","worker":"b"}', 400),
                               ("/v1/agents/nobody/lease", '{"worker":"a"}', 404), ("/v1/agents/starter/lease", '{"worker":"a"}', 404),
                               ("/v1/agents/echo/dance", '{"worker":"a"}', 404), ("/v1/agents//lease", '{"worker":"a"}', 404)):
        folder = os.open(w.dir / ".millwright", os.O_RDONLY)
        connection = Local(f"/proc/self/fd/{folder}/millwright.sock", 10)
        connection.request("POST", path, text, {"Content-Type": "application/json"})
        equal(connection.getresponse().status, status, f"{path} {text}")
        connection.close()
        os.close(folder)
    equal(w.hello()["durable"], count, "records")
    # A name that only the control plane may say goes the way of every agent's: the attempt fails, and the record says why.
    one.good("answers", answers=[dict(good, type="ApprovalGranted")])
    records = w.until(lambda r: r["type"] == "TaskFailed" and r["traceId"] == trace, count)
    equal(records[-1]["errorClass"], "invalid_answer", "class")


@case("P14", "an answer whose JSON has its blanks over many lines is recorded in one line, as it is read")
def over_lines(w):
    one = Worker(w, "one")
    trace = flow(w, "BenchSteps")
    for large in (False, True):
        answer = reply(one.take()[0], words=["a\nb", {"empty": {}}], pad="x" * (9000 if large else 1))
        answer["usage"] = {"tokens": 1, "cost": 0.10}
        body = json.dumps({"worker": "one", "answers": [answer]}, indent="\t").replace("\n", "\r\n")
        folder = os.open(w.dir / ".millwright", os.O_RDONLY)
        connection = Local(f"/proc/self/fd/{folder}/millwright.sock", 25)
        connection.request("POST", "/v1/agents/echo/answers", body, {"Content-Type": "application/json"})
        told = json.loads(connection.getresponse().read())
        connection.close()
        os.close(folder)
        equal([t["status"] for t in told["answers"]], ["recorded"], "answer")
        result = results(w, trace)[-1]
        equal(result["usage"], answer["usage"], "usage")
        if large:
            kept = (w.dir / ".millwright" / "blobs" / result["payloadSha256"][:2] / result["payloadSha256"][2:]).read_text()
            equal(json.loads(kept), answer["payload"], "the body")
        else:
            equal(result["payload"], answer["payload"], "payload")


@case("P22", "a large payload is a body of its own, durable before the record that names it")
def large(w):
    one = Worker(w, "one")
    trace = flow(w)
    task = one.take()[0]
    text = "x" * 200000
    one.good("answers", answers=[reply(task, text=text)])
    w.until(ended(trace))
    digest = results(w, trace)[0]["payloadSha256"]
    found = [p for p in (w.dir / ".millwright" / "blobs").rglob("*") if p.is_file() and p.name in digest or digest.endswith(p.name)]
    assert found and json.loads(found[0].read_bytes())["text"] == text, f"no body {digest}"


@case("P22", "a small payload that is a document of the journey is a body too, and what comes next is made from it")
def document(w):
    w.file("workflows/echo.yaml", "workflow: EchoFirst\npurpose: Two parts.\nroles:\n  first: {task: {skill: EchoThing, expects: ThingEchoed}}\nstart:\n  - role: first\n"
           "handoffs:\n  - {on: ThingEchoed, complete: true}\nlimits: {iterations: 2, timeout: 1h}\n")
    w.file("workflows/parts.yaml", "workflow: EchoParts\npurpose: Each of them.\nroles:\n  all: {plan: PartsPlan}\nstart:\n  - role: all\n"
           "handoffs:\n  - {from: all, on: AssemblyCompleted, complete: true}\nlimits: {iterations: 2, timeout: 1h}\n")
    w.file("workflows/plan.yaml", "plan: PartsPlan\ngroup: parts\nmembers:\n"
           "  - {id: part, for_each: sketch.parts, task: {skill: EchoThing, expects: ThingEchoed, payload: {part: item}}}\n")
    w.file("workflows/journey.yaml", "journey: new_app\ndocuments: {sketch: ThingEchoed}\napp_id: sketch.app\napp_name: sketch.app\nsteps:\n"
           "  - {workflow: EchoFirst, produces: [concept]}\n  - {workflow: EchoParts, produces: [app_bundle]}\n"
           "validation: {skill: EchoThing, expects: ThingEchoed, files: trace}\n")
    w.kill()
    w.start()
    one = Worker(w, "one")
    w.post("SubmitIntent", {"prompt": "two parts"})
    told = dict(reply(one.take()[0]), payload={"app": "two", "parts": ["a", "b"]})
    one.good("answers", answers=[told])
    parts = [task["payload"] for task in one.take(2)]
    if len(parts) == 1:
        parts += [task["payload"] for task in one.take()]
    equal(parts, [{"part": "a"}, {"part": "b"}], "what was made from it")


@case("P09", "an answer with large tasks is bounded, and the next one has the rest")
def heavy(w):
    w.file("coordinators/heavy.yaml", """coordinator: Heavy
version: "1.0.0"
command: StartHeavy
completes_with: HeavyCompleted
key: scope.traceId
initial: Working
states:
  Working:
    timeout: 1h
    enter:
      - group:
          id: tasks
          members:
            - {id: each, for_each: item.parts, task: {skill: EchoThing, expects: ThingEchoed, payload: {part: item, text: outer.text}}}
    on:
      - {group: tasks, go: Done}
  Done: {final: true}
""")
    text = "x" * 300000
    w.post("StartCoordinator", {"coordinator": "Heavy", "payload": {"text": text, "parts": list(range(40))}})
    asked, one, parts = [], Worker(w, "one"), []
    w.until(lambda r: r["kind"] == "task.dispatched" and (asked.append(r) or len(asked) == 40))
    while len(parts) < 40:
        answer = one.good("lease", max=1024, waitMs=20000, holds=[], answers=[])
        took = answer["tasks"]
        assert took, "a lease without a task"
        assert len(json.dumps(answer)) < 5 << 20, f"an answer of {len(json.dumps(answer))} bytes"
        assert all(task["payload"]["text"] == text for task in took), "another text"
        parts += [task["payload"]["part"] for task in took]
        equal({a["status"] for a in one.good("answers", answers=[dict(reply(task), payload={}) for task in took])["answers"]}, {"recorded"}, "answers")
    equal(sorted(parts), list(range(40)), "parts")


@case("CL-05", "the example worker does its work, and goes on after its host was killed")
def example(w):
    w.file("agents/worker.yaml", (TOP / "examples" / "worker.yaml").read_text())
    w.file("coordinators/count.yaml", """coordinator: CountThem
version: "1.0.0"
command: StartCountThem
completes_with: CountThemCompleted
key: scope.traceId
initial: Working
states:
  Working:
    timeout: 1h
    enter:
      - group:
          id: tasks
          members:
            - {id: t1, task: {skill: CountWords, expects: WordsCounted, payload: {text: "'one two three'"}}}
    on:
      - {group: tasks, go: Done}
  Done: {final: true}
""")
    child = subprocess.Popen([sys.executable, str(TOP / "examples" / "worker.py"), w.socket(), "example"], stderr=subprocess.PIPE)
    try:
        for round_ in range(2):
            trace = flow(w, "CountThem")
            w.until(ended(trace))
            equal(results(w, trace, "WordsCounted")[0]["payload"], {"words": 3}, f"result {round_}")
            if round_ == 0:
                w.kill()
                w.start()
    finally:
        child.kill()
        child.wait()


def main():
    rows_lib.PROGRAM = os.path.abspath(sys.argv[1])
    rows_lib.wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    with tempfile.TemporaryDirectory(prefix="workers-") as place:
        short, long_ = pathlib.Path(place) / "short", pathlib.Path(place) / "long"
        short.mkdir(), long_.mkdir()
        slow = (serves, long_poll, one_holder, left, shares, host_killed, host_killed_twice, of_another, answered_twice, failed, forgot, cancelled, removed, hostile,
                over_lines, large, document, heavy, too_many_names, remembers)
        for lease, folder, rows in (("30s", long_, slow), ("4s", short, (killed, frozen, heartbeats, waited_long, never_back, ever_new, health))):
            used = factory(folder, lease)
            for row in rows:
                with Workspace("work", used) as w:
                    (w.dir / ".millwright").mkdir(exist_ok=True)
                    w.start()
                    row(w)
        with Workspace("work", factory(pathlib.Path(tempfile.mkdtemp(dir=place)))) as w:
            (w.dir / ".millwright").mkdir(exist_ok=True)
            w.start()
            example(w)
    return finish()


sys.exit(main())
