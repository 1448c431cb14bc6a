# make help lists the targets. Each installs what it needs on Debian and Ubuntu, see scripts/deps.sh.

BIN := bin/pgring
# Two packages at a time: the tests start PostgreSQL servers, and 2 cores must serve both.
PARALLEL ?= 2
TIMEOUT ?= 30m
TIME ?= 30s
ARGS ?=
SEED ?=

.DEFAULT_GOAL := help
.PHONY: help build test test-short fuzz difftest kafka bench bench-transfers demo demo-clean lint clean deps-build deps-demo deps-test deps-kafka deps-bench

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## ?/\1\t/' | expand -t 14

build: deps-build ## compile bin/pgring (the first time takes a minute: the SQL parser is C)
	@mkdir -p bin
	go build -o $(BIN) ./cmd/pgring

test: deps-test ## vet, build and run all tests under the race detector
	scripts/test.sh $(PARALLEL) $(TIMEOUT) $(ARGS)

test-short: deps-demo ## run all tests but the end-to-end ones, without the race detector
	go test -short -p $(PARALLEL) -timeout $(TIMEOUT) $(ARGS) $$(go list ./... | grep -v /e2e)

fuzz: deps-build ## run each fuzz target for TIME (30s)
	scripts/fuzz.sh $(TIME)

difftest: deps-demo ## compare random statements with one PostgreSQL for TIME (30s); SEED=n begins with that one
	PGRING_DIFFTEST_TIME=$(TIME) PGRING_SEED=$(SEED) go test -count=1 -timeout 0 -run TestRandomStatementsAnswerAsPostgres -v $(ARGS) ./e2e/difftest

kafka: deps-kafka ## bring the jars of the Kafka broker that the tests start
	@scripts/kafka.sh

bench: deps-bench ## compare with direct connections and pgbouncer by pgbench
	go run ./cmd/pgring bench $(ARGS)

bench-transfers: deps-demo ## transfers per second on one shard, and on two by 2pc and by a saga
	go test -count=1 -run '^$$' -bench Transfers -benchtime 5x $(ARGS) ./e2e

demo: deps-demo build ## start four servers, pgring and a small shop; Ctrl-C ends it
	$(BIN) demo $(ARGS)

demo-clean: ## remove the demo's data
	scripts/demo-clean.sh

lint: deps-build ## check formatting, vet, the project's own rules and, where shellcheck is installed, the scripts
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go test -count=1 -run TestRepositoryKeepsTheRules ./internal/codecheck
	@if command -v shellcheck >/dev/null; then shellcheck scripts/*.sh .ci/run; fi

clean: ## remove what was built
	rm -rf bin coverage

deps-build deps-demo deps-test deps-kafka deps-bench: deps-%:
	@scripts/deps.sh $*
