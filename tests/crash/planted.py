#!/usr/bin/env python3
"""The proofs are proven: plants one defect at a time in a copy of the tree and expects a test to find it.

    planted.py                      every *.patch and *.diff of tests/crash/planted, and all detectors
    planted.py PATCH|FOLDER…        these as well; with --alone these and no others
        [--only TEXT]               those whose name holds TEXT
        [--seconds S] [--seed N]    as many as fit into S seconds: all that git does not have as they are, however long that takes; then some of those
                                    that the last commits touched; then others, in an order that the seed (default: the day) gives; at least two
        [--jobs N] [--tree DIR]     programs at once; where the copy is built (default build/planted/tree)
        [--detector TEXT]           only detectors whose name holds TEXT
        [--list]                    the patches and what they break; with --seconds in the order in which they would be tried

A patch is a unified diff over files of the tree, as `git diff`, `git format-patch` or `diff -ru` make it: however many folders stand before its
paths, with either end of line, and somewhat off. Lines `What: …` and `Promise: …` before it say what is broken and which promise; without them its
subject is told. One that does not apply or does not compile is a failure with its name, as is one that no detector finds. Detectors run in the order
of their cost, those of the parts that a patch touches first, until one goes red. A detector that is red without any patch proves nothing: then the
harness is broken.
MW_SUMMARY=FILE: appends one line for the night's table. The table is kept in build/planted/table.txt. Exit code 1: not all were found.
"""
import argparse
import concurrent.futures
import dataclasses
import datetime
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
FOLDER = TOP / "tests/crash/planted"
# Folders of the tree that neither building nor a detector reads.
NOT_COPIED = {"build", ".git", ".ccache"}
CONFIGURE_TIMEOUT_S = 600


@dataclasses.dataclass
class Detector:
    name: str
    cost: int  # seconds, roughly: cheap ones first
    target: str  # what is built for it; more than one with a space between
    command: list  # in the tree; {bin} is the folder of programs
    near: tuple = ()  # parts of the source that it is about
    need: str = ""  # a file that has to be there

    @property
    def timeout_s(self):
        """A defect may make it wait for ever; a machine may be ten times too busy."""
        return 120 + 20 * self.cost

    def argv(self, programs):
        return [word.replace("{bin}", str(programs)) for word in self.command]


def looked_at(path):
    """The parts of the source that a test says it is about: what it includes, but for what everything includes."""
    if not path.exists():
        return ()
    named = re.findall(r'^#include "(\w+/[\w/]+)\.h"', path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return tuple("src/" + name for name in named if not name.startswith(("base/", "posix/", "msg/")))


def unit(name, cost, *near):
    source = f"tests/unit/{name}.c"
    return Detector(name, cost, name, ["{bin}/" + name], near + looked_at(TOP / source), source)


def sim(name, cost, *near):
    return Detector(name, cost, name, ["{bin}/" + name], near, f"tests/sim/{name}.c")


def power(scenarios, cost, *near):
    return Detector(f"power_cuts {scenarios[0]}…", cost, "power_cuts", ["{bin}/power_cuts", *scenarios, "--seed", "3"], near,
                    "tests/crash/power/power.c")


def sweep(kind, cost):
    return Detector(f"crash_sweep {kind}", cost, "crash_sweep", ["{bin}/crash_sweep", kind], ("src/journal", "src/stage", "src/posix"),
                    "tests/crash/sweep.c")


DETECTORS = [
    unit("test_journal", 1, "src/journal"),
    unit("test_journal_durable", 1, "src/journal"),
    unit("test_json", 1, "src/base/json"),
    unit("test_json_escapes", 1, "src/base/json"),
    unit("test_file_beneath", 1, "src/posix/file", "src/stage/tree"),
    unit("test_expr", 1, "src/rules/expr"),
    unit("test_expr_equal", 1),
    unit("test_mask", 1),
    unit("test_time", 1, "src/base/time"),
    unit("test_blob_durable", 1, "src/stage", "src/posix"),
    unit("test_blob", 1, "src/stage/blob", "src/posix"),
    unit("test_journal_chain", 1, "src/journal"),
    unit("test_journal_edges", 1, "src/journal"),
    unit("test_journal_recovery", 1, "src/journal"),
    unit("test_frame", 1, "src/journal"),
    unit("test_remember", 1, "src/core"),
    unit("test_deadlines", 1, "src/host/deadlines", "src/host/asks", "src/host/host"),
    unit("test_poison", 1),
    unit("test_starting", 1, "src/host/starting", "src/host/replay"),
    unit("test_file", 1, "src/posix/file"),
    unit("test_digest", 1, "src/posix/digest"),
    unit("test_leases", 1, "src/host/leases"),
    unit("test_log", 1, "src/host/log"),
    unit("test_admits", 1, "src/host/commit", "src/host/api_server"),
    unit("test_effects", 1, "src/host/effects", "src/stage/promote"),
    unit("test_pins", 2, "src/host/pins"),
    unit("test_promises", 3, "src/host/promises"),
    unit("test_clean", 1, "src/cli/cmd_clean"),
    unit("test_follow", 1, "src/api"),
    unit("test_api", 1, "src/api"),
    unit("test_api_guard", 1, "src/api", "src/host/tcp"),
    unit("test_exec", 4, "src/agent/exec", "src/agent/proc"),
    unit("test_sandbox", 4, "src/agent"),
    unit("test_core", 9, "src/core", "src/work", "src/loop"),
    unit("test_lineage", 1, "src/loop/session"),
    unit("test_letters", 1, "src/work/letter", "src/work/work", "src/core/trace"),
    unit("test_core_records", 6, "src/core", "src/work", "src/defs"),
    unit("test_promote", 1, "src/stage"),
    unit("test_stage_tree", 1, "src/stage"),
    unit("test_stage_bundle", 1, "src/stage"),
    unit("test_journal_processes", 2, "src/journal/lock"),
    unit("test_journal_power", 3, "src/journal"),
    unit("test_archive", 4, "src/journal/archive", "src/journal/manifest"),
    unit("test_archive_damage", 1, "src/journal/archive", "src/journal/manifest"),
    unit("test_manifest", 1, "src/journal/manifest", "src/journal/gzip"),
    power(["append", "rotate", "full", "head", "recover", "repair", "snapshot"], 4, "src/journal"),
    power(["blob_put"], 4, "src/stage/blob", "src/posix"),
    power(["promote_first", "promote", "rollback", "promote_adopt", "promote_discard"], 6, "src/stage/promote", "src/stage/version",
          "src/stage/tree", "src/posix"),
    unit("test_journal_corpus", 5, "src/journal"),
    unit("test_promote_crash", 6, "src/stage/promote", "src/stage/version"),
    unit("test_promote_faults", 8, "src/stage/promote", "src/stage/version"),
    unit("test_kept_journals", 1, "src/core", "src/journal"),
    unit("test_snapshot_file", 1, "src/journal/snapshot"),
    unit("test_snapshot", 2, "src/journal/snapshot", "src/host/snapshot", "src/host/starting", "src/core/keep"),
    sim("test_sim", 5, "src/core", "src/work", "src/loop"),
    sim("test_sim_host", 3, "src/host", "src/core", "src/work"),
    sim("test_scenario", 1, "src/core", "src/work", "src/loop"),
    sim("test_fanout", 8, "src/core", "src/work"),
    sweep("kill", 15),
    sweep("tear", 15),
    sweep("fault", 15),
    sweep("recovery_kill", 20),
    sweep("refuse", 20),
    sweep("disk", 20),
    sweep("restore", 3),
    Detector("crash_sweep host", 8, "crash_sweep millwright", ["{bin}/crash_sweep", "host", "--program", "{bin}/millwright"],
             ("src/host", "src/stage/promote"), "tests/crash/sweep_host.c"),
]


def e2e(script, only, cost, *near):
    return Detector(f"e2e {script}" + (f" {only}" if only else ""), cost, "millwright millwright_poisoned",
                    [f"tests/e2e/{script}.sh", "{bin}/millwright"] + ([only] if only else []), near, f"tests/e2e/{script}.sh")


# On a real host: after all others, but for what a patch touches there.
LAST = [
    e2e("canaries", "", 8, "src/host/mask", "src/host/attempt", "src/host/workers_ask", "src/host/api_server", "src/host/commit"),
    e2e("attempt_folders", "", 5, "src/host/attempt_folder"),
    e2e("people", "", 3, "src/host/answer_files", "src/host/api_server"),
    e2e("users_things", "", 10, "src/cli/cmd_init", "src/cli/cmd_up", "src/cli/cmd_clean"),
    e2e("promises", "P08", 15, "src/host/poison", "src/host/replay", "src/host/put_back", "src/work/letter", "src/view/letters"),
    e2e("life_requests", "", 40, "src/api", "src/host/tcp", "src/host/api_server", "src/host/host"),
    e2e("workers", "", 40, "src/host/workers", "src/host/leases"),
    e2e("agents_liars", "agents_remove", 2, "src/host/attempt", "src/stage/tree"),
    e2e("agents_liars", "agents_echo", 2, "src/host/echo", "src/host/asks"),
    e2e("agents_liars", "agents_of_root", 2, "src/host/attempt"),
    e2e("life_places", "life_file_size_limit", 2, "src/host/host"),
    e2e("agents_liars", "agents_P20", 10, "src/host/attempt", "src/host/workers"),
    e2e("promises", "P07", 20, "src/host/deadlines"),
    e2e("promises", "P18", 15, "src/stage/execonf", "src/host/effects"),
    e2e("promises", "P10", 30, "src/host/commit", "src/host/effects", "src/host/attempt"),
    e2e("journal_verbs", "", 60, "src/journal/doctor", "src/journal/extract", "src/journal/snapshot", "src/journal/archive", "src/host/snapshot",
        "src/host/starting", "src/host/offline"),
    e2e("crash_kill", "", 60, "src/host/starting", "src/host/replay", "src/agent/leftovers"),
    e2e("agents_liars", "", 60, "src/agent", "src/host/attempt", "src/stage/tree", "src/stage/diff"),
    e2e("promises", "P09", 60, "src/host/commit", "src/api"),
    e2e("life_places", "", 60, "src/posix"),
    e2e("life_host", "", 90, "src/host/host"),
]


# What the other unit tests of these names are about.
NAMED = (("test_journal", "src/journal"), ("test_frame", "src/journal"), ("test_archive", "src/journal"), ("test_promote", "src/stage"),
         ("test_json", "src/base/json"), ("test_expr", "src/rules"))


def all_detectors():
    """Those above, and every other unit test and simulation: a patch may break anything."""
    known = {d.target for d in DETECTORS}
    rest = [unit(path.stem, 8, *(part for start, part in NAMED if path.stem.startswith(start)))
            for path in sorted((TOP / "tests/unit").glob("test_*.c")) if path.stem not in known]
    rest += [sim(path.stem, 8) for path in sorted((TOP / "tests/sim").glob("test_*.c")) if path.stem not in known]
    return DETECTORS + rest + LAST


@dataclasses.dataclass
class Patch:
    path: pathlib.Path
    what: str = "(not said)"
    promise: str = "?"
    files: tuple = ()
    text: str = ""
    levels: int = 1

    @property
    def name(self):
        return self.path.stem


def stripped(name, levels):
    return "/".join(name.split("/")[levels:])


def levels_of(text):
    """How many folders stand before the paths of the tree; -1: the patch is of no file that is there."""
    named = re.findall(r"^(?:---|\+\+\+) ([^\t\n]+)", text, flags=re.MULTILINE)
    named = [name.strip() for name in named if name.strip() != "/dev/null"]
    for levels in (1, 0, 2, 3, 4, 5, 6, 7, 8):
        if any(stripped(name, levels) and (TOP / stripped(name, levels)).is_file() for name in named):
            return levels
    return -1


def words_of(head):
    """What is said before the diff: its subject, or its first line that is not of a mail or of git."""
    subject = re.search(r"^Subject:\s*(?:\[PATCH[^\]]*\]\s*)?(.+)$", head, flags=re.MULTILINE)
    if subject is not None:
        return subject.group(1).strip()
    plain = [line.strip() for line in head.splitlines()
             if line.strip() and not re.match(r"From |From:|Date:|diff |index |Only in |---$|[\w-]+:\s*$", line)]
    return plain[0] if plain else "(not said)"


def read_patch(path):
    patch = Patch(path)
    patch.text = path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n")
    head = re.split(r"^(?:diff |--- \S)", patch.text, maxsplit=1, flags=re.MULTILINE)[0]
    patch.what = words_of(head)
    for key, value in re.findall(r"^(What|Promise):\s*(.+)$", head, flags=re.MULTILINE):
        setattr(patch, key.lower(), value.strip())
    patch.levels = levels_of(patch.text)
    named = re.findall(r"^(?:---|\+\+\+) ([^\t\n]+)", patch.text, flags=re.MULTILINE)
    patch.files = tuple(dict.fromkeys(stripped(name.strip(), max(patch.levels, 0)) for name in named if name.strip() != "/dev/null"))
    return patch


def patches_in(folder):
    return sorted(path for path in folder.iterdir() if path.suffix in (".patch", ".diff"))


def chosen_patches(args):
    paths = [] if args.alone else patches_in(FOLDER)
    for given in args.patches:
        path = pathlib.Path(given)
        paths += patches_in(path) if path.is_dir() else [path]
    seen = {}
    for path in paths:
        if not path.is_file():
            sys.exit(f"planted.py: there is no '{path}'")
        seen.setdefault(path.resolve(), None)
    return [read_patch(path) for path in seen if args.only in path.stem]


# ---- the order, where not all can be tried ----

NEWEST = 3  # of those that git has: so many of the last commits' come before the others


def git_lines(folder, *words):
    """What git says of the folder, split at NUL; None where it knows nothing of it."""
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
    return [line for line in done.stdout.split("\0") if line] if done.returncode == 0 else None


def in_order_of_need(paths, folder, seed):
    """(the paths, how many of them are new): first what git does not have as it is, then the newest, then whatever the seed says."""
    dice = random.Random(seed)
    paths = sorted(paths)
    dice.shuffle(paths)
    prefix = git_lines(folder, "ls-tree", "-z", "--name-only", "HEAD", ".")
    changed = git_lines(folder, "diff", "-z", "--name-only", "--relative", "HEAD", "--", ".")
    if prefix is None or changed is None:
        return paths, 0
    kept = set(prefix) - set(changed)
    inside = {path: path.resolve().parent == folder.resolve() for path in paths}
    new = [path for path in paths if not (inside[path] and path.name in kept)]
    # The last commit that touched a file is the first one that names it here.
    named = git_lines(folder, "log", "-z", "--format=", "--name-only", "--relative", "--", ".") or []
    age = {}
    for name in named:
        age.setdefault(name.strip(), len(age))
    old = [path for path in paths if path not in new]
    newest = sorted(old, key=lambda path: age.get(path.name, len(age)))[:NEWEST]
    return new + newest + [path for path in old if path not in newest], len(new)


# ---- the copy ----

def tree_files():
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TOP, capture_output=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        names = [name for name in listed.stdout.decode().split("\0") if name]
    else:
        names = []
        for folder, below, files in os.walk(TOP):
            below[:] = [name for name in below if name not in NOT_COPIED]
            names += [os.path.relpath(os.path.join(folder, name), TOP) for name in files]
    return [name for name in names if (TOP / name).is_file() or (TOP / name).is_symlink()]


class Tree:
    """A copy of the tree that is built once and again after each patch; only what differs is written."""

    def __init__(self, root):
        self.root = root
        self.programs = root / "build/release"

    def refresh(self):
        names = set(tree_files())
        for name in names:
            source, copy = TOP / name, self.root / name
            if source.is_symlink():
                if not copy.is_symlink():
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copy.symlink_to(os.readlink(source))
                continue
            data = source.read_bytes()
            if not copy.exists() or copy.read_bytes() != data:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(data)
            shutil.copymode(source, copy)
        for folder, below, files in os.walk(self.root):
            below[:] = [name for name in below if name not in NOT_COPIED]
            for name in files:
                path = pathlib.Path(folder) / name
                if str(path.relative_to(self.root)) not in names:
                    path.unlink()

    def configure(self):
        # Half the optimiser: a patch is compiled to be run a few times. Warnings are not errors: a defect may leave something unused. But what
        # passes a pointer for a number was written for other code, and is not the defect that it says.
        stale = "-Werror=int-conversion -Werror=incompatible-pointer-types -Werror=implicit-function-declaration"
        command = ["cmake", "-S", str(self.root), "-B", str(self.programs), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_C_FLAGS_DEBUG=-O1 {stale}",
                   "-DMW_TESTS=ON", "-DMW_WERROR=OFF"]
        return run(command, TOP, CONFIGURE_TIMEOUT_S)

    def build(self, targets):
        return run(["cmake", "--build", str(self.programs), "--target", *targets], TOP, 1800)

    def apply(self, patch):
        """None, or why it does not apply."""
        if not patch.text.strip():
            return "it is empty"
        if patch.levels < 0:
            return "none of its files is in the tree" if patch.files else "not a unified diff: it names no file"
        # Without the ceiling git would take the copy for a part of the repository around it, and skip everything.
        environment = dict(os.environ, GIT_CEILING_DIRECTORIES=str(self.root.parent), GIT_DIR="/nonexistent")
        git = ["git", "apply", "--whitespace=nowarn", f"-p{patch.levels}"]
        tries = [git + more for more in ([], ["--recount"], ["-C1", "--recount"], ["--unidiff-zero", "--recount"])]
        if shutil.which("patch") is not None:
            tries += [["patch", "--batch", "--forward", "--dry-run", f"-p{patch.levels}", "--fuzz=3"]]
        said = ""
        for command in tries:
            done = self.feed(command, patch, environment)
            if done.returncode == 0 and command[0] == "patch":
                done = self.feed([*command[:3], "--no-backup-if-mismatch", *command[4:]], patch, environment)
            if done.returncode == 0:
                return None
            said = said or (done.stderr or done.stdout).strip().replace("error: ", "").split("\n")[0]
        return said or "it does not apply"

    def feed(self, command, patch, environment):
        return subprocess.run(command, cwd=self.root, env=environment, input=patch.text, capture_output=True, text=True, check=False)


def run(command, folder, timeout_s, environment=None):
    """(exit code, output); a program that does not end is ended, with all that it started, and counts as failed."""
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True)
    try:
        output = process.communicate(timeout=timeout_s)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output = process.communicate()[0]
        return -1, output.decode("utf-8", "replace") + f"\nended after {timeout_s} s"
    return process.returncode, output.decode("utf-8", "replace")


# ---- detecting ----

class Harness:
    def __init__(self, args):
        self.args = args
        self.tree = Tree(pathlib.Path(args.tree).resolve())
        self.green = set()  # detectors that were seen to be green without a patch
        self.detectors = [d for d in all_detectors() if args.detector in d.name and (TOP / d.need).exists()]

    def order(self, patch):
        """Those of the parts that it touches first, then the cheap ones."""
        def rank(detector):
            near = any(file.startswith(part) for file in patch.files for part in detector.near)
            return (not near, detector in LAST, detector.cost)
        return sorted(self.detectors, key=rank)

    def is_red(self, detector):
        # What a detector counts for the night is not to be counted again, and its short form is the one that has to find defects.
        environment = {key: value for key, value in os.environ.items() if key not in ("MW_SUMMARY", "MW_NIGHT", "MW_TALLY")}
        code, output = run(detector.argv(self.tree.programs), self.tree.root, detector.timeout_s, environment)
        return code != 0, output

    def first_red(self, detectors):
        """The first detector that goes red and what it said; a few at once, in their order."""
        with concurrent.futures.ThreadPoolExecutor(max_workers=self.args.jobs) as pool:
            for at in range(0, len(detectors), self.args.jobs):
                group = detectors[at:at + self.args.jobs]
                code, output = self.tree.build(sorted({target for d in group for target in d.target.split()}))
                if code != 0:
                    return "does not compile", output
                for detector, (red, said) in zip(group, pool.map(self.is_red, group)):
                    if red:
                        return detector, said
        return None, ""

    def check_green(self, detectors):
        """Without a patch. None, or the one that is red all the same."""
        left = [d for d in detectors if d.name not in self.green]
        detector, said = self.first_red(left)
        if detector is not None:
            return detector, said
        self.green.update(d.name for d in left)
        return None, ""

    def plant(self, patch):
        """(found by, seconds, words)"""
        begun = time.monotonic()
        self.tree.refresh()
        refused = self.tree.apply(patch)
        if refused is not None:
            return "NOT APPLIED", time.monotonic() - begun, refused
        detector, said = self.first_red(self.order(patch))
        seconds = time.monotonic() - begun
        if detector is None:
            return "NOT FOUND", seconds, ""
        if detector == "does not compile":
            errors = [line for line in said.splitlines() if "error" in line]
            return "NOT COMPILED", seconds, errors[0] if errors else said[-300:]
        return detector, seconds, ""


def broken(detector, said):
    name = detector if isinstance(detector, str) else detector.name
    print(f"the harness is broken: without any patch '{name}' is red\n" + "\n".join(said.splitlines()[-30:]))
    return 1


def table_line(patch, found, seconds, words):
    name = found if isinstance(found, str) else found.name
    return f"{patch.name:<40} {patch.promise:<8} {name:<28} {seconds:6.1f}" + (f"  {words}" if words else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patches", nargs="*")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=datetime.date.today().toordinal())
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--tree", default=str(TOP / "build/planted/tree"))
    parser.add_argument("--detector", default="")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    patches, new_count = chosen_patches(args), 0
    if args.seconds is not None:
        by_path = {patch.path: patch for patch in patches}
        order, new_count = in_order_of_need(list(by_path), FOLDER, args.seed)
        patches = [by_path[path] for path in order]
    if args.list:
        for patch in patches:
            print(f"{patch.name:<40} {patch.promise:<8} {patch.what}")
        return 0
    if not patches:
        print("planted.py: there is no patch")
        return 1
    harness = Harness(args)
    begun = time.monotonic()
    harness.tree.refresh()
    code, said = harness.tree.configure()
    if code != 0:
        return broken("cmake", said)
    total = len(patches)
    if args.seconds is None:
        detector, said = harness.check_green(harness.detectors)
        if detector is not None:
            return broken(detector, said)
    print(f"{'patch':<40} {'promise':<8} {'found by':<28} {'s':>6}", flush=True)
    lines, found_count, tried = [], 0, 0
    for patch in patches:
        if args.seconds is not None and tried >= max(2, new_count) and time.monotonic() - begun > args.seconds:
            break
        tried += 1
        found, seconds, words = harness.plant(patch)
        lines.append(table_line(patch, found, seconds, words))
        print(lines[-1], flush=True)
        if isinstance(found, str):
            continue
        # Red with the patch counts only if it is green without.
        harness.tree.refresh()
        detector, said = harness.check_green([found])
        if detector is not None:
            return broken(detector, said)
        found_count += 1
    harness.tree.refresh()
    ok = found_count == tried
    last = f"{'ok' if ok else 'not ok'} planted defects: {found_count} of {tried} found" + (f", of {total} that there are" if tried < total else "") + \
        (f"; {new_count} of them not in git as they are" if new_count else "")
    print(last)
    (TOP / "build/planted").mkdir(parents=True, exist_ok=True)
    (TOP / "build/planted/table.txt").write_text("\n".join([*lines, last]) + "\n", encoding="utf-8")
    if os.environ.get("MW_SUMMARY"):
        with open(os.environ["MW_SUMMARY"], "a", encoding="utf-8") as file:
            file.write(f"planted defects|{tried}|{tried - found_count}|{found_count} of {tried} found|{'ok' if ok else 'FAILED'}\n")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
