#!/bin/sh
# People who do the work of agents: tasks that make files, answered with a folder (FH-11), and builds that nobody made a file for.
# usage: people.sh PROGRAM [NAME]
set -eu
command -v python3 >/dev/null 2>&1 || { echo "skipped: not present: python3"; exit 0; }
exec env PYTHONDONTWRITEBYTECODE=1 python3 "$(dirname "$0")/people.py" "$@"
