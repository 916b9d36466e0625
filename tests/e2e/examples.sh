#!/bin/sh
# The examples do what README.md says of them: an own agent's work goes into the bundle, and a liar's does not.
#
#   examples.sh [PROGRAM]     default build/release/millwright
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
program=$(realpath "${1:-$top/build/release/millwright}")
place=$(mktemp -d)
failed=0

finish() {
    for workspace in "$place"/*/; do
        "$program" --workspace "$workspace" serve --stop >/dev/null 2>&1 || true
    done
    rm -rf "$place"
}
trap finish EXIT

# What gen printed is shown when something is not as expected.
expect() {
    name=$1
    shift
    if "$@"; then
        echo "ok $name"
    else
        echo "not ok $name"
        sed 's/^/    /' "$place/$how.log"
        failed=1
    fi
}
gen_with() {
    example=$1
    how=$2
    mkdir "$place/$how"
    cd "$place/$how"
    "$program" init >/dev/null
    mkdir agents
    cp "$top/examples/$example.sh" "$top/examples/$example.yaml" agents/
    sed -i "s/\"nothing\"/\"$how\"/" "agents/$example.yaml"
    "$program" agent register "agents/$example.yaml" >/dev/null
    code=0
    "$program" gen "Build a NotificationService with MongoDB and JWT auth" >"$place/$how.log" 2>&1 || code=$?
}
said() { grep -q "$1" "$place/$how.log"; }
absent() { ! grep -rq "$1" generated 2>/dev/null; }

gen_with agent own
expect "an own agent's build becomes a draft" [ "$code" = 0 ]
expect "its handler is in the bundle" grep -rq 'findOwn(repositories.notification, id, ownerId)) })' generated

gen_with liar nothing
expect "a claim without a change is refused, and the build goes on without the liar" [ "$code" = 0 ]
expect "the empty claim is called what it is" said 'claims success but changed nothing'

gen_with liar wrong
expect "a handler that answers nonsense fails the build" [ "$code" = 1 ]
expect "the nonsense is not staged" absent 'id: "anything"'

gen_with liar edit
expect "a test that is not the task's is refused, and the build goes on without the liar" [ "$code" = 0 ]
expect "the edit is called what it is" said 'changed files that are not its own'
expect "the edited test is not staged" absent 'all is well'

exit "$failed"
