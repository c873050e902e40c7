"""The tour as a user runs it."""

import io
import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from seqstate import cli


@pytest.fixture(scope="module")
def toured(tmp_path_factory):
    out = tmp_path_factory.mktemp("tour")
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["seqstate", "tour", "--quick", "--out", str(out)])
        patch.setattr(sys, "stdout", stream)
        patch.setenv("COLUMNS", "80")
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    stream.flush()
    assert stopped.value.code == 0
    return out, stream.buffer.getvalue().decode()


FILES = ["hours.ndjson", "model.keras", "states.html", "tour.png"]


def test_it_writes_the_model_the_picture_the_explorer_the_lines_and_nothing_else(toured):
    out, text = toured
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert (out / "tour.png").read_bytes().startswith(b"\x89PNG")
    for name in FILES:
        assert name in text


def test_the_saved_model_gives_24_finite_changes_at_each_hour(toured):
    model = keras.models.load_model(toured[0] / "model.keras")
    given = keras.ops.convert_to_numpy(model(np.zeros((2, 5, 4), "float32")))
    assert given.shape == (2, 5, 24)
    assert np.isfinite(given).all()


def test_the_command_that_it_prints_answers_its_lines(toured, tmp_path):
    out, text = toured
    words = text[text.rindex("seqstate stream") :].replace("\\\n", " ").split()
    options = words[1 : words.index("<")]
    assert options[1] == (out / "model.keras").as_posix()
    with (out / "hours.ndjson").open() as lines:
        done = subprocess.run(
            [sys.executable, "-c", "from seqstate.cli import main; main()", *options],
            stdin=lines,
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 3 * 28 * 24
    assert [answers[-1]["key"], answers[-1]["sequence"]] == ["midway", 28 * 24 - 1]
    assert (tmp_path / "states.db").exists()


def test_what_it_prints_is_plain_text_of_80_columns(toured):
    text = toured[1]
    assert "\x1b" not in text
    assert "\r" not in text
    assert "…" not in text
    lines = [line for line in text.splitlines() if not any(name in line for name in FILES)]
    assert max(map(len, lines)) <= 80


def test_its_scores_are_those_of_the_table_and_the_verdict_agrees(toured):
    text = toured[1]
    mae = {
        name: float(re.search(rf"^ {name} .*?(\d\.\d{{3}})", text, re.MULTILINE).group(1))
        for name in ("naive", "seasonal-naive", "drift", "LSTM")
    }
    # Facts of the data, computed once by hand.
    assert mae["naive"] == pytest.approx(0.743, abs=1e-3)
    assert mae["seasonal-naive"] == pytest.approx(0.069, abs=1e-3)
    beats = "beats" if mae["LSTM"] < mae["seasonal-naive"] else "does NOT beat"
    assert f"The LSTM {beats} seasonal-naive" in text


def test_it_says_what_the_data_are_and_what_was_checked(toured):
    for said in (
        "return_sequences=True",
        "h = o * tanh(c)",
        "2010-03-14 03:00",
        "1981 to 2010",
        "killed on purpose",
    ):
        assert said in toured[1]
