# Every target says what it does: `make help`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Tools run at these versions wherever the module proxy is reachable; nothing of
# them is in go.mod.
GOLANGCI ?= go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK ?= go run golang.org/x/vuln/cmd/govulncheck@v1.8.0

FUZZTIME ?= 30s
SOAK ?= 10m

.PHONY: help
help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1mmake %-10s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## Look up 11,000 phone numbers from 243 countries, here and now, with no account anywhere
	@deploy/demo/demo.sh

.PHONY: tour
tour: ## Look up 10,000 numbers on each route of every simulated upstream, and check each result (TOURFLAGS=--help)
	go run ./internal/e2e/tour $(TOURFLAGS)

.PHONY: test
test: ## Run every test with the race detector, in random order; installs a Redis server if it may
	@.ci/test

.PHONY: check
check: fmt-check lint test ## Everything that has to pass before a change lands

.PHONY: build
build: ## Build bin/worker and bin/enqueue
	@mkdir -p bin
	go build -trimpath -o bin/ ./cmd/worker ./cmd/enqueue

.PHONY: fmt
fmt: ## Format the code
	$(GOLANGCI) fmt

.PHONY: fmt-check
fmt-check: ## Show what make fmt would change, and fail if it would
	$(GOLANGCI) fmt --diff

.PHONY: lint
lint: ## Run the linters (the first time takes two minutes to build them)
	$(GOLANGCI) run

.PHONY: bench
bench: ## Print the table of ratios: drain efficiency, throughput, fill, CPU and memory a number (BENCHFLAGS=--help)
	go run ./internal/bench $(BENCHFLAGS)

.PHONY: fuzz
fuzz: ## Run each fuzz test for FUZZTIME (default 30s)
	@for pkg in $$(go list ./...); do \
	  for name in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$name"; \
	    go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; \
	  done; \
	done

.PHONY: fleet
fleet: ## Run four workers on 500,000 numbers of five tenants, with bad keys and an outage, and judge everything (FLEETFLAGS=--help)
	go run ./internal/e2e/fleet $(FLEETFLAGS)

# Where rapid drives models and properties.
SOAKED := providers/keys providers/batch results/journal internal/worker/tickets

.PHONY: soak
soak: ## Run the model and property tests again and again with random seeds, for SOAK (default 10m)
	@bin=$$(mktemp -d); clock=; trap 'kill $$clock 2>/dev/null || true; rm -rf "$$bin"' EXIT; \
	for pkg in $(SOAKED); do go test -race -c -o "$$bin/$${pkg//\//-}" "./$$pkg"; done; \
	sleep $(SOAK) & clock=$$!; \
	round=0; while kill -0 $$clock 2>/dev/null; do \
	  round=$$((round + 1)); \
	  for pkg in $(SOAKED); do \
	    seed=$$((RANDOM << 30 | RANDOM << 15 | RANDOM)); \
	    tests=$$(awk '/^func Test/ {name = $$2; sub(/\(.*/, "", name)} /rapid\.Check\(/ {print name}' $$pkg/*_test.go | sort -u | paste -sd'|'); \
	    echo "round $$round: $$pkg, seed $$seed"; \
	    (cd $$pkg && "$$bin/$${pkg//\//-}" -test.run "Model|$$tests" -test.timeout 5m -rapid.seed $$seed) >"$$bin/out" 2>&1 || \
	      { cat "$$bin/out"; echo "soak: $$pkg failed with -rapid.seed=$$seed, in round $$round"; exit 1; }; \
	  done; \
	done; \
	echo "soak: $$round rounds, no failure"

.PHONY: vuln
vuln: ## Look for known vulnerabilities in what the code calls (needs vuln.go.dev)
	$(GOVULNCHECK) ./...

.PHONY: up
up: ## Start nats, redis and a worker with docker compose
	docker compose up --build --detach --wait

.PHONY: down
down: ## Stop them; the data stays in the volumes
	docker compose down
