"""`encode`, `step` and `generate`, each one compiled program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from seqstate import state as states
from seqstate.errors import ArgumentError, InputError, StateMismatchError, message
from seqstate.generation.generated import Generated
from seqstate.generation.settings import Settings
from seqstate.models.compiled import compiled
from seqstate.models.encoder_decoder.beam import beam_search
from seqstate.models.encoder_decoder.search import Found, Pick, best, drawn_by, one_by_one
from seqstate.models.encoder_decoder.steps import by_step, shifted
from seqstate.models.encoder_decoder.targets import check_sequence
from seqstate.state import State

MEMORY = "memory"


class Generator:
    """Says targets with a model.

    Args:
        model: an `EncoderDecoder`.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.programs: dict[Any, Callable[..., Any]] = {}
        self._specs: dict[Any, Any] = {}

    # What the model offers

    def encode(self, source: Any, decoder: str | None) -> State:
        """See `EncoderDecoder.encode`."""
        name = self._decoder(decoder)
        source = self._source(source)
        return self._run(("encode", name), partial(self._encode, name), [source])

    def step(self, previous: Any, state: State, decoder: str | None) -> tuple[Any, State]:
        """See `EncoderDecoder.step`."""
        name = self._decoder(decoder)
        one = self._model.decoders[name]
        previous = ops.convert_to_tensor(previous)
        rows = (None,) if one.tokens is not None else (None, one.outputs)
        if len(previous.shape) != len(rows) or previous.shape[1:] != rows[1:]:
            axes = "[batch] of tokens" if one.tokens is not None else f"[batch, {one.outputs}]"
            raise InputError(
                message(
                    self._model.where,
                    f"step reads shape {tuple(previous.shape)}; expected {axes}.",
                    "Pass one token a row: scores.argmax(-1) of the step before; the start token "
                    "at first.",
                )
            )
        flat = states.flatten(state)
        self._check_state(name, flat, previous.shape[0])
        program = partial(self._step, name, tuple(flat))
        made = self._run(("step", name, tuple(flat)), program, [previous, *flat.values()])
        return made["scores"], made["state"]

    def generate(
        self,
        source: Any,
        max_length: int,
        method: str,
        decoder: str | None,
        batch_size: int | None,
        states: bool,
        settings: Mapping[str, Any],
    ) -> Generated:
        """See `EncoderDecoder.generate`."""
        name = self._decoder(decoder)
        where = self._model.where
        how = Settings.read(method, settings, self._model.decoders[name], max_length, where)
        source = self._source(source)
        chances = how.chances(len(source), max_length)
        size = len(source) if batch_size is None else batch_size
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ArgumentError(
                message(
                    where,
                    f"batch_size={size!r}; expected a whole number from 1 on.",
                    "Leave it out.",
                )
            )
        key = ("generate", name, max_length, states, how.key)
        program = partial(self._generate, name, max_length, how, states)
        numbers = np.array([how.temperature, how.top_p or 1.0, how.length_penalty], "float32")
        parts = [
            self._run(key, program, [source[at : at + size], chances[at : at + size], numbers])
            for at in range(0, len(source), size)
        ]
        return _together(parts)

    # The programs: functions of tensors

    def _encode(self, name: str, source: Any) -> dict[str, Any]:
        state, memory = self._begin(name, source)
        return {**state, MEMORY: memory} if states.flatten(memory) else state

    def _begin(self, name: str, source: Any) -> tuple[State, State]:
        given, state = self._model.encoder(source, training=False)
        return self._model.begin_from(name, given, state)

    def _step(self, name: str, paths: tuple[str, ...], previous: Any, *leaves: Any) -> Any:
        decoder = self._model.decoders[name]
        state = states.unflatten(dict(zip(paths, leaves, strict=True)))
        memory = state.pop(MEMORY, {})
        drawn = decoder.begin(ops.shape(previous)[0], state, False)
        scores, after, _ = decoder.step(previous, state, memory, drawn)
        decoder.end()
        kept = {MEMORY: memory} if memory else {}
        return {"scores": scores, "state": {**after, **kept}}

    def _generate(
        self,
        name: str,
        length: int,
        how: Settings,
        wants_states: bool,
        source: Any,
        chances: Any,
        numbers: Any,
    ) -> dict[str, Any]:
        decoder = self._model.decoders[name]
        state, memory = self._begin(name, source)
        batch = ops.shape(source)[0]
        if decoder.tokens is None:
            free = ops.zeros((batch, length), dtype="bool")
            nothing = ops.zeros((batch, length, decoder.outputs), dtype="float32")
            said = by_step(decoder, nothing, free, state, memory, False)
            looks = {} if said.looked is None else {"attention": said.looked}
            made = {"values": said.scores, "lengths": ops.full((batch,), length, dtype="int32")}
            return {**made, **({"states": said.states, **looks} if wants_states else {})}
        temperature, top_p, penalty = numbers[0], numbers[1], numbers[2]
        if how.method == "beam":
            beams = beam_search(decoder, state, memory, length, how.beam_width, penalty)
            if not how.every_beam:
                beams = type(beams)(*(one[:, 0] for one in beams))
            found = Found(beams.tokens, beams.lengths, beams.scores, None)
        else:
            pick: Pick = best
            if how.method == "sample":
                pick = drawn_by(chances, temperature, how.top_k, how.top_p and top_p)
            found = one_by_one(decoder, state, memory, length, pick)
        made = {"tokens": found.tokens, "lengths": found.lengths, "scores": found.scores}
        if found.token_scores is not None and not wants_states:
            return {**made, "token_scores": found.token_scores}
        return {**made, **self._followed(decoder, found, state, memory, wants_states)}

    def _followed(
        self, decoder: Any, found: Found, state: State, memory: State, wants_states: bool
    ) -> dict[str, Any]:
        """Go once more along the tokens that were found, and see what the steps hold."""
        shape = ops.shape(found.tokens)
        many = 1 if len(shape) == 2 else shape[1]
        tokens = ops.reshape(found.tokens, (-1, shape[-1]))
        state, memory = (
            states.map_leaves(lambda leaf: ops.repeat(leaf, many, axis=0), one)
            for one in (state, memory)
        )
        told = ops.ones(ops.shape(tokens), dtype="bool")
        said = by_step(decoder, shifted(decoder, tokens), told, state, memory, False)

        def with_beams(value: Any) -> Any:
            return ops.reshape(value, (*shape[:-1], *ops.shape(value)[1:]))

        chances = ops.log_softmax(ops.cast(said.scores, "float32"), axis=-1)
        chosen = ops.take_along_axis(chances, tokens[:, :, None], axis=-1)[:, :, 0]
        there = ops.arange(shape[-1]) < ops.reshape(found.lengths, (-1, 1))
        made = {"token_scores": with_beams(ops.where(there, chosen, ops.zeros_like(chosen)))}
        if wants_states:
            made["states"] = states.map_leaves(with_beams, said.states)
            if said.looked is not None:
                made["attention"] = with_beams(said.looked)
        return made

    # Around them

    def _run(self, key: Any, program: Callable[..., Any], arrays: list[Any]) -> Any:
        """Run a program on the weights as they are now, compiled once for each shape."""
        variables = self._model.variables

        def on_values(values: list[Any], given: list[Any]) -> list[Any]:
            mapping = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                named = states.flatten(program(*given))
            # JAX sorts the names of a dict.
            self._specs[key] = list(named)
            return list(named.values())

        if key not in self.programs:
            self.programs[key] = compiled(on_values)
        tensors = [ops.convert_to_tensor(array) for array in arrays]
        made = self.programs[key]([variable.value for variable in variables], tensors)
        return states.unflatten(dict(zip(self._specs[key], made, strict=True)))

    def _decoder(self, name: str | None) -> str:
        names = self._model.decoder_names
        if name is None and len(names) == 1:
            return str(names[0])
        if name not in names:
            raise ArgumentError(
                message(
                    self._model.where,
                    f"decoder={name!r}; there are {', '.join(map(repr, names))}.",
                    "Say which one is to speak.",
                )
            )
        return str(name)

    def _source(self, source: Any) -> np.ndarray:
        model = self._model
        if not hasattr(source, "shape"):
            check_sequence(source, model.encoder.tokens, None, model.where, "source")
        array = (
            np.asarray(ops.convert_to_numpy(source))
            if not isinstance(source, np.ndarray)
            else source
        )
        check_sequence(array, model.encoder.tokens, model.encoder.features, model.where, "source")
        if not model.built:
            model.build({"source": array.shape})
        return array.astype("int32" if model.encoder.tokens is not None else "float32")

    def _check_state(self, name: str, flat: Mapping[str, Any], batch: int) -> None:
        decoder = self._model.decoders[name]
        start = decoder.spec if not hasattr(decoder, "names") else {}
        for path, sizes in states.flatten(start).items():
            where = self._model.where
            if path not in flat:
                raise StateMismatchError(
                    message(
                        where,
                        f"step: the state has no {path!r}; it has {', '.join(flat) or 'nothing'}.",
                        "Pass what `encode`, or the step before, gave.",
                    )
                )
            states.check_leaf(flat[path], sizes, batch, where, path, "state")


def _together(parts: list[dict[str, Any]]) -> Generated:
    """Put the batches together, as NumPy arrays."""
    flat = [states.flatten(part) for part in parts]
    joined = states.unflatten(
        {
            path: np.concatenate([np.asarray(ops.convert_to_numpy(one[path])) for one in flat])
            for path in flat[0]
        }
    )
    return Generated(**{"tokens": None, "values": None, **joined})
