#!/bin/sh
# The probe against a service that nobody generated (probe_reference.js): the clean one passes under every algorithm and store, and each
# planted fault is found by a check that names it.
# usage: probe_faults.sh PROGRAM [FAULT…]     PROGRAM: the millwright program (`PROGRAM __agent check` reads a task), default build/millwright
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if ! command -v node >/dev/null 2>&1; then
    echo "skipped: not present: node"
    exit 0
fi
exec node "$here/probe_faults.js" "$@"
