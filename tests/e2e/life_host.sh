#!/bin/sh
# The life of a host: races, attaching, idling, signals (P11, UF attach, architecture 8).
# usage: life_host.sh PROGRAM [NAME]
set -eu
exec python3 "$(dirname "$0")/life_host.py" "$@"
