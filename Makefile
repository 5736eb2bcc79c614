# One obvious way to do each chore. `make` alone lists them. Each target makes .venv when it is missing or out of date.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

# OpenMP threads that wait for each other by spinning make everything on a busy machine many times slower.
export OMP_WAIT_POLICY ?= PASSIVE

# PYTEST_ARGS="-k raster" make test
PYTEST_ARGS ?=

# Two processes, a file of tests in one of them: files share a service. PARALLEL= make test runs one after the other.
PARALLEL ?= -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-fast lint format bench bench-peers test-peers bench-engine bench-stdp bench-numba constraints clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

KERNELS := setup.py $(wildcard snncore/*/kernels/* snncore/*/*/kernels/*)

$(STAMP): pyproject.toml constraints.txt $(KERNELS)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt torch==2.13.0
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP) ## train a spiking network on handwritten digits and look at it (about two minutes)
	@$(BIN)/spikesmith demo

serve: $(STAMP) ## run the service on http://127.0.0.1:8321 until Ctrl-C
	@$(BIN)/spikesmith serve

# Triton runs the GPU kernels on the CPU, step by step. A GPU build of torch brings its own.
TEST_STAMP := $(VENV)/.installed-for-tests

$(TEST_STAMP): $(STAMP)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[interpreter]'
	@touch $@

test: $(TEST_STAMP) ## the whole test suite
	@$(BIN)/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

test-fast: $(TEST_STAMP) ## the tests that take seconds
	@$(BIN)/python -m pytest $(PARALLEL) -m "not slow" $(PYTEST_ARGS)

lint: $(TEST_STAMP) ## style, formatting, types, and which package imports which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(STAMP) ## what the service costs on top of snncore.train, as a ratio
	@$(BIN)/python benchmarks/service_cost.py

# The peers have an environment of their own: none of them may decide what snncore runs on, nor the other way round.
PEERS := .venv-peers
PEERS_STAMP := $(PEERS)/.installed

# torch first, and the one that snncore has: a peer that asks for torch, also to build itself, must find it there.
# BindsNET comes without what it asks for: newer versions of torch, and packages that what is measured does not import.
$(PEERS_STAMP): benchmarks/peers.txt benchmarks/peers-alone.txt
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip --disable-pip-version-check install --quiet torch==2.13.0
	$(PEERS)/bin/python -m pip --disable-pip-version-check install --quiet --requirement benchmarks/peers.txt
	$(PEERS)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --requirement benchmarks/peers-alone.txt
	@touch $@

bench-peers: $(PEERS_STAMP) ## install the libraries that ours is measured against

test-peers: $(STAMP) $(PEERS_STAMP) ## neurons against those of snnTorch and Norse
	@PYTHONPATH=$$($(PEERS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') $(BIN)/python -m pytest -q tests/snncore/test_peers.py

# The second part runs also where the first has missed a threshold, and the target fails then all the same.
bench-engine: $(STAMP) $(PEERS_STAMP) ## the engine against other libraries, and how its cost grows (on an idle machine)
	@$(BIN)/python -m benchmarks.engine.run; met=$$?; $(BIN)/python -m benchmarks.engine.scaling && exit $$met

bench-stdp: $(STAMP) $(PEERS_STAMP) ## learning without gradients against BindsNET (on an idle machine)
	@$(BIN)/python -m benchmarks.stdp.run

bench-numba: $(PEERS_STAMP) ## the scan kernels in numba and in C (docs/decisions/011)
	@PYTHONPATH=. $(PEERS)/bin/python -m benchmarks.numba_scan.compare

constraints: $(STAMP) ## write constraints.txt anew from what .venv holds
	@$(BIN)/python .ci/freeze.py > constraints.new && mv constraints.new constraints.txt && touch $(STAMP)

clean: ## remove .venv and everything that was built
	rm -rf $(VENV) $(PEERS) snncore/engines/cpu/libscan.so snncore/plasticity/libplasticity.so build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache demo-output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
