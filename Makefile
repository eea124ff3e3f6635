# Needs Python 3.11 or later and make; everything else goes into .venv.
#
#   make demo TORCH=/path/to/a/cpu/wheel.whl     another torch than the package index gives
#   make test CONSTRAINTS=                       the newest versions instead of the tested ones

PYTHON ?= python3
TORCH ?= torch
CONSTRAINTS ?= constraints.txt

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(CONSTRAINTS),-c $(CONSTRAINTS))

.PHONY: demo test test-slow simulate digits mutants lint docs bench clean

demo: .venv/installed
	$(BIN)/radii demo --out demo

test: .venv/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: .venv/installed-test
	$(PIP) -e ".[ray]"
	$(BIN)/python -m pytest -m slow

# Every night: a million certifications whose radius is known, counted where they are wrong.
simulate: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python tools/simulate.py --certifications 1000000 --jobs 2

# Every bound and certificate against arithmetic with 50 digits; a quarter of an hour.
digits: .venv/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python tools/against_digits.py --points 10000

# What the tests of bounds, certificates and smoothing would notice; over an hour.
mutants: .venv/installed-test
	$(PIP) "cosmic-ray>=8.7"
	OMP_NUM_THREADS=1 $(BIN)/python tools/mutate.py --at-import 1

lint: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: .venv/installed-dev
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

bench: .venv/installed
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/end_to_end.py
	$(BIN)/python benchmarks/scaling.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/certificates.py

# torch is installed first and by itself: a range asked for by another package would be answered
# with the newest build.
.venv/torch: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(PIP) "$(TORCH)"
	touch $@

.venv/installed: .venv/torch pyproject.toml
	$(PIP) -e .
	touch $@

.venv/installed-test: .venv/installed
	$(PIP) -e ".[test]"
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) -e ".[dev]"
	touch $@

clean:
	rm -rf .venv demo docs/_build .mypy_cache .ruff_cache .pytest_cache
