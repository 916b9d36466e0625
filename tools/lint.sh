#!/bin/sh
# The gates that need no running program: lint.sh [BUILD_DIR]. Each says its name and what it found; all run, whatever fails before.
# With MW_TALLY, appends 'passed failed skipped' to that file.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
build=${1:-build/release}
passed=0 failed=0 skipped=0

gate() {
    name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $name"
    fi
}
sources() {
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files -z --cached --others --exclude-standard -- "$@"
    else
        for pattern in "$@"; do find src tests tools examples -name "$pattern" -print0 2>/dev/null; done
    fi
}
check_format() {
    # Another version formats otherwise; the house's is Debian 12's.
    case "$(clang-format --version)" in
    *' version 14.'*) ;;
    *)
        echo "skipped: clang-format 14 is not here"
        return 0
        ;;
    esac
    sources '*.c' '*.h' | xargs -0 -r clang-format --dry-run -Werror 2>&1 | grep -E '^[^ ].*: (error|warning):' | cut -d: -f1,2 | sort -u >"$list" || true
    sed 's/$/: clang-format would write it otherwise (make format)/' "$list"
    [ ! -s "$list" ] && echo "format: clean"
}
check_shell() {
    sources '*.sh' | xargs -0 -r shellcheck --exclude=SC2317 && shellcheck .ci/run && echo "shell: clean"
}

list=$(mktemp)
trap 'rm -f "$list"' EXIT
gate includes tools/check_includes.py
gate purity tools/check_purity.py "$build"
gate text tools/check_text.py
gate links tools/check_links.py
gate promises tools/check_promises.py
gate format check_format
if command -v shellcheck >/dev/null 2>&1; then
    gate shell check_shell
else
    skipped=$((skipped + 1))
    echo "skipped: shellcheck is not here"
fi
[ -z "${MW_TALLY:-}" ] || echo "$passed $failed $skipped" >>"$MW_TALLY"
[ "$failed" = 0 ]
