#!/bin/sh
# make night: the long forms of all tests (MW_NIGHT=1), the same tests under sanitizers and valgrind, every planted defect, fuzzing, benches.
#
#   night.sh [PART…]     parts: check asan tsan valgrind planted fuzz bench; default: all. A part by itself adds to the summary that is there.
#   What was tried is counted in build/night-summary.txt, which is printed before the last line: one line a kind, with FAILED when it is broken or
#   fewer than wanted (tools/night_summary.py), and skipped when this machine cannot do it; both count as failed.
#   FUZZ_SECONDS (default 600) for each fuzz target. Ends with 'N passed, N failed' alone on a line; every part runs, whatever fails before.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
tools/setup.sh night
export MW_NIGHT=1
total=$(mktemp)
# A line of whoever counts something: what|how many|how many were broken|more words|ok, FAILED or skipped
mkdir -p build
export MW_SUMMARY="$top/build/night-summary.raw"
if [ $# -eq 0 ]; then
    rm -f "$MW_SUMMARY"
    set -- check asan tsan valgrind planted fuzz bench
fi
trap 'rm -f "$total"' EXIT

checked() {
    tools/check.sh | tee build/night-check.log || true
    sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed.*/\1 \2 0/p' build/night-check.log | tail -n 1 >>"$total"
}

sanitized() {
    preset=$1
    seeds=$2
    shift 2
    echo "== $preset"
    if ! MW_TESTS=ON tools/build.sh "$preset" tests millwright; then
        echo "0 1 0" >>"$total"
        return
    fi
    # The long forms ran without it, and more of the same teaches a sanitizer nothing: short forms, with some seeds more ($seeds). Programs need
    # address space without limit and more time; leaks of a test's own set-up are not the product's.
    env -u MW_NIGHT MW_SUMMARY='' MW_SEEDS="$seeds" ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=1 \
        UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1 \
        tools/run_tests.py --build "build/$preset" --label unit --label conformance --label sim --tally "$total" --timeout 7200 "$@" || true
    # The whole program, host and agents and all: one app, twice checked.
    if tools/host_smoke.sh "build/$preset/millwright"; then echo "1 0 0" >>"$total"; else echo "0 1 0" >>"$total"; fi
    # And every script in which the host's threads, sockets and children do much. Left out: those that spend their time in git, node and
    # generated apps, which no sanitizer sees (blueprints_random, examples, forge, generator_faults, probe_*, prompts, stack_node), and in
    # measuring (verbs_bench).
    env -u MW_NIGHT MW_SUMMARY='' MW_PATIENCE=4 ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=1 \
        UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1 \
        tools/run_tests.py --scripts tests/e2e --program "build/$preset/millwright" --reports "build/reports-$preset" --tally "$total" --timeout 1800 \
        --only agents_liars --only attempt_folders --only canaries --only crash_kill --only journal_verbs --only life_ --only people \
        --only promises --only rows_ --only schemas --only users_things --only verbs_loops --only workers || true
}

under_valgrind() {
    echo "== valgrind"
    MW_TESTS=ON tools/build.sh release tests
    # Short forms: memcheck makes everything thirty times slower. openat2, which Debian's valgrind does not know, is done by a library beside it.
    # Left out, each for a reason (they run under both sanitizers above): what holds its children by pidfd_open, which that valgrind does not know
    # either, lays rules on itself or gives them little time (exec, leftovers, sandbox, probe); what watches a child's system calls by ptrace, whose
    # answers valgrind takes for unset (promote_crash); a promotion once for each of its calls, with all its syncs (promote_faults).
    if ! "${CC:-cc}" -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -shared -fPIC -o build/valgrind_openat2.so tools/valgrind_openat2.c; then
        echo "0 1 0" >>"$total"
        return
    fi
    env -u MW_NIGHT MW_SEEDS=40 MW_SUMMARY='' tools/run_tests.py --build build/release --label unit --label conformance --label sim --tally "$total" \
        --timeout 7200 --under "env LD_PRELOAD=$top/build/valgrind_openat2.so valgrind --quiet --error-exitcode=99 --leak-check=no --suppressions=tools/valgrind.supp" \
        --skip probe --skip exec --skip sandbox --skip leftovers --skip promote_crash --skip promote_faults || true
}

planted() {
    echo "== planted defects"
    # What a planted defect breaks is no count of what was tried: planted.py keeps the summary from its detectors, and tells of itself.
    if tests/crash/planted.py; then echo "1 0 0" >>"$total"; else echo "0 1 0" >>"$total"; fi
    if MW_SUMMARY='' tests/crash/planted_host.py; then echo "1 0 0" >>"$total"; else echo "0 1 0" >>"$total"; fi
}

for part in "$@"; do
    case "$part" in
    check) checked ;;
    asan) sanitized asan 2000 ;;
    tsan)
        # The simulated host's threads are none: they are one, which changes stacks by itself, and a race has nobody to run against. The host's
        # real threads are looked at by the scripts.
        sanitized tsan 200 --skip sim_host
        ;;
    valgrind) under_valgrind ;;
    planted) planted ;;
    fuzz)
        echo "== fuzz"
        MW_TALLY="$total" tools/fuzz.sh "${FUZZ_SECONDS:-600}" || true
        ;;
    bench)
        echo "== bench"
        if tools/bench.sh; then echo "1 0 0" >>"$total"; else echo "0 1 0" >>"$total"; fi
        ;;
    *)
        echo "night.sh: there is no part '$part'" >&2
        exit 2
        ;;
    esac
done

echo "== summary"
if tools/night_summary.py "$MW_SUMMARY" "$@" >build/night-summary.txt; then echo "1 0 0" >>"$total"; else echo "0 1 0" >>"$total"; fi
cat build/night-summary.txt

awk '{passed += $1; failed += $2} END {printf "%d passed, %d failed\n", passed, failed; exit failed > 0}' "$total"
