#!/usr/bin/env python3
"""The second opinion: every file of a build goes through clang, without making anything. check_clang.py BUILD_DIR; exit 1 when it warns."""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys


def look(entry):
    words = shlex.split(entry["command"])
    kept, skip = [], False
    for word in words[1:]:
        if skip or word == "-c":
            skip = False
        elif word in ("-o", "-MF", "-MT"):
            skip = True
        elif word != "-MD":
            kept.append(word)
    command = ["clang", "-fsyntax-only", "-Wno-unknown-warning-option", *kept]
    return subprocess.run(command, cwd=entry["directory"], capture_output=True, text=True, check=False)


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release")
    entries = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        done = list(pool.map(look, entries))
    faults = [result for result in done if result.returncode != 0 or result.stderr]
    for result in faults:
        print(result.stderr.rstrip())
    print(f"clang: {len(entries)} files, {len(faults)} faults")
    return 1 if faults else 0


sys.exit(main())
