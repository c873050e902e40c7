"""The plots of the page, empty: `page/explorer.js` fills them with what is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bokeh.embed import json_item
from bokeh.layouts import column
from bokeh.models import (
    BasicTicker,
    BoxZoomTool,
    ColorBar,
    ColumnDataSource,
    CrosshairTool,
    CustomJSHover,
    CustomJSTickFormatter,
    DatetimeAxis,
    HoverTool,
    InlineStyleSheet,
    LinearColorMapper,
    Pane,
    PanTool,
    Range1d,
    ResetTool,
    Span,
    WheelZoomTool,
)
from bokeh.models.dom import HTML
from bokeh.palettes import RdBu11, Viridis256, interp_palette
from bokeh.plotting import figure

from seqstate.plots.scales import FRACTION, NOT_A_NUMBER, SIGNED, Scale, colors

# By the name that the colours have in matplotlib. An odd number: the one in the middle is zero's.
_PALETTES = {SIGNED: interp_palette(RdBu11, 255), FRACTION: Viridis256}
_SCALES: tuple[Scale, ...] = ("tanh", "gate", "open")

_MASKED = {"fill_color": "#d9d9d9", "line_color": None, "hatch_color": "#b0b0b0"}
# Of the frames, without axes and titles, in pixels.
_HEAT_HEIGHT, _UNITS_HEIGHT, _SERIES_HEIGHT = 290, 120, 76


def palettes() -> dict[str, list[str]]:
    """Give the colours of each scale, from the low end to the high one."""
    return {scale: list(_PALETTES[colors(scale)]) for scale in _SCALES}


def plots(element: str, series: int) -> Any:
    """Give the plots as what `Bokeh.embed.embed_item` takes.

    Args:
        element: the id of the element of the page that they are shown in.
        series: how many inputs and outputs there are; each has a plot of its own.
    """
    time = Range1d(0, 1, name="time")
    cursor = Span(dimension="height", line_color="#333333", line_dash="dotted", line_width=1)
    masked = ColumnDataSource({"x0": [], "x1": []}, name="masked")
    heights = {"units": _UNITS_HEIGHT, **{f"series-{i}": _SERIES_HEIGHT for i in range(series)}}
    lines = {name: _lines(name, time, height) for name, height in heights.items()}
    drawn = [_heat(time), *lines.values()]
    for plot in drawn:
        plot.vstrip(x0="x0", x1="x1", source=masked, level="annotation", **_MASKED)
        plot.renderers[-1].glyph.update(hatch_pattern="/", fill_alpha=0.9, hatch_alpha=0.9)
        plot.add_tools(CrosshairTool(overlay=cursor))
    rows = [drawn[0], *(one for name, plot in lines.items() for one in (_keys(name), plot))]
    return json_item(column(rows, sizing_mode="stretch_width", name="plots"), element)


def _keys(name: str) -> Pane:
    """Give the place over a plot for its title and the names of its lines."""
    style = InlineStyleSheet(css=_page("keys.css"))
    place = HTML(html='<div class="keys" role="group"></div>')
    return Pane(elements=[place], name=f"{name}_keys", stylesheets=[style])


def _plot(name: str, time: Range1d, height: int, **settings: Any) -> figure:
    zoom = WheelZoomTool(dimensions="width", modifiers="ctrl")
    plot = figure(
        name=name,
        frame_height=height,
        sizing_mode="stretch_width",
        x_range=time,
        tools=[BoxZoomTool(), PanTool(), zoom, ResetTool()],
        toolbar_location="right" if name == "heat" else None,
        min_border_left=62,
        min_border_right=90,
        outline_line_color="#cccccc",
        **settings,
    )
    plot.toolbar.logo = None
    plot.toolbar.active_drag = plot.tools[0]
    plot.toolbar.active_scroll = zoom
    plot.grid.grid_line_color = "#eeeeee"
    plot.yaxis.update(axis_label_text_font_style="normal", axis_label_text_font_size="12px")
    dated = DatetimeAxis(name="dates", visible=False, axis_label_text_font_style="normal")
    plot.add_layout(dated, "below")
    plot.xgrid.name = f"{name}_grid"
    plot.axis.minor_tick_line_color = None
    steps = plot.xaxis[0]
    steps.update(name="steps", axis_label_text_font_style="normal")
    steps.formatter = CustomJSTickFormatter(code=_script("tick_of_time"))
    return plot


def _heat(time: Range1d) -> figure:
    plot = _plot(
        "heat", time, _HEAT_HEIGHT, y_range=Range1d(0.5, -0.5, name="rows"), y_axis_label="unit"
    )
    plot.grid.visible = False
    plot.yaxis[0].ticker = BasicTicker(min_interval=1, desired_num_ticks=10)
    plot.yaxis[0].formatter = CustomJSTickFormatter(code=_script("tick_of_unit"))
    mapper = LinearColorMapper(palette=["#000000"], low=0, high=1, name="colors")
    mapper.nan_color = NOT_A_NUMBER
    cells = ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []}, name="cells")
    image = plot.image(
        image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=mapper, source=cells
    )
    rows = ColumnDataSource({"y0": [], "y1": [], "color": []}, name="pinned_rows")
    # White beneath, so that the line can be seen on every colour of the map.
    for color, width in (("white", 5), ("color", 2)):
        plot.hstrip(
            y0="y0", y1="y1", source=rows, fill_color=None, line_color=color, line_width=width
        )
    bar = ColorBar(
        color_mapper=mapper,
        name="bar",
        width=12,
        padding=6,
        ticker=BasicTicker(desired_num_ticks=5),
        bar_line_color="#cccccc",
    )
    plot.add_layout(bar, "right")
    names = ("layer", "quantity", "unit", "time", "value")
    tell = CustomJSHover(code=_script("tell"))
    plot.add_tools(
        HoverTool(
            name="cell",
            renderers=[image],
            tooltips=[(name, f"$x{{{name}}}") for name in names],
            formatters={"$x": tell},
            point_policy="follow_mouse",
        )
    )
    return plot


def _lines(name: str, time: Range1d, height: int) -> figure:
    plot = _plot(name, time, height, y_range=Range1d(0, 1, name=f"{name}_values"))
    plot.yaxis[0].ticker = BasicTicker(desired_num_ticks=4)
    columns = ("xs", "ys", "values", "name", "color", "width")
    source = ColumnDataSource({column: [] for column in columns}, name=f"{name}_lines")
    lines = plot.multi_line(
        "xs", "ys", source=source, line_color="color", line_width="width", line_join="round"
    )
    tell = CustomJSHover(code=_script("tell_line"))
    hover = HoverTool(
        renderers=[lines],
        line_policy="nearest",
        tooltips=[("", "@name"), ("time", "$snap_x{time}"), ("value", "@values{value}")],
        formatters={"$snap_x": tell, "@values": tell},
    )
    plot.add_tools(hover)
    return plot


def _script(name: str) -> str:
    return _page(f"{name}.js")


def _page(name: str) -> str:
    return (Path(__file__).parent / "page" / name).read_text(encoding="utf-8")
