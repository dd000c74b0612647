# Every task of a developer and of a first-time user. `make help` lists them.
#
# Needs Python 3.11 or newer and make. All else goes into .venv, from the lock files in requirements/, hash by hash.
# A stamp file in .venv remembers what was installed, so a second run starts at once and a changed lock re-installs.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
UV     := $(BIN)/python -m uv

# Extra arguments: `make test ARGS="-k stream"`, `make serve ARGS="--port 4001"`.
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help serve test check format-check lint types imports audit format docs bench bench-gateway lock dist clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

## -- use --------------------------------------------------------------------------------------------------------------

serve: $(VENV)/.runtime ## run the gateway (set-up included)
	@$(BIN)/penstock serve $(ARGS)

test: $(VENV)/.dev ## run the tests (set-up included)
	$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.dev ## print the benchmark's figures
	$(BIN)/python -m bench $(ARGS)

# Downloads nothing unless PEERS says so: PEERS=envoy,litellm,portkey,tensorzero (into ~/.cache/penstock-bench).
bench-gateway: $(VENV)/.dev ## measure the gateway beside its peers, half an hour (docs/benchmarks.md)
	$(BIN)/python -m bench gateway --full --rounds 7 --seconds 3 --write $(if $(PEERS),--install $(PEERS)) $(ARGS)

## -- check ------------------------------------------------------------------------------------------------------------

check: format-check lint types imports audit ## formatter, linter, types, layers, audit: what CI runs after the tests

format-check: $(VENV)/.dev
	$(BIN)/ruff format --check .

lint: $(VENV)/.dev ## ruff
	$(BIN)/ruff check .

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/python -m mypy

imports: $(VENV)/.dev ## the layers of the design, as import contracts
	$(BIN)/lint-imports

audit: $(VENV)/.dev ## what we depend on: count, hashes, licences, known-bad versions
	$(BIN)/python -m tools.audit

format: $(VENV)/.dev ## rewrite the sources in the one format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## write the generated pages of docs/reference anew
	$(BIN)/python -m tools.build_provider_page
	$(BIN)/python -m tools.build_reference

## -- release ----------------------------------------------------------------------------------------------------------

# --no-emit-* and --no-annotate...: a lock holds names, versions, markers and hashes, and never where they come from
# (docs/decisions/0002-lock-files.md). Without ARGS, uv keeps the locked versions that still fit; ARGS=--upgrade renews all.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock" $(ARGS)

lock: $(VENV)/.dev ## resolve the lock files anew (ARGS=--upgrade for newer versions)
	$(COMPILE) --group build pyproject.toml --extra gateway --output-file requirements/runtime.txt
	$(COMPILE) --group dev pyproject.toml --all-extras --constraint requirements/runtime.txt --output-file requirements/dev.txt

dist: $(VENV)/.dev ## build the wheel and the source archive into dist/
	$(BIN)/hatchling build

clean: ## remove the environment, caches and builds
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

## -- set-up: not called by hand ---------------------------------------------------------------------------------------

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Penstock needs Python 3.11 or newer, and '$(PYTHON)' is missing or older." \
	       "Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' comes without venv. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.created requirements/runtime.txt pyproject.toml
	@echo "Installing from requirements/runtime.txt ..."
	@$(PIP) install --require-hashes -r requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.created requirements/dev.txt pyproject.toml
	@echo "Installing from requirements/dev.txt (a minute or so, the first time) ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.runtime
