#!/bin/sh
# The stack "node", end to end (see stack_node.js). usage: stack_node.sh PROGRAM [options]
# PROGRAM: millwright, or the test program test_render of the build.
set -eu
command -v node >/dev/null 2>&1 || { echo "skipped: node is not installed"; exit 0; }
exec node "$(dirname "$0")/stack_node.js" "$@"
