"""The kernels within a process: forks, threads of the program, and the end of it all."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from kernels.native_cases import (
    CELLS,
    FORMS,
    assert_same_bits,
    cotangents_of,
    inputs_of,
    spec_of,
    threads,
)
from seqstate.kernels import native

pytestmark = pytest.mark.skipif(not native.available(), reason=str(native.reason()))

SHAPE = (32, 20, 16, 64)

PRELUDE = """
import os, threading, time
import numpy as np
from seqstate.kernels import native
from seqstate.kernels.call import Spec

def inputs(batch=32, time=20, features=16, units=64):
    rng = np.random.default_rng(0)
    sizes = {
        "x": (batch, time, features),
        "kernel": (features, 4 * units),
        "recurrent_kernel": (units, 4 * units),
    }
    return {k: 0.1 * rng.normal(size=v).astype("float32") for k, v in sizes.items()}

spec = Spec("LSTM", keep=True)
given = inputs()

def bits():
    results = native.forward(spec, given)
    gradients = native.gradient(spec, given, results, {"last_h": results["last_h"]})
    return b"".join(value.tobytes() for value in [*results.values(), *gradients.values()])
"""


def run(code, **variables):
    """Run code in a Python of its own, which must end by itself and well."""
    env = {**os.environ, "SEQSTATE_NUM_THREADS": "2", **variables}
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        capture_output=True,
        text=True,
        env=env,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()


# Forks


def test_a_fork_computes_the_same_bits_and_so_does_its_parent():
    code = """
expected = bits()
for _ in range(5):
    child = os.fork()
    if child == 0:
        os._exit(0 if bits() == bits() == expected else 1)
    assert bits() == expected
    _, status = os.waitpid(child, 0)
    assert status == 0, status
print("done")
"""
    assert run(code) == "done"


def test_a_fork_while_another_thread_computes():
    code = """
expected = bits()
busy = True
def work():
    while busy:
        bits()
thread = threading.Thread(target=work)
thread.start()
for _ in range(5):
    child = os.fork()
    if child == 0:
        os._exit(0 if bits() == expected else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
busy = False
thread.join()
print("done")
"""
    assert run(code) == "done"


# The end


def test_a_process_ends_while_the_pool_sleeps():
    assert run("bits(); time.sleep(0.05); print('done')") == "done"


def test_a_process_ends_while_the_pool_spins():
    assert run("bits(); print('done')") == "done"


def test_a_process_ends_while_a_daemon_thread_is_in_a_call():
    code = """
given = inputs(64, 200, 64, 128)
def work():
    while True:
        native.forward(spec, given)
for _ in range(2):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
print("done")
"""
    for _ in range(3):
        assert run(code) == "done"


def test_a_process_ends_while_a_daemon_thread_measures_the_peak():
    code = """
def work():
    while True:
        native.module().peak(2, 0.001)
threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
print("done")
"""
    assert run(code) == "done"


# Threads of the program


def test_the_module_may_be_loaded_in_a_thread():
    code = """
import sys
assert "seqstate._native" not in sys.modules
found = []
others = [threading.Thread(target=lambda: found.append(bits())) for _ in range(3)]
for thread in others: thread.start()
for thread in others: thread.join()
assert found == [bits()] * 3
print("done")
"""
    assert run(code) == "done"


@pytest.mark.parametrize("cell", CELLS)
def test_threads_that_call_at_once_get_the_numbers_of_one(cell):
    spec = spec_of(cell)
    inputs = inputs_of(spec, SHAPE, **FORMS["mask and reset"])
    results = native.forward(spec, inputs)
    cotangents = cotangents_of(spec, results)
    gradients = native.gradient(spec, inputs, results, cotangents)
    found = []

    def work():
        for _ in range(10):
            made = native.forward(spec, inputs)
            found.append((made, native.gradient(spec, inputs, made, cotangents)))

    with threads(2):
        workers = [threading.Thread(target=work) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert len(found) == 30
    for made, slopes in found:
        assert_same_bits(made, results)
        assert_same_bits(slopes, gradients)


def test_other_threads_run_while_a_call_is_under_way():
    spec = spec_of("LSTM", keep=False)
    inputs = inputs_of(spec, (16, 2000, 64, 128))
    results = native.empty_results(spec, inputs)
    states = results["states_h"]
    seen = threading.Event()
    over = threading.Event()

    def watch():
        # The first step is written, the last one not yet: that is seen only during a call.
        while not (seen.is_set() or over.is_set()):
            if not np.isnan(states[0, 0, 0]) and np.isnan(states[-1, -1, -1]):
                seen.set()

    watcher = threading.Thread(target=watch)
    with threads(1):
        for _ in range(20):
            states[...] = np.nan
            if not watcher.ident:
                watcher.start()
            native.module().forward(*spec.static(), inputs, results)
            if seen.is_set():
                break
    over.set()
    watcher.join()
    assert seen.is_set()


def test_threads_may_change_their_number_while_calls_are_under_way():
    spec = spec_of("GRU")
    inputs = inputs_of(spec, SHAPE)
    expected = native.forward(spec, inputs)
    found = []

    def work():
        found.extend(native.forward(spec, inputs) for _ in range(30))

    with threads(2):
        worker = threading.Thread(target=work)
        worker.start()
        count = 0
        while worker.is_alive():
            count = count % 4 + 1
            native.module().set_threads(count)
            assert_same_bits(native.forward(spec, inputs), expected)
        worker.join()
    for results in found:
        assert_same_bits(results, expected)


@pytest.mark.parametrize("set_first", [True, False])
def test_the_number_of_threads_that_was_set_holds_for_numpy_too(set_first):
    load, choose = "native.module()\n", "config.set_num_threads(3)\n"
    code = "from seqstate import config\n" + (choose + load if set_first else load + choose)
    assert run(code + "print(native.module().threads())") == "3"


def test_the_environment_says_how_many_threads_there_are():
    assert run("print(native.module().threads())", SEQSTATE_NUM_THREADS="5") == "5"
