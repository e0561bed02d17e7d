# make demo   install, run the quickstart study, write its report
# make test   install, run all tests
# make bench  compare the speed of the CPU's work with the straightforward way (minutes)
# make check  format, lint, types, import contracts
# make docs   the pages of docs/ and the API reference as HTML, in build/docs
# make pictures  the pictures of the README anew: runs the quickstart (4 minutes), needs chromium and chromedriver
# make audit  known vulnerabilities of the tested versions; fails where the database cannot be reached
# make lock   requirements-hashed.txt anew from pyproject.toml and constraints.txt; needs uv
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

export MLFLOW_DISABLE_TELEMETRY := true
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: demo test test-fast bench check format docs pictures audit lock clean

demo: $(VENV)/.installed
	$(BIN)/acl-study quickstart

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=20

test-fast: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "not slow and not browser"

bench: $(VENV)/.installed-bench
	PYTHONPATH=. $(BIN)/python benchmarks/cpu_speed.py
	PYTHONPATH=. $(BIN)/python benchmarks/loss_speed.py

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check acl_study.py acl study analysis tests benchmarks docs
	$(BIN)/ruff check acl_study.py acl study analysis tests benchmarks docs
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff format acl_study.py acl study analysis tests benchmarks docs
	$(BIN)/ruff check --fix acl_study.py acl study analysis tests benchmarks docs

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build -n -W --keep-going -q docs build/docs
	@echo build/docs/index.html

pictures: $(VENV)/.installed-dev
	$(BIN)/python docs/pictures.py

# --strict: without it, packages that the database does not know or that it was not asked about count as sound.
audit: $(VENV)/.installed-audit
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement requirements-hashed.txt

lock:
	uv pip compile pyproject.toml --all-extras --constraint constraints.txt --no-emit-package pip --generate-hashes --no-annotate \
	  --python-version 3.11 --python-platform x86_64-manylinux_2_28 --custom-compile-command "make lock" \
	  --no-config --quiet --output-file requirements-hashed.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache

# Each stamp is made once; after that nothing here needs the network.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[export,test,check]"
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[bench]"
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[docs]"
	touch $@

$(VENV)/.installed-audit: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[audit]"
	touch $@
