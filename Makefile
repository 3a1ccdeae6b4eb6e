SHELL := /bin/sh
PY    := .venv/bin/python
STAMP := .venv/.installed
NODE  := .venv/.node
NPM   := tests/clients/node_modules/.installed
UV    := uv==0.13.9

# The first one that is new enough; `make PYTHON=/path/to/python` overrides.
PYTHON ?= $(shell for p in python3.11 python3 python3.14 python3.13 python3.12; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# The tests execute the service some dozen times; without compiled files each start compiles it.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup pages run demo dev test check quick-tests clients test-faults lint schema bench lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

setup: $(STAMP) ## install the locked dependencies, build the pages (again only what changed)
	@[ "$(PAGES)" = no ] || $(MAKE) --no-print-directory pages || \
		echo "The service runs without its pages. Build them later: make pages" >&2

pages: $(NODE) ## build the explorer and the REST documentation (`make run PAGES=no` goes without)
	@$(PY) web/build.py

run: setup ## start the service (sets up first)
	@exec $(PY) app.py

demo: setup ## start the service with 30 days of data of a shop, in ./data-demo
	@exec $(PY) app.py demo

dev: setup ## start the service and reload it on change
	@exec $(PY) app.py --reload

test: lint pages $(NPM) ## lint, then all tests
	$(PY) -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder --durations=10

check: $(STAMP) ## lint, and the rules and tests that need no service: within a minute
	@$(MAKE) --no-print-directory -j 2 lint quick-tests

quick-tests: $(STAMP)
	$(PY) -m pytest -q -m check -n 2 --dist worksteal --durations=10

clients: $(NPM) ## install the JavaScript clients that the tests run

test-faults: $(STAMP) ## the long form of the tests that have one (root and strace for all of them)
	FAULTS=long $(PY) -m pytest -q -s $$(grep -rlE 'run_profile|harness.strategies|faults.writers|oracle.calendar' tests --include='test_*.py')

lint: $(STAMP) ## ruff, mypy (strict), import rules
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	.venv/bin/lint-imports --no-logo

schema: $(STAMP) ## rewrite schema/schema.graphql from the code
	$(PY) -c 'from api.graphql.schema import schema; print(schema)' > .venv/schema.graphql
	mv .venv/schema.graphql schema/schema.graphql

bench: $(STAMP) ## print the benchmark tables (needs wrk)
	@command -v wrk >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -yqq wrk; } || \
		{ echo "The benchmark needs wrk: apt-get install wrk" >&2; exit 1; }
	$(PY) -m bench

lock: $(STAMP) ## rewrite the lock files from pyproject.toml (UPGRADE=1: newest versions)
	$(PY) -m pip install -qq $(UV)
	$(LOCK) pyproject.toml $(if $(UPGRADE),--upgrade) --group dev -o requirements-dev.lock
	cp requirements-dev.lock requirements.lock
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) $(if $(UPGRADE),--upgrade) --group node -o requirements-node.lock

LOCK = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --custom-compile-command "make lock"

clean: ## remove .venv and caches, never the data folder
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf web/dist web/node_modules tests/clients/node_modules tests/clients/generated
	find . '(' -name data -o -name data-demo ')' -prune -o -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): requirements-dev.lock
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed (make PYTHON=/path/to/python3.11)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up .venv with $$($(PYTHON) -V) (once, about 290 MB to download)"
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) -r requirements-dev.lock
	@touch $@

$(NODE): requirements-node.lock $(STAMP)
	@echo "Setting up Node, which builds the pages (once, about 60 MB to download)"
	@$(PIP) -r requirements-node.lock
	@touch $@

$(NPM): tests/clients/package-lock.json $(NODE)
	@echo "Setting up the JavaScript clients of the tests (once, about 130 MB to download)"
	@cd tests/clients && PATH="$(CURDIR)/.venv/bin:$$PATH" npm ci --loglevel=error || \
		{ echo "npm could not install tests/clients/package-lock.json: is the registry of npm reachable?" >&2; exit 1; }
	@cp tests/clients/package-lock.json $@  # the tests compare

PIP = $(PY) -m pip install -qq --disable-pip-version-check --no-deps --require-hashes --only-binary :all:
