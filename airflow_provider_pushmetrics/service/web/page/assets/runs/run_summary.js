// The top of a run's page: what failed first, and how long each block took beside the others.

import { elapsed } from "../elements/clock.js";
import { card, el } from "../elements/dom.js";
import { state } from "../elements/format.js";
import { getServerTime } from "../http/server_time.js";
import { findFirstFailed, nameState, placeBar } from "./run_states.js";

/**
 * @param {Api.Run} run
 * @param {readonly Ui.ShownResult[]} results
 * @param {(uid: string) => void} show Shows a block.
 * @returns {HTMLElement}
 */
export function makeSummary(run, results, show) {
  const first = findFirstFailed(results);
  return el(
    "div",
    {},
    first &&
      el(
        "p",
        { class: "first-failed" },
        el("strong", {}, "Failed first: "),
        makeLink(first, show),
        el("span", { class: "fault" }, ` ${(first.error ?? "").split("\n")[0].slice(0, 300)}`),
      ),
    results.length > 1 &&
      card(
        "Durations",
        el(
          "ol",
          { class: "timeline" },
          results.map((result) => makeLine(run, result, show)),
        ),
      ),
  );
}

/**
 * @param {Api.Run} run
 * @param {Ui.ShownResult} result
 * @param {(uid: string) => void} show
 */
function makeLine(run, result, show) {
  const bar = el("span", { class: "bar" });
  const place = placeBar(run, result, getServerTime());
  if (place) {
    const length = el("span", { class: `length ${nameState(run, result)}` });
    // By its style object, which the page's policy permits, and not by an attribute.
    length.style.marginInlineStart = `${place.start}%`;
    length.style.width = `${place.width}%`;
    bar.append(length);
  }
  return el(
    "li",
    {},
    makeLink(result, show),
    state(nameState(run, result)),
    bar,
    el("span", { class: "time" }, elapsed(result.started_on, result.finished_on)),
  );
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
