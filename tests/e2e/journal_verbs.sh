#!/bin/sh
# Snapshots, extracts, positions and repairs from outside, beside the independent reader (P03, P04, P16, architecture 6).
# usage: journal_verbs.sh PROGRAM [NAME]
set -eu
exec python3 "$(dirname "$0")/journal_verbs.py" "$@"
