// The arrays of the page: each stands, packed as text, in an element of its own.

const about = JSON.parse(document.getElementById("about").textContent);

const parsed = new Promise((resolve) => {
  if (document.readyState !== "loading") resolve();
  else document.addEventListener("DOMContentLoaded", resolve, { once: true });
});

// An element that the parser has not left yet may hold a part of its text only.
async function textOf(id) {
  if (!document.getElementById(id)?.nextElementSibling) await parsed;
  return document.getElementById(id).textContent;
}

async function unpack(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = planes.length / 4;
  const words = new Uint8Array(planes.length);
  for (let plane = 0; plane < 4; plane++) {
    const start = plane * count;
    for (let i = 0; i < count; i++) words[4 * i + plane] = planes[start + i];
  }
  return words.buffer;
}

const known = new Map();

function load(id) {
  if (!known.has(id)) known.set(id, textOf(id).then(unpack));
  return known.get(id);
}

// One quantity of one layer in one sample, `[unit, time]`, and what is said of each unit.
async function loadView({ layer, quantity, sample, part }) {
  const buffer = await load(`view-${layer}-${quantity}-${sample}-${part}`);
  const { steps, quantities } = about.layers[layer];
  const { units } = quantities[quantity];
  const perUnit = (place, Kind) => new Kind(buffer, 4 * units * (steps + place), units);
  return {
    units,
    steps,
    values: new Float32Array(buffer, 0, units * steps),
    low: perUnit(0, Float32Array),
    high: perUnit(1, Float32Array),
    least: perUnit(2, Float32Array),
    greatest: perUnit(3, Float32Array),
    dead: perUnit(4, Float32Array),
    orders: {
      stored: Int32Array.from({ length: units }, (_, unit) => unit),
      correlation: perUnit(5, Int32Array),
      saturation: perUnit(6, Int32Array),
    },
  };
}

// An input or output, `[feature, time]`.
async function loadSeries(number, sample, part) {
  return new Float32Array(await load(`series-${number}-${sample}-${part}`));
}

// The fewest digits that read back as the same 32 bits.
function shortest(value) {
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(Number(value.toPrecision(9)));
}

const isMasked = (step, runs) => runs.some(([first, past]) => first <= step && step < past);

// How many values are not finite, of `[any, time]`, in the steps that count.
const countBroken = (values, steps, runs) =>
  values.reduce(
    (sum, value, place) => sum + (!Number.isFinite(value) && !isMasked(place % steps, runs)), 0);

// From its lowest to its highest value; 0 where no value of the unit counts.
const rangeOf = (view, unit) => view.greatest[unit] - view.least[unit] || 0;
