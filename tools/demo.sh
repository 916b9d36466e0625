#!/bin/sh
# make demo: from a prompt to a running app in ./demo-workspace, and what to type next. Nothing is shown that did not happen just now.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
"$top/tools/setup.sh" run
"$top/tools/build.sh" release millwright
program="$top/build/release/millwright"
place="$top/demo-workspace"
mark="$place/.millwright/made-by-make-demo"

# Two demos at once take turns.
exec 9>"$top/build/.lock-demo"
flock 9
if [ -d "$place" ] && [ -n "$(ls -A "$place")" ]; then
    if [ ! -e "$mark" ]; then
        echo "demo: $place holds something that no demo made; move it away first" >&2
        exit 77
    fi
    "$program" --workspace "$place" serve --stop >/dev/null 2>&1 9>&- || true
    rm -rf "$place"
fi
mkdir -p "$place"
cd "$place"

answers=$(mktemp -d)
up_pid=""
finish() {
    [ -z "$up_pid" ] || kill "$up_pid" 2>/dev/null || true
    rm -rf "$answers"
    # Also after a demo that failed, so that the next one may start afresh.
    [ ! -d "$place/.millwright" ] || : >"$mark"
}
trap finish EXIT
trap 'exit 130' INT TERM

say() { printf '\n$ %s\n' "$*"; }
step() {
    say "$@"
    shift
    "$program" "$@" 9>&-
}

say 'millwright gen "Build a NotificationService with MongoDB and JWT auth"'
"$program" gen "Build a NotificationService with MongoDB and JWT auth" 9>&-
for verb in review accept promote; do
    step millwright "$verb"
done

say millwright up --json
mkfifo "$answers/up"
"$program" up --json >"$answers/up" 9>&- &
up_pid=$!
exec 8<"$answers/up"
if ! IFS= read -r ready <&8; then
    echo "demo: the app did not come up" >&2
    wait "$up_pid"
    exit 1
fi
printf '%s\n' "$ready" | sed 's/"token":"[^"]*"/"token":"…"/'
cat <&8 >"$answers/log" &
# One value of the first line by its path: node is there, since the app needs it.
value() { printf '%s' "$ready" | node -e 'let v = JSON.parse(require("fs").readFileSync(0, "utf8")); for (const key of process.argv.slice(1)) v = v?.[key]; console.log(v ?? "")' "$@"; }
url=$(value services 0 url)
token=$(value token)
body='{"recipient":"ada@example.org","message":"The mill is turning"}'

request() {
    printf '\n'
    curl --silent --show-error --max-time 10 --write-out '\n' "$@"
}
say "curl -H 'Authorization: Bearer …' -H 'Content-Type: application/json' -d '$body' $url/notifications"
request -H "Authorization: Bearer $token" -H 'Content-Type: application/json' -d "$body" "$url/notifications" | tee "$answers/made"
grep -q '"id"' "$answers/made" || { echo "demo: the app did not take the notification" >&2; exit 1; }
say "curl -H 'Authorization: Bearer …' $url/notifications"
request -H "Authorization: Bearer $token" "$url/notifications" | tee "$answers/list"
grep -q '"total":1' "$answers/list" || { echo "demo: the app does not list what it took" >&2; exit 1; }
say "curl -i $url/notifications        # without a token"
request -i "$url/notifications" | tee "$answers/refused"
grep -q '^HTTP/1.1 401' "$answers/refused" || { echo "demo: the app answers without a token" >&2; exit 1; }

say "kill -TERM $up_pid        # what Ctrl-C does"
kill -TERM "$up_pid"
code=0
wait "$up_pid" || code=$?
up_pid=""
case "$code" in
0 | 130 | 143) ;;
*)
    echo "demo: the app ended with $code" >&2
    exit 1
    ;;
esac

cat <<END

program:  $program
app:      $place/app
next:     cd $(printf '%s' "$place" | sed "s/'/'\\\\''/g; s/.*/'&'/")
          $program status
          $program why app/services/notification/src/main.js
          $program gen "Build a todo list with due dates"       # the next version
          $program help
END
