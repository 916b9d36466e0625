#!/bin/sh
# Builds targets of a preset of CMakePresets.json: build.sh PRESET TARGET…
#
# Configures when needed (also after the tree was moved); MW_TESTS=ON in the environment makes the tests known. Two at once wait for each other.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
preset=$1
shift
for program in cmake ninja; do
    if ! command -v "$program" >/dev/null 2>&1; then
        echo "make: $program is missing; 'make setup' installs what building needs" >&2
        exit 69
    fi
done
mkdir -p build
exec 9>"build/.lock-$preset"
flock 9
out="build/$preset"
tests=${MW_TESTS:-OFF}
if [ -f "$out/CMakeCache.txt" ]; then
    if ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$top" "$out/CMakeCache.txt"; then
        rm -rf "$out"
    elif grep -qx 'MW_TESTS:BOOL=ON' "$out/CMakeCache.txt"; then
        tests=ON
    fi
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cmake --preset "$preset" -DMW_TESTS="$tests" >"$log" 2>&1; then
    cat "$log" >&2
    echo "make: 'make setup' installs what building needs" >&2
    exit 1
fi
# Quiet while all is well.
if ! cmake --build "$out" --target "$@" >"$log" 2>&1 9>&-; then
    grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking|Re-)' "$log" >&2 || true
    exit 1
fi
