#!/bin/sh
# Writes man pages and completions out of the program's own command table: install_pages.sh PROGRAM SHARE_DIR
set -eu
program=$1
share=$2
mkdir -p "$share/man/man1" "$share/bash-completion/completions" "$share/zsh/site-functions" "$share/fish/vendor_completions.d"
"$program" man >"$share/man/man1/millwright.1"
# `completion` for bash names no file; each shell looks in its own place.
"$program" completion bash >"$share/bash-completion/completions/millwright"
"$program" completion zsh >"$share/zsh/site-functions/_millwright"
"$program" completion fish >"$share/fish/vendor_completions.d/millwright.fish"
# A page for each verb: the words in front of the first blank of the two-word verbs too.
"$program" help --json 2>/dev/null | python3 -c '
import json, sys
try:
    table = json.load(sys.stdin)
except ValueError:
    sys.exit(0)
for row in table.get("commands", []):
    print(row["name"])
' 2>/dev/null | while read -r verb; do
    # Two words are two arguments.
    # shellcheck disable=SC2086
    "$program" man $verb >"$share/man/man1/millwright-$(printf '%s' "$verb" | tr ' ' '-').1"
done
