"""`seqstate stream` as a process: lines in, lines out."""

import fcntl
import json
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import seqstate
from cases import data

# The command line without what it takes to parse arguments.
CODE = """
import sys
from pathlib import Path
from seqstate.commands.stream import Options, run_stream
from seqstate.commands.stream_lines import Fields
from seqstate.errors import SeqstateError
key, sequence, fields, *options = eval(sys.argv[2])
try:
    run_stream(Path(sys.argv[1]), Options(fields=Fields(key, sequence, fields), **options[0]))
except SeqstateError as error:
    sys.exit(f"Error: {error}")
"""


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    layers = [keras.Input((None, 2)), keras.layers.LSTM(3, return_sequences=True, name="lstm")]
    model = keras.Sequential(layers)
    model.set_weights([data(*one.shape, seed=i) for i, one in enumerate(model.weights)])
    model.save(path)
    return path


@pytest.fixture(scope="module")
def model(model_file):
    return seqstate.load(model_file)


@pytest.fixture
def start(model_file):
    """Start the command; what is still running at the end of the test is ended."""
    started = []

    def start(sequence=None, fields=(), **options):
        options = {"store": None, "every": 0} | options
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, model_file, repr(("key", sequence, [*fields], options))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def stream(start):
    """Run the command on lines; give its lines, what it said, and its exit code."""

    def run(lines, **options):
        text = lines if isinstance(lines, str) else "".join(f"{json.dumps(x)}\n" for x in lines)
        process = start(**options)
        out, err = process.communicate(text.encode(), timeout=60)
        return [json.loads(line) for line in out.splitlines()], err.decode(), process.returncode

    return run


X = data(2, 6, 2, seed=3)
MIXED = [(key, i) for i in range(6) for key in ("a", "b")]


def expected(model, key, i):
    outputs, _ = model.run(X["ab".index(key)][None])
    return outputs[0, i]


def same(model, lines, mixed=MIXED):
    """Tell whether lines are what the model gives for each key alone, bit for bit."""
    assert [line["key"] for line in lines] == [key for key, _ in mixed]
    return all(
        np.array_equal(np.float32(line["output"]), expected(model, key, i))
        for line, (key, i) in zip(lines, mixed, strict=True)
    )


def test_lines_of_json_with_a_sample(model, stream):
    lines, said, code = stream(
        [{"key": k, "sample": X["ab".index(k), i].tolist()} for k, i in MIXED]
    )
    assert same(model, lines)
    assert (said, code) == ("", 0)
    assert set(lines[0]) == {"key", "output"}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_lines_of_csv(model, stream, separator):
    rows = [["v", "key", "w"]]
    rows += [
        [repr(float(X["ab".index(k), i, 0])), k, f'"{X["ab".index(k), i, 1]}"'] for k, i in MIXED
    ]
    lines, said, code = stream("\ufeff" + "\r\n".join(separator.join(row) for row in rows))
    assert same(model, lines)
    assert (said, code) == ("", 0)


def test_fields_by_name_in_any_order(model, stream):
    records = []
    for n, (key, i) in enumerate(MIXED):
        v, w = X["ab".index(key), i].tolist()
        record = {"w": w, "key": key, "note": "x", "v": v}
        records.append(record if n % 2 else dict(reversed(record.items())))
    assert same(model, stream(records, fields=["v", "w"])[0])


def test_all_other_fields_as_the_first_line_has_them(model, stream):
    records = [
        {"key": k, "n": i, "v": X["ab".index(k), i, 0].item(), "w": X["ab".index(k), i, 1].item()}
        for k, i in MIXED
    ]
    records[3] = dict(reversed(records[3].items()))
    lines, _, _ = stream(records, sequence="n")
    assert same(model, lines)
    assert [line["sequence"] for line in lines] == [i for _, i in MIXED]


def test_states_are_those_after_each_line(model, stream):
    records = [{"key": k, "sample": X["ab".index(k), i].tolist()} for k, i in MIXED]
    lines, _, _ = stream(records, state=True)
    assert same(model, lines)
    for line, (key, i) in zip(lines, MIXED, strict=True):
        _, state = model.run(X["ab".index(key)][None, : i + 1])
        for name in "hc":
            assert np.array_equal(np.float32(line["state"]["lstm"][name]), state["lstm"][name][0])


BAD = [
    ('{"key": "a", "sample": [1, 2', "no JSON"),
    ("[1, 2]", "no JSON object"),
    ('{"sample": [1, 2]}', "no field 'key' (it has 'sample'):"),
    ("{}", "no field 'key' (it has none):"),
    (json.dumps({f"f{i}": 0 for i in range(9)}), "'f6', 'f7', ...):"),
    ('{"key": null, "sample": [1, 2]}', "no text"),
    ('{"key": "a", "sample": [1, NaN]}', "no number"),
    ('{"key": "a", "sample": [1, "x"]}', "no number"),
    ('{"key": "a", "sample": [1, 2, 3]}', "expected shape"),
    ('{"key": "a", "sample": [1, 1e39]}', "the sample has inf"),
    ('{"key": "a"}', "no field 'sample'"),
]


@pytest.mark.parametrize(("bad", "says"), BAD, ids=[says for _, says in BAD])
def test_a_bad_line_is_named_and_ends_it_after_what_came_before(model, stream, bad, says):
    good = [json.dumps({"key": k, "sample": X["ab".index(k), i].tolist()}) for k, i in MIXED[:5]]
    lines, said, code = stream("\n".join([*good[:4], bad, good[4]]))
    assert code == 1
    assert same(model, lines, MIXED[:4])
    assert "line 5: " in said
    assert says in said


def test_bad_lines_can_be_skipped(model, stream):
    good = [json.dumps({"key": k, "sample": X["ab".index(k), i].tolist()}) for k, i in MIXED]
    mixed = [
        line
        for pair in zip(good, [bad for bad, _ in BAD] + [""] * (len(MIXED) - len(BAD)), strict=True)
        for line in pair
    ]
    lines, said, code = stream("\n".join(mixed), on_error="skip", every=60)
    assert code == 0
    assert same(model, lines)
    for number, (_, says) in enumerate(BAD):
        (skipped,) = [one for one in said.splitlines() if f"line {2 * number + 2}: " in one]
        assert says in skipped
    assert "12 pushes, " in said
    assert f"{len(BAD)} lines skipped." in said


def test_one_push_and_one_line_are_no_plural(stream):
    _, said, code = stream('{"key": "a", "sample": [1, 2]}\nno line', on_error="skip", every=60)
    assert code == 0
    assert re.search(r"^1 push, [\d,]+ a second, 1 line skipped\.$", said, re.MULTILINE)


def test_a_gap_is_named_by_its_line(stream):
    records = [{"key": "a", "n": n, "sample": [1, 2]} for n in (0, 1, 3)]
    lines, said, code = stream(records, sequence="n")
    assert code == 1
    assert len(lines) == 2
    assert "line 3: " in said
    assert "number 3 came; expected 2" in said


def test_a_number_that_is_not_there_is_no_wrong_number(stream):
    _, said, code = stream([{"key": "a", "m": 0, "sample": [1, 2]}], sequence="n")
    assert code == 1
    assert "line 1: it has no field 'n' (it has 'key', 'm', 'sample')" in said


def test_lines_that_come_again_are_answered_again(model, stream, tmp_path):
    records = [{"key": k, "n": i, "sample": X["ab".index(k), i].tolist()} for k, i in MIXED]
    how = {"sequence": "n", "store": f"sqlite:///{tmp_path}/states.db"}
    assert same(model, stream(records[:8], **how)[0], MIXED[:8])
    assert same(model, stream(records[4:], **how)[0], MIXED[4:])


def read(process, count):
    return [json.loads(process.stdout.readline()) for _ in range(count)]


def test_a_line_is_answered_before_the_next_one_comes(model, start):
    process = start()
    for key, i in MIXED[:4]:
        line = json.dumps({"key": key, "sample": X["ab".index(key), i].tolist()})
        process.stdin.write(line.encode() + b"\n")
        process.stdin.flush()
        assert same(model, read(process, 1), [(key, i)])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(start, number):
    process = start()
    process.stdin.write(b'{"key": "a", "sample": [1, 2]}\n{"key": "a", "sam')
    process.stdin.flush()
    read(process, 1)
    process.send_signal(number)
    assert process.wait(timeout=30) == 0
    assert process.stderr.read() == b""


def waiting(pipe):
    """Count the bytes in a pipe that nobody has read."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_signal_in_a_write_loses_no_answer(start, monkeypatch, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    process = start()
    process.stdin.write(b'{"key": "a", "sample": [1, 2]}\n' * 2000)
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while waiting(process.stdout) < 60_000 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    lines = process.stdout.read().splitlines()
    assert process.wait(timeout=30) == 0
    # All that it had read, to the end of a line.
    assert len(lines) > 1000
    assert all(json.loads(line)["key"] == "a" for line in lines)


def test_a_second_signal_ends_it_at_once_where_nobody_reads(start):
    process = start()
    line = b'{"key": "a", "sample": [1, 2]}\n'
    process.stdin.write(line)
    process.stdin.flush()
    read(process, 1)
    # More answers than a pipe holds: it waits in a write, which a signal does not cut short.
    process.stdin.write(line * 2000)
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while waiting(process.stdout) < 60_000 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == -signal.SIGINT


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="it takes /dev/full")
def test_an_output_that_is_full_is_an_error_with_a_message(model_file):
    words = [sys.executable, "-c", CODE, model_file, repr(("key", None, [], {"store": None}))]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            words, input=b'{"key": "a", "sample": [1, 2]}\n', stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert b"standard output: it can't be written to: No space left" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(("closed", "code"), [(0, 1), (1, 1), (2, 0)])
def test_streams_that_are_closed(model_file, closed, code):
    words = [sys.executable, "-c", CODE, model_file, repr(("key", None, [], {"store": None}))]
    program = f"import os, sys; os.close({closed}); os.execv(sys.argv[1], sys.argv[1:])"
    given = b'{"key": "a", "sample": [1, 2]}\n'
    done = subprocess.run(
        [sys.executable, "-c", program, *words], input=given, capture_output=True, timeout=60
    )
    assert done.returncode == code
    if code:
        name = "input" if closed == 0 else "output"
        assert f"standard {name}: it is closed" in done.stderr.decode()
    else:  # what is said goes nowhere, least of all among the lines
        assert [list(json.loads(line)) for line in done.stdout.splitlines()] == [["key", "output"]]


def test_a_reader_that_goes_away_ends_it_cleanly(start):
    process = start()
    process.stdin.write(b'{"key": "a", "sample": [1, 2]}\n')
    process.stdin.flush()
    read(process, 1)
    process.stdout.close()
    process.stdin.write(b'{"key": "a", "sample": [1, 2]}\n')
    process.stdin.flush()
    assert process.wait(timeout=30) == 0
    assert process.stderr.read() == b""
    process.stdout = None


def test_no_framework_is_loaded(model_file):
    heavy = ["keras", "jax", "torch", "tensorflow", "rich", "typer"]
    code = CODE + f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    words = [sys.executable, "-c", code, model_file, repr(("key", None, [], {"store": None}))]
    done = subprocess.run(
        words, input=b'{"key": "a", "sample": [1, 2]}\n', capture_output=True, check=True
    )
    assert done.stderr.decode().splitlines()[-1] == "[]"
    assert len(done.stdout.splitlines()) == 1


def test_the_command_line_hands_its_options_on(model_file, tmp_path):
    words = [sys.executable, "-c", "from seqstate.cli import main; main()", "stream", model_file]
    words += ["--key", "who", "--field", "v", "--field", "w", "--sequence", "n", "--every", "0"]
    words += ["--store", f"sqlite:///{tmp_path}/states.db", "--state"]
    given = b"who,n,w,v\na,0,2,1\na,1,2,1\n"
    done = subprocess.run(words, input=given, capture_output=True, check=True)
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["sequence"], second["sequence"]) == (0, 1)
    assert set(second["state"]["lstm"]) == {"h", "c"}
    again = subprocess.run(words, input=given, capture_output=True, check=True)
    assert json.loads(again.stdout.splitlines()[1])["output"] == second["output"]
    other = subprocess.run([*words, "--format", "xml"], input=given, capture_output=True)
    assert other.returncode == 1
    assert b'"xml"' in other.stderr or b"'xml'" in other.stderr
