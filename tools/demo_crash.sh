#!/bin/sh
# make demo-crash: one gen during which its host and its agents are killed 20 times, beside one that is left alone. Nothing is shown that did not
# happen just now; exit 1 when anything differs.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
"$top/tools/setup.sh" run
command -v python3 >/dev/null 2>&1 || "$top/tools/setup.sh" check
"$top/tools/build.sh" release millwright
exec env PYTHONDONTWRITEBYTECODE=1 python3 "$top/tools/demo_crash.py" "$top/build/release/millwright"
