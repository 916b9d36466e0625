#!/bin/sh
# From words to a running app: prompts, questions in a pipe and their answers, the next version and the way back, and where a line comes
# from. usage: prompts.sh PROGRAM     MW_NIGHT=1: more prompts. One of them again: outside/try_prompts.py PROGRAM WORDS
set -eu
for needed in python3 node git; do
    command -v "$needed" >/dev/null 2>&1 || { echo "skipped: $needed is not installed"; exit 0; }
done
exec python3 "$(dirname "$0")/outside/try_prompts.py" "$1"
