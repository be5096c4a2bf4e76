# Two commands do everything on a fresh Debian-like machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SLOW := .venv-slow
UV := $(shell command -v uv 2>/dev/null)
RUN_STAMP := $(VENV)/.run
TEST_STAMP := $(VENV)/.test
BENCH_STAMP := $(VENV)/.bench

ifdef UV
  CREATE := $(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
  INSTALL := $(UV) pip install --quiet --python $(BIN)/python
else
  CREATE := $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
  INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.PHONY: install demo test test-slow check unit wheel bench clean help

help: ## show what make can do
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 12

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "seamwatch needs Python 3.11 or later; call make PYTHON=python3.12"; exit 1; }
	$(CREATE)

$(RUN_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --constraint constraints.txt --editable '.[speed,postgres,redis]'
	@touch $@

$(TEST_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) --constraint constraints.txt --editable '.[speed,postgres,redis,parquet]' --group test
	@touch $@

$(BENCH_STAMP): $(TEST_STAMP)
	$(INSTALL) --constraint constraints.txt --group bench
	@touch $@

install: $(RUN_STAMP) ## put seamwatch into .venv

demo: $(RUN_STAMP) ## run a real pipeline and seamwatch on it
	$(BIN)/seamwatch demo

test: $(TEST_STAMP) ## install what the tests need, then run all of them
	tests/install-tools
	$(MAKE) --no-print-directory check unit wheel

$(SLOW)/%/.done: tests/slow/requirements-%.txt
	$(PYTHON) -m venv --clear $(SLOW)/$*
	$(SLOW)/$*/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

test-slow: $(TEST_STAMP) $(SLOW)/airflow/.done $(SLOW)/mlserver/.done ## the tests that run a real Airflow (1.5 GB of memory) and a real MLServer
	$(BIN)/python -m pytest tests/slow/real_*.py

check: $(TEST_STAMP) ## lint, types, floors: the quick checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(TEST_STAMP) ## the tests on the checkout
	$(BIN)/python -m pytest -n 2 --dist loadfile

wheel: $(TEST_STAMP) ## the tests on the installed wheel
	tests/on-wheel $(BIN)/python

bench: $(BENCH_STAMP) ## measure what the README promises
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean: ## remove what make built
	rm -rf $(VENV) $(SLOW) dist .demo
