"""What the examples claim, held against the numbers that they leave: `CLAIMS` by example.

The bounds are far from what is reached, so that they hold for every backend and seed.
"""

import numpy as np

from frameworks import array


def dense_into_c(found):
    assert found["error"][False] > 0.8 * found["variance"]  # noise can't tell the slope
    assert found["error"][True] < 0.05 * found["variance"]


def two_streams(found):
    assert found["averaged"] < 0.5 * found["alone"]
    assert found["learned"] < 0.5 * found["alone"]
    # The left stream alone can't know the other half of the sum.
    assert found["alone"] > 0.4 * (found["new_y"] ** 2).mean()
    assert found["difference"] == 0
    assert np.abs(found["share"]).max() > 0.05


def several_hidden_states(found):
    assert found["error"] < 0.05 * (found["new_y"] ** 2).mean()
    (fast_slow, fast_jump), (slow_slow, slow_jump) = found["knows"]["fast"], found["knows"]["slow"]
    assert slow_slow > fast_slow + 0.05
    assert fast_jump > slow_jump + 0.2
    # The states are what the equations of the cell make of the input, each by itself.
    for (name, speed), kernel in zip(
        found["SPEEDS"].items(), found["model"].get_layer("speeds").cell.kernels, strict=True
    ):
        h = np.zeros((len(found["new"]), 4))
        for t in range(found["new"].shape[1]):
            seen = np.concatenate([found["new"][:, t], h], axis=-1)
            h = (1 - speed) * h + speed * np.tanh(seen @ array(kernel.value))
        np.testing.assert_allclose(found["states"][name][:, -1], h, atol=1e-5)


def teacher_forcing(found):
    errors = found["found"]
    alone = errors["output to hidden alone, forced"]
    for name in ("with hidden to hidden, forced", "with hidden to hidden, free"):
        assert errors[name][0] < 0.05
        assert errors[name][1] < 0.05
        assert alone[0] > 2 * errors[name][0]
        assert alone[1] > 4 * errors[name][1]
    assert alone[1] > 2 * alone[0]  # its mistakes add up when it runs freely
    assert found["difference"] < 1e-4


def two_encoders(found):
    assert found["accuracy"] > found["largest"] + 0.3
    h1, h2 = (array(h) for h in found["states"](found["new"]))
    w1, w2, v = (found["model"].get_layer(name).get_weights() for name in ("W1", "W2", "V"))
    logits = np.tanh(h1 @ w1[0] + h2 @ w2[0] + w2[1]) @ v[0]
    softmax = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    said = found["model"].predict(found["new"], verbose=0)
    np.testing.assert_allclose(said, softmax, atol=1e-5)
    right = (softmax.argmax(axis=-1) == found["new_y"]).mean()
    assert abs(right - found["accuracy"]) < 0.01


def sequence_autoencoder(found):
    assert found["code"].shape == (256, 4)
    assert found["error"][4] < 0.1 * found["variance"]
    # Three numbers make a wave: one is too few.
    assert found["error"][1] > 3 * found["error"][4]
    again = found["model"].predict(found["new"], verbose=0)
    assert abs(((again - found["new"]) ** 2).mean() - found["error"][4]) < 1e-4


def weighted_average(found):
    assert found["error"]["RWA"] < 0.5 * found["error"]["LSTM"]
    assert found["error"]["RWA"] < 0.5 * (found["new_y"] ** 2).mean()
    assert found["share_marked"] > 1.2 * found["share_other"]


def dates(found):
    assert found["right"] > 0.9
    year = [str(found["dates"][2800].year)[place] for place in range(4)]
    seen = [found["LETTERS"][found["source"][2800, place]] for place in found["looked"]]
    assert sum(a == b for a, b in zip(year, seen, strict=True)) >= 3
    assert (np.diff(found["beams"].scores[0]) <= 0).all()


def state_or_repeat(found):
    assert min(found["right"].values()) > 0.7  # one of eight by chance


def taking_turns(found):
    assert found["right"] > 0.9
    assert found["handed_over"] > 0.9


def streams(found):
    assert max(found["errors"].values()) < 0.15
    for name, values in found["series"].items():
        whole = found["fast"].run(values[None, :-1])[0][0]
        np.testing.assert_array_equal(np.stack(found["said"][name]), whole)


CLAIMS = {
    claim.__name__: claim
    for claim in (
        dense_into_c,
        two_streams,
        several_hidden_states,
        teacher_forcing,
        two_encoders,
        sequence_autoencoder,
        weighted_average,
        dates,
        state_or_repeat,
        taking_turns,
        streams,
    )
}
