// The chart of a run, drawn by the page from the specification and the rows that its run kept.

import { drawVega } from "../charts/drawing.js";
import { DrawingTurns } from "../charts/drawing_turns.js";
import { followPlace } from "../charts/places.js";
import { button } from "../elements/buttons.js";
import { el, fill, keepFocus } from "../elements/dom.js";
import { get } from "../http/api.js";
import { describeError, isAbort } from "../http/errors.js";
import { readInTurn } from "./reading.js";

/**
 * Make the view of a chart; why it cannot be drawn is said in its place.
 *
 * @param {string} base
 * @param {string} name
 * @param {Ui.ReadSettings} settings
 */
export function makeChart(base, name, settings) {
  const place = el("div", { class: "chart undrawn", tabindex: "-1" }, el("p", { class: "hint" }, "Drawing…"));
  let last = 0;
  const read = async (/** @type {Ui.CallSettings} */ { signal, isUnasked }) => {
    last += 1;
    const turn = last;
    try {
      /** @type {Record<string, unknown>} */
      const spec = await get(`${base}/chart.json`, { signal, isUnasked });
      if (turn === last) showChart(place, spec, name); // while it is drawn, others are read
      return null;
    } catch (error) {
      if (isAbort(error) || turn !== last) return null;
      const again = async () => {
        await read({ signal: settings.signal });
        keepFocus(place);
      };
      showFault(place, error, button("Try again", again, { kind: "quiet reads" }));
      return error;
    }
  };
  readInTurn(place, (signal) => read({ signal, isUnasked: true }), settings);
  return place;
}

/**
 * Show a chart in a place, and again when the page becomes light or dark.
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
  if (!place.isConnected) return; // it was replaced while the chart was read
  followPlace(place, { redraw: draw, end: () => turns.stop() });
  await draw();
  place.classList.remove("undrawn");
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
 * @param {HTMLElement | null} action
 */
function showFault(place, error, action = null) {
  fill(place, el("p", { class: "fault" }, describeError(error)), action);
  place.classList.remove("undrawn");
}
