#!/bin/sh
# Agents that lie, hang, crash, escape and multiply: what the control plane observed counts, never what they claim (P17, P20, FH-01, FH-02, SX-10).
# usage: agents_liars.sh PROGRAM [NAME]
set -eu
exec python3 "$(dirname "$0")/agents_liars.py" "$@"
