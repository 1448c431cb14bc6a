#!/usr/bin/env bash
# Brings the jars of a Kafka broker, for the tests, from the Maven registry into a cache outside of the repository, and says where they are.
# Nothing is fetched when they are there already. PGRING_KAFKA_JARS names another folder for them.
set -euo pipefail
cd "$(dirname "$0")/kafka"

sums=$PWD/SHA256SUMS
jars=${PGRING_KAFKA_JARS:-${XDG_CACHE_HOME:-$HOME/.cache}/pgring/kafka-$(sha256sum "$sums" | cut -c1-12)}

whole() { [ -d "$jars" ] && (cd "$jars" && sha256sum --quiet --strict --check "$sums" >/dev/null 2>&1); }

if ! whole; then
	command -v mvn >/dev/null || {
		echo "fetching a Kafka broker needs mvn: on Debian and Ubuntu, apt-get install maven" >&2
		exit 1
	}
	echo "fetching the jars of a Kafka broker into $jars" >&2
	new=$(mktemp -d)
	trap 'rm -rf "$new"' EXIT
	for try in 1 2 3 4; do
		# --strict-checksums: what does not have the registry's own checksum is not taken.
		if timeout -k 5 300 mvn --batch-mode --quiet --strict-checksums --file pom.xml dependency:copy-dependencies \
			-DincludeScope=runtime -DoutputDirectory="$new" </dev/null >&2; then
			break
		fi
		[ "$try" -lt 4 ] || {
			echo "the jars of a Kafka broker could not be fetched from the Maven registry; the tests with a real broker need them" >&2
			exit 1
		}
		echo "that was try $try; once more" >&2
		sleep $((try * 3))
	done
	(cd "$new" && sha256sum --quiet --strict --check "$sums") >&2 || {
		echo "the jars of the Kafka broker are not those of scripts/kafka/SHA256SUMS; nothing of them is used" >&2
		exit 1
	}
	mkdir -p "$jars"
	cp "$new"/*.jar "$jars"
	whole
fi
echo "$jars"
