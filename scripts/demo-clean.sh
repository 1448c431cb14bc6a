#!/usr/bin/env bash
# Removes the data of `make demo`, unless the demo still runs on it. The demo of another folder: scripts/demo-clean.sh <folder>
set -euo pipefail
if [ $# -eq 0 ]; then
	cd "$(dirname "$0")/.."
fi
demo=${1:-.demo}
if [ ! -d "$demo" ]; then
	exit 0
fi
if [ ! -e "$demo/lock" ]; then
	echo "$demo is not the folder of a demo" >&2
	exit 1
fi

# Where the user postgres cannot enter the folder, "data" is a link to one in a temporary folder.
data=$demo/data
if [ -L "$data" ]; then
	data=$(readlink "$data")
fi
while read -r lock; do
	pid=$(head -n 1 "$lock")
	if [ -d "/proc/$pid" ] && grep -q postgres "/proc/$pid/comm"; then
		echo "the demo is running (server process $pid); end it with Ctrl-C first" >&2
		exit 1
	fi
done < <(find "$data" -maxdepth 2 -name postmaster.pid 2>/dev/null)
case $data in
"$demo/data" | */pgring-demo-*) rm -rf "$data" ;;
esac
rm -rf "$demo"
