"""The tables that others published, in little."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    """Import a module of the benchmarks, after those of the tests: some names are in both."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(BENCHMARKS)])
    return lambda name: importlib.import_module(f"quality_of.{name}")


def to_say_the_most_frequent_character(reached):
    # Right in 0.38 of them.
    assert reached["characters right"] > 0.44


def to_say_1_always(reached):
    assert reached["mean squared error at the end"] < 0.175  # 1 / 6


QUICK = {
    "addition-2": (
        to_say_the_most_frequent_character,
        "| *published: Keras's example* | 99% | - | 55 | - | - |",
    ),
    "adding": (to_say_1_always, "| RWA, ours | not reached |"),
}


@pytest.mark.parametrize("name", QUICK)
def test_a_quick_run_beats_chance_and_ours_begin_as_keras_s(module, tmp_path, name):
    beats, line = QUICK[name]
    lanes = str(min(2, len(os.sched_getaffinity(0))))
    command = [sys.executable, BENCHMARKS / "quality.py", "--quick", "--out", tmp_path]
    made = subprocess.run(
        [*command, "--only", name, "--processors", lanes],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    trainings = json.loads((tmp_path / "quality.json").read_text())["trainings"]
    found = {one["model"]: one["figures"] for one in trainings}
    assert len(found) == 3
    for reached in found.values():
        beats(reached)
    alike = module("problems").PROBLEMS[name].alike
    losses = [found[one]["loss after the first epoch"] for one in alike]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-4)
    text = (tmp_path / "quality.md").read_text()
    assert line in text
    assert text.count("began alike") == 1


def test_the_examples_of_the_addition_are_sums_without_repeats(module):
    addition = module("addition")
    asked, answers = (
        ["".join(addition.CHARACTERS[i] for i in row) for row in rows]
        for rows in addition.examples(2, 1000, seed=3)
    )
    sums = [tuple(map(int, one[::-1].split("+"))) for one in asked]
    assert [a + b for a, b in sums] == [int(one) for one in answers]
    assert len({tuple(sorted(one)) for one in sums}) == 1000


def test_the_sequences_of_the_adding_problem_have_two_marks(module):
    x, y = module("adding").sequences(500, np.random.default_rng(0))
    assert (x[..., 1].sum(axis=1) == 2).all()
    np.testing.assert_allclose(y[:, 0], (x[..., 0] * x[..., 1]).sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("kitten", "sitting", 3),
        ("", "abc", 3),
        ("abc", "", 3),
        ("same", "same", 0),
        ("ab", "ba", 2),
    ],
)
def test_the_distance_counts_edits(module, a, b, expected):
    assert module("letters").distance(tuple(a), tuple(b)) == expected


def test_the_dictionary_has_every_pronunciation_without_stress(module):
    spoken = module("letters").dictionary()
    assert spoken["tomato"] == [
        ("T", "AH", "M", "EY", "T", "OW"),
        ("T", "AH", "M", "AA", "T", "OW"),
    ]


def test_letters_by_keras_and_by_ours_are_one_model(module):
    letters = module("letters")
    phones = 5
    ours = letters.translator(phones)
    keras_own, weights = letters.by_hand(phones)
    letters.copy(ours.trainable_variables, weights)
    rng = np.random.default_rng(0)
    source, target = np.zeros((3, letters.LONGEST), int), np.zeros((3, letters.SOUNDS), int)
    for row, (read, said) in enumerate([(16, 15), (4, 3), (9, 1)]):
        source[row, :read] = rng.integers(1, 27, read)
        target[row, :said] = rng.integers(1, phones, said)
        target[row, said] = phones  # the stop
    expected = np.asarray(keras_own([source, letters.late(target, phones)]))
    scores = np.asarray(ours({"source": source, "target": target}))
    counts = np.cumsum(target == phones, axis=1) - (target == phones) == 0
    np.testing.assert_allclose(scores[counts], expected[counts], atol=1e-5)


def test_the_vowels_are_the_given_splits(module):
    vowels = module("vowels")
    if not importlib.util.find_spec(vowels.PACKAGE):
        pytest.skip("aeon, in which the data ship, is not installed")
    for split, size, longest in (("TRAIN", 270, 26), ("TEST", 370, 29)):
        x, speakers = vowels.utterances(split)
        lengths = (x != 0).any(axis=-1).sum(axis=1)
        assert len(x) == size
        assert (lengths.min(), lengths.max()) == (7, longest)
        assert sorted(set(speakers)) == list(range(9))
    assert (np.bincount(vowels.utterances("TRAIN")[1]) == 30).all()
