# Weltenstimme. `make` alone prints what there is; nothing has to be installed before but make and Python 3.11 or newer.

PYTHON = python3
ARGS =

VENV = .venv
RUN = PATH="$$PWD/$(VENV)/bin:$$PATH"
PY = $(VENV)/bin/python

PYTHON_READY = $(VENV)/.python-ready
DEVELOPMENT_READY = $(VENV)/.development-ready
NODE_READY = node_modules/.ready

help: ## print this
	@echo 'make TARGET [ARGS="…"], where TARGET is one of'
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile

run: $(PYTHON_READY) $(NODE_READY) ## set everything up and start the server; ARGS="--port 9000" for instance
	@exec $(PY) -m server serve --print-token true $(ARGS)

test: $(DEVELOPMENT_READY) $(NODE_READY) browsers types-js ## run all tests; ARGS go to pytest, "tests/web -x" for instance
	@$(RUN) node --test --test-reporter=spec $$(find tests/js -name '*.test.*js' | sort)
	@$(PY) -m pytest $(ARGS)

lint: $(DEVELOPMENT_READY) types-js ## check style and types without changing anything
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -m mypy

format: $(DEVELOPMENT_READY) ## format the Python code and mend what can be mended by machine
	@$(PY) -m ruff check --fix
	@$(PY) -m ruff format

bench: $(PYTHON_READY) ## measure; ARGS="--help" prints what can be measured
	@$(PY) -m bench $(ARGS)

docs: $(PYTHON_READY) ## write docs/configuration.md from the table of settings
	@$(PY) -m tools.configuration

wheel: $(PYTHON_READY) $(NODE_READY) ## build an installable package in dist/
	@$(PY) -m build --wheel --no-isolation

lock: $(DEVELOPMENT_READY) $(NODE_READY) ## write the lock files anew; ARGS="--upgrade" takes newer versions
	@$(PY) -m tools.lock $(ARGS)
	@$(RUN) npm install --package-lock-only --ignore-scripts --no-audit --no-fund

clean: ## remove what set-up, builds and tests made; data/ and .env stay
	@rm -rf $(VENV) node_modules build dist test-results .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

types-js: $(NODE_READY)
	@$(RUN) node_modules/.bin/tsc --noEmit

browsers:
	@tools/set-up.sh browsers

$(PYTHON_READY): requirements.txt requirements-build.txt pyproject.toml
	@PYTHON="$(PYTHON)" tools/set-up.sh python
	@touch $@

$(DEVELOPMENT_READY): requirements-dev.txt $(PYTHON_READY)
	@tools/set-up.sh development
	@touch $@

$(NODE_READY): package.json package-lock.json requirements-node.txt $(PYTHON_READY)
	@tools/set-up.sh node
	@touch $@

.PHONY: help run test lint format bench docs wheel lock clean types-js browsers
