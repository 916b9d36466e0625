#!/bin/sh
# make check: everything that must hold before a change lands. MW_NIGHT=1: the long forms of the same tests.
#
#   check.sh [PART…]     parts: build clang lint replay unit conformance sim crash e2e planted; default: all. tests: unit, conformance, sim and crash at once
# Ends with 'N passed, N failed' alone on a line; exit 1 when something failed.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
"$top/tools/setup.sh" check
tally=$(mktemp)
durations=$(mktemp)
trap 'rm -f "$tally" "$durations"' EXIT
export MW_TALLY="$tally" MW_TESTS=ON
begun=$(date +%s)

count_failed() {
    awk '{failed += $2} END {print failed + 0}' "$tally"
}
part() {
    name=$1
    counts_itself=$2
    shift 2
    echo "== $name"
    from=$(date +%s)
    failed_before=$(count_failed)
    if "$@"; then result=ok; else result=FAILED; fi
    # A part that does not count, or that failed before it could, counts as one.
    if [ "$counts_itself" = no ] && [ "$result" = ok ]; then
        echo "1 0 0" >>"$tally"
    elif [ "$result" = FAILED ] && [ "$(count_failed)" = "$failed_before" ]; then
        echo "0 1 0" >>"$tally"
    fi
    echo "$name $(($(date +%s) - from)) s $result" >>"$durations"
    [ "$result" = ok ]
}
tests() {
    labels=''
    for label in "$@"; do labels="$labels --label $label"; done
    # shellcheck disable=SC2086 # words
    tools/run_tests.py --build build/release $labels --tally "$tally"
}

# P16: the kept journals by another compiler, without optimisation and with all of it; only what replays is built, each in a folder of its own.
replay() {
    differs=0
    for preset in clang-O0 clang-O3; do
        echo "$preset"
        if ! tools/build.sh "$preset" test_kept_journals ||
            ! tools/run_tests.py --build "build/$preset" --label unit --only test_kept_journals --tally "$tally"; then
            differs=1
        fi
    done
    [ "$differs" = 0 ]
}

# A few of the planted defects, others every day. The night plants all of them, after everything else.
if [ $# -eq 0 ]; then
    set -- build clang lint replay tests e2e
    [ -n "${MW_NIGHT:-}" ] || set -- "$@" planted
fi
for wanted in "$@"; do
    case "$wanted" in
    build)
        if ! part build no tools/build.sh release all benches; then
            echo "0 passed, 1 failed"
            exit 1
        fi
        ;;
    clang) part clang no tools/check_clang.py build/release || true ;;
    lint) part lint yes tools/lint.sh build/release || true ;;
    replay) part replay yes replay || true ;;
    tests) part tests yes tests unit conformance sim crash || true ;;
    unit | conformance | sim | crash) part "$wanted" yes tests "$wanted" || true ;;
    planted) part planted no tests/crash/planted.py --seconds "${PLANTED_SECONDS:-60}" || true ;;
    e2e) part e2e yes tests/e2e/run.sh --tally "$tally" || true ;;
    *)
        echo "check.sh: there is no part '$wanted'" >&2
        exit 2
        ;;
    esac
done

echo "== durations"
awk '{printf "%-12s %5s %s %s\n", $1, $2, $3, $4}' "$durations"
printf '%-12s %5s s\n' all "$(($(date +%s) - begun))"
awk '
    {passed += $1; failed += $2; skipped += $3}
    END {
        printf "%d passed, %d failed", passed, failed
        if (skipped > 0) printf ", %d skipped", skipped
        printf "\n"
        exit failed > 0
    }' "$tally"
