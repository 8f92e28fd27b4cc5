.PHONY: help test lint cover fuzz bench check mutants worlds

help: ## say what can be made
	@sed -n 's/^\([a-z]*\):.*## /make \1: /p' Makefile

test: ## run the tests
	go test ./...

lint: ## let golangci-lint judge all modules, by .golangci.yml
	bash .ci/lint $$(git ls-files '*go.mod' | xargs -n1 dirname)

cover: ## run the tests, and tell how much of each package they run
	@set -e; data=$$(mktemp -d); trap 'rm -rf "$$data"' EXIT; mkdir "$$data/runs"; \
	go test -count=1 -cover -coverpkg=./... ./... -args -test.gocoverdir="$$data/runs" >"$$data/log" || { cat "$$data/log"; exit 1; }; \
	go tool covdata percent -i "$$data/runs" | sed 's/^.*\t\t\t/\t/' # and no line for what has no statements

fuzz: ## run each fuzz test for a minute
	bash .ci/fuzz 1m

bench: ## measure pools side by side with what else a user may pick, in the better part of an hour
	cd bench && go run .

check: ## run all that must hold before a change lands
	bash .ci/run

mutants: ## plant sixteen bugs, one at a time: a test and a world must catch each within a minute
	bash mutants/run

worlds: ## play 100,000 drawn worlds to pools and to plain channels, half an hour on two processors
	go test -count=1 -timeout 0 ./internal/worlds -worlds 100000
