# Two commands: `make demo` and `make test`. Only Python (>= 3.11) and make are needed.
PYTHON ?= python3
# What pip is asked for as torch: a version, or another index of packages.
TORCH ?= torch
# Exact versions of everything, torch too. `make CONSTRAINTS= TORCH=...` takes other ones.
CONSTRAINTS ?= constraints.txt
# The extra to install: dev for all tests and checks, test for those of test-latest and test-oldest.
EXTRA ?= dev
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What only tests of other people's tools need, and is too heavy for the demo.
TOOLS := $(VENV)/.tools
NEWEST := CONSTRAINTS= UPGRADE="--upgrade --upgrade-strategy eager"
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal
# What meets other people's packages: run with their newest and their oldest versions.
OUTWARD := tests/models tests/train tests/cli

.PHONY: demo test test-full test-latest test-oldest outward mutants docs lint lock clean

demo: $(STAMP)
	$(BIN)/python examples/demo.py

test: $(STAMP) $(TOOLS) lint
	$(PYTEST) --durations=10

test-full: $(STAMP) $(TOOLS) lint
	$(PYTEST) --full --durations=20

# The stamp goes first: what is newest changes by itself.
test-latest:
	rm -f .venv-latest/.installed
	$(MAKE) outward VENV=.venv-latest EXTRA=test $(NEWEST)

test-oldest: .floors.txt
	$(MAKE) outward VENV=.venv-oldest EXTRA=test CONSTRAINTS=.floors.txt

# Warnings are shown and no errors: those of other versions are not ours to mend.
outward: $(STAMP)
	$(PYTEST) -W default $(OUTWARD)

.floors.txt: pyproject.toml tools/floors.py
	$(PYTHON) tools/floors.py > $@

# Each named mutation of the rules must make some test fail; some ten minutes on two cores.
mutants: $(STAMP)
	$(BIN)/python tests/mutants.py -j 2

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# A new constraints.txt: the newest of everything, written down when the tests are green with it and the site builds.
lock:
	rm -f .venv-lock/.installed
	$(MAKE) test VENV=.venv-lock $(NEWEST)
	$(MAKE) docs VENV=.venv-lock $(NEWEST)
	.venv-lock/bin/python tools/lock.py

# The site, in site/; what builds it is installed when it is first asked for.
docs: $(STAMP)
	$(PIP) install $(UPGRADE) $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# torch first and by itself: it may come from an index of its own.
$(STAMP): pyproject.toml Makefile $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install $(UPGRADE) $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) $(TORCH)
	$(PIP) install $(UPGRADE) $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -e '.[$(EXTRA)]'
	touch $@

$(TOOLS): $(STAMP)
	$(PIP) install $(UPGRADE) $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -e '.[eval,tensorboard]'
	touch $@

clean:
	rm -rf .venv .venv-latest .venv-oldest .venv-lock .floors.txt dist build site .pytest_cache .ruff_cache
