#!/usr/bin/env python3
"""Plants one defect at a time in a copy of the journal's sources and expects its test to fail: proof that the tests can.

    planted_journal.py [SOURCE_DIR]      CC and TMPDIR are honoured; exit 0 when every defect was found
Not part of `make check` (two minutes); run it when the journal or its tests change.
"""
import os
import shutil
import subprocess
import sys
import tempfile

# name, test program, file, what stands there, what is planted
DEFECTS = [
    ("the cache is believed after a kill", "power", "files.c", "survey->tail_segment != 0 && !trusted",
     "survey->tail_segment != 0 && !trusted && survey->damaged"),
    ("a new segment's folder is not synced", "power", "files.c", "if (!files->folder_dirty)", "if (true)"),
    ("a frame is not synced", "power", "files.c", "if (sys->fdatasync(files->fd) != 0)", "if (false)"),
    ("a fresh copy is not synced", "power", "folder.c",
     "if (rc == MW_OK && folder->sys->fsync(to_fd) != 0)", "if (false)"),
    ("a fresh copy's name is not synced", "power", "folder.c", "    return sync_folder(folder, err);",
     "    return MW_OK;"),
    ("a failed sync is forgotten", "power", "files.c", "files->stats.latched = true;", ";"),
    ("an unfinished frame is refused", "power", "scan.c", "!goes_on && !misplaced && !follows", "false"),
    ("an unfinished frame is not taken back", "", "files.c",
     "if (files->folder.sys->ftruncate(files->fd, (off_t)files->offset) != 0)", "if (false)"),
    ("the reserve is not released", "", "files.c",
     "(void)files_reserve_release(files, NULL); /* the answer is FULL either way */\n    return mw_fail",
     "return mw_fail"),
    ("a replaced file is not followed", "", "scan.c",
     "(opened.st_ino != named.st_ino || opened.st_dev != named.st_dev)", "false"),
    ("a foreign writer is not noticed", "", "files.c",
     "if (file.st_nlink > 0 && (uint64_t)file.st_size == files->offset)", "if (true)"),
    ("an old note names the holder", "", "lock.c", "return found != 0 ? found : noted;", "return noted;"),
    ("a file longer than its last frame is taken for torn", "", "scan.c",
     "!goes_on && !misplaced && !follows", "!misplaced && !follows"),
    ("nothing is locked", "processes", "lock.c", "if (flock(fd, LOCK_EX | LOCK_NB) != 0) {", "if (false) {"),
    ("the checksum is not checked", "corpus", "frame.c",
     "return header_crc(header, body) == frame->crc32c;",
     "return header.len > 0 || header_crc(header, body) == frame->crc32c;"),
    ("the chain is not checked", "corpus", "scan.c",
     "if (!scan->no_hash && memcmp(frame->prev, chain->hash, sizeof frame->prev) != 0)", "if (false)"),
    ("what follows a bad frame is not looked at", "corpus", "scan.c",
     "!goes_on && !misplaced && !follows", "!misplaced"),
    ("the head is not compared", "corpus", "folder.c", "survey->head_ahead = true;", ";"),
]
SUPPORT = [f"src/base/{name}.c" for name in ("base", "str", "buf", "arena", "format")]
SUPPORT += [f"src/posix/{name}.c" for name in ("digest", "heap", "file")]


def run(root, test):
    """None: does not build; else the test program's result."""
    name = f"tests/unit/test_journal{'_' + test if test else ''}.c"
    journal = sorted(f"src/journal/{file}" for file in os.listdir(f"{root}/src/journal") if file.endswith(".c"))
    command = [os.environ.get("CC", "cc"), "-w", "-O1", "-std=c11", "-D_GNU_SOURCE", "-Isrc", f'-DMW_SOURCE_DIR="{root}"', "-o",
               "planted", name]
    command += journal + SUPPORT + ["-lcmocka", "-lcrypto", "-lpthread"]
    if subprocess.run(command, cwd=root, check=False).returncode != 0:
        return None
    try:
        return subprocess.run(["./planted"], cwd=root, check=False, timeout=120, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode
    except subprocess.TimeoutExpired:
        return -1


def main():
    source = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "../.."))
    missed = 0
    with tempfile.TemporaryDirectory() as root:
        for folder in ("src/base", "src/posix", "src/port", "src/journal", "tests/unit", "tests/crash"):
            shutil.copytree(f"{source}/{folder}", f"{root}/{folder}")
        for test in ("", "power", "processes", "corpus"):
            if run(root, test) != 0:
                print(f"test_journal {test}: fails without any defect")
                return 1
        for name, test, file, old, new in DEFECTS:
            path = f"{root}/src/journal/{file}"
            with open(path, encoding="utf-8") as handle:
                sound = handle.read()
            if old not in sound:
                print(f"STALE   {name}: '{old}' is not in {file}")
                missed += 1
                continue
            with open(path, "w", encoding="utf-8") as handle:
                handle.write(sound.replace(old, new))
            result = run(root, test)
            print(f"{'found' if result else 'MISSED':7} {name}" + (" (does not build)" if result is None else ""))
            missed += result in (0, None)
            with open(path, "w", encoding="utf-8") as handle:
                handle.write(sound)
    print(f"{len(DEFECTS) - missed} of {len(DEFECTS)} planted defects found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
