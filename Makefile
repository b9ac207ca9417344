# Two commands: `make demo` and `make test`. Only Python (>= 3.11) and make are needed.
PYTHON ?= python3
TORCH ?= torch==2.13.0
# Exact versions for pip. `make CONSTRAINTS= TORCH=...` takes other ones.
CONSTRAINTS ?= constraints.txt
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal
# What meets other people's packages: run with their newest and their oldest versions.
OUTWARD := tests/models tests/train tests/cli

.PHONY: demo test test-full test-latest test-oldest outward mutants docs lint lock clean

demo: $(STAMP)
	$(BIN)/python examples/demo.py

test: $(STAMP) lint
	$(PYTEST) --durations=10

test-full: $(STAMP) lint
	$(PYTEST) --full --durations=20

test-latest:
	$(MAKE) outward VENV=.venv-latest TORCH=torch CONSTRAINTS= UPGRADE="--upgrade --upgrade-strategy eager"

test-oldest:
	$(PYTHON) tools/floors.py > .floors.txt
	$(MAKE) outward VENV=.venv-oldest TORCH="`grep '^torch==' .floors.txt`" CONSTRAINTS=.floors.txt

outward: $(STAMP)
	$(PYTEST) $(OUTWARD)

# Each named mutation of the rules must make some test fail; some ten minutes on two cores.
mutants: $(STAMP)
	$(BIN)/python tests/mutants.py -j 2

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# A new constraints.txt: the newest of everything, written down when the tests are green with it and the site builds.
lock:
	$(MAKE) test VENV=.venv-lock CONSTRAINTS= UPGRADE="--upgrade --upgrade-strategy eager"
	$(MAKE) docs VENV=.venv-lock CONSTRAINTS= UPGRADE="--upgrade --upgrade-strategy eager"
	.venv-lock/bin/python tools/lock.py

# The site, in site/; what builds it is installed when it is first asked for.
docs: $(STAMP)
	$(PIP) install $(UPGRADE) $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# torch first and by itself: its version decides which build the index gives.
$(STAMP): pyproject.toml Makefile $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install $(UPGRADE) $(TORCH)
	$(PIP) install $(UPGRADE) $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -e '.[dev]'
	touch $@

clean:
	rm -rf .venv .venv-latest .venv-oldest .venv-lock .floors.txt dist build site .pytest_cache .ruff_cache
