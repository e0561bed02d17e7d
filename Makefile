# make demo   install, run the quickstart study, write its report
# make test   install, run all tests
# make bench  compare the speed of the CPU's work with the straightforward way (minutes)
# make check  format, lint, types, import contracts
# make docs   the pages of docs/ and the API reference as HTML, in build/docs
# make pictures  the pictures of the README anew: runs the quickstart (4 minutes), needs chromium and chromedriver
# make lowest  the lowest versions that pyproject.toml allows, in build/lowest: the smoke study and tests of what calls them; needs uv
# make audit  known vulnerabilities of the tested versions; fails where the database cannot be reached
# make lock   requirements-hashed.txt anew from pyproject.toml and constraints.txt; needs uv
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

export MLFLOW_DISABLE_TELEMETRY := true
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: demo test test-fast bench check format docs pictures lowest audit lock clean

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

# Warnings of old versions about each other are no errors.
LOWEST := build/lowest
LOWEST_TESTS := tests/analysis/records tests/study/spec tests/study/search tests/study/cli tests/study/state tests/acl/test_features.py tests/acl/losses
lowest:
	uv venv --quiet --clear --python $(PYTHON) $(LOWEST)
	uv pip compile --quiet pyproject.toml --extra server --resolution lowest-direct --output-file build/lowest.txt
	uv pip install --quiet --python $(LOWEST)/bin/python --requirement build/lowest.txt
	uv pip install --quiet --python $(LOWEST)/bin/python --constraint build/lowest.txt . pytest pytest-timeout pytest-xdist hypothesis selenium scikit-learn pytorch-metric-learning jsonschema pillow
	$(LOWEST)/bin/acl-study data synth $(LOWEST)/corpus --size tiny --seed 0
	$(LOWEST)/bin/acl-study data prepare $(LOWEST)/corpus
	$(LOWEST)/bin/acl-study run tests/study/smoke.yaml --data $(LOWEST)/corpus --home $(LOWEST)/runs
	$(LOWEST)/bin/acl-study report smoke --home $(LOWEST)/runs
	$(LOWEST)/bin/python -m pytest -q -W default -m "not slow and not browser" $(LOWEST_TESTS)

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
