#!/bin/sh
# kill -9 of the host, an agent, its supervisor or the command line at random moments of a gen: nothing finished is lost or done again.
# usage: crash_kill.sh PROGRAM [NAME]     MW_SEED repeats a run, MW_NIGHT=1 does more
set -eu
exec python3 "$(dirname "$0")/crash_kill.py" "$@"
