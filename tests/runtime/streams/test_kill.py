"""The streaming process is killed at random moments: nothing that was answered is lost.

Each process gets the lines that were not answered, some of which the one before had applied and
written when it was killed. What is answered in all is what one process without an end gives.
"""

import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from stores.redis_server import RedisServer, needs_redis

KILLS = 50
KEYS = ("a", "b", "c")
KEEP = 4
AT_ONCE = 150  # lines for a process: less than a pipe holds
WAITING = 3
CODE = """
from pathlib import Path
from seqstate.commands.stream import Options, run_stream
from seqstate.commands.stream_lines import Fields
run_stream(Path("{}"), {})
"""


def line(i):
    """Give the key, the number and the sample of the line i."""
    key = KEYS[random.Random(i // 7).randrange(3)] if i % 7 else KEYS[i // 7 % 3]
    return key, np.random.default_rng(i).normal(size=3).astype("float32")


class Lines:
    """As many lines as are asked for, with the numbers of their keys."""

    def __init__(self):
        self.made = []
        self.counts = dict.fromkeys(KEYS, 0)

    def __getitem__(self, i):
        while len(self.made) <= i:
            key, sample = line(len(self.made))
            self.made.append((key, self.counts[key], sample))
            self.counts[key] += 1
        return self.made[i]

    def text(self, first, count):
        records = []
        for i in range(first, first + count):
            key, number, sample = self[i]
            records.append({"key": key, "n": number, "sample": sample.tolist()})
        return "".join(f"{json.dumps(record)}\n" for record in records).encode()


@pytest.fixture
def url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/states.db"
    else:
        server = RedisServer(tmp_path)
        yield server.url
        server.stop()


class Life:
    """One streaming process."""

    def __init__(self, words):
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.taken = self.process.stdout

    def give(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def kill(self):
        """Kill it; give the whole lines that it had written."""
        self.process.send_signal(signal.SIGKILL)
        lines = self.taken.read().split(b"\n")[:-1]
        self.close()
        return lines

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.taken.close()


@pytest.fixture
def lives(model_file, url):
    """Streaming processes; some wait, loaded, until the one before them is killed."""
    how = f"Options({url!r}, Fields('key', 'n'), keep={KEEP}, every=0)"
    waiting = []

    def next_life():
        while len(waiting) < WAITING:
            waiting.append(Life([sys.executable, "-c", CODE.format(model_file, how)]))
        return waiting.pop(0)

    yield next_life
    for life in waiting:
        life.close()


@pytest.mark.parametrize("url", ["sqlite", pytest.param("redis", marks=needs_redis)], indirect=True)
def test_nothing_that_was_answered_is_lost_or_applied_twice(url, model, lives):
    chance = random.Random(7)
    lines, answers = Lines(), []
    again = 0
    for _ in range(KILLS):
        before = len(answers)
        life = lives()
        life.give(lines.text(before, AT_ONCE))
        for _ in range(chance.choice([0, 1, 1, 4, 12])):
            answers.append(life.taken.readline())
        time.sleep(chance.choice([0, chance.random() * 0.004]))
        answers += life.kill()
        numbers = dict.fromkeys(KEYS, -1)
        for i in range(len(answers)):
            key, number, _ = lines[i]
            numbers[key] = number
        with model.streams(url, keep_outputs=KEEP) as streams:
            there = {key: streams.sequence(key) if key in streams else -1 for key in KEYS}
        for key, number in numbers.items():
            assert number <= there[key] <= number + KEEP
            again += there[key] - number
        # A call was written whole or not at all: what is there is that of the first lines.
        count = sum(there.values()) + len(KEYS)
        first = [lines[i][0] for i in range(count)]
        assert there == {key: first.count(key) - 1 for key in KEYS}
    # Some had been applied and not answered: those came again.
    assert again > 0
    life = lives()
    life.give(lines.text(len(answers), AT_ONCE))
    life.process.stdin.close()
    answers += life.taken.read().splitlines()
    life.close()
    assert_uninterrupted(model, lines, answers)
    with model.streams(url) as streams:
        for key in KEYS:
            samples = np.array([x for k, _, x in lines.made[: len(answers)] if k == key])
            _, state = model.run(samples[None])
            assert streams.sequence(key) == len(samples) - 1
            for name in "hc":
                assert np.array_equal(streams.state(key)["lstm"][name], state["lstm"][name])


def assert_uninterrupted(model, lines, answers):
    """Compare the answers with those of a run without an end, bit for bit."""
    found = [json.loads(answer) for answer in answers]
    for key in KEYS:
        asked = [(n, x) for k, n, x in lines.made[: len(found)] if k == key]
        outputs, _ = model.run(np.array([x for _, x in asked])[None])
        own = [answer for answer in found if answer["key"] == key]
        assert [answer["sequence"] for answer in own] == [n for n, _ in asked]
        assert np.array_equal(np.float32([answer["output"] for answer in own]), outputs[0])
