# The only verbs. Everything runs in .venv, made from requirements.lock.
# WORKERS: how many processes test at once: more than cores, because many wait for others. A file is one's alone, in the order
# of the tree: servers and campaigns that its tests share are made once, and the longest do not come last.
# Tests start hundreds of processes; where Python is told to write no bytecode, each would compile every module anew.
# So would each of those who test compile every test, with its asserts rewritten, while it is measured itself.
# FUZZ_S: seconds of fuzzing for each way in, in a soak.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
WORKERS ?= 4
FUZZ_S ?= 300

.PHONY: setup check test compiled soak attacks audit demo bench lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 setup")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $(STAMP)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

test: setup
	$(MAKE) --jobs=2 --output-sync check compiled
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='phase3_core/*,phase3_assets/*,resources/*' --fail-under=90

compiled: setup
	$(BIN)/python -m compileall -q phase3_assets phase3_core resources sandbox
	-PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --collect-only -qqq >/dev/null

soak: setup
	PHASE3_FUZZ_S=$(FUZZ_S) $(BIN)/python -m pytest -m soak -n $(WORKERS) --dist load

attacks: setup
	$(BIN)/python -m pytest -p tests.attacks --without-defences -q --tb=no

audit:
	$(PYTHON) .ci/audit.py

demo: setup
	$(BIN)/phase3 demo

bench: setup
	$(BIN)/python -m benchmarks.performance

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --extra dev --extra bench pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --extra celery --extra k8s --extra sheets --constraint requirements.lock \
	  pyproject.toml --output-file deploy/requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .coverage*
