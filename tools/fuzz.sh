#!/bin/sh
# Every fuzz target for a given time: fuzz.sh [SECONDS] [TARGET…]. What is found new stays in build/fuzz/corpus/TARGET and helps the next run.
# A crash prints the file that causes it and the command that shows it again.
#
#   fuzz.sh --keep [TARGET…]   takes over what earlier runs found: whatever reaches something new goes from build/fuzz/corpus/TARGET to
#                              tests/fuzz/corpus/TARGET, under the digest of its bytes. At most 4 KiB a file and 40 of them a target, first
#                              what reaches most; what stands there under a name of its own is not counted, and nothing is removed.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
kept_bytes_max=4096
kept_files_max=40
keep=no
seconds=60
if [ "${1:-}" = --keep ]; then
    keep=yes
    shift
elif [ $# -gt 0 ]; then
    seconds=$1
    shift
fi
tools/setup.sh night
tools/build.sh fuzz all
passed=0 failed=0

# Folders that hold good inputs for a target.
seeds_of() {
    awk -v name="$1" '$1 == name {print $2}' tests/fuzz/seeds.txt
    [ ! -d "tests/fuzz/corpus/$1" ] || echo "tests/fuzz/corpus/$1"
}

run() {
    corpus="build/fuzz/corpus/$name"
    crashes="build/fuzz/crashes/$name"
    mkdir -p "$corpus" "$crashes"
    # shellcheck disable=SC2046
    if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$crashes/" "$corpus" $(seeds_of "$name") >"build/fuzz/$name.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok   $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$name.log") inputs in $seconds s"
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        tail -n 40 "build/fuzz/$name.log"
        echo "again: $target $crashes/<file>"
    fi
}

# Found inputs in a folder, in the order in which they were written: their names are the digests that libFuzzer gives them.
found_in() {
    find "$1" -maxdepth 1 -type f -size -"$((kept_bytes_max + 1))c" -printf '%T@ %f\n' 2>/dev/null |
        sort -n | sed -n 's/^[0-9.]* \([0-9a-f]\{40\}\)$/\1/p'
}

# libFuzzer adds to the first folder what of the second reaches something new, and first what reaches most of it. The first is a copy, so that
# a bound can be held.
keep_found() {
    found="build/fuzz/corpus/$name"
    work="build/fuzz/keep/$name"
    here="tests/fuzz/corpus/$name"
    rm -rf "$work"
    mkdir -p "$work/all" "$work/found" "$here"
    for folder in $(seeds_of "$name"); do
        find "$folder" -type f | while read -r file; do
            cp "$file" "$work/all/seed-$(echo "$file" | tr / _)"
        done
    done
    for file in $(found_in "$found"); do cp "$found/$file" "$work/found/"; done
    if ! "$target" -set_cover_merge=1 -timeout=10 -rss_limit_mb=2048 "$work/all" "$work/found" >"build/fuzz/$name.keep.log" 2>&1; then
        failed=$((failed + 1))
        echo "FAIL $name"
        tail -n 40 "build/fuzz/$name.keep.log"
        return 0
    fi
    count=$(found_in "$here" | wc -l)
    new=0
    for file in $(found_in "$work/all"); do
        [ $((count + new)) -lt "$kept_files_max" ] || break
        [ ! -e "$here/$file" ] || continue
        cp "$work/all/$file" "$here/$file"
        new=$((new + 1))
    done
    passed=$((passed + 1))
    echo "ok   $name: $new kept, $((count + new)) found ones in all"
    rm -rf "$work"
    rmdir "$here" 2>/dev/null || true # nothing was kept, and nothing stood there
}

for target in build/fuzz/fuzz_*; do
    case "$target" in *.log | *\**) continue ;; esac
    name=${target##*/}
    case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
    if [ $keep = yes ]; then keep_found; else run; fi
done
[ -z "${MW_TALLY:-}" ] || echo "$passed $failed 0" >>"$MW_TALLY"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
