"""A model that is loaded gives what Keras gives."""

import numpy as np
import pytest

from runtime.saved import both, of_keras, outputs
from runtime.zoo import MODELS, STEPPED, WHOLE


@pytest.mark.parametrize("name", MODELS)
def test_as_keras(name):
    model, loaded, x = both(name)
    made, _ = loaded.run(x)
    wanted = of_keras(model, x)
    found = outputs(made)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype in (np.float32, bool)
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_which_can_be_stepped(name):
    _, loaded, _ = both(name)
    assert (loaded.why_no_step is None) == (name in STEPPED), loaded.why_no_step
    assert (name in STEPPED) != (name in WHOLE)
