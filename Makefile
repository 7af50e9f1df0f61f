# One verb a habit. Everything lives in .venv and var/; nothing else is touched.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
KEY = $$($(BIN)/python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())')
# Production as .env.example has it, with keys for the moment; on SQLite, because there may be no server here.
EXAMPLE = ENV_FILE=.env.example SECRET_KEY=$(KEY)$(KEY) JWT_SIGNING_KEY=$(KEY) ENCRYPTION_KEYS=$(KEY) \
  DATABASE_URL=sqlite:///var/check.sqlite3 SILENCED_CHECKS=tillgate.W101
DEMO := ENV_FILE=var/demo.env SITE_URL=http://localhost:$(PORT)

.PHONY: run test chaos property bench lint format check browser messages install clean help
.DEFAULT_GOAL := help

help: ## Show the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: .venv/base var/demo.env ## Serve the demo: web and worker on http://localhost:8000 (PORT=8123 moves it)
	@exec env $(DEMO) $(BIN)/python manage.py serve --demo --port $(PORT)  # exec: a signal to make reaches it

test: .venv/dev ## Run the tests, but for those in a browser (DATABASE_URL chooses another database than SQLite)
	@$(BIN)/pytest -n auto --dist worksteal -m "not browser" $(ARGS)

browser: .venv/dev ## Run the tests that drive a real Chromium
	@$(BIN)/pytest -n auto --dist worksteal -m browser $(ARGS)

chaos: .venv/dev ## Kill workers under load for two minutes (CHAOS_SECONDS), then compare the books
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-120} $(BIN)/pytest tests/test_chaos.py -s $(ARGS)

property: .venv/dev ## Drive money through 100,000 random steps (PROPERTY_SEED repeats a run)
	@export PROPERTY_EXAMPLES=$${PROPERTY_EXAMPLES:-2000} PROPERTY_SEED=$${PROPERTY_SEED:-$$(date +%s)}; \
	  echo "PROPERTY_SEED=$$PROPERTY_SEED"; $(BIN)/pytest tests/test_property.py -n auto $(ARGS)

bench: .venv/dev ## Measure against a raw floor and a plain DRF app (ARGS="--rounds 2"; DATABASE_URL as for test)
	@$(BIN)/python -m bench $(ARGS)

lint: .venv/dev var/demo.env ## Style, types and import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(DEMO) $(BIN)/mypy .
	@$(BIN)/lint-imports

check: .venv/dev ## Migrations are complete, and .env.example passes the deployment checks
	@$(EXAMPLE) $(BIN)/python manage.py makemigrations --check --dry-run
	@$(EXAMPLE) $(BIN)/python manage.py check --deploy --fail-level WARNING
	@$(EXAMPLE) $(BIN)/python manage.py spectacular --validate --fail-on-warn --file var/openapi.yaml

format: .venv/dev ## Format the code
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

messages: .venv/base ## Compile the translations in locale/ after a change of a .po file
	@$(BIN)/pybabel compile --directory locale --domain django --statistics

install: .venv/base ## Install what the product needs

clean: ## Forget the virtual environment and all state
	rm -rf .venv var

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "Tillgate needs Python 3.11 or later."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Tillgate needs Python 3.11 or later; this is $$($(PYTHON) --version)."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "Python lacks venv. On Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	@echo "Making a virtual environment in .venv"
	@$(PYTHON) -m venv .venv

.venv/base: requirements/base.txt requirements/constraints.txt | .venv/bin/python
	@echo "Installing what Tillgate needs (about a minute, once)"
	@$(BIN)/pip install --disable-pip-version-check --only-binary :all: \
	  -r requirements/base.txt -c requirements/constraints.txt
	@touch $@

.venv/dev: requirements/dev.txt .venv/base
	@echo "Installing what the tests need (about two minutes, once)"
	@$(BIN)/pip install --disable-pip-version-check --only-binary :all: \
	  -r requirements/dev.txt -c requirements/constraints.txt
	@touch $@

var/demo.env: | .venv/bin/python
	@mkdir -p var
	@$(BIN)/python config/demo_env.py > $@
