#!/bin/sh
# clang-format over every C file that git knows or would add: format.sh [FILE…]
set -eu
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then
    exec clang-format -i "$@"
fi
git ls-files -z --cached --others --exclude-standard -- '*.c' '*.h' | xargs -0 -r clang-format -i
