"""Titles and legends of line panels: all is said, and nothing lies on anything else."""

import numpy as np
import pytest

from seqstate.plots import Line, Lines, states_figure

LONG = "change since the same hour of the day before, in degrees"


@pytest.mark.parametrize(
    "labels",
    [
        ["alone"],
        ["a", "b"],
        ["feature 0", "feature 1", "feature 2", "feature 3", "feature 4", "feature 5"],
        ["temperature", LONG, "hour of the day, sine", "hour of the day, cosine"],
        [LONG + str(one) for one in range(6)],
        [LONG * 3, "b"],
        ["$x$ and $", "_hidden", "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMM", "WWWWWWWWWWWWWWWWWWWWWWWWWW"],
    ],
)
@pytest.mark.parametrize("width", [8.0, 14.0])
@pytest.mark.parametrize("scale", [1.0, 1e8])
def test_the_names_of_all_lines_are_shown_and_cover_nothing(labels, width, scale):
    lines = [Line(label, scale * np.arange(4.0)) for label in labels]
    other = Lines("the panel above", "", [Line("x", np.arange(4.0))])
    figure = states_figure(
        np.arange(4), [other, Lines("the title", "unit", lines)], [], "Title", width=width
    )
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    above, axes = figure.axes
    legend = axes.get_legend()
    title = next(one for one in (axes.title, axes._left_title) if one.get_text())
    assert title.get_text() == "the title"
    if len(labels) == 1:
        assert legend is None
        return
    # Dollar signs are no formulas.
    assert not any(text.get_parse_math() for text in (title, *legend.get_texts()))
    said = [text.get_text() for text in legend.get_texts()]
    for text, label in zip(said, labels, strict=True):
        assert text == label or (text.endswith("…") and label.startswith(text[:-1]))
        assert len(text) >= min(len(label), 50)
    colors = [handle.get_color() for handle in legend.get_lines()]
    assert colors == [line.get_color() for line in axes.get_lines()[-len(labels) :]]
    box = legend.get_window_extent(renderer)
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1
    assert box.y0 >= axes.get_window_extent(renderer).y1 - 1
    assert box.y1 <= above.get_window_extent(renderer).y0
    keys = [key.get_window_extent(renderer) for key in (*legend.get_texts(), *legend.get_lines())]
    power = axes.yaxis.get_offset_text()
    others = [title, *([power] if power.get_text() else [])]
    for other_box in (one.get_window_extent(renderer) for one in others):
        assert not any(other_box.overlaps(key.padded(2)) for key in keys)
