#!/bin/sh
# An agent in ten lines: it writes handlers that read one record, and leaves all others to whoever else has the skill.
# The task comes on standard input, the answer goes to standard output, files go into the current folder. docs/agents.md has the rest.
set -eu
task=$(cat)
of() { printf '%s' "$task" | jq -r "$1"; }
if [ "$(of .payload.use_case.effect)" != read ] || [ "$(of .payload.auth)" = false ]; then
    echo '{"error":{"class":"unsupported","message":"only handlers that read, with sign-in","retryable":false}}'
    exit 1
fi
folder="services/$(of .payload.slug)/src/handlers" && mkdir -p "$folder"
printf 'import { findOwn, present } from "../records.js";\n\nexport const handle = async ({ repositories, ownerId, id }) => ({ status: 200, body: present(await findOwn(repositories.%s, id, ownerId)) });\n' \
    "$(of '.payload.entity.name | (.[:1] | ascii_downcase) + .[1:]')" >"$folder/$(of .payload.use_case.slug).js"
of '{type: "HandlerReady", payload: {handler: .payload.handler}} | tojson'
