"""What rows_b.py stands on: a workspace in a temporary folder, its host, its journal, stub agents, and the count of what held."""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
FACTORY = pathlib.Path(os.environ.get("MILLWRIGHT_FACTORY") or HERE.parent.parent / "factory")
PROGRAM = ""
DEADLINE_S = int(os.environ.get("ROWS_DEADLINE", "25"))
# How much longer than usual every wait may take: for a program that a sanitizer slows down. What has to hold is the same.
PATIENCE = float(os.environ.get("MW_PATIENCE", "1"))

# One program for every stub: it writes what its task wants, waits for its gate when it has one, and answers with what `answers.json` says.
STUB = r'''#!/usr/bin/python3 -IS
import json, os, sys, time
here = os.path.dirname(os.path.abspath(__file__))
task = json.load(sys.stdin)
skill, payload = task["taskType"], task["payload"]
try:
    with open(os.path.join(here, "answers.json")) as file:
        told = json.load(file).get(skill, {})
except OSError:
    told = {}
gate = os.path.join(here, "gate-" + skill)
closed = os.path.join(here, "closed-" + skill)
while os.path.exists(closed) and not os.path.exists(gate):
    time.sleep(0.01)
slug = payload.get("slug") or (payload.get("services") or [{}])[0].get("slug", "app")
names = {"ScaffoldService": "package.json", "ConfigureJWTAuth": "src/auth.js", "ConfigureOAuth2": "src/auth.js", "GenerateTests": "test/one.test.js",
         "GenerateHandler": "src/handlers/%s.js" % (payload.get("use_case") or {}).get("slug", "one"),
         "GenerateAdapter": "src/repositories/%s.js" % (payload.get("port") or {}).get("slug", "one")}
if skill in names:
    path = os.path.join("services", slug, names[skill])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(json.dumps({"by": skill}) + "\n")
if told.get("fail"):
    print(json.dumps({"error": {"class": "tool", "message": told["fail"], "retryable": bool(told.get("again"))}}))
    sys.exit(1)
print(json.dumps({"type": told.get("type") or task["expects"]["type"], "payload": dict({"service": payload.get("service")}, **told.get("payload", {}))}))
'''
ASSEMBLY = {"ScaffoldService": {}, "GenerateTests": {}, "GenerateHandler": {}, "GenerateAdapter": {},
            "CommitCode": {"payload": {"branch": "feature/x", "commit": "0" * 40, "commits": []}},
            "RunTests": {"payload": {"result": "Passed", "coverage": "100%", "testScope": ["Unit"], "suites": [], "failures": []}},
            "CreatePullRequest": {"payload": {"url": "file:///nowhere/1.json", "status": "open", "branch": "feature/x", "number": 1}}}

counted = {"ok": 0, "not ok": 0}
wanted = ""
said = threading.Lock()


def say(row, what, why=""):
    word = "not ok" if why else "ok"
    with said:
        counted[word] += 1
        print(f"{word} {row} {what}" + (f": {why}" if why else ""), flush=True)


def case(row, what):
    """A function whose AssertionError (or any other) is a row that does not hold."""
    def mark(function):
        def run(*args):
            if wanted and wanted not in row:
                return
            for arg in args:
                if isinstance(arg, Workspace):
                    arg.open_all()  # what a case before this one left waiting
            try:
                function(*args)
            except Exception as problem:  # a test that breaks has failed, whatever broke it
                text = str(problem) or type(problem).__name__
                say(row, what, " ".join(text.split())[:1500])
                return
            say(row, what)
        return run
    return mark


def equal(got, want, what=""):
    assert got == want, f"{what}: {got!r} instead of {want!r}"


class Local(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout * PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Workspace:
    """One workspace in a folder of its own; its host ends with it."""

    def __init__(self, name, factory=None):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="rows-"))
        self.dir = self.top / name
        self.dir.mkdir()
        self.environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self.top), "LANG": "C.UTF-8",
                            "MILLWRIGHT_FACTORY": str(factory or FACTORY), "NO_COLOR": "1"}
        for name_ in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE"):
            if name_ in os.environ:
                self.environment[name_] = os.environ[name_]

    def cli(self, *words, cwd=None, timeout=DEADLINE_S):
        return subprocess.run([PROGRAM, *words], cwd=cwd or self.dir, env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout * PATIENCE)

    def ok(self, *words, **more):
        done = self.cli(*words, **more)
        assert done.returncode == 0, f"millwright {' '.join(words)}: exit {done.returncode}: {(done.stderr or done.stdout)[-600:]}"
        return done.stdout

    def json(self, *words, **more):
        text = self.ok(*words, "--json", **more)
        return json.loads(text.strip().split("\n")[-1])

    def file(self, path, text):
        target = self.dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    # stub agents

    def stub(self, skills, agent="stub", answers=None, capacity=50, tier=90, domains=None):
        script = self.file("agents/stub/stub.py", STUB)
        script.chmod(0o755)
        lines = [f"agent_id: {agent}", "agent_type: Stub Agent", f"skills: [{', '.join(skills)}]",
                 f"domains: [{', '.join(domains or ['*'])}]".replace("*", '"*"'), f"tier: {tier}", f"capacity: {capacity}",
                 f'backend: {{kind: command, argv: ["{script}"]}}']
        self.file(f"agents/{agent}.yaml", "\n".join(lines) + "\n")
        if answers is not None:
            self.answers(answers)

    def answers(self, answers):
        self.file("agents/stub/answers.json", json.dumps(answers))

    def close(self, skill):
        (self.dir / "agents" / "stub" / f"gate-{skill}").unlink(missing_ok=True)
        self.file(f"agents/stub/closed-{skill}", "")

    def open(self, skill):
        self.file(f"agents/stub/gate-{skill}", "")

    def open_all(self):
        for path in (self.dir / "agents" / "stub").glob("closed-*"):
            path.unlink()

    # the host

    def socket(self):
        return str(self.dir / ".millwright" / "millwright.sock")

    def ask(self, method, path, body=None, timeout=DEADLINE_S):
        """(status, answer) of one HTTP request on the unix socket."""
        folder = os.open(self.dir / ".millwright", os.O_RDONLY)
        try:  # however long the path is
            connection = Local(f"/proc/self/fd/{folder}/millwright.sock", timeout)
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
            connection.close()
        finally:
            os.close(folder)
        return answer.status, json.loads(text) if text.strip() else None

    def post(self, request, body):
        status, answer = self.ask("POST", f"/v1/requests/{request}", dict({"actor": "user:tester"}, **body))
        assert status == 200, f"{request}: {status} {answer}"
        return answer

    def view(self, name, **arguments):
        query = "&".join(f"{key}={value}" for key, value in arguments.items())
        status, answer = self.ask("GET", f"/v1/views/{name}?{query}")
        assert status == 200, f"view {name}: {status} {answer}"
        return answer

    def hello(self):
        return self.ask("GET", "/v1/hello")[1]

    def start(self):
        self.ok("serve")
        return self.hello()["pid"]

    def kill(self):
        """kill -9 of the host; it is gone when this returns."""
        pid = self.hello()["pid"]
        handle = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        import select
        select.select([handle], [], [], DEADLINE_S * PATIENCE)
        os.close(handle)

    # the journal

    def follow(self, after=0, timeout=DEADLINE_S):
        """Records as they become durable, for as long as somebody wants more."""
        folder = os.open(self.dir / ".millwright", os.O_RDONLY)
        connection = Local(f"/proc/self/fd/{folder}/millwright.sock", timeout)
        connection.request("GET", f"/v1/journal?after={after}&follow=1")
        answer = connection.getresponse()
        try:
            while True:
                line = answer.readline()
                if not line:
                    return
                if line.strip():
                    yield json.loads(line)
        finally:
            connection.close()
            os.close(folder)

    def until(self, test, after=0, timeout=DEADLINE_S):
        """Records up to the first that fits."""
        seen = []
        deadline = time.monotonic() + timeout * PATIENCE
        for record in self.follow(after, timeout):
            seen.append(record)
            if test(record):
                return seen
            assert time.monotonic() < deadline, "waited too long"
        raise AssertionError("the journal's stream ended; last: " + ", ".join(r["type"] for r in seen[-5:]))

    def records(self, trace=None):
        """Every record in the journal's files, without the host."""
        found = []
        for path in sorted((self.dir / ".millwright" / "journal").glob("*.jsonl")):
            whole = path.read_bytes().rpartition(b"\n")[0]  # a running host may be writing the line after it
            for line in whole.decode().split("\n"):
                if line and not line.startswith('{"frame":'):
                    found.append(json.loads(line))
        return [r for r in found if trace is None or r.get("traceId") == trace]

    def end(self):
        try:
            self.cli("serve", "--stop", timeout=20)
        except Exception:
            pass
        try:
            os.kill(self.hello()["pid"], signal.SIGKILL)
        except Exception:
            pass
        if not os.environ.get("ROWS_KEEP"):
            subprocess.run(["chmod", "-R", "u+w", str(self.top)], check=False)
            shutil.rmtree(self.top, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def ended(trace):
    return lambda record: record["type"] == "TraceEnded" and record.get("traceId") == trace


def built(trace):
    return lambda record: record["type"] in ("build_completed", "build_failed") and record.get("traceId") == trace


def of_type(records, *types):
    return [r for r in records if r["type"] in types]


def message(trace, type_, payload, session=None):
    return {"type": type_, "traceId": trace, "sessionId": session or trace, "componentTag": "Tester:Outside",
            "timestamp": "2025-06-15T15:00:00Z", "emittedBy": "tester", "payload": payload}


def message_id():
    """A UUID of version 7, made now."""
    import secrets
    milliseconds = int(time.time() * 1000)
    text = f"{milliseconds:012x}7{secrets.randbits(12):03x}{0x8 | secrets.randbits(2):x}{secrets.randbits(60):015x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def finish():
    return 1 if counted["not ok"] else 0
