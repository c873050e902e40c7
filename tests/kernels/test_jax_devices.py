"""A native call over several devices, each in a process of its own."""

from pathlib import Path

import pytest

import subprocesses

jax = pytest.importorskip("jax")
native = pytest.importorskip("seqstate._native")
if not hasattr(native, "xla_targets"):
    pytest.skip("built without the headers of XLA", allow_module_level=True)


DEVICES = """
import re, sys
sys.path.insert(0, {tests!r})
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
import native_jax as t
from seqstate.kernels import jax as kernels
from seqstate.kernels.jax_call import AXES

def collectives(function, *args):
    text = jax.jit(function).lower(*args).compile().as_text()
    return re.findall(r"(all-gather|all-reduce|all-to-all|collective-permute)(?:-start)?\\(", text)

mesh = Mesh(np.array(jax.devices()).reshape({mesh}), ("a", "b")[: len({mesh})])
rows = {rows}
for kind in {kinds}:
    spec = t.spec_of(kind, keep=True)
    inputs = t.arrays(spec, "mask", "reset_mask", "fresh", "initial", "dropout blocks", batch=8)
    over = {{
        k: jax.device_put(v, NamedSharding(mesh, P(*(rows if a == "b" else None
                                                     for a in AXES[k]))))
        for k, v in inputs.items()
    }}
    run = lambda inputs: kernels.run(spec, inputs)
    assert collectives(run, over) == []
    t.same(jax.jit(run)(over), jax.jit(run)(inputs))
    made = jax.jit(run)(over)
    assert made["states_h"].sharding.shard_shape((8, 6, 5)) == (2, 6, 5)
    if spec.kept:
        kept = made["kept"]
        assert kept.sharding.shard_shape(kept.shape) == (6, 2, spec.kept, 5)
    found = collectives(lambda inputs: t.gradients(spec, inputs), over)
    weights = [k for k in inputs if "b" not in AXES[k]]
    assert set(found) == {{"all-reduce"}}, found
    assert len(found) <= len(weights), found
    t.near(t.gradients(spec, over), t.gradients(spec, inputs), 1e-6)
print("ok")
"""


def on_devices(code, tmp_path, **values):
    code = code.format(tests=str(Path(__file__).parents[1]), **values)
    return subprocesses.python(
        code, tmp_path, XLA_FLAGS="--xla_force_host_platform_device_count=4", JAX_PLATFORMS="cpu"
    )


@pytest.mark.parametrize(
    ("mesh", "rows", "kinds"),
    [((4,), "a", "t.KINDS"), ((2, 2), ("a", "b"), '["LSTM"]')],
    ids=["one axis", "two axes"],
)
def test_a_batch_over_devices_is_not_gathered(mesh, rows, kinds, tmp_path):
    assert on_devices(DEVICES, tmp_path, mesh=mesh, rows=repr(rows), kinds=kinds) == "ok"


SHARD_MAP = """
import sys
sys.path.insert(0, {tests!r})
import jax, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
import native_jax as t
from seqstate.kernels import jax as kernels
from seqstate.kernels.jax_call import AXES

if not hasattr(jax, "shard_map"):
    print("ok")
    raise SystemExit
mesh = Mesh(np.array(jax.devices()), ("a",))
spec = t.spec_of("LSTM")
inputs = t.arrays(spec, "mask", "initial", batch=8)
specs = {{k: P(*("a" if a == "b" else None for a in AXES[k])) for k in inputs}}
names = spec.results()
out = {{k: P(*("a" if a == "b" else None for a in AXES[k])) for k in names}}

def run(spec, inputs):
    return jax.shard_map(lambda i: kernels.run(spec, i), mesh=mesh, in_specs=(specs,),
                         out_specs=out)(inputs)

t.same(run(spec, inputs), kernels.run(spec, inputs))
t.near(t.gradients(spec, inputs, run=run), t.gradients(spec, inputs), 1e-6)
print("ok")
"""


def test_inside_of_shard_map(tmp_path):
    assert on_devices(SHARD_MAP, tmp_path) == "ok"


EXPLICIT = """
import re, sys
sys.path.insert(0, {tests!r})
import jax, numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P
import native_jax as t
from seqstate.kernels import jax as kernels
from seqstate.kernels.jax_call import AXES

# Before 0.10, JAX lowers a sum over devices wrongly inside of such a mesh, and XLA refuses it.
if jax.__version_info__ < (0, 10):
    print("ok")
    raise SystemExit
mesh = jax.make_mesh((4,), ("a",), axis_types=(jax.sharding.AxisType.Explicit,))
spec = t.spec_of("LSTM", keep=True)
inputs = t.arrays(spec, "mask", "initial", batch=8)
alone, slopes = kernels.run(spec, inputs), t.gradients(spec, inputs)
with jax.set_mesh(mesh):
    t.same(kernels.run(spec, inputs), alone)
    over = {{
        k: jax.device_put(v, NamedSharding(mesh, P(*("a" if a == "b" else None for a in AXES[k]))))
        for k, v in inputs.items()
    }}
    run = jax.jit(lambda inputs: kernels.run(spec, inputs))
    assert "all-gather" not in run.lower(over).compile().as_text()
    assert jax.typeof(run(over)["states_h"]).sharding.spec == P("a", None, None)
    t.same(run(over), alone)
    t.near(t.gradients(spec, over), slopes, 1e-6)
print("ok")
"""


def test_arrays_whose_types_say_how_they_are_split(tmp_path):
    assert on_devices(EXPLICIT, tmp_path) == "ok"


TWO = """
import re, sys
sys.path.insert(0, {tests!r})
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
import native_jax as t
from seqstate.kernels import jax as kernels
from seqstate.kernels.jax_call import AXES

mesh = Mesh(np.array(jax.devices()), ("a",))
specs = [t.spec_of("LSTM"), t.spec_of("GRU", go_backwards=True)]
given = [
    t.arrays(specs[0], "mask", "initial", batch=8),
    t.arrays(specs[1], "initial", batch=8, units=7, seed=1),
]
over = [
    {{
        k: jax.device_put(v, NamedSharding(mesh, P(*("a" if a == "b" else None for a in AXES[k]))))
        for k, v in inputs.items()
    }}
    for inputs in given
]

def run(given):
    return kernels.run_all(list(zip(specs, given)))

def loss(given):
    return sum((v ** 2).sum() for made in run(given) for v in made.values())

def slopes(given):
    floats = [{{k: v for k, v in own.items() if k != "mask"}} for own in given]
    return jax.grad(lambda own: loss([{{**g, **o}} for g, o in zip(given, own)]))(floats)

for function, expected in ((run, set()), (slopes, {{"all-reduce"}})):
    text = jax.jit(function).lower(over).compile().as_text()
    found = re.findall(
        r"(all-gather|all-reduce|all-to-all|collective-permute)(?:-start)?\\(", text
    )
    assert set(found) == expected, found
    assert 'custom_call_target="seqstate_forward"' not in text
    assert 'custom_call_target="seqstate_forward_all"' in text
for own, alone in zip(jax.jit(run)(over), run(given)):
    t.same(own, alone)
for own, alone in zip(slopes(over), slopes(given)):
    t.near(own, alone, 1e-6)
print("ok")
"""


def test_two_runs_that_are_one_call_are_split_along_the_batch_they_share(tmp_path):
    assert on_devices(TWO, tmp_path) == "ok"
