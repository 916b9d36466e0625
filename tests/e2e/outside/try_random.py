#!/usr/bin/env python3
"""try_random.py PROGRAM SEED COUNT [--jobs N]: random blueprints from file to running app, each used by client.py and started again.

Prints `ok NAME` or `not ok NAME` a blueprint; its seed is in the name, so one is repeated with  try_random.py PROGRAM SEED.NUMBER 1
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from journey import HERE, Failed, Journey


def tree_of(folder):
    """Every file of a bundle with its bytes' digest; what differs between two is named."""
    root = pathlib.Path(folder)
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(root.rglob("*")) if path.is_file()}


def staged(journey, result):
    folder = pathlib.Path(result["staged"])
    return folder if folder.is_absolute() else journey.folder / folder


def one(program, seed, small, keep):
    """(name, what went wrong or None)"""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mw-random-"))
    journey = Journey(program, folder / "workspace")
    said = ""
    try:
        subprocess.run([sys.executable, HERE / "random_blueprint.py", seed, folder] + (["--small"] if small else []), check=True, timeout=60)
        written = folder / "blueprint.yaml"
        result = journey.gen("--blueprint", str(written if written.exists() else folder / "blueprint.json"))
        if result["state"] != "draft":
            raise Failed(f"state {result['state']}: {json.dumps(result)}")
        journey.promoted()
        said = journey.used_and_restarted(folder / "blueprint.json")
        return seed, said, None
    except (Failed, subprocess.SubprocessError, KeyError, ValueError) as problem:
        blueprint = folder / "blueprint.json"
        shown = blueprint.read_text("utf-8")[:4000] if blueprint.exists() else ""
        return seed, said, f"{type(problem).__name__}: {problem}\n{shown}"
    finally:
        journey.leave(keep=keep)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def twice(program, seed):
    """The same blueprint in two workspaces: the same bytes."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mw-twice-"))
    journeys = [Journey(program, folder / name) for name in ("first", "second-with-a-longer-name")]
    try:
        subprocess.run([sys.executable, HERE / "random_blueprint.py", seed, folder, "--small"], check=True, timeout=60)
        trees = [tree_of(staged(journey, journey.gen("--blueprint", str(folder / "blueprint.json")))) for journey in journeys]
        different = sorted(path for path in trees[0].keys() | trees[1].keys() if trees[0].get(path) != trees[1].get(path))
        if not trees[0] or different:
            return f"{len(trees[0])} files, different: {different}"
        return None
    except (Failed, subprocess.SubprocessError, KeyError, ValueError) as problem:
        return str(problem)
    finally:
        for journey in journeys:
            journey.leave()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("seed")
    parser.add_argument("count", type=int)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--twice", action="store_true")
    args = parser.parse_args()
    program = str(pathlib.Path(args.program).resolve())
    seeds = [args.seed] if args.count == 1 else [f"{args.seed}.{number}" for number in range(args.count)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=args.jobs) as pool:
        for seed, said, problem in pool.map(lambda seed: one(program, seed, args.small, args.keep), seeds):
            failed += problem is not None
            if problem is None:
                print(f"ok a random blueprint becomes a running app (seed {seed}): {said}", flush=True)
            else:
                print(f"not ok a random blueprint becomes a running app (seed {seed})\n{problem}", flush=True)
    if args.twice:
        problem = twice(program, f"{args.seed}.twice")
        failed += problem is not None
        print("ok the same blueprint gives the same bytes in another workspace" if problem is None
              else f"not ok the same blueprint gives the same bytes in another workspace\n{problem}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
