#!/usr/bin/env python3
"""One gen, its host and agents killed 20 times (kill -9), beside an undisturbed one: the same tree, no finished task repeated, verify green.

usage: demo_crash.py PROGRAM

When to strike is said by the journal: each time it has grown by another twentieth of what the undisturbed run wrote.
"""
import hashlib
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
import time

PROGRAM = os.path.abspath(sys.argv[1])
PROMPT = "Build a NotificationService with MongoDB and JWT auth"
KILLS = 20
LIMIT_S = 120
LOOK_S = 0.002  # between two looks at whether something has come


def fail(words):
    sys.exit(f"demo-crash: {words}")


def until(condition, words):
    end = time.monotonic() + LIMIT_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            fail(f"{words}: not within {LIMIT_S} s")
        time.sleep(LOOK_S)


class Local(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Workspace:
    def __init__(self, top, name):
        self.folder = os.path.join(top, name)
        os.mkdir(self.folder)
        self.journal = pathlib.Path(self.folder, ".millwright", "journal")
        self.said = open(os.path.join(top, f"{name}.out"), "w+", encoding="utf-8")
        self.env = dict(os.environ, MILLWRIGHT_IDLE_MS="60000", NO_COLOR="1")

    def start_gen(self):
        self.said.seek(0)
        self.said.truncate()
        return subprocess.Popen([PROGRAM, "--workspace", self.folder, "gen", PROMPT, "--json"], stdin=subprocess.DEVNULL,
                                stdout=self.said, stderr=subprocess.DEVNULL, env=self.env, cwd=self.folder)

    def result(self):
        self.said.seek(0)
        lines = [line for line in self.said.read().split("\n") if line]
        return json.loads(lines[-1]) if lines else {}

    def run(self, *words):
        return subprocess.run([PROGRAM, "--workspace", self.folder, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=self.env, check=False)

    def host(self):
        try:
            connection = Local(os.path.join(self.folder, ".millwright", "millwright.sock"))
            connection.request("GET", "/v1/hello")
            hello = json.loads(connection.getresponse().read())
            connection.close()
            return hello["pid"] if hello["state"] == "ready" else None
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return None

    def records(self):
        found = []
        for path in sorted(self.journal.glob("*.jsonl")) if self.journal.is_dir() else []:
            for line in path.read_bytes().split(b"\n")[:-1]:  # what follows the last newline is being written
                if not line.startswith(b'{"frame":'):
                    found.append(json.loads(line))
        return found

    def count(self):
        """Records so far; cheap, since it is asked all the time."""
        paths = sorted(self.journal.glob("*.jsonl")) if self.journal.is_dir() else []
        lines = 0
        for path in paths:
            text = b"\n" + path.read_bytes()
            lines += text.count(b"\n") - 1 - text.count(b'\n{"frame":')
        return lines

    def end(self):
        self.run("serve", "--stop")
        self.said.close()


def tree_of(folder):
    """(sha256 over every path, mode and content, count of files)."""
    total, count = hashlib.sha256(), 0
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(folder)} {path.stat().st_mode & 0o111:o} {digest}\n".encode())
            count += 1
    return total.hexdigest(), count


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def children_of(pid):
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and int(pathlib.Path(f"/proc/{entry}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry))
        except (OSError, IndexError):
            pass
    return found


def agents_of(host):
    """(process, task) of every agent at work: what a supervisor of the host runs."""
    found = []
    for stub in children_of(host):
        for agent in children_of(stub):
            try:
                environment = pathlib.Path(f"/proc/{agent}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            for variable in environment:
                if variable.startswith(b"MILLWRIGHT_WORK_DIR="):
                    found.append((agent, variable.decode().rstrip("/").split("/")[-2].rsplit(".", 1)[0]))
    return found


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    until(lambda: not alive(pid), f"the end of process {pid}")
    return True


def strike_agent(workspace, struck):
    """Kills an agent of a task that was left alone so far: the policy gives a task two attempts. None: none was at work."""
    host = workspace.host()
    for pid, task in agents_of(host) if host else []:
        if task not in struck and kill(pid):
            struck.add(task)
            return f"agent {pid} ({task})"
    return None


def strike_host(workspace):
    host = workspace.host()
    return f"host {host}" if host and kill(host) else None


def disturbed(workspace, records):
    process, struck = workspace.start_gen(), set()
    for number in range(1, KILLS + 1):
        target, reached = records * number // (KILLS + 2), []

        def strike():
            nonlocal process
            if process.poll() is not None:  # it lost its host too often, and says so: the same gen goes on
                if workspace.result().get("state") == "draft":
                    fail(f"the build was over before kill {number}: this machine is too quick for it")
                process = workspace.start_gen()
            if workspace.count() < target:
                return None
            # Every second one is an agent's, unless the journal grows on and none that was left alone so far was at work.
            if number % 2 == 0:
                reached.append(workspace.count())
                return strike_agent(workspace, struck) or (strike_host(workspace) if reached[-1] > reached[0] else None)
            return strike_host(workspace)
        done = until(strike, f"kill {number} at record {target}")
        print(f"kill {number:2d}/{KILLS}  {done} at record {workspace.count()}", flush=True)
    tries = 0
    while process.wait(LIMIT_S) != 0 and tries < 5:
        tries += 1
        process = workspace.start_gen()
    if process.returncode != 0:
        fail(f"gen ends with {process.returncode}: {workspace.result()}")


def check_tasks(workspace, whole):
    """What the journal says of every task; ends the demo when one was done twice."""
    results, asked, again = {}, set(), 0
    for record in workspace.records():
        if record["kind"] == "task.result":
            if record["taskId"] in results:
                fail(f"{record['taskId']} has two results")
            results[record["taskId"]] = record["taskType"]
        if record["kind"] == "task.dispatched":
            if record["taskId"] in results:
                fail(f"{record['taskId']} was asked again after its result")
            if (record["taskId"], record["attempt"]) in asked:
                fail(f"attempt {record['attempt']} of {record['taskId']} was asked twice")
            asked.add((record["taskId"], record["attempt"]))
            again += record["attempt"] > 1
    if sorted(results.values()) != whole:
        fail("the tasks are not those of the undisturbed run")
    return len(results), again


def main():
    top = tempfile.mkdtemp(prefix="demo-crash-")
    calm, torn = Workspace(top, "undisturbed"), Workspace(top, "killed")
    try:
        print(f'$ millwright gen "{PROMPT}"        # left alone', flush=True)
        if calm.start_gen().wait(LIMIT_S) != 0:
            fail(f"the undisturbed gen failed: {calm.result()}")
        records = calm.count()
        whole = sorted(record["taskType"] for record in calm.records() if record["kind"] == "task.result")
        expected, files = tree_of(calm.result()["staged"])
        print(f"draft: {len(whole)} tasks, {records} records, {files} files, tree {expected[:16]}…\n", flush=True)
        print(f'$ millwright gen "{PROMPT}"        # kill -9, {KILLS} times', flush=True)
        begun = time.monotonic()
        disturbed(torn, records)
        tree, files = tree_of(torn.result()["staged"])
        print(f"draft after {time.monotonic() - begun:.1f} s: {files} files, tree {tree[:16]}…", flush=True)
        if tree != expected:
            fail(f"another tree: {tree} instead of {expected}")
        tasks, again = check_tasks(torn, whole)
        print(f"same tree; {tasks} tasks, each finished once and none asked again after it; {again} attempts made again for killed agents\n")
        verified = torn.run("verify")
        print(f"$ millwright verify\n{verified.stdout.strip()}")
        if verified.returncode != 0:
            fail(f"verify: exit {verified.returncode}: {verified.stderr.strip()}")
    finally:
        calm.end()
        torn.end()
        shutil.rmtree(top, ignore_errors=True)


main()
