.PHONY: help test check mutants

help: ## say what can be made
	@sed -n 's/^\([a-z]*\):.*## /make \1: /p' Makefile

test: ## run the tests
	go test ./...

check: ## run all that must hold before a change lands
	bash .ci/run

mutants: ## plant ten bugs, one at a time: a test must catch each within a minute
	bash mutants/run
