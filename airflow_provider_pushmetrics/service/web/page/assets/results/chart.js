// The chart of a run, drawn by the page from the specification and the rows that its run kept.

import { drawVega } from "../charts/drawing.js";
import { DrawingTurns } from "../charts/drawing_turns.js";
import { followPlace, waitForPlace } from "../charts/places.js";
import { el, fill } from "../elements/dom.js";
import { get } from "../http/api.js";
import { describeError } from "../http/errors.js";

/**
 * Make the view of a chart; why it cannot be drawn is said in its place.
 *
 * @param {string} base
 * @param {string} name
 */
export function makeChart(base, name) {
  const place = el("div", { class: "chart" }, el("p", { class: "hint" }, "Drawing…"));
  /** @type {Promise<Record<string, unknown>>} */
  const reading = get(`${base}/chart.json`);
  reading.then((spec) => showChart(place, spec, name)).catch((error) => showFault(place, error));
  return place;
}

/**
 * Show a chart in a place as soon as it is in the page, and again when the page becomes light or dark.
 *
 * @param {HTMLElement} place
 * @param {Record<string, unknown>} spec
 * @param {string} name
 */
async function showChart(place, spec, name) {
  const turns = new DrawingTurns();
  const draw = async () => {
    try {
      await turns.show(turns.begin(), () => drawChart(place, spec, name));
    } catch (error) {
      showFault(place, error);
    }
  };
  await waitForPlace(place);
  followPlace(place, { redraw: draw, end: () => turns.stop() });
  await draw();
}

/**
 * Draw a chart into a place of the page, as an image with a name.
 *
 * @param {HTMLElement} place
 * @param {Record<string, unknown>} spec
 * @param {string} name
 */
async function drawChart(place, spec, name) {
  const image = el("div", { role: "img", "aria-label": `Chart ${name}` });
  fill(place, image);
  return drawVega(image, spec);
}

/**
 * @param {HTMLElement} place
 * @param {unknown} error
 */
const showFault = (place, error) => fill(place, el("p", { class: "fault" }, describeError(error)));
