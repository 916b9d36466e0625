#!/bin/sh
# An agent that says it did the work. How it lies is its first argument, or LIAR in the environment:
#   nothing   claims success and writes no file           -> the difference of its folder is empty: the attempt has failed
#   wrong     writes a handler that answers nonsense      -> the checks that the control plane runs itself fail
#   edit      writes the handler and a test that is not its own, so that the tests pass -> a path outside its task: the attempt has failed
set -eu
how=${1:-${LIAR:-nothing}}
task=$(cat)
of() { printf '%s' "$task" | jq -r "$1"; }
service="services/$(of .payload.slug)"
write_handler() {
    mkdir -p "$service/src/handlers"
    echo 'export const handle = async () => ({ status: 200, body: { id: "anything" } });' >"$service/src/handlers/$(of .payload.use_case.slug).js"
}
case "$how" in
nothing) ;;
wrong) write_handler ;;
edit)
    write_handler
    mkdir -p "$service/test"
    echo 'import test from "node:test"; test("all is well", () => {});' >"$service/test/all-is-well.test.js"
    ;;
*)
    echo "liar.sh: '$how' is none of nothing, wrong, edit" >&2
    exit 2
    ;;
esac
of '{type: "HandlerReady", payload: {handler: .payload.handler}, rationale: "All tests pass. I checked everything twice."} | tojson'
