// The plots of the last minutes. What they show is kept in this browser only, from
// when the page was opened.
const keptFor = 300_000; // ms
const gap = 5_000; // ms without a sample that are shown as a gap
const spans = [[60_000, "last minute"], [120_000, "last 2 minutes"], [keptFor, "last 5 minutes"]];

// A History is what one pool was, sample by sample.
class History {
  samples = [];

  add(at, values) {
    this.samples.push({ at, ...values });
    // One that is older stays, so that the line begins at the edge.
    while (this.samples.length > 1 && this.samples[1].at < at - keptFor) this.samples.shift();
  }

  // span is the shortest that shows everything, so that a plot is soon full.
  span(now) {
    return spans.find(([ms]) => now - this.samples[0].at <= ms) ?? spans.at(-1);
  }

  // runs cuts the samples where none was taken for a while.
  runs() {
    const runs = [];
    let last = -Infinity;
    for (const s of this.samples) {
      if (s.at - last > gap) runs.push([]);
      runs.at(-1).push(s);
      last = s.at;
    }
    return runs;
  }
}

class Plot {
  constructor(figure, key, name) {
    figure.append(document.getElementById("plot").content.cloneNode(true));
    this.key = key;
    this.name = name;
    this.svg = figure.querySelector("svg");
    this.line = figure.querySelector(".line");
    this.area = figure.querySelector(".area");
    this.spanText = figure.querySelector("[data-f=span]");
    this.topText = figure.querySelector("[data-f=top]");
  }

  // draw makes steps, each as wide as the time from one look to the next.
  draw(history, now) {
    const [ms, words] = history.span(now);
    const top = niceAbove(Math.max(...history.samples.map((s) => s[this.key])));
    const x = (at) => Math.min(300, 300 * (1 - (now + interval - at) / ms)).toFixed(1);
    const y = (s) => (49 - (47 * s[this.key]) / top).toFixed(1);
    let line = "", area = "";
    for (const run of history.runs()) {
      const steps = run.map((s, i) => (i ? `H${x(s.at)}V${y(s)}` : "")).join("") + `H${x(run.at(-1).at + interval)}`;
      line += `M${x(run[0].at)} ${y(run[0])}${steps}`;
      area += `M${x(run[0].at)} 49V${y(run[0])}${steps}V49Z`;
    }
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", area);
    this.svg.setAttribute("aria-label", `${this.name}, ${words}, from 0 to ${top}`);
    set(this.spanText, words);
    set(this.topText, `0 to ${number(top)}`);
  }
}

// niceAbove returns the next round number.
function niceAbove(n) {
  const unit = 10 ** Math.floor(Math.log10(Math.max(1, n)));
  return unit * [1, 2, 3, 4, 5, 6, 8, 10].find((m) => m * unit >= n);
}
