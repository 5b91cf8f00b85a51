# Everything runs in .venv, which any target makes when it is missing or out of date. A machine
# needs Python 3.11 or newer and make; `make help` tells the targets.

PYTHON ?= python3
# The tool of `make lock`. It comes into a throw-away environment, never into .venv.
UV := uv==0.13.9

VENV := .venv
BIN := $(VENV)/bin
LOCKED := $(VENV)/.locked
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check
GRAPHIQL := src/runwire/server/graphiql/manifest.json

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help install demo test check bench torture schema lock clean FORCE

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Make .venv: the locked dependencies, and runwire from src/

demo: $(INSTALLED) ## Start a server with example jobs; ONCE=1 runs one job and ends
	$(BIN)/python examples/demo.py $(if $(ONCE),--once)

test: $(INSTALLED) ## Run the tests; ARGS='-k cursor' chooses among them
	$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

check: $(INSTALLED) ## Lint, format, types, layers, and the published schema
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/runwire schema check

bench: $(INSTALLED) ## Run the benchmarks; RUNWIRE_SCALE=full goes to a million runs
	$(BIN)/python -m benchmarks $(ARGS)

torture: $(INSTALLED) ## Run the tests that kill, stall, race and fuzz things, at full length
	RUNWIRE_TORTURE=full $(BIN)/python -m pytest -m torture tests $(ARGS)

schema: $(INSTALLED) ## Write schema/ from the code
	$(BIN)/runwire schema export --output schema

lock: ## Write requirements/ from pyproject.toml; UPGRADE=1 takes the newest versions
	@set -eu; \
	tools=$$(mktemp -d); trap 'rm -rf "$$tools"' EXIT; \
	$(PYTHON) -m venv "$$tools"; \
	"$$tools/bin/pip" --disable-pip-version-check install --quiet '$(UV)'; \
	compile() { \
		env -u UV_FIND_LINKS "$$tools/bin/uv" pip compile --no-config --quiet \
			--universal --python-version 3.11 --generate-hashes --no-annotate \
			--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
			$(if $(UPGRADE),--upgrade) "$$@"; \
	}; \
	compile pyproject.toml --group dev -o requirements/dev.txt; \
	compile pyproject.toml --constraint requirements/dev.txt -o requirements/runtime.txt; \
	compile --group build --constraint requirements/dev.txt -o requirements/build.txt

clean: ## Remove .venv, caches and everything built
	rm -rf $(VENV) build dist $(dir $(GRAPHIQL))
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'runwire needs Python 3.11 or newer; name one: make PYTHON=python3.11' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(LOCKED): requirements/dev.txt | $(BIN)/python
	@echo 'Installing the locked dependencies into $(VENV); this takes half a minute or so'
	@$(PIP) install --quiet --require-hashes --requirement requirements/dev.txt
	@touch $@

$(INSTALLED): $(LOCKED) pyproject.toml hatch_build.py $(if $(wildcard $(GRAPHIQL)),,FORCE)
	@echo 'Installing runwire, with GraphiQL'
	@$(PIP) install --quiet --no-build-isolation --no-deps --editable .
	@touch $@
