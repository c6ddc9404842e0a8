# Every target brings what it needs: no other step goes before it. Bare `make` prints the targets.
# ARGS="..." is handed on by demo, test and bench; PYTHON=/path/to/python3.11 chooses the interpreter of .venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help venv models demo test test-slow check scenarios bench chaos accuracy fallback mutation fuzz firmware lock clean dev-venv test-packages
export PYTHON ZHIAN_TEST_PACKAGES
BIN := .venv/bin

help:
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do \
	  printf 'make %-10s %s\n' "$$name" "$$text"; done

venv: ## build .venv (with .venv/bin/zhian) from the locked versions
	@setup/venv.sh run

models: venv ## fetch the default models and verify them
	@$(BIN)/zhian models fetch
	@$(BIN)/zhian models verify

demo: venv ## run a whole virtual community; Ctrl-C ends it
	@$(BIN)/zhian models verify >/dev/null
	@$(BIN)/zhian demo $(ARGS)

test: dev-venv test-packages ## run the tests (as root, installs the Debian packages they use); browsers: make test-slow
	@$(BIN)/zhian models fetch >/dev/null
	@$(BIN)/pytest $(ARGS)

test-slow: dev-venv test-packages ## run the slower tests: pages in a browser, broken gateways, a short chaos campaign
	@$(BIN)/zhian models fetch >/dev/null
	@$(BIN)/pytest -m "slow or browser" $(ARGS)

check: dev-venv ## lint, formatting, types, import contracts, firmware, docs in step
	@setup/check.sh

scenarios: dev-venv ## play every scenario (ARGS="--seeds 5" for more); a report and a table in build/scenarios
	@mkdir -p build/scenarios
	@$(BIN)/zhian sim run all --jobs 2 --report build/scenarios/report.html --table build/scenarios/table.md $(ARGS)
	@$(BIN)/python -m pytest -q tests/faces/one_path.py

bench: venv ## measure this machine against the budgets
	@$(BIN)/zhian models verify >/dev/null
	@$(BIN)/zhian bench $(ARGS)
	@! $(BIN)/python -c "import osdp_sys" 2>/dev/null || $(BIN)/python tests/osdp/interop_matrix.py

chaos: dev-venv ## kill and fault the way of an event under load, and print the ledger
	@$(BIN)/zhian chaos run $(ARGS)
	@$(BIN)/zhian chaos power-cuts
	@$(BIN)/python tests/offline/cuts.py

accuracy: dev-venv ## measure the plate readers and, on labelled pictures (ARGS="--real FOLDER"), plates and faces
	@$(BIN)/zhian models fetch >/dev/null
	@$(BIN)/python -m training.accuracy $(ARGS)
	@$(BIN)/python -m training.face_accuracy $(ARGS)
	@$(BIN)/python -m training.pad_measure $(PAD_ARGS)

fallback: dev-venv ## read the same pictures with LiteRT and with tflite-runtime, and compare (needs Python 3.11)
	@setup/fallback_runtime.sh

mutation: dev-venv ## change the pure rooms in every small way and count what their tests notice
	@$(BIN)/python setup/mutation.py $(ARGS)

fuzz: dev-venv ## fuzz the decoders of the contract and of the wire, half an hour each
	@mkdir -p build/fuzz build/fuzz-wire
	@PYTHONPATH=. $(BIN)/python tests/fuzz/fuzz_contract.py build/fuzz -max_total_time=1800 $(ARGS)
	@PYTHONPATH=. $(BIN)/python tests/fuzz/fuzz_wire.py build/fuzz-wire -max_total_time=1800 $(ARGS)

firmware: dev-venv ## build the files of each board into build/firmware; sizes and memory against budgets
	@setup/firmware.sh

lock: ## recompute requirements/*.txt (needs uv); review the result like code
	@requirements/lock.sh

clean: ## remove what can be made again, apart from .venv and models
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

dev-venv:
	@setup/venv.sh dev

test-packages:
	@setup/test-packages.sh
