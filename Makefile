# Both commands set themselves up in .venv; they need git, make and Python 3.11 or newer with venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint tests bench clean

demo: .venv/.core  ## a small fleet of real SSH servers on loopback, and a run against it
	@$(BIN)/fleetpmap demo

test: lint tests  ## everything that has to hold

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck fleetpmap/probe/probe.sh .ci/run

tests: .venv/.dev
	$(BIN)/pytest $(PYTEST_ARGS)

bench: .venv/.dev  ## against the others, into benchmarks/RESULTS.md; BENCH_ARGS: --rounds N, NAME...
	$(BIN)/python benchmarks $(BENCH_ARGS)

.venv/.core: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fleetpmap needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.dev: .venv/.core
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'  # the first that knows dependency groups
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

clean:
	rm -rf .venv
