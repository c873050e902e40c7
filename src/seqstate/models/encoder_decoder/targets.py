"""What `fit` and `evaluate` are given: each batch gets its target as an input too, checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from seqstate.errors import DataError, InputError, message


def taught(x: Any, y: Any, check: Any, where: str) -> tuple[Any, Any]:
    """Give `fit` what it needs so that the model sees the target as well.

    Args:
        x: the source; or a dataset of `(source, target)`, with sample weights or without: a
            `keras.utils.PyDataset`, a `tf.data.Dataset`, a generator.
        y: the target, or None with a dataset.
        check: `check(source, target)`, for arrays.
        where: who asks, for messages.

    Returns:
        `x` and `y` for `keras.Model.fit`.

    Raises:
        InputError: the target is missing, or there beside a dataset, which has it.
    """
    is_tensorflow = hasattr(x, "element_spec") and hasattr(x, "map")
    is_dataset = is_tensorflow or isinstance(x, keras.utils.PyDataset | Iterator)
    if is_dataset and y is not None:
        raise InputError(
            message(
                where,
                f"got a dataset ({type(x).__name__}) and a target; expected one of the two.",
                "Let the dataset give (source, target), and leave y out.",
            )
        )
    if isinstance(x, keras.utils.PyDataset):
        return _Dataset(x, check, where), None
    if is_tensorflow:
        return x.map(lambda *batch: with_target(batch, where)), None
    if is_dataset:
        return (with_target(batch, where, check) for batch in x), None
    if y is None:
        raise InputError(
            message(
                where,
                f"got the source ({type(x).__name__}) without a target.",
                "Call fit(source, target), or pass a PyDataset, a tf.data.Dataset or a "
                "generator of (source, target).",
            )
        )
    check(x, y)
    return {"source": x, "target": y}, y


def with_target(batch: Any, where: str, check: Any = None) -> tuple[Any, ...]:
    """Put the target of a batch beside its source.

    Raises:
        InputError: the batch is no `(source, target)`.
    """
    if not isinstance(batch, tuple | list) or not 2 <= len(batch) <= 3:
        raise InputError(
            message(
                where,
                "the dataset gives no (source, target).",
                "Let it give tuples: (source, target), or (source, target, sample_weight).",
            )
        )
    source, target, *weights = batch
    if check is not None:
        check(source, target)
    return ({"source": source, "target": target}, target, *weights)


class _Dataset(keras.utils.PyDataset):
    """A dataset whose batches have the target beside the source."""

    def __init__(self, inner: Any, check: Any, where: str) -> None:
        super().__init__(
            workers=inner.workers,
            use_multiprocessing=inner.use_multiprocessing,
            max_queue_size=inner.max_queue_size,
        )
        self.inner, self.check, self.where = inner, check, where

    @property
    def num_batches(self) -> Any:
        return self.inner.num_batches

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return with_target(self.inner[index], self.where, self.check)

    def on_epoch_begin(self) -> None:
        self.inner.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.inner.on_epoch_end()


# Checks of arrays and tensors; those of a graph, which have no values, are not looked into.


def _values_of(given: Any) -> Any:
    """Give the values as an array, whatever holds them; what has none as it is."""
    if isinstance(given, np.ndarray | keras.KerasTensor):
        return given
    return np.asarray(ops.convert_to_numpy(given) if ops.is_tensor(given) else given)


def check_sequence(
    values: Any, tokens: int | None, features: int | None, where: str, what: str
) -> None:
    """Refuse a source or a target that does not fit.

    Args:
        values: `[batch, time]` tokens or `[batch, time, features]`.
        tokens: how many tokens there are; None for values.
        features: of values; None if any number will do.
        where: who asks, for messages.
        what: "source" or "target".

    Raises:
        InputError: another rank or type, or no steps.
        DataError: a token that is not there, or NaN.
    """
    if isinstance(values, keras.KerasTensor) or not hasattr(values, "shape"):
        if isinstance(values, list | tuple):
            raise InputError(
                message(
                    where,
                    f"the {what} is a Python {type(values).__name__}; expected an array.",
                    "numpy.asarray(rows); rows of different lengths: keras.utils.pad_sequences("
                    'rows, padding="post") and padding=0 in the Encoder.',
                )
            )
        return
    values = _values_of(values)
    shape = tuple(values.shape)
    axes = "[batch, time, features]" if tokens is None else "[batch, time] of tokens"
    if len(shape) != (3 if tokens is None else 2) or 0 in shape[:2]:
        todo = (
            "Pass values[..., None] for one feature."
            if tokens is None and len(shape) == 2
            else "Pass values[..., 0]."
            if tokens is not None and len(shape) == 3 and shape[-1] == 1
            else "One hot? Pass values.argmax(axis=-1)."
            if tokens is not None and len(shape) == 3
            else "Pass one row for each sequence, with at least one step."
        )
        raise InputError(message(where, f"the {what} has shape {shape}; expected {axes}.", todo))
    if tokens is None:
        if features is not None and shape[-1] != features:
            raise InputError(
                message(
                    where,
                    f"the {what} has {shape[-1]} values at each step; expected {features}.",
                    f"Pass {axes} with {features} features, or make a model for {shape[-1]}.",
                )
            )
        if values.dtype.kind == "f" and np.isnan(values).any():
            row, step = np.argwhere(np.isnan(values))[0][:2]
            raise DataError(
                message(
                    where,
                    f"the {what} is NaN at row {row}, step {step}.",
                    "Fill it in, or leave the row out; steps that shall not count get a "
                    "sample_weight of 0.",
                )
            )
        return
    whole = values.dtype.kind == "f" and (values == np.round(values)).all()
    if values.dtype.kind not in "iu" and not whole:
        raise InputError(
            message(
                where,
                f"the {what} has dtype {values.dtype}; expected whole numbers, the ids of tokens.",
                "Give each token a number first, for example with keras.layers.StringLookup.",
            )
        )
    wrong = (values < 0) | (values >= tokens)
    if wrong.any():
        row, step = np.argwhere(wrong)[0]
        raise DataError(
            message(
                where,
                f"the {what} has the token {values[row, step]} at row {row}, step {step}; there "
                f"are 0 to {tokens - 1} (tokens={tokens}).",
                "Number the tokens anew, from 0 on."
                if values[row, step] < 0
                else f"Make the model with tokens={int(values.max()) + 1}, or number the tokens "
                "anew.",
            )
        )


def check_target(decoder: Any, target: Any, where: str) -> None:
    """Refuse a target from which a decoder would not learn what it is for.

    Raises:
        DataError: the target holds the start token at each row's first step, or the stop token
            nowhere.
    """
    target = _values_of(target)
    if decoder.tokens is None:
        return
    if (target[:, 0] == decoder.start).all():
        raise DataError(
            message(
                where,
                f"each row of the target begins with the start token, {decoder.start}.",
                "Leave it out: target[:, 1:]. The model puts it in front itself.",
            )
        )
    if decoder.stop is not None and not (target == decoder.stop).any():
        raise DataError(
            message(
                where,
                f"the stop token, {decoder.stop}, is in no row of the target.",
                "Put it at the end of each row, or the model never learns to stop; without "
                "stop=... rows are as long as they are made.",
            )
        )


def check_both(
    decoders: Mapping[str, Any], by_name: bool, encoder: Any, source: Any, target: Any, where: str
) -> None:
    """Refuse a source and a target to learn that do not fit.

    Raises:
        InputError, DataError: as `check_steps` and `check_target`.
    """
    for decoder, one in check_steps(decoders, by_name, encoder, source, target, where):
        check_target(decoder, one, where)


def check_steps(
    decoders: Mapping[str, Any], by_name: bool, encoder: Any, source: Any, target: Any, where: str
) -> list[tuple[Any, Any]]:
    """Refuse a source and a target that do not fit.

    Args:
        decoders: by name.
        by_name: whether the target is a dict by these names.
        encoder: the encoder.
        source: what it reads.
        target: what is to be said.
        where: who asks, for messages.

    Returns:
        Each decoder with its target.

    Raises:
        InputError, DataError: as `check_sequence`; or another number of rows, or other names.
    """
    check_sequence(source, encoder.tokens, encoder.features, where, "source")
    if by_name and (not isinstance(target, Mapping) or set(target) != set(decoders)):
        got = ", ".join(map(repr, target)) if isinstance(target, Mapping) else "an array"
        raise InputError(
            message(
                where,
                f"the target is {got}; expected a dict with {', '.join(map(repr, decoders))}.",
                "Pass the target of each decoder under its name.",
            )
        )
    each = [(one, target[name] if by_name else target) for name, one in decoders.items()]
    for decoder, one in each:
        check_sequence(one, decoder.tokens, decoder.outputs, where, "target")
        rows = [getattr(part, "shape", (None,))[0] for part in (source, one)]
        if rows[0] != rows[1]:
            raise InputError(
                message(
                    where,
                    f"the source has {rows[0]} rows, the target {rows[1]}.",
                    "Pass one target for each source.",
                )
            )
    return each


def by_step(sample_weight: Any, target: Any) -> Any:
    """Give weights of rows, `[batch]`, to all steps of a target: `[batch, time]`.

    Args:
        sample_weight: `[batch]` or `[batch, time]`; with a dict of targets also a dict; or None.
        target: `[batch, time]` or `[batch, time, outputs]`, or a dict of these.
    """
    if sample_weight is None:
        return None
    if isinstance(target, Mapping):
        each = isinstance(sample_weight, Mapping)
        return {
            name: by_step(sample_weight[name] if each else sample_weight, one)
            for name, one in target.items()
        }
    weight = ops.cast(sample_weight, keras.config.floatx())
    if len(weight.shape) != 1:
        return sample_weight
    # Not broadcast_to: on torch Keras writes into the weights.
    return weight[:, None] * ops.ones(ops.shape(target)[:2], weight.dtype)
