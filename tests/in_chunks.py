"""A sequence that is run in one call, and again step by step from the state before."""

import numpy as np

from frameworks import array, compiled


def whole_and_step_by_step(layer, x, mask):
    """Give the sequence of one call, and that of a call for each step, `[batch, time, units]`."""
    run = compiled(lambda part, **called: layer(part, **called))
    whole, state, pieces = run(x, mask=mask), None, []
    for t in range(x.shape[1]):
        r = run(x[:, t : t + 1], mask=mask[:, t : t + 1], initial_state=state)
        state = r["state"]
        pieces.append(array(r["sequence"]))
    return array(whole["sequence"]), np.concatenate(pieces, axis=1)
