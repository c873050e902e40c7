// Filling the plots, which are empty when Bokeh shows them.

const HOVERED = "#222222";
const PINNED = [
  "#0077bb", "#cc3311", "#009988", "#ee7733", "#aa3377",
  "#33bbee", "#999933", "#882255", "#666666", "#117733",
];

let bokeh; // the document that holds the plots
const model = (name) => bokeh.get_model_by_name(name);
const source = (name) => model(name);

// Also where the reset tool goes back to.
function setRange(name, start, end) {
  model(name).setv({ start, end, reset_start: start, reset_end: end });
}

function drawTime(time) {
  setRange("time", time.edge(0), time.edge(time.steps));
}

function drawMask(time, runs) {
  source("masked").data = {
    x0: runs.map(([first]) => time.edge(first)),
    x1: runs.map(([, past]) => time.edge(past)),
  };
}

// The heat map and the lowest of the plots show the time; `visible` is from the top down.
function drawAxes(time, visible) {
  const last = visible.at(-1);
  for (const plot of model("plots").children) {
    const { name } = plot;
    plot.visible = visible.includes(name);
    for (const axis of plot.below) {
      const ofDates = axis.name === "dates";
      if (!ofDates && axis.name !== "steps") continue;
      axis.visible = ofDates === time.dated && (name === "heat" || name === last);
      axis.axis_label = name === last ? time.label : null;
      if (ofDates === time.dated) model(`${name}_grid`).axis = axis;
    }
  }
}

function drawCells(view, order, time, { low, high, palette }) {
  const { units, steps, values } = view;
  const image = new Float32Array(units * steps);
  order.forEach((unit, row) => {
    image.set(values.subarray(unit * steps, (unit + 1) * steps), row * steps);
  });
  const { ndarray } = Bokeh.require("core/util/ndarray");
  model("colors").setv({ low, high, palette });
  source("cells").data = {
    image: [ndarray(image, { dtype: "float32", shape: [units, steps] })],
    x: [time.edge(0)],
    y: [-0.5],
    dw: [steps * time.step],
    dh: [units],
  };
}

function drawRows(units) {
  setRange("rows", units - 0.5, -0.5); // the first unit is at the top
}

function drawPins(pins, order) {
  const rows = pins.map((unit) => order.indexOf(unit));
  source("pinned_rows").data = {
    y0: rows.map((row) => row - 0.5),
    y1: rows.map((row) => row + 0.5),
    color: rows.map((_, place) => PINNED[place % PINNED.length]),
  };
}

// From the lowest to the highest of all lines, with some air.
function reach(lines) {
  let [low, high] = [Infinity, -Infinity];
  for (const values of lines) {
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (!(low <= high)) return [0, 1];
  const air = 0.06 * (high - low) || 0.5;
  return [low - air, high + air];
}

// Lines have gaps where the steps don't count.
function drawLines(name, lines, time, runs) {
  const xs = Array.from({ length: time.steps }, (_, step) => time.at(step));
  const shown = lines.map(({ values }) => {
    const kept = Float64Array.from(values);
    for (const [first, past] of runs) kept.fill(NaN, first, past);
    return kept;
  });
  source(`${name}_lines`).data = {
    xs: lines.map(() => xs),
    ys: shown,
    name: lines.map((line) => line.name),
    color: lines.map((line) => line.color),
    width: lines.map((line) => line.width ?? 1.5),
  };
  // One line is named by the title.
  model(`${name}_legend`).visible = name === "units" || lines.length > 1;
  setRange(`${name}_values`, ...reach(shown));
}
