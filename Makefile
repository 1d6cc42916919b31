# The commands of this project; README.md says what they show.

PYTHON ?= python3
PORT ?= 3000
WORKERS ?= 3
BIN := .venv/bin
# Modules are compiled when they are first used: most of them never are.
PIP_INSTALL := $(BIN)/pip install --disable-pip-version-check --no-compile

.PHONY: help run ui migration-demo test check check-deploy check-terraform check-kubernetes format sbom bench stop clean
help:
	@echo "make run    install, start the database, fill every namespace, answer one question"
	@echo "            DOCUMENTS=DIR takes your own folder, one sub-folder a namespace"
	@echo "make ui     the Dagster UI on http://localhost:$(PORT), schedules and sensors running"
	@echo "make migration-demo  leave Weaviate in four phases, on a stand-in that is cleared away"
	@echo "make test   the tests, three files at a time (WORKERS)   make check  format, lint, types,"
	@echo "            licences, secrets, advisories           make sbom   the bill of materials"
	@echo "make check-deploy  what deploys it: format of Terraform's files, policies"
	@echo "make bench  the benchmarks   make stop   stop the embedded database"
	@echo "make clean  remove the environment and ALL data of the embedded database"

run: .venv/installed
	@$(BIN)/python -m local run $(if $(DOCUMENTS),--documents "$(DOCUMENTS)")

ui: .venv/installed
	@$(BIN)/python -m local ui --port $(PORT)

migration-demo: .venv/installed-weaviate
	@$(BIN)/python -m local migration-demo

test: .venv/installed-dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m deploy.supply_chain check

check-deploy: check-terraform check-kubernetes

check-terraform: .venv-policy/installed
	@if command -v terraform > /dev/null; then terraform fmt -check -diff -recursive deploy/terraform; \
		else echo "There is no terraform on this machine: its files' format is not checked."; fi
	.venv-policy/bin/checkov --config-file deploy/terraform/.checkov.yaml

check-kubernetes: .venv-policy/installed
	.venv-policy/bin/checkov --config-file deploy/kubernetes/.checkov.yaml

format: .venv/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

sbom: .venv/installed-dev
	@mkdir -p build
	@$(BIN)/python -m deploy.supply_chain sbom > build/sbom.json
	@echo "build/sbom.json: the packages that run, as CycloneDX"

bench: .venv/installed-dev
	@$(BIN)/python -m benchmarks $(BENCH)

stop:
	@test ! -x $(BIN)/greenlang-vectors || $(BIN)/greenlang-vectors server stop

clean: stop
	rm -rf .venv .venv-peers .venv-policy .greenlang build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/installed: pyproject.toml constraints.txt | .venv/bin/pip
	$(PIP_INSTALL) -c constraints.txt -e .
	@touch $@

.venv/installed-weaviate: .venv/installed
	$(PIP_INSTALL) -c constraints.txt -e ".[weaviate]"
	@touch $@

.venv/installed-dev: pyproject.toml constraints.txt | .venv/bin/pip
	$(PIP_INSTALL) -c constraints.txt -e ".[dev]"
	@touch .venv/installed .venv/installed-weaviate $@

.venv/bin/pip:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is older. Try: make run PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "Python cannot make a virtual environment. On Debian: apt install python3-venv"; exit 2; }

# Of its own: checkov wants older packages than the product.
.venv-policy/installed: deploy/constraints-policy.txt
	$(PYTHON) -m venv .venv-policy
	.venv-policy/bin/pip install --disable-pip-version-check --no-compile -q -c $< checkov
	@touch $@
