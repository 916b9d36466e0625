#!/bin/sh
# make golden: the tests that compare with kept output write it anew instead. Read the diff; commit it only if every changed line has a reason.
set -eu
cd "$(dirname "$0")/.."
tools/setup.sh check
MW_TESTS=ON tools/build.sh release tests
export MW_GOLDEN=1
# A rewritten expectation is still a failure of the test that rewrites it.
tools/run_tests.py --build build/release --label unit --only catalogue >/dev/null || true
tools/run_tests.py --build build/release --label unit --only view_golden >/dev/null || true
tools/run_tests.py --build build/release --label sim >/dev/null || true
git --no-pager diff --stat -- tests
