#!/bin/sh
# Every fuzz target for a given time: fuzz.sh [SECONDS] [TARGET…]. What is found new stays in build/fuzz/corpus/TARGET and helps the next run.
# A crash prints the file that causes it and the command that shows it again.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
seconds=${1:-60}
[ $# -eq 0 ] || shift
tools/setup.sh night
tools/build.sh fuzz all
passed=0 failed=0
for target in build/fuzz/fuzz_*; do
    case "$target" in *.log | *\**) continue ;; esac
    name=${target##*/}
    case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
    corpus="build/fuzz/corpus/$name"
    crashes="build/fuzz/crashes/$name"
    mkdir -p "$corpus" "$crashes"
    seeds=$(awk -v name="$name" '$1 == name {print $2}' tests/fuzz/seeds.txt)
    [ ! -d "tests/fuzz/corpus/$name" ] || seeds="$seeds tests/fuzz/corpus/$name"
    # shellcheck disable=SC2086
    if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$crashes/" "$corpus" $seeds >"build/fuzz/$name.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok   $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$name.log") inputs in $seconds s"
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        tail -n 40 "build/fuzz/$name.log"
        echo "again: $target $crashes/<file>"
    fi
done
[ -z "${MW_TALLY:-}" ] || echo "$passed $failed 0" >>"$MW_TALLY"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
