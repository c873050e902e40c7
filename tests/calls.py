"""The table of native calls that the tests of torch and TensorFlow share, as NumPy arrays."""

from dataclasses import dataclass, field

import numpy as np

from seqstate.kernels.call import Spec

BATCH, TIME, FEATURES, UNITS = 5, 7, 3, 17
SPECS = {
    "LSTM": Spec("LSTM"),
    "GRU": Spec("GRU"),
    "GRU, reset before": Spec("GRU", reset_after=False),
    "SimpleRNN": Spec("SimpleRNN"),
}


@dataclass(frozen=True)
class Call:
    """A call of every cell in `SPECS`.

    Attributes:
        name: for messages.
        given: which optional inputs there are: "bias", "initial", "fresh", "mask", "reset_mask".
        dropped: how many masks `input_dropout` and `recurrent_dropout` have: "one" or "each".
        spec: what is changed in the spec.
        sizes: of the axes, if they are others.
    """

    name: str
    given: tuple[str, ...] = ("bias",)
    dropped: str | None = None
    spec: dict = field(default_factory=dict)
    sizes: dict = field(default_factory=dict)


ALL = ("bias", "initial", "fresh", "mask", "reset_mask")
CALLS = (
    Call("plain"),
    Call("no bias", ()),
    Call("initial state", ("bias", "initial")),
    Call("mask", ("bias", "initial", "mask")),
    Call("reset to zeros", ("bias", "initial", "reset_mask")),
    Call("everything", ALL, dropped="each"),
    Call("everything, backwards", ALL, dropped="one", spec={"go_backwards": True}),
    Call("relu", ALL, spec={"activation": "relu", "recurrent_activation": "hard_sigmoid"}),
    Call("linear", ALL, spec={"activation": "linear"}),
    Call("the other way round", spec={"activation": "sigmoid", "recurrent_activation": "tanh"}),
    Call("one row", ALL, sizes={"batch": 1}),
    Call("one step", ALL, sizes={"time": 1}),
    Call("one unit", ALL, sizes={"units": 1, "features": 1}),
    Call("129 units", ALL, sizes={"units": 129, "features": 40, "batch": 9}),
)


def calls():
    """Give every cell with every call: a spec that asks for all results, and inputs by name."""
    return [(spec_of(cell, call), inputs_of(cell, call)) for cell in SPECS for call in CALLS]


def ids():
    return [f"{cell}: {call.name}" for cell in SPECS for call in CALLS]


def one(cell, name):
    """Give the spec and the inputs of one call."""
    call = next(call for call in CALLS if call.name == name)
    return spec_of(cell, call), inputs_of(cell, call)


def spec_of(cell, call):
    return SPECS[cell]._replace(every_step=True, keep=bool(SPECS[cell].kept), **call.spec)


def inputs_of(cell, call):
    sizes = {"batch": BATCH, "time": TIME, "features": FEATURES, "units": UNITS, **call.sizes}
    batch, time, features, units = sizes.values()
    names = SPECS[cell].names
    blocks = names.blocks
    rng = np.random.default_rng(3)

    def normal(*shape, scale=1.0):
        return (scale * rng.normal(size=shape)).astype("float32")

    inputs = {
        "x": normal(batch, time, features),
        "kernel": normal(features, blocks * units, scale=features**-0.5),
        "recurrent_kernel": normal(units, blocks * units, scale=units**-0.5),
    }
    if "bias" in call.given:
        inputs["bias"] = normal(blocks * units, scale=0.3)
        if cell == "GRU":
            inputs["recurrent_bias"] = normal(blocks * units, scale=0.3)
    for start in ("initial", "fresh"):
        if start in call.given:
            inputs.update({f"{start}_{name}": normal(batch, units) for name in names.states})
    if "mask" in call.given:
        inputs["mask"] = rng.random((batch, time)) < 0.7
    if "reset_mask" in call.given:
        inputs["reset_mask"] = rng.random((batch, time)) < 0.3
    if call.dropped is not None:
        count = blocks if call.dropped == "each" else 1
        for name, size in (("input_dropout", features), ("recurrent_dropout", units)):
            kept = rng.random((count, batch, size)) < 0.6
            inputs[name] = (kept / 0.6).astype("float32")
    return inputs


def cotangents(spec, inputs, seed=5):
    """Give a cotangent for every result of a call; zeros for what `kept` holds beside the gates."""
    rng = np.random.default_rng(seed)
    batch, time, _ = inputs["x"].shape
    units = inputs["recurrent_kernel"].shape[0]
    shapes = {"last": (batch, units), "states": (batch, time, units)}
    shapes["kept"] = (time, batch, spec.kept, units)
    made = {
        name: rng.normal(size=shapes[name.split("_")[0]]).astype("float32")
        for name in spec.results()
    }
    if "kept" in made:
        made["kept"][:, :, len(spec.names.gates) :] = 0
    return made
