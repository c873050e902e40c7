// Filling the plots, which are empty when Bokeh shows them.

const HOVERED = "#222222";
const PINNED = [
  "#0077bb", "#cc3311", "#009988", "#ee7733", "#aa3377",
  "#33bbee", "#999933", "#882255", "#666666", "#117733",
];

let bokeh; // the document that holds the plots
const model = (name) => bokeh.get_model_by_name(name);
const source = (name) => model(name);
const plotsOfLines = ["units", ...about.series.map((_, number) => `series-${number}`)];

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
  for (const name of ["heat", ...plotsOfLines]) {
    const plot = model(name);
    plot.visible = visible.includes(name);
    if (name !== "heat") model(`${name}_keys`).visible = plot.visible;
    for (const axis of plot.below) {
      const ofDates = axis.name === "dates";
      if (!ofDates && axis.name !== "steps") continue;
      axis.visible = ofDates === time.dated && (name === "heat" || name === last);
      // Dates say themselves what they are.
      axis.axis_label = name === last && !ofDates ? time.label : null;
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
  // Also what is infinite gets the colour of what is no number.
  image.forEach((value, place) => {
    if (!Number.isFinite(value)) image[place] = NaN;
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

function endsOf(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

// From the lowest to the highest of all lines, with some air.
function reach(lines) {
  const ends = lines.map(endsOf);
  const low = Math.min(...ends.map(([low]) => low));
  const high = Math.max(...ends.map(([, high]) => high));
  if (!(low <= high)) return [0, 1];
  const air = 0.06 * (high - low) || 0.5;
  return [low - air, high + air];
}

// From 0, the lowest of its values, to 1, the highest; one that never moves lies in the middle.
function inItsOwnRange(values) {
  const [low, high] = endsOf(values);
  return values.map((value) => (high > low ? (value - low) / (high - low) : value - low + 0.5));
}

// Lines have gaps where the steps don't count, and where there is no finite number.
function drawLines(name, lines, time, runs, own = false) {
  const xs = Array.from({ length: time.steps }, (_, step) => time.at(step));
  const kept = lines.map(({ values }) => {
    const known = Float64Array.from(values, (value) => (Number.isFinite(value) ? value : NaN));
    for (const [first, past] of runs) known.fill(NaN, first, past);
    return known;
  });
  const shown = own ? kept.map(inItsOwnRange) : kept;
  source(`${name}_lines`).data = {
    xs: lines.map(() => xs),
    ys: shown,
    values: kept,
    name: lines.map((line) => line.name),
    color: lines.map((line) => line.color),
    width: lines.map((line) => line.width ?? 1.5),
  };
  setRange(`${name}_values`, ...reach(shown));
}
