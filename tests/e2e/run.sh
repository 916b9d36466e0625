#!/bin/sh
# The end-to-end scripts of this folder against the built program. Each prints `ok NAME` or `not ok NAME` for what it proves.
#
#   run.sh [PROGRAM] [--only TEXT] …     default program: build/release/millwright; options of tools/run_tests.py go through
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
program="$top/build/release/millwright"
case "${1:-}" in '' | -*) ;; *) program=$1 && shift ;; esac
if [ ! -x "$program" ]; then
    echo "run.sh: '$program' is not built: make" >&2
    exit 69
fi
exec python3 "$top/tools/run_tests.py" --scripts "$here" --program "$program" "$@"
