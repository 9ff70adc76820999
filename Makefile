# Each command works from a bare Python 3.11: it makes the environment .venv first, where it is not there.
PYTHON ?= python3
BIN := .venv/bin
MADE := .venv/.made

.PHONY: env demo test test-faults lint bench bench-scale gpu clean

env: $(MADE)

$(MADE): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m pip install --quiet -e ".[test,tutorial]"
	touch $(MADE)

demo: $(MADE)
	$(BIN)/python -m hydroxr demo

# The models of the tutorials are small: one thread is faster than several.
test: $(MADE)
	$(BIN)/python -m pytest
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --nbmake --nbmake-timeout=600 tutorials

# Writers killed and stores damaged in great number, then workers and whole runs of a cluster killed.
# FAULTS="--kills 10 --appends 10 --damages 100" and CLUSTER_FAULTS="--workers 2 --runs 2" for fewer.
test-faults: $(MADE)
	PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/python tests/faults/store_faults.py $(FAULTS)
	PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/python tests/faults/cluster_faults.py $(CLUSTER_FAULTS)

lint: $(MADE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(MADE)
	$(BIN)/python tests/benchmarks/bench_physics.py
	$(BIN)/python tests/benchmarks/bench_training.py

# Two worker processes and some 20 GB of disk; smaller: make bench-scale SCALE="--cells 1000 --years 2"
bench-scale: $(MADE)
	PYTHONPATH=. OMP_NUM_THREADS=1 $(BIN)/python tests/benchmarks/bench_scale.py $(SCALE)

gpu: $(MADE)
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/python -m pip install --quiet -e ".[gpu]"
	$(BIN)/python -m pytest tests/physics/test_loop_cuda.py
	$(BIN)/python tests/benchmarks/bench_physics.py

clean:
	rm -rf .venv demo-output
