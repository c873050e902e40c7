# `make demo` and `make test` do all the set-up that they need; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export KERAS_BACKEND ?= jax
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-backend check format docs clean

demo: $(VENV)/installed
	$(BIN)/seqstate tour --out out/tour

test: $(VENV)/installed
	$(BIN)/python -m pytest -n auto

# All that runs a framework, on another one: make test-backend KERAS_BACKEND=torch
test-backend: $(VENV)/installed
	$(BIN)/python -m pytest -n auto tests/kernels tests/layers tests/models tests/data \
		tests/test_callbacks.py tests/test_docs.py

check: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --quiet

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/installed
	$(BIN)/mkdocs serve

clean:
	rm -rf $(VENV) site out

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'seqstate needs Python 3.11 or newer: make PYTHON=python3.11'"
	@echo "Installing into $(VENV); this takes a minute or two."
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[jax,tour,xarray,tensorboard]" --group dev
	touch $@
