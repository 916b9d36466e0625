#!/usr/bin/env python3
"""Where planted.py cannot try all: a patch that somebody drops into the folder is tried first. Prints `ok NAME` or `not ok NAME`."""
import importlib.util
import pathlib
import shutil
import subprocess
import sys
import tempfile

spec = importlib.util.spec_from_file_location("planted", pathlib.Path(__file__).resolve().parent / "planted.py")
planted = importlib.util.module_from_spec(spec)
sys.modules["planted"] = planted
spec.loader.exec_module(planted)
failed = 0


def prove(name, held, *words):
    global failed
    failed += not held
    print(f"{'ok' if held else 'not ok'} planted defects: {name}" + ("" if held else f": {words}"))


def git(folder, *words):
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@localhost", *words], check=True, capture_output=True)


def main():
    if shutil.which("git") is None:
        print("skipped: git is not here")
        return 0
    with tempfile.TemporaryDirectory() as top:
        folder = pathlib.Path(top) / "a b"
        folder.mkdir()
        git(top, "init", "-q")
        for number in range(20):
            (folder / f"old{number:02}.patch").write_text(f"old {number}\n")
        git(top, "add", "-A")
        git(top, "commit", "-qm", "old")
        (folder / "old07.patch").write_text("cut anew\n")
        (folder / "young.patch").write_text("young\n")
        git(top, "add", "-A")
        git(top, "commit", "-qm", "young")

        def order(seed=1):
            paths, new = planted.in_order_of_need(list(folder.glob("*.patch")), folder, seed)
            return [path.name for path in paths], new

        names, new = order()
        prove("of what git has, those of the last commits come first", new == 0 and set(names[:2]) == {"old07.patch", "young.patch"}, names[:3], new)
        prove("none is left out, none comes twice", sorted(names) == sorted(path.name for path in folder.glob("*.patch")), names)
        prove("the others come in another order for another seed", order(1)[0][3:] != order(2)[0][3:] and order(1) == order(1), names)
        (folder / "dropped.patch").write_text("dropped in\n")
        (folder / "old03.patch").write_text("changed and not committed\n")
        (folder / "staged.patch").write_text("staged\n")
        git(top, "add", "a b/staged.patch")
        wanted = {"dropped.patch", "old03.patch", "staged.patch"}
        for seed in range(5):
            names, new = order(seed)
            prove(f"what git does not have as it is comes first (seed {seed})", new == 3 and set(names[:3]) == wanted, names[:4], new)
        elsewhere = pathlib.Path(top) / "old00.patch"
        elsewhere.write_text("given by name\n")
        paths, new = planted.in_order_of_need([*folder.glob("*.patch"), elsewhere], folder, 1)
        prove("one that is given by name is new, whatever the folder's are called", new == 4 and elsewhere in paths[:4], paths[:5], new)
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        for name in ("a.patch", "b.patch"):
            (place / name).write_text(name)
        paths, new = planted.in_order_of_need(list(place.glob("*.patch")), place, 1)
        prove("where git knows nothing, all are tried by the seed's order", len(paths) == 2 and new == 0, paths, new)
    return 1 if failed else 0


sys.exit(main())
