# Gijun. `make demo` and `make test` need Python 3.11 and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# where the system has no libgomp, the copy that scikit-learn's wheel carries stands in for it
export LD_LIBRARY_PATH := $(CURDIR)/$(VENV)/native:$(LD_LIBRARY_PATH)
export PYTHONUNBUFFERED := 1
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.PHONY: help install install-dev spark demo run test chaos check format screenshots messages clean

help:
	@echo "make demo         install, make the demo bank, run its main job, serve the portal (Ctrl-C stops all)"
	@echo "make run          the same without demo data"
	@echo "make test         install and run all tests"
	@echo "make chaos        kill writers of one table for a minute: nothing lost, nothing torn"
	@echo "make spark        install the Spark of the tests (450 MB); \`make test\` then runs on a HiveServer2 too"
	@echo "make check        ruff, mypy, import-linter, djlint, missing migrations"
	@echo "make messages     collect the strings and compile the Korean ones (needs gettext)"
	@echo "make screenshots  drive the demo in headless Chromium and write docs/img"
	@echo "make clean        remove .venv and var (all data)"

$(VENV)/.installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Gijun needs Python 3.11: make PYTHON=/path/to/python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -r requirements.txt
	$(BIN)/python -m portal.native_libs
	touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(PIP) install --quiet -r requirements-dev.txt
	touch $@

$(VENV)/.installed-spark: requirements-spark.txt $(VENV)/.installed-dev
	$(PIP) install --quiet -r requirements-spark.txt
	touch $@

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev
spark: $(VENV)/.installed-spark

demo: install
	@exec $(BIN)/python -m portal.supervisor --demo

run: install
	@exec $(BIN)/python -m portal.supervisor

test: install-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

chaos: install-dev
	$(BIN)/python -m pytest -m chaos -s $(PYTEST_ARGS)

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint --lint --quiet portal apps
	SECRET_KEY=check GIJUN_HOME=$$(mktemp -d) $(BIN)/python manage.py makemigrations --check --dry-run

format: install-dev
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

screenshots: install-dev
	$(BIN)/python -m portal.demo.screenshots

messages: install-dev
	SECRET_KEY=messages $(BIN)/python manage.py makemessages -l ko --no-obsolete --no-wrap --add-location=file -i .venv -i var -i tests
	SECRET_KEY=messages $(BIN)/python manage.py compilemessages -l ko -i .venv

clean:
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache
