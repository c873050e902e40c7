"""`CellLayer`: all that `SimpleRNN`, `GRU`, `LSTM` and `RWA` share beyond `RNN`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import keras

from seqstate.errors import ArgumentError, message
from seqstate.layers.cell import GatedCell
from seqstate.layers.recurrent import RNN

_SNAKE_CASE = {
    "LSTMCell": "lstm_cell",
    "GRUCell": "gru_cell",
    "SimpleRNNCell": "simple_rnn_cell",
    "RWACell": "rwa_cell",
}


def of_cell(name: str) -> Any:
    """Make a property that reads an attribute of the layer's cell."""

    def read(layer: Any) -> Any:
        return getattr(layer.cell, name)

    return property(read, doc=f"`{name}` of the cell.")


class CellLayer(RNN):
    """A layer that makes its own cell from its arguments."""

    cell_class: ClassVar[type[GatedCell]]

    units = of_cell("units")
    activation = of_cell("activation")
    use_bias = of_cell("use_bias")
    kernel_initializer = of_cell("kernel_initializer")
    recurrent_initializer = of_cell("recurrent_initializer")
    bias_initializer = of_cell("bias_initializer")
    kernel_regularizer = of_cell("kernel_regularizer")
    recurrent_regularizer = of_cell("recurrent_regularizer")
    bias_regularizer = of_cell("bias_regularizer")
    kernel_constraint = of_cell("kernel_constraint")
    recurrent_constraint = of_cell("recurrent_constraint")
    bias_constraint = of_cell("bias_constraint")
    dropout = of_cell("dropout")
    recurrent_dropout = of_cell("recurrent_dropout")

    def __init__(self, arguments: Mapping[str, Any], **kwargs: Any) -> None:
        names = self.cell_class.argument_names()
        own = {k: v for k, v in arguments.items() if k not in names}
        self._check_cudnn(own.get("use_cudnn", "auto"))
        use_cudnn = own.pop("use_cudnn", None)
        if "implementation" in kwargs and self.cell_class.kind.gates:
            extra = {"implementation": kwargs.pop("implementation")}
        else:
            extra = {}
        cell = self.cell_class(
            **{name: arguments[name] for name in names},
            **extra,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name=_SNAKE_CASE[self.cell_class.__name__],
        )
        super().__init__(cell, **own, **kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=3)
        if use_cudnn is not None:
            self.use_cudnn = use_cudnn

    def _check_cudnn(self, use_cudnn: Any) -> None:
        if use_cudnn not in ("auto", False):
            raise ArgumentError(
                message(
                    type(self).__name__,
                    f"use_cudnn={use_cudnn!r}; expected 'auto' or False.",
                    "There is no cuDNN path here; leave the argument out.",
                )
            )

    def get_config(self) -> dict[str, Any]:
        """Give the config of Keras's own layer, and what was set beyond it."""
        config = super().get_config()
        del config["cell"]
        penalty = keras.regularizers.serialize(self.activity_regularizer)
        config.setdefault("activity_regularizer", penalty)
        cell = self.cell.get_config()
        if not self.cell_class.kind.gates and cell["seed"] is None:
            del cell["seed"]  # as Keras does for this layer
        names = (*self.cell_class.argument_names(), "implementation")
        return {**config, **{name: cell[name] for name in names if name in cell}}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> CellLayer:
        """Make the layer from its config."""
        return cls(**config)
