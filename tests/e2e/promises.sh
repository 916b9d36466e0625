#!/bin/sh
# Promises from outside, on a real host: dead letters and poison (P08), clocks (P07), back-pressure (P09).
# usage: promises.sh PROGRAM [NAME]
set -eu
command -v python3 >/dev/null 2>&1 || { echo "skipped: not present: python3"; exit 0; }
exec env PYTHONDONTWRITEBYTECODE=1 python3 "$(dirname "$0")/promises.py" "$@"
