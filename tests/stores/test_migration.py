"""States moved to a newer model: what fits goes over, the rest is said."""

import numpy as np
import pytest

from seqstate import state as states
from seqstate.errors import DataError, StateMismatchError
from seqstate.stores.blob import pack, unpack
from seqstate.stores.migration import Report, Target, enclose, enclosed, migrate

OLD = {"lstm": {"h": (2,), "c": (2,)}, "gone": {"h": (3,)}, "wider": {"h": (1,)}}
SPEC = {"wider": {"h": (4,)}, "lstm": {"c": (2,), "h": (2,)}, "rwa": {"max": (2,)}}
START = {
    "wider": {"h": np.zeros(4)},
    "lstm": {"c": np.zeros(2), "h": np.zeros(2)},
    "rwa": {"max": np.full(2, -9)},
}
TARGET = Target("new", SPEC, START)


def row(spec, first):
    return states.map_leaves(lambda sizes: np.full(sizes, first, "float32"), spec)


def test_what_fits_is_moved_and_the_rest_is_counted():
    report = Report()
    data = migrate(pack("old", OLD, row(OLD, 5), {"sequence": 3}), TARGET, "key", report)
    moved, extra = unpack(data, "new", SPEC)
    got = {path: leaf.tolist() for path, leaf in states.leaves(moved)}
    assert got == {
        "wider/h": [0] * 4,
        "lstm/c": [5, 5],
        "lstm/h": [5, 5],
        "rwa/max": [-9, -9],  # it starts from there, not from zero
    }
    assert extra == {"sequence": 3}
    assert report == Report(
        moved={"lstm/c": 1, "lstm/h": 1},
        filled={"rwa/max": 1},
        dropped={"gone/h": 1},
        reshaped={"wider/h": 1},
    )


def test_states_that_are_enclosed_are_moved_too():
    inner = enclose(
        pack("old", OLD, row(OLD, 7), {"deep": [enclose(pack("old", OLD, row(OLD, 8), {}))]})
    )
    outer = pack("old", OLD, row(OLD, 5), {"bookmarks": {"dawn": inner}, "sequence": 1})
    report = Report()
    _, extra = unpack(migrate(outer, TARGET, "key", report), "new", SPEC)
    assert extra["sequence"] == 1
    dawn, more = unpack(enclosed(extra["bookmarks"]["dawn"]), "new", SPEC)
    assert dawn["lstm"]["h"].tolist() == [7, 7]
    assert unpack(enclosed(more["deep"][0]), "new", SPEC)[0]["lstm"]["h"].tolist() == [8, 8]
    assert report.moved == {"lstm/c": 3, "lstm/h": 3}


def test_a_state_of_which_nothing_fits_is_refused():
    data = pack("old", {"gru": {"h": (2,)}}, {"gru": {"h": np.ones(2)}}, {})
    with pytest.raises(StateMismatchError, match=r"key: nothing .* it has gru/h \(2,\); the model"):
        migrate(data, TARGET, "key", Report())


def test_damage_is_named():
    with pytest.raises(DataError, match="key: the state is damaged"):
        migrate(b"SqSt", TARGET, "key", Report())


@pytest.mark.parametrize(
    "value", [None, "text", {}, {"state in base64": 3}, {"state in base64": "*"}, {"a": 1}]
)
def test_what_is_not_enclosed(value):
    assert enclosed(value) is None
