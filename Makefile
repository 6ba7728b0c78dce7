# Everything a person does with this repository. `make demo` is the place to begin.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py

.PHONY: demo demo-check serve test test-spark lint bench bench-audit bench-checks format lock clean

demo: $(VENV)/.installed  ## play the whole story on real data, then serve the pages
	PYTHONPATH=client $(BIN)/python -m demo

demo-check: $(VENV)/.installed  ## play the story; exit 0 only if every step ended as told
	PYTHONPATH=client $(BIN)/python -m demo --check

serve: $(VENV)/.installed  ## serve what is in the data folder
	$(MANAGE) up

test: $(VENV)/.installed-dev  ## all tests: SQLite, and a real PostgreSQL and Valkey from wheels
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-spark: $(VENV)/.installed-spark  ## the checks' arithmetic by a local Spark beside DuckDB (needs Java 17)
	PYTHONPATH=$(VENV)/spark $(BIN)/python -m pytest tests/monitoring/engine/test_sources_spark.py -p no:xdist -rs

lint: $(VENV)/.installed-dev  ## format, lint, types, layers, migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	PYTHONPATH=. DJANGO_SETTINGS_MODULE=config.settings $(BIN)/lint-imports
	COUNTERSIGN_DATA_DIR=$$(mktemp -d) $(MANAGE) makemigrations --check --dry-run

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev  ## start, memory and gate figures of this machine
	$(BIN)/python -m bench

bench-audit: $(VENV)/.installed-bench  ## the audit log beside others, a log of 1,000,000 entries, writers and dying sequencers
	PYTHONPATH=.:client:$(VENV)/bench $(BIN)/python -W ignore -m bench.audit --output $(VENV)/bench-audit.md
	HAMMER_SECONDS=30 TESTS_FULL=1 $(BIN)/python -m pytest tests/audit -k "sixteen or every_proof" -p no:xdist

bench-checks: $(VENV)/.installed-dev  ## the checks beside other tools, intervals' coverage, attributions by format, 100,000,000 rows
	$(BIN)/python -W ignore -m bench.checks
	$(BIN)/python -W ignore -m bench.checks.shap_rates
	$(BIN)/python -W ignore -m bench.checks.coverage

lock:  ## resolve requirements.in anew (needs uv)
	uv pip compile -q requirements.in --universal --python-version 3.11 --fork-strategy fewest --no-header --no-annotate -o requirements.txt
	uv pip compile -q requirements-dev.in --universal --python-version 3.11 --fork-strategy fewest --no-header --no-annotate -o requirements-dev.txt

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Countersign needs Python 3.11, 3.12 or 3.13; say which with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt client/pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt -e client
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-dev.txt
	@touch $@

$(VENV)/.installed-bench: bench/audit/requirements.txt $(VENV)/.installed-dev
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --upgrade --target $(VENV)/bench -r $<
	@touch $@

$(VENV)/.installed-spark: tests/spark-requirements.txt $(VENV)/.installed-dev
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --upgrade --target $(VENV)/spark -r $<
	@touch $@

clean:
	rm -rf $(VENV) data
