#!/bin/sh
# A secret is looked for in everything that is kept, in each of its forms, whoever said it (P19).
# usage: canaries.sh PROGRAM [NAME]
set -eu
command -v python3 >/dev/null 2>&1 || { echo "skipped: not present: python3"; exit 0; }
exec env PYTHONDONTWRITEBYTECODE=1 python3 "$(dirname "$0")/canaries.py" "$@"
