"""How a decoder looks at the sequence of the encoder."""

from __future__ import annotations

import numpy as np

from seqstate.kernels.dense import Dense
from seqstate.runtime.archive.config import Config
from seqstate.runtime.archive.weights import Weights
from seqstate.runtime.layers.attention import AttentionLayer
from seqstate.runtime.layers.layer import Array
from seqstate.runtime.layers.making import Making
from seqstate.runtime.layers.merging import contracted
from seqstate.state import State


class Attention:
    """`Bahdanau` or `Luong`; `seqstate.models.encoder_decoder.attention` has the equations.

    Attributes:
        before_step: whether the decoder looks before a step, with its state, or after it, with its
            output.
    """

    def __init__(self, config: Config, weights: Weights, making: Making) -> None:
        kind = {"seqstate>Bahdanau": "AdditiveAttention", "seqstate>Luong": "Attention"}
        if config.kind not in kind:
            making.refuse(config, f"the class {config.kind} is not known", "Use Luong or Bahdanau")
        self.before_step = config.kind == "seqstate>Bahdanau"
        compare = Config(
            {
                "class_name": kind.get(config.kind, "Attention"),
                "config": {"name": "compare", "use_scale": self.before_step},
            },
            config.where,
        )
        self._compare = AttentionLayer(compare, weights.below("compare", "compare"), making)
        self._keys = _kernel(weights, "of_sequence")
        self._query = _kernel(weights, "of_query")
        self._joined = _kernel(weights, "joined", "tanh")
        self.units = None if self._joined is None else self._joined.units
        if (self._query if self.before_step else self._joined) is None:
            raise config.wrong("its weights are not in the file.")

    def prepare(self, sequence: Array, mask: Array) -> State:
        """Give the memory that the decoder looks at."""
        if mask is None:
            mask = np.ones(sequence.shape[:2], bool)
        keys = sequence
        if self._keys is not None:
            rows = self._keys(sequence.reshape(-1, sequence.shape[2]))
            keys = rows.reshape(*sequence.shape[:2], -1)
        return {"sequence": sequence, "keys": keys, "mask": mask}

    def look(self, query: Array, memory: State) -> tuple[Array, Array]:
        """Look with `[batch, units]`: the context, and how much of it came from each step."""
        query = query if self._query is None else self._query(query)
        weights = self._compare.look(query[:, None], memory["keys"], memory["mask"])
        context = contracted(weights, memory["sequence"].transpose(0, 2, 1))
        return context[:, 0], weights[:, 0]

    def join(self, context: Array, outputs: Array) -> Array:
        """Give `tanh(W_c [context, h])`."""
        assert self._joined is not None
        return self._joined(np.concatenate([context, outputs], axis=-1))


def _kernel(weights: Weights, name: str, activation: str = "linear") -> Dense | None:
    kernel = weights.below(name, name).arrays("kernel")[0]
    return None if kernel is None else Dense(kernel, None, activation)
