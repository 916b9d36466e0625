#!/bin/sh
# Pull requests at a stub forge, by the example agent (see forge.py). usage: forge.sh PROGRAM
set -eu
command -v jq >/dev/null 2>&1 || { echo "skipped: jq is not installed"; exit 0; }
exec python3 "$(dirname "$0")/forge.py" "$@"
