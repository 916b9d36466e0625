#!/usr/bin/env python3
"""try_faults.py PROGRAM [NAME…]: every fault of faults.py in a generator makes `gen` fail and name what failed; without one it passes."""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

import faults
from journey import HERE, Failed, Journey

BLUEPRINT = {
    "name": "todos", "storage": "File", "auth": "JWT",
    "services": [{
        "name": "Todos",
        "entities": [{"name": "Todo", "fields": [
            {"name": "title", "type": "string", "required": True, "max": 40},
            {"name": "priority", "type": "enum", "values": ["low", "normal", "high"], "default": "normal"},
            {"name": "done", "type": "boolean", "default": False},
            {"name": "stars", "type": "integer", "min": 0, "max": 9, "default": 0},
        ]}],
        "use_cases": ["CreateTodo", "GetTodo", "ListTodos", {"name": "MarkTodoAsDone", "entity": "Todo", "set": {"done": True}},
                      {"name": "StarTodo", "entity": "Todo", "field": "stars", "by": 1}],
    }],
}


def register(journey, program, fault):
    agents = journey.folder / "agents"
    agents.mkdir(exist_ok=True)
    for name in ("damaging.py", "faults.py"):  # an agent may read its own folder and nothing of this one
        shutil.copy(HERE / name, agents / name)
    words = ["./damaging.py", program, faults.BUILTIN.get(fault.skill, "render"), fault.name]
    (agents / "damaging.yaml").write_text(
        f"agent_id: damaging\nagent_type: Damaging Agent\nskills: [{fault.skill}]\ntier: 50\ncapacity: 16\n"
        f"backend:\n  kind: command\n  argv: {json.dumps(words)}\n  environment: {{pass: [MILLWRIGHT_FACTORY]}}\nlimits: {{deadline: 60s}}\n")


def one(program, fault):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mw-fault-"))
    journey = Journey(program, folder / "workspace")
    try:
        journey.do("init")
        register(journey, program, fault)
        (folder / "blueprint.json").write_text(json.dumps(BLUEPRINT))
        done = journey.ask("gen", "--blueprint", str(folder / "blueprint.json"))
        text = done.out + done.err
        if fault.name.startswith("harmless"):
            if done.code != 0:
                raise Failed(f"an undamaged wrapper has to pass: {done}")
            if "→ damaging" not in text or "tried again" in text:
                raise Failed(f"the wrapper has not done the work: {done}")
            return fault.name, None, ""
        if fault.name in faults.RECOVERED:
            if done.code != 0 or "tried again" not in text:
                raise Failed(f"an attempt was to fail and another agent to do it: {done}")
            reason = next(line for line in text.splitlines() if "attempt 1 failed" in line)
            return fault.name, None, f"{reason.strip()}; somebody else does it"
        if done.code != 1:
            raise Failed(f"exit 1 was expected: {done}")
        named = [line.strip() for line in text.splitlines() if re.search(r"expected .*, got|failed: |not ok", line)]
        named.sort(key=lambda line: "expected" not in line)
        events = [json.dumps(line, ensure_ascii=False) for line in journey.do("journal", "show", "--json").lines()]
        failures = [failure for line in events for failure in re.findall(r'"test": ?"([^"]+)"', line)]
        if failures and not any(failure in text for failure in failures):
            raise Failed(f"no failing test is named, of {failures[:5]}: {done}")
        if not failures and not named:
            raise Failed(f"nothing is named: {done}")
        return fault.name, None, (failures or named)[0]
    except Failed as problem:
        return fault.name, str(problem), ""
    finally:
        journey.leave(keep="KEEP" in os.environ)
        if "KEEP" not in os.environ:
            shutil.rmtree(folder, ignore_errors=True)


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    program = str(pathlib.Path(sys.argv[1]).resolve())
    chosen = [faults.BY_NAME[name] for name in sys.argv[2:]]
    if not chosen:
        night = "MW_NIGHT" in os.environ
        chosen = [fault for fault in faults.HARMLESS + faults.FAULTS if night or fault.name not in faults.AT_NIGHT]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for name, problem, said in pool.map(lambda fault: one(program, fault), chosen):
            title = f"{name} passes" if name.startswith("harmless") else f"{name} is found"
            failed += problem is not None
            print(f"ok {title}{': ' + said[:150] if said else ''}" if problem is None else f"not ok {title}\n{problem[-3500:]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
