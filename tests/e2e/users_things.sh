#!/bin/sh
# What is the user's stays as it is, whatever verb is used beside it (P23). usage: users_things.sh PROGRAM [NAME]
set -eu
command -v python3 >/dev/null 2>&1 || { echo "skipped: not present: python3"; exit 0; }
command -v git >/dev/null 2>&1 || { echo "skipped: not present: git"; exit 0; }
exec env PYTHONDONTWRITEBYTECODE=1 python3 "$(dirname "$0")/users_things.py" "$@"
