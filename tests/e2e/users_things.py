#!/usr/bin/env python3
"""A workspace in a git repository that somebody works in: from init to clean, nothing but the workspace's own folders is written (P23)."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import urllib.request

from crash_lib import World, finish, prove, until, want

OWN = (".millwright", "app", "data", "generated")  # the folders that docs/architecture.md says are the workspace's
TATTLE = '#!/bin/sh\necho "$0" >>"{}"\n'


def look(top, without=(), changing=()):
    """Every name below a folder, with all that a file has but for when it was read. `without`: not these; `changing`: these may get and lose names."""
    found = {}

    def add(path):
        info = os.lstat(path)
        kind = stat.S_IFMT(info.st_mode)
        is_folder = stat.S_ISDIR(info.st_mode)
        seen = [oct(info.st_mode), info.st_uid, info.st_gid, info.st_ino]
        if not is_folder:
            seen += [info.st_nlink, info.st_size]
        if path not in changing:
            seen += [info.st_mtime_ns, info.st_ctime_ns]
        if kind == stat.S_IFLNK:
            seen.append(os.readlink(path))
        elif kind == stat.S_IFREG:
            seen.append(hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest())
        found[path] = seen
        if is_folder:
            for name in sorted(os.listdir(path)):
                if os.path.join(path, name) not in without:
                    add(os.path.join(path, name))

    add(top)
    return found


def differences(before, now):
    names = sorted(name for name in set(now) | set(before) if now.get(name) != before.get(name))
    return [f"{name}: {before.get(name, 'was not there')} -> {now.get(name, 'is gone')}" for name in names[:4]]


class Users:
    """A home and a repository, with what somebody has there; both beside each other, and something else beside them."""

    def __init__(self, world):
        self.world = world
        shutil.rmtree(world.folder)
        world.folder = os.path.join(world.base, "Büro & Söhne", "die App")
        self.home = os.path.join(world.base, "home")
        os.makedirs(world.folder)
        os.makedirs(self.home)
        world.env["HOME"] = self.home
        self.archive = os.path.join(world.base, "archive")  # what the user names to be written is
        self.make_home()
        self.make_repository()
        self.own = [os.path.join(world.folder, name) for name in OWN]
        self.before = self.seen()

    def seen(self):
        world = self.world
        found = look(world.base, without=[*self.own, self.archive], changing=[world.base, world.folder])
        found.update(look(world.env["MILLWRIGHT_FACTORY"]))
        return found

    def put(self, top, path, text, mode=0o644):
        place = pathlib.Path(top, path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        place.chmod(mode)

    def git(self, *words):
        subprocess.run(["git", "-C", self.world.folder, *words], env=self.world.env, check=True, capture_output=True, timeout=60)

    def make_home(self):
        """Among it what programs that are started for the app read on their own, and write beside: git, npm, node, a shell."""
        tattle = TATTLE.format(os.path.join(self.home, "somebody ran a hook"))
        self.put(self.home, "hooks/pre-commit", tattle, 0o755)
        self.put(self.home, "hooks/post-commit", tattle, 0o755)
        self.put(self.home, "hooks/post-checkout", tattle, 0o755)
        self.put(self.home, ".gitconfig", f"[user]\n\tname = Somebody\n\temail = somebody@example.org\n[core]\n\thooksPath = {self.home}/hooks\n"
                                          "[gc]\n\tauto = 1\n[commit]\n\tgpgSign = false\n")
        self.put(self.home, ".npmrc", "loglevel=verbose\n", 0o600)
        self.put(self.home, ".profile", "umask 022\n")
        self.put(self.home, ".ssh/config", "Host *\n", 0o600)
        self.put(self.home, ".config/git/ignore", "*.swp\n")
        self.put(self.home, "letters/Grüße an alle.md", "# Grüße\n")
        os.makedirs(os.path.join(self.home, ".cache"))

    def make_repository(self):
        """Staged, not staged, staged and changed again, removed, ignored, unknown to git; names with blanks, umlauts and a newline; links."""
        top = self.world.folder
        self.git("init", "-q", "-b", "main")
        for hook in ("pre-commit", "post-commit", "post-index-change", "post-checkout"):
            self.put(top, f".git/hooks/{hook}", TATTLE.format(os.path.join(top, "somebody ran a hook")), 0o755)
        self.put(top, ".gitignore", "*.log\n/node_modules\n")
        self.put(top, ".gitattributes", "*.md text\n")
        for name in ("both.txt", "changed.txt", "gone.txt", "with a blank.txt", "Grüße an alle.md", "two\nlines.txt", "-dash"):
            self.put(top, name, f"{name}\n")
        self.put(top, "notes/only-mine.txt", "mine\n", 0o600)
        self.put(top, "notes/fixed.txt", "never changed\n", 0o444)
        self.put(top, "tools/run.sh", "#!/bin/sh\n", 0o755)
        self.git("add", "-A")
        self.git("-c", "core.hooksPath=/nonexistent", "commit", "-q", "-m", "what there is")
        self.put(top, "both.txt", "staged\n")
        self.put(top, "staged with a blank.txt", "new\n")
        self.git("add", "both.txt", "staged with a blank.txt")
        self.git("rm", "-q", "gone.txt")
        self.put(top, "both.txt", "staged, and changed again\n")
        self.put(top, "changed.txt", "changed, not staged\n")
        self.put(top, "notes/unknown to git – Äpfel.txt", "nobody knows\n")
        self.put(top, "noise.log", "ignored\n")
        self.put(top, "node_modules/own/index.js", "ignored too\n")
        os.makedirs(os.path.join(top, "empty"))
        os.symlink(os.path.join(self.home, "letters"), os.path.join(top, "letters"))
        os.symlink("nowhere", os.path.join(top, "dangling"))
        for place in (top, self.home):  # one of them ran just now, as it should
            pathlib.Path(place, "somebody ran a hook").unlink(missing_ok=True)
        self.world.quick_tests()

    def untouched(self, after):
        now = self.seen()
        if now == self.before:
            return
        want(False, f"after {after} the user's things are not as they were: {differences(self.before, now)}")

    def run(self, *words, codes=(0,), limit_s=180):
        code, out, err = self.world.run(*words, limit_s=limit_s)
        want(code in codes, f"{' '.join(words)}: exit {code}: {err or out}")
        self.untouched(" ".join(words))
        return out


def create(ready):
    """One thing more in the app that runs."""
    service = ready["services"][0]
    body = json.dumps({"title": "buy flour", "description": "two bags"}).encode()
    asked = urllib.request.Request(service["url"].rstrip("/") + "/tasks", body,
                                   {"Authorization": f"Bearer {ready['token']}", "Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        want(answer.status == 201, f"the app answers {answer.status}")


def used(users, *words):
    """The app is begun, used once and ended by Ctrl-C."""
    process = users.world.start(*words, "--json")
    said = pathlib.Path(f"/proc/{process.pid}/fd/1")

    def ready():
        want(process.poll() is None, f"{words[0]} ended with {process.poll()}")
        line, newline, _ = said.read_bytes().partition(b"\n")
        return json.loads(line) if newline else None
    create(until(ready, 60, words[0]))
    users.untouched(f"{words[0]} was begun")
    process.send_signal(signal.SIGINT)
    code, _, err = users.world.ended(process, 30)
    want(code == 0, f"{words[0]}: exit {code}: {err}")
    users.untouched(f"{words[0]} was ended")


def build(users, prompt):
    """The new draft's build."""
    result = json.loads(users.run("gen", prompt, "--json").strip().split("\n")[-1])
    want(result["state"] == "draft", f"{result}")
    return result["build_id"]


def nothing_else(worlds):
    """Each verb of an app's life, and after each of them everything else is as it was: content, mode, owner, times, links, place on the disk."""
    world = World(worlds)
    users = Users(world)
    want(len(users.before) > 60, f"only {len(users.before)} things are looked at")
    users.run("init")
    for words in (("doctor",), ("status",), ("workflow", "validate"), ("config", "show")):
        users.run(*words)
    first = build(users, "Build a TaskService with File storage")
    for words in (("review",), ("inbox",), ("show", first), ("status",), ("events",), ("logs",)):
        users.run(*words)
    used(users, "preview")
    for words in (("accept",), ("promote",), ("why", "app/app.json"), ("status",), ("doctor",)):
        users.run(*words)
    used(users, "up", "--port", "0")
    data = os.path.join(world.folder, "data")
    kept = look(data)
    want(any("buy flour" in path.read_text() for path in pathlib.Path(data).rglob("*.jsonl")), f"the app has written nothing: {sorted(kept)}")

    def data_stays(after):
        now = look(data)
        want(now == kept, f"after {after} the app's data is not as it was: {differences(kept, now)}")

    used(users, "preview", first)
    data_stays("a preview")
    second = build(users, "Build a TaskService with File storage and JWT")
    for words in (("review", second), ("accept", second), ("promote", second)):
        users.run(*words)
        data_stays(words[0])
    os.kill(world.host(), signal.SIGKILL)
    users.untouched("a host was killed")
    for words in (("rollback",), ("status",)):
        users.run(*words)
        data_stays(words[0])
    third = build(users, "Build a TaskService with File storage, never accepted")
    for words in (("reject", third, "--why", "not wanted"), ("run", "NoSuchWorkflow", "nothing"), ("clean", "--dry-run"), ("clean",), ("doctor",)):
        users.run(*words, codes=(0, 2) if words[0] == "run" else (0,))
        data_stays(words[0])
    for words in (("verify",), ("journal", "segments"), ("journal", "show"), ("journal", "position"), ("journal", "export"),
                  ("journal", "archive", users.archive), ("serve", "--stop"), ("journal", "archive", users.archive, "--compress", "--seal"), ("journal", "archive", users.archive, "--check"),
                  ("journal", "snapshot"), ("journal", "repair"), ("status",), ("verify",), ("clean",), ("serve", "--stop")):
        users.run(*words)
    data_stays("everything")


prove("promise_P23_nothing_but_the_workspaces_own_folders_is_written_by_any_verb", nothing_else)
finish()
