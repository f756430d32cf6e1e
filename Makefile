# Both commands set themselves up in .venv; they need git, make and Python 3.11 or newer with venv.
PYTHON ?= python3
BIN := .venv/bin

# More than cores, since many tests wait for a host or a deadline.
WORKERS ?= 4

# Else every worker compiles all test files again, for 5 seconds of CPU each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test quick lint tests coverage docs links wheel zipapp bench clean

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
	$(BIN)/pytest $(PARALLEL) --ignore tests/live --ignore tests/install
	$(BIN)/pytest tests/live
endif

coverage: .venv/.dev  ## of the unit tests; fails below the floor in pyproject.toml
	$(BIN)/pytest -q $(PARALLEL) tests/unit -m 'not timed' --cov --cov-report=term

docs: .venv/.docs  ## the site, warnings as errors, and the notebook run: build/site/index.html
	$(BIN)/python docs/generate.py --check
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c docs/site -b html . build/site
	$(BIN)/pytest -q tests/integration/test_notebook.py

links: .venv/.docs  ## the addresses in the documentation that lead out of it; needs the network
	$(BIN)/sphinx-build --quiet -c docs/site -b linkcheck . build/links

wheel: .venv/.release .venv/.docs  ## sdist and wheel, installed in the ways of docs/guides/install.md, into clean environments
	$(BIN)/pytest -q tests/install

# Compiled packages are in it, so it runs on one platform, and on these versions of Python. The platform is a glibc that is
# older than this machine's: uv would take the newest packages that run here.
PYTHONS ?= $(BIN)/python
PLATFORM ?= $(shell uname -m)-manylinux_2_28
ZIPAPP ?= build/fleetpmap.pyz
PARTS = $(addprefix build/zipapp/,$(notdir $(PYTHONS)))

zipapp: .venv/.release  ## one file with all that fleetpmap needs, for a machine without a package index
	@rm -rf build/zipapp
	@mkdir -p build/zipapp $(dir $(ZIPAPP))
	@for python in $(PYTHONS); do \
		$(BIN)/uv venv --quiet --python "$$python" "build/zipapp/$$(basename "$$python")" && \
		$(BIN)/uv pip install --quiet --python-platform $(PLATFORM) --python "build/zipapp/$$(basename "$$python")" '.[all]' || exit 1; \
	done
	@$(BIN)/pex 'fleetpmap[all]' $(PARTS:%=--venv-repository %) --console-script fleetpmap --venv \
		--python-shebang '/usr/bin/env python3' --output-file $(ZIPAPP)

bench: .venv/.dev  ## against the others, into benchmarks/RESULTS.md; BENCH_ARGS: --rounds N, NAME...
	$(BIN)/python benchmarks $(BENCH_ARGS)

.venv/.core: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fleetpmap needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.docs: .venv/.dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	@touch $@

.venv/.release: .venv/.dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group release
	@touch $@

.venv/.dev: .venv/.core
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'  # the first that knows dependency groups
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

clean:
	rm -rf .venv
