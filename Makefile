.PHONY: help test check mutants worlds

help: ## say what can be made
	@sed -n 's/^\([a-z]*\):.*## /make \1: /p' Makefile

test: ## run the tests
	go test ./...

check: ## run all that must hold before a change lands
	bash .ci/run

mutants: ## plant sixteen bugs, one at a time: a test and a world must catch each within a minute
	bash mutants/run

worlds: ## play 100,000 drawn worlds to pools and to plain channels, for hours
	go test -count=1 -timeout 0 ./internal/worlds -worlds 100000
