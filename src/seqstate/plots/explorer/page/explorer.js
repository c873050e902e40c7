// The choices of the reader, and what follows from each.

const element = (id) => document.getElementById(id);

const chosen = { layer: 0, quantity: 0, sample: 0, part: 0 };
let shown = null; // the view on the page, with its time, order and masked runs
let pins = [];
let hovered = 0;

// ---- what Bokeh asks while the mouse moves ----

const cellAt = (x, y) => ({ step: shown.time.stepAt(x), unit: shown.order[Math.round(y)] });

const seqstate = {
  tickOfTime: (x) => (shown ? shown.time.tick(x) : ""),
  tickOfUnit: (y) => (Number.isInteger(y) ? String(shown?.order[y] ?? "") : ""),
  tell(what, x, y) {
    const { step, unit } = cellAt(x, y);
    if (step === null || unit === undefined) return "";
    return {
      layer: shown.layer.name,
      quantity: shown.quantity.path,
      unit,
      time: shown.time.name(step),
      value: shortest(shown.view.values[unit * shown.view.steps + step]) + (isMasked(step, shown.masked) ? " (masked)" : ""),
    }[what];
  },
  tellLine(what, value, x) {
    const step = shown.time.stepAt(x);
    if (step === null) return "";
    return what === "value" ? shortest(Math.fround(value[step])) : shown.time.name(step);
  },
};
window.seqstate = seqstate;

// ---- what is shown ----

function orderOf(view) {
  const held = element("hold").checked && shown?.layer === about.layers[chosen.layer];
  if (held && shown.order.length === view.units) return shown.order;
  return view.orders[element("order").value];
}

let asked = 0;

async function show() {
  const mine = ++asked;
  const want = { ...chosen };
  const layer = about.layers[want.layer];
  const parts = layer.parts ?? 1;
  const numbers = about.series
    .map((one, number) => ({ ...one, number }))
    .filter((one) => one.steps === layer.steps && (one.parts === 1 || one.parts === parts));
  const [view, ...values] = await Promise.all([
    loadView(want),
    ...numbers.map((one) =>
      loadSeries(one.number, want.sample, one.parts === 1 ? 0 : want.part)),
  ]);
  if (mine !== asked) return; // another choice was made meanwhile
  const before = shown;
  shown = {
    view,
    layer,
    chosen: want,
    quantity: layer.quantities[want.quantity],
    time: new Time(about.axes[layer.axis], layer.steps),
    order: orderOf(view),
    masked: layer.masked[want.sample][want.part],
    series: numbers.map((one, place) => ({ ...one, values: values[place] })),
  };
  if (before?.layer !== layer) {
    pins = [];
    hovered = mostMoving(view);
    drawTime(shown.time);
  }
  hovered = Math.min(hovered, view.units - 1);
  if (before?.layer !== layer || before.view.units !== view.units) drawRows(view.units);
  draw();
}

const mostMoving = (view) =>
  view.orders.stored.reduce(
    (best, unit) => (rangeOf(view, unit) > rangeOf(view, best) ? unit : best), 0);

function draw() {
  const { view, layer, quantity, time, order, masked } = shown;
  const sample = about.samples[shown.chosen.sample];
  const part = layer.parts === null ? "" : `, part ${shown.chosen.part}`;
  element("shown").textContent = `${layer.name} · ${quantity.path} · sample ${sample}${part}`;
  const [low, high] = rangeOfColors();
  element("meaning").textContent = meaning(low, high);
  drawMask(time, masked);
  drawCells(view, order, time, { low, high, palette: about.palettes[quantity.scale] });
  for (const one of shown.series) drawSeries(one, shown);
  drawAxes(time, ["heat", "units", ...shown.series.map((one) => `series-${one.number}`)]);
  drawUnits();
  drawPins(pins, order);
  drawTable(view, pins, pin);
  drawWords(view, quantity);
  markOverview(shown.chosen);
}

// A few units far out would leave all others pale: then only most values get colours of their own.
function rangeOfColors() {
  const { view, quantity, masked } = shown;
  if (element("reach").value === "all") return [quantity.low, quantity.high];
  const counted = view.values.filter(
    (value, place) => Number.isFinite(value) && !isMasked(place % view.steps, masked));
  const signed = quantity.scale !== "gate";
  const sorted = (signed ? counted.map(Math.abs) : counted).sort();
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const [low, high] = signed ? [-at(0.98), at(0.98)] : [at(0.01), at(0.99)];
  return low < high ? [low, high] : [quantity.low, quantity.high];
}

function meaning(low, high) {
  const { layer, quantity, view, masked } = shown;
  const words = {
    tanh: "blue below zero, white at zero, red above",
    gate: "0 is closed, 1 is open",
    open: "blue below zero, white at zero, red above",
  }[quantity.scale];
  const ends = [low, high].map((end) => Number(end.toPrecision(3))).join(" to ");
  const beyond = low > quantity.low || high < quantity.high ? ", the end colours also beyond" : "";
  const backwards = layer.backwards ? " The layer runs from the last step to the first." : "";
  const size = `${view.units} units by ${view.steps} time steps`;
  const broken = countBroken(view.values, view.steps, masked);
  const of = `${broken} of ${view.values.length} values`;
  const black = broken ? ` Black: not a finite number (NaN or infinite), ${of}.` : "";
  return `${size}; colours from ${ends}${beyond}: ${words}.${backwards}${black}`;
}

function drawUnits() {
  const { view, time, masked } = shown;
  const line = (unit, color, width) => ({
    name: `unit ${unit}`,
    unit,
    values: view.values.subarray(unit * view.steps, (unit + 1) * view.steps),
    color,
    width,
  });
  const lines = pins.map((unit, place) => line(unit, PINNED[place % PINNED.length], 1.8));
  if (!pins.includes(hovered)) lines.push(line(hovered, HOVERED, 1.2));
  drawLines("units", lines, time, masked);
  const keys = lines.map(({ name, color, unit }) => ({
    name,
    color,
    pressed: true,
    press: pins.includes(unit) && (() => pin(unit)),
    hint: pins.includes(unit) ? "pinned; click to take the pin away" : "under the mouse",
  }));
  drawKeys("units", `Units of ${shown.quantity.path}: the one under the mouse, and those pinned`, keys);
}

// ---- what the reader does ----

function hover(x, y) {
  if (!shown) return;
  const { step, unit } = cellAt(x, y);
  if (step === null || unit === undefined || unit === hovered) return;
  hovered = unit;
  drawUnits();
}

function pin(unit) {
  pins = pins.includes(unit) ? pins.filter((one) => one !== unit) : [...pins, unit];
  drawUnits();
  drawPins(pins, shown.order);
  markPins(pins);
  element("clear").disabled = !pins.length;
}

function options(id, names, selected) {
  element(id).replaceChildren(...names.map((name, place) => new Option(name, place)));
  element(id).value = selected;
}

function chooseLayer(number) {
  const path = about.layers[chosen.layer].quantities[chosen.quantity].path;
  const layer = about.layers[number];
  // The same quantity as before, where the layer has it.
  const same = layer.quantities.findIndex((quantity) => quantity.path === path);
  chosen.layer = number;
  element("layer").value = number;
  chosen.quantity = Math.max(same, 0);
  chosen.part = Math.min(chosen.part, (layer.parts ?? 1) - 1);
  options("quantity", layer.quantities.map((quantity) => quantity.path), chosen.quantity);
  options("part", Array.from({ length: layer.parts ?? 1 }, (_, part) => part), chosen.part);
  element("part").parentElement.hidden = layer.parts === null;
}

function listen() {
  element("layer").addEventListener("change", (event) => {
    chooseLayer(Number(event.target.value));
    show();
  });
  for (const id of ["quantity", "sample", "part"]) {
    element(id).addEventListener("change", (event) => {
      chosen[id] = Number(event.target.value);
      show();
      if (id !== "quantity") drawOverview(chosen);
    });
  }
  element("order").addEventListener("change", () => {
    shown.order = shown.view.orders[element("order").value];
    draw();
  });
  element("reach").addEventListener("change", draw);
  element("clear").addEventListener("click", () => {
    pins = [];
    draw();
    element("clear").disabled = true;
  });
  for (const head of document.querySelectorAll("#units th")) {
    head.querySelector("button").addEventListener("click", () => {
      sortTable(head.dataset.column);
      drawTable(shown.view, pins, pin);
    });
  }
  model("heat").on_event("mousemove", (event) => hover(event.x, event.y));
  // The second of two quick clicks is a "doubletap" for Bokeh, wherever it is.
  for (const click of ["tap", "doubletap"]) {
    model("heat").on_event(click, (event) => {
      const { step, unit } = cellAt(event.x, event.y);
      if (step !== null && unit !== undefined) pin(unit);
    });
  }
}

async function start() {
  const names = about.layers.map((layer) => `${layer.name} (${layer.kind})`);
  options("layer", names, 0);
  makeOverview((layer, quantity) => {
    if (layer !== chosen.layer) chooseLayer(layer);
    chosen.quantity = quantity;
    element("quantity").value = quantity;
    show();
  });
  options("sample", about.samples, 0);
  chooseLayer(0);
  await Bokeh.embed.embed_item(JSON.parse(element("plots-item").textContent));
  bokeh = Bokeh.documents.at(-1);
  listen();
  await show();
  // What was just drawn is on the screen after the next frame.
  await nextFrame();
  await nextFrame();
  performance.mark("drawn");
  document.body.dataset.ready = "true";
  drawOverview(chosen);
}

start().catch((error) => {
  element("failed").hidden = false;
  element("failed").textContent =
    `This page could not be shown: ${error}. It needs a browser from 2023 or newer.`;
  throw error;
});
