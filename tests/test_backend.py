"""Keras starts with a backend that is installed, and the user's choice stands."""

import json

from subprocesses import python

SHOW = "import seqstate, os; print(os.environ.get('KERAS_BACKEND'))"


def test_a_configured_backend_that_is_missing_is_replaced(tmp_path):
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "openvino_not_here"}))
    assert python(SHOW, tmp_path) in ("jax", "torch", "tensorflow")


def test_a_configured_backend_that_is_installed_stands(tmp_path):
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "numpy"}))
    assert python(SHOW, tmp_path) == "None"


def test_the_variable_stands(tmp_path):
    assert python(SHOW, tmp_path, KERAS_BACKEND="torch") == "torch"


def test_a_damaged_config_is_no_reason_to_fail(tmp_path):
    (tmp_path / "keras.json").write_text("{")
    assert python(SHOW, tmp_path) in ("None", "jax", "torch")
