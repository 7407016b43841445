# Every target makes what it needs: `make test` and `make demo` work on a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LINT_STAMP := $(VENV)/.installed-lint
DOCS_STAMP := $(VENV)/.installed-docs
FUZZ_STAMP := $(VENV)/.installed-fuzz
# Two workers: the suite is written for two cores. Override with JOBS=8.
JOBS ?= 2
SEEDS ?= 1000
MINUTES ?= 10

.PHONY: help demo test seeds soak mutants fuzz lint format cover bench docs changelog clean

help:
	@echo "make demo    three agents on loopback: one dies, returns, one leaves"
	@echo "make test    the whole test suite (about three minutes)"
	@echo "make seeds   $(SEEDS) seeds of simulated clusters with faults (SEEDS=n)"
	@echo "make soak    fresh seeds for $(MINUTES) minutes; failing ones are shrunk (MINUTES=n)"
	@echo "make mutants which planted protocol bugs the simulation notices, over $(SEEDS) seeds; hours"
	@echo "make fuzz    every parser under atheris for $(MINUTES) minutes (MINUTES=n, RUNS=n, TARGET=name)"
	@echo "make lint    ruff, mypy --strict, pyright"
	@echo "make cover   tests with branch coverage and its limits"
	@echo "make bench   every benchmark, a few minutes"
	@echo "make docs    the documentation, into docs/_build/html"

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "trio-gossip needs Python 3.11 or later; say make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group test -e '.[cli]'
	@touch $@

$(LINT_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group lint
	@touch $@

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group docs
	@touch $@

$(FUZZ_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group fuzz
	@touch $@

demo: $(STAMP)
	$(BIN)/trio-gossip demo

test: $(STAMP)
	$(BIN)/python -m pytest -q -n $(JOBS) -m "not slow"

seeds: $(STAMP)
	$(BIN)/python -m trio_gossip.testing.scenarios.soak --seeds $(SEEDS) --first 0 --jobs $(JOBS)

soak: $(STAMP)
	$(BIN)/python -m trio_gossip.testing.scenarios.soak --minutes $(MINUTES) --jobs $(JOBS)

mutants: $(STAMP)
	$(BIN)/python -m tests.simulation.mutants.report --seeds $(SEEDS) --jobs $(JOBS)

fuzz: $(FUZZ_STAMP)
	$(BIN)/python -m tests.fuzz.run $(if $(RUNS),--runs $(RUNS),--minutes $(MINUTES)) $(if $(TARGET),--target $(TARGET))

lint: $(LINT_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright

format: $(LINT_STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

cover: $(STAMP)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q -n $(JOBS) -m "not slow"
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --include='trio_gossip/engine/*' --fail-under=100
	$(BIN)/coverage report --fail-under=95

bench: $(STAMP)
	@for script in benchmarks/bench_*.py; do echo; echo "== $$script"; $(BIN)/python $$script || exit 1; done

docs: $(DOCS_STAMP)
	$(BIN)/sphinx-build -W -n -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

changelog: $(DOCS_STAMP)
	$(BIN)/towncrier build --yes

clean:
	rm -rf $(VENV) docs/_build .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
