// A chart, as an image that the service has drawn.

import { el, fill } from "../elements/dom.js";
import { get } from "../http/api.js";
import { describeError } from "../http/errors.js";

const DARK = window.matchMedia("(prefers-color-scheme: dark)");

/**
 * Make the view of a chart; why it cannot be drawn is said in its place.
 *
 * @param {string} base
 * @param {string} name
 */
export function makeChart(base, name) {
  const place = el("div", { class: "chart" }, el("p", { class: "hint" }, "Drawing…"));
  /** @type {Promise<string>} */
  const drawing = get(`${base}/chart.svg`, { query: { is_dark: DARK.matches } });
  drawing
    .then((text) => fill(place, makeImage(text, name)))
    .catch((error) => fill(place, el("p", { class: "fault" }, describeError(error))));
  return place;
}

/**
 * Show SVG as an image: as a part of the page, it could run scripts.
 *
 * @param {string} text
 * @param {string} name
 */
function makeImage(text, name) {
  const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  return el("img", { src: address, alt: `Chart ${name}`, onload: () => URL.revokeObjectURL(address) });
}
