"""One workspace from a prompt or a blueprint to a running app and back, by the command line alone."""
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
COMMAND_TIMEOUT_S = 180
READY_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
PERSON_WAITED_FOR = 3


class Failed(Exception):
    """A step that did not do what it should; the text has the command and what it said."""


class Done:
    def __init__(self, words, code, out, err):
        self.words, self.code, self.out, self.err = words, code, out, err

    def __str__(self):
        """What went wrong, without the records that tell of what went well."""
        told = [line for line in self.lines() if "kind" in line]
        shown = [json.dumps({key: line[key] for key in ("kind", "taskType", "reason", "errorClass") if key in line}, ensure_ascii=False)
                 for line in told if line.get("errorClass")]
        for line in told:
            payload = line.get("payload") or {}
            shown += [json.dumps(failure, ensure_ascii=False)[:600] for failure in payload.get("failures") or []] if isinstance(payload, dict) else []
        rest = [line for line in self.out.splitlines() if not line.startswith('{"kind"')]
        return "\n".join([f"$ millwright {' '.join(self.words)}", f"exit {self.code}", *shown[:30], *rest[-40:], self.err[-3000:]])

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]


class Journey:
    def __init__(self, program, folder):
        self.program, self.folder = program, pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        # Nothing of the one who runs this: no settings, no keys, no other workspace.
        home = self.folder.parent / "home"
        home.mkdir(exist_ok=True)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TMPDIR": os.environ.get("TMPDIR", "/tmp")}
        if "MILLWRIGHT_FACTORY" in os.environ:  # a program that does not lie beside its factory/
            self.environment["MILLWRIGHT_FACTORY"] = os.environ["MILLWRIGHT_FACTORY"]
        self.running = None

    def ask(self, *words, stdin=None, timeout_s=COMMAND_TIMEOUT_S):
        process = subprocess.Popen([self.program, *words], cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL, start_new_session=True)
        try:
            out, err = process.communicate(stdin.encode() if stdin is not None else None, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise Failed(f"`millwright {' '.join(words)}` did not end in {timeout_s} s") from None
        done = Done(words, process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))
        if done.code < 0 or done.code >= 126:
            raise Failed(f"crashed: {done}")
        return done

    def do(self, *words, code=0, stdin=None):
        done = self.ask(*words, stdin=stdin)
        if done.code != code:
            raise Failed(f"exit {code} was expected: {done}{self.log_tail()}")
        return done

    def log_tail(self):
        log = self.folder / ".millwright" / "host.log"
        return "\n-- host.log\n" + log.read_text("utf-8", "replace")[-1500:] if log.exists() else ""

    def gen(self, *words, code=0, stdin=None):
        """The gen.result line."""
        done = self.do("gen", "--json", *words, code=code, stdin=stdin)
        results = [line for line in done.lines() if line.get("type") == "gen.result"]
        if len(results) != 1:
            raise Failed(f"one gen.result was expected: {done}")
        return results[0]

    def promoted(self):
        """review, accept, promote of the draft there is."""
        reviewed = self.do("review", "--json")
        json.loads(reviewed.out)
        self.do("review")
        self.do("accept")
        lines = [line for line in self.do("promote", "--json").lines() if line.get("type") == "promote.result"]
        if len(lines) != 1:
            raise Failed("promote --json gives no promote.result")
        return lines[0]

    # --- up ---

    def up(self):
        """The up.ready line; the app runs until down()."""
        self.running = subprocess.Popen([self.program, "up", "--json"], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=open(self.folder / "up.err", "wb"), start_new_session=True)
        line = self.first_line()
        try:
            ready = json.loads(line)
        except ValueError:
            ready = {}
        if ready.get("type") != "up.ready":
            self.down(quiet=True)
            raise Failed(f"`up --json` said first: {line!r}; {(self.folder / 'up.err').read_text('utf-8', 'replace')[-2000:]}")
        # What the services log is read, or they would wait for the pipe one day.
        self.drain = subprocess.Popen(["cat"], stdin=self.running.stdout, stdout=open(self.folder / "up.log", "ab"))
        self.running.stdout.close()
        (self.folder / "ready.json").write_text(json.dumps(ready))
        return ready

    def first_line(self):
        line, ends = b"", time.monotonic() + READY_TIMEOUT_S
        while not line.endswith(b"\n"):
            left = ends - time.monotonic()
            if left <= 0 or not select.select([self.running.stdout], [], [], left)[0]:
                break
            byte = os.read(self.running.stdout.fileno(), 1)
            if not byte:
                break
            line += byte
        return line.decode("utf-8", "replace")

    def down(self, quiet=False):
        if self.running is None:
            return
        running, self.running = self.running, None
        running.send_signal(signal.SIGTERM)
        try:
            code = running.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            if not quiet:
                raise Failed(f"`up` did not stop in {STOP_TIMEOUT_S} s") from None
            return
        if quiet:
            return
        # Everything it started holds its output: when that ends, all of it has.
        try:
            self.drain.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.drain.kill()
            raise Failed("`up` has ended and left something running") from None
        if code != 0:
            raise Failed(f"`up` ended with exit {code}; {(self.folder / 'up.err').read_text('utf-8', 'replace')[-2000:]}")

    def client(self, phase, blueprint, state="state.json"):
        done = subprocess.run([sys.executable, HERE / "client.py", phase, str(blueprint), self.folder / "ready.json", self.folder / state],
                              capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, env=self.environment, check=False)
        if done.returncode != 0:
            raise Failed(f"client.py {phase}: {done.stdout[-6000:]}{done.stderr[-3000:]}")
        return done.stdout.strip().splitlines()[-1]

    def used_and_restarted(self, blueprint):
        self.up()
        used = self.client("use", blueprint)
        self.down()
        self.up()
        again = self.client("again", blueprint)
        self.down()
        return f"{used}; after a restart {again}"

    def leave(self, keep=False):
        """Ends the host; always to be called."""
        self.down(quiet=True)
        try:
            self.ask("serve", "--stop", timeout_s=60)
        except Failed as problem:
            print(f"# {problem}")
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
