"""`import seqstate` costs no framework."""

import types

import pytest

from subprocesses import python

MODULES = ("callbacks", "config", "data", "errors", "layers", "models", "stores")
LIGHT = (
    "seqstate",
    "seqstate.config",
    "seqstate.state",
    "seqstate.cells",
    "seqstate.errors",
    "seqstate.stores",
    "seqstate.stores.blob",
    "seqstate.cli",
)


@pytest.mark.parametrize("module", LIGHT)
def test_the_facts_and_the_face_import_no_framework(module, tmp_path):
    code = (
        f"import sys, {module}; "
        "print([m for m in ('keras', 'jax', 'torch', 'tensorflow', 'matplotlib')"
        " if m in sys.modules])"
    )
    assert python(code, tmp_path) == "[]"


def test_layers_is_there_when_it_is_touched(tmp_path):
    code = "import seqstate; print(seqstate.layers.LSTM.__name__, seqstate.__version__)"
    assert python(code, tmp_path).startswith("LSTM 0.")


def test_an_unknown_name_is_an_attribute_error():
    import seqstate

    with pytest.raises(AttributeError, match="no attribute 'layer'"):
        _ = seqstate.layer
    with pytest.raises(AttributeError, match=r"no attribute 'LSTM'; layers .* in seqstate\.layers"):
        _ = seqstate.LSTM


def test_every_name_that_is_offered_is_there():
    import seqstate

    assert set(seqstate.__all__) <= set(dir(seqstate))
    for name in seqstate.__all__:
        found = getattr(seqstate, name)
        # `seqstate.trace` is the function, not a module of that name.
        assert isinstance(found, str | types.ModuleType) or found.__name__ == name
        assert isinstance(found, types.ModuleType) == (name in MODULES)
