#!/bin/sh
# Random blueprints in random spellings, each from its file to a running app that an outsider uses and starts again; files that cannot be
# built; the same file in two workspaces. usage: blueprints_random.sh PROGRAM
#   MW_SEED      default: s2, printed with every result; one blueprint again: outside/try_random.py PROGRAM SEED.NUMBER 1
#   MW_NIGHT=1   two hundred instead of twenty, and larger ones
set -eu
for needed in python3 node git; do
    command -v "$needed" >/dev/null 2>&1 || { echo "skipped: $needed is not installed"; exit 0; }
done
here=$(cd "$(dirname "$0")" && pwd)/outside
seed=${MW_SEED:-s2}
if [ -n "${MW_NIGHT:-}" ]; then
    set -- "$1" "$seed" 200
else
    set -- "$1" "$seed" 20 --small
fi
failed=0
python3 "$here/try_invalid.py" "$1" || failed=1
# Seeds that once found something: a counter whose bound is far from zero, on one side or on both.
for kept in s2.5 s2.33; do
    python3 "$here/try_random.py" "$1" "$kept" 1 || failed=1
done
python3 "$here/try_random.py" "$@" --twice || failed=1
exit "$failed"
