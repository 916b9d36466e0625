"""What the crash_*, agents_* and life_* tests share: a workspace of their own, the program, its host's socket, /proc, and a way to say ok.

Nothing here waits a fixed time for something to happen: every wait has a condition and a limit. A world ends everything that it started.
"""
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else str(TOP / "build/release/millwright")
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
NIGHT = bool(os.environ.get("MW_NIGHT"))
# How much longer than usual every wait may take: for a program that a sanitizer slows down. What has to hold is the same.
PATIENCE = float(os.environ.get("MW_PATIENCE", "1"))
# What the program was built with: "address", "thread" or nothing.
SANITIZER = next((name for name, mark in (("address", b"__asan_init"), ("thread", b"__tsan_init")) if os.path.isfile(PROGRAM) and
                  mark in pathlib.Path(PROGRAM).read_bytes()), "")
# A workflow with one task of one skill.
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
PROMPT = "Build a TaskService with File storage"
failed = 0


class Fault(Exception):
    """What should hold does not."""


def want(fact, words):
    if not fact:
        raise Fault(words)


def prove(name, function, *args):
    """Runs one proof and prints its line. Worlds that it made are ended whatever happens."""
    global failed
    if ONLY and ONLY not in name and not name.endswith("undisturbed"):
        return
    started = time.monotonic()
    worlds = []
    try:
        skip = function(worlds, *args)
        if skip:
            print(f"skipped: {name}: {skip}", flush=True)
        else:
            print(f"ok {name} ({time.monotonic() - started:.1f} s)", flush=True)
    except (Fault, subprocess.SubprocessError, http.client.HTTPException, OSError, ValueError, KeyError, IndexError, StopIteration) as fault:
        failed += 1
        print(f"not ok {name}: {type(fault).__name__}: {fault}", flush=True)
        for world in worlds:
            world.tell()
        if os.environ.get("MW_KEEP"):
            worlds.clear()
    for world in worlds:
        world.end()


def finish():
    sys.exit(1 if failed else 0)


def until(condition, limit_s, words):
    """Polls a condition that nobody announces; its value."""
    end = time.monotonic() + limit_s * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        want(time.monotonic() < end, f"{words}: not within {limit_s * PATIENCE:g} s")
        time.sleep(0.01)


def stat_of(pid):
    """(state, parent, session) or None when there is no such process."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2:].split()
    return fields[0], int(fields[1]), int(fields[3])


def alive(pid):
    """Also while its first thread has ended and another has not: what it holds, a lock for one, is held until the last one is gone."""
    stat = stat_of(pid)
    if stat is None or stat[0] == "X":
        return False
    try:
        return stat[0] != "Z" or len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


def descendants(pid):
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = stat_of(entry)
            if stat is not None and stat[0] not in "ZX":
                children.setdefault(stat[1], []).append(int(entry))
    found, ahead = [], [pid]
    while ahead:
        for child in children.get(ahead.pop(), []):
            found.append(child)
            ahead.append(child)
    return found


def is_fork_server(pid):
    """`millwright __exec serve` stays as long as the host; what it forks shows `__exec` alone."""
    return command_of(pid)[1:3] == [b"__exec", b"serve"]


def command_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


class Unix(http.client.HTTPConnection):
    """HTTP over the workspace's socket, however long its path is."""

    def __init__(self, path, timeout=20):
        super().__init__("localhost", timeout=timeout * PATIENCE)
        self.path = path

    def connect(self):
        folder = os.open(os.path.dirname(self.path), os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{folder}/{os.path.basename(self.path)}")
        finally:
            os.close(folder)


class World:
    """One workspace in a folder of its own."""

    def __init__(self, worlds, folder=None, env=None, idle_ms=60000):
        self.base = tempfile.mkdtemp(prefix="mw-e2e-")
        self.folder = folder or os.path.join(self.base, "w")
        os.makedirs(self.folder, exist_ok=True)
        self.env = {"PATH": os.environ["PATH"], "HOME": self.base, "LANG": "C.UTF-8", "USER": "tester",
                    "MILLWRIGHT_IDLE_MS": str(idle_ms), "MILLWRIGHT_FACTORY": os.environ.get("MILLWRIGHT_FACTORY", str(TOP / "factory"))}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LLVM_PROFILE_FILE"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.env.update(env or {})
        self.program = PROGRAM
        self.started = []
        self.last = ""
        worlds.append(self)

    # ---- the command line

    def start(self, *args):
        """What it says goes to files: a pipe that nobody reads would stop it."""
        out, err = (tempfile.TemporaryFile("w+", errors="replace", dir=self.base) for _ in range(2))
        process = subprocess.Popen([self.program, "--workspace", self.folder, *args], cwd=self.base, env=self.env, stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=err)
        process.said = out, err
        self.started.append(process)
        return process

    def ended(self, process, limit_s=120):
        process.wait(limit_s * PATIENCE)
        texts = []
        for file in process.said:
            file.seek(0)
            texts.append(file.read())
        self.last = f"exit {process.returncode}\n{texts[0][-1500:]}\n{texts[1][-2500:]}"
        return process.returncode, texts[0], texts[1]

    def run(self, *args, limit_s=120):
        return self.ended(self.start(*args), limit_s)

    def gen(self, prompt=PROMPT, *args, limit_s=120):
        """(exit code, its last line, standard error)."""
        code, out, err = self.run("gen", prompt, "--json", *args, limit_s=limit_s)
        return code, result_of(out), err

    # ---- the host

    def path(self, *parts):
        return os.path.join(self.folder, ".millwright", *parts)

    def ask(self, method, target, body=None, headers=None, timeout=20):
        """(status, text)."""
        connection = Unix(self.path("millwright.sock"), timeout)
        try:
            if body is not None and not isinstance(body, (str, bytes)):
                body = json.dumps(body)
            connection.request(method, target, body, {"content-type": "application/json", **(headers or {})} if body is not None else headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()

    def post(self, request, **body):
        status, text = self.ask("POST", f"/v1/requests/{request}", body)
        return status, json.loads(text)

    def host(self):
        """The host's process id, or None while nobody listens or the journal is read."""
        try:
            hello = json.loads(self.ask("GET", "/v1/hello", timeout=5)[1])
            return hello["pid"] if hello["state"] != "replaying" else None
        except (OSError, http.client.HTTPException, ValueError):
            return None

    def serve(self):
        """A host that was started by hand, ready."""
        process = subprocess.Popen([self.program, "__host", self.folder], cwd=self.base, env=self.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
        self.started.append(process)
        until(lambda: self.host() or process.poll() is not None, 20, "a host")
        want(process.poll() is None, f"no host: {process.stderr.read() if process.poll() is not None else ''}")
        return process

    # ---- what it wrote

    def records(self):
        found = []
        folder = self.path("journal")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if name.endswith(".jsonl"):
                with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as journal:
                    for line in journal:
                        try:
                            record = json.loads(line)
                        except ValueError:
                            continue  # the unfinished last line of a running host
                        if "kind" in record:
                            found.append(record)
        return found

    def kinds(self, kind):
        return [record for record in self.records() if record["kind"] == kind]

    def count(self):
        return self.records()[-1]["seq"] if self.records() else 0

    def write(self, path, text):
        """A file of the workspace."""
        place = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        pathlib.Path(place).write_text(text)
        return place

    def agent(self, name, definition, script=None):
        """An own agent: agents/NAME.yaml, and agents/NAME.sh when a script is given."""
        folder = os.path.join(self.folder, "agents")
        os.makedirs(folder, exist_ok=True)
        if script is not None:
            place = os.path.join(folder, f"{name}.sh")
            pathlib.Path(place).write_text(script)
            os.chmod(place, 0o755)
        pathlib.Path(folder, f"{name}.yaml").write_text(definition)

    def quick_tests(self, seconds=0.2):
        """The service's own tests take seconds and are proven elsewhere: here an agent of the workspace says at once that they pass."""
        self.agent("quick-qa", agent_text("quick-qa", "RunTests"), "#!/bin/sh\ntask=$(cat)\nsleep " + str(seconds) + "\n" + QUICK_ANSWER)

    def verify(self):
        code, _, err = self.run("verify")
        want(code == 0, f"verify: exit {code}: {err.strip()}")

    # ---- the end

    def tell(self):
        """What is known, for whoever looks for the reason."""
        print("    " + self.last.replace("\n", "\n    "))
        for name in ("host.log", "host.out"):
            place = self.path("log", name)
            if os.path.exists(place):
                lines = pathlib.Path(place).read_text(errors="replace").split("\n")[-12:]
                print("    " + "\n    ".join(f"{name}: {line[:400]}" for line in lines if line))
        print(f"    workspace: {self.folder}")

    def end(self):
        pids = set()
        host = self.host()
        if host:
            pids.update([host, *descendants(host)])
        for process in self.started:
            if process.poll() is None:
                pids.update([process.pid, *descendants(process.pid)])
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for process in self.started:
            if process.poll() is None:
                process.wait(10)
            for stream in (process.stdout, process.stderr, *getattr(process, "said", ())):
                if stream:
                    stream.close()
        subprocess.run(["chmod", "-R", "u+rwX", self.base], stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.base, ignore_errors=True)


QUICK_ANSWER = """service=$(printf '%s' "$task" | sed 's/.*"payload":{[^{]*"service":"\\([A-Za-z0-9]*\\)".*/\\1/')
printf '{"type":"TestResultsReady","payload":{"service":"%s","result":"Passed","coverage":"95%%","testScope":["Unit","Integration"],"suites":[],"failures":[],"not_checked":[]}}\\n' "$service"
"""


def agent_text(name, skill, tier=50, argv=None, more="", backend=""):
    argv = json.dumps(argv or [f"./{name}.sh"])
    return f"agent_id: {name}\nagent_type: Test Agent\nskills: [{skill}]\ndomains: [\"*\"]\ntier: {tier}\ncapacity: 4\n" \
           f"backend: {{kind: command, argv: {argv}{backend}}}\n{more}"


def result_of(out):
    lines = [line for line in out.strip().split("\n") if line]
    want(lines, "gen said nothing on standard output")
    result = json.loads(lines[-1])
    want(result.get("type") == "gen.result", f"the last line is no gen.result: {lines[-1][:200]}")
    return result


def seeded():
    seed = int(os.environ.get("MW_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"seed {seed} (MW_SEED={seed} does it again)", flush=True)
    return random.Random(seed)
