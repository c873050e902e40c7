"""Our kernels on NumPy.

Forward, `ours` is a `Cell` that holds its weights packed, as a session of ONNX Runtime does, and at
`step` a `Stepper` on it; `ours, packed anew` is a call that is given the weights. The gradient is
given them in every call, as they change in every step of a training.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cases import EVERY, GRADIENT, PLAIN, Array, Case, Data, data_of
from peers import Run
from peers.names import OURS
from seqstate.cells import KINDS
from seqstate.kernels import native
from seqstate.kernels.call import Spec


def runs(case: Case) -> dict[str, Run]:
    """Run a case; a variant of the plain work has its own label."""
    data = data_of(case)
    label = OURS if case.variant == PLAIN else case.variant
    if case.task == GRADIENT:
        return {label: _gradient(case, data)}
    if case.carries:
        return {label: _step(case, data)}
    made = {label: _packed(case, data)}
    if case.variant == PLAIN:
        made["ours, packed anew"] = _forward(case, data)
    return made


def describe() -> dict[str, Any]:
    """Say which build of the kernels runs here."""
    module = native.module()
    return {"instruction set": module.build_name(), "floats in a vector": module.lanes()}


def _packed(case: Case, data: Data) -> Run:
    cell, every = _cell(case, data), case.variant == EVERY
    given = _inputs(case, data)
    streamed = {k: v for k, v in given.items() if k not in _weights(data)}
    spec = Spec(case.cell, keep=every)
    last = KINDS[case.cell].states[1:]
    unwanted = () if every else tuple(f"states_{name}" for name in last)

    def call() -> Any:
        results = native.empty_results(spec, given)
        for name in unwanted:
            del results[name]
        cell.run(streamed, results)
        return results

    return Run(call, lambda results: _forward_named(case, results))


def _forward(case: Case, data: Data) -> Run:
    spec, given = Spec(case.cell), _inputs(case, data)
    return Run(lambda: native.forward(spec, given), lambda results: _forward_named(case, results))


def _step(case: Case, data: Data) -> Run:
    state = [value.copy() for value in data.initial.values()]
    step = native.module().Stepper(_cell(case, data), *state).step
    x = np.ascontiguousarray(data.x[:, 0])

    def named(h: Array) -> dict[str, Array]:
        last = {f"last_{k}": v for k, v in zip(KINDS[case.cell].states, state, strict=True)}
        return last | {"sequence": h[:, None]}

    return Run(lambda: step(x), named)


def _gradient(case: Case, data: Data) -> Run:
    spec, given = Spec(case.cell, keep=True), _inputs(case, data)
    wanted = tuple(_weights(data))
    cotangents = _cotangents(case, data, spec)

    def call() -> Any:
        results = native.forward(spec, given)
        return results, native.gradient(spec, given, results, cotangents, wanted)

    def named(made: Any) -> dict[str, Array]:
        results, gradients = made
        found = {f"d_{name}": value for name, value in gradients.items()}
        if "d_recurrent_bias" in found:
            found["d_bias"] = np.stack([found["d_bias"], found.pop("d_recurrent_bias")])
        return _forward_named(case, results) | found

    return Run(call, named)


def _cell(case: Case, data: Data) -> Any:
    spec = Spec(case.cell)
    return native.module().Cell(
        spec.kind, spec.activation, spec.recurrent_activation, spec.reset_after, _weights(data)
    )


def _weights(data: Data) -> dict[str, Array]:
    made = dict(data.weights)
    if made["bias"].ndim == 2:
        made["bias"], made["recurrent_bias"] = data.weights["bias"]
    return made


def _inputs(case: Case, data: Data) -> dict[str, Array]:
    optional = {"mask": data.mask, "recurrent_dropout": data.recurrent_dropout}
    given = {k: v for k, v in optional.items() if v is not None}
    given |= {f"initial_{k}": v for k, v in data.initial.items()}
    return {"x": data.x} | _weights(data) | given


def _cotangents(case: Case, data: Data, spec: Spec) -> dict[str, Array]:
    known = dict(data.cotangents)
    made = {"states_h": known.pop("sequence")}
    gates = [known.pop(f"gates_{name}") for name in spec.names.gates if f"gates_{name}" in known]
    if gates:
        # What is kept beside the gates is not a result that anybody is given.
        more = [np.zeros_like(gates[0])] * (spec.kept - len(gates))
        made["kept"] = np.ascontiguousarray(np.stack(gates + more, axis=2).swapaxes(0, 1))
    return made | known


def _forward_named(case: Case, results: dict[str, Array]) -> dict[str, Array]:
    kind = KINDS[case.cell]
    found = {f"last_{k}": results[f"last_{k}"] for k in kind.states}
    found["sequence"] = results["states_h"]
    if case.variant == EVERY:
        found |= {f"states_{k}": results[f"states_{k}"] for k in kind.states[1:]}
        found |= {
            f"gates_{k}": results["kept"][:, :, i].swapaxes(0, 1) for i, k in enumerate(kind.gates)
        }
    return found
