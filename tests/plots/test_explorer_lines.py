"""The lines of the explorer in a real browser: their names, ranges and gaps, and their times."""

import numpy as np
import pytest

from explorer_page import Explorer
from seqstate.traces import LayerTrace, Trace

pytest_plugins = ["browser"]

SAMPLES, STEPS, UNITS = 2, 20, 7
RNG = np.random.default_rng(0)
H = RNG.uniform(-0.9, 0.9, (SAMPLES, STEPS, UNITS)).astype("float32")
X = (RNG.normal(size=(SAMPLES, STEPS, 4)) * [1, 1000, 0.001, 0]).astype("float32")
Y = RNG.normal(size=(SAMPLES, STEPS, 24)).astype("float32")
FEATURES = [
    "temperature, °C",
    "change since the same hour of the day before, in degrees and in full",
    "<b>sine</b>",
    "constant",
]
HOURS = [f"+{hour} h" for hour in range(1, 25)]


def trace(h=H, inputs=X, outputs=Y, mask=None):
    found = {"states": {"h": h}, "gates": {"forget": np.abs(h)}}
    return Trace("tiny", inputs, outputs, {"lstm": LayerTrace("lstm", "LSTM", found, mask)})


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "states.html"
    return trace().to_html(path, features=FEATURES, outputs=HOURS)


@pytest.fixture
def explorer(open_page, written):
    return Explorer(open_page(written))


def keys(explorer, title):
    return explorer.page.get_by_role("group", name=title)


def key(explorer, title, name):
    return keys(explorer, title).get_by_role("button", name=name, exact=True)


def shown(explorer, title):
    pressed = keys(explorer, title).locator("button[aria-pressed='true']:not(.own)")
    return pressed.all_inner_texts()


def test_lines_have_the_names_that_were_given(explorer):
    assert keys(explorer, "Input").locator("button:not(.own)").all_inner_texts() == FEATURES
    assert explorer.lines("series-0") == {
        name: X[0, :, place].tolist() for place, name in enumerate(FEATURES)
    }


def test_of_many_lines_the_first_are_shown_and_others_can_be_chosen(explorer):
    title = "Output: 24 features"
    assert keys(explorer, title).locator("button:not(.own)").all_inner_texts() == HOURS
    assert shown(explorer, title) == list(explorer.lines("series-1")) == HOURS[:8]
    for name in ("+2 h", "+24 h"):
        key(explorer, title, name).click()
    wanted = [HOURS[place] for place in (0, 2, 3, 4, 5, 6, 7, 23)]
    assert shown(explorer, title) == wanted
    explorer.choose(sample=1)
    explorer.wait_for("lstm", "states/h", "sample 1")
    assert explorer.lines("series-1") == {
        name: Y[1, :, HOURS.index(name)].tolist() for name in wanted
    }


def test_a_click_on_a_name_hides_the_line_and_the_axis_fits_those_that_are_left(explorer):
    large = key(explorer, "Input", FEATURES[1])
    large.click()
    assert large.get_attribute("aria-pressed") == "false"
    assert list(explorer.lines("series-0")) == [FEATURES[place] for place in (0, 2, 3)]
    low, high = explorer.page.evaluate(RANGE)
    left = X[0, :, [0, 2, 3]].astype(float)
    assert (low, high) == pytest.approx((left.min(), left.max()), abs=0.1 * np.ptp(left))
    large.press("Enter")  # it kept the focus
    assert large.get_attribute("aria-pressed") == "true"
    assert list(explorer.lines("series-0")) == FEATURES


RANGE = """() => {
    const values = Bokeh.documents[0].get_model_by_name("series-0_values");
    return [values.start, values.end];
}"""


def test_each_line_can_have_its_own_range_and_still_says_its_values(explorer):
    key(explorer, "Input", "own ranges").click()
    drawn = explorer.lines("series-0")
    for place, name in enumerate(FEATURES[:3]):
        values = X[0, :, place].astype(float)
        np.testing.assert_allclose(drawn[name], (values - values.min()) / np.ptp(values))
    assert drawn["constant"] == [0.5] * STEPS
    for name in (FEATURES[0], FEATURES[2], FEATURES[3]):
        key(explorer, "Input", name).click()
    left, top, width, height = explorer.frame("series-0")
    low, high = explorer.page.evaluate(RANGE)
    step = 7
    y = (high - drawn[FEATURES[1]][step]) / (high - low)
    explorer.page.mouse.move(left + (step + 0.5) / STEPS * width, top + y * height)
    said = explorer.page.locator(".bk-tooltip-row-value:visible")
    said.first.wait_for()
    name, time, value = said.all_inner_texts()
    assert (name, time) == (FEATURES[1], str(step))
    assert np.float32(value) == X[0, step, 1]
    key(explorer, "Input", "own ranges").click()
    assert explorer.lines("series-0") == {FEATURES[1]: X[0, :, 1].tolist()}


def test_a_pin_is_taken_away_at_its_name(explorer):
    explorer.page.locator("#units tr[data-unit='6']").click()
    title = "Units of states/h: the one under the mouse, and those pinned"
    assert "unit 6" in explorer.lines("units")
    explorer.hover(3, 10)
    assert keys(explorer, title).get_by_role("button").all_inner_texts() == ["unit 6", "unit 3"]
    assert key(explorer, title, "unit 3").is_disabled()
    key(explorer, title, "unit 6").click()
    assert list(explorer.lines("units")) == ["unit 3"]
    assert explorer.page.get_by_role("button", name="Clear pins").is_disabled()


def test_two_quick_clicks_pin_two_units(explorer):
    # However slow this machine is, the second click counts as quick.
    explorer.page.evaluate(
        "() => { Bokeh.require('core/ui_gestures').UIGestures.doubletap_threshold = 1e6; }"
    )
    for row in (1, 4):
        explorer.page.mouse.click(*explorer.place(row, 5, UNITS, STEPS))
    pressed = explorer.page.locator("#units tbody button[aria-pressed='true']")
    assert sorted(pressed.all_inner_texts()) == ["1", "4"]


BOXES = """() => {
    const box = (element) => {
        const {left, right, top, bottom} = element.getBoundingClientRect();
        return [left, right, top, bottom];
    };
    const view = (name) => Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name(name));
    const names = ["units", "series-0", "series-1"];
    const keys = names.map((name) => view(`${name}_keys`).shadow_el.querySelector(".keys"));
    return {
        keys: keys.map(box),
        buttons: keys.map((one) => [...one.children].map(box)),
        plots: names.map((name) => box(view(name).el)),
        heat: box(view("heat").el),
        help: box(document.querySelector(".help")),
    };
}"""


@pytest.mark.parametrize("size", [(1400, 1000), (1400, 900), (1000, 800), (700, 800)])
def test_the_names_lie_over_their_plot_and_cover_nothing(open_page, written, size):
    page = open_page(written, *size)
    boxes = page.evaluate(BOXES)
    above = boxes["heat"]
    for names, buttons, plot in zip(boxes["keys"], boxes["buttons"], boxes["plots"], strict=True):
        for left, right, top, bottom in buttons:
            assert names[0] <= left < right <= names[1]
            assert names[2] <= top < bottom <= names[3]
        assert above[3] <= names[2]
        assert names[3] <= plot[2]
        above = plot
    assert above[3] <= boxes["help"][2]
    assert page.evaluate("() => document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize("dated", [True, False])
def test_the_time_is_named_right_under_its_axis_where_it_does_not_say_so_itself(
    open_page, tmp_path, dated
):
    time = np.arange(STEPS) + (np.datetime64("2024-02-29", "h") if dated else 0)
    page = open_page(trace().to_html(tmp_path / "a.html", time=time))
    labels = page.evaluate("""() => {
        const plot = Bokeh.documents[0].get_model_by_name("series-1");
        return plot.below.filter((axis) => axis.visible && "ticker" in axis)
            .map((axis) => axis.axis_label);
    }""")
    assert labels == [None if dated else "time"]
    frame, boxes = Explorer(page).frame("series-1"), page.evaluate(BOXES)
    # The numbers of the axis, a line of years or the label, and nothing below.
    assert boxes["plots"][-1][3] - (frame[1] + frame[3]) < 50


def test_what_is_not_finite_is_black_in_maps_a_gap_in_lines_and_counted(open_page, tmp_path):
    h, y = H.copy(), Y.copy()
    h[0, 5:9, 2] = np.nan
    h[0, 6, 3], h[0, 6, 4] = np.inf, -np.inf
    h[0, 19] = np.nan  # which does not count
    y[0, 3, 1] = np.nan
    mask = np.ones((SAMPLES, STEPS), bool)
    mask[0, 19] = False
    explorer = Explorer(open_page(trace(h, outputs=y, mask=mask).to_html(tmp_path / "a.html")))
    meaning = explorer.page.locator("#meaning")
    assert "Black: not a finite number (NaN or infinite), 6 of 140 values." in meaning.inner_text()
    assert "colours from -1 to 1" in meaning.inner_text()
    seen = explorer.pictures_of_cells(UNITS, STEPS)
    black = (seen == 0).all(axis=-1)
    np.testing.assert_array_equal(black[:, :19], ~np.isfinite(h[0].T)[:, :19])
    for row, step, value in [(2, 5, "NaN"), (3, 6, "Infinity"), (4, 6, "-Infinity")]:
        assert explorer.hover(row, step)["value"] == value
    explorer.hover(2, 10)
    finite = np.where(np.isfinite(h[0, :, 2]), h[0, :, 2].astype(object), None)
    assert explorer.lines("units") == {"unit 2": finite.tolist()}
    known = h[0, :19, 2][np.isfinite(h[0, :19, 2])]
    (row,) = [row for row in explorer.table() if row[0] == "2"]
    assert row[4] == f"{known.min():.2f} to {known.max():.2f}"
    assert keys(explorer, "Output: 24 features (gaps: not a finite number)").count() == 1
    assert keys(explorer, "Input").count() == 1
    small = explorer.page.evaluate("""() => {
        const canvas = document.getElementById("small-0-0");
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.filter((_, place) => place % 4 === 0).reduce((sum, red) => sum + !red, 0);
    }""")
    assert small > 0
    explorer.choose(sample=1)
    explorer.wait_for("lstm", "states/h", "sample 1")
    assert "Black" not in meaning.inner_text()
    assert keys(explorer, "Output: 24 features").count() == 1


def test_a_state_that_is_never_finite_is_shown_too(open_page, tmp_path):
    one = trace(np.full_like(H, np.nan))
    explorer = Explorer(open_page(one.to_html(tmp_path / "a.html")))
    assert "140 of 140 values" in explorer.page.locator("#meaning").inner_text()
    dash = "\N{EN DASH}"
    assert explorer.table() == [[str(unit), dash, dash, dash, dash, ""] for unit in range(UNITS)]
    explorer.choose(order="by correlation", reach="for 98% of the values")
    assert "colours from -1 to 1" in explorer.page.locator("#meaning").inner_text()


def test_vectors_are_no_series_and_ids_are(open_page, tmp_path):
    ids = np.arange(SAMPLES * STEPS).reshape(SAMPLES, STEPS)
    one = trace(inputs=ids, outputs=ids.astype("float32"))
    explorer = Explorer(open_page(one.to_html(tmp_path / "a.html", samples=[1])))
    assert explorer.lines("series-0") == {"input": ids[1].tolist()}
    assert keys(explorer, "Input: ids").get_by_role("button").count() == 0
    assert explorer.page.get_by_role("group", name="Output").count() == 0


def test_an_only_sample_is_called_so(open_page, tmp_path):
    one = trace(H[:1], X[:1], Y[:1])
    page = open_page(one.to_html(tmp_path / "a.html"))
    assert "1 recurrent layer; the only sample is in this file." in page.inner_text("header")


def test_times_closer_than_a_millisecond_are_told_apart(open_page, tmp_path):
    time = np.datetime64("2024-02-29T12:00:00.000000", "us") + 250 * np.arange(STEPS)
    explorer = Explorer(open_page(trace().to_html(tmp_path / "a.html", time=time)))
    said = [explorer.hover(1, step)["time"] for step in (0, 1, 5, 19)]
    assert said == [str(time[step]).replace("T", " ") for step in (0, 1, 5, 19)]
