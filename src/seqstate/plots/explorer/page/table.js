// The table of units: how saturated each is in what is shown, and whether it is dead.

const percent = (share) => (share === 0 ? "–" : `${(100 * share).toFixed(1)}%`);
const COLUMNS = {
  unit: (view, unit) => unit,
  saturated: (view, unit) => view.low[unit] + view.high[unit],
  low: (view, unit) => view.low[unit],
  high: (view, unit) => view.high[unit],
  range: rangeOf,
  dead: (view, unit) => view.dead[unit],
};

const sorting = { column: "saturated", down: true };

function sortTable(column) {
  sorting.down = sorting.column === column ? !sorting.down : column !== "unit";
  sorting.column = column;
}

const short = (value) => value.toFixed(2).replace(/^-(0\.00)$/, "$1");

function cell(row, text) {
  const made = document.createElement("td");
  made.textContent = text;
  row.append(made);
  return made;
}

function drawTable(view, pins, pin) {
  const key = COLUMNS[sorting.column];
  const order = [...view.orders.stored].sort((one, other) => {
    const difference = key(view, one) - key(view, other);
    return (sorting.down ? -difference : difference) || one - other;
  });
  const rows = order.map((unit) => {
    const row = document.createElement("tr");
    row.dataset.unit = unit;
    const button = document.createElement("button");
    button.textContent = unit;
    button.title = `Pin unit ${unit}`;
    cell(row, "").append(button);
    cell(row, percent(view.low[unit] + view.high[unit]));
    cell(row, percent(view.low[unit]));
    cell(row, percent(view.high[unit]));
    const known = !Number.isNaN(view.least[unit]);
    cell(row, known ? `${short(view.least[unit])} to ${short(view.greatest[unit])}` : "–");
    cell(row, view.dead[unit] ? "dead" : "");
    row.classList.toggle("dead", view.dead[unit] > 0);
    row.addEventListener("click", () => pin(unit));
    return row;
  });
  document.querySelector("#units tbody").replaceChildren(...rows);
  for (const head of document.querySelectorAll("#units th")) {
    const sorted = head.dataset.column === sorting.column;
    head.ariaSort = sorted ? (sorting.down ? "descending" : "ascending") : "none";
  }
  markPins(pins);
}

function markPins(pins) {
  for (const row of document.querySelectorAll("#units tbody tr")) {
    const place = pins.indexOf(Number(row.dataset.unit));
    const button = row.querySelector("button");
    button.ariaPressed = String(place >= 0);
    row.classList.toggle("pinned", place >= 0);
    row.style.setProperty("--pin", place >= 0 ? PINNED[place % PINNED.length] : "transparent");
  }
}

// What the words mean here, and how many units they are said of.
function drawWords(view, quantity) {
  const shares = Array.from(view.low, (low, unit) => low + view.high[unit]);
  const dead = view.dead.reduce((sum, one) => sum + one, 0);
  const half = shares.filter((share) => share > 0.5).length;
  const any = shares.filter((share) => share > 0).length;
  document.getElementById("counts").textContent =
    `Of ${view.units} ${view.units === 1 ? "unit" : "units"}, ${any} ${any === 1 ? "is" : "are"} ` +
    `saturated at some step, ${half} at more than half of the steps; ${dead} ` +
    `${dead === 1 ? "is" : "are"} dead.`;
  const ends = quantity.ends?.map((end) => Number(end.toFixed(2)));
  const saturated = ends
    ? `Saturated: below ${ends[0]} (low) or above ${ends[1]} (high), with the share of the steps that count.`
    : "This quantity has no ends at which it could be saturated.";
  document.getElementById("words").textContent =
    `${saturated} Dead: the unit never moves, all its values lie within ${about.still}.`;
}
