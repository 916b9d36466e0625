#!/bin/sh
# Every generator, replaced by one that does its work and spoils it: `gen` fails and names what failed; the unspoiled one passes.
# usage: generator_faults.sh PROGRAM     one fault: outside/try_faults.py PROGRAM NAME (outside/faults.py has them)
set -eu
for needed in python3 node git; do
    command -v "$needed" >/dev/null 2>&1 || { echo "skipped: $needed is not installed"; exit 0; }
done
exec python3 "$(dirname "$0")/outside/try_faults.py" "$1"
