# The commands of this project; README.md says what they show.

PYTHON ?= python3
PORT ?= 3000
WORKERS ?= 2
BIN := .venv/bin

.PHONY: help run ui migration-demo test check format bench stop clean
help:
	@echo "make run    install, start the database, fill every namespace, answer one question"
	@echo "            DOCUMENTS=DIR takes your own folder, one sub-folder a namespace"
	@echo "make ui     the Dagster UI on http://localhost:$(PORT), schedules and sensors running"
	@echo "make migration-demo  leave Weaviate in four phases, on a stand-in that is cleared away"
	@echo "make test   the tests, two files at a time (WORKERS)   make check  format, lint, types"
	@echo "make bench  the benchmarks   make stop   stop the embedded database"
	@echo "make clean  remove the environment and ALL data of the embedded database"

run: .venv/installed
	@$(BIN)/python -m local run $(if $(DOCUMENTS),--documents "$(DOCUMENTS)")

ui: .venv/installed
	@$(BIN)/python -m local ui --port $(PORT)

migration-demo: .venv/installed-weaviate
	@$(BIN)/python -m local migration-demo

test: .venv/installed-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/installed-dev
	@$(BIN)/python -m benchmarks $(BENCH)

stop:
	@test ! -x $(BIN)/greenlang-vectors || $(BIN)/greenlang-vectors server stop

clean: stop
	rm -rf .venv .venv-peers .greenlang build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/installed: pyproject.toml constraints.txt | .venv/bin/pip
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/installed-weaviate: .venv/installed
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e ".[weaviate]"
	@touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

.venv/bin/pip:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is older. Try: make run PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "Python cannot make a virtual environment. On Debian: apt install python3-venv"; exit 2; }
