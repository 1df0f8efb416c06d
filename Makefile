# Everything that can be done with this project, and nothing else starts anything. `make` alone lists the targets.
.DEFAULT_GOAL := help
.SHELLFLAGS := -eu -o pipefail -c
SHELL := bash
.PHONY: help setup up test check lint format types contracts bench bars docs lock clean

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/.python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and none was found: install it, or say PYTHON=…"; exit 1; }
	$(PYTHON) -m venv .venv
	touch $@

.venv/.runtime: .venv/.python requirements.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

.venv/.dev: .venv/.runtime requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@

setup: .venv/.runtime ## Make .venv with everything the product needs

up: .venv/.runtime ## Set everything up and serve the product on http://127.0.0.1:8000
	@$(BIN)/orderhouse up

test: .venv/.dev ## Set everything up and run every test, with coverage
	rm -f .coverage .coverage.*
	$(PYTEST) --cov=orderhouse --cov-context=test --cov-report= --durations=30 tests
	$(BIN)/python -m tools.checklist covered
	$(BIN)/python -m coverage report --skip-covered

check: .venv/.dev lint ## The local loop, under two minutes: lint, unit tests, and integration tests on SQLite
	$(PYTEST) -q tests/unit tests/architecture tests/integration -k "not postgresql"

lint: .venv/.dev format-check types contracts ## Every check that runs nothing
	$(BIN)/ruff check .

format-check: .venv/.dev
	$(BIN)/ruff format --check .

format: .venv/.dev ## Lay the code out
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: .venv/.dev ## Check types, strictly
	$(BIN)/mypy

contracts: .venv/.dev ## Check who may import whom
	$(BIN)/lint-imports

bars: .venv/.dev ## What "reliable" means, in full counts: half an hour, not minutes
	ORDERHOUSE_TEST_BARS=full $(BIN)/python -m pytest -n 1 -p no:randomly --timeout 3600 tests/bars

bench: .venv/.dev ## Measure, and write docs/reference/performance.md
	$(BIN)/python -m bench

docs: .venv/.dev ## Write the generated pages anew
	$(BIN)/python -m tools.pages

lock: .venv/.dev ## Resolve the dependencies anew and pin them with hashes
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra build pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra build --extra dev pyproject.toml -o requirements-dev.txt

clean: ## Remove what was made here; never the data
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage .coverage.* dist
