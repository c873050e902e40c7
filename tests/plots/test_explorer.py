"""The explorer in a real browser: what it shows is what the arrays hold."""

import numpy as np
import pytest

from explorer_page import Explorer
from seqstate.plots.explorer.figures import palettes
from seqstate.plots.units import order_of_units, saturation
from seqstate.traces import LayerTrace, Trace

pytest_plugins = ["browser"]

SAMPLES, STEPS, UNITS = 3, 20, 7
PATHS = ["states/h", "states/c", "gates/input", "gates/forget", "gates/candidate", "gates/output"]
MASK = np.arange(STEPS) < np.array([20, 14, 20])[:, None]
HOURS = np.datetime64("2024-02-28T21", "h") + np.arange(STEPS)


def lstm(name, seed, steps=STEPS, units=UNITS, mask=None):
    rng = np.random.default_rng(seed)
    shape = (SAMPLES, steps, units)
    # Slow and with a phase of its own in each unit, so that the order by correlation says much.
    phase = rng.uniform(0, 6, (SAMPLES, 1, units))
    wave = np.sin(np.arange(steps)[None, :, None] / 4 + phase) * rng.uniform(0.5, 4, units)
    signed = np.tanh(wave + 0.2 * rng.normal(size=shape)).astype(np.float32)
    signed[:, :, 2] = 0.25
    gates = {
        gate: (1 / (1 + np.exp(-5 * wave - rng.normal(size=shape)))).astype(np.float32)
        for gate in ("input", "forget", "output")
    }
    found = {
        "sequence": signed,
        "states": {"h": signed, "c": (3 * wave).astype(np.float32)},
        "gates": {
            "input": gates["input"],
            "forget": gates["forget"],
            "candidate": signed[:, ::-1],
            "output": gates["output"],
        },
    }
    return LayerTrace(name, "LSTM", found, mask)


LAYERS = {
    "encoder/lstm": lstm("encoder/lstm", 0, mask=MASK),
    "decoder": lstm("decoder", 1, steps=9, units=4),
}
INPUTS = np.random.default_rng(2).normal(size=(SAMPLES, STEPS, 2)).astype(np.float32)
TRACE = Trace("translator", INPUTS, LAYERS["decoder"].sequence[:, :, :1], LAYERS)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return TRACE.to_html(tmp_path_factory.mktemp("explorer") / "states.html", time=HOURS)


@pytest.fixture
def explorer(open_page, written):
    return Explorer(open_page(written))


def values_of(layer, path, sample):
    return LAYERS[layer].over_time()[path][sample]


def test_a_reader_sees_at_once_what_the_page_is(explorer):
    page = explorer.page
    assert page.title() == "States of translator"
    assert page.locator("h1").inner_text() == "States of translator"
    assert "2 recurrent layers; 3 of 3 samples" in page.locator("header").inner_text()
    assert page.locator("#shown").inner_text() == "encoder/lstm · states/h · sample 0"
    for plot in ("heat", "units", "series-0"):
        assert explorer.frame(plot)[2] > 600


# layer, quantity, sample, order
VIEWS = [
    ("encoder/lstm", "states/h", 0, "as stored"),
    ("encoder/lstm", "states/c", 2, "by correlation"),
    ("encoder/lstm", "gates/forget", 1, "by saturation"),
    ("decoder", "gates/candidate", 1, "by correlation"),
]


@pytest.mark.parametrize(("layer", "path", "sample", "order"), VIEWS)
def test_every_cell_says_and_shows_the_value_of_the_array(explorer, layer, path, sample, order):
    values = values_of(layer, path, sample)
    steps, units = values.shape
    counts = MASK[sample] if layer == "encoder/lstm" else np.ones(steps, bool)
    explorer.choose_layer(layer)
    explorer.choose(quantity=path, sample=sample, order=order)
    explorer.wait_for(layer, path, f"sample {sample}")
    rows = order_of_units(values, order.split()[-1], path, counts)

    for row in range(units):
        for step in {0, steps - 1} if row in (0, units - 1) else {(5 * row) % steps}:
            said = explorer.hover(row, step, units, steps)
            assert said["layer"] == layer
            assert said["quantity"] == path
            assert said["unit"] == str(rows[row])
            number, _, masked = said["value"].partition(" ")
            assert np.float32(number) == values[step, rows[row]]
            assert masked == ("" if counts[step] else "(masked)")
            time = str(HOURS[step]).replace("T", " ") + ":00" if steps == STEPS else str(step)
            assert said["time"] == time

    scale = "gate" if path == "gates/forget" else "tanh"
    palette = np.array(
        [[int(color[place : place + 2], 16) for place in (1, 3, 5)] for color in palettes()[scale]]
    )
    reach = np.abs(LAYERS[layer].over_time()[path]).max() if path.endswith("c") else 1.0
    low = 0.0 if scale == "gate" else -reach
    place = (values.T[rows] - low) / (reach - low) * len(palette)
    expected = palette[np.clip(place.astype(int), 0, len(palette) - 1)] / 255
    expected[:, ~counts] = 0xD9 / 255
    seen = explorer.pictures_of_cells(units, steps)
    assert np.abs(seen - expected)[:, counts].max() < 0.03
    # The hatching of masked steps may run through the middle of a cell.
    assert np.abs(seen - expected)[:, ~counts].max(initial=0) < 0.2


def test_a_click_on_a_small_map_shows_that_layer_and_quantity(explorer):
    small = explorer.page.get_by_role("group", name="decoder").get_by_role("button")
    small.filter(has_text="gates/output").click()
    explorer.wait_for("decoder", "gates/output", "sample 0")
    assert small.filter(has_text="gates/output").get_attribute("aria-pressed") == "true"
    assert explorer.page.get_by_label("Layer", exact=True).input_value() == "1"
    said = explorer.hover(3, 8, 4, 9)
    assert np.float32(said["value"]) == values_of("decoder", "gates/output", 0)[8, 3]


def test_a_held_order_stays_when_something_else_is_chosen(explorer):
    explorer.choose(order="by correlation")
    explorer.page.get_by_label("Hold this order").check()
    explorer.choose(quantity="gates/forget", sample=2)
    explorer.wait_for("encoder/lstm", "gates/forget", "sample 2")
    rows = order_of_units(values_of("encoder/lstm", "states/h", 0), "correlation")
    assert [explorer.hover(row, 3)["unit"] for row in range(UNITS)] == [str(unit) for unit in rows]


def test_lines_show_the_unit_under_the_mouse_and_those_pinned(explorer):
    page = explorer.page
    h = values_of("encoder/lstm", "states/h", 0)
    explorer.hover(4, 10)
    assert explorer.lines("units") == {"unit 4": h[:, 4].tolist()}
    page.mouse.click(*explorer.place(1, 5, UNITS, STEPS))
    page.locator("#units tr[data-unit='6']").click()
    explorer.hover(3, 10)
    expected = {f"unit {unit}": h[:, unit].tolist() for unit in (1, 6, 3)}
    assert explorer.lines("units") == expected
    pressed = page.locator("#units tbody button[aria-pressed='true']")
    assert sorted(pressed.all_inner_texts()) == ["1", "6"]
    page.mouse.click(*explorer.place(1, 5, UNITS, STEPS))
    explorer.hover(3, 10)
    assert set(explorer.lines("units")) == {"unit 6", "unit 3"}
    page.get_by_role("button", name="Clear pins").click()
    assert set(explorer.lines("units")) == {"unit 3"}
    assert pressed.count() == 0


def test_pinned_units_are_marked_on_the_map_in_any_order(explorer):
    explorer.page.locator("#units tr[data-unit='6']").click()
    explorer.choose(order="by correlation")
    rows = order_of_units(values_of("encoder/lstm", "states/h", 0), "correlation")
    row = rows.index(6)
    assert explorer.page.evaluate("""() => {
        const {y0, y1} = Bokeh.documents[0].get_model_by_name("pinned_rows").data;
        return [[...y0], [...y1]];
    }""") == [[row - 0.5], [row + 0.5]]


def test_the_last_of_quick_choices_is_shown(explorer):
    explorer.page.evaluate("""() => {
        const sample = document.getElementById("sample");
        for (const place of [1, 2, 1, 0]) {
            sample.value = place;
            sample.dispatchEvent(new Event("change"));
        }
    }""")
    explorer.page.wait_for_timeout(400)
    for row in range(UNITS):
        value = explorer.hover(row, 3)["value"]
        assert np.float32(value) == values_of("encoder/lstm", "states/h", 0)[3, row]


def test_pins_go_with_the_choice_of_sample_and_lines_break_where_masked(explorer):
    explorer.page.mouse.click(*explorer.place(5, 5, UNITS, STEPS))
    explorer.choose(sample=1)
    explorer.wait_for("encoder/lstm", "states/h", "sample 1")
    h = values_of("encoder/lstm", "states/h", 1)
    assert explorer.lines("units")["unit 5"] == with_gaps(h[:, 5])
    assert explorer.lines("series-0") == {
        f"feature {feature}": with_gaps(INPUTS[1, :, feature]) for feature in (0, 1)
    }


def with_gaps(values):
    """The values of sample 1, None where its mask is False."""
    return np.where(MASK[1], values.astype(object), None).tolist()


@pytest.mark.parametrize(("path", "sample"), [("states/h", 0), ("gates/forget", 1)])
def test_the_table_says_what_numpy_says(explorer, path, sample):
    explorer.choose(quantity=path, sample=sample)
    explorer.wait_for("encoder/lstm", path, f"sample {sample}")
    values = values_of("encoder/lstm", path, sample)[MASK[sample]]
    low, high = (0.01, 0.99) if path.startswith("gates") else (-0.99, 0.99)
    below, above = (values < low).mean(axis=0), (values > high).mean(axis=0)
    order = np.lexsort([np.arange(UNITS), -(below + above)])

    def percent(share):
        return f"{100 * share:.1f}%" if share else "\N{EN DASH}"

    expected = [
        [
            str(unit),
            percent(below[unit] + above[unit]),
            percent(below[unit]),
            percent(above[unit]),
            f"{values[:, unit].min():.2f} to {values[:, unit].max():.2f}".replace("-0.00", "0.00"),
            "dead" if np.ptp(values[:, unit]) < 0.001 else "",
        ]
        for unit in order
    ]
    assert explorer.table() == expected
    assert (below + above).any()
    found = saturation(values, path)
    assert f"{(found.share > 0).sum()} are saturated at some step" in explorer.page.inner_text(
        "#counts"
    )
    assert f"below {low} (low) or above {high} (high)" in explorer.page.inner_text("#words")


def test_colours_may_be_kept_for_most_of_the_values(explorer):
    explorer.choose(quantity="states/c", reach="for 98% of the values")
    explorer.wait_for("encoder/lstm", "states/c", "sample 0")
    c = np.sort(np.abs(values_of("encoder/lstm", "states/c", 0)).ravel())
    end = c[round(0.98 * (c.size - 1))]
    low, high = explorer.page.evaluate("""() => {
        const colors = Bokeh.documents[0].get_model_by_name("colors");
        return [colors.low, colors.high];
    }""")
    assert (low, high) == (-end, end)
    assert f"colours from {-end:.3g} to {end:.3g}, the end colours also beyond" in (
        explorer.page.inner_text("#meaning")
    )
    said = explorer.hover(3, 10)
    assert np.float32(said["value"]) == values_of("encoder/lstm", "states/c", 0)[10, 3]


def test_the_table_is_sorted_by_the_column_that_is_clicked(explorer):
    head = explorer.page.locator("#units th")
    head.get_by_role("button", name="unit").click()
    assert [row[0] for row in explorer.table()] == [str(unit) for unit in range(UNITS)]
    assert head.nth(0).get_attribute("aria-sort") == "ascending"
    head.get_by_role("button", name="unit").click()
    assert [row[0] for row in explorer.table()] == [str(unit) for unit in reversed(range(UNITS))]
    head.get_by_role("button", name="dead").click()
    assert explorer.table()[0][0] == "2"


def test_all_plots_zoom_along_time_together_and_come_back(explorer):
    page = explorer.page
    left, top, width, height = explorer.frame("units")
    start, end = explorer.page.evaluate(RANGE)
    # Milliseconds: half an hour before the first step, half an hour after the last.
    half = np.timedelta64(30, "m")
    ends = np.array([HOURS[0] - half, HOURS[-1] + half]).astype("M8[ms]").astype(float)
    assert [start, end] == ends.tolist()
    page.mouse.move(left + 0.25 * width, top + 20)
    page.mouse.down()
    page.mouse.move(left + 0.5 * width, top + height - 20, steps=4)
    page.mouse.up()
    page.wait_for_function(f"() => ({RANGE})()[0] !== {start}")
    assert page.evaluate(RANGE) == pytest.approx(
        [start + 0.25 * (end - start), start + 0.5 * (end - start)], rel=1e-6
    )
    said = explorer.hover(2, 2, UNITS, 5)
    assert said["time"] == str(HOURS[7]).replace("T", " ") + ":00"
    explorer.choose(sample=2)
    explorer.wait_for("encoder/lstm", "states/h", "sample 2")
    assert page.evaluate(RANGE)[0] != start
    explorer.choose_layer("decoder")
    assert page.evaluate(RANGE) == [-0.5, 8.5]


RANGE = """() => {
    const time = Bokeh.documents[0].get_model_by_name("time");
    return [time.start, time.end];
}"""


def test_inputs_and_outputs_are_under_the_layers_whose_time_they_share(explorer):
    shown = "() => Bokeh.documents[0].get_model_by_name('plots').children.map((p) => p.visible)"
    # The map, then the names and the plot of the units, of the input and of the output.
    assert explorer.page.evaluate(shown) == [True, True, True, True, True, False, False]
    explorer.choose_layer("decoder")
    assert explorer.page.evaluate(shown) == [True, True, True, False, False, True, True]
    output = TRACE.outputs[0, :, 0].tolist()
    assert explorer.lines("series-1") == {"output": output}


def one_layer(found, **more):
    return Trace("tiny", np.zeros((1, 1)), None, {"rnn": LayerTrace("rnn", "RNN", found, **more)})


def test_one_step_of_one_unit(open_page, tmp_path):
    values = np.full((1, 1, 1), 0.1, np.float32)
    trace = one_layer({"states": {"h": values}})
    explorer = Explorer(
        open_page(trace.to_html(tmp_path / "a.html", time=np.array(["2024-02-29"], "M8[D]")))
    )
    said = explorer.hover(0, 0, 1, 1)
    assert said == {
        "layer": "rnn", "quantity": "states/h", "unit": "0", "time": "2024-02-29 00:00",
        "value": "0.1",
    }  # fmt: skip


def test_parts_of_a_layer_inside_a_time_distributed_are_a_choice(open_page, tmp_path):
    values = np.random.default_rng(0).uniform(-1, 1, (2, 3, 5, 4)).astype(np.float32)
    trace = one_layer({"states": {"h": values}}, parts=True)
    explorer = Explorer(open_page(trace.to_html(tmp_path / "a.html")))
    explorer.choose(part=2, sample=1)
    explorer.wait_for("rnn", "states/h", "sample 1, part 2")
    for row, step in [(0, 0), (3, 4), (1, 3)]:
        assert np.float32(explorer.hover(row, step, 4, 5)["value"]) == values[1, 2, step, row]


def test_uneven_times_are_named_step_by_step(open_page, tmp_path):
    values = np.random.default_rng(0).uniform(-1, 1, (1, 5, 4)).astype(np.float32)
    times = [0.5, 1.0, 4.0, 4.25, 90.0]
    trace = one_layer({"states": {"h": values}})
    explorer = Explorer(open_page(trace.to_html(tmp_path / "a.html", time=times)))
    assert [explorer.hover(0, step, 4, 5)["time"] for step in range(5)] == [
        "0.5", "1", "4", "4.25", "90",
    ]  # fmt: skip


def test_names_that_look_like_html_are_shown_as_they_are(open_page, tmp_path):
    name = "</script><b>&'\""
    layer = LayerTrace(name, "RNN", {"states": {"h": np.zeros((1, 3, 2), np.float32)}})
    trace = Trace(name, np.zeros((1, 3, 1)), None, {name: layer})
    page = open_page(trace.to_html(tmp_path / "a.html"))
    assert page.locator("h1").inner_text() == f"States of {name}"
    assert page.locator("#shown").inner_text() == f"{name} · states/h · sample 0"


def test_it_fits_a_narrow_window(open_page, written):
    page = open_page(written, width=1000)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 1000
    assert Explorer(page).frame()[2] > 600
