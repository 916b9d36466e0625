#!/usr/bin/env python3
"""Snapshots, extracts, positions and repairs from outside: a start from a shortened journal is the same start, whatever is wrong with a
snapshot costs nothing but time, what is exported or archived can be checked by a reader that shares no code, and restored, a repair says first and deletes nothing."""
import gzip
import hashlib
import importlib.util
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

from crash_lib import NIGHT, PROGRAM, SANITIZER, TOP, World, finish, prove, until, want

READER = str(TOP / "tools/journal_reader.py")
SEED = int(os.environ.get("MW_SEED", "1"))
dice = random.Random(SEED)
base = {}


def with_history(worlds, env=None):
    """A workspace in which an app was generated, accepted and promoted, and a question waits; no host runs."""
    if not base:
        first = World(worlds)
        worlds.pop()
        first.quick_tests(0)
        for args in (("gen", "Build a TaskService with File storage", "--json"), ("accept",), ("promote",)):
            code, _, err = first.run(*args)
            want(code == 0, f"{args}: exit {code}: {err[-300:]}")
        code, _, err = first.run("gen", "hello world", "--json")
        want(code == 3, f"a question: exit {code}: {err[-300:]}")
        stop(first)
        base["folder"], base["world"] = first.folder, first
    world = World(worlds, env=env)
    shutil.rmtree(world.folder)
    shutil.copytree(base["folder"], world.folder, symlinks=True)
    shutil.rmtree(world.path("cache"), ignore_errors=True)
    (pathlib.Path(world.path("log")) / "host.log").unlink(missing_ok=True)
    return world


def stop(world):
    code, _, err = world.run("serve", "--stop")
    want(code == 0, f"serve --stop: exit {code}: {err[-300:]}")
    until(lambda: world.host() is None, 10, "the host has left")


def logged(world, event):
    place = pathlib.Path(world.path("log", "host.log"))
    lines = [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []
    return [line for line in lines if line["event"] == event]


def said(world, *args, code=0):
    """What a verb says with --json."""
    found, out, err = world.run(*args, "--json")
    want(found == code, f"{args}: exit {found}, not {code}: {err[-400:]}")
    return json.loads(out)


def snapshots(world):
    folder = pathlib.Path(world.path("cache"))
    return sorted(folder.glob("snapshot-*.jsonl")) if folder.exists() else []


def settled(world):
    view = json.loads(world.ask("GET", "/v1/views/state")[1])
    return view if view["seq"] == view["durable"] else None


def host_state(world):
    """The state that a host started now holds, and that of all the records."""
    host = world.serve()
    view = until(lambda: settled(world), 20, "what it recorded at its start is durable")
    live = view["sha256"]
    host.terminate()
    want(host.wait(10) == 0, f"the host's exit {host.returncode}")
    verified = said(world, "verify")
    return live, verified["state_sha256"], verified.get("snapshot")


def read_by_reader(world, *args, code=0):
    done = subprocess.run([sys.executable, READER, world.path("journal"), "--head", world.path("head"), *map(str, args)],
                          capture_output=True, text=True, timeout=120, check=False)
    want(done.returncode == code, f"the reader's exit {done.returncode}, not {code}: {done.stdout}{done.stderr}")
    return done.stdout


def digests(world):
    """Every file of the workspace but the log and the socket: name and content."""
    found = {}
    for path in sorted(pathlib.Path(world.folder).rglob("*")):
        name = str(path.relative_to(world.folder))
        if path.is_file() and not path.is_symlink() and ".millwright/log" not in name:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


# ---- snapshots

def used(worlds):
    world = with_history(worlds)
    whole = said(world, "verify")["state_sha256"]
    made = said(world, "journal", "snapshot")
    want(made["made"] and made["records"] < made["seq"], f"{made}")
    want(not said(world, "journal", "snapshot")["made"], "the same one is made twice")
    read_by_reader(world, "--snapshot", snapshots(world)[0])
    live, replayed, snapshot = host_state(world)
    want(logged(world, "snapshot.used"), "the start did not say that it used the snapshot")
    want(not logged(world, "snapshot.ignored"), "the start ignored it")
    want(live == replayed == whole, f"live {live}, replayed {replayed}, before {whole}")
    want(snapshot["usable"] and snapshot["agrees"], f"verify says {snapshot}")
    # The work goes on from there as from the whole journal.
    item = said(world, "inbox")["items"][0]["item"]
    code, _, err = world.run("answer", item, "Build a NoteService")
    want(code == 0, f"answer: exit {code}: {err[-300:]}")
    stop(world)
    live, replayed, _ = host_state(world)
    want(live == replayed != whole, "the answer changed nothing")


def by_itself(worlds):
    world = World(worlds, env={"MILLWRIGHT_SNAPSHOT_RECORDS": "25"})
    world.quick_tests(0)
    code, _, err = world.gen()
    want(code == 0, f"gen: exit {code}: {err[-300:]}")
    until(lambda: snapshots(world) and logged(world, "snapshot.made"), 20, "a snapshot that nobody asked for")
    host = world.host()
    os.kill(host, signal.SIGKILL)
    until(lambda: world.host() is None, 10, "the host is dead")
    live, replayed, snapshot = host_state(world)
    want(logged(world, "snapshot.used"), "it was not used")
    want(live == replayed and snapshot["agrees"], f"live {live}, replayed {replayed}, {snapshot}")
    # Two, when the kill took the maker between the new one's name and the end of the one before.
    want(1 <= len(snapshots(world)) <= 2, f"{snapshots(world)}")


def never(worlds):
    world = World(worlds, env={"MILLWRIGHT_SNAPSHOT_RECORDS": "0"}, idle_ms=300)
    world.quick_tests(0)
    code, _, err = world.gen()
    want(code == 0, f"gen: exit {code}: {err[-300:]}")
    until(lambda: world.host() is None, 10, "the host has left")
    want(not snapshots(world), f"{snapshots(world)}")


def before_leaving(worlds):
    world = World(worlds, env={"MILLWRIGHT_SNAPSHOT_RECORDS": "1"}, idle_ms=300)
    world.quick_tests(0)
    code, _, err = world.gen()
    want(code == 0, f"gen: exit {code}: {err[-300:]}")
    until(lambda: world.host() is None, 20, "the host has left")
    want(said(world, "verify")["snapshot"]["seq"] == world.count(), "the last snapshot is not of the last record")


def change_byte(path, at):
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 4
    path.write_bytes(data)


def reader_module():
    spec = importlib.util.spec_from_file_location("journal_reader", READER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def another_state(path):
    """A whole file whose header names another state than its records give."""
    data = path.read_bytes()
    header = data[:1024].rstrip().rsplit(b',"crc32c":', 1)[0]
    at = header.index(b'"state":"') + 9
    header = header[:at] + (b"0" if header[at : at + 1] != b"0" else b"1") + header[at + 1 :]
    line = header + b',"crc32c":"%08x"}' % reader_module().crc32c(header)
    path.write_bytes(line.ljust(1023) + b"\n" + data[1024:])


def marked(path):
    """The start before ended while it loaded this one."""
    (path.parent / "loading").touch()


def ignored(worlds):
    def cut(path):
        path.write_bytes(path.read_bytes()[:-200])

    def empty(path):
        path.write_bytes(b"")

    def another_name(path):
        path.rename(path.with_name("snapshot-00000000000000999999.jsonl"))

    def of_another_journal(path):
        other = World(worlds)
        other.quick_tests(0)
        code, _, err = other.gen("Build a NoteService with File storage")
        want(code == 0, f"gen: exit {code}: {err[-300:]}")
        stop(other)
        want(said(other, "journal", "snapshot")["made"], "no other snapshot")
        path.unlink()
        shutil.copy(snapshots(other)[0], path.parent)

    world = with_history(worlds)
    whole = said(world, "verify")["state_sha256"]
    changes = [("header", lambda path: change_byte(path, 40)), ("body", lambda path: change_byte(path, 2000)), ("cut", cut), ("empty", empty), ("another state", another_state),
               ("of another journal", of_another_journal)]
    for name, change in changes:
        shutil.rmtree(world.path("cache"), ignore_errors=True)
        want(said(world, "journal", "snapshot")["made"], name)
        change(snapshots(world)[0])
        before = len(logged(world, "snapshot.ignored"))
        live, replayed, snapshot = host_state(world)
        want(len(logged(world, "snapshot.ignored")) == before + 1, f"{name}: the start did not say that it ignored it")
        want(not snapshot["usable"] and snapshot["why"], f"{name}: verify says {snapshot}")
        want(live == replayed == whole, f"{name}: live {live}, replayed {replayed}, before {whole}")
    shutil.rmtree(world.path("cache"), ignore_errors=True)
    want(said(world, "journal", "snapshot")["made"], "marked")
    marked(snapshots(world)[0])
    before = len(logged(world, "snapshot.ignored"))
    live, replayed, _ = host_state(world)
    want(live == replayed == whole and len(logged(world, "snapshot.ignored")) == before + 1, "a start that died while loading")
    live, replayed, _ = host_state(world)
    want(live == replayed == whole and len(logged(world, "snapshot.ignored")) == before + 1, "it is tried again afterwards")
    # One that another name makes the newest is still what its header says: nothing is lost by it.
    shutil.rmtree(world.path("cache"), ignore_errors=True)
    want(said(world, "journal", "snapshot")["made"], "renamed")
    another_name(snapshots(world)[0])
    live, replayed, _ = host_state(world)
    want(live == replayed == whole, "renamed")


def ahead(worlds):
    """The journal was put back from a copy that is older than the snapshot."""
    world = with_history(worlds)
    copy = world.base + "/older"
    shutil.copytree(world.path("journal"), copy)
    head = pathlib.Path(world.path("head")).read_bytes()
    item = said(world, "inbox")["items"][0]["item"]
    code, _, err = world.run("answer", item, "Build a NoteService")
    want(code == 0, f"answer: exit {code}: {err[-300:]}")
    stop(world)
    want(said(world, "journal", "snapshot")["made"], "no snapshot")
    shutil.rmtree(world.path("journal"))
    shutil.copytree(copy, world.path("journal"))
    pathlib.Path(world.path("head")).write_bytes(head)
    live, replayed, snapshot = host_state(world)
    want(logged(world, "snapshot.ignored") and not logged(world, "snapshot.used"), "the start did not ignore it")
    want(live == replayed and not snapshot["usable"], f"live {live}, replayed {replayed}, {snapshot}")


def deleted(worlds):
    world = with_history(worlds)
    whole = said(world, "verify")["state_sha256"]
    want(said(world, "journal", "snapshot")["made"], "no snapshot")
    host = world.serve()
    shutil.rmtree(world.path("cache"), ignore_errors=True)
    item = said(world, "inbox")["items"][0]["item"]
    code, _, err = world.run("answer", item, "Build a NoteService")
    want(code == 0, f"answer after the cache was removed: exit {code}: {err[-300:]}")
    want(said(world, "journal", "snapshot")["made"], "none beside a running host")
    host.terminate()
    want(host.wait(10) == 0, "the host")
    live, replayed, snapshot = host_state(world)
    want(live == replayed != whole and snapshot["agrees"], f"{snapshot}")


def killed(worlds):
    """The process that makes one dies at any moment: there is none, or a sound one; an older one stays."""
    world = with_history(worlds)
    whole = said(world, "verify")["state_sha256"]
    begun = time.monotonic()
    want(said(world, "journal", "snapshot")["made"], "none")
    lasts = time.monotonic() - begun
    none = sound = 0
    for _ in range(200 if NIGHT else 25):
        shutil.rmtree(world.path("cache"), ignore_errors=True)
        process = subprocess.Popen([PROGRAM, "__snapshot", world.folder, "999999"], env=world.env, stderr=subprocess.DEVNULL)
        world.started.append(process)
        try:
            process.wait(dice.random() * lasts)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        if snapshots(world):
            sound += 1
            read_by_reader(world, "--snapshot", snapshots(world)[0])
        else:
            none += 1
    live, replayed, _ = host_state(world)
    want(live == replayed == whole, f"live {live}, replayed {replayed}, before {whole}")
    want(said(world, "journal", "snapshot")["seq"] == world.count(), "what a dead one left is in the way")
    want(none > 0, f"{none} without, {sound} with: it was never killed in time")


# ---- extracts, segments, positions

def exported(worlds):
    world = with_history(worlds)
    traces = sorted({record["traceId"] for record in world.records()})
    want(len(traces) > 2, f"{traces}")
    for trace in [None, *traces]:
        code, out, err = world.run("journal", "export", *(["--trace", trace] if trace else []))
        want(code == 0, f"export of {trace}: exit {code}: {err[-300:]}")
        place = world.base + "/extract"
        pathlib.Path(place).write_text(out)
        read_by_reader(world, "--export", place)
        records = [json.loads(line) for line in out.splitlines()[1:] if not line.startswith('{"frame":')]
        want(records == [record for record in world.records() if trace in (None, record["traceId"])], f"{trace}: not the journal's records")
    # What was changed or left out is noticed.
    lines = out.splitlines(keepends=True)
    body = [index for index, line in enumerate(lines) if index > 0 and not line.startswith('{"frame":')]
    for name, changed in (("a record is missing", lines[: body[0]] + lines[body[0] + 1 :]),
                          ("a record is changed", [line.replace('"seq":', '"seq": ') if i == body[-1] else line for i, line in enumerate(lines)]),
                          ("the end is missing", lines[:-1]), ("cut in a line", lines[:-1] + [lines[-1][:-9]]),
                          ("another frame", [line.replace('"offset":', '"offset":1') if line.startswith('{"frame":') else line for line in lines])):
        pathlib.Path(place).write_text("".join(changed))
        want("are the journal's" not in read_by_reader(world, "--export", place, code=65), name)
    code, _, err = world.run("journal", "export", "--trace", "tr-of-nobody")
    want(code == 69 and "tr-of-nobody" in err, f"a trace that is not there: exit {code}: {err}")


def segments(worlds):
    world = with_history(worlds)
    rows = said(world, "journal", "segments")["segments"]
    names = sorted(name for name in os.listdir(world.path("journal")) if name.endswith(".jsonl"))
    want([row["name"] for row in rows] == names, f"{rows}")
    want(sum(row["bytes"] for row in rows) == sum(os.path.getsize(world.path("journal", name)) for name in names), f"{rows}")
    want(rows[-1]["last"] == world.count() and rows[0]["first"] == 1, f"{rows}")
    code, out, err = world.run("journal", "position")
    want(code == 0 and out.strip() == f"{rows[-1]['last']}:{rows[-1]['hash']}", f"{out} {err}")
    position = out.strip()
    read = read_by_reader(world)
    want(rows[-1]["hash"] in read, "the reader has another hash")
    item = said(world, "inbox")["items"][0]["item"]
    code, _, err = world.run("answer", item, "Build a NoteService")
    want(code == 0, f"answer: exit {code}: {err[-300:]}")
    stop(world)
    code, _, err = world.run("journal", "position", "--expect", position)
    want(code == 0, f"a place that was kept: exit {code}: {err}")
    # P04: cut at the border of a frame, with the head gone too: only who kept the position can tell.
    last = said(world, "journal", "position")
    name = world.path("journal", f"{last['segment']:020d}.jsonl")
    code, kept, _ = world.run("journal", "position")
    os.truncate(name, last["offset"])
    os.unlink(world.path("head"))
    code, _, err = world.run("verify")
    want(code == 0, f"verify of a cut journal without its head: exit {code}: {err}")
    code, _, err = world.run("journal", "position", "--expect", kept.strip())
    want(code == 65, f"a place that is gone: exit {code}: {err}")
    for word in ("7", "7:abc", "x:" + "0" * 64, "0:" + "0" * 64):
        want(world.run("journal", "position", "--expect", word)[0] == 2, word)


# ---- repair

def repaired(worlds):
    for turn in range(40 if NIGHT else 6):
        world = with_history(worlds)
        place = pathlib.Path(world.path("journal", "00000000000000000001.jsonl"))
        whole = place.read_bytes()
        records = world.records()
        at = 0 if turn == 0 else dice.randrange(len(whole) // 2)
        change_byte(place, at)
        damaged = digests(world)
        code, out, _ = world.run("doctor")
        want(code == 65 and "repair --yes would" in out, f"byte {at}: doctor: exit {code}: {out}")
        code, out, _ = world.run("journal", "repair")
        want(code == 65 and "would: " in out and place.name in out, f"byte {at}: repair: exit {code}: {out}")
        code, out, _ = world.run("journal", "repair", "--dry-run")
        want(code == 65 and "would: " in out, f"byte {at}: --dry-run: exit {code}: {out}")
        want(digests(world) == damaged, f"byte {at}: who only says has changed something")
        want(world.run("status")[0] in (0, 65) and world.run("inbox", "--json")[0] in (0, 65), f"byte {at}: a look at it")
        process = subprocess.run([PROGRAM, "__host", world.folder], env=world.env, capture_output=True, text=True, timeout=20, check=False)
        want(process.returncode == 65, f"byte {at}: a start of a damaged journal: exit {process.returncode}: {process.stderr}")
        code, out, _ = world.run("journal", "repair", "--yes")
        want(code == 0 and "now: " in out, f"byte {at}: --yes: exit {code}: {out}")
        left = place.read_bytes() if place.exists() else b""
        asides = [path.read_bytes() for path in pathlib.Path(world.path("journal")).glob("*.damaged*")]
        want(whole.startswith(left) and len(asides) == 1 and len(left) + len(asides[0]) == len(whole), f"byte {at}: something was deleted")
        kept = world.records()
        want(kept == records[: len(kept)], f"byte {at}: a record before the damage is missing")
        want(len(left) <= at and len(kept) < len(records), f"byte {at}: a damaged record was kept")
        read_by_reader(world)
        code, out, _ = world.run("journal", "repair", "--yes")
        want(code == 0 and "nothing to repair" in out, f"byte {at}: again: exit {code}: {out}")
        world.verify()
        live, replayed, _ = host_state(world)
        want(live == replayed, f"byte {at}: after the repair live {live}, replayed {replayed}")
        worlds.remove(world)
        world.end()


def gone(worlds):
    """A journal whose folder is missing, as after a backup that left it out, is not an empty one: what was committed is known beside it."""
    world = with_history(worlds)
    want("sound" in world.run("doctor")[1], "doctor of a sound one")
    os.rename(world.path("journal"), os.path.join(world.base, "moved"))
    for args in (("verify",), ("doctor",), ("verify", "--json"), ("doctor", "--json")):
        code, out, err = world.run(*args)
        want(code == 65 and "is gone" in out + err, f"{args}: exit {code}: {out}{err}")
    code, out, err = world.run("journal", "repair", "--yes")
    want(code == 65 and "is gone" in err, f"repair: exit {code}: {out}{err}")
    for args in VIEWS:
        code, out, err = world.run(*args)
        want(code == 65 and "were committed" in err, f"{args} without the folder: exit {code}: {out}{err}")
    want(not os.path.exists(world.path("journal")), "a look made one")
    os.rename(os.path.join(world.base, "moved"), world.path("journal"))
    world.verify()
    os.rename(world.path("journal"), os.path.join(world.base, "moved"))
    os.unlink(world.path("head"))
    want(said(world, "verify")["records"] == 0, "nothing was ever recorded")


VIEWS = ("status",), ("review",), ("why", "app/README.md"), ("inbox",), ("events",), ("trace", "list"), ("show", "999"), ("journal", "show")


def cut(worlds):
    """Nor is one that ends before what was committed a short one, whoever reads it."""
    world = with_history(worlds)
    last = said(world, "journal", "position")
    os.truncate(world.path("journal", f"{last['segment']:020d}.jsonl"), last["offset"])
    for args in (*VIEWS, ("journal", "position"), ("journal", "segments"), ("journal", "export"), ("journal", "snapshot")):
        code, out, err = world.run(*args)
        want(code == 65 and "were committed" in err, f"{args} of one that was cut: exit {code}: {out}{err}")
    want(world.run("journal", "repair", "--yes")[0] == 0, "repair")
    for args in (("status",), ("events",), ("journal", "position"), ("journal", "export")):
        code, out, err = world.run(*args)
        want(code == 0, f"{args} of one that was repaired: exit {code}: {out}{err}")


def piped(worlds):
    """A pipe where a segment or the head was: nobody waits for its other end."""
    world = with_history(worlds)
    segment = world.path("journal", sorted(os.listdir(world.path("journal")))[0])
    for name in segment, world.path("head"):
        os.rename(name, name + ".kept")
        os.mkfifo(name)
        for args in (("status",), ("verify",), ("doctor",), ("journal", "repair", "--yes"), ("journal", "position"), ("serve",)):
            code, out, err = world.run(*args, limit_s=20)
            # Without a head only a cut cannot be seen.
            looks = name != segment and args in (("status",), ("journal", "position"))
            want(code in (65, 74) or (looks and code == 0), f"{args} with a pipe as {name}: exit {code}: {out}{err}")
        os.unlink(name)
        os.rename(name + ".kept", name)
    world.verify()
    # What only helps is done without.
    want(world.run("journal", "snapshot")[0] == 0, "journal snapshot")
    snapshot = sorted(os.listdir(world.path("cache")))[0]
    for name in world.path("deciding"), world.path("cache", snapshot), world.path("log", "host.log"):
        os.rename(name, name + ".kept")
        os.mkfifo(name)
        for args in (("verify",), ("status",), ("serve",), ("serve", "--stop")):
            code, out, err = world.run(*args, limit_s=20)
            want(code == 0, f"{args} with a pipe as {name}: exit {code}: {out}{err}")
        if os.path.exists(name):
            os.unlink(name)
        os.rename(name + ".kept", name)
    name = world.path("log", "host.out")
    os.unlink(name)
    os.mkfifo(name)
    code, _, err = world.run("serve", limit_s=20)
    want(code == 69 and "host.out" in err, f"serve with a pipe as {name}: exit {code}: {err}")
    code, _, err = world.run("status", limit_s=20)
    want(code == 0, f"status with a pipe as {name}: exit {code}: {err}")


def held(worlds):
    world = with_history(worlds)
    host = world.serve()
    code, _, err = world.run("journal", "repair", "--yes")
    want(code == 75 and str(host.pid) in err, f"repair beside a host: exit {code}: {err}")
    code, _, err = world.run("journal", "repair", "--yes", "--dry-run")
    want(code == 2, f"--yes and --dry-run: exit {code}: {err}")
    for verb in ("snapshot", "segments", "export", "position"):
        code, _, err = world.run("journal", verb)
        want(code == 0, f"{verb} beside a host: exit {code}: {err}")


# ---- archives

def split(world, frames_each):
    """The same frames in more segments, as if the limit were small: where one file ends and the next begins is no part of the chain."""
    folder = pathlib.Path(world.path("journal"))
    paths = sorted(folder.glob("*.jsonl"))
    data = b"".join(path.read_bytes() for path in paths)
    for path in paths:
        path.unlink()
    at = frames = 0
    while at < len(data):
        end = data.index(b"\n", at) + 1
        header = json.loads(data[at:end])
        end += header["bytes"]
        if frames % frames_each == 0:
            place = folder / f"{header['first']:020d}.jsonl"
        with open(place, "ab") as file:
            file.write(data[at:end])
        at, frames = end, frames + 1
    return len(list(folder.glob("*.jsonl")))


def archive_of(world, name="ärchive of  it"):
    return pathlib.Path(world.base, name)


def files_of(place):
    return {path.name: path.read_bytes() for path in place.iterdir()} if place.exists() else {}


def checked(world, place, code=0, inside=True):
    """What --check says of it, in the workspace or outside."""
    args = ("journal", "archive", str(place), "--check", "--json")
    done = subprocess.run([PROGRAM, *(("--workspace", world.folder) if inside else ()), *args], cwd="/", env=world.env, capture_output=True,
                          text=True, timeout=60, check=False)
    want(done.returncode == code, f"--check: exit {done.returncode}, not {code}: {done.stdout[-400:]}{done.stderr[-400:]}")
    return json.loads(done.stdout) if done.stdout else None, done.stderr


def read_archive(place, *args, code=0):
    done = subprocess.run([sys.executable, READER, str(place), *map(str, args)], capture_output=True, text=True, timeout=120, check=False)
    want(done.returncode == code, f"the reader's exit {done.returncode}, not {code}: {done.stdout[-400:]}{done.stderr[-400:]}")
    return done.stdout


def whole_or_not_there(place, sources):
    """Whatever has a segment's name is all of the journal's segment."""
    for name, data in files_of(place).items():
        if re.fullmatch(r"[0-9]{20}\.jsonl(\.gz)?", name):
            data = gzip.decompress(data) if name.endswith(".gz") else data
            want(data == sources[name[:26]], f"{name} is not the whole segment")


def archived(worlds):
    world = with_history(worlds)
    count = split(world, 5)
    journal = files_of(pathlib.Path(world.path("journal")))
    place = archive_of(world)
    first = said(world, "journal", "archive", str(place))
    want(len(first["added"]) == first["segments"] == count - 1 > 2, f"{first}")
    kept = files_of(place)
    for row in first["added"]:
        want(kept[row["name"]] == journal[row["name"]] and row["stored"] == len(kept[row["name"]]), f"{row}")
    again = said(world, "journal", "archive", str(place))
    want(again["added"] == [] and files_of(place) == kept, f"a second run: {again}")
    # The journal goes on; what comes then is packed, what was there stays as it is.
    item = said(world, "inbox")["items"][0]["item"]
    want(world.run("answer", item, "Build a NoteService")[0] == 0, "answer")
    code, _, err = world.run("journal", "archive", str(place), "--seal")
    want(code == 75 and "serve --stop" in err, f"--seal beside a host: exit {code}: {err}")
    stop(world)
    live, replayed, _ = host_state(world)
    more = said(world, "journal", "archive", str(place), "--seal", "--compress")
    want(more["last"] == world.count() and more["stored"] < more["bytes"], f"{more}")
    want(more["added"] and all(row["name"].endswith(".gz") for row in more["added"]), f"{more}")
    now = files_of(place)
    want(all(now[name] == data for name, data in kept.items() if name != "manifest.jsonl"), "what was stored has changed")
    want(said(world, "journal", "archive", str(place), "--seal")["added"] == [], "a sealed journal is sealed again")
    journal = files_of(pathlib.Path(world.path("journal")))
    whole_or_not_there(place, journal)
    report, _ = checked(world, place)
    want(report["sound"] and report["compared"] and report["damage"] == [], f"{report}")
    report, _ = checked(world, place, inside=False)
    want(report["sound"] and not report["compared"], f"{report}")
    lines = read_archive(place, "--records").splitlines()
    want([json.loads(line) for line in lines[: world.count()]] == world.records(), "the reader has other records in the archive")
    # A sealed journal is a journal.
    world.verify()
    read_by_reader(world)
    want(host_state(world)[1] == replayed == live, "the state after sealing")


def archived_beside(worlds):
    """A host records, and is asked for more, while archives are made."""
    world = with_history(worlds)
    split(world, 4)
    host = world.serve()
    place = archive_of(world)
    packs = [world.start("journal", "archive", str(archive_of(world, f"a{turn}")), "--compress") for turn in range(3)]
    item = said(world, "inbox")["items"][0]["item"]
    want(world.run("answer", item, "Build a NoteService")[0] == 0, "answer")
    for process in packs:
        code, _, err = world.ended(process)
        want(code == 0, f"beside a host: exit {code}: {err}")
    # At one archive only one writes at a time; the others hear it, or come after it.
    together = [world.start("journal", "archive", str(place), *(("--compress",) if turn % 2 else ())) for turn in range(8)]
    codes = [world.ended(process)[0] for process in together]
    want(set(codes) <= {0, 75} and 0 in codes, f"eight at once: {codes}")
    checked(world, place)
    read_archive(place)
    host.terminate()
    want(host.wait(20) == 0, "the host")


def archive_killed(worlds):
    """Ended at any moment: the manifest says what is there, nothing has a segment's name that is not one, the next run goes on."""
    world = with_history(worlds)
    split(world, 1)
    journal = files_of(pathlib.Path(world.path("journal")))
    place = archive_of(world)
    args = ("journal", "archive", str(place), "--compress")
    begun = time.monotonic()
    want(world.run(*args)[0] == 0, "undisturbed")
    lasts = time.monotonic() - begun
    shutil.rmtree(place)
    part = 0
    for _ in range(300 if NIGHT else 40):
        process = world.start(*args)
        try:
            process.wait(dice.random() * lasts)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        whole_or_not_there(place, journal)
        names = files_of(place)
        if "manifest.jsonl" in names:
            checked(world, place)
            part += len(names["manifest.jsonl"].splitlines()) <= len(journal) - 1
        if dice.random() < 0.5:
            shutil.rmtree(place, ignore_errors=True)
    code, _, err = world.run(*args)
    want(code == 0, f"after the killed ones: exit {code}: {err}")
    want(not [name for name in files_of(place) if name.endswith(".new")], f"left over: {sorted(files_of(place))}")
    report, _ = checked(world, place)
    want(report["segments"] == len(journal) - 1, f"{report}")
    want(part > 0, "it was never killed in time")


def archive_full(worlds):
    """No room, at every size: the message says it, the exit code is 74, nothing half-named is left, and later the rest is stored."""
    if SANITIZER == "thread":
        return "ThreadSanitizer writes a file before the program begins, and dies of the file limit"
    world = with_history(worlds)
    split(world, 6)
    journal = files_of(pathlib.Path(world.path("journal")))
    largest = max(map(len, journal.values()))
    full = 0
    for limit in [0, 1, 100, 300, 700, *(largest * part // 8 for part in range(1, 9))]:
        place = archive_of(world, f"limit {limit}")
        done = subprocess.run([PROGRAM, "--workspace", world.folder, "journal", "archive", str(place)], env=world.env, capture_output=True, text=True,
                              timeout=60, check=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        want(done.returncode in (0, 74) and bool(done.stderr) == (done.returncode == 74), f"limit {limit}: exit {done.returncode}: {done.stderr}")
        want(done.returncode == 0 or "File too large" in done.stderr, f"limit {limit}: {done.stderr}")
        full += done.returncode == 74
        whole_or_not_there(place, journal)
        want(not [name for name in files_of(place) if name.endswith(".new")], f"limit {limit}: {sorted(files_of(place))}")
        code, _, err = world.run("journal", "archive", str(place))
        want(code == 0, f"limit {limit}: afterwards: exit {code}: {err}")
        checked(world, place)
    want(full > 5, f"{full} of them were full")


def archive_places(worlds):
    world, other = with_history(worlds), World(worlds)
    split(world, 5)
    other.quick_tests(0)
    code, _, err = other.gen("Build a NoteService with File storage")
    want(code == 0, f"gen: exit {code}: {err[-300:]}")
    stop(other)
    split(other, 5)
    want(other.run("journal", "archive", str(archive_of(other)))[0] == 0, "the other's archive")
    strange = archive_of(world, "holds something")
    strange.mkdir()
    (strange / "letter.txt").write_text("mine")
    empty = archive_of(world, "empty")
    empty.mkdir()
    file = archive_of(world, "file")
    file.write_text("no folder")
    link = archive_of(world, "link")
    link.symlink_to(world.path("journal"))
    before = digests(world), digests(other), files_of(archive_of(other)), files_of(strange)
    for place, code, words in ((world.path("journal"), 2, "inside"), (world.path("journal", "a"), 2, "inside"), (world.path("a"), 2, "inside"),
                               (world.path("journal", "..", "journal", "a"), 2, "inside"), (link, 2, "inside"), (link / "a", 2, "inside"),
                               (world.folder + "/app/a", 2, "inside"), (other.path("journal"), 77, "no manifest"), (strange, 77, "letter.txt"),
                               (archive_of(other), 77, "another journal"), (world.base + "/not/there", 69, "not/there"), (file, 74, "file")):
        for more in ((), ("--compress",)):
            found, out, err = world.run("journal", "archive", str(place), *more)
            want(found == code and words in err, f"{place}: exit {found}, not {code}: {out}{err}")
    want(before == (digests(world), digests(other), files_of(archive_of(other)), files_of(strange)), "a refusal has changed something")
    want(world.run("journal", "archive", str(archive_of(other)), "--check")[0] == 77, "--check of another journal's archive")
    want(world.run("journal", "archive", str(strange), "--check")[0] == 69, "--check of a folder that is no archive")
    want(world.run("journal", "archive", str(empty), "--check", "--seal")[0] == 2, "--check and --seal")
    for place in (empty, world.folder + "/archive", world.base + "/a/".replace("//", "/")):
        code, _, err = world.run("journal", "archive", str(place))
        want(code == 0, f"{place}: exit {code}: {err}")
        checked(world, place)
    done = subprocess.run([PROGRAM, "--workspace", world.folder, "journal", "archive", "relativ ü"], cwd=world.base, env=world.env, capture_output=True,
                          text=True, timeout=60, check=False)
    want(done.returncode == 0 and (archive_of(world, "relativ ü") / "manifest.jsonl").exists(), f"a relative path: {done.stderr}")
    # Without a sealed segment there is nothing to store, and that is said.
    split(world, 10**6)
    code, out, _ = world.run("journal", "archive", str(archive_of(world, "too early")))
    want(code == 0 and "no segment is sealed yet" in out, f"too early: exit {code}: {out}")


def archive_damaged(worlds):
    """Every change of every file of an archive is noticed, by both readers at the same place."""
    world = with_history(worlds)
    split(world, 5)
    place, changed = archive_of(world), archive_of(world, "changed")
    for packs in ((), ("--compress",)):
        shutil.rmtree(place, ignore_errors=True)
        want(world.run("journal", "archive", str(place), *packs)[0] == 0, "no archive")
        names = sorted(name for name in files_of(place) if name != "lock")
        for turn in range(400 if NIGHT else 25):
            shutil.rmtree(changed, ignore_errors=True)
            shutil.copytree(place, changed)
            path = changed / (names[-1] if turn % 4 == 0 else dice.choice(names))
            data = bytearray(path.read_bytes())
            at, kind = dice.randrange(len(data)), turn % 5
            if kind < 2:
                data[at] ^= 1 << dice.randrange(8)
            elif kind == 2:
                del data[at:]
            elif kind == 3:
                data[at:at] = dice.randbytes(dice.randrange(1, 20))
            path.write_bytes(data)
            if kind == 4:
                path.unlink()
            if path.name == "manifest.jsonl" and kind == 4:
                want(checked(world, changed, 69)[0] is None, "an archive without its manifest")
                continue
            done = subprocess.run([PROGRAM, "journal", "archive", str(changed), "--check", "--json"], cwd="/", env=world.env, capture_output=True,
                                  text=True, timeout=60, check=False)
            name = f"{path.name}, change {kind} at byte {at}"
            want(done.returncode in (65, 78), f"{name}: exit {done.returncode}: {done.stderr}")
            found = read_archive(changed, code=done.returncode)
            if done.returncode == 78:
                continue
            ours = [(row["file"], row["offset"], row["seq"]) for row in json.loads(done.stdout)["damage"]] if done.stdout else \
                re.findall(r"manifest\.jsonl at line (\d+)", done.stderr)
            theirs = [(row[0], int(row[1]), int(row[2])) for row in re.findall(r"DAMAGED: (\S+) at byte (\d+), record (\d+)", found)] or \
                re.findall(r"DAMAGED: manifest\.jsonl at line (\d+)", found)
            want(ours and ours == theirs, f"{name}: {ours}, the reader {theirs}")
            if path.name == "manifest.jsonl":
                code, _, err = world.run("journal", "archive", str(changed))
                want(code == 65 and "manifest.jsonl at line" in err, f"{name}: adding to it: exit {code}: {err}")


def archive_and_journal(worlds):
    """The journal is changed after it was archived: --check names the place, a repaired journal is not put behind the archive's end."""
    world = with_history(worlds)
    split(world, 5)
    place = archive_of(world)
    want(world.run("journal", "archive", str(place))[0] == 0, "no archive")
    journal = sorted(pathlib.Path(world.path("journal")).glob("*.jsonl"))
    lines = journal[1].read_bytes().splitlines(keepends=True)
    at = len(lines[0]) + len(lines[1]) + 9
    change_byte(journal[1], at)
    report, err = checked(world, place, 65)
    first = int(journal[1].name[:20])
    want(report["damage"] == [{"where": "journal", "file": journal[1].name, "offset": at, "seq": first + 1, "what": report["damage"][0]["what"]}], f"{report}")
    want("journal damaged" in err and checked(world, place, inside=False)[0]["sound"], err)
    code, _, err = world.run("journal", "repair", "--yes")
    want(code == 0, f"repair: exit {code}: {err}")
    code, _, err = world.run("journal", "archive", str(place))
    want(code == 65 and "does not go on" in err, f"after a repair: exit {code}: {err}")
    want(world.run("journal", "archive", str(archive_of(world, "new")))[0] == 0, "a new archive")
    # A journal that cannot be read at all is no reason not to look at its archive.
    change_byte(journal[0], 3)
    report, _ = checked(world, place, 65)
    want(report["damage"][0]["where"] == "journal" and report["segments"] > 2, f"{report}")
    shutil.rmtree(world.path("journal"))
    want(checked(world, place)[0]["sound"], "without a journal")
    # What stands in a damaged segment is not archived.
    world = with_history(worlds)
    split(world, 5)
    journal = sorted(pathlib.Path(world.path("journal")).glob("*.jsonl"))
    change_byte(journal[2], 500)
    place = archive_of(world)
    code, _, err = world.run("journal", "archive", str(place))
    want(code == 65 and journal[2].name in err, f"a damaged journal: exit {code}: {err}")
    names = sorted(name for name in files_of(place) if name[0] == "0")
    want(names == [path.name for path in journal[:2]], f"{sorted(files_of(place))}")
    want(checked(world, place)[0]["segments"] == 2, "what was stored before")


def restored(worlds):
    """docs/journal.md, Archives: the segments out of the archive, unpacked, and the last one: the same journal, byte by byte."""
    world = with_history(worlds)
    split(world, 5)
    state = said(world, "verify")
    journal = files_of(pathlib.Path(world.path("journal")))
    place = archive_of(world)
    for packs in ((), ("--compress",)):
        shutil.rmtree(place, ignore_errors=True)
        want(world.run("journal", "archive", str(place), *packs)[0] == 0, "no archive")
        new = World(worlds)
        done = subprocess.run(["sh", "-euc", RECIPE, "restore", str(place), new.folder, world.path("journal", sorted(journal)[-1])],
                              capture_output=True, text=True, timeout=60, check=False)
        want(done.returncode == 0, f"the recipe: {done.stderr}")
        want(files_of(pathlib.Path(new.path("journal"))) == journal, "the restored journal is another one")
        found = said(new, "verify")
        want(found["state_sha256"] == state["state_sha256"] and found["records"] == state["records"], f"{found}, before {state}")
        want(checked(new, place)[0]["sound"], "the archive of the restored journal")
        live, replayed, _ = host_state(new)
        want(live == replayed, "a host on the restored journal")
        # Without the last segment: what is there is sound, and an old head tells that more was committed.
        shutil.rmtree(new.path("journal"))
        for name in ("head", "lock", "reserve"):
            pathlib.Path(new.path(name)).unlink(missing_ok=True)
        shutil.rmtree(new.path("cache"), ignore_errors=True)
        done = subprocess.run(["sh", "-euc", RECIPE, "restore", str(place), new.folder, "/dev/null"], capture_output=True, text=True, timeout=60, check=False)
        pathlib.Path(new.path("journal", "null")).unlink()
        want(said(new, "verify")["records"] == checked(new, place)[0]["last"], "without the last segment")
        shutil.copy(world.path("head"), new.path("head"))
        code, _, err = new.run("verify")
        want(code == 65, f"an old head beside a restored journal: exit {code}: {err}")
        worlds.remove(new)
        new.end()


# The words of docs/journal.md; a fault in one is a fault in the other.
RECIPE = (TOP / "docs/journal.md").read_text().split("```sh\n")[1].split("```")[0]

prove("journal_start_from_a_snapshot_is_the_same_start_P16", used)
prove("journal_host_has_a_snapshot_made_and_uses_it_after_kill_9", by_itself)
prove("journal_no_snapshot_when_told_so", never)
prove("journal_snapshot_before_an_idle_host_leaves", before_leaving)
prove("journal_damaged_or_foreign_snapshot_is_ignored_and_said", ignored)
prove("journal_snapshot_ahead_of_the_journal_is_ignored", ahead)
prove("journal_cache_removed_at_any_time_loses_nothing", deleted)
prove("journal_snapshot_maker_killed_at_any_moment", killed)
prove("journal_export_is_checked_by_another_reader_JR17_P03", exported)
prove("journal_segments_and_positions_P04", segments)
prove("journal_repair_says_first_and_deletes_nothing_P03", repaired)
prove("journal_whose_folder_is_gone_is_no_empty_one_P04", gone)
prove("journal_that_was_cut_is_no_short_one_P04", cut)
prove("journal_a_pipe_in_a_files_place_keeps_nobody_waiting_P03", piped)
prove("journal_repair_beside_a_host_is_refused_P11", held)
prove("journal_archive_grows_and_keeps_V39", archived)
prove("journal_archive_beside_a_host_and_by_many_V39", archived_beside)
prove("journal_archive_maker_killed_at_any_moment_V39", archive_killed)
prove("journal_archive_without_room_V39", archive_full)
prove("journal_archive_only_in_a_folder_of_its_own_P23", archive_places)
prove("journal_archive_damage_is_named_by_two_readers_V39", archive_damaged)
prove("journal_archive_is_compared_with_the_journal_V39", archive_and_journal)
prove("journal_is_restored_from_its_archive_V39", restored)
if base:
    base["world"].end()
finish()
