// Where the time steps lie on the axis, and what they are called.

class Time {
  constructor(axis, steps) {
    this.axis = axis;
    this.steps = steps;
    // Uneven times: the axis counts the steps, and each is labelled with its time.
    this.even = axis.start !== null;
    this.start = this.even ? axis.start : 0;
    this.step = this.even ? axis.step : 1;
  }

  // The middle of each step, and its borders: step t lies between edge(t) and edge(t + 1).
  at(step) {
    return this.start + step * this.step;
  }

  edge(step) {
    return this.at(step - 0.5);
  }

  stepAt(x) {
    const step = Math.round((x - this.start) / this.step);
    return step >= 0 && step < this.steps ? step : null;
  }

  get dated() {
    return this.axis.datetime && this.even;
  }

  get label() {
    return this.axis.label;
  }

  name(step) {
    return this.axis.names === null ? String(step) : this.axis.names[step];
  }

  tick(x) {
    if (this.even) return String(Number(x.toPrecision(10)));
    return Number.isInteger(x) && this.stepAt(x) !== null ? this.name(x) : "";
  }
}
