// Small heat maps of every layer and quantity: to see them at once, and to choose with a click.

const WIDTH = 112;
const HEIGHT = 36;

const nextFrame = () => new Promise(requestAnimationFrame);

function makeOverview(choose) {
  about.layers.forEach((layer, number) => {
    const group = document.createElement("fieldset");
    const name = document.createElement("legend");
    name.textContent = layer.name;
    group.append(name);
    layer.quantities.forEach((quantity, place) => {
      const button = document.createElement("button");
      const canvas = document.createElement("canvas");
      Object.assign(canvas, { id: `small-${number}-${place}`, width: WIDTH, height: HEIGHT });
      button.dataset.view = `${number}-${place}`;
      button.append(canvas);
      // A long path may break after a slash.
      for (const name of quantity.path.split(/(?<=\/)/)) {
        button.append(name, document.createElement("wbr"));
      }
      button.addEventListener("click", () => choose(number, place));
      group.append(button);
    });
    document.getElementById("overview").append(group);
  });
}

function markOverview({ layer, quantity }) {
  for (const button of document.querySelectorAll("#overview button")) {
    button.ariaPressed = String(button.dataset.view === `${layer}-${quantity}`);
  }
}

let drawing = 0;

// One at a time, between the frames: what the reader does comes first.
async function drawOverview({ sample, part }) {
  const mine = ++drawing;
  for (const [layer, { quantities, parts, masked }] of about.layers.entries()) {
    const own = Math.min(part, (parts ?? 1) - 1);
    for (const [quantity, scale] of quantities.entries()) {
      const view = await loadView({ layer, quantity, sample, part: own });
      if (mine !== drawing) return;
      drawSmall(`small-${layer}-${quantity}`, view, scale, masked[sample][own]);
      await nextFrame();
    }
  }
}

function drawSmall(id, { values, units, steps }, { low, high, scale }, masked) {
  const colors = about.palettes[scale].map((hex) => Number.parseInt(hex.slice(1), 16));
  const context = document.getElementById(id).getContext("2d");
  const image = context.createImageData(WIDTH, HEIGHT);
  const counts = new Uint8Array(steps).fill(1);
  for (const [first, past] of masked) counts.fill(0, first, past);
  for (let y = 0; y < HEIGHT; y++) {
    const unit = Math.floor((y * units) / HEIGHT);
    for (let x = 0; x < WIDTH; x++) {
      const step = Math.floor((x * steps) / WIDTH);
      const value = values[unit * steps + step];
      const share = (value - low) / (high - low);
      const place = Math.min(Math.floor(share * colors.length), colors.length - 1);
      const known = Number.isFinite(value) ? colors[place] : 0x000000;
      const color = counts[step] ? known : 0xd9d9d9;
      image.data.set([color >> 16, (color >> 8) & 255, color & 255, 255], 4 * (y * WIDTH + x));
    }
  }
  context.putImageData(image, 0, 0);
}
