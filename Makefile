# Each command works from a bare Python 3.11: it makes the environment .venv first, where it is not there.
PYTHON ?= python3
BIN := .venv/bin
MADE := .venv/.made
DOCS_MADE := .venv/.docs
CF := .venv-cf
CF_MADE := .venv-cf/.made

.PHONY: env cf demo docs test test-faults lint bench bench-scale gpu clean

env: $(MADE)

$(MADE): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT="$(CURDIR)/constraints.txt" $(BIN)/python -m pip install --quiet -e ".[test,tutorial]"
	touch $(MADE)

# The CF checker's versions do not go with ours: it has an environment of its own.
cf: $(CF_MADE)

$(CF_MADE): tests/cf/requirements.txt
	$(PYTHON) -m venv $(CF)
	$(CF)/bin/python -m pip install --quiet -r tests/cf/requirements.txt
	touch $(CF_MADE)

demo: $(MADE)
	$(BIN)/python -m hydroxr demo

# The site, in build/site/html: API reference, guides, tutorials. A warning is an error, and nothing is fetched.
docs: $(DOCS_MADE)
	$(BIN)/python tutorials/site/build.py

$(DOCS_MADE): $(MADE)
	PIP_CONSTRAINT="$(CURDIR)/constraints.txt" $(BIN)/python -m pip install --quiet -e ".[docs,plot]"
	touch $(DOCS_MADE)

# The models of the tutorials are small: one thread is faster than several.
# Named in the environment, the CF checker must be there: without it tests fail instead of being skipped.
test: $(MADE) $(CF_MADE)
	HYDROXR_CF_CHECKER="$(CURDIR)/$(CF)/bin/compliance-checker" $(BIN)/python -m pytest
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --nbmake --nbmake-timeout=600 tutorials

# Writers and trainings killed, stores and models damaged in great number; for fewer
# FAULTS="--kills 10 --appends 10 --damages 100" FIT_FAULTS="--kills 10".
test-faults: export PYTHONPATH=.
test-faults: export OMP_NUM_THREADS=1
test-faults: $(MADE)
	$(BIN)/python tests/faults/model_faults.py $(MODEL_FAULTS)
	$(BIN)/python tests/faults/fit_faults.py $(FIT_FAULTS)
	$(BIN)/python tests/faults/store_faults.py $(FAULTS)
	$(BIN)/python tests/faults/cluster_faults.py $(CLUSTER_FAULTS)

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
	PIP_CONSTRAINT="$(CURDIR)/constraints.txt" $(BIN)/python -m pip install --quiet -e ".[gpu]"
	$(BIN)/python -m pytest tests/physics/cuda/test_loop.py
	$(BIN)/python tests/benchmarks/bench_physics.py

clean:
	rm -rf .venv $(CF) demo-output
