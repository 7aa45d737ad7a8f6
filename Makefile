# `make` lists the targets.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Without an NVIDIA GPU: make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
PORT ?= 11434
# Processes of `make test`; the bound limits memory, since each imports torch.
TEST_WORKERS ?= -n logical --maxprocesses 4 --dist worksteal
# Of lock: further options of `uv pip compile`: --upgrade, --upgrade-package NAME.
LOCK_ARGS ?=
# Of images, push and save: targets of docker-bake.hcl (default: those of a cluster without GPUs), and
# its variables; save writes files to FOLDER.
NAMES ?= gateway inference-cpu cli toys loadtest
TAG ?=
BASE ?=
REGISTRY ?=
PLATFORM ?=
FOLDER ?=
# Of push: true adds an SBOM and the provenance to each image, for which buildx needs its docker-container driver.
ATTEST ?=
# Of install: a file of charts/sizeup/values; further options of helm.
VALUES ?= kind
HELM_ARGS ?=
# Of cluster-test: own starts a Kubernetes; kind uses the kind cluster of kubectl's context.
CLUSTER ?= own
PYTEST_ARGS ?=
# Of loadtest: a scenario or a config file; further options of `sizeup-bench run`.
SCENARIO ?= size-sweep
LOADTEST_ARGS ?=
# Of fuzz: duration of the run; further options of `schemathesis run`.
FUZZ_SECONDS ?= 600
FUZZ_ARGS ?=
# Of chaos: duration of each attack.
CHAOS_SECONDS ?= 60

VERSION := $(shell sed -n 's/^appVersion: *"\(.*\)"/\1/p' charts/sizeup/Chart.yaml)
# make exports what its command line sets, so an explicitly empty TORCH_INDEX reaches the bake file too.
BAKE = $(foreach name,TAG BASE REGISTRY PLATFORM ATTEST TORCH_INDEX,$(if $($(name)),$(name)=$($(name)))) \
	docker buildx bake
BASE_TAG = $(or $(BASE),$(shell sed -n 's/^variable "BASE" *{ default = "\(.*\)" }/\1/p' docker-bake.hcl))
# The image of a target: that of inference-cuda is sizeup-inference:<tag>-cuda.
image = $(if $(REGISTRY),$(REGISTRY:/=)/)sizeup-$(firstword $(subst -, ,$(1))):$(or $(TAG),$(VERSION))$(patsubst %,-%,$(filter fake cuda,$(subst -, ,$(1))))

SOURCES := services loadtest tests models benchmarks docs locks release.py
PACKAGES := $(patsubst %/pyproject.toml,%,$(wildcard services/*/pyproject.toml loadtest/pyproject.toml))
EDITABLE := $(foreach package,$(filter-out services/inference,$(PACKAGES)),-e $(package)) \
	-e 'services/inference[torch,quantized]'
PROJECTS := $(PACKAGES:%=%/pyproject.toml) services/inference/setup.py
# torch's version, where it comes from TORCH_INDEX: locks/torch.txt has the hashes of PyPI's files.
TORCH = $(shell sed -n 's/^\(torch==[^ ]*\).*/\1/p' locks/torch.txt)
MAX_FILE_LINES := 350
LOCKS := $(wildcard locks/*.txt) tests/chart/checkov.txt tests/fuzz/requirements.txt $(wildcard tests/clients/*/requirements.txt) \
	benchmarks/llama.txt
# Real clients, and the programs that run them.
CLIENTS := tests/clients
# Sources of the compare page; what is built from them is package data of the gateway.
PAGE := services/gateway/page
# setuptools warns about every editable installation.
PIP := PYTHONWARNINGS=ignore:Editable $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup run loadtest test clients fuzz chaos check lint types contracts sanitizers lock audit page page-check browser format docs cluster-test images push save kind-up \
	kind-load install bench-engine gpu-test llama-venv toys release clean

help:  ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(VENV)/.services  ## Install the services into .venv

run: $(VENV)/.services  ## Serve the three toy sizes on port 11434 (PORT=...)
	@$(BIN)/sizeup up --port $(PORT)

loadtest: $(VENV)/.services  ## Compare the sizes that `make run` serves (SCENARIO=... LOADTEST_ARGS=...)
	@$(BIN)/sizeup-bench run --scenario $(SCENARIO) --url http://127.0.0.1:$(PORT) $(LOADTEST_ARGS)

test: $(VENV)/.tools $(VENV)-checkov/.ready  ## Run every test; the attacks are in `make chaos`
	@$(BIN)/python -m pytest -q $(TEST_WORKERS) -m 'not sanitizers and not chaos and not gpu'

fuzz: $(VENV)/.tools $(VENV)-fuzz/.ready  ## Random requests by the API document, and 500 prompts in every script (FUZZ_SECONDS=... FUZZ_ARGS=...)
	@SIZEUP_TEST_PROMPTS=500 $(BIN)/python -m pytest -q tests/system/test_unicode.py
	@PYTHONPATH=tests $(BIN)/python tests/fuzz/run.py --schemathesis $(VENV)-fuzz/bin/schemathesis --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS)

chaos: $(VENV)/.tools  ## Attack a running gateway, a minute per attack (CHAOS_SECONDS=... PYTEST_ARGS=...)
	@SIZEUP_CHAOS_SECONDS=$(CHAOS_SECONDS) $(BIN)/python -m pytest -q -rA -m chaos --timeout $$(($(CHAOS_SECONDS) * 4 + 180)) $(PYTEST_ARGS) tests/chaos

images:  ## Build the images with Docker (NAMES=... TAG=... BASE=... PLATFORM=...)
	@$(BAKE) --load $(NAMES)

# What a tag names changes, a digest does not: it is resolved once, for all images.
push:  ## Build the images and push them to a registry (REGISTRY=host/path NAMES=... ATTEST=true)
	@$(if $(REGISTRY),,$(error set the registry: make push REGISTRY=registry.example.com/team))base=$(BASE_TAG); \
	case $$base in *@*) ;; *) digest=$$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' $$base) && base=$$base@$${digest:?};; esac && \
	echo "base: $$base" && BASE=$$base $(filter-out BASE=%,$(BAKE)) --push $(NAMES)

save:  ## Build the images and write each to a file (FOLDER=... NAMES=...)
	@$(if $(FOLDER),,$(error set the folder: make save FOLDER=carry/images))$(BAKE) --load $(NAMES)
	@mkdir -p $(FOLDER)
	@set -e; $(foreach name,$(NAMES),docker save --output $(FOLDER)/$(subst :,-,$(notdir $(call image,$(name)))).tar $(call image,$(name));)

kind-up:  ## Start a kind cluster of one node
	@kind create cluster --config charts/kind-cluster.yaml

kind-load: images  ## Build the images and load them into the kind cluster
	@kind load docker-image --name sizeup $(foreach name,$(NAMES),$(call image,$(name)))

install:  ## Install the chart with values/kind.yaml (VALUES=gpu HELM_ARGS=...)
	@helm upgrade --install sizeup charts/sizeup --namespace sizeup --create-namespace \
		--values charts/sizeup/values/$(VALUES).yaml --wait --timeout 15m $(HELM_ARGS)

clients: $(VENV)/.services $(VENV)-clients-python/.ready $(VENV)-clients-python_pinned/.ready $(CLIENTS)/node/node_modules/.ready  ## Run real clients against the toy models, and write docs/clients.md
	@$(BIN)/python $(CLIENTS)/run.py --environments $(VENV)-clients-

browser:  ## Install a Chromium for the tests of the compare page, where there is none (Debian, root)
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }

cluster-test: $(VENV)/.tools  ## Test the chart on a Kubernetes started here (CLUSTER=kind: an existing kind cluster)
	@$(BIN)/python -m pytest -v -rfEs -o log_cli=true -o log_cli_level=INFO --cluster=$(CLUSTER) --torch-index=$(TORCH_INDEX) $(PYTEST_ARGS) tests/cluster

check: lint types contracts sanitizers page-check  ## Lint, types, import contracts, the C kernels under sanitizers, and the compare page

lint: $(VENV)/.tools  ## Style, common mistakes, file length and module names
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@find $(SOURCES) -name '*.[ch]' -not -path '*/build/*' -exec $(BIN)/clang-format --dry-run --Werror {} +
	@$(BIN)/hadolint images/*/Dockerfile
	@find $(SOURCES) -name '*.py' -not -path '*/build/*' -exec awk -v max=$(MAX_FILE_LINES) \
		'FILENAME ~ "/(utils?|common|helpers|base|misc|shared)[.]py$$" && FNR == 1 { print FILENAME ": name the module after its contents"; bad = 1 } \
		/raise NotImplementedError/ { print FILENAME ":" FNR ": not implemented"; bad = 1 } \
		FNR == max + 1 { print FILENAME ": more than " max " lines"; bad = 1 } END { exit bad }' {} +

types: $(VENV)/.tools  ## Static types, strict
	@$(BIN)/mypy $(SOURCES)

sanitizers: $(VENV)/.tools  ## The C kernels under AddressSanitizer, UBSan and ThreadSanitizer
	@$(BIN)/python -m pytest -q -m sanitizers tests/inference/engine/kernels

contracts: $(VENV)/.tools  ## Which package may import which
	@$(BIN)/lint-imports

lock: $(VENV)/.tools  ## Write the lock files for changed requirements (LOCK_ARGS=--upgrade: newest versions)
	@$(BIN)/python locks/make_locks.py $(BIN)/uv $(LOCK_ARGS)

# The locks are complete, so that nothing is resolved or installed. A package that could not be looked up is a failure.
audit: $(VENV)-audit/.ready  ## Known vulnerabilities of the locked versions (asks PyPI)
	@$(VENV)-audit/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner=off $(LOCKS:%=-r %)

page: $(PAGE)/node_modules/.ready  ## Build the compare page from its sources (needs npm)
	@node $(PAGE)/build.mjs

# CI has npm; elsewhere the page is used as it was built.
page-check:  ## Types and tests of the compare page, and whether its built files are those of its sources
	@if command -v npm >/dev/null; then \
		$(MAKE) --no-print-directory $(PAGE)/node_modules/.ready && cd $(PAGE) && npm run --silent check; \
	elif [ -n "$$CI" ]; then echo "page-check: npm is not installed"; exit 1; \
	else echo "page-check: skipped, npm is not installed"; fi

format: $(VENV)/.tools  ## Format the sources, and fix what ruff can fix
	@$(BIN)/ruff check --fix-only --quiet $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)
	@find $(SOURCES) -name '*.[ch]' -not -path '*/build/*' -exec $(BIN)/clang-format -i {} +

docs: $(VENV)/.tools  ## Write the generated pages: architecture, settings, metrics, api, benchmarks, results.schema.json, the chart's README
	@$(BIN)/python docs/make_architecture.py
	@$(BIN)/python docs/make_reference.py
	@$(BIN)/python docs/make_chart_readme.py
	@$(BIN)/python docs/make_api.py
	@$(BIN)/python docs/make_schema.py
	@$(BIN)/python docs/make_benchmarks.py

bench-engine: $(VENV)/.services  ## Speed and memory of the engine beside generate, continuous batching and llama.cpp
	@$(BIN)/python benchmarks/engine.py

gpu-test: $(VENV)/.tools  ## Parity, fast paths and speed of the engine on this machine's GPU, in ten minutes at most
	@$(BIN)/python benchmarks/gpu_test.py

llama-venv: $(VENV)-llama/.ready  ## Build llama.cpp for this processor, as a peer of bench-engine

toys: $(VENV)/.services  ## Train the toy models (45 minutes of one core)
	@$(BIN)/python models/toy/train.py

release:  ## Write a new version into every file that states it (VERSION=1.2.3): RELEASE.md
	@$(PYTHON) release.py $(if $(filter command,$(firstword $(origin VERSION))),$(VERSION),$(error set the version: make release VERSION=1.2.3))

clean:  ## Remove .venv and everything built
	rm -rf $(PAGE)/node_modules $(CLIENTS)/node/node_modules
	rm -rf $(VENV) $(VENV)-checkov $(VENV)-fuzz $(VENV)-audit $(VENV)-clients-* $(VENV)-llama .benchmarks .cluster .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find services -name '*.egg-info' -o -name build -o -name '*.so' | xargs rm -rf

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sizeup requires Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@echo "install: virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# The locks have every dependency of the packages, which pip therefore must not resolve.
$(VENV)/.services: locks/build.txt locks/services.txt locks/torch.txt $(PROJECTS) | $(VENV)/bin/python
	@echo "install: torch, transformers and the services (a few minutes the first time)"
	@$(PIP) --require-hashes -r locks/build.txt
	@$(if $(TORCH_INDEX),$(PIP) --no-deps --index-url $(TORCH_INDEX) $(TORCH))
	@$(PIP) --require-hashes -r locks/services.txt $(if $(TORCH_INDEX),,-r locks/torch.txt)
	@$(PIP) --no-deps --no-build-isolation $(EDITABLE)
	@touch $@

$(VENV)/.tools: $(VENV)/.services locks/dev.txt
	@echo "install: test and lint tools"
	@$(PIP) --require-hashes -r locks/dev.txt
	@touch $@

$(PAGE)/node_modules/.ready: $(PAGE)/package-lock.json
	@echo "install: packages of the compare page"
	@cd $(PAGE) && npm ci --silent --no-audit --no-fund
	@touch $@

$(CLIENTS)/node/node_modules/.ready: $(CLIENTS)/node/package-lock.json
	@echo "install: npm packages of the clients"
	@cd $(CLIENTS)/node && npm ci --silent --no-audit --no-fund
	@touch $@

$(VENV)-clients-%/.ready: $(CLIENTS)/%/requirements.txt | $(VENV)/bin/python
	@echo "install: the clients of $(CLIENTS)/$* in $(VENV)-clients-$*"
	@$(BIN)/python -m venv $(VENV)-clients-$*
	@$(VENV)-clients-$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# In an environment of its own, like the next one: its pinned dependencies conflict with those of the services.
$(VENV)-checkov/.ready: tests/chart/checkov.txt | $(VENV)/bin/python
	@echo "install: checkov in $(VENV)-checkov"
	@$(BIN)/python -m venv $(VENV)-checkov
	@$(VENV)-checkov/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)-fuzz/.ready: tests/fuzz/requirements.txt | $(VENV)/bin/python
	@echo "install: schemathesis in $(VENV)-fuzz"
	@$(BIN)/python -m venv $(VENV)-fuzz
	@$(VENV)-fuzz/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)-audit/.ready: locks/audit.txt | $(VENV)/bin/python
	@echo "install: pip-audit in $(VENV)-audit"
	@$(BIN)/python -m venv $(VENV)-audit
	@$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Compiled for this processor, with llamafile's kernels for bfloat16.
LLAMA_CMAKE_ARGS := -DGGML_NATIVE=ON -DGGML_LLAMAFILE=ON -DGGML_OPENMP=ON -DLLAVA_BUILD=OFF -DLLAMA_OPENSSL=OFF
$(VENV)-llama/.ready: benchmarks/llama.txt benchmarks/llama_amx.h
	@echo "install: llama.cpp in $(VENV)-llama (12 minutes of one core)"
	@$(PYTHON) -m venv $(VENV)-llama
	@# The build requirements of llama-cpp-python have no hashes: pip installs them apart.
	@CMAKE_ARGS="$(LLAMA_CMAKE_ARGS)" CXXFLAGS="-include $(CURDIR)/benchmarks/llama_amx.h" \
		$(VENV)-llama/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall \
		--no-cache-dir --no-binary llama-cpp-python --require-hashes -r $<
	@touch $@
