"""What a process that loads a model imports: no framework, and h5py in a thread of its own."""

import os
import sys

from runtime.saved import both
from runtime.zoo import MODELS
from subprocesses import python

CODE = """
import sys, numpy as np, seqstate
for name in {names!r}:
    model = seqstate.load(f"{folder}/{{name}}.keras")
    x = np.ones((2, 7, 4), "float32")
    model.run(x)
    model.trace(x)
    if model.why_no_step is None:
        model.step(x[:, 0], model.initial_state(2))
print([m for m in ("keras", "jax", "torch", "tensorflow", "matplotlib") if m in sys.modules])
"""


def test_no_framework(tmp_path):
    names = ["keras LSTM", "RWA", "both ways, ours", "learned start", "cells of Keras", "feedback"]
    for name in names:
        both(name)[0].save(tmp_path / f"{name}.keras")
    assert python(CODE.format(names=names, folder=tmp_path), tmp_path) == "[]"
    assert set(names) <= set(MODELS)


BROKEN = """
import contextlib, io, seqstate
with contextlib.redirect_stderr(io.StringIO()) as said:
    try:
        seqstate.load
    except ImportError as error:
        print(error, [said.getvalue()])
"""


def test_h5py_that_cannot_be_imported_is_said_once(tmp_path):
    (tmp_path / "h5py.py").write_text('raise ImportError("no libhdf5")')
    path = os.pathsep.join([str(tmp_path), *sys.path])
    assert python(BROKEN, tmp_path, PYTHONPATH=path) == "no libhdf5 ['']"


WITHOUT_THREADS = """
import threading
def refuse(_):
    raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
import seqstate
print(seqstate.load.__name__)
"""


def test_it_is_imported_where_no_thread_can_be_started(tmp_path):
    assert python(WITHOUT_THREADS, tmp_path) == "load"
