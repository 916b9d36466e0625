#!/bin/sh
# Where a workspace may lie, what may be missing, and a disk that fills up (P10).
# usage: life_places.sh PROGRAM [NAME]
set -eu
exec python3 "$(dirname "$0")/life_places.py" "$@"
