// Drawing Vega-Lite in a page. A specification is a program of somebody else: it can load nothing, reaches no element but
// its own, and its expressions are interpreted, since the page's policy forbids to compile them.

import { el } from "../elements/dom.js";
import { makeTheme } from "./theme.js";
import { showTip } from "./tip.js";

/** Which events a chart may listen to beyond itself: those that end a selection by dragging. */
const EVENTS = {
  window: ["pointermove", "pointerup", "mousemove", "mouseup"],
  selector: false,
  timer: false,
};

/**
 * Draw a chart into an element that is part of the page.
 *
 * @param {HTMLElement} place
 * @param {Record<string, unknown>} spec With its rows.
 * @returns {Promise<() => void>} Ends it.
 */
export async function drawVega(place, spec) {
  const { View, compile, expressionInterpreter, parse } = await loadVega();
  /** @type {string[]} */
  const faults = [];
  const logger = makeLogger(faults);
  const config = /** @type {any} */ (makeTheme(place));
  const compiled = compile(/** @type {any} */ (spec), { config, logger });
  const vega = /** @type {any} */ (compiled.spec);
  dropBindings(vega);
  vega.config = { ...vega.config, events: EVENTS };
  // Vega gives its container a role, and the place has one already.
  const container = el("div", { "aria-hidden": "true" });
  place.append(container);
  const view = new View(parse(vega, undefined, { ast: true }), {
    container,
    expr: expressionInterpreter,
    hover: true,
    loader: makeLoader(faults),
    logger,
    renderer: "svg",
    tooltip: (_handler, event, _item, value) => showTip(event, value),
  });
  const end = () => {
    showTip(null, null);
    view.finalize();
  };
  try {
    await view.runAsync();
  } catch (error) {
    end();
    throw error;
  }
  if (faults.length) {
    end();
    throw new Error(`The chart cannot be drawn: ${faults[0]}`);
  }
  return end;
}

/** Load what draws charts; a browser may keep it in mind that this failed, as long as the page is open. */
async function loadVega() {
  try {
    return await import("../vendored/vega.js");
  } catch {
    throw new Error("What draws charts could not be loaded: reload the page.");
  }
}

/**
 * Make a loader that refuses: the rows are in the specification, and there are no images and links.
 *
 * @param {string[]} faults
 */
function makeLoader(faults) {
  const refuse = async () => {
    const text = "it refers to something elsewhere, and charts load nothing";
    faults.push(text);
    throw new Error(text);
  };
  return { options: {}, load: refuse, sanitize: refuse, http: refuse, file: refuse };
}

/**
 * Make a logger that keeps errors, which Vega would only write to the console.
 *
 * @param {string[]} faults
 */
function makeLogger(faults) {
  /** @type {any} */
  const logger = {
    level: () => logger,
    error: (/** @type {unknown[]} */ ...parts) => {
      faults.push(parts.map(String).join(" "));
      return logger;
    },
    warn: () => logger,
    info: () => logger,
    debug: () => logger,
  };
  return logger;
}

/**
 * Drop the controls of parameters, which a specification could put anywhere in the page.
 *
 * @param {{ signals?: { bind?: unknown }[], marks?: any[] }} group
 */
function dropBindings({ signals = [], marks = [] }) {
  for (const signal of signals) delete signal.bind;
  for (const mark of marks) dropBindings(mark);
}
