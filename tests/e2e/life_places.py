#!/usr/bin/env python3
"""Where a workspace may lie, what may be missing, and a disk that fills up (P10): words and the right exit code, and nothing is lost."""
import http.client
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import time

from crash_lib import PROGRAM, PROMPT, WORKFLOW, Unix, World, agent_text, alive, finish, prove, result_of, until, want


def disk_full(worlds):
    if os.geteuid() != 0:
        return "not root: no small file system can be mounted"
    world = World(worlds)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", world.folder], stderr=subprocess.DEVNULL, check=False).returncode:
        return "no tmpfs can be mounted here"
    try:
        full_disk_story(world)
    finally:
        host = world.host()
        if host:
            os.kill(host, 9)
        for process in world.started:
            if process.poll() is None:
                process.kill()
                process.wait(10)
        until(lambda: subprocess.run(["umount", world.folder], stderr=subprocess.DEVNULL, check=False).returncode == 0, 10, "unmounted")
    return None


def fill(world):
    """Every last byte, also those that a larger block left."""
    place = os.path.join(world.folder, "ballast")
    for block in (65536, 4096, 1):
        try:
            with open(place, "ab", buffering=0) as file:
                for _ in range(1000):
                    file.write(b"\0" * block)
        except OSError:
            pass
    return place


def full_disk_story(world):
    world.quick_tests(1)
    world.serve()
    kept = world.post("RegisterAgent", agent={"agent_id": "kept", "agent_type": "T", "skills": ["Nothing"],
                                              "backend": {"kind": "command", "argv": ["true"]}})
    want(kept[0] == 200, f"before: {kept}")
    ballast = fill(world)
    code, _, err = world.run("gen", PROMPT, "--json", limit_s=60)
    want(code in (74, 75), f"gen on a full disk: exit {code}: {err[-400:]}")
    want("full" in err or "space" in err, f"no words about the disk: {err[-400:]}")
    want(not world.kinds("intent.submitted"), "refused, and yet there is an intent")
    os.unlink(ballast)
    end = time.monotonic() + 20
    while True:
        code, out, err = world.run("gen", PROMPT, "--json", limit_s=90)
        if code == 0 or time.monotonic() > end:
            break
    want(code == 0, f"after space came back: exit {code}: {err[-400:]}")
    want([record for record in world.kinds("agent.online") if "kept" in str(record)], "an acknowledged record is gone")
    world.verify()
    # In the middle of a build, again and again: what was begun waits for space and goes on.
    process = world.start("gen", "Build a NoteService with File storage", "--json")
    until(lambda: len(world.kinds("build.started")) == 2, 20, "a second build")
    for _ in range(3):
        fill(world)
        time.sleep(0.4)  # let it meet the wall: there is no event for what cannot be written
        os.unlink(ballast)
        time.sleep(0.3)
    code, out, err = world.ended(process)
    failures = [(record["taskType"], record.get("reason")) for record in world.kinds("task.failed")]
    # An agent may meet the wall itself, and its attempt fails; the control plane's own writing never costs one.
    want(all("wrote" not in str(reason) and "write '" not in str(reason) for _, reason in failures), f"{failures}")
    if failures and code == 1:  # a tool that an agent runs met the wall: said with its words, and the same again is whole
        want("space" in err + out, f"exit {code} without words: {failures} {err[-400:]}")
        code, out, err = world.run("gen", "Build a NoteService with File storage", "--json", limit_s=90)
    want(code == 0 and result_of(out)["state"] == "draft", f"exit {code}: {failures} {err[-400:]}")
    world.verify()


def file_limit(worlds):
    """A limit on the size of files is a full disk: who meets it waits, who comes then hears it, and with the limit gone everything goes on."""
    world = World(worlds)
    host = world.serve()
    status, answer = world.post("AddMemory", text="before")
    want(status == 200, f"before: {status} {answer}")
    segments = [world.path("journal", name) for name in os.listdir(world.path("journal")) if name.endswith(".jsonl")]
    limits = resource.prlimit(host.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(host.pid, resource.RLIMIT_FSIZE, (max(os.path.getsize(place) for place in segments), limits[1]))
    first = Unix(world.path("millwright.sock"))
    first.request("POST", "/v1/requests/AddMemory", json.dumps({"text": "x" * 4000}), {"content-type": "application/json"})

    def told():
        with open(world.path("log", "host.log"), encoding="utf-8") as log:
            return '"journal.full"' in log.read()

    until(lambda: host.poll() is not None or told(), 20, "the host has met the limit")
    want(host.poll() is None, f"the host has ended: {host.poll()}")
    status, answer = world.post("AddMemory", text="more")
    want(status == 507, f"at the limit: {status} {answer}")
    resource.prlimit(host.pid, resource.RLIMIT_FSIZE, limits)
    status = first.getresponse().status
    want(status == 200, f"who met the limit heard {status}")
    first.close()
    status, answer = world.post("AddMemory", text="after")
    want(status == 200, f"after: {status} {answer}")
    world.verify()


def read_only(worlds):
    """A read-only file system is reported as what it is; what can be read is still shown."""
    if os.geteuid() != 0:
        return "not root: nothing can be mounted read-only"
    world = World(worlds)
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", world.folder], stderr=subprocess.DEVNULL, check=False).returncode:
        return "no tmpfs can be mounted here"
    try:
        world.quick_tests()
        want(world.gen(limit_s=60)[0] == 0, "a draft")
        host = world.host()
        os.kill(host, 15)
        until(lambda: not alive(host), 10, "the host has left")
        until(lambda: subprocess.run(["mount", "-o", "remount,ro", world.folder], stderr=subprocess.DEVNULL, check=False).returncode == 0, 5,
              "read-only")
        code, _, err = world.run("gen", "Build a NoteService with File storage", limit_s=20)
        want(code in (74, 77), f"exit {code}: {err}")
        want("read-only" in err.lower() or "ermission" in err, f"no words: {err}")
        for verb in ("status", "review", "events", "verify", "doctor"):
            code, out, err = world.run(verb, limit_s=20)
            want(code == 0 or verb == "doctor", f"{verb}: exit {code}: {err}")
        want(not doctor_finds(world, "workspace")["well"], "doctor says that all is well where nothing can be written")
    finally:
        host = world.host()
        if host:
            os.kill(host, 9)
        until(lambda: subprocess.run(["umount", world.folder], stderr=subprocess.DEVNULL, check=False).returncode == 0, 10, "unmounted")
    return None


def doctor_finds(world, what):
    """What doctor says of it; None: nothing."""
    code, out, err = world.run("doctor", "--json", limit_s=30)
    rows = json.loads(out)["findings"]
    want((code == 0) == all(row["well"] for row in rows), f"doctor: exit {code}: {rows} {err}")
    found = [row for row in rows if row["what"] == what]
    want(len(found) <= 1, f"{what} is said twice: {rows}")
    return found[0] if found else None


def doctor_looks_at_the_workspace(worlds):
    """Definitions that cannot be read begin no new work: doctor says so, and which file. So it does where nothing can be written."""
    world = World(worlds)
    want(world.run("init")[0] == 0, "init")
    want(doctor_finds(world, "workspace")["well"] and doctor_finds(world, "definitions") is None, "of one that is sound")
    world.write("workflows/Wrong.yaml", "workflow: Wrong\nstart: [\n")
    found = doctor_finds(world, "definitions")
    want(found and not found["well"] and "Wrong.yaml" in found["text"], f"of a wrong definition: {found}")
    os.unlink(os.path.join(world.folder, "workflows/Wrong.yaml"))
    want(doctor_finds(world, "definitions") is None, "of one that was corrected")
    if os.geteuid() != 0:  # root may write everywhere but on a disk that is read-only
        os.chmod(world.folder, 0o555)
        found = doctor_finds(world, "workspace")
        os.chmod(world.folder, 0o755)
        want(not found["well"], f"of one that cannot be written to: {found}")


def place(worlds, name):
    world = World(worlds)
    world.folder = os.path.join(world.base, name)
    os.makedirs(world.folder)
    world.quick_tests()
    code, result, err = world.gen(limit_s=60)
    want(code == 0 and result["state"] == "draft", f"exit {code}: {err[-500:]}")
    want(result["staged"].startswith(world.folder) and os.path.isdir(result["staged"]), f"staged in {result['staged']}")
    for verb in ("status", "review", "accept", "promote"):
        code, _, err = world.run(verb, limit_s=30)
        want(code == 0, f"{verb}: exit {code}: {err}")
    want(os.path.isfile(os.path.join(world.folder, "app", "app.json")), "no app root")
    world.verify()


def no_home(worlds):
    world = World(worlds)
    del world.env["HOME"]
    del world.env["USER"]
    world.quick_tests()
    code, _, err = world.gen(limit_s=60)
    want(code == 0, f"exit {code}: {err[-500:]}")


def no_node(worlds):
    world = World(worlds)
    folder = os.path.join(world.base, "bin")
    os.makedirs(folder)
    for name in ("sh", "git", "cat", "env"):
        if shutil.which(name):
            os.symlink(shutil.which(name), os.path.join(folder, name))
    world.env["PATH"] = folder
    started = time.monotonic()
    code, _, err = world.run("gen", PROMPT, limit_s=20)
    seconds = time.monotonic() - started
    want(code == 69, f"exit {code}: {err}")
    want(seconds < 1, f"it took {seconds:.2f} s")
    want("node" in err and "install" in err, f"no install command: {err}")
    want(not world.kinds("build.started"), "a build was begun all the same")


def no_factory(worlds):
    world = World(worlds)
    program = os.path.join(world.base, "elsewhere", "millwright")
    os.makedirs(os.path.dirname(program))
    shutil.copy(PROGRAM, program)
    del world.env["MILLWRIGHT_FACTORY"]
    done = subprocess.run([program, "--workspace", world.folder, "gen", PROMPT], env=world.env, cwd=world.base, capture_output=True,
                          text=True, timeout=20, stdin=subprocess.DEVNULL, check=False)
    world.last = done.stderr
    want(done.returncode == 69, f"exit {done.returncode}: {done.stderr}")
    want("factory" in done.stderr and "MILLWRIGHT_FACTORY" in done.stderr, f"no words: {done.stderr}")


def no_text(worlds):
    """A path that is no UTF-8 cannot be told to an agent in JSON: said at once, and nothing is made there."""
    world = World(worlds)
    for words, place, made in ((("gen", PROMPT), b"none\xff", True), (("init",), b"none\xff", True), (("gen", PROMPT), b"new\xff", False)):
        folder = os.path.join(os.fsencode(world.base), place)
        if made:
            os.makedirs(folder, exist_ok=True)
        for way in (["--workspace", folder], []) if made else (["--workspace", folder],):
            done = subprocess.run([PROGRAM, *way, *words], env=world.env, cwd=folder if not way else world.base, capture_output=True,
                                  timeout=20, stdin=subprocess.DEVNULL, check=False)
            want(done.returncode == 2 and b"not UTF-8" in done.stderr, f"{words} {way}: exit {done.returncode}: {done.stderr}")
            want(os.path.isdir(folder) == made and not (made and os.listdir(folder)), f"{words} {way}: something was made")


def output_lost(worlds):
    """Data that did not arrive is never exit 0; a reader that has left is no error; a closed stream's number is not lent to a file."""
    world = World(worlds)
    world.quick_tests()
    want(world.gen(limit_s=60)[0] == 0, "a draft")
    for words in (("version",), ("status",), ("status", "--json"), ("events",), ("review", "--json"), ("help",)):
        base = [PROGRAM, "--workspace", world.folder, *words]
        with open("/dev/full", "wb") as full:
            done = subprocess.run(base, env=world.env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
        want(done.returncode == 74 and "space" in done.stderr, f"{words} into a full device: exit {done.returncode}: {done.stderr}")
        done = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *base], env=world.env, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
        want(done.returncode == 74, f"{words} with standard output closed: exit {done.returncode}: {done.stderr}")
        done = subprocess.run(["sh", "-c", '{ "$@"; echo $? >&2; } | true', "sh", *base], env=world.env, stderr=subprocess.PIPE, text=True,
                              timeout=20, check=False)
        want(done.stderr.strip() == "0", f"{words} into a pipe that nobody reads: {done.stderr}")
    world.verify()


def moved(worlds):
    """A host whose workspace goes elsewhere leaves, and the next one goes on there: no task fails, and nothing is written where it was (P23)."""
    for another_comes in (False, True):
        world = World(worlds)
        world.agent("maker", agent_text("maker", "MakeThing"), "#!/bin/sh\ncat >/dev/null\nsleep 0.5\necho '{\"type\":\"ThingMade\",\"payload\":{}}'\n")
        world.write("workflows/Make.yaml", WORKFLOW.format(name="Make", skill="MakeThing"))
        host = world.serve()
        status, answer = world.post("StartRun", workflow="Make", prompt="one")
        want(status == 200, f"{status} {answer}")
        until(lambda w=world: [f for f in pathlib.Path(w.path("work")).glob("*/pid") if f.stat().st_size], 10, "an agent")
        before, world.folder = world.folder, world.folder + " elsewhere"
        os.rename(before, world.folder)
        if another_comes:  # a command there waits for it to leave, and starts the next
            os.makedirs(before)
            code, _, err = world.run("memory", "add", "a note", limit_s=20)
            want(code == 0, f"asked where it is now: exit {code}: {err}")
        else:
            try:
                status, answer = world.post("StartRun", workflow="Make", prompt="two")
                want(status == 503, f"asked where it is now: {status} {answer}")
            except ConnectionError:
                pass  # its agent's folder was not there any more: it has seen that by itself
        want(host.wait(10) == 0, "it left with a failure")
        if not another_comes:
            world.serve()
        until(lambda w=world: w.kinds("trace.ended"), 20, "the run is over")
        want(not world.kinds("task.failed") and not world.kinds("task.dead"), "the task failed")
        want(os.listdir(before) == [] if another_comes else not os.path.exists(before), "it wrote where it had been")
        world.verify()


def removed(worlds):
    """Nobody is told that what is written nowhere is done, and a port is not held for a workspace that is gone."""
    for part in ("", ".millwright"):
        world = World(worlds, env={"MILLWRIGHT_LISTEN": "127.0.0.1:0"})
        host = world.serve()
        until(lambda w=world: w.kinds("definition.loaded"), 10, "its first records")
        address = json.loads(world.ask("GET", "/v1/hello")[1])["listens"]
        token = pathlib.Path(world.path("token")).read_text(encoding="ascii").strip()
        shutil.rmtree(os.path.join(world.folder, part))
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request("GET", "/v1/views/status", headers={"Authorization": f"Bearer {token}"})
        status = connection.getresponse().status
        connection.close()
        want(status == 503, f"a view of nothing: {status}")
        want(host.wait(10) == 0, f"it left with a failure: {host.stderr.read()}")


LOUD = """\
import os, socket
listener = socket.socket()
listener.bind(("127.0.0.1", int(os.environ["PORT"])))
listener.listen()
print('{"event":"listening","port":%d}' % listener.getsockname()[1], flush=True)
words = b"clear \\x1b[2J the screen\\n" * 2000
while True:
    os.write(FD, words)
"""


def loud_app(worlds):
    """An app that talks without end runs all the same, is ended by Ctrl-C, and says nothing that a terminal obeys."""
    for fd in (1, 2):
        world = World(worlds)
        want(world.run("init")[0] == 0, f"init: {world.last}")
        world.write("app/app.json", json.dumps({"app_id": "demo", "name": "Demo", "services": [{"name": "Loud", "slug": "loud", "path": "services/loud"}]}))
        world.write("app/services/loud/service.json", json.dumps({"name": "Loud", "slug": "loud", "start": ["python3", "-IS", "main.py"]}))
        world.write("app/services/loud/main.py", LOUD.replace("FD", str(fd)))
        up = world.start("up", "--port", "0")
        said = pathlib.Path(f"/proc/{up.pid}/fd/1")
        until(lambda u=up, s=said: u.poll() is not None or b" is up on " in s.read_bytes(), 20, "up")
        up.send_signal(signal.SIGINT)
        up.wait(15)
        up.said[0].seek(0)
        want(up.returncode == 0, f"exit {up.returncode}")
        want("\x1b" not in up.said[0].read(), "the terminal is told to obey")


prove("life_disk_full_P10", disk_full)
prove("life_file_size_limit_P10", file_limit)
prove("life_an_app_that_talks_without_end", loud_app)
prove("life_workspace_moved_while_its_host_works_P23", moved)
prove("life_workspace_removed_under_its_host", removed)
prove("life_read_only_workspace", read_only)
prove("life_doctor_looks_at_the_workspace", doctor_looks_at_the_workspace)
prove("life_path_with_spaces_and_umlauts", place, "Mein Büro – “Äpfel & Birnen” $HOME 'x'")
prove("life_path_of_more_than_150_bytes", place, "/".join(["a-rather-long-name-of-a-folder-that-somebody-made"] * 4))
prove("life_path_with_a_newline_in_it", place, "two\nlines")
prove("life_path_that_is_no_text_is_said_at_once_2", no_text)
prove("life_output_that_cannot_be_written_is_74", output_lost)
prove("life_no_home", no_home)
prove("life_no_node_is_said_at_once_69", no_node)
prove("life_no_factory_69", no_factory)
finish()
