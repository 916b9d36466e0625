#!/usr/bin/env python3
"""An agent that does a generator's work and then spoils it: damaging.py PROGRAM BUILTIN FAULT, FAULT being a name of faults.py.

The task on standard input goes to `PROGRAM __agent BUILTIN` as it is; what that answers is answered, and the files are damaged before.
"""
import json
import pathlib
import subprocess
import sys

import faults


def main():
    program, builtin, name = sys.argv[1:4]
    task = sys.stdin.buffer.read()
    done = subprocess.run([program, "__agent", builtin], input=task, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.stdout.buffer.write(done.stdout)
        return done.returncode
    answer = done.stdout
    fault = faults.BY_NAME[name]
    if fault.answer is not None:
        lines = [json.loads(line) for line in answer.decode().splitlines() if line.strip()]
        fault.answer(lines[-1]["payload"])
        answer = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    for path in sorted(pathlib.Path(".").glob(fault.files)) if fault.files else ():
        text = path.read_text("utf-8")
        spoiled = fault.spoil(text)
        if spoiled is None:
            path.unlink()
        else:
            path.write_text(spoiled, "utf-8")
    sys.stdout.buffer.write(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
