#!/usr/bin/env bash
# Removes the data of `make demo`, unless the demo still runs on it.
set -euo pipefail
cd "$(dirname "$0")/.."

while read -r lock; do
	pid=$(head -n 1 "$lock")
	if [ -d "/proc/$pid" ] && grep -q postgres "/proc/$pid/comm"; then
		echo "the demo is running (server process $pid); end it with Ctrl-C first" >&2
		exit 1
	fi
done < <(find .demo -maxdepth 3 -name postmaster.pid 2>/dev/null)
rm -rf .demo
