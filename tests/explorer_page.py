"""The explorer as a reader uses it; for tests with `open_page` of `browser`."""

import io

import matplotlib.image
import numpy as np


class Explorer:
    """A page, and how a reader uses it: by the names of the choices, and by places on the map."""

    def __init__(self, page):
        self.page = page

    def choose(self, **choices):
        for name, value in choices.items():
            label = {"order": "Order of units", "reach": "Colours"}.get(name, name.capitalize())
            self.page.get_by_label(label, exact=True).select_option(label=str(value))
        # A choice is shown when its array is unpacked.
        self.page.evaluate("() => new Promise(requestAnimationFrame)")

    def choose_layer(self, name):
        self.choose(layer=f"{name} (LSTM)")
        self.page.wait_for_function(
            "name => document.getElementById('shown').textContent.startsWith(name)", arg=name
        )

    def wait_for(self, *shown):
        self.page.wait_for_function(
            "text => document.getElementById('shown').textContent === text",
            arg=" · ".join(shown),
        )

    def frame(self, plot="heat"):
        """Where the plot's area of data is on the page: left, top, width, height."""
        return self.page.evaluate(
            """name => {
                const view = Bokeh.index.find_one(
                    Bokeh.documents[0].get_model_by_name(name));
                const canvas = view.el.getBoundingClientRect();
                const {left, top, width, height} = view.frame.bbox;
                return [canvas.left + left, canvas.top + top, width, height];
            }""",
            plot,
        )

    def place(self, row, step, rows, steps):
        left, top, width, height = self.frame()
        return left + (step + 0.5) / steps * width, top + (row + 0.5) / rows * height

    def hover(self, row, step, rows=7, steps=20):
        """What the tooltip says at a row, from the top, and a step of the map."""
        self.page.mouse.move(5, 5)
        self.page.mouse.move(*self.place(row, step, rows, steps))
        names = self.page.locator(".bk-tooltip-row-label:visible")
        names.first.wait_for()
        values = self.page.locator(".bk-tooltip-row-value:visible")
        return dict(
            zip(
                [name.strip(": ") for name in names.all_inner_texts()],
                values.all_inner_texts(),
                strict=True,
            )
        )

    def lines(self, plot):
        """The names and values of the lines of a plot; None is a gap."""
        return self.page.evaluate(
            """name => {
                const {data} = Bokeh.documents[0].get_model_by_name(`${name}_lines`);
                return Object.fromEntries([...data.name].map((line, place) => [
                    line,
                    [...data.ys[place]].map((value) => Number.isNaN(value) ? null : value),
                ]));
            }""",
            plot,
        )

    def table(self):
        rows = self.page.locator("#units tbody tr").all()
        return [row.locator("td").all_inner_texts() for row in rows]

    def pictures_of_cells(self, rows, steps):
        """The colour in the middle of each cell, as seen, `[row, step, 3]`."""
        self.page.mouse.move(5, 5)
        picture = matplotlib.image.imread(io.BytesIO(self.page.screenshot()))[..., :3]
        seen = np.empty((rows, steps, 3))
        for row in range(rows):
            for step in range(steps):
                x, y = self.place(row, step, rows, steps)
                seen[row, step] = picture[int(y), int(x)]
        return seen
