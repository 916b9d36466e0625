#!/bin/sh
# What callers may send: repeats have one effect (P05), hostile requests are refused (P21).
# usage: life_requests.sh PROGRAM [NAME]
set -eu
exec python3 "$(dirname "$0")/life_requests.py" "$@"
