#!/bin/sh
# Installs what is missing of packages.txt.
#
#   setup.sh build|run|check|night|coverage     each part holds the ones before it; coverage those of check
#
# Quick and silent when nothing is missing. Exit 69 with the list when this machine cannot install (no apt-get, or neither root nor sudo).
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
upto=${1:-build}

case "$upto" in
build) parts=" build " ;;
run) parts=" build run " ;;
check) parts=" build run check " ;;
night) parts=" build run check night " ;;
coverage) parts=" build run check coverage " ;;
*)
    echo "setup.sh: '$upto' is none of build, run, check, night, coverage" >&2
    exit 2
    ;;
esac

missing=""
part=""
while read -r package program _; do
    case "$package" in
    '' | '#'*) continue ;;
    '['*) part=${package#[} part=${part%]} && continue ;;
    esac
    case "$parts" in *" $part "*) ;; *) continue ;; esac
    if [ -n "$program" ]; then
        command -v "$program" >/dev/null 2>&1 && continue
    elif command -v dpkg-query >/dev/null 2>&1; then
        case "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" in
        *installed*) continue ;;
        esac
    fi
    missing="$missing $package"
done <"$top/packages.txt"
[ -n "$missing" ] || exit 0

refuse() {
    echo "setup: missing:$missing" >&2
    echo "setup: $1" >&2
    exit 69
}
command -v apt-get >/dev/null 2>&1 || refuse "there is no apt-get here: install them, or what your system calls them, and try again"
root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || refuse "only root can install: as root, apt-get install$missing"
    root="sudo"
fi

echo "setup: installing$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Two at once wait for each other: dpkg has a lock, and apt-get waits for it. Words are split on purpose.
# shellcheck disable=SC2086
install_missing() {
    $root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends $missing >"$log" 2>&1
}
# A fresh machine has no package lists, and an old list names packages that are gone: then, and only then, read them anew.
if ! install_missing; then
    # shellcheck disable=SC2086
    $root apt-get update >>"$log" 2>&1 || true
    if ! install_missing; then
        tail -n 20 "$log" >&2
        refuse "apt-get could not install them"
    fi
fi
