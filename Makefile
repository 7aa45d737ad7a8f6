# Every verb of the project. `make` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Without an NVIDIA GPU: make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
PORT ?= 11434
# Processes of `make test`; the bound limits memory, since each imports torch.
TEST_WORKERS ?= -n logical --maxprocesses 4 --dist worksteal
# Of images, push and save: which (inference-cuda ...; default: all of a cluster without GPUs), their
# tag (default: the chart's), an image with Python to build them from, and where they go.
NAMES ?=
TAG ?=
BASE ?=
REGISTRY ?=
FOLDER ?=
# Of install: a file of charts/sizeup/values; more options of helm.
VALUES ?= kind
HELM_ARGS ?=
# Of cluster-test: own, or kind for the cluster of kubectl's context.
CLUSTER ?= own
PYTEST_ARGS ?=
# Of loadtest: a scenario or a config file; more options of `sizeup-bench run`.
SCENARIO ?= size-sweep
LOADTEST_ARGS ?=

VERSION := $(shell sed -n 's/^appVersion: *"\(.*\)"/\1/p' charts/sizeup/Chart.yaml)
IMAGES := sizeup-gateway sizeup-inference sizeup-cli sizeup-toys sizeup-loadtest
BUILD = $(PYTHON) -m images.build $(NAMES) $(if $(TAG),--tag $(TAG)) $(if $(BASE),--base $(BASE)) \
	$(if $(TORCH_INDEX),--torch-index $(TORCH_INDEX))

SERVICES := wire telemetry store gateway inference cli
SOURCES := services loadtest images tests models benchmarks docs
EDITABLE := $(foreach service,$(filter-out inference cli,$(SERVICES)),-e services/$(service)) \
	-e 'services/inference[torch]' -e services/cli -e loadtest
PROJECTS := constraints.txt $(SERVICES:%=services/%/pyproject.toml) services/inference/setup.py \
	loadtest/pyproject.toml
# pip passes on a warning of setuptools about every editable installation.
PIP := PYTHONWARNINGS=ignore:Editable $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup run loadtest test check lint types walls format cluster-test images push save kind-up \
	kind-load install bench-engine toys clean

help:  ## List these verbs
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(VENV)/.services  ## Install the services into .venv

run: $(VENV)/.services  ## Serve the three toy sizes on port 11434 (PORT=...)
	@$(BIN)/sizeup up --port $(PORT)

loadtest: $(VENV)/.services  ## Compare the sizes that `make run` serves (SCENARIO=... LOADTEST_ARGS=...)
	@$(BIN)/sizeup-bench run --scenario $(SCENARIO) --url http://127.0.0.1:$(PORT) $(LOADTEST_ARGS)

test: $(VENV)/.tools $(VENV)-checkov/.ready  ## Run every test
	@$(BIN)/python -m pytest -q $(TEST_WORKERS)

images:  ## Build the images with docker or buildah (NAMES=... TAG=... BASE=...)
	@$(BUILD)

push:  ## Build the images and send them to a registry (REGISTRY=host/folder NAMES=... TAG=...)
	@$(BUILD) --push $(or $(REGISTRY),$(error where to? make push REGISTRY=registry.example.com/team))

save:  ## Build the images and write each to a file (FOLDER=... NAMES=... TAG=...)
	@$(BUILD) --save $(or $(FOLDER),$(error where to? make save FOLDER=carry/images))

kind-up:  ## Start a kind cluster of one node
	@kind create cluster --config charts/kind-cluster.yaml

# All of them, since all are loaded.
kind-load: override NAMES :=
kind-load: images  ## Build the images and load them into the kind cluster
	@kind load docker-image --name sizeup $(IMAGES:%=%:$(or $(TAG),$(VERSION)))

install:  ## Install the chart with values/kind.yaml (VALUES=gpu HELM_ARGS=...)
	@helm upgrade --install sizeup charts/sizeup --namespace sizeup --create-namespace \
		--values charts/sizeup/values/$(VALUES).yaml --wait --timeout 15m $(HELM_ARGS)

cluster-test: $(VENV)/.tools  ## Test the chart on a Kubernetes started here (CLUSTER=kind: on yours)
	@$(BIN)/python -m pytest -v -rs -o log_cli=true -o log_cli_level=INFO --cluster=$(CLUSTER) --torch-index=$(TORCH_INDEX) $(PYTEST_ARGS) tests/cluster

check: lint types walls  ## Lint, types and walls

lint: $(VENV)/.tools  ## Style and common mistakes
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/hadolint images/*/Dockerfile

types: $(VENV)/.tools  ## Static types, strict
	@$(BIN)/mypy $(SOURCES)

walls: $(VENV)/.tools  ## Who may import whom
	@$(BIN)/lint-imports

format: $(VENV)/.tools  ## Rewrite sources in the house style
	@$(BIN)/ruff check --fix-only --quiet $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

bench-engine: $(VENV)/.services  ## Tokens per second beside transformers' generate
	@$(BIN)/python benchmarks/engine.py

toys: $(VENV)/.services  ## Train the three toy models anew (45 minutes of one core)
	@$(BIN)/python models/toy/train.py

clean:  ## Remove .venv and everything built
	rm -rf $(VENV) $(VENV)-checkov .cluster .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find services -name '*.egg-info' -o -name build -o -name '*.so' | xargs rm -rf

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sizeup needs Python 3.11 or newer; say which: make PYTHON=python3.12 ..."; exit 1; }
	@echo "install: virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.services: $(PROJECTS) | $(VENV)/bin/python
	@echo "install: torch, transformers and the services (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(if $(TORCH_INDEX),$(PIP) --index-url $(TORCH_INDEX) torch)
	@$(PIP) $(EDITABLE)
	@touch $@

$(VENV)/.tools: $(VENV)/.services requirements-dev.txt
	@echo "install: test and lint tools"
	@$(PIP) -r requirements-dev.txt
	@touch $@

# Apart from the services: its pins contradict theirs.
$(VENV)-checkov/.ready: tests/chart/checkov.txt | $(VENV)/bin/python
	@echo "install: checkov in $(VENV)-checkov"
	@$(BIN)/python -m venv $(VENV)-checkov
	@$(VENV)-checkov/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
