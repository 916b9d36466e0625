#!/bin/sh
# ValidateBundle on a small bundle around probe_reference.js: whole it passes; each damage is found by the validator that is named for it.
# usage: probe_bundle.sh PROGRAM     PROGRAM: the millwright program, default build/millwright
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if ! command -v node >/dev/null 2>&1; then
    echo "skipped: not present: node"
    exit 0
fi
exec node "$here/probe_bundle.js" "$@"
