import matplotlib
import numpy as np
import pytest
from matplotlib.collections import QuadMesh

from seqstate.errors import InputError
from seqstate.plots import HeatMap, Line, Lines, gate_maps, state_maps, states_figure
from seqstate.plots.heat import edges

RNG = np.random.default_rng(0)
STEPS, UNITS = 48, 5
HOURS = np.arange("2010-12-01T00", "2010-12-03T00", dtype="datetime64[h]")
STATES = {"h": RNG.uniform(-1, 1, (STEPS, UNITS)), "c": RNG.normal(size=(STEPS, UNITS))}
GATES = {
    "input": RNG.uniform(size=(STEPS, UNITS)),
    "candidate": RNG.uniform(-1, 1, (STEPS, UNITS)),
}
LINES = [
    Lines("Temperature", "°C", [Line("seen", STATES["c"][:, 0]), Line("said", np.ones(STEPS))])
]


def figure(**changes):
    given = {
        "time": HOURS,
        "lines": LINES,
        "maps": [*state_maps(STATES), *gate_maps(GATES)],
        "title": "Some data",
    }
    return states_figure(**(given | changes))


def meshes(drawn):
    panels = [axes for axes in drawn.axes if axes.get_ylabel() == "unit"]
    return [m for axes in panels for m in axes.collections if isinstance(m, QuadMesh)]


@pytest.mark.parametrize("order", [None, [4, 2, 0, 1, 3]])
def test_heat_maps_hold_the_values_given_unit_by_unit(order):
    rows = order or list(range(UNITS))
    drawn = meshes(figure(order=order))
    given = [*STATES.values(), *GATES.values()]
    for mesh, values in zip(drawn, given, strict=True):
        np.testing.assert_array_equal(np.asarray(mesh.get_array()), values.T[rows])


def test_rows_are_labelled_with_the_units_they_show():
    axes = figure(order=[4, 2, 0, 1, 3]).axes[1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["4", "2", "0", "1", "3"]
    assert axes.yaxis_inverted()


def test_lines_hold_the_values_given_and_their_unit_is_on_the_axis():
    axes = figure().axes[0]
    for line, given in zip(axes.get_lines(), LINES[0].lines, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), given.values)
        assert line.get_label() == given.label
    assert axes.get_ylabel() == "°C"
    assert axes.get_title(loc="left") == "Temperature"


@pytest.mark.parametrize(
    ("maps", "limits"),
    [
        (state_maps({"h": np.full((3, 2), 0.1)}), (-1.0, 1.0)),
        (state_maps({"h": np.full((3, 2), 7.0)}), (-7.0, 7.0)),
        (state_maps({"c": np.array([[0.5, -3.0]])}), (-3.0, 3.0)),
        (state_maps({"c": np.zeros((3, 2))}), (-1.0, 1.0)),
        (gate_maps({"candidate": np.full((3, 2), 0.1)}), (-1.0, 1.0)),
        (gate_maps({"forget": np.full((3, 2), 0.4)}), (0.0, 1.0)),
        (gate_maps({"update": np.full((3, 2), 1.5)}), (0.0, 1.5)),
        (gate_maps({"update": np.array([[np.inf, 0.5], [1.25, np.nan]])}), (0.0, 1.25)),
        (state_maps({"c": np.array([[-np.inf, 0.5], [2.5, np.nan]])}), (-2.5, 2.5)),
        (state_maps({"c": np.full((1, 2), np.nan)}), (-1.0, 1.0)),
    ],
)
def test_colours_have_fixed_ranges_that_no_value_leaves(maps, limits):
    (heat,) = maps
    assert (heat.low, heat.high) == limits
    mesh = meshes(figure(time=np.arange(len(heat.values)), lines=[], maps=maps))
    assert mesh[0].get_clim() == limits


def test_all_panels_share_one_time_axis_that_ends_where_the_data_ends():
    drawn = figure()
    panels = [drawn.axes[0], *(mesh.axes for mesh in meshes(drawn))]
    expected = matplotlib.dates.date2num(edges(HOURS)[[0, -1]])
    for axes in panels:
        assert axes.get_xlim() == tuple(expected)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ([0, 1, 2], [-0.5, 0.5, 1.5, 2.5]),
        ([0.0, 1.0, 3.0], [-0.5, 0.5, 2.0, 4.0]),
        ([5], [4.5, 5.5]),
        ([0.25], [-0.25, 0.75]),
    ],
)
def test_edges_lie_between_the_steps(time, expected):
    np.testing.assert_allclose(edges(np.array(time)), expected)


@pytest.mark.parametrize("unit", ["D", "h", "m", "s", "ms", "us", "ns"])
@pytest.mark.parametrize("step", [2, 6, 250])
def test_edges_of_dates_lie_half_a_step_from_them(unit, step):
    one = np.timedelta64(step, unit)
    time = np.datetime64("2024-02-29T12", unit) + np.arange(4) * one
    borders = edges(time)
    np.testing.assert_array_equal((borders[1:] - borders[:-1]) / one, 1.0)
    np.testing.assert_array_equal((time - borders[:-1]) / one, 0.5)


@pytest.mark.parametrize("unit", ["D", "h", "s", "ms"])
def test_the_edges_of_a_single_date_are_half_a_second_from_it(unit):
    time = np.array(["2024-02-29"], f"M8[{unit}]")
    half = np.timedelta64(500, "ms")
    np.testing.assert_array_equal(edges(time), [time[0] - half, time[0] + half])


@pytest.mark.parametrize("time", [np.array([7]), HOURS[:1]])
def test_a_single_step_is_drawn_in_the_middle_of_its_cell(time):
    lines = [Lines("a", "", [Line("b", np.ones(1))])]
    drawn = figure(time=time, lines=lines, maps=state_maps({"h": np.ones((1, 2))}))
    (line,) = drawn.axes[0].get_lines()
    left, right = drawn.axes[0].get_xlim()
    assert line.get_xdata(orig=False) == pytest.approx([(left + right) / 2])
    below = drawn.axes[1]
    assert [label.get_text() for label in below.get_xticklabels()] == [str(time[0])]


def test_it_is_1400_pixels_wide_and_a_png(tmp_path):
    path = tmp_path / "states.png"
    figure().savefig(path)
    assert matplotlib.image.imread(path).shape[1] == 1400


def test_settings_of_matplotlib_stay_as_they_are():
    before = dict(matplotlib.rcParams)
    figure()
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lines": [], "maps": []}, "nothing to draw"),
        ({"lines": [Lines("a", "", [Line("b", np.ones(3))])]}, 'line "b" has shape'),
        ({"maps": [HeatMap("a", np.ones((3, 2)), 0, 1, "viridis")]}, '"a" has shape'),
        ({"maps": [HeatMap("a", np.ones((1, STEPS, 2)), 0, 1, "viridis")]}, "one sequence of a"),
        ({"order": [0, 1, 2, 3]}, "order does not name"),
        ({"order": [0, 1, 2, 3, 3]}, "order does not name"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, says):
    with pytest.raises(InputError, match=says):
        figure(**changes)


def test_numbers_as_time_are_steps():
    drawn = figure(time=np.arange(STEPS))
    assert "time step" in [axes.get_xlabel() for axes in drawn.axes]
