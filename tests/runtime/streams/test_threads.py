"""Several threads at once: no push is lost, none applied twice, each key in its own order."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from seqstate.errors import ArgumentError
from seqstate.runtime.streams import Streams

THREADS, STEPS = 6, 25
X = np.random.default_rng(3).normal(size=(THREADS, STEPS, 3)).astype("float32")


def together(call):
    """Let threads begin at once; give what each gave."""
    start = Barrier(THREADS)

    def one(number):
        start.wait()
        return call(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(THREADS)))


@pytest.fixture(params=["memory", "few live", "sqlite", "sqlite, few live"])
def streams(request, model, tmp_path):
    url = f"sqlite:///{tmp_path}/states.db" if "sqlite" in request.param else None
    with Streams(model, url, max_live=2 if "few" in request.param else None) as opened:
        yield opened


def test_threads_with_keys_of_their_own(model, streams):
    def call(number):
        return [streams.push(f"k{number}", sample) for sample in X[number]]

    expected, _ = model.run(X)
    assert np.array_equal(together(call), expected)


def test_threads_that_push_the_same_keys_move_each_as_often_as_asked(model, streams):
    sample = X[0, 0]

    def call(number):
        keys = [f"k{i}" for i in range(3)]
        for _ in range(STEPS // 5):
            streams.push_many(keys[number % 3 :] + keys[: number % 3], np.stack([sample] * 3))
        return number

    together(call)
    same = np.repeat(sample[None, None], THREADS * (STEPS // 5), axis=1)
    _, expected = model.run(same)
    for i in range(3):
        for name in "hc":
            assert np.array_equal(streams.state(f"k{i}")["lstm"][name], expected["lstm"][name])


def test_a_number_is_applied_once_however_many_threads_bring_it(model, streams):
    def call(number):
        made = []
        for i, sample in enumerate(X[0]):
            while True:
                try:
                    made.append(streams.push("a", sample, i))
                    break
                except ArgumentError:
                    if streams.sequence("a") > i:
                        made.append(None)  # others were faster, by more than is kept
                        break
        return made

    expected, _ = model.run(X[:1])
    for made in together(call):
        for output, wanted in zip(made, expected[0], strict=True):
            assert output is None or np.array_equal(output, wanted)
    assert streams.sequence("a") == STEPS - 1


def test_snapshots_between_pushes_are_of_one_moment(model, streams, tmp_path):
    keys = ["a", "b"]

    def call(number):
        if number:
            for sample in X[number]:
                streams.push_many(keys, np.stack([sample, sample]))
            return True
        for i in range(5):
            streams.snapshot(tmp_path / f"{i}.safetensors")
        return True

    together(call)
    for i in range(5):
        with Streams(model) as restored:
            restored.restore(tmp_path / f"{i}.safetensors")
            if len(restored):
                a, b = (restored.state(key)["lstm"]["h"] for key in keys)
                assert np.array_equal(a, b)
