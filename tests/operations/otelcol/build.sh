#!/usr/bin/env bash
# Builds an OpenTelemetry collector with what test_traces.py needs of it, by the project's own builder, into the cache of
# ./dev. It takes Go 1.22 or newer and minutes, so no suite does it; the test runs where this has been done.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
target="${XDG_CACHE_HOME:-$HOME/.cache}/tutti/tools/otelcol"
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cp "$here/builder.yaml" "$folder"
(cd "$folder" && go run go.opentelemetry.io/collector/cmd/builder@v0.115.0 --config builder.yaml)
mkdir -p "$target/usr/bin"
mv "$folder/otelcol" "$target/usr/bin/otelcol"
