#!/usr/bin/env bash
# Builds an OpenTelemetry collector with what test_traces.py needs of it, by the project's own builder, into the cache of
# ./dev, where it stays until builder.yaml changes. It takes Go 1.22 or newer (Debian 12 has 1.19) and 180 s of CPU, so
# ./dev test operations does it with --long alone; the test runs wherever it has been done.
set -euo pipefail
NEEDS=1.22
here=$(dirname "$(readlink -f "$0")")
cache="${XDG_CACHE_HOME:-$HOME/.cache}/tutti"
target="$cache/tools/otelcol"
cmp -s "$here/builder.yaml" "$target/builder.yaml" && exit

has=$(go env GOVERSION 2>/dev/null || true)
if ! printf 'go%s\n%s\n' $NEEDS "$has" | sort -V -C; then
    echo "build.sh: the OpenTelemetry collector takes Go $NEEDS or newer; here is ${has:-none}" >&2
    exit 1
fi
mkdir -p "$cache"
folder=$(mktemp -d "$cache/otelcol.XXXXXX")
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/source"
cp "$here/builder.yaml" "$folder/source"
export GOPATH="$folder/go" GOCACHE="$folder/cache" GOFLAGS="${GOFLAGS:-} -modcacherw" # nothing stays but the program
(cd "$folder/source" && timeout 1200 go run go.opentelemetry.io/collector/cmd/builder@v0.115.0 --config builder.yaml)
mkdir -p "$target/usr/bin"
mv "$folder/source/otelcol" "$target/usr/bin/otelcol"
cp "$here/builder.yaml" "$target/builder.yaml"
