#!/bin/sh
# make coverage: branches and MC/DC of the parts that may not be wrong (tests/coverage_files.txt), reached by unit, conformance, simulation
# and crash tests.
#
# build/coverage/report.txt: one line a file, then every branch and condition that nothing reached; build/coverage/html: the sources with
# counts. What cannot be reached stands with its reason in tests/coverage_exceptions.txt; a line there for what is reached is an error, and
# so is what was not reached and is not named.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
tools/setup.sh coverage
MW_TESTS=ON tools/build.sh coverage tests
out=build/coverage
rm -rf "$out/raw" "$out/html"
mkdir -p "$out/raw"
# Profiles of one program are merged as they are written, children's into their parents'. A sandboxed child may not write there, so the test of
# the sandbox stays out.
export LLVM_PROFILE_FILE="$top/$out/raw/%m.profraw"
for label in unit conformance sim crash; do
    tools/run_tests.py --build "$out" --label "$label" --skip test_sandbox >"$out/$label.log" 2>&1 || {
        grep -A40 '^FAIL' "$out/$label.log" >&2 || tail -n 40 "$out/$label.log" >&2
        echo "coverage: a test failed under measurement ($out/$label.log)" >&2
        exit 1
    }
done
tools/coverage_table.py "$out"
