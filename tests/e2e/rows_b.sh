#!/bin/sh
# Feature rows CO, TG, CD, BL, AR and CL, one by one from outside (see rows_b.py). usage: rows_b.sh PROGRAM [--only TEXT]
set -eu
command -v python3 >/dev/null 2>&1 || { echo "skipped: not present: python3"; exit 0; }
exec python3 "$(dirname "$0")/rows_b.py" "$@"
