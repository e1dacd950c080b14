# `make demo` shows the whole of it; `make setup` prepares a checkout to work on; `make lint test` is what must pass.

PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --quiet --disable-pip-version-check --constraint constraints.txt
SPFEDREC := $(BIN)/spfedrec
BASE := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
DEMO_PAGE := runs/demo-report.html

export PIP_ROOT_USER_ACTION = ignore

.PHONY: help setup demo test test-python torture audit-deps lint format
.PHONY: bench bench-against bench-chain bench-cost bench-engine bench-linearity bench-modes bench-pass bench-prepare bench-quality
.PHONY: bench-scale bench-second-stage bench-serving bench-top
.PHONY: results privacy pictures clean-demo

help:
	@echo "make setup    install spfedrec with its development tools into $(VENV)"
	@echo "make demo     prepare data, train, evaluate, recommend and report, from nothing"
	@echo "make test     run all tests"
	@echo "make test-python PYTHON=python3.13    run all tests by another Python, in an environment of its own"
	@echo "make torture  spoil every file, kill every command at its steps, run every two at once (docs/reliability.md)"
	@echo "make audit-deps    ask whether a flaw is known of an installed package (needs the network)"
	@echo "make lint     check format, style, types and imports"
	@echo "make format   format the code"
	@echo "make bench DATASET=datasets/ml-100k    clients per second of either engine"
	@echo "make bench-chain    clients per second of the secret-sharing chain, and where the time goes"
	@echo "make bench-engine    local training beside Flower, NVIDIA FLARE, pfl-research, PyTorch and JAX"
	@echo "make bench-linearity    seconds a round against clients and candidates"
	@echo "make bench-pass    one pass over all customers of H&M's number, by two threads and by one"
	@echo "make bench-against BEFORE=COMMIT    this version beside an earlier one: clients per second, whole trainings"
	@echo "make bench-cost    what a client works and sends in a round, split against full"
	@echo "make bench-modes    what each request mode shows of a client, and its bytes: docs/protocol.md"
	@echo "make bench-quality    NDCG@10 with 95 % intervals for the picture on the first page: docs/figures.md"
	@echo "make bench-second-stage    what devices rank for themselves, on real shops: docs/second-stage.md"
	@echo "make pictures    draw the pictures on the first page from docs/figures.md"
	@echo "make bench-top    exact lists beside FAISS, and lists for all customers of H&M's number"
	@echo "make bench-serving    one customer's list, FAISS's graph beside its exact index, a page of 500 rounds"
	@echo "make bench-scale    rounds over up to ten million items: docs/scaling.md"
	@echo "make results    quality beside baselines, ablations, quality against cost: docs/results.md"
	@echo "make privacy    quality, bytes and what attacks reach, mode by mode: docs/privacy.md"
	@echo "make bench-prepare    prepare all of H&M, beside merely reading its largest file"

setup: $(DEV)

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

$(BASE): pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing spfedrec into $(VENV) (once; this takes a few minutes)" >&2
	@$(PIP) --editable '.[report]'
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing spfedrec with its development tools into $(VENV) (once; this takes a few minutes)" >&2
	@$(PIP) --editable '.[dev]'
	@touch $(BASE) $@

# Its own earlier Datasets are replaced by prepare; its own earlier runs have to go first. Nothing else is touched.
demo: $(BASE)
	@rm -rf runs/demo-sample runs/demo-synthetic
	@echo "== 1. The sample: 138 purchases of 5 customers, enough to see every step, too few to learn from"
	@$(SPFEDREC) prepare --source sample --output datasets/demo-sample
	@$(SPFEDREC) train demo-sample --preset sample --name demo-sample
	@$(SPFEDREC) evaluate demo-sample --baselines
	@$(SPFEDREC) recommend demo-sample --customer $(call example_client,demo-sample)
	@echo
	@echo "== 2. A made-up shop whose customers' tastes are known, so that the best possible result is known too"
	@$(SPFEDREC) prepare --source synthetic --output datasets/demo-synthetic --customers 5000 --items 1000
	@$(SPFEDREC) train demo-synthetic --preset synthetic --set train.rounds=100 --name demo-synthetic
	@$(SPFEDREC) evaluate demo-synthetic --baselines
	@$(SPFEDREC) recommend demo-synthetic --customer $(call example_client,demo-synthetic)
	@$(SPFEDREC) report demo-synthetic --output $(DEMO_PAGE) --force >/dev/null
	@echo
	@echo "== Where to go next"
	@echo "  $(SPFEDREC) --help"
	@echo "      every command, each with examples"
	@echo "  $(SPFEDREC) config show"
	@echo "      every setting with its meaning, as a file to start from"
	@echo "  $(SPFEDREC) export demo-synthetic --output demo-export"
	@echo "      the embeddings and the towers, for programs of your own"
	@echo "  datasets/README.md"
	@echo "      where the files of H&M and MovieLens come from, and how to prepare them"
	@echo "  $(abspath $(DEMO_PAGE))"
	@echo "      all of this as a page: open it in a browser"

example_client = $$($(SPFEDREC) describe $(1) --json --quiet | $(BIN)/python -c 'import json, sys; print(json.load(sys.stdin)["example_client"])')

# One thread a worker: two workers that each start a thread for every core wait for each other.
# A worker keeps to its own half of the files until it is done: fewer fixtures are made twice, and none waits at the end.
test: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

test-python:
	$(MAKE) test VENV=.venv-$(notdir $(PYTHON))

# 3,080 commands on spoilt files, some 1,600 kills, 300 tries of two at once. Each part says what it has counted.
torture: $(DEV)
	@failed=0; for part in "torture.py $(TORTURE_ARGS)" "kills.py $(KILLS_ARGS)" "pairs.py $(PAIRS_ARGS)"; do \
	  OMP_NUM_THREADS=1 $(BIN)/python tests/$$part || failed=1; echo; done; exit $$failed

audit-deps: $(DEV)
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[audit]'
	@$(BIN)/pip-audit --local --strict --skip-editable --progress-spinner off || { \
	  echo "A flaw is known, or the list of known flaws cannot be had here: read the lines above." >&2; exit 1; }

lint: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(DEV)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(BASE)
	@$(BIN)/python benchmarks/engine.py $(DATASET)

bench-chain: $(BASE)
	@$(BIN)/python benchmarks/chain.py

# Makes an environment a peer in .bench (5 GB), once.
bench-engine: $(BASE)
	@$(BIN)/python benchmarks/compare.py --write

bench-linearity: $(DEV)
	@$(BIN)/python benchmarks/linearity.py --write

# Makes a Dataset of .5 GB in datasets/bench-one-pass, once.
bench-pass: $(BASE)
	@$(BIN)/python benchmarks/one_pass.py --write

# Data of MovieLens 100K: SPFEDREC_REAL_DATA. A shop of H&M's size: what bench-pass has made.
bench-against: $(BASE)
	@$(BIN)/python benchmarks/against.py $(BEFORE) --write

bench-cost: $(BASE)
	@$(BIN)/python benchmarks/cost.py

# Makes an environment for FAISS in .bench; recommends by the run that bench-pass has left.
bench-top: $(BASE)
	@$(BIN)/python benchmarks/top.py --write

# A shop of H&M's size: what bench-pass has made, or makes.
bench-serving: $(DEV)
	@$(BIN)/python benchmarks/serving.py --everybody --write

bench-scale: $(BASE)
	@$(BIN)/python benchmarks/scale.py --write

# Makes 3.4 GB of files in datasets/bench-prepare, once.
bench-prepare: $(DEV)
	@$(BIN)/python benchmarks/prepare.py

# Data of MovieLens 100K: SPFEDREC_REAL_DATA. What is trained already, in runs/results, is not trained again.
results: $(DEV)
	@$(BIN)/python benchmarks/results.py --write $(RESULTS_ARGS)

# Data of MovieLens 100K: SPFEDREC_REAL_DATA. What is trained or audited already, in runs/privacy, is not done again.
privacy: $(BASE)
	@$(BIN)/python benchmarks/privacy.py --write

# Data of MovieLens 100K: SPFEDREC_REAL_DATA. Prepares in runs/results what `results` does not find there either.
bench-modes: $(DEV)
	@$(BIN)/python benchmarks/modes.py --write

# Data: SPFEDREC_REAL_DATA. Prepares and trains in runs/second-stage; what is there is not made again.
bench-second-stage: $(DEV)
	@$(BIN)/python benchmarks/second_stage.py --write

bench-quality: $(DEV)
	@$(BIN)/python benchmarks/quality.py --write

pictures: $(DEV)
	@$(BIN)/python benchmarks/pictures.py

clean-demo:
	rm -rf datasets/demo-sample datasets/demo-synthetic runs/demo-sample runs/demo-synthetic $(DEMO_PAGE)
