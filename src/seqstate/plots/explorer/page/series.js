// The inputs and outputs: which of their lines are shown, and on what scale.

// So many lines are shown at first; the reader may choose others.
const MOST_SHOWN = 8;

// By the number of the series: the lines that are not shown, and whether each has its own range.
const hidden = about.series.map(
  ({ lines }) => new Set(lines.map((_, line) => line).slice(MOST_SHOWN)));
const own = about.series.map(() => false);

function drawSeries(series, view) {
  const { number, title, lines, features, values } = series;
  const { time, masked } = view;
  const again = () => drawSeries(series, view);
  const plot = `series-${number}`;
  const all = lines.map((name, line) => ({
    name,
    line,
    values: values.subarray(line * time.steps, (line + 1) * time.steps),
    color: PINNED[line % PINNED.length],
  }));
  const shown = all.filter(({ line }) => !hidden[number].has(line));
  drawLines(plot, shown, time, masked, own[number]);
  model(plot).left[0].visible = !own[number];
  const press = (line) => () => {
    if (!hidden[number].delete(line)) hidden[number].add(line);
    again();
  };
  const keys = all.map(({ name, color, line }) => ({
    name,
    color,
    pressed: !hidden[number].has(line),
    press: press(line),
    hint: "click to show or hide",
  }));
  const scale = {
    name: "own ranges",
    pressed: own[number],
    press: () => {
      own[number] = !own[number];
      again();
    },
    hint: "each line from its lowest to its highest value, so that small ones are seen beside large ones",
  };
  // One line is named by the title.
  const several = lines.length > 1;
  const head = title[0].toUpperCase() + title.slice(1) + countOf(lines.length, features);
  drawKeys(plot, head + gapsOf(all, masked), several ? keys : [], several && scale);
}

const countOf = (lines, features) => {
  if (lines < features) return `: the first ${lines} of ${features} features`;
  return lines > MOST_SHOWN ? `: ${lines} features` : "";
};

const gapsOf = (lines, masked) =>
  lines.some(({ values }) => countBroken(values, values.length, masked))
    ? " (gaps: not a finite number)"
    : "";
