// The last runs of a report as small bars: their states by color and height, their durations by length.

import { el } from "../elements/dom.js";
import { describeRuns, measureBars } from "../runs/run_states.js";

/** @param {Api.ReportActivity["runs"]} runs The newest first. */
export function makeSparkline(runs) {
  const bars = measureBars(runs).map(({ status, height }) => {
    const bar = el("span", { class: `tick ${status}` });
    bar.style.height = `${height}%`;
    return bar;
  });
  const text = describeRuns(runs);
  return el("span", { class: "sparkline", role: "img", "aria-label": text, title: text }, bars);
}
