# `make` alone lists what there is. Needs bash, GNU make ≥ 3.81 and a Python ≥ 3.11; everything else comes from requirements/.
SHELL := bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

VENV ?= .venv
# The interpreter that makes the environment: the first that runs and is new enough when not given (tools/env.sh looks).
PYTHON ?=
# More for the command or for pytest: make demo ARGS=--exit, make test ARGS='-k cursor'
ARGS ?=
# Processes that run tests.
JOBS ?= 2

# A gateway that compiles its libraries at every start takes twice the CPU to come up, and tests start dozens.
unexport PYTHONDONTWRITEBYTECODE

BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist worksteal
CODE := gql models resolvers sluicegate tests benchmarks tools

.PHONY: help
help: ## What each target does
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

# ---------------------------------------------------------------- the environment
# A stamp is written last and says which set is in: nothing is installed again until its pins or the project's metadata change.
$(VENV)/.made-dev: requirements/dev.txt pyproject.toml tools/env.sh
	@PYTHON='$(PYTHON)' VENV='$(VENV)' tools/env.sh dev
	@touch $(VENV)/.made-demo $@

$(VENV)/.made-demo: requirements/demo.txt pyproject.toml tools/env.sh
	@PYTHON='$(PYTHON)' VENV='$(VENV)' tools/env.sh demo
	@touch $@

.PHONY: env
env: $(VENV)/.made-dev ## Make .venv with every tool, from the pinned requirements/dev.txt

.PHONY: clean
clean: ## Remove the environment and what the tools leave behind
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.*
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------- running it
.PHONY: demo
demo: $(VENV)/.made-demo ## Watch a real bucket become a dataset (ARGS=--exit ends it when done)
	@$(BIN)/sluicegate demo $(ARGS)

.PHONY: serve
serve: $(VENV)/.made-demo ## Run the gateway on SQLite (ARGS='--port 8001 --data-dir DIR')
	@$(BIN)/sluicegate serve $(ARGS)

# ---------------------------------------------------------------- proving it
.PHONY: test
test: env ## Every test, with real servers and clients; long campaigns apart
	$(PYTEST) $(ARGS)

.PHONY: check
check: env ## The quick part of the tests: no kill runs, no browser
	$(PYTEST) -m 'not slow and not browser and not campaign' $(ARGS)

.PHONY: campaign
campaign: env ## The long seeded fault and fuzz runs
	$(PYTEST) -m campaign --timeout 900 $(ARGS)

.PHONY: bench
bench: env ## Every benchmark; writes benchmarks/RESULTS.md
	.venv/bin/python -m benchmarks

.PHONY: lint
lint: env ## Style, types, layers, declared dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/deptry gql models resolvers sluicegate

.PHONY: format
format: env ## Put the code into the agreed style, mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: coverage
coverage: env ## The tests with branch coverage, and what they miss
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -p no:xdist $(ARGS)
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage report

# ---------------------------------------------------------------- files that are made from others
.PHONY: schema
schema: env ## Print schema.graphql anew from the code
	@$(BIN)/sluicegate schema >schema.graphql.new && mv schema.graphql.new schema.graphql

.PHONY: migration
migration: env ## Write the next migration from what changed in models/ (MESSAGE='Add a colour to projects')
	@$(BIN)/python tools/new_migration.py '$(MESSAGE)'
	@$(BIN)/ruff format -q models/migrations/versions

.PHONY: web
web: env ## Build the GraphiQL bundle anew into sluicegate/static/
	@$(BIN)/python web/build.py

# Each set is compiled within the one before, so that they agree on every version. Versions that still fit are kept;
# `make requirements ARGS=--upgrade` takes the newest, `ARGS='--upgrade-package NAME'` one package's.
COMPILE := uv pip compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --universal --python-version 3.11 pyproject.toml --group build
.PHONY: requirements
requirements: ## Pin requirements/*.txt anew from pyproject.toml (needs uv)
	$(COMPILE) -o requirements/run.txt $(ARGS)
	$(COMPILE) --extra demo -c requirements/run.txt -o requirements/demo.txt $(ARGS)
	$(COMPILE) --extra demo --group test -c requirements/demo.txt -o requirements/test.txt $(ARGS)
	$(COMPILE) --extra demo --group test --group lint -c requirements/test.txt -o requirements/dev.txt $(ARGS)
