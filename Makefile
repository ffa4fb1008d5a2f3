# The project's commands. They need make and Python 3.11 or newer; everything else they fetch themselves.

.DEFAULT_GOAL := help
.PHONY: help env demo test unit lint bench docs lock clean

# uv trusts what the system trusts, as pip does (a company's own certificates, say); the second name is that of older versions.
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1

BIN := .venv/bin
STAMP := .venv/.made
SERVERS = $(BIN)/python scripts/servers

# The first Python that is new enough, and uv from the system or a copy of our own.
PYTHON = $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then command -v $$each; break; fi; done)
UV := $(or $(shell command -v uv 2>/dev/null),.cache/uv/bin/uv)

help:  ## list the commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

env: $(STAMP)  ## create .venv with the locked packages

demo: env  ## run the jobs on one SQLite file, without any server
	@$(BIN)/lern demo $(ARGS)

test: env  ## run all tests against real Kafka, Cassandra and Redis
	@$(SERVERS) exec -- $(BIN)/pytest $(ARGS)

unit: env  ## run the tests that need no servers
	@$(BIN)/pytest tests/unit $(ARGS)

lint: env  ## check style, formatting, types and the layers of the code
	$(BIN)/ruff check . scripts/servers
	$(BIN)/ruff format --check . scripts/servers
	$(BIN)/mypy
	MYPYPATH=scripts $(BIN)/mypy --package testservers
	$(BIN)/lint-imports

bench: env  ## measure speed against real servers
	@$(SERVERS) exec -- $(BIN)/python -m bench $(ARGS)

docs: env  ## write the reference of the settings
	$(BIN)/lern settings docs > docs/settings.md

lock: $(UV)  ## lock the packages anew (newest versions: ARGS=--upgrade)
	$(UV) pip compile --quiet --universal --generate-hashes --no-header pyproject.toml -o requirements/runtime.lock $(ARGS)
	$(UV) pip compile --quiet --universal --generate-hashes --no-header pyproject.toml --group pyproject.toml:dev -o requirements/dev.lock $(ARGS)
	@! grep -n '://' requirements/*.lock

clean:  ## stop the servers, and remove .venv and all caches
	@test ! -e .cache/servers/state.json || $(PYTHON) scripts/servers down
	rm -rf .venv .cache dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements/dev.lock pyproject.toml | $(UV)
	@test -x $(BIN)/python || $(UV) venv --quiet --python "$(or $(PYTHON),3.11)" .venv
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

.cache/uv/bin/uv:
	@test -n "$(PYTHON)" || { echo "needs Python 3.11 or newer, or uv" >&2; exit 1; }
	@$(PYTHON) -m venv .cache/uv
	@.cache/uv/bin/pip install --quiet --disable-pip-version-check uv
