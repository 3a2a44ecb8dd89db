// The colors of charts, which are those of the page.

import { el } from "../elements/dom.js";

/** Ten colors that are told apart on light and on dark pages, also by people who see some of them alike. */
const CATEGORIES = [
  "#4c8bf5",
  "#f28e2b",
  "#2ca58d",
  "#d1495b",
  "#8e6bd1",
  "#c9a227",
  "#5bb5d8",
  "#b5651d",
  "#7f8c9b",
  "#d982b5",
];

/**
 * Make the configuration of a chart at a place of the page.
 *
 * @param {HTMLElement} place
 */
export function makeTheme(place) {
  const style = getComputedStyle(place);
  // A variable may hold what only style sheets understand, so the color is read that it gives.
  const probe = el("span", {});
  place.append(probe);
  const read = (/** @type {string} */ name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const [text, quiet, line] = ["--text", "--quiet", "--line"].map(read);
  const card = read("--card");
  probe.remove();
  const words = {
    labelColor: quiet,
    titleColor: text,
    titleFontWeight: 600,
    labelFontSize: 12,
    titleFontSize: 12,
  };
  return {
    aria: false, // the element around it has a name, and the rows are a table
    background: "transparent",
    font: style.fontFamily,
    view: { stroke: "transparent" },
    mark: { color: CATEGORIES[0], tooltip: { content: "encoding" } },
    arc: { stroke: card, strokeWidth: 1 },
    text: { color: text },
    rule: { color: quiet },
    title: { color: text, subtitleColor: quiet, anchor: "start", fontSize: 14, fontWeight: 600 },
    axis: { ...words, domainColor: line, gridColor: line, tickColor: line },
    header: words,
    legend: words,
    range: { category: CATEGORIES },
  };
}
