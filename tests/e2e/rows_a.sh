#!/bin/sh
# The acceptance checks of feature rows, each from outside: ok ROW what / not ok ROW what. rows_a.sh [PROGRAM] [ONLY]
exec python3 "$(dirname "$0")/rows_a.py" "$@"
