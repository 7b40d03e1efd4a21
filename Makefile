# The commands of the project. `make serve` and `make test` need only Python >= 3.11 with pip, and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
PORT ?= 8000
UV := $(shell command -v uv)
VENV ?= .venv
BIN := $(VENV)/bin
LOCK := requirements/dev.txt

.DEFAULT_GOAL := help
.PHONY: help venv serve test cover test-lowest ratios overhead peers check types format lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

venv: $(VENV)/.installed ## the development environment, in .venv (VENV=… PYTHON=python3.13 for another)

$(VENV)/.installed: $(LOCK) pyproject.toml
ifdef UV
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r $(LOCK)
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
else
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endif
	@touch $@

serve: venv ## the reference service on http://127.0.0.1:8000 (PORT=8765 for another port)
	$(BIN)/sqlawait serve --port $(PORT)

test: venv ## the whole suite, on SQLite, PostgreSQL and, where one answers, MariaDB/MySQL
	$(BIN)/python -m pytest

cover: venv ## the same, with the branches that it covers: takes about twice as long
	$(BIN)/python -m pytest --cov --cov-report=term

test-lowest: ## the library's suite on the oldest versions that it takes (needs uv)
	test -x .venv-lowest/bin/python || $(UV) venv --quiet --python $(PYTHON) .venv-lowest
	$(UV) pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct -e '.[all]' --group dev
	.venv-lowest/bin/python -m pytest tests/test_*.py tests/fastapi tests/backends tests/shape tests/guards

ratios: venv ## the speeds that the project promises, measured here (JSON=path writes every measurement)
	$(BIN)/python -m sqlawait.bench.ratios $(if $(JSON),--json $(JSON))

overhead: venv ## what the guards cost a request and a statement, measured here (ARGS="--database sqlite")
	$(BIN)/python -m sqlawait.bench.overhead $(ARGS)

PEERS := bench/peers/.venv

peers: $(PEERS)/.installed ## other stacks serving the same API, measured beside sqlawait (ARGS="--html report.html")
	cd bench && peers/.venv/bin/python -m peers $(ARGS)

$(PEERS)/.installed: bench/peers/requirements.txt pyproject.toml
ifdef UV
	@test -x $(PEERS)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(PEERS)
	$(UV) pip install --quiet --python $(PEERS)/bin/python --require-hashes --no-deps -r bench/peers/requirements.txt
	$(UV) pip install --quiet --python $(PEERS)/bin/python -e .
else
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r bench/peers/requirements.txt
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -e .
endif
	@touch $@

PROMISES := PROMISES_SECONDS=40 PROMISES_SEEDS=1,2,3,4,5 PROMISES_TRANSFERS=100 PROMISES_CASES=10000 \
	PROMISES_REQUESTS=1000000 PROMISES_ROWS=1000000 $(BIN)/python -m pytest -rP

promises: venv ## the reliability suites, long (about an hour): five seeds, faults of 40 s each, a million requests
	$(MAKE) promises-in-crowds
	$(MAKE) --jobs=4 promises-under-faults promises-after-poison promises-in-numbers promises-in-detail

CROWDS := tests/promises/test_bank.py tests/promises/test_overload.py
FAULTS := tests/promises/test_chaos.py tests/promises/test_workers.py
POISON := tests/promises/test_poison.py
NUMBERS := tests/promises/test_memory.py tests/service/test_openapi.py

promises-in-crowds: # first and alone: they hold bounds of time against each other's clients
	$(PROMISES) $(CROWDS)

promises-under-faults: # they mostly wait for what comes back
	$(PROMISES) $(FAULTS)

promises-after-poison: # on MariaDB it waits for a time-out in each round
	$(PROMISES) $(POISON)

promises-in-numbers:
	$(PROMISES) $(NUMBERS)

promises-in-detail:
	$(PROMISES) tests/promises $(patsubst %,--ignore=%,$(CROWDS) $(FAULTS) $(POISON) $(NUMBERS))

check: venv ## style, types, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

format: venv ## put the code into the house's format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lock: ## renew the lock (needs uv): hashes, no addresses
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra all --no-emit-package sqlawait --group dev -o $(LOCK) pyproject.toml
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --extra bench --no-emit-package sqlawait -o bench/peers/requirements.txt pyproject.toml bench/peers/requirements.in

clean: ## remove what the commands above made
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .coverage htmlcov
