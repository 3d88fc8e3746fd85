# Two commands on a fresh machine: `make run` and `make test`. Everything lives in .venv; nothing else is touched.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: run test check fmt bench bench-bullmq faults faults-short faults-long cluster redis soak fuzz lock clean

run: $(READY)      ## the demo world: parcels move, one stalls, an order completes
	$(BIN)/milepost demo

test: $(READY)     ## the whole suite
	$(BIN)/pytest

check: $(READY)    ## style, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

faults: $(READY)   ## kills the daemon and the server under load
	$(BIN)/pytest -m faults

faults-short: $(READY) ## some minutes of them: kills, power cuts, lost answers, and what the store's disk and memory refuse
	$(BIN)/pytest -m faults $(addprefix tests/faults/test_,kills.py named_points.py power_loss.py lost_replies.py functions.py \
	    store_trouble.py full_disk.py emptied.py daemon_alone.py)

faults-long: $(READY) ## the same, with two hundred kills where the short form has ten
	MILEPOST_FAULTS=long $(BIN)/pytest -m faults

cluster: $(READY)  ## store and pipeline over three servers as a cluster
	$(BIN)/pytest -m cluster

soak: $(READY)     ## half an hour of load with a dead endpoint: what grows, and is anything lost?
	MILEPOST_SOAK_S=$${MILEPOST_SOAK_S:-1800} $(BIN)/pytest -m soak

fuzz: $(READY)     ## thousands of requests, as the OpenAPI document allows and not
	$(BIN)/pytest -m fuzz

redis: $(READY)    ## the whole suite on redis-server (Debian's is 7.0) instead of the wheel's Valkey
	@command -v redis-server >/dev/null || { echo "skipped: there is no redis-server here; Debian's package is redis-server"; exit 0; }; \
	VALKEY_SERVER=redis-server $(BIN)/pytest

bench: $(READY)    ## every figure beside its ceiling, measured in the same run
	$(BIN)/python -m tests.bench

bench-bullmq: $(READY) ## our deliveries beside BullMQ's, in the same run (needs node and npm)
	$(BIN)/python -m tests.bench bullmq

fmt: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(READY)     ## pin every dependency with its hashes
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    --group dev pyproject.toml -o requirements.lock

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Milepost needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache
