#!/bin/sh
# make bench: the workloads of `millwright bench`, and the parts alone: the core's step, durable records beside the disk's own rate, start-up and idle memory, and what the control plane adds to a build.
#
#   bench.sh [FOLDER]     where the disk is measured; default build/. The numbers stay in build/bench.json.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
tools/setup.sh check
MW_TESTS=ON tools/build.sh release benches
[ ! -f src/main.c ] || tools/build.sh release millwright
folder=${1:-build}
exec 9>build/.lock-bench
flock 9
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
build/release/bench_core >>"$lines"
build/release/bench_journal "$folder" >>"$lines"
if [ -x build/release/millwright ]; then
    python3 tools/bench_program.py build/release/millwright "$folder" >>"$lines" 9>&-
fi
python3 tools/bench_table.py "$lines" build/bench.json
if [ -x build/release/millwright ]; then
    echo
    build/release/millwright bench --dir "$folder" --runs 3 9>&-
fi
