#!/usr/bin/env python3
"""Pure rooms are pure, seen in what the compiler made of them: check_purity.py BUILD_DIR; exit 1 with one line a fault.

Every symbol that a pure library leaves open is another pure library's or on the short list; and nothing lies in writable memory.
"""
import pathlib
import re
import subprocess
import sys

PURE = ["base", "msg", "rules", "defs", "work", "loop_workflow", "loop_session", "loop_refine", "core", "view"]
# No clock, file, socket, thread, heap or locale behind any of these. mw_assert_failed is the hook that ends the process; posix gives it.
ALLOWED = {
    "memchr", "memcmp", "memcpy", "memmove", "memset", "strchr", "strcmp", "strlen", "strncmp", "strnlen",
    "mw_assert_failed",
    "strerrordesc_np",  # an errno's words out of a constant table, in no language but C's
    # what the compiler itself puts in: the linker's table, checked copies, the stack guard, the sanitizers' calls
    "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail", "__memcpy_chk", "__memmove_chk", "__memset_chk",
}
SANITIZER = re.compile(r"^__(asan|ubsan|tsan|sanitizer|gcov|llvm)_")
WRITABLE = re.compile(r"^\.(data|bss|tdata|tbss)(\.|$)")
READ_ONLY_AFTER_LINKING = re.compile(r"^\.data\.rel\.ro(\.|$)")


def lines(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def symbols(library, *options):
    """(member, name) of each symbol."""
    member = ""
    for line in lines("nm", *options, str(library)):
        if line.endswith(":"):
            member = line[:-1]
        elif line.strip():
            yield member, line.split()[-1]


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release")
    libraries = [build / f"libmw_{room}.a" for room in PURE]
    absent = [library.name for library in libraries if not library.is_file()]
    libraries = [library for library in libraries if library.is_file()]
    faults = [f"{name}: not built" for name in absent if name != "libmw_view.a"]
    defined = {name for library in libraries for _, name in symbols(library, "--defined-only")}
    for library in libraries:
        for member, name in symbols(library, "--undefined-only"):
            if name not in defined and name not in ALLOWED and not SANITIZER.match(name):
                faults.append(f"{library.name}({member}): needs {name}, which no pure code may call")
        member = ""
        for line in lines("objdump", "--section-headers", str(library)):
            words = line.split()
            if line and not line[0].isspace() and "file format" in line:
                member = words[0].rstrip(":")
            if len(words) < 3 or not words[0].isdigit():
                continue
            section, size = words[1], int(words[2], 16)
            if size > 0 and WRITABLE.match(section) and not READ_ONLY_AFTER_LINKING.match(section):
                faults.append(f"{library.name}({member}): {size} bytes of writable data in {section}")
        for line in lines("nm", str(library)):
            words = line.split()
            if len(words) == 3 and words[1] == "C":
                faults.append(f"{library.name}: common symbol {words[2]}")
    for fault in faults:
        print(fault)
    print(f"purity: {len(libraries)} libraries, {len(faults)} faults")
    return 1 if faults else 0


sys.exit(main())
