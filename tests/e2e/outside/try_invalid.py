#!/usr/bin/env python3
"""try_invalid.py PROGRAM: blueprint files that cannot be built give a question (exit 3) or a clear refusal, and leave the workspace whole."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from journey import HERE, Failed, Journey

REFUSED = (1, 2, 4, 65, 78)
GOOD = {"name": "n", "storage": "File", "services": [{"name": "Notes", "entities": [{"name": "Note", "fields": ["title: string required"]}],
                                                      "use_cases": ["CreateNote", "ListNotes"]}]}


def check(journey, name, kind, file):
    done = journey.ask("gen", "--json", "--blueprint", str(file))
    told = done.err + (done.out.strip().splitlines() or [""])[-1]  # records before it carry the whole input
    if len(told) > 20000:
        raise Failed(f"{name}: {len(told)} bytes are no clear error")
    results = [line for line in done.lines() if line.get("type") == "gen.result"]
    if kind == "question":
        if done.code != 3 or not results or results[0]["state"] != "waiting" or not results[0]["items"]:
            raise Failed(f"{name}: a question was expected: {done}")
        journey.do("inbox", "--json")
        journey.do("cancel")
        return
    if done.code not in REFUSED or (results and results[0]["state"] not in ("failed", "limit")):
        raise Failed(f"{name}: a refusal was expected: {done}")
    said = (results[0].get("error") or {}).get("message", "") if results else done.err
    if len(said) < 10 or "\0" in said:
        raise Failed(f"{name}: the error says nothing: {done}")
    if "assert" in said or "internal" in said.lower():
        raise Failed(f"{name}: the error is about the program: {said}")


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mw-invalid-"))
    journey = Journey(str(pathlib.Path(sys.argv[1]).resolve()), folder / "workspace")
    failed = 0
    try:
        subprocess.run([sys.executable, HERE / "random_blueprint.py", "--invalid", folder], check=True, timeout=60)
        for line in (folder / "expected.txt").read_text().splitlines():
            name, kind = line.split()
            try:
                check(journey, name, kind, folder / f"{name}.json")
                print(f"ok a blueprint with {name} gives a {kind}", flush=True)
            except Failed as problem:
                failed += 1
                print(f"not ok a blueprint with {name} gives a {kind}\n{str(problem)[-2500:]}", flush=True)
        # The same workspace goes on as if nothing had been.
        try:
            left = [path for name in ("app", "generated") for path in (journey.folder / name).rglob("*") if path.is_file()]
            if left:
                raise Failed(f"refused blueprints have left {left[:5]}")
            (folder / "good.json").write_text(json.dumps(GOOD))
            if journey.gen("--blueprint", str(folder / "good.json"))["state"] != "draft":
                raise Failed("the good one gives no draft")
            journey.do("doctor")
            print("ok after all of them the workspace takes a good one")
        except Failed as problem:
            failed += 1
            print(f"not ok after all of them the workspace takes a good one\n{str(problem)[-2500:]}")
    finally:
        journey.leave()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
