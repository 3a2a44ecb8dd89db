// The top of a run's page: what failed first, and how long each block took beside the others.

import { elapsed } from "../elements/clock.js";
import { card, el } from "../elements/dom.js";
import { state } from "../elements/format.js";
import { updateChildren } from "../elements/redraw.js";
import { getServerTime } from "../http/server_time.js";
import { findFirstFailed, nameState, placeBar } from "./run_states.js";

/**
 * Make the top of a run's page. What has not changed stays the same element, so that no press is lost.
 *
 * @param {(uid: string) => void} show Shows a block.
 * @returns {Ui.RunSummary}
 */
export function makeSummary(show) {
  const failed = el("div", {});
  const lines = el("ol", { class: "timeline" });
  const durations = card("Durations", lines);
  const node = el("div", {}, failed, durations);
  /** @type {Ui.RunSummary["update"]} */
  const update = (run, results) => {
    const first = findFirstFailed(results);
    updateChildren(failed, first ? [first] : [], {
      getKey: (result) => result.block_uid,
      getLook: (result) => JSON.stringify([result.name, result.error]),
      make: (result) => makeFirstFailed(result, show),
    });
    durations.hidden = results.length < 2;
    updateChildren(lines, results, {
      getKey: (result) => result.block_uid,
      getLook: (result) =>
        JSON.stringify([result.name, nameState(run, result), result.started_on, result.finished_on]),
      make: (result) => makeLine(run, result, show),
    });
    for (const [index, result] of results.entries()) placeLength(lines.children[index], run, result);
  };
  return { node, update };
}

/**
 * @param {Ui.ShownResult} result
 * @param {(uid: string) => void} show
 */
const makeFirstFailed = (result, show) =>
  el(
    "p",
    { class: "first-failed" },
    el("strong", {}, "Failed first: "),
    makeLink(result, show),
    el("span", { class: "fault" }, ` ${(result.error ?? "").split("\n")[0].slice(0, 300)}`),
  );

/**
 * @param {Api.Run} run
 * @param {Ui.ShownResult} result
 * @param {(uid: string) => void} show
 */
const makeLine = (run, result, show) =>
  el(
    "li",
    {},
    makeLink(result, show),
    state(nameState(run, result)),
    el("span", { class: "bar" }, el("span", { class: `length ${nameState(run, result)}`, hidden: true })),
    el("span", { class: "time" }, elapsed(result.started_on, result.finished_on)),
  );

/**
 * Show on the bar of a block when it ran: while the run goes on, all bars become shorter.
 *
 * @param {Element} line
 * @param {Api.Run} run
 * @param {Ui.ShownResult} result
 */
function placeLength(line, run, result) {
  const length = line.querySelector(".length");
  const place = placeBar(run, result, getServerTime());
  if (!(length instanceof HTMLElement) || !place) return;
  // By its style object, which the page's policy permits, and not by an attribute.
  length.style.marginInlineStart = `${place.start}%`;
  length.style.width = `${place.width}%`;
  length.hidden = false;
}

/**
 * Make a link to a block further down, which leaves the address as it is.
 *
 * @param {Ui.ShownResult} result
 * @param {(uid: string) => void} show
 */
function makeLink(result, show) {
  /** @param {MouseEvent} event */
  const onclick = (event) => {
    event.preventDefault();
    show(result.block_uid);
  };
  return el("a", { href: `#${result.block_uid}`, onclick }, result.name);
}
