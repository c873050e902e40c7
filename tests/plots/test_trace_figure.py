import sys

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.dates import date2num

from seqstate.errors import ArgumentError, MissingPackageError, UnknownLayerError
from seqstate.plots.trace_figure import MOST_PANELS, trace_figure
from seqstate.traces import LayerTrace, Trace

SAMPLES, TIME, UNITS = 3, 7, 4
GATES = ("input", "forget", "candidate", "output")
RNG = np.random.default_rng(0)


def values(*shape):
    return RNG.uniform(-0.9, 0.9, shape).astype("float32")


def lstm(name="lstm", time=TIME, units=UNITS, lead=(), **changes):
    shape = (SAMPLES, *lead, time, units)
    states = {"h": values(*shape), "c": 3 * values(*shape)}
    gates = {gate: (values(*shape) + 1) / 2 for gate in GATES}
    found = {"sequence": states["h"], "states": states, "gates": gates}
    return LayerTrace(**({"name": name, "kind": "LSTM", "found": found} | changes))


def trace(*layers, inputs=None, outputs=None):
    layers = layers or (lstm(),)
    inputs = values(SAMPLES, TIME, 2) if inputs is None else inputs
    outputs = values(SAMPLES, TIME, 1) if outputs is None else outputs
    return Trace("model", inputs, outputs, {layer.name: layer for layer in layers})


def panels(figure):
    """Give the panels by their titles, without the colour bars."""
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_title(loc="left")}


def drawn_map(axes):
    (mesh,) = [one for one in axes.collections if isinstance(one, QuadMesh)]
    return mesh


def note(figure):
    return figure.get_suptitle()


@pytest.mark.parametrize("sample", [0, 2, np.int64(1)])
def test_every_state_and_gate_is_a_map_of_units_by_time_for_the_sample(sample):
    layer = lstm()
    found = panels(trace_figure(trace(layer), sample))
    expected = {
        "lstm (LSTM): state h": layer.states["h"],
        "lstm (LSTM): state c": layer.states["c"],
        "lstm (LSTM): input gate: 0 closed, 1 open": layer.gates["input"],
        "lstm (LSTM): forget gate: 0 closed, 1 open": layer.gates["forget"],
        "lstm (LSTM): candidate: what the gates may let in": layer.gates["candidate"],
        "lstm (LSTM): output gate: 0 closed, 1 open": layer.gates["output"],
    }
    assert list(found)[2:] == list(expected)
    for title, array in expected.items():
        np.testing.assert_array_equal(drawn_map(found[title]).get_array(), array[sample].T)


def test_input_and_output_are_continuous_lines_of_the_sample():
    one = trace()
    found = panels(trace_figure(one, 1))
    assert list(found)[:2] == ["input: 2 features", "output"]
    for axes, array in zip(found.values(), (one.inputs, one.outputs), strict=False):
        lines = [line for line in axes.get_lines() if len(line.get_xdata()) == TIME]
        drawn = np.stack([line.get_ydata() for line in lines], axis=1)
        np.testing.assert_array_equal(drawn, array[1])
        assert {line.get_drawstyle() for line in lines} == {"default"}


def test_of_many_features_those_that_vary_most_are_drawn_and_it_is_said():
    inputs = np.zeros((SAMPLES, TIME, 9), "float32")
    inputs[0] = np.linspace(-1, 1, TIME)[:, None] * [1, 9, 2, 8, 3, 7, 4, 6, 5]
    axes = panels(trace_figure(trace(inputs=inputs)))
    title = "input: the 6 of 9 features that vary most"
    labels = [text.get_text() for text in axes[title].get_legend().get_texts()]
    assert labels == [f"feature {one}" for one in (1, 3, 5, 6, 7, 8)]


@pytest.mark.parametrize(
    ("inputs", "titles"),
    [
        ([values(SAMPLES, TIME, 1), values(SAMPLES, TIME, 1)], ["input 0", "input 1"]),
        (
            {"a": values(SAMPLES, TIME, 1), "b": values(SAMPLES, TIME, 1)},
            ['input "a"', 'input "b"'],
        ),
        (np.arange(SAMPLES * TIME).reshape(SAMPLES, TIME), ["input: ids"]),
        (values(SAMPLES, TIME, 2, 2), ["input: 4 features"]),
    ],
)
def test_every_input_has_a_panel_with_its_name(inputs, titles):
    found = panels(trace_figure(trace(inputs=inputs)))
    assert list(found)[: len(titles)] == titles


def test_ids_are_drawn_as_steps():
    ids = np.arange(SAMPLES * TIME).reshape(SAMPLES, TIME)
    (line,) = panels(trace_figure(trace(inputs=ids), 1))["input: ids"].get_lines()
    np.testing.assert_array_equal(line.get_ydata(), ids[1])
    assert line.get_drawstyle() == "steps-mid"


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        (np.array([[1.0], [0.25], [3.0]]), "Output, without a time axis: 0.25"),
        (
            [values(SAMPLES, TIME, 1), np.arange(6.0).reshape(3, 2)],
            "Output 1, without a time axis: 2, 3",
        ),
        (values(SAMPLES, 5, 6, 7, 2), "Output, not drawn: shape (3, 5, 6, 7, 2), float32"),
        (np.array([1.0, 0.5, 3.0]), "Output, without a time axis: 0.5"),
    ],
)
def test_an_output_without_time_is_said(outputs, says):
    assert says in note(trace_figure(trace(outputs=outputs), 1)).splitlines()


def test_an_output_of_many_values_has_an_axis_of_its_own():
    outputs = values(SAMPLES, TIME)  # as many values as steps, and yet no sequence
    figure = trace_figure(trace(outputs=outputs), 1)
    axes = panels(figure)[f"output: {TIME} values, without a time axis"]
    np.testing.assert_array_equal(axes.get_lines()[-1].get_ydata(), outputs[1])
    assert axes.get_xlabel() == "number of the value"


def test_a_layer_of_another_length_has_its_own_time_axis():
    hours = np.datetime64("2020-01-01T00") + np.arange(TIME) * np.timedelta64(1, "h")
    both = trace(lstm("encoder"), lstm("decoder", time=3), outputs=values(SAMPLES, 3, 1))
    found = panels(trace_figure(both, time=hours))
    for title, axes in found.items():
        if title == "output" or title.startswith("decoder"):
            assert axes.get_xlim() == (-0.5, 2.5)
        else:
            half = np.timedelta64(30, "m")
            assert axes.get_xlim() == (date2num(hours[0] - half), date2num(hours[-1] + half))


def test_layers_are_chosen_by_name():
    both = trace(lstm("a"), lstm("b"))
    for layers in ("b", ["b"]):
        drawn = [title for title in panels(trace_figure(both, layers=layers)) if "LSTM" in title]
        assert len(drawn) == 6
        assert all(title.startswith("b (LSTM)") for title in drawn)


def test_directions_and_cells_are_told_apart_and_a_merged_sequence_is_shown():
    forward, backward = lstm(), lstm()
    found = {
        "sequence": np.concatenate([forward.sequence, backward.sequence], axis=-1),
        "states": {"forward": forward.states, "backward": backward.states},
    }
    layer = LayerTrace("both", "Bidirectional", found)
    drawn = panels(trace_figure(trace(layer)))
    assert list(drawn)[2:] == [
        "both (Bidirectional): state forward/h",
        "both (Bidirectional): state forward/c",
        "both (Bidirectional): state backward/h",
        "both (Bidirectional): state backward/c",
        "both (Bidirectional): sequence: the output at each step",
    ]
    np.testing.assert_array_equal(
        drawn_map(drawn["both (Bidirectional): state backward/c"]).get_array(),
        backward.states["c"][0].T,
    )


def test_of_a_layer_inside_time_distributed_the_first_part_is_drawn():
    layer = lstm(lead=(2,), mask=np.ones((SAMPLES, 2, TIME), bool), parts=True)
    figure = trace_figure(trace(layer, inputs=values(SAMPLES, 2, TIME, 1)), 1)
    found = panels(figure)
    np.testing.assert_array_equal(
        drawn_map(found["lstm (LSTM): state c"]).get_array(), layer.states["c"][1, 0].T
    )
    assert "input, part 0" in found
    assert "Part 0 of the parts that lstm runs over (TimeDistributed)" in note(figure)


def test_states_with_several_axes_are_laid_out_in_rows():
    found = {"sequence": values(SAMPLES, TIME, 3), "states": {"m": values(SAMPLES, TIME, 2, 3)}}
    figure = trace_figure(trace(LayerTrace("own", "RNN", found)))
    drawn = drawn_map(panels(figure)["own (RNN): state m"]).get_array()
    np.testing.assert_array_equal(drawn, found["states"]["m"][0].reshape(TIME, 6).T)
    assert "States with several axes" in note(figure)


def test_what_has_other_samples_than_the_layers_is_not_drawn_and_it_is_said():
    one = trace(inputs=values(1, 3, TIME, 2), outputs=values(SAMPLES, TIME, 1))
    figure = trace_figure(one, 2)
    assert next(iter(panels(figure))) == "output"
    said = f"Input, not drawn: shape (1, 3, {TIME}, 2), no row for each sample"
    assert said in note(figure).splitlines()


def test_layers_of_different_samples_are_not_drawn_in_one_picture():
    few = lstm("few", found={"states": {"h": values(1, TIME, 2)}})
    both = trace(lstm("many"), few)
    with pytest.raises(ArgumentError, match="numbers of samples: many 3, few 1"):
        trace_figure(both)
    assert "few (LSTM): state h" in panels(trace_figure(both, layers="few"))


@pytest.mark.parametrize(
    ("skipped", "spans"), [([2, 3], [(1.5, 3.5)]), ([0, 6], [(-0.5, 0.5), (5.5, 6.5)])]
)
def test_steps_that_the_mask_skips_are_hatched_on_every_panel(skipped, spans):
    mask = np.ones((SAMPLES, TIME), bool)
    mask[1, skipped] = False
    figure = trace_figure(trace(lstm(mask=mask)), 1)
    for axes in panels(figure).values():
        hatched = [patch for patch in axes.patches if patch.get_hatch()]
        assert [(p.get_x(), p.get_x() + p.get_width()) for p in hatched] == spans
    assert "Hatched: steps that the mask skips" in note(figure)
    assert "Hatched" not in note(trace_figure(trace(lstm(mask=mask)), 0))


@pytest.mark.parametrize("order", ["correlation", "saturation", [3, 1, 0, 2]])
def test_all_maps_of_a_layer_have_one_order(order):
    figure = trace_figure(trace(), order=order)
    rows = {
        tuple(label.get_text() for label in axes.get_yticklabels())
        for title, axes in panels(figure).items()
        if "LSTM" in title
    }
    assert len(rows) == 1
    assert sorted(*rows) == ["0", "1", "2", "3"]
    if not isinstance(order, str):
        assert rows == {("3", "1", "0", "2")}
    assert ("all maps of a layer have the same order" in note(figure)) == isinstance(order, str)


def test_an_order_follows_the_steps_that_count():
    h = np.full((SAMPLES, TIME, 4), 0.3, "float32")
    h[0, 0, 2:] = 0.999
    h[0, 5:, 0] = 0.999  # more often, but where the mask skips the steps
    mask = np.ones((SAMPLES, TIME), bool)
    mask[0, 5:] = False
    layer = LayerTrace("rnn", "SimpleRNN", {"states": {"h": h}}, mask)
    axes = panels(trace_figure(trace(layer), order="saturation"))["rnn (SimpleRNN): state h"]
    assert [label.get_text() for label in axes.get_yticklabels()][:2] == ["2", "3"]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_black_and_it_is_said(wrong):
    layer = lstm()
    layer.states["c"][0, 2, 1] = wrong
    inputs = values(SAMPLES, TIME, 1)
    inputs[0, 0] = wrong
    figure = trace_figure(trace(layer, inputs=inputs), order="correlation")
    axes = panels(figure)["lstm (LSTM): state c"]
    shown = np.ma.getmaskarray(drawn_map(axes).get_array())
    assert shown.sum() == 1
    assert axes.get_facecolor() == (0, 0, 0, 1)
    assert np.isfinite(drawn_map(axes).get_clim()).all()
    assert "Black: not a finite number (NaN or infinite), in lstm" in note(figure)
    assert "input (gaps: not a finite number)" in panels(figure)
    assert "output" in panels(figure)


def test_one_step_is_drawn_in_the_middle_of_its_cell():
    figure = trace_figure(
        trace(lstm(time=1), inputs=values(SAMPLES, 1, 2), outputs=values(SAMPLES, 1, 1))
    )
    found = panels(figure)
    left, right = found["lstm (LSTM): state h"].get_xlim()
    line = found["output"].get_lines()[-1]
    assert line.get_xdata() == pytest.approx([(left + right) / 2])
    assert line.get_marker() == "o"
    last = list(found.values())[-1]
    assert [label.get_text() for label in last.get_xticklabels()] == ["0"]


def test_many_units_get_more_room_and_few_labels():
    wide = trace_figure(trace(lstm(units=256)))
    few = trace_figure(trace(lstm(units=3)))
    assert wide.get_figheight() > few.get_figheight()
    assert 5 <= len(panels(wide)["lstm (LSTM): state h"].get_yticks()) <= 12
    assert len(panels(few)["lstm (LSTM): state h"].get_yticks()) == 3


def test_a_layer_that_runs_backwards_says_so():
    title = "lstm (LSTM), runs from the last step to the first: state h"
    assert title in panels(trace_figure(trace(lstm(backwards=True))))


def test_layers_that_there_is_no_room_for_are_named():
    many = trace(*(lstm(f"lstm_{one}") for one in range(8)))
    figure = trace_figure(many)
    maps = [title for title in panels(figure) if "LSTM" in title]
    assert len(maps) == 36 <= MOST_PANELS
    assert "Not drawn, for lack of room: lstm_6, lstm_7; choose with layers=" in note(figure)
    assert max(figure.get_size_inches()) * figure.dpi < 2**16


def test_features_have_the_names_that_were_given():
    inputs = {"weather": values(SAMPLES, TIME, 2), "place": values(SAMPLES, 3)}
    one = trace(inputs=inputs, outputs=[values(SAMPLES, TIME, 1), values(SAMPLES, TIME, 8)])
    hours = [f"+{hour} h" for hour in range(8)]
    names = {"weather": ["sun, $", "_rain"], "place": ["north", "east", "high"]}
    figure = one.plot(1, features=names, outputs=[["price, $"], hours])
    found = panels(figure)

    def legend(title):
        return [text.get_text() for text in found[title].get_legend().get_texts()]

    assert legend('input "weather": 2 features') == ["sun, $", "_rain"]
    assert "output 0: price, $" in found
    assert set(legend("output 1: the 6 of 8 features that vary most")) < set(hours)
    said = ", ".join(
        f"{name} {value:.4g}"
        for name, value in zip(names["place"], inputs["place"][1], strict=True)
    )
    assert f'Input "place", without a time axis: {said}' in note(figure).splitlines()


def test_of_one_sample_it_is_said_that_it_is_the_only_one():
    layer = lstm(found={"states": {"h": values(1, TIME, 2)}})
    only = trace(layer, inputs=values(1, TIME, 2), outputs=values(1, TIME, 1))
    assert note(trace_figure(only)).splitlines()[1:] == ["The only sample"]
    with pytest.raises(ArgumentError, match=r"sample=1; there is only one\.\n  Pass 0\."):
        trace_figure(only, 1)


def test_steps_of_microseconds_have_cells_of_their_own():
    time = np.datetime64("2024-02-29", "us") + np.arange(TIME)
    figure = trace_figure(trace(), time=time)
    mesh = drawn_map(panels(figure)["lstm (LSTM): state h"])
    np.testing.assert_allclose(mesh.get_coordinates()[0, :, 0], np.arange(TIME + 1) - 0.5)
    assert "time, us after 2024-02-29 00:00:00.000000" in [a.get_xlabel() for a in figure.axes]


def test_title_and_model_are_shown():
    assert note(trace_figure(trace())).startswith('Inside "model"')
    assert note(trace_figure(trace(), title="My title")).startswith("My title\n")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sample": 3}, "sample=3; there are 3.\n  Pass a number from 0 to 2."),
        ({"sample": -1}, "sample=-1; there are 3."),
        ({"sample": True}, "sample=True; there are 3."),
        ({"sample": 1.0}, "sample=1.0; there are 3."),
        ({"time": np.arange(5)}, "time has 5 entries; the sequences have 7 time steps."),
        ({"features": ["a"]}, "the features of the input are 1, ['a']; expected 2 texts."),
        ({"outputs": "price"}, "the features of the output are 'price'; expected 1 text."),
        ({"order": "size"}, 'got \'size\'; expected "stored", "correlation"'),
        ({"order": [0, 1]}, "a permutation of the 4 units"),
        ({"layers": []}, "nothing in it has a time axis"),
    ],
)
def test_what_can_not_be_drawn_is_refused(changes, says):
    with pytest.raises(ArgumentError) as error:
        trace_figure(trace(), **changes)
    assert says in str(error.value)


def test_a_layer_that_was_not_traced_is_refused():
    with pytest.raises(UnknownLayerError, match='Did you mean "lstm"'):
        trace_figure(trace(), layers=["lstn"])


def test_more_layers_than_fit_are_refused_when_they_were_asked_for():
    names = [f"lstm_{one}" for one in range(8)]
    with pytest.raises(ArgumentError, match="have 48 maps; at most 40 fit"):
        trace_figure(trace(*map(lstm, names)), layers=names)


def test_a_trace_without_a_time_axis_is_refused():
    layer = LayerTrace("lstm", "LSTM", {"state": {"h": values(SAMPLES, UNITS)}})
    with pytest.raises(ArgumentError, match="nothing in it has a time axis"):
        trace_figure(trace(layer))


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPackageError, match=r'pip install "seqstate\[plots\]"'):
        trace().plot()


def test_plot_of_a_trace_hands_everything_on():
    figure = trace(lstm("a"), lstm("b")).plot(1, "b", np.arange(TIME) * 2.0, "Title", [3, 2, 1, 0])
    found = panels(figure)
    assert note(figure).startswith("Title\nSample 1 of 3")
    assert found["b (LSTM): state h"].get_xlim() == (-1.0, 13.0)
    labels = found["b (LSTM): state h"].get_yticklabels()
    assert [label.get_text() for label in labels] == ["3", "2", "1", "0"]
