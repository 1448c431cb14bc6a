#!/usr/bin/env bash
# Installs what building, showing or testing pgring needs on Debian and Ubuntu, and nothing when all is there.
# Elsewhere, or without the right to install, it says what is missing and fails.
#
#   scripts/deps.sh build    a C compiler (the SQL parser is C)
#   scripts/deps.sh demo     + PostgreSQL's server programs and psql
#   scripts/deps.sh test     + the drivers of other languages and the Kafka broker that the end-to-end tests use
#   scripts/deps.sh kafka    what starts a Kafka broker, and brings it
#   scripts/deps.sh bench    as demo, + pgbouncer to compare with
set -euo pipefail
cd "$(dirname "$0")/.."

purpose=${1:-test}
packages=()
missing=()

# need <what people call it> <Debian packages> <test command…>
need() {
	local name=$1 list=$2
	shift 2
	if ! "$@" >/dev/null 2>&1; then
		missing+=("$name")
		# shellcheck disable=SC2206 # several packages in one word
		packages+=($list)
	fi
}

has() { command -v "$1" >/dev/null; }

has_server() {
	if [ -n "${PGRING_PG_BIN:-}" ]; then
		[ -x "$PGRING_PG_BIN/postgres" ]
	else
		compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || has postgres
	fi
}

# Debian's Python has Debian's drivers; another python3 may come first in PATH.
has_python() { /usr/bin/python3 -c "import $1"; }

has_clients() { has psql && has pgbench; }

need_go() {
	if ! has go; then
		echo "pgring needs Go (the version in go.mod, or newer): https://go.dev/dl/" >&2
		exit 1
	fi
}

install() {
	local run=()
	if [ "$(id -u)" != 0 ]; then
		if ! has sudo; then
			explain
		fi
		run=(sudo)
	fi
	has apt-get || explain
	echo "installing ${missing[*]} (${packages[*]})"
	"${run[@]}" apt-get update -qq </dev/null
	"${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" </dev/null >/dev/null
	if [[ " ${packages[*]} " == *" pgbouncer "* ]] && has systemctl; then
		# Debian starts it as a service on port 6432, which is pgring's own; the benchmark starts its own.
		"${run[@]}" systemctl disable --now pgbouncer >/dev/null 2>&1 || true
	fi
}

explain() {
	echo "missing: ${missing[*]}" >&2
	echo "On Debian and Ubuntu: apt-get install ${packages[*]}" >&2
	echo "Elsewhere install PostgreSQL 15 or newer and set PGRING_PG_BIN to the directory of its server programs." >&2
	exit 1
}

# The tests of the Node.js driver bring their lock file.
install_node_modules() {
	local lock dir
	while read -r lock; do
		dir=$(dirname "$lock")
		if [ ! "$dir/node_modules/.package-lock.json" -nt "$lock" ]; then
			echo "installing the npm packages of $dir"
			npm ci --prefix "$dir" --no-audit --no-fund --loglevel=error </dev/null
			touch "$dir/node_modules/.package-lock.json"
		fi
	done < <(find . -name package-lock.json -not -path '*/node_modules/*' -not -path './.*')
}

need_go
need "a C compiler" build-essential has gcc
case $purpose in
build) ;;
demo | bench | test)
	need "PostgreSQL's server programs" "postgresql" has_server
	need "psql and pgbench" "postgresql-client postgresql" has_clients
	;;&
bench) need pgbouncer pgbouncer has pgbouncer ;;
test)
	need "psycopg 2" "python3 python3-psycopg2" has_python psycopg2
	need "psycopg 3" "python3 python3-psycopg" has_python psycopg
	need SQLAlchemy "python3 python3-sqlalchemy" has_python sqlalchemy
	need Django "python3 python3-django" has_python django
	need "Node.js" nodejs has node
	need npm npm has npm
	;;&
test | kafka)
	need Java default-jre-headless has java
	need Maven maven has mvn
	;;
demo) ;;
*)
	echo "usage: $0 build|demo|test|kafka|bench" >&2
	exit 2
	;;
esac

if [ ${#missing[@]} -gt 0 ]; then
	install
fi
if [ "$purpose" = test ]; then
	install_node_modules
	scripts/kafka.sh >/dev/null
fi
