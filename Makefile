# What a newcomer needs: `make demo` to see crmcli work, `make test` before and after a change.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
DEMO   := build/demo

MAKEFLAGS += --no-print-directory
# Thousands of processes that compile the program anew take far longer.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench soak lock clean

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 10

setup: $(STAMP)  ## install crmcli and its tools into .venv (PYTHON=... to choose another Python)

# A fresh environment each time the pins change, so that nothing of an older one lingers.
$(STAMP): constraints.txt pyproject.toml tests/object-store.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "crmcli needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>/dev/null || echo missing)." >&2; \
	  echo "Name another one: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing into $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m venv --without-pip $(VENV)/object-store
	@$(BIN)/python -m pip --python $(VENV)/object-store/bin/python install --quiet --disable-pip-version-check \
	  --require-hashes -r tests/object-store.txt
	@touch $@

demo: setup  ## fill a store with made-up clients in build/demo and show what crmcli makes of them
	@rm -rf $(DEMO)
	@mkdir -p $(DEMO)
	@$(BIN)/crmcli demo --store $(DEMO)/data

# One process more than there are cores, for some tests wait for the clock.
test: lint  ## lint, then run every test (PYTEST_ARGS="-k name" to choose)
	@$(BIN)/python -m compileall -q crmcli tests bench
	@$(BIN)/pytest -q -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) $(PYTEST_ARGS)

lint: setup  ## ruff, mypy and the import contracts
	@mkdir -p build
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --check
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >build/contracts.txt 2>&1 || { cat build/contracts.txt; exit 1; }

format: setup  ## let ruff format the code
	@$(BIN)/ruff format --quiet
	@$(BIN)/ruff check --quiet --fix

bench: setup  ## measure speed and write docs/benchmarks.md (QUICK=1: two minutes, prints only; ONLY=name)
	@$(BIN)/python -m bench.run $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

soak: setup  ## the tests that run for minutes: faults, attacks, fuzzers, many processes at once
	@$(BIN)/pytest -q -m soak $(PYTEST_ARGS)

lock:  ## write constraints.txt anew after a change of the dependencies (needs uv on PATH)
	@uv pip compile pyproject.toml --group dev --quiet --no-config --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --allow-unsafe --custom-compile-command "make lock" -o constraints.txt
	@uv pip compile tests/object-store.in --quiet --no-config --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --allow-unsafe --custom-compile-command "make lock" -o tests/object-store.txt

clean:  ## remove .venv, build and caches; never a store
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find crmcli tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
