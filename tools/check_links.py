#!/usr/bin/env python3
"""Links between the pages lead somewhere, and docs/index.md names every page. No argument; exit 1 with one line a fault."""
import pathlib
import re
import sys

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def main():
    top = pathlib.Path(__file__).resolve().parent.parent
    pages = sorted([*top.glob("*.md"), *(top / "docs").rglob("*.md")])
    faults = []
    for page in pages:
        for number, line in enumerate(page.read_text(encoding="utf-8").split("\n"), 1):
            for target in LINK.findall(line):
                if re.match(r"[a-z]+:", target):
                    continue
                path = target.split("#")[0]
                if path and not (page.parent / path).exists():
                    faults.append(f"{page.relative_to(top)}:{number}: '{target}' leads nowhere")
    index = (top / "docs/index.md").read_text(encoding="utf-8")
    for page in sorted((top / "docs").rglob("*.md")):
        name = page.relative_to(top / "docs").as_posix()
        if name != "index.md" and f"({name})" not in index:
            faults.append(f"docs/index.md: does not name {name}")
    for fault in faults:
        print(fault)
    print(f"links: {len(pages)} pages, {len(faults)} faults")
    return 1 if faults else 0


sys.exit(main())
