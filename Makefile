# Two commands for a newcomer, `make demo` and `make test`; `make help` lists the others.
# What they install, and when, is in scripts/setup.sh.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# A plain user's PATH on Debian leaves out the folder that nft and ip live in.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin
# Where this is set, every program that a test starts would compile all that it imports: a second of computing each time.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
# More options for pytest, as in: make test PYTEST="-k intervals"
PYTEST ?=
# More options for the benchmarks, as in: make bench BENCH="--quick"
BENCH ?=
# Kernel tests wait as long as they compute, so four fill two cores; each holds namespaces: no more than four at a time.
WORKERS := -n 4 --dist worksteal

.PHONY: help
help: ## list the targets
	@printf 'make TARGET, where TARGET is one of:\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: ## build the example cluster in network namespaces, enforce its policies, send real packets, compare
	@scripts/setup.sh run --kernel --envoy
	@$(BIN)/outgate lab -f examples/recipes
	@echo
	@$(BIN)/outgate lab -f examples/zero-trust --dns-name api.example.com=203.0.113.10 \
		--dns-name tracker.example.net=203.0.113.20

.PHONY: test
test: ## every check and every test (those in a browser where Chromium is installed; CI installs it)
	@scripts/setup.sh dev --kernel $(if $(CI),--browser)
	@$(MAKE) --no-print-directory -j 2 --output-sync checks $(if $(CI),compiled)
	$(BIN)/python -m pytest $(WORKERS) $(PYTEST)

.PHONY: lint
lint: ## the checks alone: style, format, types, layers
	@scripts/setup.sh dev
	@$(MAKE) --no-print-directory checks

.PHONY: checks
checks:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# What pytest makes of each test's source (it rewrites `assert`) is kept for the workers, each of which would do it anew.
# mypy leaves a core to it. What it finds to be wrong, the run finds again and says.
.PHONY: compiled
compiled:
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null 2>&1 || :

.PHONY: fmt
fmt: ## format the sources and fix what can be fixed
	@scripts/setup.sh dev
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

.PHONY: laws
laws: ## the property tests, for a long time
	@scripts/setup.sh dev --kernel
	HYPOTHESIS_PROFILE=laws $(BIN)/python -m pytest $(WORKERS) --timeout 0 tests/laws tests/packets $(PYTEST)

.PHONY: docs
docs: ## write the pages of docs/checks anew, from the checks themselves
	@scripts/setup.sh dev
	@rm -f docs/checks/*.md
	@$(BIN)/outgate explain -o markdown > docs/checks/index.md
	@for rule in $$($(BIN)/outgate explain -o json | sed -n 's/^ *"name": "\(.*\)",$$/\1/p'); do \
		$(BIN)/outgate explain -o markdown "$$rule" > "docs/checks/$$rule.md"; \
	done

.PHONY: manifests
manifests: ## write deploy/kustomize/install.yaml anew, from its base
	scripts/install-manifest.sh > deploy/kustomize/install.yaml

.PHONY: bench
bench: ## the benchmarks (docs/performance.md says how to read them)
	@scripts/setup.sh run --kernel
	$(BIN)/python -m benchmarks $(BENCH)

.PHONY: setup
setup: ## .venv with everything, and the Debian packages the lab needs
	@scripts/setup.sh dev --kernel

# Run this after a change of the dependencies in pyproject.toml. `make lock LOCK=--upgrade` takes newer versions.
# It needs uv, and names no package index, so that the files hold for whichever index the reader has configured.
LOCK ?=
UV_COMPILE := uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(LOCK)

.PHONY: lock
lock: ## resolve pyproject.toml into requirements/*.txt
	$(UV_COMPILE) --group build -o requirements/run.txt
	$(UV_COMPILE) --extra agent -c requirements/run.txt -o requirements/image.txt
	$(UV_COMPILE) --group build --group dev -c requirements/run.txt -o requirements/dev.txt

.PHONY: clean
clean: ## remove what the tools leave behind (not .venv)
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist
