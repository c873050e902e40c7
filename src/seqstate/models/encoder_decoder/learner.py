"""`Learner`: how an encoder-decoder learns, from a source and a target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from seqstate.errors import ArgumentError, message
from seqstate.models.encoder_decoder import targets
from seqstate.models.encoder_decoder.forcing import Forcing


class Learner(keras.Model):
    """A model that `fit` gives the target beside the source.

    Attributes:
        where: what the model is called in messages.
        encoder: the encoder.
        parts: the decoders.
        decoder_names: their names.
        by_name: whether targets are dicts by these names.
        hand_on: what the decoder gets, "state" or "repeat".
        always_forced: whether each step reads the truth while the model learns.
    """

    where: str
    encoder: Any
    parts: list[Any]
    decoder_names: list[str]
    by_name: bool
    hand_on: str
    always_forced = True
    _validation: Any = None

    @property
    def decoders(self) -> dict[str, Any]:
        """The decoders by name; a single one is `decoder`."""
        return dict(zip(self.decoder_names, self.parts, strict=True))

    def compile(self, optimizer: Any = "rmsprop", loss: Any = "auto", **kwargs: Any) -> None:
        """Compile the model; see `keras.Model.compile`.

        Args:
            optimizer: as there.
            loss: as there. "auto" is the cross-entropy of the scores for tokens and the mean
                squared error for values.
            **kwargs: as there.
        """
        if isinstance(loss, str) and loss == "auto":
            auto = {
                name: "mse"
                if one.tokens is None
                else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
                for name, one in self.decoders.items()
            }
            loss = auto if self.by_name else auto["decoder"]
        super().compile(optimizer, loss=loss, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile the model as it was when it was saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        *,
        teacher_forcing: Any = 1.0,
        **kwargs: Any,
    ) -> Any:
        """Learn; see `keras.Model.fit`.

        Args:
            x: the source, or a dataset of `(source, target)`: a `keras.utils.PyDataset`, a
                `tf.data.Dataset`, a generator.
            y: the target, without the start token; steps after the stop token don't count. A dict
                where there are decoders by name.
            batch_size: as there, like all that follows but the last.
            epochs: as there.
            verbose: as there.
            callbacks: as there.
            validation_split: as there.
            validation_data: `(source, target)`, with sample weights or without, or a dataset.
            teacher_forcing: how often a step reads the truth, not what the step before said: a
                ratio; `(first, last)`, from epoch to epoch; or a function of the epoch, from 0.
                Below 1 training goes step by step and takes longer. Validation reads the truth.
            **kwargs: as there; `sample_weight` is `[batch]` or `[batch, time]`.
        """
        forcing = Forcing(teacher_forcing, epochs, self.where)
        if not forcing.always and self.hand_on == "repeat":
            raise ArgumentError(
                message(
                    self.where,
                    f'teacher_forcing={teacher_forcing!r} with hand_on="repeat": no step reads '
                    "the step before.",
                    "Leave it out.",
                )
            )
        if kwargs.get("class_weight") is not None:
            raise self._no_class_weight()
        x, y = self._taught(x, y)
        if isinstance(validation_data, tuple | list):
            validation_data = targets.with_target(validation_data, self.where, self._check_data)
        elif validation_data is not None:
            validation_data, _ = self._taught(validation_data, None)
        whole = isinstance(validation_data, tuple)
        self._validation = validation_data[0] if whole else validation_data
        if self.always_forced != forcing.always:
            self.always_forced = forcing.always
            # It was made for the other way.
            self.train_function = None
        # A CallbackList is one callback, too; Keras gives those in the list their model.
        listed = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
        callbacks = [forcing, *(one for one in listed if one is not None)]
        return super().fit(
            x,
            y,
            batch_size,
            epochs,
            verbose,
            callbacks,
            validation_split,
            validation_data,
            **kwargs,
        )

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Give the loss and the metrics where each step reads the truth; see `keras.Model`."""
        x, y = self._taught(x, y)
        return super().evaluate(x, y, *args, **kwargs)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Learn from one batch; see `keras.Model`."""
        if class_weight is not None:
            raise self._no_class_weight()
        x, y = self._taught(x, y)
        return super().train_on_batch(x, y, sample_weight, **kwargs)

    def test_on_batch(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Give the loss and the metrics of one batch; see `keras.Model`."""
        x, y = self._taught(x, y)
        return super().test_on_batch(x, y, *args, **kwargs)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Give the loss; weights of whole rows, `[batch]`, are those of all their steps."""
        weights = targets.by_step(sample_weight, y)
        return super().compute_loss(x, y, y_pred, weights, training=training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Give the metrics; see `compute_loss`."""
        return super().compute_metrics(x, y, y_pred, targets.by_step(sample_weight, y))

    def _no_class_weight(self) -> ArgumentError:
        return ArgumentError(
            message(
                self.where,
                "class_weight is for one class a row; a target has one token a step.",
                "Pass the weight of each step: sample_weight=weights[target], [batch, time].",
            )
        )

    def _taught(self, x: Any, y: Any) -> tuple[Any, Any]:
        if x is not None and x is self._validation:
            # From within `fit`, which evaluates what it was given.
            return x, y
        if isinstance(x, Mapping) and set(x) == {"source", "target"}:
            # As `call` takes them, or a part of the rows, from within `fit`.
            targets.check_steps(
                self.decoders, self.by_name, self.encoder, x["source"], x["target"], self.where
            )
            return x, x["target"] if y is None else y
        return targets.taught(x, y, self._check_data, self.where)

    def _check_data(self, source: Any, target: Any) -> None:
        targets.check_both(self.decoders, self.by_name, self.encoder, source, target, self.where)
