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
# A page for each verb, as `help` lists them: two blanks, one or two words, at least two blanks, what it does.
"$program" help | sed -n 's/^  \([a-z]\{1,\}\( [a-z]\{1,\}\)\{0,1\}\)  .*/\1/p' | while read -r verb; do
    # Two words are two arguments.
    # shellcheck disable=SC2086
    "$program" man $verb >"$share/man/man1/millwright-$(printf '%s' "$verb" | tr ' ' '-').1"
done
