# `make demo` captions the example photographs; `make test` checks everything. Both set up what
# they need in environments of their own, from nothing but Python 3.11 or newer and make.

PYTHON ?= $(or $(shell sh -c 'command -v python3.11'),python3)
DEMO := .venv
DEV := .venv-dev
TRIAL := .venv-release
DOCS := .venv-docs
SITE := build/docs
BIN := $(DEV)/bin
PYTEST := $(BIN)/python -m pytest
# Two workers, whatever the machine: tests that use PyTorch take a gigabyte each.
WORKERS ?= 2

# Each worker computes on one thread: two that wait for each other are slower on two cores.
tests test-heavy fuzz docs-test course: export OMP_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Without compiled files every process compiles PyTorch and timm anew: ten seconds, many times.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test lint style types tests test-heavy test-install fuzz docs docs-test course bench agreement release clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(DEMO)/negah-installed ## caption the example photographs (no PyTorch; under 500 MB)
	@$(DEMO)/bin/negah caption examples/photos

# mypy takes one core for a minute: meanwhile the tests have the other.
test: style ## check everything, heavy tests aside; installs PyTorch the first time
	@$(MAKE) --no-print-directory --jobs=2 types tests

tests: $(DEV)/negah-installed
	$(PYTEST) -n $(WORKERS) --dist worksteal -m "not heavy"

lint: style types ## format, style, import contracts and types

style: $(DEV)/negah-installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(DEV)/negah-installed
	$(BIN)/mypy

test-heavy: $(DEV)/negah-installed ## the tests that take minutes
	$(PYTEST) -m heavy

test-install: ## each extra in an environment of its own, tried once; EXTRAS="serve heic" names some
	$(PYTHON) benchmarks/installs.py $(EXTRAS)

fuzz: $(DEV)/negah-installed ## 10,000 damaged photos, clips, tables, names and bundles
	$(PYTEST) -n $(WORKERS) -m heavy tests/ground/test_media_images_fuzz.py tests/ground/test_media_fuzz.py \
		tests/train/test_data_tables.py tests/ground/test_bundle_fuzz.py tests/top/test_cli_names.py

docs: $(DOCS)/negah-installed ## the documentation site, in build/docs/site; warnings are errors
	$(DOCS)/bin/python docs/_site/prepare.py $(SITE)
	$(DOCS)/bin/zensical build --strict --config-file $(SITE)/mkdocs.yml
	@echo "open $(SITE)/site/index.html, or: $(DOCS)/bin/python -m http.server -d $(SITE)/site"

docs-test: $(DEV)/negah-installed ## the site in headless Chromium: links, search, phone width, dark
	$(PYTEST) -m heavy tests/project/test_docs_site.py

course: $(DEV)/negah-installed ## run the notebooks of docs/course
	$(PYTEST) -m heavy tests/project/test_docs_course.py

bench: $(DEV)/negah-installed ## throughput, memory and start-up time of `negah caption`
	$(BIN)/python benchmarks/throughput.py

agreement: $(DEV)/negah-installed ## the tables of docs/metrics.md; needs Java 8 or newer
	@command -v java > /dev/null || { echo "the oracles need Java, 8 or newer" >&2; exit 1; }
	$(BIN)/python benchmarks/ptb_oracle.py
	$(BIN)/python benchmarks/meteor_oracle.py
	$(BIN)/python benchmarks/metrics.py

# uv builds the wheel from the sdist, so that both are tried.
release: $(DEV)/negah-installed ## wheel and sdist in dist/, tried in an environment of their own
	rm -rf dist $(TRIAL)
	$(BIN)/uv build --quiet --out-dir dist
	$(call make-environment,$(TRIAL))
	$(TRIAL)/bin/python -m pip install --quiet -c constraints.txt dist/*.whl
	cd examples && ../$(TRIAL)/bin/negah caption photos/dog.jpg
	@ls -l dist

clean: ## remove the environments and caches that make and the tools wrote
	rm -rf $(DEMO) $(DEV) $(TRIAL) $(DOCS) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache .benchmarks
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment is made again when what it should hold has changed, and not before.
$(DEMO)/negah-installed: pyproject.toml constraints.txt
	$(call make-environment,$(DEMO))
	$(DEMO)/bin/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

# mkdocstrings reads the code and imports none of it, so that PyTorch is not needed.
$(DOCS)/negah-installed: pyproject.toml constraints.txt
	$(call make-environment,$(DOCS))
	$(DOCS)/bin/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	@touch $@

# uv installs these gigabytes several times faster than pip, but does not know pip's own settings
# (a company's package index, say): where it fails, pip does the work.
$(DEV)/negah-installed: pyproject.toml constraints.txt
	$(call make-environment,$(DEV))
	$(BIN)/python -m pip install --quiet -c constraints.txt uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python \
		-c constraints.txt -e '.[train,dev]' \
	|| $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[train,dev]'
	@touch $@

define make-environment
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Negah needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
$(PYTHON) -m venv $(1)
endef
