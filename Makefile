# The commands for working with this repository. `make` alone lists them.

VENV ?= .venv
PORT ?= 8000
WORKERS ?= 1
EVERY ?= 1
JOBS ?= 5
MINUTES ?= 10
SEEDS ?= 1
RUNS ?= 5
LOAD ?= cpu,disk
TEST_DATABASE_URL ?= postgresql://postgres@127.0.0.1:5432/postgres
TEST_REDIS_URL ?= redis://127.0.0.1:6379/0

NEW_ENOUGH := import ensurepip, sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	"$$name" -c '$(NEW_ENOUGH)' 2>/dev/null && echo "$$name" && break; done)

BIN := $(VENV)/bin
PY := $(BIN)/python
NPM := cd client && PATH="$(abspath $(BIN)):$$PATH" npm
EMBEDDED := env -u DATABASE_URL -u REDIS_URL
EXTRAS := --extra docs --extra postgres --extra project --extra redis --extra server
COMPILE := CUSTOM_COMPILE_COMMAND="make requirements" $(BIN)/pip-compile --quiet --strip-extras \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links $(EXTRAS)

# With it, every worker of the tests and every server that they start would compile all sources again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run demo-traffic test client client-test newer flaky check lint soak autobahn bench screenshots coverage \
	sockets requirements clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run ## Serve the demo on 127.0.0.1:$(PORT); uses PORT, WORKERS, DATABASE_URL, REDIS_URL
	@mkdir -p var
	@DEBUG=1 $(PY) manage.py migrate --verbosity 0
	@DEBUG=1 $(PY) manage.py load_demo --verbosity 0 > /dev/null
	@echo
	@echo "  The demo       http://127.0.0.1:$(PORT)/   open it in two windows"
	@echo "  The API        http://127.0.0.1:$(PORT)/api/docs"
	@echo "  The admin      http://127.0.0.1:$(PORT)/admin/"
	@echo "  Accounts       alice, bob, carol, and admin for the admin; password: demo"
	@echo
	@echo "  More traffic   make demo-traffic"
	@echo "  A socket       $(PY) manage.py open_socket alice --url ws://127.0.0.1:$(PORT)/api/v1/ws"
	@echo
	@exec env DEBUG=1 $(PY) manage.py serve --host 127.0.0.1 --port $(PORT) --workers $(WORKERS)

demo-traffic: $(VENV)/.run ## Let the people of the demo that `make run` serves talk, a line every EVERY seconds
	@DEBUG=1 $(PY) manage.py demo_traffic --url ws://127.0.0.1:$(PORT)/api/v1/ws --every $(EVERY)

test: client/node_modules/.installed ## Run the tests: of the browser library, on SQLite and memory, and on PostgreSQL and Redis if they answer
	@TEST_DATABASE_URL="$(TEST_DATABASE_URL)" TEST_REDIS_URL="$(TEST_REDIS_URL)" $(PY) -m tests.halves --jobs $(JOBS)

client: client/node_modules/.installed ## Build the browser library, and the files that Django serves of it
	$(NPM) run --silent build

client-test: client/node_modules/.installed ## Test the browser library: types, tests, sizes, and whether built files are stale
	$(NPM) run --silent check

newer: ## Run the tests with newer versions: Python 3.13 with Django 6.0 and 6.1 (which root can install)
	JOBS=$(JOBS) bash tests/newer.sh

flaky: $(VENV)/.dev ## Run the tests RUNS times in random orders under LOAD, and count the failures; SEED repeats an order
	TEST_DATABASE_URL="$(TEST_DATABASE_URL)" TEST_REDIS_URL="$(TEST_REDIS_URL)" $(PY) -m tests.flaky --runs $(RUNS) \
		--load "$(LOAD)" $(if $(SEED),--seed $(SEED)) $(if $(ONE_CORE),--one-core) -- -n $(JOBS) $(TESTS)

check: lint ## Check everything that CI checks: lint, migrations, settings, API document, tests
	DEBUG=1 $(PY) manage.py makemigrations --check --dry-run
	SECRET_KEY=$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(50))') ALLOWED_HOSTS=example.com \
		$(PY) manage.py check --deploy --fail-level ERROR
	DEBUG=1 $(PY) manage.py spectacular --validate --fail-on-warn --file /dev/null
	@$(MAKE) --no-print-directory test

lint: $(VENV)/.dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(EMBEDDED) $(BIN)/mypy

soak: $(VENV)/.dev ## Cause failures for MINUTES, and check that nothing is lost; SEED repeats a plan, SEEDS runs several
	$(EMBEDDED) $(PY) -m tests.chaos --minutes $(MINUTES) --seeds $(SEEDS) $(if $(SEED),--seed $(SEED))

autobahn: $(VENV)/.dev ## Run Autobahn's WebSocket cases and write docs/autobahn.md (needs Python 2.7)
	$(EMBEDDED) $(PY) -m tests.autobahn

bench: $(VENV)/.dev ## Measure (more than half an hour) and write docs/benchmarks.md and README's table
	$(PY) -m bench.run
	$(PY) -m bench.readme

coverage: $(VENV)/.dev ## List the lines that no test runs
	$(EMBEDDED) $(BIN)/coverage run -m pytest -m "not process and not browser"
	$(BIN)/coverage combine
	$(BIN)/coverage report --show-missing --skip-covered

screenshots: $(VENV)/.dev ## Take the screenshots of the demo in docs/images (needs Chromium)
	$(PY) -m docs.screenshots

sockets: $(VENV)/.dev ## Write the description of the sockets: docs/asyncapi.json and client/src/frames.ts
	DEBUG=1 $(PY) manage.py asyncapi --without-site --output docs/asyncapi.json --typescript client/src/frames.ts

requirements: $(VENV)/.dev ## Pin the dependencies that pyproject.toml declares
	$(COMPILE) --output-file requirements.txt pyproject.toml
	$(COMPILE) --extra dev --output-file requirements-dev.txt pyproject.toml

clean: ## Remove caches and build products; the environment and the demo's database stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov bench/bin \
		client/dist
	find . -name __pycache__ -not -path './.venv/*' -not -path './.newer/*' -prune -exec rm -rf {} +

# These files record when the requirements were installed: a requirements file that is newer is installed again.
$(VENV)/.run: requirements.txt | $(PY)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt | $(PY)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/.run

# Node is one of the development requirements.
client/node_modules/.installed: client/package-lock.json $(VENV)/.dev
	$(NPM) ci --silent
	@touch $@

$(PY):
	@if [ -z "$(PYTHON)" ]; then \
		echo "Needs Python 3.11 or newer with venv (on Debian: apt install python3-venv), or PYTHON=<path>." >&2; exit 1; fi
	$(PYTHON) -m venv $(VENV)
