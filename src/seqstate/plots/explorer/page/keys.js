// Over each plot of lines: what it shows, and the names of its lines, which show and hide them.

// A key is {name, color, pressed, press, hint}; `press` is what a click does, if anything. `own` is
// one without a color, for the plot as a whole.
function drawKeys(plot, title, keys, own) {
  const box = Bokeh.index.find_one(model(`${plot}_keys`)).shadow_el.querySelector(".keys");
  const focused = [...box.children].indexOf(box.getRootNode().activeElement);
  const head = document.createElement("b");
  head.textContent = title;
  box.ariaLabel = title;
  box.replaceChildren(head, ...(own ? [keyOf(own)] : []), ...keys.map(keyOf));
  // Where the reader was before the keys were made anew.
  if (focused >= 0) box.children[focused]?.focus();
}

function keyOf({ name, color, pressed, press, hint }) {
  const button = document.createElement("button");
  button.type = "button";
  if (color) {
    const line = document.createElement("i");
    line.style.setProperty("--line", color);
    button.append(line);
  } else {
    button.className = "own";
  }
  const text = document.createElement("span");
  text.textContent = name;
  button.append(text);
  button.title = hint ? `${name}: ${hint}` : name;
  button.disabled = !press;
  if (press) {
    button.ariaPressed = String(pressed);
    button.addEventListener("click", press);
  }
  return button;
}
