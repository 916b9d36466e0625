#!/bin/sh
# Agents that take their work over the socket: leases, lost workers, lost hosts, late answers, hostile bodies. usage: workers.sh PROGRAM
set -eu
command -v python3 >/dev/null 2>&1 || { echo "skipped: not present: python3"; exit 0; }
exec env PYTHONDONTWRITEBYTECODE=1 python3 "$(dirname "$0")/workers.py" "$@"
