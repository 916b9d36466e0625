#!/usr/bin/env python3
"""Numbers as a table, with the machine they were measured on: bench_table.py LINES [JSON_FILE]"""
import json
import os
import platform
import sys


def machine():
    found = {"system": f"{platform.system()} {platform.release()}", "cores": os.cpu_count()}
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            found["processor"] = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")
        with open("/proc/meminfo", encoding="utf-8") as file:
            found["memory_gib"] = round(int(file.readline().split()[1]) / 1048576, 1)
        found["load"] = os.getloadavg()[0]
    except OSError:
        pass
    return found


def shown(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    here = machine()
    print(f"{here.get('processor', 'unknown')}, {here['cores']} cores, {here.get('memory_gib', '?')} GiB, {here['system']}, load {here.get('load', '?')}")
    name_width = max(len(row["name"]) for row in rows)
    group = None
    for row in rows:
        if row["group"] != group:
            group = row["group"]
            print(f"\n{group}")
        print(f"  {row['name']:<{name_width}}  {shown(row['value']):>12} {row['unit']:<10} {row['note']}".rstrip())
    if len(sys.argv) > 2:
        with open(sys.argv[2], "w", encoding="utf-8") as file:
            json.dump({"machine": here, "rows": rows}, file, indent=1)


main()
