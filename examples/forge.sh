#!/bin/sh
# An agent that opens pull requests at a forge with GitHub's API, where the first-party one keeps a record beside the build's repository.
# FORGE_URL (https://api.github.com), FORGE_TOKEN; with FORGE_GIT_URL the branch is pushed there first. docs/agents.md has the rest.
set -eu
task=$(cat)
of() { printf '%s' "$task" | jq -r "$1"; }
[ -z "${FORGE_GIT_URL:-}" ] || git --git-dir="$(of .payload.repo)" push -q "$FORGE_GIT_URL" "$(of .payload.branch)"
of '.payload | {title, head: .branch, base: "main", body: "traceId: \(.traceId)\nblueprintId: \(.blueprintId)\nsessionId: \(.sessionId)\ncoordinator: \(.coordinator.name) \(.coordinator.version)\ntests: \(.tests.result), coverage \(.tests.coverage)"} | tojson' |
    curl -fsS -m 30 -H "Authorization: Bearer $FORGE_TOKEN" -H 'Content-Type: application/json' -d @- \
        "$FORGE_URL/repos/$(of .payload.targetRepo)/pulls" |
    jq -c --arg branch "$(of .payload.branch)" --arg service "$(of .payload.service)" \
        '{type: "PullRequestCreated", payload: {url: .html_url, status: .state, number, branch: $branch, service: $service}}'
