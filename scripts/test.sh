#!/usr/bin/env bash
# Runs all tests: scripts/test.sh PARALLEL TIMEOUT [go test's flags]. What failed is told again at the end of the log, where one looks first.
set -uo pipefail
cd "$(dirname "$0")/.."

parallel=$1 timeout=$2
shift 2
log=$(mktemp)
trap 'rm -f "$log"' EXIT

go vet ./... && go build ./... || exit
{
	# What takes longest comes first, or one core would wait for it at the end.
	mapfile -t packages < <(go list ./e2e ./proxy ./rebalance ./e2e/difftest ./saga ./router ./... | grep -v '/ring$')
	# -s -w: linking a test takes half as long without what only debuggers read.
	go test -race -vet=off -ldflags='-s -w' -p "$parallel" -timeout "$timeout" "$@" "${packages[@]}"
	rc=$?
	# Values that never change and start no goroutine: the race detector would only make them ten times as slow.
	go test -vet=off -timeout "$timeout" "$@" ./ring && exit $rc
} 2>&1 | tee "$log"
rc=${PIPESTATUS[0]}
if [ "$rc" -ne 0 ]; then
	echo "== failed:"
	# What the tests say, without what servers and proxies log; and the first race, whole. Also the tests that ran when a package's time was up.
	grep -E '^[[:space:]]*--- FAIL|^FAIL|^panic: |^[[:space:]]+Test[A-Za-z0-9_/]+ \([0-9.hms]+\)$|^ +[a-z0-9_]+_test\.go:[0-9]+: ' "$log" |
		grep -vE '_test\.go:[0-9]+: (pgring.s log|s[0-9]+): ' | cut -c1-300 | tail -n 60
	sed -n '/^WARNING: DATA RACE/,/^=====/{p;/^=====/q}' "$log" | cut -c1-200
fi
exit "$rc"
