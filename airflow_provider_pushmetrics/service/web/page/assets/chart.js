// A chart, as an image that the service has drawn.

import { get } from "./api.js";
import { el, fill } from "./dom.js";

const DARK = window.matchMedia("(prefers-color-scheme: dark)");

/** Make the view of a chart; why it cannot be drawn is said in its place. */
export function makeChart(base, name) {
  const place = el("div", { class: "chart" }, el("p", { class: "hint" }, "Drawing…"));
  get(`${base}/chart.svg`, { query: { is_dark: DARK.matches } })
    .then((text) => fill(place, makeImage(text, name)))
    .catch((error) => fill(place, el("p", { class: "fault" }, error.message)));
  return place;
}

/** Show SVG as an image: as a part of the page, it could run scripts. */
function makeImage(text, name) {
  const address = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  return el("img", { src: address, alt: `Chart ${name}`, onload: () => URL.revokeObjectURL(address) });
}
