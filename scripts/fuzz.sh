#!/usr/bin/env bash
# Runs every fuzz target of the repository for the given time each: scripts/fuzz.sh 30s
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:-30s}
targets=$(grep -rno --include='*_test.go' --exclude-dir=testdata --exclude-dir=node_modules '^func Fuzz[A-Za-z0-9_]*' . | sort -u || true)
if [ -z "$targets" ]; then
	echo "no fuzz targets" >&2
	exit 1
fi
while IFS=: read -r file _ function; do
	name=${function#func }
	echo "== $name in $(dirname "$file") for $time"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$(dirname "$file")" </dev/null
done <<<"$targets"
