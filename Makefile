# `make demo` and `make test` do all the set-up that they need; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export KERAS_BACKEND ?= jax
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-backend check native-check bench format docs clean

demo: $(VENV)/installed
	$(BIN)/seqstate tour --out out/tour

test: $(VENV)/installed
	$(BIN)/python -m pytest -n auto

# All that runs a framework, on another one: make test-backend KERAS_BACKEND=torch
BACKEND_TESTS ?= tests/kernels/test_choice.py tests/kernels/test_native_torch.py \
	tests/kernels/test_native_tensorflow.py tests/layers tests/models tests/data \
	tests/forecast tests/test_callbacks.py tests/test_docs.py
test-backend: $(VENV)/installed
	$(BIN)/python -m pytest -n auto $(BACKEND_TESTS)

check: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict --quiet

# The native tests under the sanitizers, and the build for arm64; compilers are all it needs.
native-check:
	.ci/native

# The kernels and `fit` beside their peers; only a quiet machine gives figures.
bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python benchmarks/kernels.py
	$(BIN)/python benchmarks/fit.py
	$(BIN)/python benchmarks/stream.py

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/installed
	$(BIN)/mkdocs serve

clean:
	rm -rf $(VENV) build site out

# The native module rebuilds itself when it is imported after a change, so what builds it stays in
# the environment: the tools as packages, and beside them the headers of another jaxlib.
$(VENV)/installed: pyproject.toml CMakeLists.txt
	@$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'seqstate needs Python 3.11 or newer: make PYTHON=python3.11'"
	@echo "Installing into $(VENV); this takes some minutes."
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python native/requirements.py headers > $(VENV)/headers.txt
	$(BIN)/python native/requirements.py tools > $(VENV)/tools.txt
	$(BIN)/python -m pip install --quiet --upgrade --no-deps --target $(VENV)/headers -r $(VENV)/headers.txt
	$(BIN)/python -m pip install --quiet -r $(VENV)/tools.txt ninja
	$(BIN)/python -m pip install --quiet --no-build-isolation \
		--config-settings build-dir=build/editable --config-settings editable.rebuild=true \
		--config-settings cmake.define.SEQSTATE_XLA_INCLUDE=$(CURDIR)/$(VENV)/headers/jaxlib/include \
		--editable ".[jax,tour,forecast,xarray,tensorboard,redis]" --group dev
	@$(BIN)/python -c "from seqstate.kernels import native; print('Native kernels:', native.reason() or native.module().build_name())"
	touch $@
