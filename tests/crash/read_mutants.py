#!/usr/bin/env python3
"""Reads changed journals with the independent reader (tools/journal_reader.py) and compares what it finds with what the program found.

    read_mutants.py DIR       each folder of DIR: a journal, and `expected`: the program's exit code and the last good record
Exit 1 when the two do not agree about one of them.
"""
import contextlib
import importlib.util
import io
import os
import pathlib
import re
import sys

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"


def load_reader():
    spec = importlib.util.spec_from_file_location("journal_reader", TOOLS / "journal_reader.py")
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    return reader


def read(reader, folder):
    """(exit code, last good record, what it said)"""
    said = io.StringIO()
    sys.argv = ["journal_reader.py", str(folder)]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = reader.main()
    good = re.search(r"good up to record (\d+)", said.getvalue())
    return code, int(good.group(1)) if good else 0, said.getvalue()


def main():
    reader = load_reader()
    folders = sorted(pathlib.Path(sys.argv[1]).iterdir())
    wrong = 0
    for folder in folders:
        code, last = (int(word) for word in (folder / "expected").read_text().split())
        os.unlink(folder / "expected")
        found = read(reader, folder)
        if found[:2] != (code, last) and not code == found[0] == 78:
            wrong += 1
            print(f"{folder.name}: millwright says exit {code}, good up to {last}; the reader says:\n{found[2]}")
    print(f"{len(folders)} changed journals read by both, {wrong} differences")
    return 1 if wrong or not folders else 0


if __name__ == "__main__":
    sys.exit(main())
