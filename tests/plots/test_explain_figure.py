import io

import keras
import pytest
from matplotlib.patches import FancyBboxPatch, Rectangle

from seqstate.layers import GRU, LSTM, RNN, Bidirectional, GRUCell, LSTMCell
from seqstate.models.explain import explain
from seqstate.plots.explain_figure import MOST_LAYERS
from seqstate.plots.unrolled import Slots

K = keras.layers
H, C, INPUT = "#6baed6", "#f6a04d", "#9bcf9b"


def model(*layers, shape=(24, 3)):
    return keras.Sequential([keras.Input(shape), *layers])


def draw(thing):
    return explain(thing, file=io.StringIO()).draw()


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def boxes(figure):
    return [one for one in figure.axes[0].patches if isinstance(one, FancyBboxPatch)]


def cells(figure, color):
    from matplotlib.colors import to_rgba

    patches = [one for one in figure.axes[0].patches if type(one) is Rectangle]
    return [one for one in patches if one.get_facecolor() == to_rgba(color)]


@pytest.mark.parametrize(
    ("steps", "labels"),
    [
        (1, ["step 0"]),
        (4, ["step 0", "step 1", "step 2", "step 3"]),
        (5, ["step 0", "step 1", "step 4"]),
        (24, ["step 0", "step 1", "step 23"]),
        (None, ["step 0", "step 1", "last step"]),
    ],
)
def test_few_steps_are_all_drawn_and_many_are_cut(steps, labels):
    slots = Slots(steps)
    assert slots.labels == labels
    assert len(slots.centers) == len(labels)
    assert bool(slots.gaps) == (steps is None or steps > 4)
    assert set(labels) <= set(texts(draw(model(LSTM(2), shape=(steps, 3)))))


@pytest.mark.parametrize(("units", "drawn"), [(1, 1), (8, 8), (9, 7), (256, 7)])
def test_each_box_has_a_cell_for_each_unit_up_to_eight(units, drawn):
    figure = draw(model(LSTM(units)))
    assert len(boxes(figure)) == 3
    assert len(cells(figure, H)) == len(cells(figure, C)) == 3 * drawn
    assert len(cells(figure, INPUT)) == 3 * 3
    assert f"carries h {units}, c {units}" in texts(figure)


def test_it_says_what_goes_in_and_what_comes_out_with_shapes():
    layer = LSTM(8, return_sequences=True, return_state=True, name="memory")
    found = texts(draw(model(layer)))
    for text in (
        "[batch, time 24, features 3]",
        "time: 24 steps",
        "memory (LSTM)",
        "from zeros",
        "state: returned",
        "1. sequence [batch, time 24, units 8]",
        "2. state h [batch, units 8]",
        "3. state c [batch, units 8]",
    ):
        assert text in found
    assert "state: not returned" in texts(draw(model(LSTM(8))))


def arrows(figure):
    """Give the start and the end of each arrow."""
    found = [one for one in figure.axes[0].texts if getattr(one, "arrow_patch", None)]
    return [(one.xyann, one.xy) for one in found]


@pytest.mark.parametrize(
    ("layer", "lefts", "rights"),
    [
        (GRU(2), 0, 4),
        (GRU(2, go_backwards=True), 4, 0),
        (LSTM(2), 0, 8),
        (Bidirectional(GRU(2)), 4, 4),
        (RNN([LSTMCell(2), GRUCell(2)]), 0, 12),
    ],
    ids=["GRU", "backwards", "LSTM", "Bidirectional", "stack"],
)
def test_each_state_is_carried_in_the_direction_of_the_run(layer, lefts, rights):
    level = [(a, b) for (a, low), (b, high) in arrows(draw(layer)) if low == high]
    level = [(a, b) for a, b in level if abs(b - a) < 5]  # without the axis of time
    assert sum(b < a for a, b in level) == lefts
    assert sum(b > a for a, b in level) == rights


@pytest.mark.parametrize(
    ("layer", "outs"),
    [
        (GRU(2), [2]),
        (GRU(2, go_backwards=True), [0]),
        (GRU(2, return_sequences=True), [0, 1, 2]),
        (GRU(2, returns="states"), [0, 1, 2]),
        (Bidirectional(GRU(2)), [0, 2]),
    ],
)
def test_the_output_comes_out_of_the_step_that_is_run_last(layer, outs):
    figure = draw(layer)
    top = max(box.get_y() + box.get_height() for box in boxes(figure))
    ups = [start[0] for start, end in arrows(figure) if start[1] == pytest.approx(top)]
    assert ups == [Slots(None).centers[one] for one in outs]


def test_layers_that_carry_nothing_have_a_box_for_each_step_or_for_the_last_or_for_all():
    assert len(boxes(draw(model(K.Dense(2))))) == 3
    assert len(boxes(draw(model(GRU(2), K.Dense(2))))) == 3 + 1
    assert len(boxes(draw(model(GRU(2, return_sequences=True), K.Flatten())))) == 3 + 1


def test_a_layer_that_reads_another_than_the_one_below_says_so():
    x = keras.Input((5, 2))
    _, h, c = LSTM(3, return_state=True, name="encoder")(x)
    y = LSTM(3, name="decoder")(x, initial_state=[h, c])
    found = texts(draw(keras.Model(x, y)))
    assert "reads: an input of the model" in found
    assert "state from encoder" in found


def test_layers_that_there_is_no_room_for_are_named():
    many = model(*(GRU(2, return_sequences=True, name=f"gru_{one}") for one in range(14)))
    figure = draw(many)
    assert len(boxes(figure)) == 3 * MOST_LAYERS
    assert "Not drawn, for lack of room: gru_12, gru_13" in texts(figure)


def test_of_a_nested_model_the_layers_are_drawn():
    inner = keras.Sequential([keras.Input((5, 2)), GRU(2, name="inside")], name="inner")
    x = keras.Input((4, 5, 2))
    found = texts(draw(keras.Model(x, K.TimeDistributed(inner, name="each")(x))))
    assert "each/inner/inside (GRU)" in found
    assert not any(text.startswith("each (") for text in found)


@pytest.mark.parametrize(
    "make",
    [
        lambda: K.Dense(3),
        lambda: LSTM(3),
        lambda: K.ConvLSTM2D(2, 3),
        lambda: keras.Sequential(),
        lambda: model(K.ConvLSTM2D(2, 3), shape=(5, 8, 8, 1)),
        lambda: model(K.Embedding(9, 4), K.LSTM(2), K.RepeatVector(5), K.Dense(1), shape=(None,)),
    ],
)
def test_what_is_little_known_is_drawn_too(make):
    draw(make()).canvas.draw()


def overlaps(figure):
    """Give the pairs of texts that lie on each other, by their boxes in pixels."""
    figure.canvas.draw()
    drawn = [text for text in figure.axes[0].texts if len(text.get_text()) > 1]
    extents = [text.get_window_extent() for text in drawn]
    return [
        (a.get_text(), b.get_text())
        for i, a in enumerate(drawn)
        for j, b in enumerate(drawn[:i])
        if extents[i].overlaps(extents[j])
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda: LSTM(128, return_sequences=True, return_state=True),
        lambda: Bidirectional(LSTM(128, return_state=True)),
        lambda: Bidirectional(LSTM(3, returns="all"), merge_mode=None),
        lambda: RNN([LSTMCell(300), GRUCell(4)], return_state=True),
        lambda: model(K.LSTM(8, return_sequences=True), K.GlobalAveragePooling1D(), K.Dense(1)),
    ],
)
def test_no_text_lies_on_another_or_leaves_the_picture(make):
    figure = draw(make())
    assert overlaps(figure) == []
    for text in figure.axes[0].texts:
        if text.get_text():
            extent = text.get_window_extent()
            assert extent.x0 >= 0
            assert extent.x1 <= figure.bbox.x1
