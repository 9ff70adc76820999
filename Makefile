# Every target works from a bare Python of 3.11 or later: it makes the environments that it needs.
PYTHON ?= python3
PROCESSES ?= 2
BIN := .venv/bin
MADE := .venv/.made
DOCS_MADE := .venv/.docs
CF := .venv-cf
CF_MADE := $(CF)/.made
OLDEST := .venv-oldest
OLDEST_MADE := $(OLDEST)/.made

# Each worker takes a stretch of the list of tests, and who is done takes over what others have left.
PYTEST := -m pytest -n $(PROCESSES) --dist worksteal

# Python keeps what it compiles, so that many short processes start fast.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help env cf oldest kernels demo docs lint test test-oldest test-faults bench bench-scale gpu clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/#/' | column -t -s '#'

env: $(MADE)  ## make the environment .venv

$(MADE): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT="$(CURDIR)/constraints.txt" $(BIN)/python -m pip install --quiet -e ".[test,tutorial]"
	touch $(MADE)

cf: $(CF_MADE)  ## make the environment of the CF checker, which needs versions of its own

$(CF_MADE): tests/cf/requirements.txt
	$(PYTHON) -m venv $(CF)
	$(CF)/bin/python -m pip install --quiet -r tests/cf/requirements.txt
	touch $(CF_MADE)

oldest: $(OLDEST_MADE)  ## make the environment with the oldest versions that pyproject.toml allows

$(OLDEST_MADE): pyproject.toml constraints.txt .ci/oldest.py
	$(PYTHON) -m venv $(OLDEST)
	$(PYTHON) .ci/oldest.py > $(OLDEST)/constraints.txt
	PIP_CONSTRAINT="$(CURDIR)/$(OLDEST)/constraints.txt" $(OLDEST)/bin/python -m pip install --quiet -e ".[test]"
	touch $(OLDEST_MADE)

kernels: $(MADE)  ## compile the equations for this machine
	PYTHONPATH=. $(BIN)/python .ci/kernels.py float32 float64

demo: $(MADE)  ## train, simulate and plot a small example in demo-output
	$(BIN)/python -m hydroxr demo

docs: $(DOCS_MADE)  ## build the site in build/site/html; a warning is an error, and nothing is fetched
	$(BIN)/python tutorials/site/build.py

$(DOCS_MADE): $(MADE)
	PIP_CONSTRAINT="$(CURDIR)/constraints.txt" $(BIN)/python -m pip install --quiet -e ".[docs,plot]"
	touch $(DOCS_MADE)

lint: $(MADE)  ## check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Named in the environment, the CF checker must be there: without it tests fail instead of being skipped.
# The models of the tutorials are small: one thread is faster than several.
test: export HYDROXR_CF_CHECKER=$(CURDIR)/$(CF)/bin/compliance-checker
test: export OMP_NUM_THREADS=1
test: $(MADE) $(CF_MADE) kernels  ## run the tests and the tutorials
	$(BIN)/python $(PYTEST) --nbmake --nbmake-timeout=600 tutorials tests

# numba keeps what it compiles for one of its versions alone.
test-oldest: export NUMBA_CACHE_DIR=$(CURDIR)/$(OLDEST)/numba
test-oldest: export OMP_NUM_THREADS=1
test-oldest: $(OLDEST_MADE)  ## run the tests of simulation, storage and clusters with the oldest versions
	$(OLDEST)/bin/python -m pip list
	PYTHONPATH=. $(OLDEST)/bin/python .ci/kernels.py float32
	$(OLDEST)/bin/python $(PYTEST) tests/simulation tests/storage tests/faults

# Writers and trainings killed, stores and models damaged in great number, two writers of one target, inputs
# corrected before resuming, full disks; for fewer FAULTS="--kills 10 --appends 10 --damages 100 --races 5".
test-faults: export PYTHONPATH=.
test-faults: export OMP_NUM_THREADS=1
test-faults: $(MADE)  ## kill writers and trainings, damage stores and models, fill disks, in great number
	$(BIN)/python tests/faults/model_faults.py $(MODEL_FAULTS)
	$(BIN)/python tests/faults/fit_faults.py $(FIT_FAULTS)
	$(BIN)/python tests/faults/together_faults.py $(TOGETHER_FAULTS)
	$(BIN)/python tests/faults/store_faults.py $(FAULTS)
	$(BIN)/python tests/faults/cluster_faults.py $(CLUSTER_FAULTS)

bench: $(MADE)  ## time the physics and a training iteration
	$(BIN)/python tests/benchmarks/bench_physics.py
	$(BIN)/python tests/benchmarks/bench_training.py
	PYTHONPATH=. $(BIN)/python tests/benchmarks/clusters/bench_together.py

# Two worker processes and some 20 GB of disk; smaller: make bench-scale SCALE="--cells 1000 --years 2"
bench-scale: $(MADE)  ## time a continent and its memory
	PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_scale.py $(SCALE)

# The first step asks the driver, so that a machine without a GPU installs nothing.
gpu:  ## test and time loop and training on an NVIDIA GPU; an error where there is none
	$(PYTHON) .ci/gpu.py
	$(MAKE) $(MADE)
	PIP_CONSTRAINT="$(CURDIR)/constraints.txt" $(BIN)/python -m pip install --quiet -e ".[gpu]"
	$(BIN)/python .ci/gpu.py --torch
	$(BIN)/python -m pytest tests/physics/cuda
	$(BIN)/python tests/benchmarks/bench_physics.py
	$(BIN)/python tests/benchmarks/bench_training.py --device cuda

clean:  ## remove the environments and what was built
	rm -rf .venv $(CF) $(OLDEST) build demo-output
