# Both commands set themselves up in .venv; they need git, make and Python 3.11 or newer with venv.
PYTHON ?= python3
BIN := .venv/bin

# More than cores, since many tests wait for a host or a deadline.
WORKERS ?= 4

# Else every worker compiles all test files again, for 5 seconds of CPU each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test quick lint tests coverage bench clean

demo: .venv/.core  ## a small fleet of real SSH servers on loopback, and a run against it
	@$(BIN)/fleetpmap demo

test: lint tests  ## everything that has to hold

quick: lint .venv/.dev  ## what can be known without a server, a browser or a run of the program: under a minute
	$(BIN)/pytest -q $(PARALLEL) tests/unit

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck fleetpmap/probe/probe.sh .ci/run
	$(BIN)/python docs/prose.py

# The tests of one file share an sshd and a demo, so a file stays with one worker. Those of tests/live judge memory that
# processes share, or hold a program that is flooded to seconds: they run by themselves.
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

tests: .venv/.dev
ifdef PYTEST_ARGS
	$(BIN)/pytest $(PYTEST_ARGS)
else
	$(BIN)/pytest $(PARALLEL) --ignore tests/live
	$(BIN)/pytest tests/live
endif

coverage: .venv/.dev  ## of the unit tests; fails below the floor in pyproject.toml
	$(BIN)/pytest -q $(PARALLEL) tests/unit -m 'not timed' --cov --cov-report=term

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
