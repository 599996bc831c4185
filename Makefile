# One gate, one way in: `make` lists what there is. Every target does its own set-up; nothing needs root.
.DEFAULT_GOAL := help
.PHONY: help setup run test year interop vendors check fix bench lock

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCK := requirements/dev.txt
INTEROP := requirements/interop.txt
VENDORS := tests/interop/tap

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

$(STAMP): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Keyturn needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Say: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up $(VENV) (once; about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(STAMP) ## make the virtual environment from the hashed lock

run: $(STAMP) ## the whole system on this machine, with simulated upstreams when none is configured
	@$(BIN)/keyturn up

test: $(STAMP) ## every test, on SQLite and PostgreSQL
	$(BIN)/python -m pytest -n 4 --dist loadgroup

year: $(STAMP) ## 400 days of 5 000 devices in a few minutes, and what they cost
	@$(BIN)/python -m pytest tests/acceptance/test_a_year_of_certificates.py --devices 5000 -k sqlite -rP

interop: $(STAMP) ## the vendors' own clients against the twins; needs Node 20 and fetches what they need
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(INTEROP)
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory vendors && $(BIN)/python -m pytest tests/interop; \
	else echo "make interop needs Node 20 or newer and npm; neither is on the PATH"; [ "$$CI" != true ]; fi

vendors: # the vendors' own clients that npm has
	@[ $(VENDORS)/node_modules/.package-lock.json -nt $(VENDORS)/package-lock.json ] || npm ci --prefix $(VENDORS)

check: $(STAMP) ## format, lint, types, layers, dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

fix: $(STAMP) ## format and mend what can be mended by machine
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## measure against the peers, side by side in one run; figures in var/bench.json
	$(BIN)/python -m tests.bench

lock: $(STAMP) ## resolve the pinned, hashed requirements again
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --group dev --group bench pyproject.toml --output-file $(LOCK)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --no-header --group pyproject.toml:interop --constraint $(LOCK) --output-file $(INTEROP)
