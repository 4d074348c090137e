#!/usr/bin/env bash
# Runs the browser tests: run.sh [BINARY] [TEST…]. BINARY (else $TUTTI_BINARY, else build/tutti) is started by the
# tests themselves, on ports and data of their own. $RESULTS: where JUnit XML goes. $SHOTS: where pictures go.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
root=$(readlink -f ../..)

if [ $# -gt 0 ] && [[ $1 != *.mjs ]]; then
    TUTTI_BINARY=$(readlink -f "$1")
    shift
fi
export TUTTI_BINARY=${TUTTI_BINARY:-$root/build/tutti}
export SHOTS=${SHOTS:-$root/build/screenshots}
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
results=${RESULTS:-$root/build/results/browser.xml}
mkdir -p "$SHOTS" "$(dirname "$results")"

[ -x "$TUTTI_BINARY" ] || { echo "run.sh: there is no program $TUTTI_BINARY; ./dev build makes it" >&2; exit 2; }
[ -x "$CHROMIUM" ] || { echo "run.sh: there is no browser $CHROMIUM; apt-get install chromium" >&2; exit 2; }
if ! cmp -s package-lock.json node_modules/.tutti-lock.json; then
    npm ci --no-audit --no-fund --silent
    cp package-lock.json node_modules/.tutti-lock.json
fi

tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=(*.test.mjs)
TMPDIR=$(mktemp -d --tmpdir tutti-browser-XXXXXX) # what a killed Chromium leaves goes with it
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
node --test \
    --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=./junit.mjs --test-reporter-destination="$results" \
    "${tests[@]}"
