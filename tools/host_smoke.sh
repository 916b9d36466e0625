#!/bin/sh
# One app from a prompt to a promoted version with a host and agents of the program given, then verify and the host's orderly end: for
# programs built with a sanitizer. host_smoke.sh PROGRAM. Whatever a sanitizer says anywhere is a failure and is shown.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
program=$(realpath "$1")
place=$(mktemp -d)
finish() {
    "$program" --workspace "$place/w" serve --stop >/dev/null 2>&1 || true
    rm -rf "$place"
}
trap finish EXIT
mkdir "$place/w"
cd "$place/w"
reports="$place/report"
# Children of a sandbox have little address space and may not write where the reports lie: they report on their standard error.
export ASAN_OPTIONS="detect_leaks=0:log_path=$reports" UBSAN_OPTIONS="print_stacktrace=1:log_path=$reports" TSAN_OPTIONS="halt_on_error=1:log_path=$reports"
export MILLWRIGHT_FACTORY="$top/factory"
step() {
    if ! "$program" "$@" >"$place/out" 2>&1; then
        cat "$place/out"
        cat "$reports"* 2>/dev/null || true
        echo "FAIL host_smoke: millwright $*"
        exit 1
    fi
}
step gen "Build a todo list"
step accept
step promote
step status
step verify
step serve --stop
if ls "$reports"* >/dev/null 2>&1; then
    cat "$reports"*
    echo "FAIL host_smoke: a sanitizer found something"
    exit 1
fi
echo "ok   host_smoke $program"
