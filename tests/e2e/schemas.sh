#!/bin/sh
# The published JSON Schemas against what is really written and said (see schemas.py). usage: schemas.sh PROGRAM [--only TEXT]
set -eu
# Debian's package serves Debian's python3; one of somebody's own may have another copy, or none.
for python in python3 /usr/bin/python3; do
    if "$python" -c 'from jsonschema import Draft202012Validator' 2>/dev/null; then
        exec "$python" "$(dirname "$0")/schemas.py" "$@"
    fi
done
echo "skipped: not present: python3-jsonschema"
