"""Models of `keras.ops`, each function of them at least once."""

import keras
import numpy as np
from keras import ops

from runtime.tables import FEATURES, STEPPED, STEPS, WHOLE, K, X, graph

TABLE = np.arange(12, dtype="float32").reshape(4, 3) / 7
MATRIX = np.linspace(-1, 1, FEATURES * 3, dtype="float32").reshape(FEATURES, 3)
BLOCK = np.linspace(-1, 1, FEATURES * 6, dtype="float32").reshape(2, FEATURES, 3)


def sequence():
    """Give an input, and a sequence of an LSTM on it: both have positive and negative numbers."""
    x = keras.Input((None, FEATURES))
    return x, K.LSTM(FEATURES, return_sequences=True)(x)


def in_two(x):
    """Give each step as a matrix."""
    return ops.stack(ops.split(x, 2, axis=-1), axis=2)


def numbers(outputs):
    """Give float32 of whole numbers, of which a framework may have other types."""
    return {name: ops.cast(one, "float32") for name, one in outputs.items()}


@graph(STEPPED)
def real_functions():
    x, y = sequence()
    small, large = ops.tanh(x) * 0.9, ops.abs(x) + 1.5
    outputs = {name: getattr(ops, name)(x) for name in ("arcsinh", "arctan", "cbrt", "ceil", "cos")}
    outputs |= {name: getattr(ops, name)(small) for name in ("arccos", "arcsin", "arctanh", "erf")}
    outputs |= {name: getattr(ops, name)(y) for name in ("cosh", "deg2rad", "exp2", "expm1", "tan")}
    outputs |= {name: getattr(ops, name)(y) for name in ("exp", "rad2deg", "sinc", "sinh", "sin")}
    outputs |= {name: getattr(ops, name)(large) for name in ("arccosh", "log", "log10", "log1p")}
    outputs |= {name: getattr(ops, name)(large) for name in ("log2", "reciprocal", "rsqrt", "sqrt")}
    outputs |= {name: getattr(ops, name)(x * 3) for name in ("floor", "trunc", "square", "sign")}
    outputs |= {"fabs": ops.fabs(x), "negative": ops.negative(x), "absolute": ops.absolute(x)}
    # The same of whole numbers.
    whole = ops.cast(x * 5, "int32")
    outputs |= {f"whole {name}": getattr(ops, name)(whole) for name in ("sin", "floor", "exp")}
    return x, outputs, X


@graph(STEPPED)
def shrinking_functions():
    x, _ = sequence()
    names = ("hard_shrink", "soft_shrink", "sparse_plus", "sparse_sigmoid", "squareplus")
    outputs = {name: getattr(ops, name)(x) for name in names}
    outputs |= {
        "hard_shrink by": ops.hard_shrink(x, 0.2),
        "soft_shrink by": ops.soft_shrink(x, 0.2),
        "squareplus b": ops.squareplus(x, 1),
        "threshold": ops.threshold(x, 0.1, -2.0),
        "round": ops.round(x),
        "round 1": ops.round(x, 1),
        "full_like": ops.full_like(x, 2.5),
        "zeros_like": ops.zeros_like(x) + ops.ones_like(x) * x,
        "nan_to_num": ops.nan_to_num(1 / ops.relu(x), posinf=7.0),
        "nan": ops.nan_to_num(ops.log(x), nan=-3.0),
    }
    return x, outputs, X


@graph(STEPPED)
def activations():
    x, y = sequence()
    names = ("hard_sigmoid", "hard_silu", "hard_tanh", "log_sigmoid", "relu", "relu6")
    names += ("selu", "sigmoid", "silu", "softplus", "softsign", "swish", "tanh", "tanh_shrink")
    outputs = {name: getattr(ops, name)(x) for name in names}
    outputs |= {"abs": ops.abs(y), "maximum": ops.maximum(x, y), "minimum": ops.minimum(x, y)}
    outputs |= {"copy": ops.copy(x), "stopped": ops.stop_gradient(y), "divide": ops.divide(x, 3)}
    return x, outputs, X


@graph(STEPPED)
def functions_of_two():
    x, y = sequence()
    names = ("arctan2", "fmax", "fmin", "heaviside", "hypot", "logaddexp", "logaddexp2", "power")
    outputs = {name: getattr(ops, name)(ops.abs(x), y) for name in names}
    outputs |= {name: getattr(ops, name)(x, 0.3) for name in ("floor_divide", "fmod", "mod")}
    outputs |= {f"{name} by": getattr(ops, name)(x, y) for name in ("add", "multiply", "subtract")}
    outputs["divide_no_nan"] = ops.divide_no_nan(y, ops.relu(x))
    outputs["true_divide"] = ops.true_divide(y, ops.abs(x) + 1)
    outputs["power of one"] = ops.power(ops.abs(x[:, :, :1]), np.float32([0.7]))
    return x, outputs, X


@graph(STEPPED)
def questions():
    x, y = sequence()
    odd = 1 / ops.relu(x) - 1 / ops.relu(-x)  # both infinities
    names = ("isfinite", "isinf", "isneginf", "isposinf", "signbit")
    outputs = {name: getattr(ops, name)(odd) for name in names}
    names = ("equal", "greater", "greater_equal", "less", "less_equal", "not_equal")
    outputs |= {name: getattr(ops, name)(ops.round(x), ops.round(y)) for name in names}
    outputs["isnan"] = ops.isnan(ops.log(x))
    outputs["isclose"] = ops.isclose(x, y, atol=0.3)
    some = ops.logical_and(x > 0, y > 0), ops.logical_or(x > 0, y > 0)
    outputs["logical"] = ops.logical_xor(*some)
    outputs["logical_not"] = ops.logical_not(some[0])
    whole = ops.cast(x * 5, "int32"), ops.cast(y * 9, "int32")
    outputs["bits"] = ops.bitwise_xor(ops.bitwise_and(*whole), ops.bitwise_or(*whole))
    outputs["no bits"] = ops.bitwise_not(whole[0]) + ops.bitwise_invert(whole[1])
    shifted = ops.left_shift(whole[0], 2), ops.bitwise_left_shift(whole[0], 1)
    outputs["shifted"] = ops.right_shift(shifted[0], 1) + ops.bitwise_right_shift(shifted[1], 1)
    return x, numbers(outputs), X


@graph(STEPPED)
def reductions():
    x, y = sequence()
    names = ("amax", "amin", "max", "min", "mean", "median", "prod", "ptp", "std", "sum", "var")
    outputs = {name: getattr(ops, name)(x, axis=-1) for name in (*names, "logsumexp")}
    names = ("count_nonzero", "any", "all")
    outputs |= {name: getattr(ops, name)(ops.round(x), axis=2) for name in names}
    outputs["kept"] = ops.logsumexp(y, axis=-1, keepdims=True)
    outputs |= {"argmax": ops.argmax(x, axis=2), "argmin": ops.argmin(x, axis=-1)}
    outputs["argmax kept"] = ops.argmax(y, axis=-1, keepdims=True)
    outputs["average"] = ops.average(x, axis=-1)
    outputs["prod float32"] = ops.prod(x, axis=-1, dtype="float32")
    outputs["norm"] = ops.norm(y, axis=(-1,))
    outputs["norm 1"] = ops.norm(x, ord=1, axis=(-1,))
    outputs["norm inf"] = ops.norm(x, ord=np.inf, axis=(-1,), keepdims=True)
    outputs["norm 2"] = ops.norm(x, ord=2, axis=(-1,))
    parts = in_two(x)
    outputs["norm of parts"] = ops.norm(parts, axis=(2, 3))
    return x, numbers(outputs), X


@graph(STEPPED)
def arrangements():
    x, y = sequence()
    parts = in_two(x)
    outputs = {
        "append": ops.append(x, y, axis=-1),
        "diff": ops.diff(x, n=2, axis=-1),
        "flip": ops.flip(x, axis=-1),
        "moveaxis": ops.moveaxis(parts, 2, 3),
        "moveaxis two": ops.moveaxis(ops.expand_dims(parts, -1), (2, 3), (3, 2)),
        "pad": ops.pad(x, ((0, 0), (0, 0), (1, 2)), constant_values=3.0),
        "pad edge": ops.pad(x, [[0, 0], [0, 0], [2, 0]], mode="edge"),
        "pad reflect": ops.pad(x, ((0, 0), (0, 0), (2, 1)), mode="reflect"),
        "repeat": ops.repeat(x, 2, axis=-1),
        "roll": ops.roll(x, -1, axis=2),
        "squeeze": ops.squeeze(ops.expand_dims(x, 2), 2),
        "stack": ops.stack([x, y], axis=-1),
        "swapaxes": ops.swapaxes(parts, -1, -2),
        "tile": ops.tile(x, [1, 1, 3]),
        "tile fewer": ops.tile(parts, [2, 1]),
        "transpose": ops.transpose(parts, (0, 1, 3, 2)),
        "tril": ops.tril(parts, -1),
        "triu": ops.triu(parts),
    }
    return x, outputs, X


@graph(STEPPED)
def taken():
    x, y = sequence()
    places = ops.cast(ops.clip(ops.abs(x[:, :, 0]) * 3, 0, 3), "int32")
    outputs = {f"split {i}": one for i, one in enumerate(ops.split(x, 2, axis=-1))}
    outputs |= {f"cut {i}": one for i, one in enumerate(ops.split(x, [1, 3], axis=2))}
    outputs |= {f"array {i}": one for i, one in enumerate(ops.array_split(y, 3, axis=-1))}
    outputs |= {f"unstack {i}": one for i, one in enumerate(ops.unstack(x, axis=-1))}
    outputs |= {
        "one_hot": ops.one_hot(places, 4),
        "take": ops.take(x, [2, 0, -1], axis=-1),
        "take one": ops.take(x, 1, axis=-1),
        "take array": ops.take(x, np.array([[0, 1], [3, 3]]), axis=2),
        "along": ops.take_along_axis(x, ops.argsort(y, axis=-1), axis=-1),
        "looked up": ops.take(TABLE, places, axis=0),
    }
    return x, outputs, X


@graph(STEPPED)
def along_features():
    x, y = sequence()
    values, places = ops.top_k(x, 3)
    outputs = {
        "argsort": ops.argsort(x),
        "glu": ops.glu(x),
        "sort": ops.sort(x, axis=-1),
        "softmax": ops.softmax(y, axis=2),
        "softmax of parts": ops.softmax(in_two(x), axis=2),
        "top_k": values,
        "top_k places": places,
        "log_softmax": ops.log_softmax(x),
    }
    return x, numbers(outputs), X


@graph(STEPPED)
def products_of_two():
    x, y = sequence()
    parts = in_two(x)
    others = in_two(y)
    outputs = {
        "matmul": ops.matmul(x, MATRIX),
        "matmul of a vector": ops.matmul(x, MATRIX[:, 0]),
        "dot of a vector": ops.dot(y, MATRIX[:, 1]),
        "dot": ops.dot(y, MATRIX),
        "matmul in each step": ops.matmul(parts, others),
        "matmul from the left": ops.matmul(np.float32([[1, -2], [0.5, 3], [4, 1]]), parts),
        "einsum": ops.einsum("btf,fo->bto", x, MATRIX),
        "einsum of the last": ops.einsum("...f,fo->...o", x, MATRIX),
        "einsum to two": ops.einsum("btf,gfo->btgo", x, BLOCK),
        "einsum back": ops.einsum("fo,btf->bto", MATRIX, x),
        "einsum of two": ops.einsum("btf,btf->bt", x, y),
        "einsum outer": ops.einsum("bti,btj->btji", x, y),
        "einsum scaled": ops.einsum("btf,f->btf", x, MATRIX[:, 0]),
        "einsum of one": ops.einsum("btij->btj", parts),
        "einsum turned": ops.einsum("btij->btji", parts),
        "einsum summed": ops.einsum("btij,btk->bti", parts, y),
    }
    return x, outputs, X


@graph(STEPPED)
def running():
    x, y = sequence()
    outputs = {
        "cumsum": ops.cumsum(x, axis=1, dtype="float32"),
        "cumprod": ops.cumprod(1 + ops.tanh(y), axis=1),
        "of features": ops.cumsum(x, axis=-1) + ops.cumprod(x, axis=2),
        "last": K.LSTM(2)(ops.cumsum(y, axis=1)),
    }
    return x, outputs, X


@graph(WHOLE)
def functions_over_time():
    x, y = sequence()
    single = ops.sum(x, axis=-1)
    outputs = {
        "argmax": ops.argmax(x, axis=1),
        "std": ops.std(x, axis=(1, 2)),
        "diff": ops.diff(x, axis=1),
        "flip": ops.flip(x, axis=1),
        "softmax": ops.softmax(x, axis=1),
        "softmax of single numbers": ops.softmax(single),
        "sort": ops.sort(x, axis=1),
        "top_k": ops.top_k(single, 2)[0],
        "roll": ops.roll(x, 2, axis=1),
        "pad": ops.pad(x, ((0, 0), (1, 0), (0, 0))),
        "repeat": ops.repeat(x, 2, axis=1),
        "tile": ops.tile(x, [1, 2, 1]),
        "take": ops.take(x, [0, 2], axis=1),
        "matmul": ops.matmul(x, ops.swapaxes(y, 1, 2)),
        "einsum": ops.einsum("btf,btg->bfg", x, y),
        "einsum of two times": ops.einsum("btf,bsf->bts", x, y),
        "tril": ops.tril(ops.matmul(x, ops.moveaxis(y, 1, 2))),
        "triu": ops.triu(x),
        "split": ops.split(x, [2], axis=1)[1],
        "hstack": ops.hstack([x, y]),
        "transpose": ops.transpose(x, (0, 2, 1)),
        "reshape": ops.reshape(single, (-1, STEPS)),
    }
    return x, numbers(outputs), X


ALONE = {
    "argmax": lambda x: ops.argmax(x, axis=1),
    "diff": lambda x: ops.diff(x, axis=1),
    "einsum": lambda x: ops.einsum("btf,btg->bfg", x, x),
    "einsum of two times": lambda x: ops.einsum("btf,bsf->bts", x, x),
    "einsum that sums time": lambda x: ops.einsum("btf->bf", x),
    "end beside each step": lambda x: ops.einsum("btf,bf->bt", x, K.LSTM(FEATURES)(x)),
    "flip": lambda x: ops.flip(x, axis=1),
    "matmul": lambda x: ops.matmul(x, ops.swapaxes(x, 1, 2)),
    "matrix for the steps": lambda x: ops.einsum("st,btf->bsf", np.ones((2, STEPS), "f"), x),
    "median": lambda x: ops.median(x, axis=1),
    "hstack": lambda x: ops.hstack([x, x]),
    "along": lambda x: ops.take_along_axis(x, ops.argsort(x, axis=1), axis=1),
    "moved": lambda x: ops.moveaxis(x, 1, 2),
    "pad": lambda x: ops.pad(x, ((0, 0), (1, 0), (0, 0))),
    "repeat": lambda x: ops.repeat(x, 2, axis=1),
    "roll": lambda x: ops.roll(x, 2, axis=1),
    "running sum of the end": lambda x: ops.cumsum(K.LSTM(4, return_sequences=True)(x)[:, 2:], 1),
    "softmax": lambda x: ops.softmax(x, axis=1),
    "softmax of single numbers": lambda x: ops.softmax(x[:, :, 0]),
    "sort": lambda x: ops.sort(x, axis=1),
    "split": lambda x: ops.split(x, [2], axis=1)[1],
    "swapped": lambda x: ops.swapaxes(x, 1, 2),
    "take": lambda x: ops.take(x, [0, 2], axis=1),
    "tile": lambda x: ops.tile(x, [1, 2, 1]),
    "top_k": lambda x: ops.top_k(x[:, :, 0], 2)[0],
    "tril": lambda x: ops.tril(x),
}
"""Functions after which a model can't be run a step at a time."""
ROWS_MEET = {
    "argmax": lambda x: ops.argmax(x),
    "argsort": lambda x: ops.argsort(x, axis=0),
    "cumsum": lambda x: ops.cumsum(x, axis=0),
    "einsum": lambda x: ops.einsum("btf,ctf->bct", x, x),
    "einsum that sums rows": lambda x: ops.einsum("btf->tf", x),
    "flip": lambda x: ops.flip(x),
    "norm": lambda x: ops.norm(x),
    "pad": lambda x: ops.pad(x, 1),
    "repeat": lambda x: ops.repeat(x, 2, axis=0),
    "roll": lambda x: ops.roll(x, 1, axis=0),
    "sort": lambda x: ops.sort(x, axis=0),
    "swapped": lambda x: ops.swapaxes(x, 0, 1),
    "take": lambda x: ops.take(x, [0], axis=0),
    "tile": lambda x: ops.tile(x, [2, 1, 1]),
    "unstack": lambda x: ops.unstack(x, num=1, axis=0)[0],
}
"""Functions that look at several rows of a batch at once."""
