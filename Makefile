# Two commands matter: `make demo` and `make test`. Both make .venv first; nothing else has to be done before.
SHELL := /bin/bash
PYTHON ?= python3

CONSTRAINTS := constraints/airflow-3.3.txt
VENV := .venv
STAMP := $(VENV)/.installed
KEEP ?=
ONLY ?=
COVERAGE ?=
WORKERS ?= 3
SIZE ?=
SEED ?=

.PHONY: help demo stop test test-slow test-failed test-unit check docs matrix bench soak chaos lock clean

help:  ## Say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(STAMP): setup.cfg pyproject.toml $(CONSTRAINTS) scripts/make_venv
	@echo "Making $(VENV), which takes some minutes ..."
	@PYTHON="$(PYTHON)" scripts/make_venv $(VENV) $(CONSTRAINTS)
	@touch $@

demo: $(STAMP)  ## Run the main job in a real Airflow; KEEP=1 leaves it running
	@$(VENV)/bin/python -B -m demo $(if $(KEEP),--keep)

stop: $(STAMP)  ## Stop what `make demo KEEP=1` left running
	@$(VENV)/bin/python -B -m demo --stop

# Bytecode is kept, of the tests too, whose assertions would be rewritten each time: half of the time until the first test.
PYTEST := env --unset=PYTHONDONTWRITEBYTECODE $(VENV)/bin/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder

test: $(STAMP)  ## Run the tests, all but the slow ones; COVERAGE=1 measures coverage, WORKERS=0 uses one process
	@$(PYTEST) -m "not slow and not soak" $(if $(COVERAGE),--cov --cov-fail-under=0)

test-slow: $(STAMP)  ## Run the slow tests; COVERAGE=1 adds to the coverage of `make test`, and demands enough of it
	@$(PYTEST) -m slow $(if $(COVERAGE),--cov --cov-append)

test-failed: $(STAMP)  ## Run those that failed last once more, one after another
	@$(PYTEST) --numprocesses=0 --last-failed --last-failed-no-failures=none $(if $(COVERAGE),--cov --cov-append --cov-report= --cov-fail-under=0)

test-unit: $(STAMP)  ## Run the quick tests: no network, no database, no sleep
	@$(PYTEST) tests/unit

check: $(STAMP)  ## Run what CI runs: linters, types, imports, tests, docs, wheel
	@scripts/check

docs: $(STAMP)  ## Build the documentation site into build/docs/html; warnings and broken links fail
	@$(VENV)/bin/python -B -m scripts.docs_site

matrix: $(STAMP)  ## Run the provider's tests on every supported Airflow; ONLY=2.11 runs them on one
	@scripts/matrix $(ONLY)

bench: $(STAMP)  ## Measure speed and memory, both sides in one run
	@$(VENV)/bin/python -m benchmarks

FUZZED := tests/unit/receiver/endpoints/test_authentication.py::test_any_request_is_admitted_or_refused \
	tests/unit/receiver/endpoints/test_parsing.py::test_any_bytes_are_parsed_or_refused \
	tests/unit/receiver/endpoints/test_parsing.py::test_whatever_is_taken_can_be_stored_and_read_again

soak: test-slow  ## Run the slow tests and those of hours; SIZE=quick makes minutes of the hours
	@$(VENV)/bin/python -m pytest -m soak --timeout=7200 tests/soak tests/integration/receiver tests/integration/deploy
	@$(VENV)/bin/python -m pytest --timeout=7200 $(if $(SIZE),,--hypothesis-profile=soak) $(FUZZED)

chaos: $(STAMP)  ## Kill and freeze every process of the distributed set-up, for 15 minutes; SIZE=quick, SEED=1 replays a schedule
	@$(VENV)/bin/python -m tests.chaos $(if $(SIZE),--size $(SIZE)) $(if $(SEED),--seed $(SEED))

lock: $(STAMP)  ## Make the constraints files anew
	@for file in constraints/airflow-*.txt; do scripts/lock $(VENV) "$$file" || exit 1; done

clean:  ## Stop what runs; remove .venv, .demo and what tools left
	@if [ -x $(VENV)/bin/python ] && [ -d .demo ]; then $(VENV)/bin/python -m demo --stop; fi
	rm -rf $(VENV) .chaos .demo .matrix node_modules build dist *.egg-info .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
