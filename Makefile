# Pilotfish. Every target sets itself up: an empty clone needs Python 3.11, a C compiler, cargo and nothing else.
# Stamp files make a second run fast.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON ?= $(shell for name in python3.11 python3; do \
	"$$name" -c '' 2>/dev/null && echo "$$name" && break; done)
BIN := .venv/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --require-hashes
UV_VERSION := 0.13.9
UV_COMPILE := .tools/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
CARGO ?= cargo
export PYO3_PYTHON := $(CURDIR)/$(BIN)/python

CORE := python/pilotfish/_core.abi3.so
RUST_SOURCES := $(wildcard Cargo.toml Cargo.lock) $(shell find rust_core -name '*.rs' -o -name Cargo.toml 2>/dev/null)
RUFF_PATHS := python tests benches proto
OUT ?= .tools/bench

# ---- what people run -------------------------------------------------------------------------------------------------

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: $(CORE) ## Compile the core and install the package, editable, into .venv

.PHONY: test
test: test-python test-rust ## Run every test, Python and Rust

.PHONY: check
check: test lint bench-smoke ## Run exactly what CI runs

.PHONY: demo
demo: build ## See a decision, its outcome and what was learned (JSON=FILE keeps the figures)
	$(BIN)/python -m pilotfish demo $(if $(JSON),--json "$(JSON)")

.PHONY: demo-rollout
demo-rollout: build ## See 5 % to 100 % on evidence, a bad version rolled back, a dead module ejected (JSON=FILE)
	$(BIN)/python -m pilotfish demo-rollout $(if $(JSON),--json "$(JSON)")

.PHONY: bench
bench: build ## Measure (JSON=FILE writes every figure with its unit)
	mkdir -p .tools/bench target/criterion
	find target/criterion -type d -name new -prune -exec rm -rf {} +  # so that only this run is reported
	$(CARGO) bench --workspace --bench '*'
	$(BIN)/python -m pytest benches/python --timeout 0 --benchmark-json .tools/bench/python.json
	$(BIN)/python benches/figures.py --criterion target/criterion --pytest .tools/bench/python.json $(if $(JSON),--json "$(JSON)")

.PHONY: bench-peers bench-latency bench-quality
bench-peers: bench-quality bench-latency ## Compare with other libraries (DATA=FOLDER holds tables; OUT=FOLDER gets the figures)

bench-latency: build .venv-bench/.installed
	mkdir -p "$(OUT)"
	PYTHONPATH="$(CURDIR)/python" .venv-bench/bin/python -m benches.latency --json "$(OUT)/latency.json"

bench-quality: build .venv-bench/.installed
	@[ -n "$(DATA)" ] || { echo "DATA is empty, must name the folder of the tables: make bench-peers DATA=FOLDER" >&2; exit 1; }
	mkdir -p "$(OUT)"
	PYTHONPATH="$(CURDIR)/python" .venv-bench/bin/python -m benches.quality --data "$(DATA)" --json "$(OUT)/quality.json"

.PHONY: bench-safety
bench-safety: build ## Try to make something illegal leave, half an hour (JSON=FILE keeps the figures)
	PYTHONPATH="$(CURDIR)" $(BIN)/python -m benches.safety $(if $(JSON),--json "$(JSON)")

.PHONY: fmt
fmt: .venv/.installed ## Format and mend what can be mended
	$(BIN)/ruff check --fix --quiet $(wildcard $(RUFF_PATHS)) || true
	$(BIN)/ruff format $(wildcard $(RUFF_PATHS))
	$(CARGO) fmt --all

.PHONY: proto
proto: .tools/proto/.installed ## Regenerate python/pilotfish/v1 from proto/
	.tools/proto/bin/python proto/generate.py --stubs python

.PHONY: lock
lock: .tools/uv/.installed ## Resolve every dependency anew and write requirements/*.lock
	$(UV_COMPILE) --upgrade pyproject.toml --extra cli --extra demo --extra offline --group dev -o requirements/dev.lock
	$(UV_COMPILE) --upgrade --resolution lowest-direct pyproject.toml -o requirements/lowest.lock
	$(UV_COMPILE) --upgrade pyproject.toml --group bench -o requirements/bench.lock
	$(UV_COMPILE) --upgrade requirements/oldest.in -o requirements/oldest.lock
	$(UV_COMPILE) --upgrade requirements/proto.in -o requirements/proto.lock

.PHONY: release-api
release-api: .tools/proto/.installed ## At a release: freeze the API that later versions must stay compatible with
	.tools/proto/bin/python proto/generate.py --release tests/contract/released/pilotfish-v1.binpb

.PHONY: clean
clean: ## Remove everything that was made
	rm -rf .venv .venv-bench .tools target dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks python/pilotfish/*.so
	find python tests benches proto -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# ---- the parts of check ----------------------------------------------------------------------------------------------

.PHONY: test-python
test-python: build .tools/proto/.installed .tools/oldest/.installed .tools/lowest/.installed ## Run the Python tests (ARGS="-k name" picks some)
	$(BIN)/python -m pytest $(ARGS)

.PHONY: test-rust
test-rust: .venv/.installed ## Run the Rust tests
	$(CARGO) test --workspace --quiet

.PHONY: lint lint-format lint-rules lint-types lint-stub lint-clippy lint-docs
lint: lint-format lint-rules lint-types lint-stub lint-clippy lint-docs ## Check format, rules, types and docs (-k: all of them)

lint-format: .venv/.installed
	$(BIN)/ruff format --check $(wildcard $(RUFF_PATHS))
	$(CARGO) fmt --all --check

lint-rules: .venv/.installed
	$(BIN)/ruff check $(wildcard $(RUFF_PATHS))

lint-types: build
	$(BIN)/mypy $(wildcard $(RUFF_PATHS))

lint-stub: build
	$(BIN)/python -m mypy.stubtest pilotfish._core

lint-clippy: .venv/.installed
	$(CARGO) clippy --workspace --all-targets --quiet -- -D warnings

lint-docs: .venv/.installed
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --quiet

.PHONY: bench-smoke
bench-smoke: build ## Run each bench once, as a test
	$(CARGO) test --workspace --quiet --bench '*'
	$(BIN)/python -m pytest benches/python --benchmark-disable

# ---- set-up ----------------------------------------------------------------------------------------------------------

.PHONY: need-python need-cargo
need-python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Pilotfish needs Python 3.11 or newer; found: $$("$(PYTHON)" --version 2>/dev/null || echo none)." \
		"Say which one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }

need-cargo:
	@command -v "$(CARGO)" >/dev/null || { \
		echo "Pilotfish needs cargo (Rust 1.86 or newer) and a C compiler; cargo was not found." >&2; exit 1; }

# One virtual environment, made anew whenever its lock changes so that nothing stays behind.
define make-venv
	rm -rf "$(1)"
	"$(PYTHON)" -m venv "$(1)"
	"$(1)/bin/python" $(PIP_INSTALL) -r "$(2)"
	touch "$(1)/.installed"
endef

.venv/.installed: requirements/dev.lock | need-python need-cargo
	$(call make-venv,.venv,$<)

.venv-bench/.installed: requirements/bench.lock | need-python
	$(call make-venv,.venv-bench,$<)

.tools/proto/.installed: requirements/proto.lock | need-python
	$(call make-venv,.tools/proto,$<)

.tools/oldest/.installed: requirements/oldest.lock | need-python
	$(call make-venv,.tools/oldest,$<)

.tools/lowest/.installed: requirements/lowest.lock | need-python
	$(call make-venv,.tools/lowest,$<)

.tools/uv/.installed: Makefile | need-python
	rm -rf .tools/uv
	"$(PYTHON)" -m venv .tools/uv
	.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	touch $@

# Through pip and not `maturin develop`: that one installs the dependency groups again, and needs a newer pip than
# Python 3.11 brings. Asked only when a source is newer than the library.
$(CORE): .venv/.installed pyproject.toml $(RUST_SOURCES)
	@echo "compiling the core, optimised; the first time takes a few minutes"
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--no-deps --no-build-isolation --config-settings build-args=--locked --editable .
	touch $@
