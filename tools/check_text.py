#!/usr/bin/env python3
"""The text of the tree: no file of src/ too long without a reason, no unfinished marks, no words of the place where it was written.

check_text.py [FILE…]   default: every file that git knows or would add; exit 1 with one line a fault
"""
import pathlib
import re
import subprocess
import sys

LINES_MAX = 800
HEADER_LINES_MAX = 400
# A longer file says why in its first comment, with these words.
REASON = "longer than most"
# The words are in two parts so that this file may hold them.
MARKS = re.compile(r"\b(?:TO" + r"DO(?!\(#\d+\))|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
PLACES = re.compile(
    r"(?<![\w./-])/work/(?:main|shared|\.lib)|(?<![\w./])\.\./\.\./shared|/tmp/" + r"mw/|farm-(?:studio|bench)|\b(?:Claude Code|Codex|GPT) (?:wrote|made) this",
    re.IGNORECASE)
TEXT = {".c", ".h", ".def", ".md", ".py", ".sh", ".js", ".yaml", ".yml", ".json", ".txt", ".cmake", ".mustache", ""}
# Files that are about these words.
# TAP marks an expected failure with one of them; so the reader of test results and its test know the word.
MARKS_ALLOWED = {"tools/check_text.py", "src/builtin/check_tests.c", "tests/unit/test_probe.c"}
PLACES_ALLOWED = {"tools/check_text.py"}


def listed(top):
    command = ["git", "-C", str(top), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode == 0:
        return [name for name in done.stdout.decode("utf-8", "surrogateescape").split("\0") if name]
    skip = {"build", "demo-workspace", ".git"}  # an unpacked archive
    return [p.relative_to(top).as_posix() for p in top.rglob("*") if p.is_file() and p.relative_to(top).parts[0] not in skip]


def main():
    top = pathlib.Path(__file__).resolve().parent.parent
    names = sys.argv[1:] or listed(top)
    faults, count = [], 0
    for name in sorted(set(names)):
        path = top / name
        if path.suffix not in TEXT or path.is_symlink() or not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        if "\0" in text:
            continue
        count += 1
        lines = text.split("\n")
        if name.startswith("src/"):
            most = HEADER_LINES_MAX if name.endswith(".h") else LINES_MAX
            if len(lines) > most and REASON not in "\n".join(lines[:30]):
                faults.append(f"{name}: {len(lines)} lines; over {most} the first comment says why ('{REASON}: …')")
        for number, line in enumerate(lines, 1):
            if name not in MARKS_ALLOWED and not name.startswith("tests/corpus/") and MARKS.search(line):
                faults.append(f"{name}:{number}: unfinished: {line.strip()[:100]}")
            if name not in PLACES_ALLOWED and PLACES.search(line):
                faults.append(f"{name}:{number}: names a place of one machine: {line.strip()[:100]}")
            if line.startswith(("<<<<<<< ", ">>>>>>> ")):
                faults.append(f"{name}:{number}: a merge that was not finished")
    for fault in faults:
        print(fault)
    print(f"text: {count} files, {len(faults)} faults")
    return 1 if faults else 0


sys.exit(main())
