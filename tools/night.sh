#!/bin/sh
# make night: the long forms of all tests (MW_NIGHT=1), the same tests under sanitizers, fuzzing, benches.
#
#   FUZZ_SECONDS (default 600) for each fuzz target. Ends with 'N passed, N failed' alone on a line; every part runs, whatever fails before.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
tools/setup.sh night
export MW_NIGHT=1
total=$(mktemp)
trap 'rm -f "$total"' EXIT

tools/check.sh | tee build/night-check.log || true
sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed.*/\1 \2 0/p' build/night-check.log | tail -n 1 >>"$total"

sanitized() {
    preset=$1
    shift
    echo "== $preset"
    if ! MW_TESTS=ON tools/build.sh "$preset" tests; then
        echo "0 1 0" >>"$total"
        return
    fi
    # Under a sanitizer programs need address space without limit and a little more time; leaks of a test's own set-up are not the product's.
    for label in unit conformance sim; do
        ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1 \
            tools/run_tests.py --build "build/$preset" --label "$label" --tally "$total" "$@" || true
    done
}
sanitized asan
# The sanitizer's own thread is one process more than test_exec counts.
sanitized tsan --skip test_exec

echo "== planted faults"
for script in tests/crash/planted_*.py; do
    if python3 "$script"; then echo "1 0 0" >>"$total"; else echo "0 1 0" >>"$total"; fi
done

echo "== fuzz"
MW_TALLY="$total" tools/fuzz.sh "${FUZZ_SECONDS:-600}" || true

echo "== bench"
if tools/bench.sh; then echo "1 0 0" >>"$total"; else echo "0 1 0" >>"$total"; fi

awk '{passed += $1; failed += $2} END {printf "%d passed, %d failed\n", passed, failed; exit failed > 0}' "$total"
